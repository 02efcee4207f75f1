"""Plain buildings with known answers, for the tests of rooms."""

import numpy as np
import numpy.typing as npt

from spatialqa.rooms.materials import material
from spatialqa.rooms.room import Room

Triangles = npt.NDArray[np.float64]  # (n, 3, 3)
Corner = tuple[float, float, float]
SIDES = ("left", "right", "floor", "ceiling", "back", "front")  # -x, +x, -y, +y, -z, +z


def box(low: Corner, high: Corner, without: tuple[str, ...] = ()) -> Triangles:
    """Return the faces of an axis-aligned box; winding alternates, because nothing may depend on it."""
    faces = []
    for axis in range(3):
        u, v = [k for k in range(3) if k != axis]
        for end, value in enumerate((low[axis], high[axis])):
            if SIDES[2 * axis + end] in without:
                continue
            corners = np.full((4, 3), value, dtype=float)
            corners[:, u] = [low[u], high[u], high[u], low[u]]
            corners[:, v] = [low[v], low[v], high[v], high[v]]
            faces += [corners[[0, 1, 2]], corners[[0, 3, 2]]]
    return np.array(faces)


def quad(a: Corner, b: Corner, c: Corner, d: Corner) -> Triangles:
    """Return two triangles over four corners in order."""
    return np.array([[a, b, c], [a, c, d]], dtype=float)


def wall_with_door(
    x: float, z: tuple[float, float], door: tuple[float, float], door_top: float, top: float
) -> Triangles:
    """Return a thin wall across z at one x, from the floor to `top`, with a doorway."""
    return np.concatenate(
        [
            quad((x, 0, z[0]), (x, 0, door[0]), (x, top, door[0]), (x, top, z[0])),
            quad((x, 0, door[1]), (x, 0, z[1]), (x, top, z[1]), (x, top, door[1])),
            quad((x, door_top, door[0]), (x, door_top, door[1]), (x, top, door[1]), (x, top, door[0])),
        ]
    )


def room(*parts: Triangles, room_id: str = "test") -> Room:
    """Return a room of one material."""
    triangles = np.concatenate(parts)
    n = len(triangles)
    return Room(
        "test",
        room_id,
        room_id,
        triangles.reshape(-1, 3).astype(np.float32),
        np.arange(3 * n, dtype=np.int32).reshape(n, 3),
        np.zeros(n, dtype=np.int32),
        (material("default"),),
    )
