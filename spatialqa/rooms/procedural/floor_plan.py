"""The records of a floor plan: rooms, doorways, windows and doors.

Lengths are metres in the world frame, on a 1 cm grid, so that neighbouring walls meet exactly.
"""

from dataclasses import dataclass
from typing import NamedTuple

Corner = tuple[float, float]  # (x, z)


class Rect(NamedTuple):
    """An axis-aligned rectangle on the floor: x0 < x1 and z0 < z1."""

    x0: float
    z0: float
    x1: float
    z1: float

    @property
    def area(self) -> float:
        """Square metres."""
        return (self.x1 - self.x0) * (self.z1 - self.z0)

    @property
    def corners(self) -> tuple[Corner, ...]:
        """The four corners, in the order in which every outline runs: left turns in the (x, z) plane."""
        return ((self.x0, self.z0), (self.x1, self.z0), (self.x1, self.z1), (self.x0, self.z1))

    def grown(self, margin: float) -> "Rect":
        """Return this rectangle with every side moved outwards (inwards where margin is negative)."""
        return Rect(self.x0 - margin, self.z0 - margin, self.x1 + margin, self.z1 + margin)

    def overlaps(self, other: "Rect") -> bool:
        """Tell whether the two share area; a shared edge is not an overlap."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.z0 < other.z1 and other.z0 < self.z1

    def within(self, other: "Rect") -> bool:
        """Tell whether this rectangle lies in the other, edges included."""
        return self.x0 >= other.x0 and self.z0 >= other.z0 and self.x1 <= other.x1 and self.z1 <= other.z1


class Wall(NamedTuple):
    """One inner wall face, seen from inside the room: it runs from start along `along`, and `inward` is its normal."""

    start: Corner
    along: Corner
    inward: Corner
    length: float

    def point(self, along_m: float, inward_m: float = 0.0) -> Corner:
        """Return the (x, z) point so far along the wall and so far into the room."""
        return (
            round(self.start[0] + along_m * self.along[0] + inward_m * self.inward[0], 3),
            round(self.start[1] + along_m * self.along[1] + inward_m * self.inward[1], 3),
        )

    def strip(self, start_m: float, end_m: float, near_m: float, far_m: float) -> Rect:
        """Return the floor rectangle between two places along the wall and two distances from it."""
        (xa, za), (xb, zb) = self.point(start_m, near_m), self.point(end_m, far_m)
        return Rect(min(xa, xb), min(za, zb), max(xa, xb), max(za, zb))


@dataclass(frozen=True)
class RoomPlan:
    """One room: its outline (left turns in the (x, z) plane), label and ceiling height.

    parts are the largest rectangles in it (they may overlap): a thing is in the room if it is in one of them.
    tiles cover the floor without overlap.
    """

    label: str
    outline: tuple[Corner, ...]
    parts: tuple[Rect, ...]
    tiles: tuple[Rect, ...]
    ceiling_y: float

    @property
    def walls(self) -> tuple[Wall, ...]:
        """The inner wall faces, one for each side of the outline."""
        walls = []
        for (xa, za), (xb, zb) in zip(self.outline, self.outline[1:] + self.outline[:1], strict=True):
            length = abs(xb - xa) + abs(zb - za)
            along = (round((xb - xa) / length), round((zb - za) / length))
            walls.append(Wall((xa, za), along, (-along[1], along[0]), round(length, 2)))
        return tuple(walls)

    @property
    def area(self) -> float:
        """Floor area, square metres."""
        return sum(tile.area for tile in self.tiles)


@dataclass(frozen=True)
class Doorway:
    """An open passage through the wall between two rooms; `passage` is its floor, as deep as the wall is thick."""

    rooms: tuple[int, int]
    passage: Rect
    along_x: bool  # whether one walks through it along x
    height: float


@dataclass(frozen=True)
class WallFeature:
    """A rectangle in a wall: an open doorway, a closed door, a window, or a panel that may have its own material."""

    room: int
    wall: int
    start: float  # along the wall
    end: float
    bottom: float
    top: float
    role: str  # "doorway", "door", "window" or "panel"


@dataclass(frozen=True)
class FloorPlan:
    """The rooms of a home and what is in their walls."""

    kind: str
    rooms: tuple[RoomPlan, ...]
    doorways: tuple[Doorway, ...]
    features: tuple[WallFeature, ...]
