"""A drawing shows every source, the head and the walls where the scene has them: left is left, up the page is ahead."""

import math
from dataclasses import replace

import numpy as np
import pytest

from spatialqa.core.geometry import Pose, cartesian, multiply, to_world, yaw_quaternion
from spatialqa.core.scene import Scene
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.views.listener_frame import ListenerFrame
from spatialqa.views.scene_drawing import draw_scene, short_label
from tests.fixtures.scenes import heard_at, random_scenes, source, with_angles
from tests.views.drawn import azimuth_deg, drawn
from tests.views.rooms import box

HEAD = (1.0, 1.5, 0.5)


def seen_at(azimuth: float, elevation: float, distance: float, yaw: float) -> Scene:
    """Return a scene with one source at these angles for a level head at HEAD that is turned by `yaw`."""
    x, y, z = cartesian(azimuth, elevation, distance).tolist()
    return with_angles(heard_at(((x, y, z), ["Bark"]), listener=Pose(HEAD, yaw_quaternion(yaw))))


@pytest.mark.parametrize("yaw", [0.0, 90.0, -37.0, 180.0])
@pytest.mark.parametrize(
    ("azimuth", "elevation", "side", "depth", "height"),
    [
        (90.0, 0.0, -1, 0, 0),  # left of the listener is left of the page
        (-90.0, 0.0, 1, 0, 0),
        (0.0, 0.0, 0, 1, 0),  # ahead is up the page
        (180.0, 0.0, 0, -1, 0),
        (45.0, 20.0, -1, 1, 1),
        (-135.0, -30.0, 1, -1, -1),
    ],
)
def test_left_is_left_ahead_is_up_and_above_is_above(
    yaw: float, azimuth: float, elevation: float, side: int, depth: int, height: int
) -> None:
    plan, section = drawn(seen_at(azimuth, elevation, 2.0, yaw))
    across, ahead = plan.sources[0]

    def sign(value: float) -> int:
        return 0 if abs(value) < 0.02 else int(math.copysign(1, value))

    assert (sign(across), sign(ahead)) == (side, depth)
    assert (sign(section.sources[0][0]), sign(section.sources[0][1])) == (side, height)


def test_every_source_of_random_scenes_is_drawn_where_its_row_says() -> None:
    for found in random_scenes(60, 5, source_counts=(1, 2, 3, 5)):
        w, _, y, _ = found.listener_orientation  # the heads are tilted a little; drawings are of level ones
        norm = math.hypot(w, y)
        scene = with_angles(replace(found, listener_orientation=(w / norm, 0.0, y / norm, 0.0)))
        plan, section = drawn(scene)
        assert len(plan.sources) == len(scene.sources)
        for k, own in enumerate(scene.sources):
            across, ahead = plan.sources[k]
            level = own.distance_m * math.cos(math.radians(own.elevation_deg))
            assert math.hypot(across, ahead) == pytest.approx(level, abs=0.02)
            turn = (azimuth_deg(across, ahead) - own.azimuth_deg + 180) % 360 - 180
            assert abs(turn) < math.degrees(0.02 / level) + 0.1
            assert section.sources[k][0] == pytest.approx(across, abs=0.02)
            up = own.distance_m * math.sin(math.radians(own.elevation_deg))
            assert section.sources[k][1] == pytest.approx(up, abs=0.02)


@pytest.mark.parametrize(
    ("yaw", "left", "right", "ahead", "behind"),
    [(0.0, 3.0, 4.0, 2.5, 1.5), (90.0, 1.5, 2.5, 3.0, 4.0), (-90.0, 2.5, 1.5, 4.0, 3.0), (180.0, 4.0, 3.0, 1.5, 2.5)],
)
def test_walls_are_drawn_where_the_listener_has_them(
    yaw: float, left: float, right: float, ahead: float, behind: float
) -> None:
    room = box((-2.0, 0.0, -2.0), (5.0, 2.6, 2.0))  # HEAD is 3 m from the wall at -x, 2.5 m from that at -z
    plan, section = drawn(seen_at(30.0, 0.0, 1.0, yaw), room)
    across, along = zip(*plan.walls, strict=True)
    assert (-min(across), max(across)) == pytest.approx((left, right), abs=0.02)
    assert (-min(along), max(along)) == pytest.approx((behind, ahead), abs=0.02)
    across, up = zip(*section.walls, strict=True)
    assert (-min(across), max(across)) == pytest.approx((left, right), abs=0.02)
    assert (min(up), max(up)) == pytest.approx((-1.5, 1.1), abs=0.02)


def test_a_room_far_from_its_origin_is_drawn_at_its_place() -> None:
    near = box((-2.0, 0.0, -2.0), (5.0, 2.6, 2.0))
    far = replace(near, origin=(1e6, 20.0, -1e6))
    scene = seen_at(30.0, 0.0, 1.0, 40.0)
    x, y, z = scene.listener_position
    moved = replace(scene, listener_position=(x + 1e6, y + 20.0, z - 1e6))
    (a, b, c) = scene.sources[0].position
    moved = replace(moved, sources=(replace(scene.sources[0], position=(a + 1e6, b + 20.0, c - 1e6)),))
    assert np.allclose(sorted(drawn(scene, near)[0].walls), sorted(drawn(moved, far)[0].walls), atol=0.02)


def test_a_nose_straight_up_or_down_leaves_the_top_of_the_head_to_say_what_is_ahead() -> None:
    half = math.sqrt(0.5)
    up, down = (half, half, 0.0, 0.0), (half, -half, 0.0, 0.0)
    for nose, yaw in ((up, 30.0), (down, 30.0)):
        turned = ListenerFrame.of(Pose(HEAD, multiply(yaw_quaternion(yaw), nose)))
        level = ListenerFrame.of(Pose(HEAD, yaw_quaternion(yaw)))
        assert turned.ahead == pytest.approx(level.ahead, abs=1e-6)


def test_a_large_building_is_cropped_to_what_lies_around_the_scene() -> None:
    drawing = draw_scene(seen_at(90.0, 0.0, 2.0, 0.0), box((-60.0, 0.0, -60.0), (60.0, 3.0, 60.0)))
    assert drawing.cropped
    assert drawing.plan.width / drawing.plan.scale < 20
    assert not draw_scene(seen_at(90.0, 0.0, 2.0, 0.0), box((-4.0, 0.0, -4.0), (4.0, 3.0, 4.0))).cropped


def test_without_a_room_positions_are_drawn_alone() -> None:
    drawing = draw_scene(seen_at(90.0, 0.0, 2.0, 0.0), None)
    assert not drawing.outline
    assert drawing.plan.walls == ""
    assert len(drawing.plan.sources) == 1


def test_everything_drawn_lies_inside_and_no_two_labels_lie_on_each_other() -> None:
    room = ProceduralRooms(["apartment"]).load("home-000007")
    x, y, z = room.bounds[0] + (room.bounds[1] - room.bounds[0]) * 0.5
    listener = Pose((float(x), float(y), float(z)), yaw_quaternion(25.0))
    places = [to_world(listener, cartesian(60.0 + 14 * k, 5.0, 1.5)).tolist() for k in range(5)]
    labels = ["Bark", "Doorbell", "Vehicle horn, car horn, honking", "Change ringing (campanology)", "Speech"]
    sources = [source(tuple(p), [label], k) for k, (p, label) in enumerate(zip(places, labels, strict=True))]
    scene = with_angles(replace(heard_at(((0, 0, -1.0), ["Bark"]), listener=listener), sources=tuple(sources)))
    plan = draw_scene(scene, room).plan
    boxes = []
    for own in plan.sources:
        assert 0 < own.x < plan.width
        assert 0 < own.y < plan.height
        length = 6.0 * len(own.label)
        start = own.label_x if own.anchor == "start" else own.label_x - length
        assert 0 <= start < start + length <= plan.width
        boxes.append((start, start + length, own.label_y))
    for k, (a, b, height) in enumerate(boxes):
        for c, d, other in boxes[:k]:
            assert b < c or d < a or abs(height - other) >= 12


def test_a_label_is_shortened_at_a_comma_or_a_parenthesis() -> None:
    assert short_label(["Vehicle horn, car horn, honking"]) == "Vehicle horn"
    assert short_label(["Change ringing (campanology)", "Bell"]) == "Change ringing"
    assert len(short_label(["x" * 80])) <= 24
