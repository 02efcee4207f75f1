"""Nobody stands in closed blocks, under a sky alone or in a valley; and winding decides nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialqa.core.geometry import FloatArray
from spatialqa.errors import PlacementError
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.placement.free_space import survey
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.placement.solids import Solids
from spatialqa.rooms.placement.surface_distance import SurfaceDistance
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.rooms.room import Room
from tests.rooms.shapes import Corner, Triangles, box, quad, room


def wound(low: Corner, high: Corner, outwards: bool = True) -> Triangles:
    """Return a box whose faces all wind outwards, or all inwards."""
    triangles, middle = box(low, high), (np.array(low) + high) / 2
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    away = np.einsum("ij,ij->i", normal, triangles.mean(axis=1) - middle) > 0
    return np.where((away == outwards)[:, None, None], triangles, triangles[:, ::-1])


HOUSE = Path(__file__).parents[3] / "shared" / "data" / "small_house.glb"
HALL = ((-4.0, 0.0, -3.0), (4.0, 3.0, 3.0))
CORE = ((-1.2, 0.0, -1.2), (1.2, 3.0, 1.2))
TABLE = wound((2.0, 0.0, 1.0), (3.0, 0.8, 2.0))


def air(*parts: Triangles) -> FloatArray:
    """Return the points where somebody may be."""
    return Placer(room(*parts))._pool.points


def surveyed(where: Room) -> FloatArray:
    """Return the nodes of the air inside, which depend on no draw."""
    solids = Solids(where.vertices.astype(np.float64), where.faces)
    caster, surface = RayCaster(where.vertices, where.faces), SurfaceDistance(where.vertices, where.faces)
    return survey(caster, surface, solids, *where.bounds, 0.3).points


def inside(points: FloatArray, low: Corner, high: Corner) -> int:
    return int(((points > low) & (points < high)).all(axis=1).sum())


@pytest.mark.parametrize("height", [3.0, 2.4])
@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (-2.8, 0.0, -1.8)])  # in the middle, and in a corner of the hall
def test_nobody_stands_in_a_solid_core(height: float, shift: Corner) -> None:
    low, high = (tuple(float(v) for v in np.add(corner, shift)) for corner in (CORE[0], (1.2, height, 1.2)))
    core = wound(low, high)  # type: ignore[arg-type]
    points = air(wound(*HALL, outwards=False), core)
    assert inside(points, low, high) == 0  # type: ignore[arg-type]
    assert len(points) > 1000
    shaft = air(wound(*HALL, outwards=False), core[:, ::-1])  # wound inwards: a room
    assert inside(shaft, low, high) > 100  # type: ignore[arg-type]


def test_a_core_of_two_overlapping_blocks_is_solid() -> None:
    low, high = (0.6, 0.0, -1.2), (3.0, 3.0, 1.2)
    points = air(wound(*HALL, outwards=False), wound(*CORE), wound(low, high))
    assert inside(points, *CORE) == inside(points, low, high) == 0


def test_thick_walls_are_solid_and_the_rooms_within_are_not() -> None:
    """A building as it is built: its outer skin, and in it the skins of two rooms, 1.8 m apart."""
    skin = wound((0, 0, 0), (12, 3.4, 6))
    left, right = ((0.4, 0.4, 0.4), (4.8, 3.0, 5.6)), ((6.6, 0.4, 0.4), (11.6, 3.0, 5.6))
    points = air(skin, wound(*left, outwards=False), wound(*right, outwards=False))
    assert inside(points, *left) > 100
    assert inside(points, *right) > 100
    assert inside(points, *left) + inside(points, *right) == len(points)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("furnished", [False, True])
def test_a_room_wound_outwards_is_a_room(turned: bool, furnished: bool) -> None:
    """Turned or not, with furniture or none: its air is the same."""
    furniture = [TABLE] if furnished else []
    found = surveyed(room(wound(*HALL, outwards=not turned), *furniture))
    assert len(found) > 1000
    assert (found == surveyed(room(box(*HALL), *furniture))).all()


def test_rooms_wound_outwards_stay_rooms_beside_a_furnished_one() -> None:
    next_door = ((4.2, 0.0, -3.0), (9.0, 3.0, 3.0))
    points = air(wound(*HALL), TABLE, wound(*next_door), wound((5.0, 0.0, -1.0), (7.0, 3.0, 1.0)))
    assert inside(points, *HALL) > 100
    assert inside(points, *next_door) > 100
    assert inside(points, (5.0, 0.0, -1.0), (7.0, 3.0, 1.0)) == 0  # a core in a room wound outwards
    for furniture in (TABLE, np.empty((0, 3, 3))):
        assert inside(air(wound(*HALL), furniture, wound(*next_door)), *next_door) > 100  # empty


def test_a_block_in_the_open_is_no_building() -> None:
    slab, block = wound((-5, -0.2, -5), (5, 0, 5)), wound((1, 0, 1), (3.2, 2.2, 3.2))
    with pytest.raises(PlacementError, match=r"inside of solid blocks.*turn their faces") as caught:
        Placer(room(slab, block))
    assert "\n" not in str(caught.value)
    cupboard = wound((-3, 0, -3), (-2.3, 2.2, -1))  # too narrow to stand in, so no air either
    with pytest.raises(PlacementError, match="solid blocks"):
        Placer(room(slab, block, cupboard))
    Placer(room(slab, block[:, ::-1]))  # wound inwards: a hut


def test_no_enclosed_air_is_an_error_that_says_so() -> None:
    with pytest.raises(PlacementError, match="no surfaces enclose any air"):
        Placer(room(wound((-5, -0.2, -5), (5, 0, 5))))


def sphere(radius: float) -> Triangles:
    import trimesh

    return np.array(trimesh.creation.icosphere(2, radius).triangles, dtype=float)


GROUND = quad((-20, 0, -20), (20, 0, -20), (20, 0, 20), (-20, 0, 20))


@pytest.mark.parametrize("turned", [False, True])
def test_a_sky_is_no_ceiling(turned: bool) -> None:
    sky = sphere(40.0)[:, ::-1] if turned else sphere(40.0)
    with pytest.raises(PlacementError, match="no surfaces enclose any air"):
        Placer(room(GROUND, sky))
    hut = box((-3, 0.02, -2), (3, 2.6, 2))
    placer = Placer(room(GROUND, sky, hut))
    assert inside(placer._pool.points, (-3, 0, -2), (3, 2.6, 2)) == len(placer._pool.points)
    assert [text for text in placer.warnings if "taken for a sky" in text]


def test_a_high_hall_alone_is_no_sky() -> None:
    placer = Placer(room(box((0, 0, 0), (9, 70, 9))))
    assert placer.warnings == ()


def valley(steepness: float) -> Triangles:
    """Return a bowl of 18 m whose rim rises at a slope."""
    x, z = np.meshgrid(np.linspace(-9, 9, 19), np.linspace(-9, 9, 19), indexing="ij")
    y = np.maximum(0.0, np.hypot(x, z) - 3.0) * steepness
    grid = np.stack([x, y, z], axis=-1)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    return np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)]).reshape(-1, 3, 3)


def test_a_valley_is_no_building_and_a_room_without_a_ceiling_is_one() -> None:
    with pytest.raises(PlacementError, match="no surfaces enclose any air"):
        Placer(room(valley(0.8)))
    open_room = Placer(room(box((0, 0, 0), (5, 2.6, 4), without=("ceiling",))))
    (warning,) = open_room.warnings
    assert warning.startswith("100% of the usable air is under the open sky")
    assert Placer(room(box((0, 0, 0), (5, 2.6, 4)))).warnings == ()


def test_a_court_beside_a_room_is_told_by_its_share() -> None:
    court = box((5, 0, 0), (8, 2.6, 4), without=("ceiling",))
    (warning,) = Placer(room(box((0, 0, 0), (5, 2.6, 4)), court)).warnings
    assert 0.2 < int(warning.split("%")[0]) / 100 < 0.5


def test_double_faces_and_open_shells_are_no_matter() -> None:
    core = wound(*CORE)
    for doubtful in (np.concatenate([core, core[:, ::-1]]), core[:-1], box(*CORE)):
        where = room(wound(*HALL, outwards=False), doubtful)
        solids = Solids(where.vertices.astype(np.float64), where.faces)
        assert not solids.matter(np.array([[0.0, 1.5, 0.0]])).any()
    whole = room(wound(*HALL, outwards=False), core)
    found = Solids(whole.vertices.astype(np.float64), whole.faces).matter(np.array([[0.0, 1.5, 0.0], [3.0, 1.5, 0.0]]))
    assert found.tolist() == [True, False]


def test_solids_are_found_far_from_the_origin() -> None:
    near: Room = room(wound(*HALL, outwards=False), wound(*CORE))
    far = replace(near, origin=(447_123.0, 52.0, -4_480_766.0))
    points = Placer(far)._pool.points - far.origin
    assert inside(points, *CORE) == 0
    assert inside(points, *HALL) == len(points)


@pytest.mark.parametrize("name", ["home-000003", "home-063776", "home-423414", "small_house"])
def test_no_air_of_a_home_is_matter(name: str) -> None:
    """Its places are the same, to the byte, as they were when winding did not count."""
    if name == "small_house" and not HOUSE.exists():
        pytest.skip("small_house.glb is not here")
    where = MeshRooms(HOUSE, up="z").load(name) if name == "small_house" else ProceduralRooms().load(name)
    placer = Placer(where)
    assert placer.warnings == ()
    solids = Solids(where.vertices.astype(np.float64), where.faces)
    assert not solids.matter(placer._pool.points).any()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Solids, "matter", lambda _, points: np.zeros(len(points), dtype=np.bool_))
        without = Placer(where)
    assert placer._pool.points.tobytes() == without._pool.points.tobytes()
    assert placer._pool.space.tobytes() == without._pool.space.tobytes()
