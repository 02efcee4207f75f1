"""Distances to a triangle mesh, and points spread over its area."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from spatialqa.core.geometry import FloatArray
from spatialqa.rooms.mesh.rays import RayCaster

IntArray = npt.NDArray[np.int64]

_NEIGHBOURS = 4
_ANCHORS = 500_000
_BEHIND_M = 0.1
_ANCHORS_A_FACE = 20  # of small meshes


def triangle_areas(vertices: npt.ArrayLike, faces: npt.NDArray[np.integer]) -> FloatArray:
    """Return the area of each face, square metres, float64 (F,)."""
    points = np.asarray(vertices)
    a, b, c = (points[faces[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    area: FloatArray = np.sqrt((normal * normal).sum(axis=1)) / 2
    return area


def face_normals(vertices: npt.ArrayLike, faces: npt.NDArray[np.integer]) -> FloatArray:
    """Return a unit normal of each face, float64 (F, 3); its sign follows the winding."""
    points = np.asarray(vertices, dtype=np.float64)
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    unit: FloatArray = normal / np.maximum(np.linalg.norm(normal, axis=1), np.finfo(np.float64).tiny)[:, None]
    return unit


def surface_points(vertices: npt.ArrayLike, faces: npt.NDArray[np.integer], count: int) -> tuple[FloatArray, IntArray]:
    """Return `count` points spread evenly over the area of a mesh, float64 (count, 3), and the face of each, int64.

    The points follow a low-discrepancy sequence, so there is nothing to draw and nothing to seed.
    """
    points = np.asarray(vertices, dtype=np.float64)
    sums = np.cumsum(triangle_areas(points, faces))
    steps = np.arange(count) + 0.5
    face = np.minimum(np.searchsorted(sums, steps / count * sums[-1]), len(faces) - 1)
    # Additive recurrence with the plastic number in two dimensions (Roberts 2018, R2 sequence), folded into triangles.
    plastic = 1.32471795724474602596
    u, v = (steps / plastic) % 1.0, (steps / plastic**2) % 1.0
    outside = u + v > 1.0
    u[outside], v[outside] = 1.0 - u[outside], 1.0 - v[outside]
    a, b, c = (points[faces[face, k]] for k in range(3))
    return a + u[:, None] * (b - a) + v[:, None] * (c - a), face


def nearest_faces(
    queries: FloatArray, vertices: npt.ArrayLike, faces: npt.NDArray[np.integer]
) -> tuple[FloatArray, IntArray]:
    """Return each query point's distance to a mesh in metres, float64 (n,), and the face it belongs to, int64 (n,).

    The distance is exact to the nearest of the faces tried, those with anchors (points spread over the mesh and the
    middles of its faces) near the query. So a distance is never too small, and too large only where a face is missed.
    """
    points = np.asarray(vertices, dtype=np.float64)
    anchors, owner = surface_points(points, faces, min(_ANCHORS, _ANCHORS_A_FACE * len(faces)))
    tree = cKDTree(np.concatenate([anchors, points[faces].mean(axis=1)]), balanced_tree=False)
    owner = np.concatenate([owner, np.arange(len(faces))])
    tried = owner[tree.query(queries, k=_NEIGHBOURS)[1]]
    a, b, c = (points[faces[tried, k]] for k in range(3))
    squared = _squared_distances(queries[:, None], a, b, c)
    best = squared.argmin(axis=1)
    rows = np.arange(len(queries))
    return np.sqrt(squared[rows, best]), tried[rows, best]


def surface_distances(
    queries: FloatArray, along: FloatArray, vertices: npt.ArrayLike, faces: npt.NDArray[np.integer]
) -> FloatArray:
    """Return each query point's distance to a mesh in metres, float64 (n,): never too small, seldom too large.

    along: (n, 3), unit vectors in which the surface is looked for as well, such as normals of the query's own surface:
    `nearest_faces` misses faces without an anchor near, as at corners.
    """
    distance = nearest_faces(queries, vertices, faces)[0]
    caster = RayCaster(vertices, faces)
    for ray in (along, -along):
        # from a little behind, since a ray does not see the surface that it starts on
        hit = caster.distances(queries - _BEHIND_M * ray, ray) - _BEHIND_M
        distance = np.minimum(distance, np.abs(hit))
    return distance


def _squared_distances(p: FloatArray, a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Return the squared distances of points to triangles, all broadcast over (..., 3)."""
    ab, ac, ap = b - a, c - a, p - a
    normal = np.cross(ab, ac)
    area2 = np.maximum((normal * normal).sum(axis=-1), np.finfo(np.float64).tiny)
    v = (np.cross(ap, ac) * normal).sum(axis=-1) / area2
    w = (np.cross(ab, ap) * normal).sum(axis=-1) / area2
    above = (ap * normal).sum(axis=-1) ** 2 / area2
    edges = np.minimum(np.minimum(_to_segment(p, a, b), _to_segment(p, b, c)), _to_segment(p, c, a))
    return np.where((v >= 0.0) & (w >= 0.0) & (v + w <= 1.0), above, edges)


def _to_segment(p: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    along = b - a
    length2 = np.maximum((along * along).sum(axis=-1), np.finfo(np.float64).tiny)
    t = np.clip(((p - a) * along).sum(axis=-1) / length2, 0.0, 1.0)
    off = p - a - t[..., None] * along
    squared: FloatArray = (off * off).sum(axis=-1)
    return squared
