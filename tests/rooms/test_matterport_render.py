"""Scenes in Matterport3D houses, from plan to sound, with the real engine: places, regions and materials are heard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spatialqa.acoustics.engines import open_engine
from spatialqa.clips.foley.clips import FoleyClips
from spatialqa.clips.prepare import PreparedClips
from spatialqa.generation.plan import Planner, plan_run
from spatialqa.generation.playback import with_playback
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import RenderedScene, SimulatedGroup, render_scene, simulate
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.scans.matterport import Matterport3DRooms
from tests.fixtures.matterport import TRAIN_SCENE, VALIDATION_SCENE, write_procedural_house

RECIPE = RenderRecipe(
    scenes=8,
    splits="0.5,0.5,0",
    duration_s=2.0,
    sample_rate=16000,
    scenes_per_group=2,
    sources_per_group=3,
    heights="any",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mp3d")
    write_procedural_house(folder)
    write_procedural_house(folder, VALIDATION_SCENE, "home-000012")
    return folder


def render_all(rooms: Matterport3DRooms) -> Iterator[tuple[SimulatedGroup, RenderedScene]]:
    clips = FoleyClips(20)
    plan = plan_run(RECIPE, rooms, clips.records())
    engine = open_engine("soundspaces", RECIPE.sample_rate)
    planner = Planner(RECIPE, "hash", engine.identity, plan.clips)
    prepared = PreparedClips(clips, RECIPE.sample_rate)
    records = {record.clip_id: record for split in plan.clips.values() for record in split}
    placers = {room_id: Placer(rooms.load(room_id), source_regions="same") for room_id in rooms.room_ids(None, 0)}
    for slot in (slot for shard in plan.shards for slot in shard.groups):
        placer = placers[slot.room_id]
        group = planner.group(slot, placer.room, placer)
        with engine.open(placer.room) as opened:
            simulated = simulate(group, opened, RECIPE.sample_rate, RECIPE.channels)
        for scene in planner.scenes(slot, group):
            sounds = [prepared.get(records[source.clip_id]) for source in scene.sources]
            yield simulated, render_scene(with_playback(scene, sounds, RECIPE.fill), simulated, sounds, RECIPE.mix)


def test_scenes_are_placed_in_regions_and_record_them(root: Path) -> None:
    rooms = Matterport3DRooms(root)
    usable = {"bedroom", "living room", "kitchen"}
    labels = set()
    n_scenes = 0
    for _, rendered in render_all(rooms):
        scene, room = rendered.scene, rooms.load(rendered.scene.room_id)
        n_scenes += 1
        assert (scene.room_set, scene.house_id) == ("mp3d", scene.room_id)
        assert scene.room_id == {"train": TRAIN_SCENE, "validation": VALIDATION_SCENE}[scene.split]
        region = room.region_at(scene.listener_position)
        assert region is not None
        assert region.usable
        assert (scene.region_id, scene.region_label, scene.level_index) == (region.region_id, region.label, 0)
        for source in scene.sources:
            own = room.region_at(source.position)
            assert own is region
            assert (source.region_id, source.region_label, source.level_index) == (region.region_id, region.label, 0)
            assert source.rt60_s is None or 0.05 < source.rt60_s < 2.0
        assert rendered.audio.shape == (2, 32000)
        assert np.isfinite(rendered.audio).all()
        assert np.abs(rendered.audio).max() > 1e-4
        labels.add(scene.region_label)
    assert n_scenes == 8
    assert labels <= usable
    assert len(labels) >= 2


def test_the_categories_are_heard(root: Path, tmp_path: Path) -> None:
    """The same places in the same house, once furnished by its annotations and once of bare concrete."""
    (tmp_path / TRAIN_SCENE).mkdir()
    ply = f"{TRAIN_SCENE}/{TRAIN_SCENE}_semantic.ply"
    (tmp_path / ply).write_bytes((root / ply).read_bytes())
    annotated = Matterport3DRooms(root).load(TRAIN_SCENE)
    bare = Matterport3DRooms(tmp_path, default_material="concrete").load(TRAIN_SCENE)
    assert (annotated.vertices == bare.vertices).all()
    draw = np.random.default_rng(0)
    placer = Placer(annotated, source_regions="same")
    listener = placer.listener(draw, 0.0)
    places = [place.position for place in placer.sources(listener, 4, draw)]
    engine = open_engine("soundspaces", 16000, overrides={"indirect_ray_depth": 200})
    energy = []
    for room in (annotated, bare):
        with engine.open(room) as opened:
            rirs = opened.rirs(listener, places, 0)
        late = [rir[:, int(0.08 * 16000) :] for rir in rirs]
        energy.append([float((tail**2).sum()) for tail in late])
    assert np.all(np.array(energy[1]) > 5 * np.array(energy[0]))
