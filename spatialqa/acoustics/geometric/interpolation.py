"""Interpolation between measured directions: the three around a direction, and their weights.

The directions are the corners of their convex hull's triangles. A direction inside of a triangle is a sum of its
corners with positive weights (as in vector base amplitude panning, Pulkki 1997), here scaled to add up to 1.
"""

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

from spatialqa.acoustics.geometric.octahedral import cell_centres
from spatialqa.core.compiled import compiled
from spatialqa.errors import EngineError

INDEX_CELLS = 128  # cells along a side of a table by direction: about 0.9 degrees each
_INSIDE = -1e-9  # a triangle whose three weights are above this holds the direction

Float64 = npt.NDArray[np.float64]
Table = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


def neighbour_table(directions: Float64, cells: int = INDEX_CELLS) -> Table:
    """Return for every octahedral cell the three directions around it and their weights.

    Args:
        directions: float64 (D, 3), unit vectors, at least four and not in one plane.
        cells: along a side of the table.

    Returns:
        int32 (cells * cells, 3), indices into directions, and float32 (cells * cells, 3), weights that add up to 1.

    Raises:
        EngineError: the directions do not enclose the head.
    """
    try:
        hull = ConvexHull(directions)
    except (QhullError, ValueError) as error:
        raise EngineError(f"{len(directions)} directions of a head do not enclose it: give more, all around") from error
    corners, neighbours = hull.simplices.astype(np.int32), hull.neighbors.astype(np.int32)
    bases = np.linalg.inv(directions[corners].transpose(0, 2, 1))
    index, weight, found = _weights(cell_centres(cells), corners, neighbours, np.ascontiguousarray(bases))
    if not found:
        raise EngineError("the directions of a head lie all on one side of it: give directions all around")
    return index, weight


@compiled
def _weights(
    targets: Float64, corners: npt.NDArray[np.int32], neighbours: npt.NDArray[np.int32], bases: Float64
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], bool]:
    index = np.zeros((len(targets), 3), dtype=np.int32)
    weight = np.zeros((len(targets), 3), dtype=np.float32)
    part = np.zeros(3)
    last = 0
    for k in range(len(targets)):
        # from the triangle of the cell before, over the edge behind which the target lies
        best, best_at, t = -1e9, 0, last
        for _ in range(len(corners)):
            _parts(bases[t], targets[k], part)
            row = 0 if part[0] <= part[1] and part[0] <= part[2] else (1 if part[1] <= part[2] else 2)
            if part[row] > best:
                best, best_at = part[row], t
            if part[row] >= _INSIDE:
                break
            t = neighbours[t, row]
        if best < _INSIDE:  # the walk went round in a circle, or no triangle has it inside
            for t in range(len(corners)):
                _parts(bases[t], targets[k], part)
                least = min(part[0], part[1], part[2])
                if least > best:
                    best, best_at = least, t
        last = best_at
        _parts(bases[best_at], targets[k], part)
        total = 0.0
        for row in range(3):
            total += max(0.0, part[row])
        if total <= 0.0:
            return index, weight, False
        for row in range(3):
            index[k, row] = corners[best_at, row]
            weight[k, row] = max(0.0, part[row]) / total
    return index, weight, True


@compiled
def _parts(basis: Float64, target: Float64, part: Float64) -> None:
    for row in range(3):
        part[row] = basis[row, 0] * target[0] + basis[row, 1] * target[1] + basis[row, 2] * target[2]
