"""Draws the floor plans of procedural homes: one rectangular or L-shaped room, or an apartment."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from spatialqa.errors import RoomError
from spatialqa.rooms.procedural.floor_plan import Doorway, FloorPlan, Rect, RoomPlan, WallFeature
from spatialqa.rooms.procedural.sampling import chance, draw_length, pick

MIN_CEILING_M = 2.3
MAX_CEILING_M = 3.5
_MIN_SIDE_M = 1.8
_MAX_ASPECT = 2.8
_CORNER_MARGIN_M = 0.15
_LAYOUT_ATTEMPTS = 200

# Floor area of a home that is one room (square metres), by label.
_SINGLE_AREAS: dict[str, tuple[float, float]] = {
    "bathroom": (4.5, 10),
    "bedroom": (9, 26),
    "classroom": (35, 75),
    "dining room": (11, 30),
    "family room": (16, 42),
    "garage": (16, 40),
    "hallway": (6, 16),
    "kitchen": (8, 24),
    "laundry room": (5, 10),
    "library": (12, 42),
    "living room": (15, 48),
    "lounge": (20, 60),
    "meeting room": (16, 48),
    "office": (8, 36),
}
_L_LABELS = ("bedroom", "family room", "kitchen", "library", "living room", "lounge", "office")

# What an apartment's rooms are, from the largest down; a hallway comes on top of these.
_PROGRAMMES: dict[int, tuple[tuple[str, ...], ...]] = {
    2: (("living room", "bedroom"), ("living room", "kitchen"), ("bedroom", "bathroom"), ("office", "meeting room")),
    3: (
        ("living room", "bedroom", "bathroom"),
        ("living room", "bedroom", "kitchen"),
        ("meeting room", "office", "office"),
        ("family room", "dining room", "kitchen"),
    ),
    4: (
        ("living room", "bedroom", "kitchen", "bathroom"),
        ("living room", "dining room", "kitchen", "bathroom"),
        ("lounge", "meeting room", "office", "office"),
    ),
    5: (
        ("living room", "bedroom", "bedroom", "kitchen", "bathroom"),
        ("living room", "bedroom", "office", "kitchen", "bathroom"),
        ("family room", "bedroom", "dining room", "kitchen", "laundry room"),
    ),
    6: (
        ("living room", "bedroom", "bedroom", "dining room", "kitchen", "bathroom"),
        ("living room", "bedroom", "library", "office", "kitchen", "bathroom"),
        ("family room", "bedroom", "bedroom", "kitchen", "bathroom", "laundry room"),
    ),
}
_NO_THROUGHWAY = ("bathroom", "laundry room")
_MAX_WET_M2 = 11.0
_FEW_WINDOWS = ("bathroom", "garage", "hallway", "laundry room")


def draw_floor_plan(kind: str, liveness: float, rng: np.random.Generator) -> FloorPlan:
    """Return a floor plan of this kind ("shoebox", "l_shape" or "apartment").

    liveness, 0 to 1, leans towards large and high rooms, which is where long reverberation is at home.
    """
    height = _lean(rng, liveness, MIN_CEILING_M, MAX_CEILING_M)
    if kind == "apartment":
        rooms, doorways = _apartment(liveness, height, rng)
    else:
        rooms, doorways = (_shoebox if kind == "shoebox" else _l_shape)(liveness, height, rng), ()
    return FloorPlan(kind, rooms, doorways, _wall_features(rooms, doorways, rng))


def _lean(rng: np.random.Generator, liveness: float, low: float, high: float) -> float:
    return round(low + (high - low) * (0.6 * rng.random() + 0.4 * liveness), 2)


def _rectangular(label: str, rect: Rect, ceiling_y: float) -> RoomPlan:
    return RoomPlan(label, rect.corners, (rect,), (rect,), ceiling_y)


def _centred(width: float, depth: float) -> Rect:
    x, z = round(width / 2, 2), round(depth / 2, 2)
    return Rect(-x, -z, x, z)


def _shoebox(liveness: float, height: float, rng: np.random.Generator) -> tuple[RoomPlan, ...]:
    label = pick(rng, tuple(_SINGLE_AREAS))
    area = _lean(rng, liveness, *_SINGLE_AREAS[label])
    aspect = draw_length(rng, 2.2, 3.5) if label == "hallway" else draw_length(rng, 1.0, 1.8)
    width, depth = (area * aspect) ** 0.5, (area / aspect) ** 0.5
    if chance(rng, 0.5):
        width, depth = depth, width
    return (_rectangular(label, _centred(width, depth), height),)


def _l_shape(liveness: float, height: float, rng: np.random.Generator) -> tuple[RoomPlan, ...]:
    label = pick(rng, _L_LABELS)
    hall = _centred(_lean(rng, liveness, 4.4, 9.5), _lean(rng, liveness, 4.4, 9.5))
    # The long arms lie along the low-z and low-x sides, and then the whole is mirrored.
    inner_x = round(hall.x0 + (hall.x1 - hall.x0) * (0.35 + 0.3 * rng.random()), 2)
    inner_z = round(hall.z0 + (hall.z1 - hall.z0) * (0.35 + 0.3 * rng.random()), 2)
    sign_x, sign_z = (1 if chance(rng, 0.5) else -1), (1 if chance(rng, 0.5) else -1)
    outline = [
        (sign_x * x, sign_z * z)
        for x, z in (
            *hall.corners[:2],
            (hall.x1, inner_z),
            (inner_x, inner_z),
            (inner_x, hall.z1),
            (hall.x0, hall.z1),
        )
    ]
    if sign_x * sign_z < 0:
        outline.reverse()

    def mirrored(rect: Rect) -> Rect:
        xs, zs = sorted((sign_x * rect.x0, sign_x * rect.x1)), sorted((sign_z * rect.z0, sign_z * rect.z1))
        return Rect(xs[0], zs[0], xs[1], zs[1])

    across = mirrored(Rect(hall.x0, hall.z0, hall.x1, inner_z))
    down = mirrored(Rect(hall.x0, hall.z0, inner_x, hall.z1))
    rest = mirrored(Rect(hall.x0, inner_z, inner_x, hall.z1))
    return (RoomPlan(label, tuple(outline), (across, down), (across, rest), height),)


def _apartment(
    liveness: float, height: float, rng: np.random.Generator
) -> tuple[tuple[RoomPlan, ...], tuple[Doorway, ...]]:
    for _ in range(_LAYOUT_ATTEMPTS):
        count = 2 + int(5 * rng.random())
        wall_m = draw_length(rng, 0.1, 0.25)
        with_hall = count >= 4 and chance(rng, 0.6)
        rects = (_around_a_hall if with_hall else _by_cutting)(count, wall_m, liveness, rng)
        if any(not _usable(rect, is_hall=with_hall and k == 0) for k, rect in enumerate(rects)):
            continue
        labels = _labels(rects, with_hall, rng)
        large_for_it = any(b in _NO_THROUGHWAY and r.area > _MAX_WET_M2 for r, b in zip(rects, labels, strict=True))
        doorways = _join(rects, labels, wall_m, rng)
        if doorways is None or large_for_it:
            continue
        rooms = []
        for rect, label in zip(rects, labels, strict=True):
            lowered = draw_length(rng, 0.1, 0.35) if chance(rng, 0.3) else 0.0
            rooms.append(_rectangular(label, rect, max(MIN_CEILING_M, round(height - lowered, 2))))
        return tuple(rooms), doorways
    raise RoomError(
        f"found no floor plan for an apartment in {_LAYOUT_ATTEMPTS} attempts: please report this bug of spatialqa"
    )


def _usable(rect: Rect, is_hall: bool) -> bool:
    short, long = sorted((rect.x1 - rect.x0, rect.z1 - rect.z0))
    return is_hall or (short >= _MIN_SIDE_M and long <= _MAX_ASPECT * short)


def _by_cutting(count: int, wall_m: float, liveness: float, rng: np.random.Generator) -> list[Rect]:
    area = count * _lean(rng, liveness, 9.0, 24.0)
    aspect = draw_length(rng, 1.0, 1.8)
    return _cut(_centred((area * aspect) ** 0.5, (area / aspect) ** 0.5), count, wall_m, rng)


def _cut(rect: Rect, count: int, wall_m: float, rng: np.random.Generator) -> list[Rect]:
    if count == 1:
        return [rect]
    first = count // 2 if chance(rng, 0.5) else count - count // 2
    share = first / count * (0.75 + 0.5 * rng.random())
    if rect.x1 - rect.x0 >= rect.z1 - rect.z0:
        at = round(rect.x0 + share * (rect.x1 - rect.x0), 2)
        low, high = rect._replace(x1=at), rect._replace(x0=round(at + wall_m, 2))
    else:
        at = round(rect.z0 + share * (rect.z1 - rect.z0), 2)
        low, high = rect._replace(z1=at), rect._replace(z0=round(at + wall_m, 2))
    return _cut(low, first, wall_m, rng) + _cut(high, count - first, wall_m, rng)


def _around_a_hall(count: int, wall_m: float, liveness: float, rng: np.random.Generator) -> list[Rect]:
    """Return a hallway first, then the rooms in one row or two along it."""
    others = count - 1
    above = others if others <= 3 and chance(rng, 0.3) else (others + 1) // 2
    half_hall = draw_length(rng, 0.55, 0.9)
    length = round(max(above, others - above) * _lean(rng, liveness, 2.6, 4.6), 2)
    hall = Rect(round(-length / 2, 2), -half_hall, round(length / 2, 2), half_hall)
    rects = [hall]
    for row, sign in ((above, 1), (others - above, -1)):
        if row == 0:
            continue
        near, depth = round(half_hall + wall_m, 2), _lean(rng, liveness, 2.4, 5.0)
        shares = [0.7 + 0.6 * rng.random() for _ in range(row)]
        free = length - (row - 1) * wall_m
        x0 = hall.x0
        for k, share in enumerate(shares):
            x1 = hall.x1 if k == row - 1 else round(x0 + free * share / sum(shares), 2)
            zs = sorted((round(sign * near, 2), round(sign * (near + depth), 2)))
            rects.append(Rect(x0, zs[0], x1, zs[1]))
            x0 = round(x1 + wall_m, 2)
    if chance(rng, 0.5):
        rects = [Rect(rect.z0, rect.x0, rect.z1, rect.x1) for rect in rects]
    return rects


def _labels(rects: Sequence[Rect], with_hall: bool, rng: np.random.Generator) -> list[str]:
    rooms = range(1, len(rects)) if with_hall else range(len(rects))
    labels = ["hallway"] * len(rects)
    by_area = sorted(rooms, key=lambda k: -rects[k].area)
    for k, label in zip(by_area, pick(rng, _PROGRAMMES[len(rooms)]), strict=True):
        labels[k] = label
    return labels


def _shared_wall(a: Rect, b: Rect, wall_m: float) -> tuple[Rect, bool] | None:
    """Return the wall between two rooms and whether one crosses it along x; None if they are not neighbours."""
    for low, high in ((a, b), (b, a)):
        if abs(high.x0 - low.x1 - wall_m) < 0.005:
            piece = Rect(low.x1, max(a.z0, b.z0), high.x0, min(a.z1, b.z1))
            return (piece, True) if piece.z1 > piece.z0 else None
        if abs(high.z0 - low.z1 - wall_m) < 0.005:
            piece = Rect(max(a.x0, b.x0), low.z1, min(a.x1, b.x1), high.z0)
            return (piece, False) if piece.x1 > piece.x0 else None
    return None


def _join(
    rects: Sequence[Rect], labels: Sequence[str], wall_m: float, rng: np.random.Generator
) -> tuple[Doorway, ...] | None:
    """Return doorways that make one home of all rooms, and a few more; None where walls are too short for that."""
    candidates = []
    for a, b in combinations(range(len(rects)), 2):
        shared = _shared_wall(rects[a], rects[b], wall_m)
        closed = sum(label in _NO_THROUGHWAY for label in (labels[a], labels[b]))
        preference = ("hallway" not in (labels[a], labels[b])) + 2 * closed + rng.random()
        if shared is not None:
            candidates.append((preference, a, b, *shared))
    group = list(range(len(rects)))
    doorways = []
    for preference, a, b, piece, along_x in sorted(candidates):
        joins = group[a] != group[b]
        room_for_door = (piece.z1 - piece.z0 if along_x else piece.x1 - piece.x0) - 2 * _CORNER_MARGIN_M
        extra = preference < 2 and chance(rng, 0.25)
        if room_for_door < 0.8 or not (joins or extra):
            continue
        sociable = {"living room", "dining room", "kitchen", "family room", "lounge"}
        arch = {labels[a], labels[b]} <= sociable and chance(rng, 0.5)
        width = min(draw_length(rng, 1.3, 2.4) if arch else draw_length(rng, 0.8, 1.0), round(room_for_door, 2))
        start = round(_CORNER_MARGIN_M + (room_for_door - width) * rng.random(), 2)
        if along_x:
            z0 = round(piece.z0 + start, 2)
            passage = Rect(piece.x0, z0, piece.x1, round(z0 + width, 2))
        else:
            x0 = round(piece.x0 + start, 2)
            passage = Rect(x0, piece.z0, round(x0 + width, 2), piece.z1)
        doorways.append(Doorway((a, b), passage, along_x, draw_length(rng, 2.0, 2.1)))
        group = [group[a] if g == group[b] else g for g in group]
    return tuple(doorways) if len(set(group)) == 1 else None


def _wall_features(
    rooms: Sequence[RoomPlan], doorways: Sequence[Doorway], rng: np.random.Generator
) -> tuple[WallFeature, ...]:
    """Return what is in the walls; in each wall the features lie side by side."""
    features = [feature for doorway in doorways for feature in _openings(rooms, doorway)]

    def add(room: int, wall: int, width: float, bottom: float, top: float, role: str) -> bool:
        length = rooms[room].walls[wall].length
        taken = [(f.start - 0.1, f.end + 0.1) for f in features if (f.room, f.wall) == (room, wall)]
        for _ in range(4):
            start = round(_CORNER_MARGIN_M + (length - 2 * _CORNER_MARGIN_M - width) * rng.random(), 2)
            end = round(start + width, 2)
            if start >= _CORNER_MARGIN_M and all(end <= low or start >= high for low, high in taken):
                features.append(WallFeature(room, wall, start, end, bottom, top, role))
                return True
        return False

    outer = [(r, w) for r, room in enumerate(rooms) for w in range(len(room.walls)) if _is_outer(rooms, r, w)]
    entrances = sorted(outer, key=lambda rw: (rooms[rw[0]].label not in ("hallway", "living room"), rng.random()))
    for room, wall in entrances:
        if add(room, wall, draw_length(rng, 0.85, 1.0), 0.0, draw_length(rng, 2.0, 2.1), "door"):
            break
    for room, wall in outer:
        plan = rooms[room]
        if chance(rng, 0.25 if plan.label in _FEW_WINDOWS else 0.6):
            width = min(draw_length(rng, 0.7, 2.4), round(0.7 * plan.walls[wall].length, 2))
            sill = 0.1 if chance(rng, 0.15) else draw_length(rng, 0.75, 1.0)
            add(room, wall, width, sill, min(draw_length(rng, 2.0, 2.4), round(plan.ceiling_y - 0.2, 2)), "window")
    for room, plan in enumerate(rooms):
        for wall in range(len(plan.walls)):
            top = min(draw_length(rng, 1.8, 2.8), round(plan.ceiling_y - 0.1, 2))
            add(room, wall, draw_length(rng, 0.6, 2.8), draw_length(rng, 0.2, 0.9), top, "panel")
    return tuple(features)


def _openings(rooms: Sequence[RoomPlan], doorway: Doorway) -> list[WallFeature]:
    """Return the two holes that a doorway makes, one in the wall face of each room."""
    passage = doorway.passage
    holes = []
    for room in doorway.rooms:
        for k, wall in enumerate(rooms[room].walls):
            places = [
                (x - wall.start[0]) * wall.along[0] + (z - wall.start[1]) * wall.along[1] for x, z in passage.corners
            ]
            across = [
                (x - wall.start[0]) * wall.inward[0] + (z - wall.start[1]) * wall.inward[1] for x, z in passage.corners
            ]
            start, end = round(min(places), 2), round(max(places), 2)
            if abs(max(across)) < 0.005 and min(across) < -0.005 and start >= 0 and end <= wall.length:
                holes.append(WallFeature(room, k, start, end, 0.0, doorway.height, "doorway"))
    return holes


def _is_outer(rooms: Sequence[RoomPlan], room: int, wall: int) -> bool:
    """Tell whether no other room lies within half a metre behind the wall."""
    face = rooms[room].walls[wall]
    behind = face.strip(0.0, face.length, -0.5, -0.01)
    return not any(part.overlaps(behind) for k, other in enumerate(rooms) if k != room for part in other.parts)
