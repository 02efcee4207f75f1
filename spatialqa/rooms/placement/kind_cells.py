"""The points that one listener can have as sources of things whose height is known, by kind, side and distance.

A kind of things (see `heights`) has a band of heights. Within it a place lies above or below the ears, then at a
distance, and then anywhere at that distance: a thin shell around the head is even in azimuth and in height.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.rooms.mesh.rays import BoolArray
from spatialqa.rooms.placement.cells import SEPARATION_M, even_shares, quantile, strata
from spatialqa.rooms.placement.heights import Band
from spatialqa.rooms.placement.surface_distance import IntArray

_STEP_M = 0.1
_WHOLE = 5  # steps that a listener has all of, or else none: a half metre
_LEAST_SHARE = 0.03  # of a kind's points; a thinner slice above or below the ears is not worth a draw of its own
_STEPS = 40  # halvings of an interval
_Row = tuple[str, bool]  # a kind, and whether above the ears


class KindCells:
    """Cells of one listener.

    ids: int64 (n,), what the caller calls the points. points: float64 (n, 3), world metres. offset: float64 (n, 3),
    the same from the centre of the head. height_m: float64 (n,), above the floor. kinds: the band of heights of each.
    limits_m: the least and the greatest distance of a point. offered: the kinds that have points.
    """

    def __init__(
        self,
        ids: IntArray,
        points: FloatArray,
        offset: FloatArray,
        height_m: FloatArray,
        kinds: Mapping[str, Band],
        limits_m: tuple[float, float],
    ) -> None:
        self.n_points = len(points)
        self._ids, self._points = ids, points
        distance = np.sqrt((offset * offset).sum(axis=1))
        nearest, farthest = limits_m
        self._step = np.maximum((distance - nearest) / _STEP_M, 0.0).astype(np.int64)
        self._n_allowed = math.ceil((farthest - nearest) / _STEP_M - 1e-9)
        self._n_steps = int(self._step.max()) + 1 if len(points) else 1
        self._members: dict[_Row, IntArray] = {}
        above = offset[:, 1] > 0
        for kind, (low, high) in kinds.items():
            own = (height_m >= low) & (height_m <= high)
            for side in (False, True):
                members = np.flatnonzero(own & (above == side))
                if len(members) and len(members) >= _LEAST_SHARE * own.sum():
                    self._members[kind, side] = members
        self.offered = tuple(kind for kind in kinds if self._sides(kind))

    def _sides(self, kind: str) -> list[bool]:
        return [side for side in (False, True) if (kind, side) in self._members]

    def draw(self, kinds: Sequence[str], above: Mapping[str, float], rng: np.random.Generator) -> list[int]:
        """Take a point for each kind, which must be offered; return their ids, fewer where none is left.

        above: how often things of each kind lie above the ears of a listener who has places of it on both sides.
        """
        rows: list[_Row] = []
        for kind, u in zip(kinds, rng.uniform(size=len(kinds)), strict=True):
            sides = self._sides(kind)
            rows.append((kind, bool(u < above[kind]) if len(sides) > 1 else sides[0]))
        different = sorted(set(rows))
        counts = np.array([float(rows.count(row)) for row in different])
        reached = np.stack([self._reached(row) for row in different])
        fitted = dict(zip(different, even_shares(reached, counts), strict=True))
        taken: list[int] = []
        for row, distance_u in zip(rows, strata(len(rows), rng), strict=True):
            point = self._take(row, fitted[row], distance_u, taken, rng)
            if point is None:
                break
            taken.append(point)
        return [int(self._ids[point]) for point in taken]

    def _reached(self, row: _Row) -> BoolArray:
        """Return at which steps of distance a row is drawn: bool (n_steps,).

        A room ends within a half metre, whose first steps would then have more sources than its last ones. So a half
        metre is used where every step of it has a point. Where no half metre is whole, all steps that have one are.
        """
        held = np.bincount(self._step[self._members[row]], minlength=self._n_steps) > 0
        further = len(held) + np.arange(-len(held) % _WHOLE)
        padded = np.append(held, further >= self._n_allowed)
        whole = np.repeat(padded.reshape(-1, _WHOLE).all(axis=1), _WHOLE)[: len(held)]
        return whole if whole.any() else held

    def _take(
        self, row: _Row, shares: FloatArray, distance_u: float, taken: Sequence[int], rng: np.random.Generator
    ) -> int | None:
        """Take a point at this quantile of distances, apart from those that are taken; None when none is left."""
        own = self._members[row]
        own = own[self._apart(own, taken)]
        held = np.bincount(self._step[own], minlength=self._n_steps) > 0
        left = np.where(held, shares, 0.0)
        if not left.any():  # other places have used up the whole half metres
            left = held.astype(np.float64)
        if not left.any():
            return None
        # The nearest step that is left, on either side of the one that was drawn.
        step = quantile(shares, distance_u)
        steps = np.flatnonzero(left)
        step = int(steps[np.argmin(np.abs(steps - step))])
        members = own[self._step[own] == step]
        return int(members[rng.integers(len(members))])

    def _apart(self, members: IntArray, taken: Sequence[int]) -> BoolArray:
        apart = np.ones(len(members), dtype=np.bool_)
        for point in taken:
            apart &= ((self._points[members] - self._points[point]) ** 2).sum(axis=1) >= SEPARATION_M**2
        return apart


def chances_above(
    heights_m: Mapping[str, FloatArray], ears_m: FloatArray, shares: Mapping[str, float]
) -> dict[str, float]:
    """Return how often each kind lies above ears that allow both, so that half of all sources lie above.

    Footsteps lie below every listener's ears, and a dish on a table below those of a listener who stands. Kinds that
    can lie on both sides make up for it, all by the same share as far as they can, so that a class tells as little as
    possible about the side.

    heights_m: of the points of each kind in a room, metres, float64 (n,). ears_m: of its listeners, float64 (m,).
    shares: how frequent each kind is among all sources.
    """
    lowest, highest = {}, {}  # which share of all can lie above
    for kind, own in heights_m.items():
        low, high = np.quantile(own, [_LEAST_SHARE, 1 - _LEAST_SHARE])
        lowest[kind] = float(np.mean(ears_m <= low))
        highest[kind] = float(np.mean(ears_m < high))
    total = sum(shares.get(kind, 0.0) for kind in heights_m)

    def share_above(common: float) -> float:
        return sum(shares.get(kind, 0.0) * float(np.clip(common, lowest[kind], highest[kind])) for kind in heights_m)

    common, step = 0.5, 0.25
    for _ in range(_STEPS):
        common += step if share_above(common) < total / 2 else -step
        step /= 2
    chances = {}
    for kind in heights_m:
        both = highest[kind] - lowest[kind]
        chances[kind] = float(np.clip((common - lowest[kind]) / both, 0.0, 1.0)) if both > 0 else 0.5
    return chances
