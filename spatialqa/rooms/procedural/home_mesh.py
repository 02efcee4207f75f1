"""Turns a floor plan and its furniture into triangles. Every normal points into the air."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialqa.rooms.procedural.floor_plan import Corner, FloorPlan, Rect, RoomPlan, Wall, WallFeature
from spatialqa.rooms.procedural.furniture import Solid
from spatialqa.rooms.procedural.furniture_layout import Item

Surface = tuple[int, str]  # (room index, role)
Triangles = npt.NDArray[np.float64]  # (n, 3 corners, 3), metres

_CYLINDER_SIDES = 8
# Corners are numbered 4 x + 2 y + z, with 1 for the high side.
_BOX_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class HomeMesh:
    """triangles: float64 (F, 3, 3), metres. surface_of: int64 (F,), indices into surfaces."""

    triangles: Triangles
    surface_of: npt.NDArray[np.int64]
    surfaces: tuple[Surface, ...]


def build_mesh(plan: FloorPlan, items: Sequence[Item]) -> HomeMesh:
    """Return the inner faces of all rooms, the reveals of their doorways, and the furniture.

    A doorway's reveals count to its first room: the sides and the lintel as "door", the threshold as "floor".
    """
    quads: list[tuple[list[tuple[float, float, float]], Surface]] = []
    for index, room in enumerate(plan.rooms):
        for tile in room.tiles:
            quads.append((_floor(tile, 0.0), (index, "floor")))
            quads.append((_floor(tile, room.ceiling_y)[::-1], (index, "ceiling")))
        for k, wall in enumerate(room.walls):
            features = [f for f in plan.features if (f.room, f.wall) == (index, k)]
            quads += [(quad, (index, role)) for quad, role in _wall(wall, room, features)]
    for doorway in plan.doorways:
        first = doorway.rooms[0]
        quads.append((_floor(doorway.passage, 0.0), (first, "floor")))
        quads.append((_floor(doorway.passage, doorway.height)[::-1], (first, "door")))
        corners = doorway.passage.corners
        for k in (0, 2) if doorway.along_x else (1, 3):
            quads.append((_upright(corners[k], corners[(k + 1) % 4], 0.0, doorway.height), (first, "door")))
    parts = [_quad_triangles([quad for quad, _ in quads])]
    owners: list[Surface] = [surface for _, surface in quads for _ in range(2)]
    boxes = [(item.room, solid) for item in items for solid in item.solids if not solid.is_round]
    parts.append(_box_triangles([solid for _, solid in boxes]))
    owners += [(room, solid.role) for room, solid in boxes for _ in range(12)]
    for item in items:
        for solid in item.solids:
            if solid.is_round:
                parts.append(_cylinder_triangles(solid))
                owners += [(item.room, solid.role)] * len(parts[-1])
    surfaces = tuple(sorted(set(owners)))
    number = {surface: k for k, surface in enumerate(surfaces)}
    return HomeMesh(np.concatenate(parts), np.array([number[owner] for owner in owners], dtype=np.int64), surfaces)


def triangle_areas(triangles: Triangles) -> npt.NDArray[np.float64]:
    """Return the area of each triangle, square metres."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    areas: npt.NDArray[np.float64] = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return areas


def air_volume(triangles: Triangles) -> float:
    """Return the volume that the triangles enclose, cubic metres; their normals must point into it."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    return -float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6


def _floor(rect: Rect, y: float) -> list[tuple[float, float, float]]:
    """Return a level rectangle that faces up."""
    return [(rect.x0, y, rect.z0), (rect.x0, y, rect.z1), (rect.x1, y, rect.z1), (rect.x1, y, rect.z0)]


def _upright(start: Corner, end: Corner, bottom: float, top: float) -> list[tuple[float, float, float]]:
    """Return an upright rectangle that faces to the inside of an outline through start and end."""
    (xa, za), (xb, zb) = start, end
    return [(xa, bottom, za), (xb, bottom, zb), (xb, top, zb), (xa, top, za)]


def _wall(
    wall: Wall, room: RoomPlan, features: Iterable[WallFeature]
) -> Iterable[tuple[list[tuple[float, float, float]], str]]:
    """Return a wall cut into upright strips: bare ones, and one for each feature with what is below and above it."""
    at = 0.0
    for feature in sorted(features, key=lambda f: f.start):
        yield _upright(wall.point(at), wall.point(feature.start), 0.0, room.ceiling_y), "wall"
        start, at = wall.point(feature.start), feature.end
        end = wall.point(at)
        if feature.bottom > 0:
            yield _upright(start, end, 0.0, feature.bottom), "wall"
        if feature.role != "doorway":
            yield _upright(start, end, feature.bottom, feature.top), feature.role
        yield _upright(start, end, feature.top, room.ceiling_y), "wall"
    yield _upright(wall.point(at), wall.point(wall.length), 0.0, room.ceiling_y), "wall"


def _quad_triangles(quads: Sequence[Sequence[tuple[float, float, float]]]) -> Triangles:
    corners = np.array(quads, dtype=np.float64)
    return corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)


def _box_triangles(solids: Sequence[Solid]) -> Triangles:
    if not solids:
        return np.empty((0, 3, 3))
    bounds = np.array([(solid.low, solid.high) for solid in solids])
    corner = np.arange(8)
    xyz = np.stack(
        [bounds[:, corner >> 2, 0], bounds[:, (corner >> 1) & 1, 1], bounds[:, corner & 1, 2]],
        axis=-1,
    )
    return xyz[:, _BOX_FACES].reshape(-1, 3, 3)


def _cylinder_triangles(solid: Solid) -> Triangles:
    turn = (np.arange(_CYLINDER_SIDES) + 0.5) * (2 * np.pi / _CYLINDER_SIDES)
    (x0, y0, z0), (x1, y1, z1) = solid.low, solid.high
    # One micrometre: trigonometry may differ in its last bit from one machine to the next, a home may not.
    x = np.round((x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(turn), 6)
    z = np.round((z0 + z1) / 2 + (z1 - z0) / 2 * np.sin(turn), 6)
    low, high = np.stack([x, np.full_like(x, y0), z], axis=-1), np.stack([x, np.full_like(x, y1), z], axis=-1)
    triangles = []
    for k in range(_CYLINDER_SIDES):
        n = (k + 1) % _CYLINDER_SIDES
        triangles += [(low[k], high[k], high[n]), (low[k], high[n], low[n])]
        if 0 < k < _CYLINDER_SIDES - 1:
            triangles += [(low[0], low[k], low[n]), (high[0], high[n], high[k])]
    return np.array(triangles)
