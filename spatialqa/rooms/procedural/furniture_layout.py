"""Places furniture in the rooms of a floor plan without collisions, with doors and walking space kept free."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from spatialqa.rooms.procedural.floor_plan import FloorPlan, Rect, RoomPlan, Wall, WallFeature
from spatialqa.rooms.procedural.furniture import BUILDERS, Piece, Solid
from spatialqa.rooms.procedural.sampling import chance, draw_length, pick

BODY_RADIUS_M = 0.25  # of someone who walks through the room
_CELL_M = 0.1
_WALL_GAP_M = 0.03
_TRIES = 12
_DOOR_DEPTH_M = 0.9
_WINDOW_DEPTH_M = 0.5

# What a room of each label may hold, in the order in which it is placed: name, likelihood, most of them.
_PROGRAMMES: dict[str, tuple[tuple[str, float, int], ...]] = {
    "bathroom": (("bathtub", 0.7, 1), ("toilet", 0.9, 1), ("basin", 0.9, 2), ("washing_machine", 0.3, 1)),
    "bedroom": (
        ("bed", 1.0, 2), ("wardrobe", 0.9, 2), ("nightstand", 0.8, 2), ("desk_and_chair", 0.4, 1), ("chest", 0.5, 1),
        ("bookcase", 0.3, 1), ("armchair", 0.25, 1), ("floor_lamp", 0.3, 1),
    ),
    "classroom": (("desk_and_chair", 1.0, 12), ("chest", 0.5, 2), ("bookcase", 0.5, 2)),
    "dining room": (("table_and_chairs", 1.0, 2), ("chest", 0.8, 2), ("plant", 0.4, 2), ("floor_lamp", 0.3, 1)),
    "family room": (
        ("sofa_and_table", 1.0, 1), ("television", 0.8, 1), ("armchair", 0.6, 2), ("bookcase", 0.7, 2),
        ("table_and_chairs", 0.4, 1), ("plant", 0.4, 2), ("floor_lamp", 0.4, 1),
    ),
    "garage": (("workbench", 0.9, 1), ("storage_rack", 0.9, 3), ("crate", 0.8, 5), ("washing_machine", 0.3, 1)),
    "hallway": (("shoe_cabinet", 0.8, 2), ("plant", 0.3, 1)),
    "kitchen": (
        ("counter", 1.0, 2), ("refrigerator", 0.9, 1), ("table_and_chairs", 0.7, 1), ("chest", 0.3, 1),
    ),
    "laundry room": (("washing_machine", 1.0, 2), ("storage_rack", 0.6, 1), ("crate", 0.5, 2)),
    "library": (
        ("bookcase", 1.0, 7), ("armchair", 0.7, 2), ("desk_and_chair", 0.7, 2), ("floor_lamp", 0.5, 2),
    ),
    "living room": (
        ("sofa_and_table", 1.0, 1), ("sofa", 0.4, 1), ("television", 0.8, 1), ("armchair", 0.6, 2),
        ("bookcase", 0.6, 2), ("chest", 0.4, 1), ("plant", 0.5, 2), ("floor_lamp", 0.5, 1),
    ),
    "lounge": (
        ("sofa_and_table", 1.0, 3), ("armchair", 0.7, 4), ("plant", 0.6, 3), ("bookcase", 0.4, 1),
        ("floor_lamp", 0.5, 2),
    ),
    "meeting room": (("meeting_table", 1.0, 1), ("chest", 0.6, 1), ("plant", 0.4, 2), ("television", 0.4, 1)),
    "office": (("desk_and_chair", 1.0, 4), ("bookcase", 0.7, 3), ("chest", 0.5, 2), ("plant", 0.4, 1)),
}  # fmt: skip
_FREE_STANDING = ("table_and_chairs", "meeting_table")
_BARE = ("bathroom", "garage", "kitchen", "laundry room")  # no curtains, no large rug


@dataclass(frozen=True)
class Item:
    """A piece of furniture in its place: solids in the world frame. One can step on a rug and walk under a lamp."""

    name: str
    room: int
    solids: tuple[Solid, ...]

    @cached_property
    def footprint(self) -> Rect:
        """The rectangle on the floor that holds every solid."""
        return Rect(
            min(s.low[0] for s in self.solids),
            min(s.low[2] for s in self.solids),
            max(s.high[0] for s in self.solids),
            max(s.high[2] for s in self.solids),
        )

    @cached_property
    def heights(self) -> tuple[float, float]:
        """The lowest and highest y, metres."""
        return min(s.low[1] for s in self.solids), max(s.high[1] for s in self.solids)

    @property
    def blocks(self) -> bool:
        """Whether one must walk around it."""
        return self.name != "rug" and self.heights[0] < 1.9


class _Occupancy:
    """What of one room is taken, as boxes for things and as a grid for the feet."""

    def __init__(self, room: RoomPlan, features: list[WallFeature]) -> None:
        self.room = room
        self.boxes: list[tuple[Rect, float, float]] = []
        xs, zs = [x for x, _ in room.outline], [z for _, z in room.outline]
        self.origin = (min(xs), min(zs))
        shape = tuple(int(np.ceil((max(v) - min(v)) / _CELL_M)) for v in (xs, zs))
        self.free: npt.NDArray[np.bool_] = np.zeros(shape, dtype=bool)
        for part in room.parts:
            self.free[self._cells(part.grown(-BODY_RADIUS_M), outward=False)] = True
        self.doorsteps: list[tuple[int, int]] = []
        for feature in features:
            wall = room.walls[feature.wall]
            if feature.role in ("doorway", "door"):
                clear = wall.strip(feature.start - 0.1, feature.end + 0.1, 0.0, _DOOR_DEPTH_M)
                self.boxes.append((clear, 0.0, feature.top))
                x, z = wall.point((feature.start + feature.end) / 2, BODY_RADIUS_M + 0.15)
                self.doorsteps.append((int((x - self.origin[0]) / _CELL_M), int((z - self.origin[1]) / _CELL_M)))

    def _cells(self, rect: Rect, outward: bool) -> tuple[slice, slice]:
        """Return the cells that a rectangle touches (outward) or holds whole."""
        slices = []
        for low, high, origin in ((rect.x0, rect.x1, self.origin[0]), (rect.z0, rect.z1, self.origin[1])):
            a, b = (low - origin) / _CELL_M, (high - origin) / _CELL_M
            first, end = (np.floor(a), np.ceil(b)) if outward else (np.ceil(a), np.floor(b))
            slices.append(slice(max(0, int(first)), max(0, int(end))))
        return slices[0], slices[1]

    def fits(self, item: Item) -> bool:
        """Tell whether the item lies in the room, touches nothing and leaves the floor walkable."""
        footprint, (bottom, top) = item.footprint, item.heights
        if not any(footprint.within(part.grown(-0.01)) for part in self.room.parts):
            return False
        near = footprint.grown(0.02)
        if any(near.overlaps(rect) and bottom < high and low < top for rect, low, high in self.boxes):
            return False
        return not item.blocks or bottom > 1.0 or self._walkable(self._without(item))

    def _without(self, item: Item) -> npt.NDArray[np.bool_]:
        free = self.free.copy()
        free[self._cells(item.footprint.grown(BODY_RADIUS_M), outward=True)] = False
        return free

    def _walkable(self, free: npt.NDArray[np.bool_]) -> bool:
        """Tell whether the doors are joined by free floor, hardly any of it is cut off, and enough is left."""
        labels, count = ndimage.label(free)
        sizes = np.bincount(labels.ravel(), minlength=2)
        sizes[0] = 0
        main = int(sizes.argmax())
        return bool(
            count > 0
            and sizes[main] * _CELL_M**2 >= 0.22 * self.room.area
            and sizes[main] >= 0.95 * sizes.sum()
            and all(labels[cell] == main for cell in self.doorsteps)
        )

    def put(self, item: Item) -> None:
        """Take the place of an item."""
        self.boxes.append((item.footprint, *item.heights))
        if item.blocks and item.heights[0] <= 1.0:
            self.free = self._without(item)


def furnish(plan: FloorPlan, fullness: float, rng: np.random.Generator) -> tuple[Item, ...]:
    """Return the furniture of every room; fullness, 0 to 1, tells how much of what may be there is there."""
    items: list[Item] = []
    for index, room in enumerate(plan.rooms):
        features = [feature for feature in plan.features if feature.room == index]
        items += _furnish_room(index, room, features, fullness, rng)
    return tuple(items)


def _furnish_room(
    index: int, room: RoomPlan, features: list[WallFeature], fullness: float, rng: np.random.Generator
) -> Iterator[Item]:
    taken = _Occupancy(room, features)
    windows = [feature for feature in features if feature.role == "window"]
    for window in windows:
        if room.label not in _BARE and chance(rng, 0.2 + 0.6 * fullness):
            for curtain in _curtains(index, room, window, rng):
                if taken.fits(curtain):
                    taken.put(curtain)
                    yield curtain
    for window in windows:
        front = room.walls[window.wall].strip(window.start, window.end, 0.0, _WINDOW_DEPTH_M)
        taken.boxes.append((front, window.bottom + 0.1, window.top))
    for name, likelihood, most in _PROGRAMMES[room.label]:
        for k in range(most):
            wanted = likelihood * (0.3 + 0.7 * fullness) * (1.0 if k == 0 else 0.7)
            if chance(rng, wanted):
                piece = BUILDERS[name](rng)
                for _ in range(_TRIES):
                    place = _anywhere if name in _FREE_STANDING and chance(rng, 0.8) else _at_a_wall
                    item = place(index, room, piece, rng)
                    if item is not None and taken.fits(item):
                        taken.put(item)
                        yield item
                        break
    for _ in range(int(4 * rng.random() * (0.3 + fullness))):
        item = _at_a_wall(index, room, _picture(rng), rng)
        if item is not None and taken.fits(item):
            taken.put(item)
            yield item
    yield from _rug(index, room, fullness, rng)
    lamp = _ceiling_lamp(index, room, rng)
    if lamp is not None and taken.fits(lamp):
        yield lamp


def _placed(room: int, piece: Piece, origin: Wall) -> Item:
    """Return the piece with its back on a wall that starts where the piece's back does."""

    def world(x: float, y: float, z: float) -> tuple[float, float, float]:
        wx, wz = origin.point(x, z)
        return wx, round(y, 3), wz

    solids = []
    for solid in piece.solids:
        a, b = world(*solid.low), world(*solid.high)
        low, high = (min(a[0], b[0]), a[1], min(a[2], b[2])), (max(a[0], b[0]), b[1], max(a[2], b[2]))
        solids.append(solid._replace(low=low, high=high))
    return Item(piece.name, room, tuple(solids))


def _at_a_wall(index: int, room: RoomPlan, piece: Piece, rng: np.random.Generator) -> Item | None:
    wall = pick(rng, room.walls)
    spare = wall.length - piece.width - 2 * _WALL_GAP_M
    if spare < 0:
        return None
    place = rng.random() * 2 - 0.5  # half of the draws fall in a corner
    along = round(_WALL_GAP_M + spare * min(1.0, max(0.0, place)), 2)
    return _placed(index, piece, wall._replace(start=wall.point(along, _WALL_GAP_M)))


def _anywhere(index: int, room: RoomPlan, piece: Piece, rng: np.random.Generator) -> Item | None:
    part = pick(rng, room.parts)
    facing = pick(rng, room.walls)
    wide, deep = (piece.width, piece.depth) if facing.along[0] else (piece.depth, piece.width)
    spare_x, spare_z = part.x1 - part.x0 - wide, part.z1 - part.z0 - deep
    if min(spare_x, spare_z) < 0:
        return None
    x0 = part.x0 + spare_x * (0.25 + 0.5 * rng.random())
    z0 = part.z0 + spare_z * (0.25 + 0.5 * rng.random())
    turned = sum(facing.along) < 0, sum(facing.inward) < 0
    start = (
        x0 + wide * (turned[0] if facing.along[0] else turned[1]),
        z0 + deep * (turned[1] if facing.along[0] else turned[0]),
    )
    return _placed(index, piece, facing._replace(start=(round(start[0], 2), round(start[1], 2))))


def _curtains(index: int, room: RoomPlan, window: WallFeature, rng: np.random.Generator) -> Iterator[Item]:
    """Return a drawn curtain, or one on each side of the window."""
    wall = room.walls[window.wall]
    low, high = window.start - 0.12, window.end + 0.12
    bottom = 0.05 if chance(rng, 0.6) else round(window.bottom - 0.15, 2)
    bottom, top = max(0.05, bottom), round(min(window.top + 0.15, room.ceiling_y - 0.05), 2)
    if chance(rng, 0.5):
        spans = [(low, high)]
    else:
        width = max(0.2, 0.2 * (high - low))
        spans = [(low, low + width), (high - width, high)]
    for start, end in spans:
        ends = max(0.03, start), min(wall.length - 0.03, end)
        piece = Piece("curtain", 0.0, 0.06, (Solid((ends[0], bottom, 0.06), (ends[1], top, 0.12), "curtain"),))
        yield _placed(index, piece, wall)


def _picture(rng: np.random.Generator) -> Piece:
    width, low = draw_length(rng, 0.4, 1.4), draw_length(rng, 1.15, 1.4)
    top = round(low + draw_length(rng, 0.4, 0.8), 2)
    return Piece("picture", width, 0.03, (Solid((0.0, low, 0.0), (width, top, 0.03), "picture"),))


def _rug(index: int, room: RoomPlan, fullness: float, rng: np.random.Generator) -> Iterator[Item]:
    if not chance(rng, 0.15 if room.label in _BARE else 0.25 + 0.55 * fullness):
        return
    part = pick(rng, room.parts).grown(-0.3)
    wide, deep = part.x1 - part.x0, part.z1 - part.z0
    width = draw_length(rng, 0.5, 0.9) * wide
    depth = draw_length(rng, 0.5, 0.9) * deep
    if room.label in _BARE:
        width, depth = min(width, 1.2), min(depth, 0.8)
    x0 = round(part.x0 + (wide - width) * rng.random(), 2)
    z0 = round(part.z0 + (deep - depth) * rng.random(), 2)
    yield Item("rug", index, (Solid((x0, 0.0, z0), (round(x0 + width, 2), 0.015, round(z0 + depth, 2)), "rug"),))


def _ceiling_lamp(index: int, room: RoomPlan, rng: np.random.Generator) -> Item | None:
    """Return a lamp that hangs from the ceiling, out of reach of heads; None where the ceiling is low."""
    drop, radius = draw_length(rng, 0.3, 0.7), draw_length(rng, 0.12, 0.3)
    bottom = round(room.ceiling_y - drop, 2)
    part = max(room.parts, key=lambda rect: rect.area)
    if bottom < 2.05 or chance(rng, 0.3):
        return None
    x, z = round((part.x0 + part.x1) / 2, 2), round((part.z0 + part.z1) / 2, 2)
    shade_top = round(bottom + 0.2, 2)
    shade = Solid((x - radius, bottom, z - radius), (x + radius, shade_top, z + radius), "fabric", is_round=True)
    cord = Solid((x - 0.01, shade_top, z - 0.01), (x + 0.01, round(room.ceiling_y - 0.01, 2), z + 0.01), "metal")
    return Item("ceiling lamp", index, (shade, cord))
