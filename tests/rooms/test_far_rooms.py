"""A room in map coordinates is the room it would be at the origin, and its positions stay those of the file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialqa.acoustics.soundspaces.ray_depth import DepthEstimator
from spatialqa.core.geometry import Vec3
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.mesh_rooms import FAR_M, MeshRooms
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.placement.surface_distance import SurfaceDistance
from spatialqa.rooms.room import NO_SHIFT, Region, Room
from tests.rooms.shapes import box

UTM = (447_123.37, 52.4, -4_480_765.81)  # a northing is -z in the world
CORNER, FAR_CORNER = (-3.0, 0.0, -2.0), (3.0, 3.0, 2.0)


def at(path: Path, offset: Vec3) -> Path:
    """Write a room of 6 x 4 x 3 m with its middle at an offset, to the millimetre, as exporters of maps do."""
    lines = []
    for k, triangle in enumerate(box(CORNER, FAR_CORNER)):
        lines += [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in triangle + offset]
        lines.append(f"f {3 * k + 1} {3 * k + 2} {3 * k + 3}")
    path.write_text("\n".join(lines) + "\n")
    return path


def load(path: Path, **options: object) -> Room:
    return MeshRooms(path, **options).load(path.stem)  # type: ignore[arg-type]


def test_a_far_room_has_the_walls_of_a_near_one(tmp_path: Path) -> None:
    near, far = load(at(tmp_path / "near.obj", (0.37, 0.4, 0.19))), load(at(tmp_path / "far.obj", UTM))
    assert near.origin == NO_SHIFT
    assert all(float(value).is_integer() for value in far.origin)
    assert far.vertices.dtype == np.float32
    assert np.sort(np.unique(far.vertices.round(4), axis=0), axis=0) == pytest.approx(
        np.sort(np.unique(near.vertices.round(4), axis=0) + np.array(UTM) - far.origin - (0.37, 0.4, 0.19), axis=0),
        abs=1e-4,
    )
    assert far.size == pytest.approx((6.0, 3.0, 4.0), abs=1e-4)
    low, high = far.bounds
    assert low == pytest.approx(np.add(CORNER, UTM), abs=1e-4)
    assert high == pytest.approx(np.add(FAR_CORNER, UTM), abs=1e-4)


def test_only_what_is_far_is_shifted_and_a_shift_is_part_of_the_hash(tmp_path: Path) -> None:
    rooms = {
        off: load(at(tmp_path / f"at{off:.0f}.obj", (off, 0.0, 0.0))) for off in (0.0, FAR_M, 2 * FAR_M, 4 * FAR_M)
    }
    assert [room.is_shifted for room in rooms.values()] == [False, False, True, True]
    assert rooms[FAR_M].vertices[:, 0].min() == FAR_M - 3.0
    assert (rooms[2 * FAR_M].vertices == rooms[4 * FAR_M].vertices).all()
    assert rooms[2 * FAR_M].sha256 != rooms[4 * FAR_M].sha256
    assert replace(rooms[0.0], origin=NO_SHIFT).sha256 == rooms[0.0].sha256


def test_a_cached_room_keeps_its_origin(tmp_path: Path) -> None:
    path, cache = at(tmp_path / "far.obj", UTM), MeshCache(tmp_path / "cache")
    first, again = load(path, cache=cache), load(path, cache=MeshCache(tmp_path / "cache"))
    assert first.origin == again.origin != NO_SHIFT
    assert first.sha256 == again.sha256


def test_everybody_is_placed_in_the_frame_of_the_file(tmp_path: Path) -> None:
    room = load(at(tmp_path / "far.obj", UTM))
    assert room.is_shifted  # else memory runs out below
    x, _, z = UTM
    half = Region("r", "hall", 0, ((x - 3, z - 2), (x, z - 2), (x, z + 2), (x - 3, z + 2)), 52.0, 56.0)
    placer = Placer(replace(room, regions=(half,)))
    rng = np.random.default_rng(0)
    for _ in range(20):
        listener = placer.listener(rng)
        places = placer.sources(listener, 4, rng)
        for point in (listener.position, *(place.position for place in places)):
            depth = np.minimum(np.subtract(point, np.add(UTM, CORNER)), np.add(UTM, FAR_CORNER) - point)
            assert depth.min() >= 0.3 - 1e-3
        assert all(place.line_of_sight for place in places)
        assert all((place.region_id == "r") == (place.position[0] < x) for place in places)


def test_rays_and_distances_are_those_of_the_same_room_at_the_origin(tmp_path: Path) -> None:
    room = load(at(tmp_path / "far.obj", UTM))
    assert room.is_shifted
    here = replace(room, origin=NO_SHIFT)
    rng = np.random.default_rng(1)
    local = rng.uniform(*here.bounds, (200, 3))
    along = rng.standard_normal((200, 3))
    far = RayCaster(room.vertices, room.faces, room.origin).distances(local + room.origin, along)
    assert far == pytest.approx(RayCaster(here.vertices, here.faces).distances(local, along), rel=1e-5)
    clear = SurfaceDistance(room.vertices, room.faces, room.origin).at_least(local + room.origin, 0.3)
    assert (clear == SurfaceDistance(here.vertices, here.faces).at_least(local, 0.3)).all()
    ears = (0.5, 1.2, 0.3)
    depths = [
        DepthEstimator(replace(here, origin=o)).depth(tuple(np.add(ears, o))) for o in (NO_SHIFT, (512.0, 0.0, 256.0))
    ]
    assert depths[0] == pytest.approx(depths[1], rel=0.1)  # the walks are drawn by the room's hash


def test_stray_vertices_shift_nothing(tmp_path: Path) -> None:
    path = at(tmp_path / "stray.obj", (0.0, 0.0, 0.0))
    path.write_text(path.read_text() + "v 9e9 0 0\nv nan 0 0\n")
    room = load(path)
    assert room.origin == NO_SHIFT
    assert room.size == pytest.approx((6.0, 3.0, 4.0))
