"""The formats that a data set can be exported to, by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.licences import licence_warnings
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError
from spatialqa.interop import FORMATS


class ExportSummary(Protocol):
    """What an export holds."""

    def lines(self) -> list[str]:
        """Return it in words, a line for each thing to know."""
        ...


def export_dataset(
    root: Path,
    dest: Path,
    to: str,
    table: str = "qa",
    samples_per_shard: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> ExportSummary:
    """Export a data set; a second call resumes it.

    Args:
        root: the data set.
        dest: a new or empty folder, or one in which this export was begun.
        to: one of FORMATS.
        table: the questions, "qa" or "qa-NAME"; recipes take all tables along.
        samples_per_shard: of webdataset, scenes in one tar file.
        progress: called with (scenes done, scenes in all).

    Raises:
        DatasetError: the format is unknown, the data set cannot be represented in it, or `dest` holds something else.
    """
    # imported here, since the command line names the formats and the writers are heavy
    if to == "spatialsoundqa":
        from spatialqa.interop.spatialsoundqa.writer import export_spatialsoundqa

        return export_spatialsoundqa(root, dest, table, progress)
    if to == "webdataset":
        from spatialqa.interop.webdataset import export_webdataset

        return export_webdataset(root, dest, table, samples_per_shard, progress)
    if to == "recipes":
        from spatialqa.interop.without_audio import export_recipes

        return export_recipes(root, dest, progress)
    if to in ("chat", "audio", "lhotse"):
        from spatialqa.interop import audio_folder

        write = {
            "chat": audio_folder.export_chat,
            "audio": audio_folder.export_audio,
            "lhotse": audio_folder.export_lhotse,
        }
        return write[to](root, dest, table, progress)
    if to.startswith("dcase") and to in FORMATS:
        from spatialqa.interop.dcase import export_dcase

        return export_dcase(root, dest, int(to.removeprefix("dcase")), progress)
    raise DatasetError(f"there is no format {to!r} to export to: choose one of {', '.join(FORMATS)}")


def warnings_before(root: Path, to: str) -> list[str]:
    """Return what a user should know of licences before an export is made; recipes hold nothing that they guard."""
    if to == "recipes":
        return []
    folder = DatasetFolder(root)
    run = folder.read_run()
    sets = {row["room_set"] for path in folder.tables("groups") for row in read_rows(path, ["room_set"])}
    return licence_warnings(run.recipe, sets, [item.licence for item in run.attributions])
