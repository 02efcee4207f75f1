"""Triangulates polygons in space: as a fan where that covers them, else by ear clipping.

OBJ and PLY store a wall with a doorway as one polygon with a notch; a fan from its first corner bricks up the door.
"""

import mapbox_earcut
import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray

MAX_NOTCHED_CORNERS = 10_000  # of a polygon that is not a fan: the time of ear clipping can grow with their square

_HALVES = [(0, 1, 2), (2, 3, 0)]  # of a quadrilateral; the order is part of a room's hash
_FLAT = 1e-9  # share of a polygon's squared extent below which an area is rounding

Indices = npt.NDArray[np.int64]


class PolygonError(ValueError):
    """A polygon cannot be cut. number: which it is, from 0."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


def triangulate(points: FloatArray, corners: Indices, sizes: Indices) -> tuple[Indices, Indices]:
    """Return the triangles that polygons consist of, int64 (F, 3), and which polygon each is of, int64 (F,).

    points: float64 (V, 3). corners: int64 (sum of sizes,), indices into points, polygon after polygon. sizes: int64
    (P,), the number of corners of each; one of fewer than three has no surface. Polygons may be concave, have repeated
    corners or corners on a straight edge, and lie only roughly in a plane: they are judged in the plane that fits them
    best (Newell's normal), and triangles wind as their polygon does. They come by the number of corners of their
    polygons, and within these in turn; of quadrilaterals that all are fans, first all first halves, then all second.

    Raises PolygonError for a concave polygon of more than MAX_NOTCHED_CORNERS corners.
    """
    starts = np.cumsum(sizes) - sizes
    triangles: list[Indices] = []
    owners: list[Indices] = []
    for size in np.unique(sizes[sizes >= 3]).tolist():
        numbers = np.flatnonzero(sizes == size)
        polygons = corners[starts[numbers][:, None] + np.arange(size)]
        fan = [(0, k, k + 1) for k in range(1, size - 1)] if size != 4 else _HALVES
        fans = polygons[:, fan]
        owner = np.repeat(numbers[:, None], size - 2, axis=1)
        whole = _fans_cover(points, polygons)
        if size == 4 and whole.all():
            fans, owner = fans.transpose(1, 0, 2), owner.T
        elif not whole.all():
            keep = np.repeat(whole[:, None], size - 2, axis=1)
            cut = [_clip_ears(points, polygons[k], int(numbers[k])) for k in np.flatnonzero(~whole)]
            fans = np.concatenate([fans[keep], *cut])
            owner = np.concatenate([owner[keep], np.repeat(numbers[~whole], [len(faces) for faces in cut])])
            order = np.argsort(owner, kind="stable")
            fans, owner = fans[order], owner[order]
        triangles.append(fans.reshape(-1, 3))
        owners.append(owner.reshape(-1))
    if not triangles:
        return np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(triangles), np.concatenate(owners)


def _fans_cover(points: FloatArray, polygons: Indices) -> npt.NDArray[np.bool_]:
    """Tell for each of the polygons (P, n) whether the fan from its first corner covers it and nothing else.

    Seen along the normal, the fan's triangles must all turn the way the polygon does.
    """
    if polygons.shape[1] == 3:
        return np.ones(len(polygons), dtype=np.bool_)
    with np.errstate(all="ignore"):
        spokes = points[polygons[:, 1:]] - points[polygons[:, :1]]
        spokes /= np.abs(spokes).max(axis=(1, 2), keepdims=True)
        across = np.cross(spokes[:, :-1], spokes[:, 1:])  # twice the area of each triangle, along its normal
        normal = across.sum(axis=1)
        length = np.linalg.norm(normal, axis=1)
        turned = np.einsum("pkx,px->pk", across, normal).min(axis=1) < -_FLAT * length
    # without area, or with numbers that are not finite, nothing can be judged: the caller reports that
    fans: npt.NDArray[np.bool_] = ~(turned & (length > _FLAT))
    return fans


def _clip_ears(points: FloatArray, polygon: Indices, number: int) -> Indices:
    if len(polygon) > MAX_NOTCHED_CORNERS:
        raise PolygonError(number, f"has {len(polygon):,} corners and is concave: triangulate the mesh")
    places = points[polygon] - points[polygon[0]]
    places /= np.abs(places).max()
    normal = np.cross(places, np.roll(places, -1, axis=0)).sum(axis=0)
    normal /= np.linalg.norm(normal)
    along = np.eye(3)[np.argmin(np.abs(normal))]
    along -= normal * (along @ normal)
    along /= np.linalg.norm(along)
    flat = np.ascontiguousarray(places @ np.stack([along, np.cross(normal, along)], axis=1))
    ears = mapbox_earcut.triangulate_float64(flat, np.array([len(flat)], dtype=np.uint32)).reshape(-1, 3)
    a, b, c = flat[ears].transpose(1, 2, 0)
    if ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).sum() < 0.0:
        ears = ears[:, ::-1]
    triangles: Indices = polygon[ears.astype(np.int64)]
    return triangles
