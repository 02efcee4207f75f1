"""Renders stored scenes again from their rows alone and compares the audio bit for bit."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spatialqa.acoustics.registry import engine_for
from spatialqa.clips.prepare import PreparedClips
from spatialqa.clips.registry import open_clips
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.errors import DatasetError
from spatialqa.geometry import Pose
from spatialqa.recipe import RenderRecipe
from spatialqa.recipe_keys import build
from spatialqa.render import encode_flac, render_scene, simulate
from spatialqa.rooms.registry import open_rooms
from spatialqa.scene import ListenerGroup, Place, Scene


def rerender_scenes(root: Path, count: int) -> tuple[int, list[str]]:
    """Render up to `count` scenes again, spread over the data set; returns how many and which differ and how.

    Nothing is drawn: room, group and scene come from the stored rows, clips by their ids.

    Raises:
        DatasetError: the engine here is not the one that rendered the data set.
        SpatialQAError: a room or a clip is not there any more.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    recipe = build(RenderRecipe, run["recipe"], f"{root}/_spatialqa/run.json")
    if recipe.plan_only:
        raise DatasetError(f"{root}: holds planned scenes without audio, which cannot be compared")
    engine = engine_for(recipe)
    if engine.identity.sha256 != run["engine"]["sha256"]:
        raise DatasetError(
            f"{root}: was rendered by {run['engine']['name']} {run['engine']['sha256'][:12]}, and here is "
            f"{engine.identity.name} {engine.identity.sha256[:12]}: bits can only be compared with the same engine"
        )
    rooms, clips = open_rooms(recipe), open_clips(recipe)
    records = {record.clip_id: record for record in clips.records()}
    prepared = PreparedClips(clips, recipe.sample_rate, recipe.clip_rms_dbfs)
    groups = {row["group_id"]: row for path in folder.tables("groups") for row in read_rows(path)}
    compared, problems = 0, []
    for group_id, stored in _choose(folder, count).items():
        row = groups[group_id]
        room = rooms.load(row["room_id"])
        if room.sha256 != row["room_sha256"]:
            problems += [
                f"{scene.scene_id}: room {room.room_id} is not the one it was rendered in" for scene, _ in stored
            ]
            compared += len(stored)
            continue
        with engine.open(room) as acoustic:
            simulated = simulate(_group(row, [scene for scene, _ in stored]), acoustic, recipe.sample_rate)
        for scene, flac in stored:
            compared += 1
            missing = [source.clip_id for source in scene.sources if source.clip_id not in records]
            if missing:
                problems.append(f"{scene.scene_id}: clip {missing[0]} is not in {recipe.clips} any more")
                continue
            sounds = [prepared.get(records[source.clip_id]) for source in scene.sources]
            again = render_scene(scene, simulated, sounds, recipe.mix)
            if encode_flac(again.audio, recipe.sample_rate) != flac:
                problems.append(f"{scene.scene_id}: its audio is not the same when it is rendered again")
            elif again.scene.to_row() != scene.to_row():
                problems.append(f"{scene.scene_id}: its measured truth is not the same when it is rendered again")
    return compared, problems


def _choose(folder: DatasetFolder, count: int) -> dict[str, list[tuple[Scene, bytes]]]:
    """Pick scenes evenly over the whole data set, gathered by group."""
    files = scene_files(folder)
    sizes = [pq.ParquetFile(path).metadata.num_rows for path in files]
    total = sum(sizes)
    count = min(count, total)
    wanted = {k * total // count for k in range(count)}
    chosen: dict[str, list[tuple[Scene, bytes]]] = defaultdict(list)
    first = 0
    for path, size in zip(files, sizes, strict=True):
        if wanted.intersection(range(first, first + size)):
            for number, (scene, flac) in enumerate(read_audio(path), start=first):
                if number in wanted:
                    chosen[scene.group_id].append((scene, flac))
        first += size
    return chosen


def _group(row: dict[str, Any], scenes: list[Scene]) -> ListenerGroup:
    """Rebuild a listener group; what only scenes know of a place (line of sight) comes from them."""
    sight = {source.rir_id: source.line_of_sight for scene in scenes for source in scene.sources}
    x, y, z = row["listener_position"]
    a, b, c, d = row["listener_orientation"]
    places = tuple(
        Place((px, py, pz), 0.0, 0.0, 0.0, sight.get(f"{row['group_id']}/{k}", False))
        for k, (px, py, pz) in enumerate(row["source_positions"])
    )
    return ListenerGroup(
        group_id=row["group_id"],
        split=row["split"],
        room_set=row["room_set"],
        room_id=row["room_id"],
        room_sha256=row["room_sha256"],
        house_id="",
        listener=Pose((x, y, z), (a, b, c, d)),
        places=places,
        seed=row["seed"],
    )
