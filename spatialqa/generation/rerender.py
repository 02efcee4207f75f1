"""Renders stored scenes again: compares audio and labels bit for bit, or labels within the scatter of the engine."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spatialqa.core.audio_io import encode_flac
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.errors import ClipError, DatasetError, RoomError, SpatialQAError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import SimulatedGroup, render_scene
from spatialqa.generation.replay import StoredRun, same_truth
from spatialqa.generation.run import library_versions, machine_facts
from spatialqa.generation.stored_recipe import stored_recipe

SAMPLE_SCENES = 8
# with the sources of a group in another order, 187 DRRs differ by 0.41 dB (standard deviation; 1.4 dB at most) and 261
# RT60s by 4.6 % (17 %)
DRR_TOLERANCE_DB = 2.0
RT60_TOLERANCE = 0.22
_SAMPLE_SHARDS = 2
_Stored = tuple[str, Scene, bytes]  # where it is, in words; its row; its audio


def rerender_scenes(root: Path, count: int) -> tuple[int, list[str]]:
    """Render up to `count` scenes again, spread over the data set; returns how many and which differ and how.

    Nothing is drawn: room, group and scene come from the stored rows, clips by their ids.

    Raises:
        DatasetError: the engine here is not the one that rendered the data set, or foley makes other sounds.
        SpatialQAError: the folder of the clips cannot be opened, or the engine failed.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    recipe = stored_recipe(folder)
    if recipe.plan_only:
        raise DatasetError(f"{root}: holds planned scenes without audio, which cannot be compared")
    with StoredRun(recipe) as inputs:
        inputs.require_engine(root, run)
        inputs.require_sounds(root, run)
        compared, problems = 0, []
        groups = _group_rows(folder)
        for group_id, stored in _choose(folder, count).items():
            compared += len(stored)
            try:
                simulated = inputs.simulate(groups[group_id], [scene for _, scene, _ in stored])
            except RoomError as error:
                problems += [f"{where}: {error}" for where, _, _ in stored]
                continue
            for where, scene, flac in stored:
                if problem := _difference(inputs, simulated, scene, flac):
                    problems.append(f"{where}: {problem}")
    return compared, problems


@dataclass(eq=False)
class Sample:
    """A sample of scenes that was rendered again. missing: why scenes were left out, each reason once."""

    compared: int = 0
    equal: int = 0
    problems: list[str] = field(default_factory=list)
    missing: dict[str, None] = field(default_factory=dict)
    same_machine: bool = True

    @property
    def checked(self) -> tuple[str, ...]:
        """What was compared, in words."""
        if not self.compared:
            return ()
        text = f"a sample of {self.compared} scenes rendered again, {self.equal} equal bit for bit"
        if not self.same_machine:
            text += f"; of the others DRR (within {DRR_TOLERANCE_DB:g} dB) and RT60 ({RT60_TOLERANCE:.0%}) compared"
        return (text,)

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What could not be compared, in words."""
        return tuple(f"audio, DRR and RT60 by rendering again ({reason})" for reason in self.missing)


def rerender_sample(folder: DatasetFolder, count: int = SAMPLE_SCENES) -> Sample:
    """Render a few scenes of a few groups again, where their engine, rooms and clips are here.

    On the machine and with the libraries of the run, audio and labels must be equal bit for bit. On others the late
    reverberation scatters, so DRR and RT60 are compared within that scatter.
    """
    found = Sample()
    try:
        run, recipe = folder.read_run(), stored_recipe(folder)
        found.same_machine = _same_machine(run, recipe)
        with StoredRun(recipe) as inputs:
            inputs.require_engine(folder.root, run)
            inputs.require_sounds(folder.root, run)
            groups = _group_rows(folder)
            for group_id, stored in _few_groups(folder, count).items():
                _compare_group(inputs, groups[group_id], stored, found)
    except SpatialQAError as error:
        found.missing[str(error)] = None
    return found


def _same_machine(run: RunRecord, recipe: RenderRecipe) -> bool:
    here, there = machine_facts(), run.machine
    same = all(here[name] == there.get(name) for name in ("machine", "system", "instruction_sets"))
    return same and run.fingerprint.get("versions") == library_versions(recipe)


def _compare_group(inputs: StoredRun, row: dict[str, Any], stored: Sequence[_Stored], found: Sample) -> None:
    try:
        simulated = inputs.simulate(row, [scene for _, scene, _ in stored])
    except RoomError as error:
        found.missing[str(error)] = None
        return
    for where, scene, flac in stored:
        try:
            inputs.sounds(scene)
        except ClipError as error:
            found.missing[str(error)] = None
            continue
        problem = _difference(inputs, simulated, scene, flac)
        found.compared += 1
        found.equal += problem is None
        if problem and not found.same_machine:
            problem = _beyond_scatter(simulated, scene)
        if problem:
            found.problems.append(f"{where}: {problem}")


def _beyond_scatter(simulated: SimulatedGroup, scene: Scene) -> str | None:
    """Return in which label a scene differs by more than the engine scatters."""
    for number, source in enumerate(scene.sources):
        drr_db, rt60_s = simulated.drr_db[source.place], simulated.rt60_s[source.place]
        if drr_db is not None and source.drr_db is not None and abs(drr_db - source.drr_db) > DRR_TOLERANCE_DB:
            return f"source {number}: has DRR {drr_db:.1f} dB rendered again, and the row says {source.drr_db:.1f} dB"
        if rt60_s and source.rt60_s and abs(math.log(rt60_s / source.rt60_s)) > math.log1p(RT60_TOLERANCE):
            return f"source {number}: has RT60 {rt60_s:.2f} s rendered again, and the row says {source.rt60_s:.2f} s"
    return None


def _group_rows(folder: DatasetFolder) -> dict[str, dict[str, Any]]:
    return {row["group_id"]: row for path in folder.tables("groups") for row in read_rows(path)}


def _difference(inputs: StoredRun, simulated: SimulatedGroup, scene: Scene, flac: bytes) -> str | None:
    try:
        recipe = inputs.recipe
        again = render_scene(scene, simulated, inputs.sounds(scene), recipe.mix, recipe.audible_dbfs)
    except ClipError as error:
        return str(error)
    if encode_flac(again.audio, inputs.recipe.sample_rate) != flac:
        return "its audio is not the same when it is rendered again"
    if not same_truth(again.scene, scene):
        return "its measured truth is not the same when it is rendered again"
    return None


def _few_groups(folder: DatasetFolder, count: int) -> dict[str, list[_Stored]]:
    """Pick scenes of the first group of each of _SAMPLE_SHARDS shards, spread evenly: few groups to simulate."""
    files = scene_files(folder)
    shards = sorted({k * len(files) // _SAMPLE_SHARDS for k in range(_SAMPLE_SHARDS)})
    chosen: dict[str, list[_Stored]] = {}
    for number in shards:
        first: str | None = None
        for scene, flac in read_audio(files[number]):
            first = first or scene.group_id
            own = chosen.setdefault(first, [])
            if scene.group_id == first and len(own) < -(-count // len(shards)):
                own.append((f"scenes/{files[number].name}: {scene.scene_id}", scene, flac))
    return chosen


def _choose(folder: DatasetFolder, count: int) -> dict[str, list[_Stored]]:
    """Pick scenes evenly over the whole data set, gathered by group, each with its file and id in words."""
    files = scene_files(folder)
    sizes = [pq.ParquetFile(path).metadata.num_rows for path in files]
    total = sum(sizes)
    count = min(count, total)
    wanted = {k * total // count for k in range(count)}
    chosen: dict[str, list[_Stored]] = defaultdict(list)
    first = 0
    for path, size in zip(files, sizes, strict=True):
        if wanted.intersection(range(first, first + size)):
            for number, (scene, flac) in enumerate(read_audio(path), start=first):
                if number in wanted:
                    where = f"scenes/{path.name}: {scene.scene_id}"
                    chosen[scene.group_id].append((where, scene, flac))
        first += size
    return chosen
