import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.core.geometry import (
    Pose,
    Quaternion,
    Vec3,
    cartesian,
    direction,
    direction_words,
    great_circle_deg,
    multiply,
    rotation_matrix,
    spherical,
    to_head,
    to_world,
    yaw_quaternion,
    z_up_to_world,
)
from spatialqa.errors import SpatialQAError

ORIGIN = Pose((0.0, 0.0, 0.0))
coordinate = st.floats(-20, 20, allow_nan=False).map(lambda v: round(v, 6))
point = st.tuples(coordinate, coordinate, coordinate)
angle = st.floats(-720, 720, allow_nan=False)


@st.composite
def orientation(draw: st.DrawFn) -> Quaternion:
    parts = [draw(st.floats(-1, 1)) for _ in range(4)]
    norm = math.sqrt(sum(p * p for p in parts))
    if norm < 0.1:
        return (1.0, 0.0, 0.0, 0.0)
    w, x, y, z = (p / norm for p in parts)
    return (w, x, y, z)


def turn_between(a: float, b: float) -> float:
    return abs((a - b + 180.0) % 360.0 - 180.0)


@pytest.mark.parametrize(
    ("where", "azimuth", "elevation"),
    [
        ((0.0, 0.0, -2.0), 0.0, 0.0),  # ahead
        ((-2.0, 0.0, 0.0), 90.0, 0.0),  # left
        ((2.0, 0.0, 0.0), -90.0, 0.0),  # right
        ((0.0, 0.0, 2.0), 180.0, 0.0),  # behind
        ((-1.0, 0.0, -1.0), 45.0, 0.0),
        ((1.0, 0.0, 1.0), -135.0, 0.0),
        ((0.0, 2.0, 0.0), 0.0, 90.0),
        ((0.0, -2.0, 0.0), 0.0, -90.0),
        ((0.0, 1.0, -1.0), 0.0, 45.0),
        ((-0.0, 0.0, 2.0), 180.0, 0.0),  # -180 is 180
    ],
)
def test_angles_of_known_points(where: Vec3, azimuth: float, elevation: float) -> None:
    found = direction(ORIGIN, where)
    assert found.azimuth_deg == pytest.approx(azimuth)
    assert found.elevation_deg == pytest.approx(elevation)
    assert found.distance_m == pytest.approx(math.dist((0, 0, 0), where))


def test_a_head_turned_left_faces_left() -> None:
    assert to_world(Pose((0.0, 0.0, 0.0), yaw_quaternion(90.0)), (0, 0, -1)) == pytest.approx([-1, 0, 0])


@given(point.filter(lambda p: math.hypot(p[0], p[2]) > 1e-3), st.floats(-180, 180), st.floats(-360, 360))
def test_turning_the_head_lowers_every_azimuth_by_the_yaw(where: Vec3, yaw: float, more: float) -> None:
    before = direction(Pose((0.0, 0.0, 0.0), yaw_quaternion(yaw)), where)
    after = direction(Pose((0.0, 0.0, 0.0), yaw_quaternion(yaw + more)), where)
    assert turn_between(before.azimuth_deg - more, after.azimuth_deg) < 1e-6
    assert after.elevation_deg == pytest.approx(before.elevation_deg, abs=1e-9)


@given(point, orientation(), point)
def test_head_and_world_are_inverse(position: Vec3, turned: Quaternion, where: Vec3) -> None:
    pose = Pose(position, turned)
    assert to_world(pose, to_head(pose, where)) == pytest.approx(where, abs=1e-9)


@given(point.filter(lambda p: math.dist(p, (0, 0, 0)) > 1e-3))
def test_spherical_and_cartesian_are_inverse_and_in_range(where: Vec3) -> None:
    azimuth, elevation, distance = spherical(where)
    assert -180 < azimuth <= 180
    assert -90 <= elevation <= 90
    assert cartesian(azimuth, elevation, distance) == pytest.approx(where, abs=1e-9)


@given(point, orientation(), point.filter(lambda p: math.dist(p, (0, 0, 0)) > 1e-3), orientation(), point)
def test_moving_the_whole_world_changes_no_direction(
    position: Vec3, turned: Quaternion, offset: Vec3, world_turn: Quaternion, shift: Vec3
) -> None:
    source = np.add(position, offset)
    before = to_head(Pose(position, turned), source)
    rotation = rotation_matrix(world_turn)
    moved = Pose(tuple(rotation @ position + shift), multiply(world_turn, turned))
    assert to_head(moved, rotation @ source + shift) == pytest.approx(before, abs=1e-7)


@given(point.filter(lambda p: all(abs(v) > 1e-6 for v in p)))
def test_words_agree_with_the_angles(where: Vec3) -> None:
    found = direction(ORIGIN, where)
    words = direction_words(where)
    assert words.horizontal == ("left" if 0 < found.azimuth_deg < 180 else "right")
    assert words.depth == ("front" if abs(found.azimuth_deg) < 90 else "behind")
    assert words.vertical == ("above" if found.elevation_deg > 0 else "below")


@given(angle, st.floats(-90, 90), angle, st.floats(-90, 90))
def test_great_circle_is_a_distance(a: float, b: float, c: float, d: float) -> None:
    there = great_circle_deg(a, b, c, d)
    assert 0 <= there <= 180 + 1e-9
    assert there == pytest.approx(great_circle_deg(c, d, a, b), abs=1e-6)
    assert great_circle_deg(a, b, a, b) == pytest.approx(0, abs=1e-6)


def test_great_circle_of_known_pairs() -> None:
    assert great_circle_deg(0, 0, 90, 0) == pytest.approx(90)
    assert great_circle_deg(170, 0, -170, 0) == pytest.approx(20)
    assert great_circle_deg(12, 90, -77, 0) == pytest.approx(90)


def test_arrays_give_what_single_points_give() -> None:
    points = np.random.default_rng(0).normal(size=(5, 7, 3))
    azimuth, elevation, distance = spherical(points)
    one = direction(ORIGIN, tuple(points[2, 3]))
    assert (azimuth[2, 3], elevation[2, 3], distance[2, 3]) == pytest.approx(tuple(one))


def test_matterport_up_is_up() -> None:
    assert z_up_to_world([1.0, 2.0, 3.0]).tolist() == [1.0, 3.0, -2.0]


@pytest.mark.parametrize("bad", [(1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 0.0)])
def test_an_orientation_must_be_a_unit_quaternion(bad: Quaternion) -> None:
    with pytest.raises(SpatialQAError, match="unit quaternion|finite"):
        Pose((0.0, 0.0, 0.0), bad)


def test_the_centre_of_the_head_has_no_direction() -> None:
    with pytest.raises(SpatialQAError, match="no direction"):
        direction(Pose((1.0, 2.0, 3.0)), (1.0, 2.0, 3.0))
