"""Reference answers: the questions of a data set, with the scene data that scoring needs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from spatialqa.core.ontology import ontology
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError
from spatialqa.qa.built_in import BUILT_IN

_COLUMNS = (
    "qa_id",
    "scene_id",
    "split",
    "type",
    "subtype",
    "answer",
    "source_indices",
    "asked_labels",
    "choices",
    "answer_labels",
    "answer_direction",
    "answer_distance_m",
    "answer_bool",
    "answer_count",
)


class SourceTruth(NamedTuple):
    """One source of a scene: labels and mids, and where its listener hears it (azimuth positive to the left)."""

    labels: tuple[str, ...]  # lower case
    mids: tuple[str | None, ...]
    azimuth_deg: float
    elevation_deg: float

    def named(self) -> list[tuple[str, str | None]]:
        """Return every label with its mid."""
        return list(zip(self.labels, self.mids, strict=True))


class SceneReference(NamedTuple):
    """A scene's house and sources."""

    house_id: str | None
    sources: tuple[SourceTruth, ...]

    def names_of(self, index: int) -> frozenset[str]:
        """Return the labels of one source that fit no other, AudioSet's hierarchy counted (a dog is an animal)."""
        others = [pair for i, source in enumerate(self.sources) if i != index for pair in source.named()]
        return frozenset(
            name
            for name, mid in self.sources[index].named()
            if not any(name == other or _related(mid, other_mid) for other, other_mid in others)
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """One question as scoring needs it; kind is that of its answers, the other fields are columns of the same names."""

    qa_id: str
    scene_id: str
    split: str
    type: str
    subtype: str
    answer: str
    source_indices: tuple[int, ...]
    asked_labels: tuple[str, ...]
    choices: tuple[str, ...]
    answer_labels: tuple[str, ...]
    answer_direction: tuple[str, ...]
    answer_distance_m: float | None
    answer_bool: bool | None
    answer_count: int | None
    kind: str

    @property
    def multiple_choice(self) -> bool:
        """Whether the question offers lettered options; Yes/No and offered words do not count as such."""
        return bool(self.choices) and all(_LETTERED.match(choice) for choice in self.choices)


_LETTERED = re.compile(r"[A-Z]\. ")


def answer_kinds(folder: DatasetFolder, table: str) -> dict[str, str]:
    """Return the kind of answers of every subtype that a table may have, its own subtypes after the built-in ones."""
    kinds = {subtype.name: subtype.answer for subtype in BUILT_IN.all}
    if folder.questions_file(table).is_file():
        own = folder.read_questions(table).own_subtypes()
        kinds |= {name: subtype.answer for name, subtype in own.items() if name not in kinds}
    return kinds


def read_references(root: Path, table: str) -> list[Reference]:
    """Return all questions of a table, train first.

    Raises:
        DatasetError: there is no such table, or it cannot be read.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such data set; make one with `spatialqa render {root}`")
    folder = DatasetFolder(root)
    files = folder.tables(table)
    if not files:
        there = ", ".join(folder.question_tables())
        hint = f"it holds {there}" if there else f"run `spatialqa make-qa {root}` first"
        raise DatasetError(f"{root}: holds no questions in {table!r}; {hint}")
    kinds = answer_kinds(folder, table)
    return [_truth(row, kinds) for path in files for row in read_rows(path, _COLUMNS, batch_rows=8192)]


def read_scene_references(root: Path, wanted: set[str], splits: set[str]) -> dict[str, SceneReference]:
    """Return the wanted scenes by id; those that the folder does not hold are left out."""
    scenes = {}
    for path in DatasetFolder(root).tables("scenes"):
        if split_of(path) not in splits:
            continue
        for row in read_rows(path, ("scene_id", "house_id", "sources"), batch_rows=4096):
            if row["scene_id"] in wanted:
                scenes[row["scene_id"]] = SceneReference(row["house_id"], tuple(_sources(row["sources"])))
    return scenes


def _truth(row: dict[str, Any], kinds: Mapping[str, str]) -> Reference:
    values: dict[str, Any] = {name: tuple(row[name] or ()) if name in _LISTS else row[name] for name in _COLUMNS}
    return Reference(**values, kind=kinds.get(row["subtype"], ""))


_LISTS = {"source_indices", "asked_labels", "choices", "answer_labels", "answer_direction"}


def _sources(sources: list[dict[str, Any]]) -> Iterator[SourceTruth]:
    for source in sources:
        labels = tuple(label.lower() for label in source["labels"])
        yield SourceTruth(labels, tuple(source["mids"]), source["azimuth_deg"], source["elevation_deg"])


def _related(a: str | None, b: str | None) -> bool:
    return a is not None and b is not None and ontology().related(a, b)
