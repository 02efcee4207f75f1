"""Placement keeps its promises: on buildings whose answers are known, and on a real furnished house."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trimesh.triangles import closest_point

from spatialqa.core.geometry import FloatArray, Pose, direction
from spatialqa.core.scene import Place
from spatialqa.errors import PlacementError
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.placement.cells import even_shares
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.placement.surface_distance import SurfaceDistance
from spatialqa.rooms.room import Region, Room
from tests.rooms.shapes import Triangles, box, quad, room, wall_with_door

HOUSE = Path(__file__).parents[3] / "shared" / "data" / "small_house.glb"
needs_house = pytest.mark.skipif(not HOUSE.exists(), reason="small_house.glb is not here")
Groups = list[tuple[Pose, tuple[Place, ...]]]


def groups(placer: Placer, n: int, count: int = 8, seed: int = 0) -> Groups:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        listener = placer.listener(rng)
        found.append((listener, placer.sources(listener, count, rng)))
    return found


def positions(found: Groups) -> tuple[FloatArray, FloatArray]:
    """Return the positions of listeners (n, 3) and of sources (n, count, 3)."""
    return np.array([pose.position for pose, _ in found]), np.array([[p.position for p in ps] for _, ps in found])


def octant_shares(places: Iterable[Place]) -> FloatArray:
    words = np.array([[p.azimuth_deg > 0, abs(p.azimuth_deg) < 90, p.elevation_deg > 0] for p in places])
    return np.bincount(words @ [4, 2, 1], minlength=8) / len(words)


def surface_distance(points: FloatArray, where: Room) -> FloatArray:
    """Measure the distance to the nearest of all triangles, by trimesh and without any search structure."""
    triangles = where.vertices[where.faces].astype(np.float64)
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    result = []
    for p in points:
        near = triangles[((low - p < 1.0) & (p - high < 1.0)).all(axis=1)]
        gaps = closest_point(near, np.broadcast_to(p, (len(near), 3))) - p
        result.append(np.linalg.norm(gaps, axis=1).min() if len(near) else 1.0)
    return np.array(result)


def inside_box(points: FloatArray, low: tuple[float, ...], high: tuple[float, ...]) -> FloatArray:
    """Return how deep each point lies in a box, metres; negative outside."""
    depth: FloatArray = np.minimum(points - np.array(low), np.array(high) - points).min(axis=-1)
    return depth


def least_gap(points: FloatArray) -> float:
    return float(np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(len(points), 1)].min())


HALL = (box((0, 0, 0), (8, 2.8, 6)),)
WARDROBE = ((1.0, 0.0, 2.0), (2.6, 2.1, 2.75))
TABLE = ((4.0, 0.0, 2.0), (6.4, 0.75, 3.6))


@cache
def furnished() -> Placer:
    return Placer(room(*HALL, box(*WARDROBE), box(*TABLE)))


@cache
def furnished_groups() -> Groups:
    return groups(furnished(), 150)


@cache
def house() -> tuple[Room, Placer]:
    where = MeshRooms(HOUSE, up="z").load(HOUSE.stem)
    return where, Placer(where)


# Clearance


@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0.01, 4.0), clearance=st.floats(0.0, 1.0))
@settings(max_examples=40, deadline=None)
def test_clearance_is_that_of_trimesh_for_any_triangles(seed: int, size: float, clearance: float) -> None:
    rng = np.random.default_rng(seed)
    soup = rng.uniform(0, 5, (12, 1, 3)) + rng.uniform(-size, size, (12, 3, 3))
    where = room(soup)
    points = rng.uniform(-1, 6, (60, 3))
    triangles = where.vertices[where.faces].astype(np.float64)
    truth = np.array(
        [np.linalg.norm(closest_point(triangles, np.broadcast_to(p, (12, 3))) - p, axis=1).min() for p in points]
    )
    sure = np.abs(truth - clearance) > 1e-9
    answer = SurfaceDistance(where.vertices, where.faces).at_least(points, clearance)
    assert (answer == (truth >= clearance))[sure].all()


def test_clearance_in_a_box_is_the_distance_to_its_nearest_side() -> None:
    where = room(box((0, 0, 0), (5, 3, 4)))
    points = np.random.default_rng(1).uniform(0, 1, (4000, 3)) * [5, 3, 4]
    truth = inside_box(points, (0, 0, 0), (5, 3, 4))
    surface = SurfaceDistance(where.vertices, where.faces)
    for clearance in (0.05, 0.3, 1.0):
        assert (surface.at_least(points, clearance) == (truth >= clearance)).all()


# Buildings with known answers


def test_a_furnished_box_keeps_every_promise() -> None:
    found = furnished_groups()
    ears, sources = positions(found)
    both = np.concatenate([ears, sources.reshape(-1, 3)])
    assert inside_box(both, (0, 0, 0), (8, 2.8, 6)).min() >= 0.3
    for solid in (WARDROBE, TABLE):
        outside = np.maximum(np.maximum(np.array(solid[0]) - both, both - np.array(solid[1])), 0)
        assert np.linalg.norm(outside, axis=1).min() >= 0.3 - 1e-6
    assert ears[:, 1].min() >= 1.1
    assert ears[:, 1].max() <= 1.8
    assert sources[..., 1].min() >= 0.3  # the clearance over the floor
    assert sources[..., 1].max() <= 2.2
    reach = np.linalg.norm(sources - ears[:, None], axis=-1)
    assert reach.min() >= 0.5
    assert reach.max() <= 10.0
    for group in sources:
        assert least_gap(group) >= 0.3


def test_many_sources_keep_apart() -> None:
    placer = Placer(room(box((0, 0, 0), (3.5, 2.4, 3))))
    _, sources = positions(groups(placer, 5, count=40))
    assert min(least_gap(group) for group in sources) >= 0.3


def test_a_place_says_what_geometry_says() -> None:
    for listener, places in groups(furnished(), 10):
        for place in places:
            truth = direction(listener, place.position)
            assert (place.azimuth_deg, place.elevation_deg, place.distance_m) == truth


def test_no_listener_stands_over_furniture_but_sounds_may_be_on_it() -> None:
    ears, sources = positions(furnished_groups())
    for points, expected in ((ears, False), (sources.reshape(-1, 3), True)):
        over = (points[:, 0] > 4) & (points[:, 0] < 6.4) & (points[:, 2] > 2) & (points[:, 2] < 3.6)
        assert over.any() == expected


def test_heights_over_a_table_count_from_the_floor() -> None:
    _, sources = positions(furnished_groups())
    p = sources.reshape(-1, 3)
    over = p[(p[:, 0] > 4) & (p[:, 0] < 6.4) & (p[:, 2] > 2) & (p[:, 2] < 3.6)]
    assert over[:, 1].min() >= 1.05  # 0.3 m over the table
    assert over[:, 1].max() <= 2.2


def test_the_inside_of_a_big_wardrobe_is_no_room() -> None:
    """0.75 m deep: its inside has points 0.3 m clear of everything, and every ray from there meets a surface."""
    assert not (inside_box(furnished()._pool.points, *WARDROBE) > 0).any()


def test_nothing_is_placed_outdoors() -> None:
    """A house on a wide ground, with an open window: over the ground beside it is out, and so is its flat roof."""
    ground = quad((-15, 0, -15), (15, 0, -15), (15, 0, 15), (-15, 0, 15))
    shell = box((-3, 0.0, -2), (3, 2.6, 2), without=("right",))
    window = wall_with_door(3.0, (-2, 2), (-0.6, 0.6), 2.0, 2.6)
    sill = quad((3, 0, -0.6), (3, 0, 0.6), (3, 0.9, 0.6), (3, 0.9, -0.6))
    ears, sources = positions(groups(Placer(room(ground, shell, window, sill)), 60))
    assert inside_box(ears, (-3, 0, -2), (3, 2.6, 2)).min() >= 0.3 - 1e-6
    assert inside_box(sources, (-3, 0, -2), (3, 2.6, 2)).min() >= 0.3 - 1e-6


def test_a_room_without_a_ceiling_is_still_a_room() -> None:
    ears, sources = positions(groups(Placer(room(box((0, 0, 0), (5, 2.6, 4), without=("ceiling",)))), 40))
    assert (inside_box(np.concatenate([ears, sources.reshape(-1, 3)])[:, [0, 2]], (0, 0), (5, 4)) >= 0.3).all()
    assert sources[..., 1].max() <= 2.2


def doorway() -> Placer:
    return Placer(room(box((-4, 0, -3), (4, 2.7, 3)), wall_with_door(0.0, (-3, 3), (-0.5, 0.5), 2.1, 2.7)))


def test_line_of_sight_through_a_doorway_is_that_of_geometry() -> None:
    seen_through, hidden = 0, 0
    for listener, places in groups(doorway(), 80):
        a = np.array(listener.position)
        for place in places:
            b = np.array(place.position)
            if a[0] * b[0] > 0:
                assert place.line_of_sight
                continue
            y, z = (a + (b - a) * (a[0] / (a[0] - b[0])))[1:]
            through = bool(abs(z) < 0.5 and y < 2.1)
            if min(abs(abs(z) - 0.5), abs(y - 2.1)) > 1e-4:
                assert place.line_of_sight == through
            seen_through += through
            hidden += not through
    assert seen_through > 10
    assert hidden > 50


def test_a_closed_door_parts_the_rooms() -> None:
    """A sound in a sealed room next door could not be heard."""
    wall = quad((0, 0, -3), (0, 0, 3), (0, 2.7, 3), (0, 2.7, -3))
    ears, sources = positions(groups(Placer(room(box((-4, 0, -3), (4, 2.7, 3)), wall)), 40))
    assert (np.sign(ears[:, None, 0]) == np.sign(sources[..., 0])).all()
    assert {-1.0, 1.0} == set(np.sign(ears[:, 0]))


def test_each_storey_has_its_own_floor() -> None:
    """Two storeys joined by a shaft without stairs, a 0.3 m slab between them."""
    slab = [box((0, 2.7, 0), (9, 3.0, 6)), box((10.5, 2.7, 0), (12, 3.0, 6)), box((9, 2.7, 1.5), (10.5, 3.0, 6))]
    ears, sources = positions(groups(Placer(room(box((0, 0, 0), (12, 5.7, 6)), *slab)), 120))
    upstairs = ears[:, 1] > 2.9
    assert 0.3 < upstairs.mean() < 0.7
    over_floor = ears[:, 1] - 3.0 * upstairs
    assert over_floor.min() >= 1.1 - 1e-6
    assert over_floor.max() <= 1.8 + 1e-6
    heights = sources[..., 1].ravel()
    assert ((heights <= 2.2) | (heights >= 3.3 - 1e-6)).all()
    assert heights.max() <= 5.2 + 1e-6
    other = (sources[..., 1] > 2.9) != upstairs[:, None]
    assert other.any()


def test_a_wide_platform_is_a_floor() -> None:
    ears, _ = positions(groups(Placer(room(box((0, 0, 0), (12, 3.4, 6)), box((0, 0, 0), (5.5, 0.5, 6)))), 80))
    on_it = ears[:, 0] < 5.0
    assert on_it.any()
    assert ears[on_it, 1].min() >= 1.6 - 1e-6
    assert ears[on_it, 1].max() > 1.8


def test_regions_are_named() -> None:
    plain = room(*HALL)
    region = Region("r1", "kitchen", 0, ((0, 0), (4, 0), (4, 6), (0, 6)), 0.0, 2.8)
    placer = Placer(Room(**{**vars(plain), "regions": (region,)}))
    for _, places in groups(placer, 10):
        for place in places:
            assert place.region_label == ("kitchen" if place.position[0] < 4 else None)
            assert place.level_index == (0 if place.position[0] < 4 else None)


# Evenness


def three_rooms_in_a_row(usable: tuple[bool, bool, bool] = (True, True, True)) -> Room:
    """Return rooms a, b, c of 4 x 5 m; doors lead from a to b and from b to c."""
    triangles = np.concatenate(
        [
            box((0, 0, 0), (12, 2.8, 5)),
            wall_with_door(3.95, (0, 5), (2, 3), 2.1, 2.8),
            wall_with_door(4.05, (0, 5), (2, 3), 2.1, 2.8),
            wall_with_door(8.0, (0, 5), (2, 3), 2.1, 2.8),
        ]
    )
    lows, highs = (0.0, 4.05, 8.0), (3.95, 8.0, 12.0)  # nothing is known of the air of the first doorway
    regions = tuple(
        Region(name, name, 0, ((x0, 0.0), (x1, 0.0), (x1, 5.0), (x0, 5.0)), 0.0, 2.8, good)
        for name, x0, x1, good in zip("abc", lows, highs, usable, strict=True)
    )
    return replace(room(triangles), regions=regions)


@pytest.mark.parametrize(
    ("source_regions", "heard"),
    [
        ("same", {("a", "a"), ("b", "b"), ("c", "c")}),
        ("connected", {("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("b", "c"), ("c", "b"), ("c", "c")}),
        ("any", {(x, y) for x in "abc" for y in "abc"}),
    ],
)
def test_sources_keep_to_the_regions_asked_for(source_regions: str, heard: set[tuple[str, str]]) -> None:
    where = three_rooms_in_a_row()
    found = set()
    for listener, places in groups(Placer(where, source_regions=source_regions), 60):
        here = where.region_at(listener.position)
        found |= {(here.region_id if here else None, place.region_id) for place in places}
    assert {pair for pair in found if None not in pair} == heard
    if source_regions != "any":  # else the doorway, which is in no region, is as good as any place
        assert not any(None in pair for pair in found)


def test_nobody_is_placed_in_a_region_that_is_not_usable() -> None:
    where = three_rooms_in_a_row((True, False, True))
    for source_regions in ("any", "same"):
        for listener, places in groups(Placer(where, source_regions=source_regions), 40):
            for place in (listener.position, *(place.position for place in places)):
                region = where.region_at(place)
                assert region is None or region.region_id != "b"
    with pytest.raises(PlacementError, match="all of its air is outdoors"):
        Placer(three_rooms_in_a_row((False, False, False)), source_regions="same")


def test_listeners_keep_to_walkable_points() -> None:
    where = room(box((0, 0, 0), (8, 2.8, 6)), box((5, 0, 0), (8, 0.7, 6)))  # on the right a wide platform
    x, z = np.meshgrid(np.arange(0.5, 3.0, 0.2), np.arange(0.5, 5.5, 0.2))
    walkable = np.stack([x.ravel(), np.full(x.size, 0.05), z.ravel()], axis=1)
    free, _ = positions(groups(Placer(where), 40))
    kept, _ = positions(groups(Placer(where, walkable=walkable), 40))
    assert free[:, 0].max() > 5.5
    assert kept[:, 0].max() < 3.2
    with pytest.raises(PlacementError, match="walkable"):
        Placer(where, walkable=np.add(walkable, (0.0, 1.0, 0.0)))


def test_regions_must_be_known_to_keep_sources_in_them() -> None:
    with pytest.raises(PlacementError, match="no known regions"):
        Placer(room(box((0, 0, 0), (5, 2.8, 4))), source_regions="same")


def test_octants_and_distances_are_even_in_a_large_hall() -> None:
    placer = Placer(room(box((0, 0, 0), (24, 5, 24))))
    places = [p for _, ps in groups(placer, 250) for p in ps]
    assert np.abs(octant_shares(places) - 0.125).max() < 0.03
    counts = np.histogram([p.distance_m for p in places], np.linspace(0.5, 10, 11))[0] / len(places)
    assert np.abs(counts - 0.1).max() < 0.03


def test_octants_are_even_in_a_usual_room_too() -> None:
    """The space above the ears is half as high as the space below: places drawn by volume would lie below."""
    assert np.abs(octant_shares(p for _, ps in furnished_groups() for p in ps) - 0.125).max() < 0.035


def test_steep_directions_are_as_usual_as_level_ones_where_the_room_allows_both() -> None:
    assert np.mean([abs(p.elevation_deg) > 20 for _, ps in furnished_groups() for p in ps]) > 0.15
    near = Placer(room(box((0, 0, 0), (6, 2.8, 6))), max_distance_m=1.0, body_radius_m=0.0)
    tilts = [p.elevation_deg for _, ps in groups(near, 300) for p in ps]
    counts = np.histogram(tilts, [-60, -40, -20, 0])[0]
    assert counts.min() > 0.85 * counts.max()  # by volume: 0.65


def beside_planes(places: Iterable[Place]) -> FloatArray:
    """Return the density of azimuths by their angle from the nearest plane of the head, in steps of 9 degrees."""
    from_plane = [abs((p.azimuth_deg + 45.0) % 90.0 - 45.0) for p in places]
    counts = np.histogram(from_plane, np.arange(0, 46, 9))[0]
    density: FloatArray = counts / counts.mean()
    return density


def test_azimuths_are_even_and_so_are_distances_within_each_half_metre() -> None:
    """In a usual room, most of whose listeners have a wall close by."""
    where = room(*HALL, box(*WARDROBE), box(*TABLE))
    places = [p for _, ps in groups(Placer(where), 400) for p in ps]
    assert np.abs(beside_planes(places) - 1.0).max() < 0.13  # 3 standard deviations
    within = np.array([p.distance_m % 0.5 for p in places if p.distance_m < 3.5])
    counts = np.histogram(within, 0.1 * np.arange(6))[0]
    assert np.abs(counts / counts.mean() - 1.0).max() < 0.13
    bunched = [p for _, ps in groups(Placer(where, directions="octants"), 150) for p in ps]
    assert beside_planes(bunched)[0] > 1.3


def test_nothing_is_in_the_body_of_the_listener() -> None:
    def in_body(placer: Placer) -> float:
        ears, sources = positions(groups(placer, 150))
        offset = sources - ears[:, None]
        return float(((np.hypot(offset[..., 0], offset[..., 2]) < 0.3) & (offset[..., 1] < 0.1)).mean())

    assert in_body(furnished()) == 0.0
    assert in_body(Placer(furnished().room, body_radius_m=0.0)) > 0.005
    low = positions(groups(Placer(furnished().room, body_radius_m=1.0), 150))
    over = low[1] - low[0][:, None]
    assert np.hypot(over[..., 0], over[..., 2])[over[..., 1] <= 0.1].min() >= 1.0
    assert np.hypot(over[..., 0], over[..., 2]).min() < 1.0  # what hangs over the head is not in the body


def test_yaw_is_any_or_the_one_asked_for() -> None:
    rng = np.random.default_rng(0)
    turns = np.array([direction(furnished().listener(rng), (100.0, 1.5, 3.0)).azimuth_deg for _ in range(400)])
    assert np.abs(np.histogram(turns, 4, (-180, 180))[0] - 100).max() < 40
    assert furnished().listener(rng, 90.0).orientation == pytest.approx((0.5**0.5, 0, 0.5**0.5, 0))


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=8, max_size=8))
def test_even_shares_are_shares(cells: list[list[bool]]) -> None:
    feasible = np.array(cells)
    shares = even_shares(feasible)
    assert (shares[~feasible] == 0).all()
    if feasible.any():
        rows = feasible.any(axis=1)
        assert shares[rows].sum(axis=1) == pytest.approx(np.full(rows.sum(), 1 / rows.sum()))


def test_distances_that_few_octants_offer_are_drawn_as_often() -> None:
    feasible = np.ones((8, 2), dtype=np.bool_)
    feasible[5:, 1] = False
    assert even_shares(feasible).sum(axis=0) == pytest.approx([0.5, 0.5], abs=1e-3)


# Determinism and errors


_PRINT_PLACES = """
import numpy as np
from spatialqa.rooms.placement.placer import Placer
from tests.rooms.shapes import box, room
placer = Placer(room(box((0, 0, 0), (5, 2.5, 4)), box((1, 0, 1), (2, 0.8, 2))))
rng = np.random.default_rng(5)
listener = placer.listener(rng)
print(listener, placer.sources(listener, 6, rng))
"""


def test_places_are_the_same_in_every_process() -> None:
    outputs = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _PRINT_PLACES],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert "Place(" in outputs.pop()


@pytest.mark.parametrize(
    ("parts", "clearance", "text"),
    [
        (
            (box((0, 0, 0), (1.2, 2.4, 0.9)),),
            0.5,
            r"0 of [\d,]+ trial points lie at least 0.5 m .* 1.2 x 0.9 m and 2.4 m high",
        ),
        ((quad((0, 0, 0), (9, 0, 0), (9, 0, 9), (0, 0, 9)),), 0.3, r"0 of [\d,]+ trial points lie indoors"),
        ((box((0, 0, 0), (4, 1.0, 4)),), 0.3, "where a person could stand"),
    ],
)
def test_a_room_without_a_place_says_why(parts: tuple[Triangles, ...], clearance: float, text: str) -> None:
    with pytest.raises(PlacementError, match=text) as caught:
        Placer(room(*parts, room_id="broom-closet"), clearance)
    assert "broom-closet" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_sources_for_a_small_room_is_an_error() -> None:
    placer = Placer(room(box((0, 0, 0), (1.6, 2.4, 1.6)), room_id="cabin"))
    rng = np.random.default_rng(0)
    with pytest.raises(PlacementError, match=r"'cabin' has only \d+ of 200 source places for a listener at"):
        placer.sources(placer.listener(rng), 200, rng)


# A real house


@needs_house
def test_small_house_keeps_every_promise() -> None:
    where, placer = house()
    found = groups(placer, 100)
    ears, sources = positions(found)
    flat = sources.reshape(-1, 3)
    assert surface_distance(np.concatenate([ears, flat[::8]]), where).min() >= 0.3 - 1e-7
    assert ears[:, 1].min() >= 1.1 - 0.05  # a carpet is a floor too
    assert ears[:, 1].max() <= 1.8 + 0.05
    assert flat[:, 1].min() >= 0.2
    assert flat[:, 1].max() <= 2.2 + 0.05
    reach = np.linalg.norm(sources - ears[:, None], axis=-1)
    assert reach.min() >= 0.5
    assert reach.max() <= 10.0
    # Its outline: a bar of 19 x 8.7 m with a bay at its back.
    both = np.concatenate([ears, flat])
    in_bar = (np.abs(both[:, 0]) < 9.5) & (both[:, 2] > -3.3) & (both[:, 2] < 5.6)
    in_bay = (both[:, 0] > -2.4) & (both[:, 0] < 4.7) & (both[:, 2] <= -3.3) & (both[:, 2] > -5.7)
    assert (in_bar | in_bay).all()
    assert in_bay.any()
    seen = np.array([p.line_of_sight for _, places in found for p in places])
    assert 0.4 < seen.mean() < 0.95


@needs_house
def test_small_house_is_used_evenly() -> None:
    _, placer = house()
    places = [p for _, ps in groups(placer, 250, seed=1) for p in ps]
    assert np.abs(octant_shares(places) - 0.125).max() < 0.03
    counts = np.histogram([p.distance_m for p in places], np.linspace(0.5, 10, 11))[0] / len(places)
    assert np.abs(counts - 0.1).max() < 0.05


@needs_house
def test_placement_is_not_what_one_waits_for() -> None:
    where, placer = house()
    start = time.process_time()
    Placer(where)
    set_up = time.process_time() - start
    start = time.process_time()
    groups(placer, 50)
    per_source = (time.process_time() - start) / 400
    assert set_up < 4.0  # about 1.4 s on a free core
    assert per_source < 0.006  # about 0.001 s
