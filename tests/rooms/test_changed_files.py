"""A room whose files change while a run goes on is refused, in whichever process it is opened."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import trimesh

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import RoomError
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.run import prepare_run, run_record
from spatialqa.generation.shard import ShardMaker
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.room import RoomSet
from spatialqa.rooms.scans.matterport import Matterport3DRooms
from tests.fixtures.datasets import PLANNED, render
from tests.fixtures.matterport import TRAIN_SCENE, write_procedural_house


def write_room(path: Path, width_m: float) -> Path:
    trimesh.creation.box((width_m, 2.7, 4)).export(path)
    return path


def as_on_a_worker(rooms: RoomSet) -> RoomSet:
    copy: RoomSet = pickle.loads(pickle.dumps(rooms))
    return copy


def test_a_mesh_that_changes_after_the_run_began_is_refused(tmp_path: Path) -> None:
    path = write_room(tmp_path / "den.glb", 5.0)
    before = path.read_bytes()
    rooms = MeshRooms(path)
    rooms.content_hash()
    sha256 = as_on_a_worker(rooms).load("den").sha256
    write_room(path, 6.0)
    for own in (rooms, as_on_a_worker(rooms)):
        with pytest.raises(RoomError, match="room den: its files have changed since the run began"):
            own.load("den")
    assert MeshRooms(path).load("den").sha256 != sha256
    path.write_bytes(before)
    assert rooms.load("den").sha256 == sha256


def test_a_scan_that_changes_after_the_run_began_is_refused(tmp_path: Path) -> None:
    folder = write_procedural_house(tmp_path / "mp3d")
    rooms = Matterport3DRooms(tmp_path / "mp3d", cache=tmp_path / "cache")
    rooms.content_hash()
    as_on_a_worker(rooms).load(TRAIN_SCENE)
    house = folder / f"{TRAIN_SCENE}.house"
    house.write_text(house.read_text() + "\n")
    with pytest.raises(RoomError, match=f"room {TRAIN_SCENE}: its files have changed"):
        as_on_a_worker(rooms).load(TRAIN_SCENE)


def test_a_room_that_changes_fails_its_shard_and_costs_nothing(tmp_path: Path) -> None:
    path = write_room(tmp_path / "den.glb", 5.0)
    recipe = replace(PLANNED, rooms=f"mesh:{path}", home_kinds=[], scenes=8, splits="1,0,0", cache=str(tmp_path / "c"))
    run, plan = prepare_run(recipe, tmp_path / "data")
    DatasetFolder(run.root).claim(run_record(run, plan))
    before = path.read_bytes()
    write_room(path, 6.0)
    with pytest.raises(RoomError, match="put them back and run the command again"):
        ShardMaker(run, engine_for(recipe)).make(plan.shards[0])
    assert not DatasetFolder(run.root).shards()
    path.write_bytes(before)
    assert render(recipe, run.root).scenes == 8


def test_the_shift_of_a_room_far_from_the_origin_is_in_the_record_of_its_shard(tmp_path: Path) -> None:
    room = trimesh.creation.box((5, 2.7, 4))
    room.apply_translation((447_000, 0, 4_480_000))
    path = tmp_path / "far.obj"
    path.write_text(trimesh.exchange.obj.export_obj(room, digits=3))
    near = write_room(tmp_path / "near.glb", 5.0)
    for file, shifted in ((path, True), (near, False)):
        recipe = replace(
            PLANNED, rooms=f"mesh:{file}", home_kinds=[], scenes=4, splits="1,0,0", cache=str(tmp_path / "c")
        )
        render(recipe, tmp_path / file.stem)
        (shard,) = DatasetFolder(tmp_path / file.stem).shards()
        origin = shard.room_origins_m
        assert origin == ({"far": pytest.approx((447_000, 0, 4_480_000), abs=1)} if shifted else None)
