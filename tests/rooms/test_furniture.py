import numpy as np
import pytest

from spatialqa.core.seeds import rng
from spatialqa.rooms.procedural.finishes import _FURNITURE
from spatialqa.rooms.procedural.floor_plan_sampler import MIN_CEILING_M
from spatialqa.rooms.procedural.furniture import BUILDERS
from spatialqa.rooms.procedural.home_mesh import _box_triangles, _cylinder_triangles, air_volume


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_piece_keeps_to_its_bounds_and_has_a_material_for_every_solid(name: str) -> None:
    for k in range(30):
        piece = BUILDERS[name](rng(0, "test piece", f"{name} {k}"))
        for solid in piece.solids:
            low, high = np.array(solid.low), np.array(solid.high)
            assert (high - low > 0.001).all(), solid
            assert low.min() > -1e-9, solid
            assert high[0] <= piece.width + 1e-9, solid
            assert high[1] < MIN_CEILING_M, solid
            assert high[2] <= piece.depth + 1e-9, solid
            assert solid.role in _FURNITURE


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_solid_is_closed_and_faces_the_air(name: str) -> None:
    for solid in BUILDERS[name](rng(0, "test piece", name)).solids:
        triangles = _cylinder_triangles(solid) if solid.is_round else _box_triangles([solid])
        edges = [tuple(map(tuple, (t[k], t[(k + 1) % 3]))) for t in np.round(triangles, 6).tolist() for k in range(3)]
        assert sorted(edges) == sorted((b, a) for a, b in edges)
        assert len(set(edges)) == len(edges)
        fill = 2 * 2**0.5 / 4 if solid.is_round else 1.0
        volume = float(np.prod(np.subtract(solid.high, solid.low))) * fill
        # The normals of a solid point out of it, so it takes its volume from the air.
        assert air_volume(triangles) == pytest.approx(-volume, rel=1e-3)
