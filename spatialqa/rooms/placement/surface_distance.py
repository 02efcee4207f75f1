"""Distance tests between many points and a triangle mesh, exact to rounding."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.rooms.mesh.rays import BoolArray

IntArray = npt.NDArray[np.int64]

_PIECE_M = 0.3  # longest edge of a piece
_MAX_PIECES = 1_000_000
_CELLS_PER_POINT = 4


class SurfaceDistance:
    """A mesh prepared for distance tests.

    vertices: float (V, 3), metres from `origin`, a point in the frame of the queries; faces: int (F, 3).

    Long triangles are cut into pieces with a ball around each, and points are sorted into cells. Only where a ball
    cannot decide, the distance to the original triangle is computed, so answers are exact to float64 rounding.
    """

    def __init__(
        self, vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32], origin: Vec3 = (0.0, 0.0, 0.0)
    ) -> None:
        from spatialqa.rooms.placement import surface_kernels

        self._kernels = surface_kernels
        self._vertices = np.ascontiguousarray(vertices, dtype=np.float32)
        self._faces = np.ascontiguousarray(faces, dtype=np.int32)
        self._origin = np.asarray(origin, dtype=np.float64)
        longest_m = max(_PIECE_M, (3.0 * _area(self._vertices, self._faces) / _MAX_PIECES) ** 0.5)
        centres, self._radii, self._owner = self._kernels.cut(
            self._vertices, self._faces, np.float32(longest_m * longest_m)
        )
        self._centres = centres + self._origin
        self.excess_m = float(self._radii.max())  # how much too large an estimate can be

    def estimate(self, points: FloatArray, limit_m: float) -> FloatArray:
        """Return distances, never too small and at most `excess_m` (about 0.2 m) too large; inf beyond limit_m."""
        cells = _sorted_into_cells(points, limit_m)
        found: FloatArray = np.empty(len(points))
        squared = self._kernels.nearest2(
            cells.points, cells.starts, cells.low, cells.size, cells.shape, self._centres, limit_m
        )
        found[cells.order] = np.sqrt(squared)
        return found

    def at_least(self, points: FloatArray, clearance_m: float) -> BoolArray:
        """Tell for each point (n, 3) whether every surface is at least clearance_m away: bool (n,)."""
        cells = _sorted_into_cells(points, clearance_m)
        clear: BoolArray = np.empty(len(points), dtype=np.bool_)
        clear[cells.order] = self._kernels.clear_of(
            cells.points,
            cells.starts,
            cells.low,
            cells.size,
            cells.shape,
            self._centres,
            self._radii,
            self._owner,
            self._vertices,
            self._faces,
            self._origin,
            clearance_m,
        )
        return clear


class _Cells(NamedTuple):
    """Points by cells of a grid, see surface_kernels.

    points: float64 (n, 3), in the order of their cells. order: int64 (n,), where each was before. starts: int64
    (cells + 1,). low: float64 (3,), the corner of the grid, size: the edge of a cell, metres. shape: int64 (3,).
    """

    points: FloatArray
    order: IntArray
    starts: IntArray
    low: FloatArray
    size: float
    shape: IntArray


def _sorted_into_cells(points: FloatArray, size_m: float) -> _Cells:
    """Sort points into cells of this size, or of a larger one where the points are few and far between."""
    points = np.asarray(points, dtype=np.float64)
    if not len(points):
        empty = np.zeros(0, dtype=np.int64)
        return _Cells(points.reshape(0, 3), empty, np.zeros(2, dtype=np.int64), np.zeros(3), 1.0, np.ones(3, np.int64))
    low = points.min(axis=0)
    extent = points.max(axis=0) - low
    size = max(size_m, 1e-3)
    while np.prod(np.floor(extent / size) + 1) > _CELLS_PER_POINT * len(points) + 1000:
        size *= 1.5
    shape = (np.floor(extent / size) + 1).astype(np.int64)
    index = np.minimum(np.floor((points - low) / size).astype(np.int64), shape - 1)
    flat = (index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=int(np.prod(shape))))]).astype(np.int64)
    return _Cells(np.ascontiguousarray(points[order]), order, starts, low, float(size), shape)


def _area(vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32]) -> float:
    """Return the area of all faces in square metres."""
    triangles = vertices[faces]
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]).astype(np.float64)
    return float(np.sqrt(np.einsum("ij,ij->i", normal, normal)).sum()) / 2
