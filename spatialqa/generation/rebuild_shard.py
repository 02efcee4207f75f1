"""Rebuilds one shard of an export without audio: simulates its stored groups and renders its stored scenes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from spatialqa.core.audio_io import encode_flac, encode_rir
from spatialqa.core.files import FileRecord, commit_text
from spatialqa.core.scene import Scene, place_index
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import EngineName, RebuiltShard, Reject, ShardRecord, json_lines
from spatialqa.dataset.reading import read_rows, schema_of
from spatialqa.dataset.record_checks import check_table_path
from spatialqa.dataset.schema import AUDIO_COLUMNS
from spatialqa.errors import ClipError, ClipGoneError, DamagedError, EngineError, RoomError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import ClippedSceneError, render_scene
from spatialqa.generation.replay import StoredRun, same_truth

Row = dict[str, Any]


@dataclass(frozen=True)
class RebuildJob:
    """What every shard of a rebuild shares; it can travel to a worker.

    recipe: with the paths of this machine. held: a hash of engine, rooms and clips that there are to rebuild from.
    same_engine: whether the engine is the original's.
    """

    export: Path
    root: Path
    recipe: RenderRecipe
    held: str
    same_engine: bool


@dataclass(frozen=True)
class StoredShard:
    """A shard of the export, by its name."""

    name: str


_inputs: StoredRun | None = None  # one a worker process: it keeps its room, its clips and its engine


def rebuild_on_worker(job: RebuildJob, shard: StoredShard) -> ShardRecord:
    """Do `rebuild_shard` with this process's own rooms, clips and engine."""
    global _inputs
    if _inputs is None or _inputs.recipe != job.recipe:
        _inputs = StoredRun(job.recipe)
    return rebuild_shard(job, _inputs, shard.name)


def rebuild_shard(
    job: RebuildJob, inputs: StoredRun, name: str, on_scenes: Callable[[int], None] | None = None
) -> ShardRecord:
    """Make and commit a shard; returns its record, whose `rebuilt` says how it compares with the original.

    Args:
        job: the rebuild.
        inputs: the recipe's rooms, clips and engine.
        name: the shard's.
        on_scenes: called after every group with its number of scenes.

    Raises:
        SpatialQAError: something failed that may not fail again; nothing of the shard was committed.
    """
    export, folder = DatasetFolder(job.export), DatasetFolder(job.root)
    original = export.read_shard(name)
    tables = _tables(export.shard_file(name), original)
    stored = {table: list(read_rows(export.root / item.path)) for table, item in tables.items()}
    made = _Made(inputs, stored, job.same_engine)
    for group in stored["groups"]:
        before = len(made.scenes)
        made.add(group)
        if on_scenes:
            on_scenes(len(made.scenes) - before)
    files, equal = [], 0
    for table, rows in made.tables().items():
        path = tables[table].path
        schema = schema_of(export.root / path, table)
        files.append(commit_table(folder.root, path, pa.Table.from_pylist(rows, schema=schema)))
        equal += files[-1].sha256 == tables[table].sha256
    rejects = json_lines(made.rejects)
    files.append(commit_text(folder.root, f"_spatialqa/rejects/{name}.jsonl", rejects, len(made.rejects)))
    identity = inputs.engine.identity
    record = replace(
        original,
        scenes=len(made.scenes),
        groups=len(made.groups),
        engine=EngineName(identity.name, identity.sha256),
        files=tuple(files),
        original=None,
        rebuilt=RebuiltShard(
            held=job.held,
            original_scenes=original.scenes,
            files_equal=equal,
            files_different=len(tables) - equal,
            scenes_different=made.scenes_different,
        ),
    )
    return folder.commit_shard(record)


def _tables(record_file: Path, record: ShardRecord) -> dict[str, FileRecord]:
    """Return the original's files by table; raises DatasetError where the record does not name them as we do."""
    tables = {item.path.partition("/")[0]: item for item in record.original or ()}
    for table, item in tables.items():
        check_table_path(record_file, item.path, table)
    if not {"scenes", "groups"} <= tables.keys() <= AUDIO_COLUMNS.keys():
        raise DamagedError(
            f"{record_file}: is damaged (it names no files of scenes and groups); export the recipes again"
        )
    return tables


class _Made:
    """The rows of a shard while it is made again, from its stored rows by table."""

    def __init__(self, inputs: StoredRun, stored: Mapping[str, Sequence[Row]], same_engine: bool) -> None:
        self._inputs, self._stored, self._same_engine = inputs, stored, same_engine
        self.scenes: dict[str, Row] = {}
        self.groups: list[Row] = []
        self.rirs: list[Row] = []
        self.rejects: list[Reject] = []
        self.scenes_different = 0

    def add(self, group: Row) -> None:
        """Simulate a group and render its scenes."""
        rows = [row for row in self._stored["scenes"] if row["group_id"] == group["group_id"]]
        scenes = [Scene.from_row(row) for row in rows]
        try:
            acoustic = self._inputs.open_room(group["room_id"], group["room_sha256"])
            simulated = self._inputs.simulate(group, scenes)
        except (RoomError, EngineError) as error:
            if isinstance(error, EngineError) and self._same_engine:
                raise  # it did this before: a fault that may not come again
            self._reject("group", group["group_id"], error)
            for scene in scenes:
                self._reject("scene", scene.scene_id, error)
            return
        self.groups.append({**group, "ray_efficiency": acoustic.ray_efficiency})
        for row in self._stored.get("rirs", ()):
            if row["group_id"] == group["group_id"]:
                rir = simulated.rirs[place_index(row["rir_id"])]
                self.rirs.append({**row, "n_samples": rir.shape[1], "rir": encode_rir(rir)})
        for row, scene in zip(rows, scenes, strict=True):
            try:
                recipe, clips = self._inputs.recipe, self._inputs.sounds(scene)
                rendered = render_scene(scene, simulated, clips, recipe.mix, recipe.audible_dbfs)
            except ClipGoneError:
                raise
            except (ClipError, ClippedSceneError) as error:
                self._reject("scene", scene.scene_id, error)
                continue
            self.scenes_different += not same_truth(rendered.scene, scene)
            flac = encode_flac(rendered.audio, scene.sample_rate)
            audio = {"bytes": flac, "path": f"{scene.scene_id}.flac"}
            self.scenes[scene.scene_id] = {**row, **rendered.scene.to_row(), "audio": audio}

    def tables(self) -> dict[str, list[Row]]:
        """Return the rows of every table, in their stored order."""
        order = [row["scene_id"] for row in self._stored["scenes"]]
        tables = {"scenes": [self.scenes[name] for name in order if name in self.scenes], "groups": self.groups}
        return tables | ({"rirs": self.rirs} if "rirs" in self._stored else {})

    def _reject(self, kind: str, identifier: str, error: Exception) -> None:
        self.rejects.append(Reject.of(kind, identifier, None, error))
