"""Distance tests between many points and a triangle mesh, exact to rounding."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.rooms.mesh.rays import BoolArray

IntArray = npt.NDArray[np.int64]
Parts = tuple[FloatArray, FloatArray, FloatArray]

_PIECE_M = 0.3  # longest edge of a piece
_MAX_PIECES = 1_000_000
_SMALL_M = 0.03  # radius that splits furniture detail from walls: one tree for both would make every ball wide
_BATCH = 2048


class _Pieces:
    """Pieces of triangles as balls around their centroids. owner: int64 (n,), the face each was cut from."""

    def __init__(self, centres: FloatArray, radii: FloatArray, owner: IntArray) -> None:
        self.tree = _tree(centres)
        self.centres, self.radii, self.owner = centres, radii, owner
        self.widest_m = float(radii.max())


class SurfaceDistance:
    """A mesh prepared for distance tests.

    vertices: float (V, 3), metres from `origin`, a point in the frame of the queries; faces: int (F, 3).

    Long triangles are cut into pieces whose centroids stand in a k-d tree. Only where the tree cannot decide, the
    distance to the original triangles is computed, so answers are exact to float64 rounding.
    """

    def __init__(
        self, vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32], origin: Vec3 = (0.0, 0.0, 0.0)
    ) -> None:
        self._vertices, self._faces, self._origin = vertices, faces, np.asarray(origin)
        centres, radii, owner = _cut(vertices, faces)
        centres = centres + self._origin
        small = radii < _SMALL_M
        self._classes = [_Pieces(centres[s], radii[s], owner[s]) for s in (small, ~small) if s.any()]
        self.excess_m = float(radii.max())  # how much too large an estimate can be

    def estimate(self, points: FloatArray, limit_m: float) -> FloatArray:
        """Return distances, never too small and at most `excess_m` (about 0.2 m) too large; inf beyond limit_m."""
        found = np.full(len(points), np.inf)
        for pieces in self._classes:
            np.minimum(found, pieces.tree.query(points, distance_upper_bound=limit_m)[0], out=found)
        return found

    def at_least(self, points: FloatArray, clearance_m: float) -> BoolArray:
        """Tell for each point (n, 3) whether every surface is at least clearance_m away: bool (n,)."""
        clear = np.ones(len(points), dtype=np.bool_)
        for pieces in self._classes:
            reach = clearance_m + pieces.widest_m
            open_ids = np.flatnonzero(clear)
            nearest = pieces.tree.query(points[open_ids], distance_upper_bound=reach)[0]
            # A centroid is itself a point of the surface.
            clear[open_ids[nearest < clearance_m]] = False
            unsure = open_ids[(nearest >= clearance_m) & (nearest < reach)]
            for start in range(0, len(unsure), _BATCH):
                ids = unsure[start : start + _BATCH]
                clear[ids] = self._exact(points[ids], clearance_m, reach, pieces)
        return clear

    def _exact(self, points: FloatArray, clearance_m: float, reach: float, pieces: _Pieces) -> BoolArray:
        near = _tree(points).sparse_distance_matrix(pieces.tree, reach, output_type="ndarray")
        close = near[near["v"] - pieces.radii[near["j"]] < clearance_m + 1e-6]
        row, piece = close["i"], close["j"]
        triangles = self._vertices[self._faces[pieces.owner[piece]]].astype(np.float64) + self._origin
        clear = np.ones(len(points), dtype=np.bool_)
        clear[row[point_triangle_distance(points[row], triangles) < clearance_m]] = False
        return clear


def _tree(points: FloatArray) -> cKDTree:
    # split in the middle of the space: built in half the time of a balanced tree, and asked in two thirds
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def point_triangle_distance(points: FloatArray, triangles: FloatArray) -> FloatArray:
    """Return the distance from each point (n, 3) to its triangle (n, 3, 3), float64 (n,), in the units given."""
    p, (a, b, c) = _parts(points), (_parts(triangles[:, k]) for k in range(3))
    ab, bc, ca, ap, bp, cp = (_minus(*pair) for pair in ((b, a), (c, b), (a, c), (p, a), (p, b), (p, c)))
    edge2 = np.minimum(_to_segment2(ap, ab), np.minimum(_to_segment2(bp, bc), _to_segment2(cp, ca)))
    normal = _cross(ca, ab)
    area2 = _dot(normal, normal)
    area2 = np.where(area2 > 0.0, area2, np.inf)
    v = _dot(_cross(ca, ap), normal) / area2
    w = _dot(_cross(ab, ap), normal) / area2
    over_face = (v > 0.0) & (w > 0.0) & (v + w < 1.0)
    height = np.abs(_dot(ap, normal)) / np.sqrt(area2)
    distance: FloatArray = np.where(over_face, height, np.sqrt(edge2))
    return distance


# Vectors as their three parts, float64 (n,) each: sums over an axis of length 3 take several times as long.


def _parts(vectors: FloatArray) -> Parts:
    x, y, z = np.ascontiguousarray(vectors.T)
    return x, y, z


def _minus(a: Parts, b: Parts) -> Parts:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _dot(a: Parts, b: Parts) -> FloatArray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Parts, b: Parts) -> Parts:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _to_segment2(offset: Parts, along: Parts) -> FloatArray:
    """Return the squared distance from points to segments; offset: from the start of the segment to the point."""
    length2 = _dot(along, along)
    t = np.clip(_dot(offset, along) / np.where(length2 > 0.0, length2, 1.0), 0.0, 1.0)
    gap = offset[0] - t * along[0], offset[1] - t * along[1], offset[2] - t * along[2]
    return _dot(gap, gap)


def _cut(vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32]) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return centroids (n, 3), radii (n,) and owning faces (n,) of triangles that are halved until they are short."""
    triangles = vertices[faces]
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]).astype(np.float64)
    area = float(np.sqrt(np.einsum("ij,ij->i", normal, normal)).sum()) / 2
    longest_m = max(_PIECE_M, (3.0 * area / _MAX_PIECES) ** 0.5)
    owner = np.arange(len(faces))
    done: list[tuple[FloatArray, FloatArray, IntArray]] = []
    while len(owner):
        edges = np.stack([((triangles[:, k] - triangles[:, k - 2]) ** 2).sum(axis=1) for k in range(3)], axis=1)
        long = edges.max(axis=1) > longest_m**2
        short = triangles[~long].astype(np.float64)
        centres = short.mean(axis=1)
        radii = np.sqrt(((short - centres[:, None]) ** 2).sum(axis=2).max(axis=1))
        done.append((centres, radii, owner[~long]))
        triangles, owner, longest = triangles[long], owner[long], edges[long].argmax(axis=1)
        row = np.arange(len(owner))
        # Edge k runs from corner k to corner k + 1.
        start, end = triangles[row, longest - 2], triangles[row, longest]
        apex = triangles[row, longest - 1]
        middle = (start + end) / 2
        halves = [np.stack([start, middle, apex], axis=1), np.stack([middle, end, apex], axis=1)]
        triangles, owner = np.concatenate(halves), np.concatenate([owner, owner])
    centres, radii, owners = (np.concatenate(part) for part in zip(*done, strict=True))
    return centres, radii, owners
