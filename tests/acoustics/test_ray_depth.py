"""How many reflections a room needs, against what its absorption says."""

import dataclasses
import math

import numpy as np
import pytest

from spatialqa.acoustics.soundspaces import ray_depth
from spatialqa.acoustics.soundspaces.ray_depth import MAX_DEPTH, MIN_DEPTH, DepthEstimator, at_frequencies
from tests.acoustics.boxes import CEILING, FLOOR, box_mesh, material, room, shoebox, without

PLACE = (2.0, 1.5, 2.0)


@pytest.fixture(params=["Embree", "the tree"])
def rays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Embree":
        pytest.importorskip("embreex")
    else:
        monkeypatch.setattr(ray_depth, "has_embree", lambda: False)


@pytest.mark.usefixtures("rays")
@pytest.mark.parametrize("absorption", [0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_uniform_room_loses_60_db_after_the_reflections_its_absorption_says(absorption: float, scale: float) -> None:
    size = (6 * scale, 3 * scale, 5 * scale)
    reflections = 6 * math.log(10) / -math.log(1 - absorption)
    depth = DepthEstimator(shoebox(size, absorption)).depth(PLACE)
    assert depth == pytest.approx(max(MIN_DEPTH, 1.15 * reflections), rel=0.05, abs=2)


def test_the_depth_is_bounded() -> None:
    assert DepthEstimator(shoebox((6.0, 3.0, 5.0), 0.95)).depth(PLACE) == MIN_DEPTH
    assert DepthEstimator(shoebox((6.0, 3.0, 5.0), 0.0)).depth(PLACE) == MAX_DEPTH


@pytest.mark.usefixtures("rays")
def test_an_open_room_needs_fewer_reflections() -> None:
    vertices, faces = box_mesh((0.0, 0.0, 0.0), (6.0, 3.0, 5.0))
    roofless = room(vertices, without(faces, CEILING), material(0.05))
    assert DepthEstimator(roofless).depth(PLACE) < 0.5 * DepthEstimator(shoebox((6.0, 3.0, 5.0), 0.05)).depth(PLACE)
    outside = room(vertices, faces[list(FLOOR)], material(0.05))
    assert DepthEstimator(outside).depth((2.0, 9.0, 2.0)) == MIN_DEPTH


def test_a_soft_floor_and_ceiling_shorten_a_hard_room() -> None:
    vertices, faces = box_mesh((0.0, 0.0, 0.0), (6.0, 3.0, 5.0))
    soft = np.isin(np.arange(12), FLOOR + CEILING).astype(np.int32)
    mixed = room(vertices, faces, material(0.05), material(0.6), face_material=soft)
    depth = DepthEstimator(mixed).depth(PLACE)
    assert depth < 0.6 * DepthEstimator(shoebox((6.0, 3.0, 5.0), 0.05)).depth(PLACE)
    assert depth > 1.5 * DepthEstimator(shoebox((6.0, 3.0, 5.0), 0.6)).depth(PLACE)


def test_the_answer_repeats_and_does_not_depend_on_the_origin() -> None:
    near = shoebox((6.0, 3.0, 5.0), 0.15)
    far = dataclasses.replace(near, vertices=near.vertices + np.float32(4096))
    depth = DepthEstimator(near).depth(PLACE)
    assert DepthEstimator(near).depth(PLACE) == depth
    x, y, z = (value + 4096 for value in PLACE)
    assert DepthEstimator(far).depth((x, y, z)) == pytest.approx(depth, rel=0.05)


def test_curves_are_read_linear_in_log_frequency() -> None:
    curve = ((125.0, 0.1), (500.0, 0.3))
    assert at_frequencies(curve, [62.5, 125.0, 250.0, 500.0, 4000.0]) == pytest.approx([0.1, 0.1, 0.2, 0.3, 0.3])
