"""Checks reproducibility: renders stored scenes again and compares the audio bit for bit."""

from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

from spatialqa.core.audio_io import encode_flac
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.errors import ClipError, DatasetError, RoomError
from spatialqa.generation.render import SimulatedGroup, render_scene
from spatialqa.generation.replay import StoredRun, same_truth
from spatialqa.generation.stored_recipe import stored_recipe


def rerender_scenes(root: Path, count: int) -> tuple[int, list[str]]:
    """Render up to `count` scenes again, spread over the data set; returns how many and which differ and how.

    Nothing is drawn: room, group and scene come from the stored rows, clips by their ids.

    Raises:
        DatasetError: the engine here is not the one that rendered the data set.
        SpatialQAError: the folder of the clips cannot be opened, or the engine failed.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    recipe = stored_recipe(folder)
    if recipe.plan_only:
        raise DatasetError(f"{root}: holds planned scenes without audio, which cannot be compared")
    with StoredRun(recipe) as inputs:
        inputs.require_engine(root, run)
        groups = {row["group_id"]: row for path in folder.tables("groups") for row in read_rows(path)}
        compared, problems = 0, []
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


def _choose(folder: DatasetFolder, count: int) -> dict[str, list[tuple[str, Scene, bytes]]]:
    """Pick scenes evenly over the whole data set, gathered by group, each with its file and id in words."""
    files = scene_files(folder)
    sizes = [pq.ParquetFile(path).metadata.num_rows for path in files]
    total = sum(sizes)
    count = min(count, total)
    wanted = {k * total // count for k in range(count)}
    chosen: dict[str, list[tuple[str, Scene, bytes]]] = defaultdict(list)
    first = 0
    for path, size in zip(files, sizes, strict=True):
        if wanted.intersection(range(first, first + size)):
            for number, (scene, flac) in enumerate(read_audio(path), start=first):
                if number in wanted:
                    where = f"scenes/{path.name}: {scene.scene_id}"
                    chosen[scene.group_id].append((where, scene, flac))
        first += size
    return chosen
