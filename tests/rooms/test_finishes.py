import math

import numpy as np
import pytest

from spatialqa.rooms.materials import load_materials
from spatialqa.rooms.procedural.finishes import (
    _BY_LABEL,
    _DRY,
    _FURNITURE,
    exposed_areas,
    eyring_rt60,
    mid_band_absorption,
)
from spatialqa.rooms.procedural.floor_plan import FloorPlan, Rect, RoomPlan
from spatialqa.rooms.procedural.furniture import Solid
from spatialqa.rooms.procedural.furniture_layout import Item
from spatialqa.rooms.procedural.home_mesh import build_mesh

RECT = Rect(-2.0, -2.0, 2.0, 2.0)
PLAN = FloorPlan("shoebox", (RoomPlan("office", RECT.corners, (RECT,), (RECT,), 3.0),), (), ())


def _exposed(*solids: Solid) -> float:
    items = [Item("block", 0, solids)]
    mesh = build_mesh(PLAN, items)
    return float(exposed_areas(PLAN, items, mesh)[mesh.surfaces.index((0, "wood"))])


def _cube(x: float, y: float, z: float) -> Solid:
    return Solid((x, y, z), (x + 1, y + 1, z + 1), "wood")


def test_eyring_against_its_formula_and_its_limits() -> None:
    assert eyring_rt60(100.0, 130.0, 26.0) == pytest.approx(0.161 * 100 / (-130 * math.log(0.8)))
    assert eyring_rt60(100.0, 130.0, 0.13) == pytest.approx(0.161 * 100 / 0.13, rel=1e-3)  # Sabine
    times = eyring_rt60(100.0, 130.0, np.array([10.0, 20.0, 40.0]))
    assert (np.diff(times) < 0).all()


def test_mid_band_absorption_is_the_mean_of_two_octaves() -> None:
    assert mid_band_absorption(load_materials()["carpet"]) == pytest.approx((0.1 + 0.2) / 2)


@pytest.mark.parametrize(
    ("cube", "area"),
    [
        (_cube(-0.5, 1.0, -0.5), 6.0),  # in the middle of the air
        (_cube(-0.5, 0.0, -0.5), 5.0),  # on the floor
        (_cube(0.97, 0.0, -0.5), 4.0),  # at a wall
        (_cube(0.6, 0.0, -0.5), 5.0),  # 0.4 m from it
        (_cube(0.97, 0.0, 0.97), 3.0),  # in a corner
        (_cube(-0.5, 1.9, -0.5), 5.0),  # under the ceiling
    ],
)
def test_sides_close_to_the_shell_are_not_exposed(cube: Solid, area: float) -> None:
    assert _exposed(cube) == pytest.approx(area)


def test_sides_close_to_each_other_are_not_exposed() -> None:
    assert _exposed(_cube(-1.1, 1.0, -0.5), _cube(0.1, 1.0, -0.5)) == pytest.approx(10.0)
    assert _exposed(_cube(-1.3, 1.0, -0.5), _cube(0.3, 1.0, -0.5)) == pytest.approx(12.0)


def test_every_usual_material_exists() -> None:
    usual = [*_FURNITURE.values(), *(names for table in (_DRY, *_BY_LABEL.values()) for names in table.values())]
    assert {name for names in usual for name in names} - {"as wall"} <= set(load_materials())
