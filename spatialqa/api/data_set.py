"""Data sets in Python: render, ask, read, validate, and score."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatialqa.api.values import path_of, text, whole
from spatialqa.core.audio_io import decode_flac
from spatialqa.core.console import CountProgress, RenderProgress
from spatialqa.core.names import SPLITS, table_name
from spatialqa.core.recipe_file import read_recipe
from spatialqa.core.recipe_keys import build, plain_names
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.reading import read_scenes, scene_files
from spatialqa.dataset.validation.dataset import ValidationReport
from spatialqa.errors import DatasetError, MissingDependencyError, RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.runner import render_dataset
from spatialqa.generation.validate import validate_with_inputs
from spatialqa.interop.export import ExportSummary, export_dataset
from spatialqa.qa.make import QaSummary, make_qa
from spatialqa.qa.question_modules import recompute_functions
from spatialqa.qa.recipe import QaRecipe, refuse_stored_modules
from spatialqa.scoring.predictions import Predictions, predictions_of
from spatialqa.scoring.results import ScoreReport
from spatialqa.scoring.score import score as score_predictions

if TYPE_CHECKING:
    from spatialqa.models.data.scene_items import SceneItems

Audio = npt.NDArray[np.float32]


class SceneAudio(NamedTuple):
    """The audio of a scene: float32 (channels, n), and its sample rate in Hz."""

    samples: Audio
    sample_rate: int


class Dataset:
    """A data set on disk. Nothing is read before it is asked for, and nothing is kept.

    Args:
        path: the folder.

    Raises:
        DatasetError: it is not a data set.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path_of("load_dataset", "path", path)
        self._folder = DatasetFolder(self.path)
        self._folder.read_run()

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {count:,}" for split, count in self.counts().items())
        return f"Dataset({str(self.path)!r}: {counts or 'no scenes yet'})"

    def __len__(self) -> int:
        return sum(self.counts().values())

    @property
    def run(self) -> RunRecord:
        """The record of the run that rendered it: recipe, engine, versions."""
        return self._folder.read_run()

    def counts(self) -> dict[str, int]:
        """Return the number of scenes by split."""
        counts: dict[str, int] = {}
        for path in self._folder.tables("scenes"):
            counts[split_of(path)] = counts.get(split_of(path), 0) + pq.ParquetFile(path).metadata.num_rows
        return counts

    def scenes(self, split: str | None = None) -> pa.Table:
        """Return the scenes of a split, or all, without audio: a pyarrow Table, one row a scene.

        `.to_pandas()` makes a DataFrame of it; `.to_pylist()` plain dicts. The README describes its columns.

        Raises:
            DatasetError: there are none.
        """
        return _concatenate(self._scene_files(split), without="audio")

    def records(self, split: str | None = None) -> Iterator[Scene]:
        """Yield the scenes of a split, or all, as records that `ask` takes."""
        for path in self._scene_files(split):
            yield from read_scenes(path)

    def questions(self, split: str | None = None, name: str | None = None) -> pa.Table:
        """Return the questions of a split, or all: a pyarrow Table, one row a question.

        Args:
            split: "train", "validation" or "test".
            name: of a table that was asked under a name (`ask(name=...)`).

        Raises:
            DatasetError: there are none.
        """
        _check_split(split)
        table = table_name(name)
        files = [path for path in self._folder.tables(table) if split in (None, split_of(path))]
        if not files:
            raise DatasetError(f"{self.path}: holds no questions in {table}; ask some with .ask(types=('A', 'B'))")
        return _concatenate(files)

    def audio(self, scene_id: str) -> SceneAudio:
        """Return the audio of a scene: float32 (channels, n) after the gain of the data set, and its rate in Hz.

        Raises:
            DatasetError: there is no such scene, or it has no audio.
        """
        scene_id = text("audio", "scene_id", scene_id)
        for path in self._scene_files(None):
            ids = pq.read_table(path, columns=["scene_id"])["scene_id"]
            at = pc.index(ids, scene_id).as_py()
            if at >= 0:
                return self._audio(path, at, scene_id)
        raise DatasetError(f"{self.path}: has no scene {scene_id!r}")

    def torch(self, split: str, **options: Any) -> "SceneItems":
        """Return the scenes of a split as a torch Dataset for a model of one's own.

        Args:
            split: "train", "validation" or "test".
            options: see `spatialqa.models.data.scene_items.SceneItems`.

        Raises:
            DatasetError: there are no such scenes, or they have no audio.
            RecipeError: there is no such split, or an option cannot be used.
            MissingDependencyError: torch is not installed.
        """
        _check_split(text("torch", "split", split))
        try:
            from spatialqa.models.data.scene_items import SceneItems
        except ImportError:
            raise MissingDependencyError("Dataset.torch needs torch: pip install 'spatialqa[models]'") from None
        return SceneItems(self.path, split, **options)

    def ask(self, types: Sequence[str] | None = None, *, progress: bool = True, **options: Any) -> QaSummary:
        """Ask questions of every scene and write them, as `spatialqa make-qa` does; returns what was asked.

        Args:
            types: some of A, B, C, D, E and X; by default what the run's recipe says.
            progress: show how far it is.
            options: other keys of make-qa, such as name="hard" or answer_form="mcq".

        Raises:
            RecipeError: an option is not one of make-qa.
            DatasetError: no such question can be asked.
        """
        given = dict(options) if types is None else {"types": types, **options}
        refuse_stored_modules(self.run.qa_recipe, given, self.path)
        recipe = build(QaRecipe, plain_names(self.run.qa_recipe, str(self.path)) | plain_names(given, "ask"), "ask")
        with _shown(CountProgress("asking"), progress) as bar:
            return make_qa(self.path, recipe, bar.update if bar else None)

    def _scene_files(self, split: str | None) -> list[Path]:
        _check_split(split)
        return scene_files(self._folder, split)

    def _audio(self, path: Path, row: int, scene_id: str) -> SceneAudio:
        file = pq.ParquetFile(path)
        group = 0
        while row >= file.metadata.row_group(group).num_rows:
            row -= file.metadata.row_group(group).num_rows
            group += 1
        held = file.read_row_group(group, columns=["audio"])["audio"][row].as_py()
        if not held or not held["bytes"]:
            raise DatasetError(f"{self.path}: scene {scene_id} was only planned and has no audio")
        return SceneAudio(*decode_flac(held["bytes"]))


class _Silent:
    """An observer that shows nothing."""

    def started(self, total: int, done: int, workers: int) -> None:
        """Show nothing."""

    def advanced(self, scenes: int) -> None:
        """Show nothing."""


def render(out: str | Path, config: str | Path | None = "demo", *, progress: bool = True, **overrides: Any) -> Dataset:
    """Render a data set, or what is missing of it, as `spatialqa render` does.

    Args:
        out: a new or empty folder, or one in which this very run was begun.
        config: a recipe file, or the name of a bundled recipe; None starts from the defaults.
        progress: show how far it is.
        overrides: keys of `render`, such as scenes=200, rooms="mesh:hall.glb", workers=2.

    Raises:
        RecipeError: a key is unknown, or has a value that cannot be used.
        SpatialQAError: rooms, clips or engine cannot be used. What was rendered stays, and the same call resumes it.
    """
    folder = path_of("render", "out", out)
    sections = read_recipe(str(config)) if config is not None else {}
    values = {str(name).replace("-", "_"): value for name, value in sections.get("render", {}).items()}
    qa = sections.get("make-qa", {})
    build(QaRecipe, qa, f"recipe {config}")
    given = {name: str(value) if isinstance(value, Path) else value for name, value in overrides.items()}
    resolved = build(RenderRecipe, {**values, **given}, "render")
    with _shown(RenderProgress(), progress) as bar:
        render_dataset(resolved, folder, bar or _Silent(), qa)
    return Dataset(folder)


def load_dataset(path: str | Path) -> Dataset:
    """Return the data set in a folder; raises DatasetError when it holds none."""
    return Dataset(path)


def validate(
    dataset: Dataset | str | Path, *, rerender: int | None = None, question_modules: Sequence[str | Path] = ()
) -> ValidationReport:
    """Check a data set: hashes, schemas, geometry, audio, splits, questions; its `problems` are empty if it is valid.

    Args:
        dataset: a data set or its folder.
        rerender: how many scenes are rendered again and compared bit for bit; None renders a sample of 8 where engine,
            rooms and clips are here, and says under `not_checked` what is not.
        question_modules: Python files or names of packages that declared own subtypes of its questions; with them, the
            answers to these are computed again too.

    Raises:
        DatasetError: it is not a data set, or cannot be rendered again with what is installed here.
        RecipeError: `rerender` is not a whole number, 0 or more.
    """
    rerender = None if rerender is None else whole("validate", "rerender", rerender)
    recompute = recompute_functions([str(name) for name in question_modules])
    return validate_with_inputs(_path(dataset), rerender, recompute)


def score(
    predictions: str | Path | Mapping[str, str],
    dataset: Dataset | str | Path,
    *,
    split: str | None = None,
    name: str | None = None,
    **options: Any,
) -> ScoreReport:
    """Measure predictions against the questions of a data set.

    Args:
        predictions: a file (JSON lines or Parquet with qa_id and prediction), or the answers by qa_id.
        dataset: a data set or its folder.
        split: measure this split only; by default every split that is answered.
        name: of a table that was asked under a name.
        options: see `spatialqa.scoring.score.score`.

    Raises:
        DatasetError: the predictions or the questions cannot be read, or no prediction belongs to a question.
        RecipeError: there is no such split, or the predictions are neither a file nor a dict.
    """
    _check_split(split)
    if isinstance(predictions, Mapping):
        given: Path | Predictions = predictions_of(predictions)
    else:
        given = path_of("score", "predictions", predictions)
    return score_predictions(given, _path(dataset), table_name(name), split, **options)


def export(
    dataset: Dataset | str | Path, dest: str | Path, format: str, *, name: str | None = None, progress: bool = True
) -> ExportSummary:
    """Write a data set in another format, as `spatialqa export` does; a second call resumes it.

    Args:
        dataset: a data set or its folder.
        dest: a new or empty folder, or one in which this export was begun.
        format: "chat", "audio", "lhotse", "dcase2022", "dcase2024", "dcase2025", "webdataset", "spatialsoundqa" or
            "recipes".
        name: take the questions that were asked under this name.
        progress: show how far it is.

    Raises:
        DatasetError, RecipeError: there is no such format, or the data set cannot be represented in it.
    """
    with _shown(CountProgress("exporting"), progress) as bar:
        return export_dataset(
            _path(dataset),
            path_of("export", "dest", dest),
            format,
            table_name(name),
            progress=bar.update if bar else None,
        )


Bar = TypeVar("Bar", RenderProgress, CountProgress)


@contextlib.contextmanager
def _shown(bar: Bar, progress: bool) -> Iterator[Bar | None]:
    if not progress:
        yield None
        return
    with bar:
        yield bar


def _path(dataset: Dataset | str | Path) -> Path:
    return dataset.path if isinstance(dataset, Dataset) else path_of("the data set", "path", dataset)


def _check_split(split: str | None) -> None:
    if split is not None and split not in SPLITS:
        raise RecipeError(f"split {split!r} must be one of {', '.join(SPLITS)}")


def _concatenate(files: Sequence[Path], without: str | None = None) -> pa.Table:
    tables = []
    for path in files:
        try:
            file = pq.ParquetFile(path)
            names = [name for name in file.schema_arrow.names if name != without]
            tables.append(file.read(columns=names))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    return pa.concat_tables(tables, promote_options="default")
