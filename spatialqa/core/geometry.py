"""Coordinate frames, poses and angles. All sign conventions are defined here.

World: right-handed, metres, +x right, +y up, -z forward (Habitat's frame).
Head: +x right ear, +y up, -z nose. An orientation is a unit quaternion (w, x, y, z) that turns head vectors into
world vectors; yaw is about +y and positive yaw turns the head to the left.
Azimuth: degrees in (-180, 180], 0 straight ahead, positive to the LEFT (SOFA, DCASE). Elevation: degrees in
[-90, 90], positive up.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.errors import SpatialQAError

Vec3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
FloatArray = npt.NDArray[np.float64]

IDENTITY: Quaternion = (1.0, 0.0, 0.0, 0.0)
SPEED_OF_SOUND_M_S = 343.0
_UNIT_TOLERANCE = 1e-6


class Direction(NamedTuple):
    """Where a point lies as the listener's head sees it."""

    azimuth_deg: float
    elevation_deg: float
    distance_m: float


class DirectionWords(NamedTuple):
    """The three words of a direction: left or right, front or behind, above or below."""

    horizontal: str
    depth: str
    vertical: str


@dataclass(frozen=True)
class Pose:
    """A listener's head: its centre in the world (metres) and its orientation (head to world)."""

    position: Vec3
    orientation: Quaternion = IDENTITY

    def __post_init__(self) -> None:
        if len(self.position) != 3 or not all(math.isfinite(x) for x in self.position):
            raise SpatialQAError(f"a position needs three finite numbers in metres, got {self.position!r}")
        check_unit(self.orientation)


def check_unit(q: Quaternion) -> None:
    """Raise SpatialQAError unless `q` is four finite numbers of norm 1 (within 1e-6)."""
    if len(q) != 4 or not all(math.isfinite(x) for x in q):
        raise SpatialQAError(f"an orientation needs four finite numbers (w, x, y, z), got {q!r}")
    norm = math.sqrt(sum(x * x for x in q))
    if abs(norm - 1.0) > _UNIT_TOLERANCE:
        raise SpatialQAError(
            f"the orientation {q!r} is not a unit quaternion (its norm is {norm:.6g}): divide it by its norm"
        )


def yaw_quaternion(yaw_deg: float) -> Quaternion:
    """Return the orientation of a level head turned by `yaw_deg` to the left."""
    half = math.radians(yaw_deg) / 2
    return (math.cos(half), 0.0, math.sin(half), 0.0)


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the Hamilton product: the rotation that does `b` first and then `a`."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def rotation_matrix(q: Quaternion) -> FloatArray:
    """Return the (3, 3) float64 matrix that turns head vectors (columns) into world vectors."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def to_head(listener: Pose, points: npt.ArrayLike) -> FloatArray:
    """Return world points (..., 3) in the listener's head frame, float64 (..., 3), metres."""
    offset = np.asarray(points, dtype=np.float64) - np.asarray(listener.position)
    return _times(offset, rotation_matrix(listener.orientation))


def to_world(listener: Pose, points: npt.ArrayLike) -> FloatArray:
    """Return head-frame points (..., 3) in the world frame, float64 (..., 3), metres."""
    turned = _times(np.asarray(points, dtype=np.float64), rotation_matrix(listener.orientation).T)
    world: FloatArray = turned + np.asarray(listener.position)
    return world


def _times(points: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return points (..., 3) times a (3, 3) matrix without BLAS, whose last bit depends on the instruction set."""
    product: FloatArray = points[..., :1] * matrix[0] + points[..., 1:2] * matrix[1] + points[..., 2:] * matrix[2]
    return product


def spherical(head_points: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return azimuth_deg, elevation_deg and distance_m, each float64 (...), of head-frame points (..., 3)."""
    p = np.asarray(head_points, dtype=np.float64)
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    azimuth = np.degrees(np.arctan2(0.0 - x, 0.0 - z))
    azimuth = np.where(azimuth <= -180.0, 180.0, azimuth) + 0.0
    elevation = np.degrees(np.arctan2(y, np.hypot(x, z))) + 0.0
    return azimuth, elevation, np.sqrt(x * x + y * y + z * z)


def cartesian(azimuth_deg: npt.ArrayLike, elevation_deg: npt.ArrayLike, distance_m: npt.ArrayLike = 1.0) -> FloatArray:
    """Return the head-frame points (..., 3), metres, at these angles and distances: the inverse of `spherical`."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    r = np.asarray(distance_m, dtype=np.float64)
    level = r * np.cos(elevation)
    parts = np.broadcast_arrays(-level * np.sin(azimuth), r * np.sin(elevation), -level * np.cos(azimuth))
    return np.stack(parts, axis=-1)


def direction(listener: Pose, point: Vec3) -> Direction:
    """Return where a world point lies for this listener; a point at the head's centre is an error."""
    azimuth, elevation, distance = spherical(to_head(listener, point))
    if distance == 0:
        raise SpatialQAError(f"the point {point!r} is the centre of the listener's head and has no direction")
    return Direction(float(azimuth), float(elevation), float(distance))


def direction_words(head_point: npt.ArrayLike) -> DirectionWords:
    """Name the octant of a head-frame point (3,): left if x < 0, front if z < 0, above if y > 0."""
    x, y, z = np.asarray(head_point, dtype=np.float64)
    return DirectionWords("left" if x < 0 else "right", "front" if z < 0 else "behind", "above" if y > 0 else "below")


def great_circle_deg(azimuth_a: float, elevation_a: float, azimuth_b: float, elevation_b: float) -> float:
    """Return the angle in degrees, 0 to 180, between two directions given in degrees."""
    a, b = cartesian(azimuth_a, elevation_a), cartesian(azimuth_b, elevation_b)
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b)))


def z_up_to_world(points: npt.ArrayLike) -> FloatArray:
    """Return z-up points (..., 3), as Matterport3D stores them, in the world frame: (x, y, z) becomes (x, z, -y)."""
    p = np.asarray(points, dtype=np.float64)
    return np.stack([p[..., 0], p[..., 2], -p[..., 1]], axis=-1)
