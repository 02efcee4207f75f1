"""What kernels know of a group: the mesh with its surfaces, the listener, and the sources."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.embree import MISS, Rays, first_hit, ray_buffer
from spatialqa.acoustics.geometric.octahedral import cell_centres, cell_of
from spatialqa.core.compiled import compiled, inlined

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

MAP_CELLS = 64  # along a side of a distance map: about 2 degrees each
CLEARANCE_M = 1e-3  # from which rays leave a surface
_TOLERANCE, _TOLERANCE_M = 0.03, 0.08  # of a distance that was measured in the middle of a cell
_OPEN_M = 1e6


class Sources(NamedTuple):
    """The sources of a group, S of them, in the frame of the mesh.

    positions: float64 (S, 3), metres. facing: float64 (S, 3), unit vectors. omni_share: float64 (B,), by octave band:
    the pattern is |share + (1 - share) cos(angle to facing)|, linear. omnidirectional: whether all shares are 1.
    distance_maps: float32 (S, n * n), metres to the first surface by octahedral cell, n = MAP_CELLS.
    """

    positions: Float64
    facing: Float64
    omni_share: Float64
    omnidirectional: bool
    distance_maps: Float32


_DIRECTIONS = cell_centres(MAP_CELLS)


def distance_maps(rays: Rays, points: Float64) -> Float32:
    """Return the distance to the first surface from each point, by octahedral cell: float32 (n, MAP_CELLS ** 2).

    points: float64 (n, 3), metres, in the frame of the mesh.
    """
    return _distance_maps(rays, points, _DIRECTIONS)


@compiled
def _distance_maps(rays: Rays, points: Float64, directions: Float64) -> Float32:
    maps = np.empty((len(points), len(directions)), dtype=np.float32)
    ray = ray_buffer()
    for p in range(len(points)):
        for k in range(len(directions)):
            x, y, z = points[p, 0], points[p, 1], points[p, 2]
            face = first_hit(rays, ray, x, y, z, directions[k, 0], directions[k, 1], directions[k, 2], _OPEN_M)
            maps[p, k] = _OPEN_M if face == MISS else ray.values[8]
    return maps


@inlined
def is_seen(maps: Float32, point: int, x: float, y: float, z: float, distance: float) -> bool:
    """Tell by the distance maps of points, float32 (points, n * n), whether one sees what lies at (x, y, z) from it.

    distance: the length of (x, y, z), metres.
    """
    nearest = maps[point, cell_of(x, y, z, MAP_CELLS)]
    return bool(distance <= nearest * (1.0 + _TOLERANCE) + _TOLERANCE_M)


@inlined
def unit_vector(start: Float64, end: Float64) -> tuple[float, float, float, float]:
    """Return the unit vector from one point (3,) to another, and their distance; (0, 0, 0, 0) where they are one."""
    x, y, z = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    distance = np.sqrt(x * x + y * y + z * z)
    if distance == 0.0:
        return 0.0, 0.0, 0.0, 0.0
    return x / distance, y / distance, z / distance, distance


@inlined
def pattern(share: float, cosine: float) -> float:
    """Return the linear gain of a source's pattern towards an angle of this cosine to where it faces."""
    return abs(share + (1.0 - share) * cosine)
