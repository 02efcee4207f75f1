import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from spatialqa.core.geometry import Pose, Vec3, rotation_matrix, yaw_quaternion
from spatialqa.errors import RoomError
from spatialqa.rooms.materials import load_materials
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.procedural.home_mesh import air_volume
from spatialqa.rooms.procedural.homes import KINDS, Home, ProceduralRooms, draw_home, kind_of
from spatialqa.rooms.room import Room

IDS = tuple(ProceduralRooms().room_ids(200, seed=11))

# The words of Matterport3D's region labels that a home may use.
REGION_LABELS = {
    "bathroom", "bedroom", "classroom", "dining room", "family room", "garage", "hallway", "kitchen", "laundry room",
    "library", "living room", "lounge", "meeting room", "office",
}  # fmt: skip

GOLDEN = {
    "home-000000": "194d4a74a24ff9e1",  # shoebox
    "home-000042": "468dd2e7d2e80f19",  # shoebox
    "home-121834": "9208830768368ea5",  # apartment
    "home-258230": "09616e3b060aaecf",  # shoebox
    "home-913939": "6ecbb187b7943a41",  # l_shape
    "home-999999": "b4da01a8d803eb79",  # shoebox
}


@pytest.fixture(scope="module")
def homes() -> list[Home]:
    return [draw_home(room_id) for room_id in IDS]


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    rooms = ProceduralRooms()
    return [rooms.load(room_id) for room_id in IDS]


def fingerprint(room: Room) -> str:
    """Hash a room to the millimetre, with the names of its materials: a rounding in the last bit changes nothing."""
    digest = hashlib.sha256(np.round(room.vertices[room.faces] * 1000).astype("<i4").tobytes())
    names = [material.name for material in room.materials]
    digest.update("\n".join(names[k] for k in room.face_material).encode())
    return digest.hexdigest()[:16]


def inside_points(room: Room, count: int, draws: np.random.Generator) -> npt.NDArray[np.float64]:
    points: list[tuple[float, float, float]] = []
    for region in room.regions:
        xs, zs = zip(*region.polygon, strict=True)
        low, high = (min(xs), region.floor_y, min(zs)), (max(xs), region.ceiling_y, max(zs))
        for x, y, z in draws.uniform(low, high, (count, 3)):
            if region.contains((x, y, z)):
                points.append((float(x), float(y), float(z)))
    return np.array(points)


def missed(triangles: npt.NDArray[np.float32], points: npt.NDArray[np.float64], draws: np.random.Generator) -> int:
    caster = RayCaster(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3))
    directions = draws.normal(size=points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return int((caster.faces(points, directions) < 0).sum())


def clear_points(home: Home, room: Room) -> tuple[Vec3, Vec3]:
    """Return two points in the first room, 1 m or more apart and 0.3 m from every piece of furniture."""
    draws = np.random.default_rng(3)
    chosen: list[Vec3] = []
    while len(chosen) < 2:
        for x, y, z in inside_points(replace(room, regions=room.regions[:1]), 10, draws):
            near = any(
                solid.low[0] - 0.3 < x < solid.high[0] + 0.3
                and solid.low[1] - 0.3 < y < solid.high[1] + 0.3
                and solid.low[2] - 0.3 < z < solid.high[2] + 0.3
                for item in home.items
                for solid in item.solids
            )
            far = all(np.hypot(x - other[0], z - other[2]) > 1.0 for other in chosen)
            if not near and far and 0.5 < y < 2.0 and len(chosen) < 2:
                chosen.append((float(x), float(y), float(z)))
    return chosen[0], chosen[1]


# -- ids ---------------------------------------------------------------------------------------------------------------


def test_ids_are_distinct_and_a_longer_list_begins_with_the_shorter() -> None:
    rooms = ProceduralRooms()
    ids = rooms.room_ids(500, seed=3)
    assert len(set(ids)) == 500
    assert rooms.room_ids(20, seed=3) == ids[:20]
    assert not set(rooms.room_ids(20, seed=4)) & set(ids[:20])
    assert rooms.house_of(ids[0]) == ids[0]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_can_be_kept_apart(kind: str) -> None:
    ids = ProceduralRooms([kind]).room_ids(10, seed=0)
    assert len(set(ids)) == 10
    assert {draw_home(room_id).plan.kind for room_id in ids} == {kind}


@pytest.mark.parametrize("room_id", ["home-42", "home-1000000", "home-00004x", "home-000042/0", "", "HOME-000042"])
def test_a_foreign_id_is_refused(room_id: str) -> None:
    with pytest.raises(RoomError, match="ids run from home-000000 to home-999999"):
        ProceduralRooms().load(room_id)


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(RoomError, match="are unlimited: give a count"):
        ProceduralRooms().room_ids(None, seed=0)
    with pytest.raises(RoomError, match="1000001"):
        ProceduralRooms().room_ids(1_000_001, seed=0)
    with pytest.raises(RoomError, match="'castle'.*shoebox"):
        ProceduralRooms(["castle"])
    with pytest.raises(RoomError, match="no kind"):
        ProceduralRooms([])


# -- the same for ever -------------------------------------------------------------------------------------------------


def test_a_home_is_the_same_in_a_fresh_process() -> None:
    ids = IDS[:6]
    code = (
        "import sys; from spatialqa.rooms.procedural.homes import ProceduralRooms as P\n"
        "print(*(P().load(i).sha256 for i in sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code, *ids], capture_output=True, text=True, env=environment)
    rooms = ProceduralRooms(["apartment"])  # what is kept apart has no say in what a home is
    assert done.stdout.split() == [rooms.load(room_id).sha256 for room_id in ids], done.stderr


@pytest.mark.parametrize("room_id", sorted(GOLDEN))
def test_a_home_is_what_it_always_was(room_id: str) -> None:
    assert fingerprint(ProceduralRooms().load(room_id)) == GOLDEN[room_id]


def test_homes_differ(rooms: Sequence[Room]) -> None:
    assert len({room.sha256 for room in rooms}) == len(rooms)


# -- what there is -----------------------------------------------------------------------------------------------------


def test_the_mix_of_kinds(homes: Sequence[Home]) -> None:
    counts = Counter(home.plan.kind for home in homes)
    for kind, share in zip(KINDS, (0.35, 0.2, 0.45), strict=True):
        # Four standard deviations of a binomial.
        assert abs(counts[kind] / len(homes) - share) < 4 * (share * (1 - share) / len(homes)) ** 0.5
    assert all(kind_of(home.room_id) == home.plan.kind for home in homes)
    sizes = Counter(len(home.plan.rooms) for home in homes if home.plan.kind == "apartment")
    assert set(sizes) == {2, 3, 4, 5, 6}
    assert min(sizes.values()) >= 5
    assert all(len(home.plan.rooms) == 1 for home in homes if home.plan.kind != "apartment")


def test_reverberation_is_spread_evenly(homes: Sequence[Home]) -> None:
    expected = np.array([home.expected_rt60_s for home in homes])
    assert expected.min() > 0.15
    assert expected.max() < 1.4
    low, middle, high = np.percentile(expected, [25, 50, 75])
    assert 0.35 < low < 0.55 < middle < 0.85 < high < 1.05
    shares = np.histogram(expected, np.arange(0.2, 1.21, 0.2))[0] / len(expected)
    assert shares.min() > 0.1, shares
    error = np.abs(np.log(expected / np.array([home.wanted_rt60_s for home in homes])))
    assert np.percentile(error, 95) < 0.15


def test_every_face_has_a_material_of_the_table(rooms: Sequence[Room]) -> None:
    used: Counter[str] = Counter()
    for room in rooms:
        assert room.face_material.shape == (len(room.faces),)
        assert set(room.face_material.tolist()) == set(range(len(room.materials)))
        assert all(material == load_materials()[material.name] for material in room.materials)
        used.update(material.name for material in room.materials)
    assert len(used) >= 20
    assert not {"default", "sound_proof", "snow", "water", "grass", "gravel", "soil"} & set(used)


def test_meshes_are_modest_and_ceilings_vary(rooms: Sequence[Room]) -> None:
    assert max(len(room.faces) for room in rooms) < 5000
    assert all(room.vertices.dtype == np.float32 and room.faces.dtype == np.int32 for room in rooms)
    ceilings = np.array([max(region.ceiling_y for region in room.regions) for room in rooms])
    assert ceilings.min() >= 2.3
    assert ceilings.max() <= 3.5
    assert ceilings.std() > 0.2
    assert all(float(room.vertices[:, 1].min()) == 0.0 for room in rooms)


def test_a_home_is_made_quickly() -> None:
    started = time.process_time()
    for room_id in IDS[:40]:
        ProceduralRooms().load(room_id)
    assert (time.process_time() - started) / 40 < 0.05


# -- regions -----------------------------------------------------------------------------------------------------------


def test_regions_are_the_rooms_and_doorways_belong_to_none(homes: Sequence[Home], rooms: Sequence[Room]) -> None:
    for home, room in zip(homes, rooms, strict=True):
        assert {region.label for region in room.regions} <= REGION_LABELS
        assert [region.region_id for region in room.regions] == [
            f"{room.room_id}/{k}" for k in range(len(room.regions))
        ]
        for plan, region in zip(home.plan.rooms, room.regions, strict=True):
            assert (region.level_index, region.floor_y, region.ceiling_y) == (0, 0.0, plan.ceiling_y)
            for tile in plan.tiles:
                x, z = (tile.x0 + tile.x1) / 2, (tile.z0 + tile.z1) / 2
                assert room.region_at((x, 1.5, z)) is region
                assert room.region_at((x, plan.ceiling_y + 0.01, z)) is None
        for doorway in home.plan.doorways:
            x, z = (doorway.passage.x0 + doorway.passage.x1) / 2, (doorway.passage.z0 + doorway.passage.z1) / 2
            assert room.region_at((x, 1.0, z)) is None


def test_regions_do_not_overlap(rooms: Sequence[Room]) -> None:
    draws = np.random.default_rng(0)
    for room in rooms[:60]:
        for x, y, z in inside_points(room, 40, draws):
            assert sum(region.contains((x, y, z)) for region in room.regions) == 1


# -- doors and furniture -----------------------------------------------------------------------------------------------


def test_doorways_join_all_rooms(homes: Sequence[Home]) -> None:
    for home in homes:
        reached = {0}
        for _ in home.plan.rooms:
            for doorway in home.plan.doorways:
                if reached & set(doorway.rooms):
                    reached |= set(doorway.rooms)
        assert reached == set(range(len(home.plan.rooms))), home.room_id
        for doorway in home.plan.doorways:
            # It reaches from wall face to wall face, so a step to either side stands in a room.
            step = (0.02, -0.01) if doorway.along_x else (-0.01, 0.02)
            longer = doorway.passage._replace(
                x0=doorway.passage.x0 - step[0],
                x1=doorway.passage.x1 + step[0],
                z0=doorway.passage.z0 - step[1],
                z1=doorway.passage.z1 + step[1],
            )
            touched = [k for k, plan in enumerate(home.plan.rooms) if any(longer.overlaps(part) for part in plan.parts)]
            assert touched == sorted(doorway.rooms)
            assert doorway.height < min(home.plan.rooms[k].ceiling_y for k in doorway.rooms)


def test_furniture_is_inside_its_room_and_apart(homes: Sequence[Home], rooms: Sequence[Room]) -> None:
    pieces: Counter[str] = Counter()
    for home, room in zip(homes, rooms, strict=True):
        for item in home.items:
            region = room.regions[item.room]
            footprint, (bottom, top) = item.footprint, item.heights
            assert bottom >= 0
            assert top <= region.ceiling_y
            for x, z in footprint.grown(-1e-6).corners:
                assert region.contains((x, (bottom + top) / 2, z)), (home.room_id, item.name)
        pieces.update(item.name for item in home.items)
        things = [item for item in home.items if item.name != "rug"]
        for a, b in combinations(things, 2):
            apart = (
                not a.footprint.overlaps(b.footprint) or a.heights[1] <= b.heights[0] or b.heights[1] <= a.heights[0]
            )
            assert apart, (home.room_id, a.name, b.name)
    assert len(pieces) >= 25, pieces
    assert min(pieces.values()) >= 3, pieces


def test_one_can_walk_from_every_room_to_every_other(homes: Sequence[Home]) -> None:
    cell, body = 0.05, 0.2
    for home in homes:
        xs, zs = zip(*(corner for plan in home.plan.rooms for corner in plan.outline), strict=True)
        origin = np.array([min(xs), min(zs)])
        free = np.zeros(np.ceil((np.array([max(xs), max(zs)]) - origin) / cell).astype(int), dtype=bool)

        def mark(x0: float, z0: float, x1: float, z1: float, value: bool, free: npt.NDArray[np.bool_] = free,
                 origin: npt.NDArray[np.float64] = origin) -> None:  # fmt: skip
            (a, b), (c, d) = ((np.array(p) - origin) / cell for p in ((x0, z0), (x1, z1)))
            free[max(0, round(a)) : max(0, round(c)), max(0, round(b)) : max(0, round(d))] = value

        for plan in home.plan.rooms:
            for part in plan.parts:
                mark(*part.grown(-body), True)
        for doorway in home.plan.doorways:
            x0, z0, x1, z1 = doorway.passage
            if doorway.along_x:
                mark(x0 - 0.3, z0 + body, x1 + 0.3, z1 - body, True)
            else:
                mark(x0 + body, z0 - 0.3, x1 - body, z1 + 0.3, True)
        for item in home.items:
            if item.name != "rug" and item.heights[0] < 1.0:
                mark(*item.footprint.grown(body), False)
        labels, _ = ndimage.label(free)
        sizes = np.bincount(labels.ravel())[1:]
        assert sizes.max() >= 0.93 * sizes.sum(), home.room_id
        main = int(sizes.argmax()) + 1
        for plan in home.plan.rooms:
            part = plan.parts[0]
            (a, b), (c, d) = (np.round((np.array(p) - origin) / cell).astype(int) for p in (part[:2], part[2:]))
            walkable = (labels[a:c, b:d] == main).sum() * cell**2
            assert walkable >= 0.1 * part.area, (home.room_id, plan.label)


# -- closed ------------------------------------------------------------------------------------------------------------


def test_the_mesh_encloses_exactly_the_air(homes: Sequence[Home]) -> None:
    for home in homes:
        air = sum(room.area * room.ceiling_y for room in home.plan.rooms)
        air += sum(doorway.passage.area * doorway.height for doorway in home.plan.doorways)
        for item in home.items:
            for solid in item.solids:
                octagon = 2 * 2**0.5 / 4 if solid.is_round else 1.0
                air -= float(np.prod(np.subtract(solid.high, solid.low))) * octagon
        assert air_volume(home.mesh.triangles) == pytest.approx(air, rel=1e-4)
        # Only of a closed surface is the volume independent of the origin.
        assert air_volume(home.mesh.triangles + np.array([100.0, -30.0, 70.0])) == pytest.approx(air, rel=1e-4)


def test_no_ray_leaves_a_home(rooms: Sequence[Room]) -> None:
    draws = np.random.default_rng(1)
    cast = 0
    for room in rooms[:100]:
        points = np.repeat(inside_points(room, 300, draws), 10, axis=0)
        assert missed(room.vertices[room.faces], points, draws) == 0, room.room_id
        cast += len(points)
    assert cast > 500_000


def test_a_hole_would_be_seen(rooms: Sequence[Room]) -> None:
    room = rooms[0]
    triangles = room.vertices[room.faces]
    draws = np.random.default_rng(2)
    assert missed(triangles[1:], np.repeat(inside_points(room, 300, draws), 10, axis=0), draws) > 0


@pytest.mark.soundspaces
def test_the_engine_finds_homes_closed_and_as_live_as_expected(homes: Sequence[Home], rooms: Sequence[Room]) -> None:
    pytest.importorskip("rlr_audio_propagation")
    from spatialqa.acoustics.rir_metrics import rt60
    from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine

    # What passes through a wall is lost to the engine's count of rays, in a closed room too.
    engine = SoundSpacesEngine(16000, "fast", {"transmission": False})
    # In about one home of 200 the library loses a wall that is parallel to an axis; in a turned world it does not.
    turn = rotation_matrix(yaw_quaternion(17.0))
    ratios = []
    for home, room in list(zip(homes, rooms, strict=True))[:8]:
        (xa, ya, za), (xb, yb, zb) = (turn @ point for point in clear_points(home, room))
        turned = replace(room, vertices=(room.vertices @ turn.T).astype(np.float32))
        with engine.open(turned) as opened:
            measured = rt60(opened.rirs(Pose((xa, ya, za)), [(xb, yb, zb)], 0)[0], 16000, "binaural")
            assert opened.ray_efficiency is not None
            assert opened.ray_efficiency > 0.98, room.room_id
        assert measured is not None, room.room_id
        ratios.append(measured / home.expected_rt60_s)
    assert 0.8 < float(np.median(ratios)) < 1.25, ratios
    assert 0.5 < min(ratios) < max(ratios) < 2.0, ratios
