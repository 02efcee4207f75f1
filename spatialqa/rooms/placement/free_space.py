"""The air inside a building: the connected space of a point, and the storey floor below it.

A grid of nodes is laid over the mesh. Neighbours with nothing between them are joined, nodes close to a surface are
left out so that a crack joins nothing, and cells connected to the exterior are dropped unless walls surround them.
A space in which no person could stand (the inside of a wardrobe or of a wall) is dropped too, and so is the inside of
solid blocks. For that alone winding counts, as `solids` says; nothing depends on a mesh being closed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from spatialqa.core.geometry import FloatArray
from spatialqa.rooms.mesh.rays import BoolArray, RayCaster
from spatialqa.rooms.placement.solids import Solids
from spatialqa.rooms.placement.surface_distance import IntArray, SurfaceDistance

_NODES = 16_000  # for a home of usual size
_MIN_SPACING_M, _MAX_SPACING_M = 0.1, 0.3  # a wider grid would miss narrow doors
_MAX_NODES = 3_000_000  # bounds memory in halls, whose doors are wide
_NODE_CLEARANCE_M = 0.15  # a gap under about 0.3 m joins no two spaces; a door of 0.7 m does

# Where the outdoors comes in through an open window or a missing ceiling, a node is indoors by what surrounds it.
_MIN_LEVEL_SHARE = 0.8
_MIN_OVERALL_SHARE = 0.6
_SHARE_RAYS = 40

# What a person needs to stand. Wardrobes and cupboards are less than 0.8 m deep or lower than 2 m.
_STANDING_WIDTH_M = 0.8
_STANDING_HEIGHT_M = 2.0
_MIN_VOLUME_SHARE = 0.02  # of the largest space: a solid pillar is smaller
_STANDING_SAMPLES = 200

# Walls stand; the slopes around a valley are seldom steeper than 45 degrees.
_STEEP = 0.7
_MIN_STEEP_SHARE = 0.3

_FURNITURE_M = 2.0  # what is no farther than this from its edge is furniture, not a storey floor


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """Nodes of the air inside a building, in a fixed order.

    points: float64 (n, 3), world metres. space: int64 (n,), equal for nodes that are joined through openings.
    below_y: float64 (n,), the surface straight below. floor_y: float64 (n,), the floor of the storey, furniture
    ignored. near_m: float64 (n,), distance to the nearest surface, not exact (see SurfaceDistance.estimate).
    joined: int64 (m, 2), the pairs of neighbouring points with nothing between them. n_trials: how many grid nodes were
    looked at. spacing_m: grid step. n_enclosed: how many nodes surfaces enclose; n_solid: how many of these were
    dropped as matter. roofless: share of the points with nothing above them.
    """

    points: FloatArray
    space: IntArray
    below_y: FloatArray
    floor_y: FloatArray
    near_m: FloatArray
    joined: IntArray
    n_trials: int
    spacing_m: float
    n_enclosed: int
    n_solid: int
    roofless: float


@dataclass(frozen=True, eq=False)
class _Links:
    """Pairs of nodes with nothing between them; vertical tells which pairs stand above each other (a below b)."""

    a: IntArray
    b: IntArray
    vertical: BoolArray

    def among(self, kept: BoolArray) -> "_Links":
        both = kept[self.a] & kept[self.b]
        return _Links(self.a[both], self.b[both], self.vertical[both])

    def labels(self, n: int) -> IntArray:
        graph = coo_matrix((np.ones(len(self.a), dtype=np.int8), (self.a, self.b)), shape=(n, n))
        found: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
        return found


def survey(
    caster: RayCaster, surface: SurfaceDistance, solids: Solids, low: FloatArray, high: FloatArray, near_m: float
) -> FreeSpace:
    """Find the air inside the building whose bounding box is (low, high), world metres (3,) each.

    near_m: up to where `FreeSpace.near_m` is needed. Where nothing is inside, the result has no points.
    """
    volume = float(np.prod(np.maximum(high - low, 1.0)))
    spacing = float(np.clip((volume / _NODES) ** (1 / 3), _MIN_SPACING_M, _MAX_SPACING_M))
    spacing = max(spacing, (volume / _MAX_NODES) ** (1 / 3))
    pad = _NODE_CLEARANCE_M + 0.05
    shape = np.ceil((high - low + 2 * pad) / spacing).astype(int) + 1
    steps = np.indices(tuple(shape)).reshape(3, -1)
    points = (low - pad + spacing * steps.T).astype(np.float64)
    far_m = spacing + surface.excess_m
    near = surface.estimate(points, max(near_m, far_m))
    free = near >= _NODE_CLEARANCE_M
    between = _link(caster, points, free, near < far_m, shape)
    labels = between.labels(len(points))
    rim = ((steps == 0) | (steps == shape[:, None] - 1)).any(axis=0)
    outdoors = np.isin(labels, np.unique(labels[rim & free]))
    inside = free & ~outdoors
    inside |= _surrounded(caster, solids, points, free & outdoors & ~rim)
    enclosed = np.flatnonzero(inside)
    for matter in (solids.matter, solids.matter_if_inside_out):
        solid = matter(points[enclosed])
        inside[enclosed] = ~solid
        links = between.among(inside)
        labels = links.labels(len(points))
        for label in _too_small(caster, points, labels, inside):
            inside[labels == label] = False
        if inside.any() or not solid.any():
            break
    below, floor = _floors(caster, points, inside, links.among(inside), spacing)
    usable = inside & np.isfinite(floor)
    kept = np.flatnonzero(usable)
    links = links.among(usable)
    joined = np.searchsorted(kept, np.stack([links.a, links.b], axis=1))
    above = caster.distances(points[kept], [0.0, 1.0, 0.0]) if len(kept) else np.empty(0)
    return FreeSpace(
        points[kept],
        labels[kept],
        below[kept],
        floor[kept],
        near[kept],
        joined,
        len(points),
        spacing,
        len(enclosed),
        int(solid.sum()),
        float(np.isinf(above).mean()) if len(kept) else 0.0,
    )


def _link(
    caster: RayCaster, points: FloatArray, free: BoolArray, doubtful: BoolArray, shape: npt.NDArray[np.int64]
) -> _Links:
    """Join neighbours; only where both are `doubtful`, near a surface, can something stand between them."""
    index = np.arange(len(points)).reshape(tuple(shape))
    pairs = []
    for axis in range(3):
        lower, upper = (np.take(index, np.arange(*r), axis).ravel() for r in ((0, shape[axis] - 1), (1, shape[axis])))
        both = free[lower] & free[upper]
        lower, upper = lower[both], upper[both]
        asked = np.flatnonzero(doubtful[lower] & doubtful[upper])
        passable = np.ones(len(lower), dtype=np.bool_)
        passable[asked] = ~caster.blocked(points[lower[asked]], points[upper[asked]])
        pairs.append((lower[passable], upper[passable], np.full(int(passable.sum()), axis == 1)))
    a, b, vertical = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return _Links(a, b, vertical)


def _surrounded(caster: RayCaster, solids: Solids, points: FloatArray, asked: BoolArray) -> BoolArray:
    """Tell which asked nodes have a surface below and walls around, though they are connected to the exterior."""
    result = np.zeros(len(points), dtype=np.bool_)
    ids = np.flatnonzero(asked)
    if len(ids):
        ids = ids[np.isfinite(caster.distances(points[ids], [0.0, -1.0, 0.0]))]
    # Four level rays are enough to drop most of the open air.
    hits = np.zeros(len(ids))
    for direction in ((1.0, 0.0, 0.3), (-1.0, 0.0, -0.3), (0.3, 0.0, -1.0), (-0.3, 0.0, 1.0)):
        if len(ids):
            hits += np.isfinite(caster.distances(points[ids], direction))
    ids = ids[hits >= 3]
    if len(ids):
        share = caster.enclosure(points[ids], _SHARE_RAYS)
        ids = ids[(share.level >= _MIN_LEVEL_SHARE) & (share.overall >= _MIN_OVERALL_SHARE)]
    if len(ids) and _walled(caster, solids, points[ids]):
        result[ids] = True
    return result


def _walled(caster: RayCaster, solids: Solids, points: FloatArray) -> bool:
    """Tell whether it is walls that surround these points, and not the slopes of a terrain."""
    sample = points[:: max(1, len(points) // _STANDING_SAMPLES)]
    turns = np.arange(16) * np.pi / 8
    level = np.stack([np.cos(turns), np.zeros(16), np.sin(turns)], axis=1)
    face = caster.faces(np.repeat(sample, 16, axis=0), np.tile(level, (len(sample), 1)))
    steep = np.abs(solids.normals(face[face >= 0])[:, 1]) < _STEEP
    return bool(steep.mean() >= _MIN_STEEP_SHARE) if len(steep) else False


def _too_small(caster: RayCaster, points: FloatArray, labels: IntArray, inside: BoolArray) -> IntArray:
    """Return the labels of spaces in which no person could stand."""
    found, sizes = np.unique(labels[inside], return_counts=True)
    if not len(found):
        return found
    order = np.flatnonzero(inside)[np.argsort(labels[inside], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    turns = np.arange(16) * np.pi / 8
    level = np.stack([np.cos(turns), np.zeros(16), np.sin(turns)], axis=1)
    directions = np.concatenate([level, [[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]])
    small = sizes < _MIN_VOLUME_SHARE * sizes.max()
    for k in np.flatnonzero(~small):
        members = order[starts[k] : starts[k] + sizes[k]]
        sample = points[members[:: max(1, sizes[k] // _STANDING_SAMPLES)]]
        start = np.repeat(sample, len(directions), axis=0)
        reach = caster.distances(start, np.tile(directions, (len(sample), 1))).reshape(len(sample), -1)
        width = (reach[:, :8] + reach[:, 8:16]).min(axis=1)
        # A missing ceiling (inf) is no hindrance to standing.
        small[k] = not ((width >= _STANDING_WIDTH_M) & (reach[:, 16] + reach[:, 17] >= _STANDING_HEIGHT_M)).any()
    dropped: IntArray = found[small]
    return dropped


def _floors(
    caster: RayCaster, points: FloatArray, inside: BoolArray, links: _Links, spacing: float
) -> tuple[FloatArray, FloatArray]:
    """Return the surface straight below and the storey floor of every node, float64 (n,), nan or inf where unknown.

    Nodes above each other form a column that stands on something. Taking the lowest foot of the columns around and
    then the highest of these (a morphological opening over linked columns) levels furniture and keeps floors, stairs
    and wide platforms.
    """
    ids = np.flatnonzero(inside)
    below: FloatArray = np.full(len(points), np.nan)
    floor: FloatArray = np.full(len(points), np.nan)
    if not len(ids):
        return below, floor
    up_a, up_b = links.a[links.vertical], links.b[links.vertical]
    vertical = _Links(up_a, up_b, np.ones(len(up_a), dtype=np.bool_))
    column = vertical.labels(len(points))[ids]
    column = np.unique(column, return_inverse=True)[1]
    column_of = np.zeros(len(points), dtype=np.int64)
    column_of[ids] = column
    drop = caster.distances(points[ids], [0.0, -1.0, 0.0])
    below[ids] = points[ids, 1] - drop
    lowest = np.full(column.max() + 1, np.inf)
    np.minimum.at(lowest, column, points[ids, 1])
    foot = np.full(len(lowest), np.inf)
    np.minimum.at(foot, column, below[ids])
    # The foot of a column that ends far above the next surface is a hole in the floor: left to its neighbours.
    foot[~(lowest - foot <= 1.5 * spacing + 2 * _NODE_CLEARANCE_M)] = np.inf
    level = ~links.vertical
    pairs = _distinct(column_of[links.a[level]], column_of[links.b[level]])
    n_steps = int(np.ceil(_FURNITURE_M / spacing))
    opened = foot.copy()
    for _ in range(n_steps):
        opened = _spread(np.minimum, opened, pairs)
    opened[np.isinf(opened)] = -np.inf
    for _ in range(n_steps):
        opened = _spread(np.maximum, opened, pairs)
    opened = np.minimum(opened, foot)
    floor[ids] = opened[column]
    return below, floor


def _distinct(a: IntArray, b: IntArray) -> IntArray:
    """Return the distinct pairs of numbers from 0 to 2^31 - 1, regardless of order: int64 (n, 2), the smaller first."""
    codes = np.unique((np.minimum(a, b) << 32) | np.maximum(a, b))
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)


def _spread(take: np.ufunc, values: FloatArray, pairs: npt.NDArray[np.int64]) -> FloatArray:
    result: FloatArray = values.copy()
    take.at(result, pairs[:, 0], values[pairs[:, 1]])
    take.at(result, pairs[:, 1], values[pairs[:, 0]])
    return result
