"""Chooses scenes of a data set and reads them alone: their audio, questions and rooms."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import require_questions, scene_files
from spatialqa.errors import DatasetError, RoomError, SpatialQAError
from spatialqa.generation.inputs import rooms_for
from spatialqa.generation.stored_recipe import stored_recipe
from spatialqa.rooms.room import Room, RoomSet


@dataclass(frozen=True)
class Chosen:
    """Which rows of which file of `scenes` are shown."""

    path: Path
    rows: tuple[int, ...]


def choose(folder: DatasetFolder, count: int, scene_id: str | None, split: str | None) -> list[Chosen]:
    """Return `count` scenes spread evenly over a split, or over all; or the scene of that id.

    Raises:
        DatasetError: there is no such scene, or no scene in the split.
    """
    files = scene_files(folder, split)
    if scene_id is not None:
        for path in files:
            at = pc.index(pq.read_table(path, columns=["scene_id"])["scene_id"], scene_id).as_py()
            if at >= 0:
                return [Chosen(path, (at,))]
        where = f" in the split {split}" if split else ""
        raise DatasetError(f"{folder.root}: has no scene {scene_id!r}{where}; ids look like train-00000000")
    return _located(files, lambda total: {k * total // count for k in range(count)})


def choose_runs(folder: DatasetFolder, runs: int, length: int) -> list[Chosen]:
    """Return `runs` runs of neighbouring scenes, spread evenly: a sample that few reads of a large file bring."""
    return _located(
        scene_files(folder),
        lambda total: {min(k * total // runs + n, total - 1) for k in range(runs) for n in range(length)},
    )


def _located(files: Sequence[Path], numbers: Callable[[int], set[int]]) -> list[Chosen]:
    """Return where scenes are; numbers: which, given how many there are."""
    sizes = [pq.ParquetFile(path).metadata.num_rows for path in files]
    total = sum(sizes)
    wanted = sorted(numbers(total)) if total else []
    chosen, first = [], 0
    for path, size in zip(files, sizes, strict=True):
        rows = tuple(row - first for row in wanted if first <= row < first + size)
        if rows:
            chosen.append(Chosen(path, rows))
        first += size
    return chosen


def read_chosen(chosen: Iterable[Chosen]) -> Iterator[tuple[Scene, bytes]]:
    """Yield the chosen scenes with their FLAC bytes, which are empty where scenes were only planned."""
    for item in chosen:
        file = pq.ParquetFile(item.path)
        first = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            rows = [row - first for row in item.rows if first <= row < first + size]
            first += size
            if rows:
                table = file.read_row_group(group, use_threads=False)
                for row in rows:  # one at a time: a scene is a megabyte
                    (values,) = table.slice(row, 1).to_pylist()
                    yield Scene.from_row(values), values["audio"]["bytes"] if values["audio"] else b""


def questions_of(folder: DatasetFolder, table: str, scenes: Iterable[Scene]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of a table of questions by scene; DatasetError where there is no such table, but for `qa`."""
    require_questions(folder, table)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows_about(folder, table, "scene_id", scenes, lambda scene: [scene.scene_id]):
        found.setdefault(row["scene_id"], []).append(row)
    return found


def rows_about(
    folder: DatasetFolder, table: str, column: str, scenes: Iterable[Scene], ids: Any
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table whose column holds an id of a scene, file by file of the splits of these scenes."""
    by_split: dict[str, list[str]] = {}
    for scene in scenes:
        by_split.setdefault(scene.split, []).extend(ids(scene))
    for path in folder.tables(table):
        if wanted := by_split.get(split_of(path)):
            known = pq.read_table(path, columns=[column])[column]
            rows = pc.indices_nonzero(pc.is_in(known, pa.array(wanted, known.type))).to_pylist()
            yield from _at(pq.ParquetFile(path), rows)


def _at(file: pq.ParquetFile, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    first = 0
    for group in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        own = [row - first for row in rows if first <= row < first + size]
        first += size
        if own:
            yield from file.read_row_group(group, use_threads=False).take(own).to_pylist()


class RoomsOfScenes:
    """Loads the buildings of a data set's scenes, where they are still there and still the same."""

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._set: RoomSet | None = None
        self._why: str | None = None
        try:
            self._set = rooms_for(stored_recipe(folder))
        except (SpatialQAError, OSError) as error:
            self._why = str(error)
        self._last: tuple[str, Room | None, str | None] | None = None
        self._hashes: dict[str, str] = {}

    def expect(self, scenes: Iterable[Scene]) -> None:
        """Read which content the buildings of these scenes had."""
        for row in rows_about(self._folder, "groups", "group_id", scenes, lambda scene: [scene.group_id]):
            self._hashes[row["group_id"]] = row["room_sha256"]

    def of(self, scene: Scene) -> tuple[Room | None, str | None]:
        """Return the building of a scene, or None and why it is not there."""
        if self._set is None:
            return None, self._why
        if self._last is None or self._last[0] != scene.room_id:
            try:
                room, why = self._set.load(scene.room_id), None
            except RoomError as error:
                room, why = None, str(error)
            self._last = scene.room_id, room, why
        _, held, why = self._last
        expected = self._hashes.get(scene.group_id)
        if held is not None and expected not in (None, held.sha256):
            return None, f"the room {scene.room_id} has changed since it was rendered"
        return held, why
