"""The points that one listener can have as sources, in cells of side and distance from which places are drawn.

The pool of a room is even in volume: drawn directly, sources would bunch at what rooms have most of. A cell is a side
with a step of distance. Sides have even chances, then distances as even as the room allows, then elevations.

- LevelCells: the sides are above and below the ears. Which way the head faces does not count, so the azimuths of
  listeners that face anywhere are even.
- OctantCells: the sides are the octants of the head. Facing a wall, a listener has little space ahead, and it lies
  near the plane of the ears. An octant that has its share all the same makes azimuths bunch at the planes of the head.
"""

from typing import ClassVar

import numpy as np

from spatialqa.core.geometry import FloatArray, spherical
from spatialqa.rooms.mesh.rays import BoolArray
from spatialqa.rooms.placement.surface_distance import IntArray

SEPARATION_M = 0.3  # between the sources of one listener

_ELEVATION_STEP_DEG = 10.0
_FIT_STEPS = 30


class _Cells:
    """Cells of one listener.

    ids: int64 (n,), what the caller calls the points. points: float64 (n, 3), world metres. head: float64 (n, 3), the
    same in the head frame.
    """

    n_sides: ClassVar[int]
    distance_step_m: ClassVar[float]

    def __init__(self, ids: IntArray, points: FloatArray, head: FloatArray, min_distance_m: float) -> None:
        self.n_points = len(points)
        self._ids, self._points = ids, points
        _, elevation, distance = spherical(head)
        step = ((distance - min_distance_m) / self.distance_step_m).astype(np.int64)
        n_steps = int(step.max()) + 1 if len(step) else 1
        self._cell = self.side(head) * n_steps + step
        tilt = (np.abs(elevation) / _ELEVATION_STEP_DEG).astype(np.int64)
        key = self._cell * 10 + tilt
        # Equal chances for every elevation that a cell holds.
        self._weight = 1.0 / np.bincount(key)[key] if len(key) else np.empty(0)
        held = np.bincount(self._cell, minlength=self.n_sides * n_steps).reshape(self.n_sides, n_steps)
        self._shares = even_shares(held > 0)
        self._taken: list[FloatArray] = []

    def side(self, head: FloatArray) -> IntArray:
        """Return the side of each point: int64 (n,), below n_sides."""
        raise NotImplementedError

    def draw(self, side_u: float, distance_u: float, rng: np.random.Generator) -> int | None:
        """Take a point at these quantiles of sides and, within one, of distances: its id, or None when none is left."""
        n_steps = self._shares.shape[1]
        while self._shares.sum() > 0:
            side = quantile(self._shares.sum(axis=1), side_u)
            step = quantile(self._shares[side], distance_u)
            members = np.flatnonzero(self._cell == side * n_steps + step)
            for taken in self._taken:
                members = members[((self._points[members] - taken) ** 2).sum(axis=1) >= SEPARATION_M**2]
            if len(members):
                chosen = members[quantile(self._weight[members], rng.uniform())]
                self._taken.append(self._points[chosen])
                return int(self._ids[chosen])
            self._shares[side, step] = 0.0
        return None


class LevelCells(_Cells):
    """Above and below the ears, in fine steps of distance: even within each half metre too."""

    n_sides = 2
    distance_step_m = 0.1

    def side(self, head: FloatArray) -> IntArray:
        """Return 1 for what lies above the ears."""
        return (head[:, 1] > 0).astype(np.int64)


class OctantCells(_Cells):
    """The octants of the head: left or right, front or behind, above or below."""

    n_sides = 8
    distance_step_m = 0.5

    def side(self, head: FloatArray) -> IntArray:
        """Return the number of the octant."""
        octant: IntArray = (head[:, 0] < 0) * 4 + (head[:, 2] < 0) * 2 + (head[:, 1] > 0)
        return octant


def even_shares(feasible: BoolArray, row_weights: FloatArray | None = None) -> FloatArray:
    """Return shares (rows, n) that sum to 1, zero where not feasible, with rows and columns as even as that allows.

    Iterative proportional fitting (Deming and Stephan 1940) to uniform margins, rows fitted last: every row that
    is feasible at all has the same share, or one in proportion to its weight.
    """
    shares = feasible.astype(np.float64)
    rows, columns = shares.any(axis=1), shares.any(axis=0)
    wanted = rows.astype(np.float64) if row_weights is None else rows * row_weights
    for _ in range(_FIT_STEPS if rows.any() else 0):
        shares *= np.where(columns, 1.0 / columns.sum(), 0.0) / np.where(columns, shares.sum(axis=0), 1.0)
        shares *= (wanted / wanted.sum() / np.where(rows, shares.sum(axis=1), 1.0))[:, None]
    return shares


def strata(count: int, rng: np.random.Generator) -> FloatArray:
    """Return `count` numbers in [0, 1) in random order, one in each of `count` equal parts."""
    return (rng.permutation(count) + rng.uniform(size=count)) / count


def quantile(weights: FloatArray, u: float) -> int:
    """Return the index at quantile u, 0 to 1, of weights (n,) that are not all 0; one of weight 0 is never it."""
    edges = np.cumsum(weights)
    return int(min(np.searchsorted(edges, u * edges[-1], side="right"), np.flatnonzero(weights)[-1]))
