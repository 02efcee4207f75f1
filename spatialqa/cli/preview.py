"""Shows scenes with their sources and questions in the terminal, writes them as WAV files, or makes a page of them.

What comes from the data set is printed as `Text`: a room or a label may hold [brackets], which are not markup.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import soundfile
from rich.table import Table
from rich.text import Text

from spatialqa.cli.output import print_lines
from spatialqa.core.audio_io import decode_flac, write_scene_wav
from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.console import CountProgress, stdout
from spatialqa.core.files import file_name
from spatialqa.core.geometry import direction_words, to_head
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_audio, read_rows, require_questions, scene_files
from spatialqa.errors import DatasetError


def write_page(
    root: Path,
    to: Path | None,
    count: int | None,
    scene_id: str | None,
    split: str | None,
    table: str,
    questions: int | None,
    quiz: bool,
    simulate: bool,
) -> None:
    """Write a page about scenes, and print where it is; see `spatialqa.views.preview_page.write_preview`."""
    from spatialqa.views.preview_page import DEFAULT_COUNT, write_preview

    with CountProgress("writing") as progress:
        summary = write_preview(
            root,
            to,
            count=count or DEFAULT_COUNT,
            scene_id=scene_id,
            split=split,
            table=table,
            questions=questions,
            quiz=quiz,
            simulate=simulate,
            progress=progress.update,
        )
    print_lines(summary.lines())


def show(
    root: Path,
    count: int,
    scene_id: str | None,
    questions: int,
    wav: Path | None,
    split: str | None = None,
    table: str = "qa",
) -> None:
    """Print scenes and their questions.

    Args:
        root: the data set.
        count: how many scenes, spread over the split.
        scene_id: show this scene instead.
        questions: how many questions of each scene.
        wav: also write these scenes there, as 24-bit WAV files at the level of the data set, whose gain they name.
        split: whose scenes are shown; the first by default.
        table: of the questions, "qa" or "qa-NAME".

    Raises:
        DatasetError: no such data set, scene, split or table.
    """
    folder = DatasetFolder(root)
    folder.read_run()
    require_questions(folder, table)
    if wav is not None:
        try:
            wav.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(f"{wav}: cannot be written ({error.strerror}); name another folder for --wav") from None
    shown_types: Counter[str] = Counter()
    shown = 0
    for scene, flac in _scenes(folder, count, scene_id, split):
        shown += 1
        _print_scene(scene)
        _print_questions(folder, table, scene, questions, shown_types)
        if wav is not None and flac:
            names = ", ".join(CHANNEL_NAMES.get(scene.channels, ()))
            stdout.print(Text(f"written to {_write_wav(scene, flac, wav)} ({names})\n"))
    if not shown:
        raise DatasetError(f"{root}: has no scene {scene_id!r}; ids look like train-00000000")


def _scenes(
    folder: DatasetFolder, count: int, scene_id: str | None, split: str | None
) -> Iterator[tuple[Scene, bytes]]:
    """Yield the scene of that id, or else `count` scenes spread over a split, by default the first."""
    files = scene_files(folder, split)
    split = split_of(files[0]) if scene_id is None else scene_id.rpartition("-")[0]
    files = [path for path in files if split_of(path) == split]
    rows = sum(pq.ParquetFile(path).metadata.num_rows for path in files)
    wanted = {k * rows // count for k in range(count)}
    number = -1
    for path in files:
        for scene, flac in read_audio(path):
            number += 1
            if scene.scene_id == scene_id or (scene_id is None and number in wanted):
                yield scene, flac


def _print_scene(scene: Scene) -> None:
    where = f" ({scene.region_label})" if scene.region_label else ""
    stdout.print(Text.assemble((scene.scene_id, "bold"), f"  room {scene.room_id}{where}"))
    table = Table("sound", "direction", "azimuth", "elevation", "distance", "seen", "RT60", box=None, pad_edge=False)
    for source in scene.sources:
        words = direction_words(to_head(scene.listener, source.position))
        table.add_row(
            Text("; ".join(source.labels)),
            ", ".join(words),
            f"{source.azimuth_deg:+.0f}°",
            f"{source.elevation_deg:+.0f}°",
            f"{source.distance_m:.1f} m",
            {True: "yes", False: "no", None: "unknown"}[source.line_of_sight],
            "-" if source.rt60_s is None else f"{source.rt60_s:.2f} s",
        )
    stdout.print(table)


def _print_questions(folder: DatasetFolder, table: str, scene: Scene, count: int, shown: Counter[str]) -> None:
    """Print up to `count` questions of a scene, those types first that have been shown least."""
    rows = [
        row
        for path in folder.tables(table)
        if split_of(path) == scene.split
        for row in read_rows(path, ["scene_id", "type", "question", "answer"], batch_rows=4096)
        if row["scene_id"] == scene.scene_id
    ]
    for row in sorted(rows, key=lambda row: shown[row["type"]])[:count]:
        shown[row["type"]] += 1
        stdout.print(Text.assemble(f"  {row['type']}  {row['question']}  ", (row["answer"], "bold")))
    stdout.print()


def _write_wav(scene: Scene, flac: bytes, folder: Path) -> Path:
    audio, sample_rate = decode_flac(flac)
    path = folder / f"{file_name(scene.scene_id, 'scene_id')}.wav"
    try:
        write_scene_wav(path, audio, sample_rate, scene.gain_db)
    except (OSError, soundfile.SoundFileError) as error:
        raise DatasetError(f"{path}: cannot be written ({error}); name another folder for --wav") from None
    return path
