"""Furniture of procedural homes, built from closed boxes and cylinders.

A piece is built in its own frame: x along its back, y up from the floor, z from its back towards its front, metres.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spatialqa.rooms.procedural.sampling import chance, draw_length

Point = tuple[float, float, float]


class Solid(NamedTuple):
    """A closed solid that fills the box from low to high: the box itself, or the upright cylinder inscribed in it.

    role says what it is made of ("wood", "metal", ...); the material is chosen later.
    """

    low: Point
    high: Point
    role: str
    is_round: bool = False


@dataclass(frozen=True)
class Piece:
    """One piece of furniture in its own frame: its width along the back, its depth, and its solids."""

    name: str
    width: float
    depth: float
    solids: tuple[Solid, ...]


def box(xs: tuple[float, float], ys: tuple[float, float], zs: tuple[float, float], role: str) -> Solid:
    """Return a box between these bounds."""
    return Solid((xs[0], ys[0], zs[0]), (xs[1], ys[1], zs[1]), role)


def cylinder(x: float, z: float, radius: float, ys: tuple[float, float], role: str) -> Solid:
    """Return an upright cylinder."""
    return Solid((x - radius, ys[0], z - radius), (x + radius, ys[1], z + radius), role, is_round=True)


def _legs(xs: tuple[float, float], top: float, zs: tuple[float, float], thickness: float, role: str) -> list[Solid]:
    return [
        box((x, x + thickness), (0.0, top), (z, z + thickness), role)
        for x in (xs[0], xs[1] - thickness)
        for z in (zs[0], zs[1] - thickness)
    ]


def _table_solids(xs: tuple[float, float], height: float, zs: tuple[float, float], role: str) -> list[Solid]:
    inner_x, inner_z = (xs[0] + 0.04, xs[1] - 0.04), (zs[0] + 0.04, zs[1] - 0.04)
    return [box(xs, (height - 0.04, height), zs, role), *_legs(inner_x, height - 0.04, inner_z, 0.06, role)]


def _chair_solids(x: float, z: float, faces_front: bool) -> list[Solid]:
    """Return a chair of 0.44 by 0.48 m whose low corner is at (x, z)."""
    back = (z, z + 0.04) if faces_front else (z + 0.44, z + 0.48)
    xs, zs = (x, x + 0.44), (z, z + 0.48)
    return [
        box(xs, (0.42, 0.47), zs, "seat"),
        box(xs, (0.55, 0.9), back, "wood"),
        *_legs(xs, 0.42, zs, 0.04, "wood"),
        *(box((post, post + 0.04), (0.47, 0.55), back, "wood") for post in (xs[0], xs[1] - 0.04)),
    ]


def _cabinet(name: str, width: float, depth: float, height: float, role: str = "wood") -> Piece:
    """Return a closed cabinet on a plinth."""
    plinth = box((0.04, width - 0.04), (0.0, 0.08), (0.0, depth - 0.05), role)
    return Piece(name, width, depth, (plinth, box((0.0, width), (0.08, height), (0.0, depth), role)))


def bed(rng: np.random.Generator) -> Piece:
    """Single or double: a mattress on legs, a headboard, pillows."""
    width, depth = draw_length(rng, 0.9, 1.8), draw_length(rng, 1.9, 2.1)
    xs = (0.0, width)
    solids = [
        box(xs, (0.25, 0.55), (0.05, depth), "bedding"),
        box(xs, (0.2, draw_length(rng, 0.9, 1.2)), (0.0, 0.05), "wood"),
        *_legs(xs, 0.25, (0.05, depth), 0.08, "wood"),
    ]
    pillows = 2 if width > 1.3 else 1
    for k in range(pillows):
        centre = width * (k + 0.5) / pillows
        solids.append(box((centre - 0.3, centre + 0.3), (0.55, 0.67), (0.1, 0.5), "bedding"))
    return Piece("bed", width, depth, tuple(solids))


def nightstand(rng: np.random.Generator) -> Piece:
    """A small cabinet with a lamp on it."""
    width, height = draw_length(rng, 0.4, 0.55), draw_length(rng, 0.45, 0.6)
    cabinet = _cabinet("nightstand", width, 0.4, height)
    x = width / 2
    lamp = (
        cylinder(x, 0.2, 0.06, (height, height + 0.2), "ceramic"),
        cylinder(x, 0.2, 0.14, (height + 0.2, height + 0.4), "fabric"),
    )
    return Piece("nightstand", width, 0.4, cabinet.solids + lamp)


def wardrobe(rng: np.random.Generator) -> Piece:
    """A tall closed cabinet."""
    return _cabinet("wardrobe", draw_length(rng, 0.9, 2.2), 0.6, draw_length(rng, 1.9, 2.15))


def chest(rng: np.random.Generator) -> Piece:
    """A chest of drawers or sideboard."""
    return _cabinet("chest of drawers", draw_length(rng, 0.8, 1.6), 0.45, draw_length(rng, 0.7, 1.1))


def shoe_cabinet(rng: np.random.Generator) -> Piece:
    """A flat cabinet for a hallway."""
    return _cabinet("shoe cabinet", draw_length(rng, 0.6, 1.1), 0.22, draw_length(rng, 0.8, 1.1))


def bookcase(rng: np.random.Generator) -> Piece:
    """Open shelves, most of them with a row of books."""
    width, height, depth = draw_length(rng, 0.7, 1.4), draw_length(rng, 1.4, 2.15), 0.32
    board = 0.025
    solids = [
        box((0.0, board), (0.0, height), (0.0, depth), "wood"),
        box((width - board, width), (0.0, height), (0.0, depth), "wood"),
        box((board, width - board), (0.05, height), (0.0, 0.01), "wood"),
    ]
    shelves = int(height / 0.36)
    for k in range(shelves + 1):
        y = 0.05 + k * (height - 0.05 - board) / shelves
        solids.append(box((board, width - board), (y, y + board), (0.01, depth), "wood"))
        if k < shelves and chance(rng, 0.75):
            end = board + (width - 2 * board) * (0.4 + 0.55 * rng.random())
            top = y + board + 0.16 + 0.1 * rng.random()
            solids.append(box((board + 0.01, end), (y + board, top), (0.03, 0.27), "books"))
    return Piece("bookcase", width, depth, tuple(solids))


def _sofa_solids(width: float, depth: float) -> list[Solid]:
    return [
        box((0.15, width - 0.15), (0.14, 0.42), (0.2, depth), "upholstery"),
        box((0.15, width - 0.15), (0.14, 0.85), (0.0, 0.2), "upholstery"),
        box((0.0, 0.15), (0.14, 0.6), (0.0, depth), "upholstery"),
        box((width - 0.15, width), (0.14, 0.6), (0.0, depth), "upholstery"),
        *_legs((0.03, width - 0.03), 0.14, (0.03, depth - 0.03), 0.05, "wood"),
    ]


def sofa(rng: np.random.Generator) -> Piece:
    """A sofa for two or three."""
    width, depth = draw_length(rng, 1.5, 2.4), draw_length(rng, 0.8, 0.95)
    return Piece("sofa", width, depth, tuple(_sofa_solids(width, depth)))


def sofa_and_table(rng: np.random.Generator) -> Piece:
    """A sofa with a coffee table in front of it."""
    seat = sofa(rng)
    length, depth = draw_length(rng, 0.8, 1.2), draw_length(rng, 0.5, 0.65)
    x0, z0 = (seat.width - length) / 2, seat.depth + 0.4
    table = _table_solids((x0, x0 + length), draw_length(rng, 0.38, 0.46), (z0, z0 + depth), "wood")
    return Piece("sofa and coffee table", seat.width, z0 + depth, seat.solids + tuple(table))


def armchair(rng: np.random.Generator) -> Piece:
    """A sofa for one."""
    width = draw_length(rng, 0.75, 0.95)
    return Piece("armchair", width, 0.85, tuple(_sofa_solids(width, 0.85)))


def television(rng: np.random.Generator) -> Piece:
    """A low cabinet with a screen on it."""
    width = draw_length(rng, 1.1, 1.8)
    half, x = draw_length(rng, 0.4, 0.7), width / 2
    cabinet = _cabinet("television", width, 0.42, 0.5)
    screen = box((max(0.0, x - half), min(width, x + half)), (0.56, 0.56 + 1.1 * half), (0.12, 0.17), "screen")
    foot = box((x - 0.15, x + 0.15), (0.5, 0.56), (0.08, 0.24), "metal")
    return Piece("television", width, 0.42, (*cabinet.solids, screen, foot))


def desk_and_chair(rng: np.random.Generator) -> Piece:
    """A desk with its front to the wall, a screen or not, and a chair before it."""
    width, depth = draw_length(rng, 1.0, 1.7), draw_length(rng, 0.6, 0.8)
    solids = _table_solids((0.0, width), 0.74, (0.0, depth), "wood")
    if chance(rng, 0.6):
        x = width / 2
        solids.append(box((x - 0.28, x + 0.28), (0.84, 1.18), (0.12, 0.16), "screen"))
        solids.append(box((x - 0.1, x + 0.1), (0.74, 0.84), (0.1, 0.24), "metal"))
    solids += _chair_solids(width / 2 - 0.22, depth + 0.08, faces_front=False)
    return Piece("desk and chair", width, depth + 0.56, tuple(solids))


def table_and_chairs(rng: np.random.Generator) -> Piece:
    """A table with one to four chairs on each long side."""
    seats = 1 + int(3.2 * rng.random())
    return _seated_table(seats, draw_length(rng, 0.7, 0.95), rng)


def meeting_table(rng: np.random.Generator) -> Piece:
    """A long table with three to five chairs on each side."""
    return _seated_table(3 + int(3 * rng.random()), draw_length(rng, 1.0, 1.3), rng)


def _seated_table(seats: int, depth: float, rng: np.random.Generator) -> Piece:
    pitch = draw_length(rng, 0.6, 0.7)
    width = max(0.75, seats * pitch)
    solids = _table_solids((0.0, width), 0.75, (0.54, 0.54 + depth), "wood")
    for k in range(seats):
        x = (k + 0.5) * width / seats - 0.22
        solids += _chair_solids(x, 0.0, faces_front=True) + _chair_solids(x, depth + 0.6, faces_front=False)
    return Piece("table and chairs", width, depth + 1.08, tuple(solids))


def counter(rng: np.random.Generator) -> Piece:
    """A kitchen counter, with wall cupboards above it more often than not."""
    width = draw_length(rng, 1.4, 3.2)
    cabinet = _cabinet("kitchen counter", width, 0.6, 0.9, "counter")
    sink = box((0.2, 0.7), (0.9, 0.93), (0.1, 0.5), "metal")
    cupboards = (box((0.0, width), (1.45, 2.1), (0.0, 0.35), "wood"),) if chance(rng, 0.7) else ()
    return Piece("kitchen counter", width, 0.6, (*cabinet.solids, sink, *cupboards))


def refrigerator(rng: np.random.Generator) -> Piece:
    """A tall steel cabinet."""
    return _cabinet("refrigerator", draw_length(rng, 0.55, 0.75), 0.65, draw_length(rng, 1.5, 2.0), "metal")


def washing_machine(rng: np.random.Generator) -> Piece:
    """A washing machine or dryer, sometimes both on top of each other."""
    height = 1.7 if chance(rng, 0.3) else 0.86
    return _cabinet("washing machine", 0.6, 0.6, height, "metal")


def bathtub(rng: np.random.Generator) -> Piece:
    """An open tub: a bottom and four sides."""
    width, depth, rim = draw_length(rng, 1.5, 1.75), draw_length(rng, 0.7, 0.8), 0.06
    zs = (rim, depth - rim)
    solids = (
        box((rim, width - rim), (0.0, 0.15), zs, "bath"),
        box((0.0, rim), (0.0, 0.56), (0.0, depth), "bath"),
        box((width - rim, width), (0.0, 0.56), (0.0, depth), "bath"),
        box((rim, width - rim), (0.0, 0.56), (0.0, rim), "bath"),
        box((rim, width - rim), (0.0, 0.56), (depth - rim, depth), "bath"),
    )
    return Piece("bathtub", width, depth, solids)


def toilet(rng: np.random.Generator) -> Piece:
    """A bowl and its cistern."""
    width = draw_length(rng, 0.36, 0.42)
    x = width / 2
    solids = (
        box((0.0, width), (0.42, 0.82), (0.0, 0.18), "ceramic"),
        cylinder(x, 0.4, 0.11, (0.0, 0.3), "ceramic"),
        cylinder(x, 0.4, x, (0.3, 0.42), "ceramic"),
    )
    return Piece("toilet", width, 0.4 + x, solids)


def basin(rng: np.random.Generator) -> Piece:
    """A basin on a cabinet, with a mirror above it."""
    width = draw_length(rng, 0.5, 1.0)
    cabinet = _cabinet("basin", width, 0.46, 0.78)
    bowl = cylinder(width / 2, 0.23, 0.2, (0.78, 0.88), "ceramic")
    mirror = box((0.05, width - 0.05), (1.1, 1.85), (0.0, 0.03), "screen")
    return Piece("basin", width, 0.46, (*cabinet.solids, bowl, mirror))


def floor_lamp(rng: np.random.Generator) -> Piece:
    """A lamp on a pole."""
    height = draw_length(rng, 1.4, 1.8)
    solids = (
        cylinder(0.2, 0.2, 0.15, (0.0, 0.03), "metal"),
        box((0.19, 0.21), (0.03, height - 0.3), (0.19, 0.21), "metal"),
        cylinder(0.2, 0.2, 0.2, (height - 0.3, height), "fabric"),
    )
    return Piece("floor lamp", 0.4, 0.4, solids)


def plant(rng: np.random.Generator) -> Piece:
    """A pot with leaves."""
    width, height = draw_length(rng, 0.4, 0.8), draw_length(rng, 0.8, 1.7)
    x, pot = width / 2, min(0.2, width / 3)
    solids = (
        cylinder(x, x, pot, (0.0, 0.35), "ceramic"),
        cylinder(x, x, x, (0.35, height), "leaves"),
    )
    return Piece("plant", width, width, solids)


def storage_rack(rng: np.random.Generator) -> Piece:
    """Metal shelves with boxes on them."""
    width, height, depth = draw_length(rng, 0.9, 1.8), draw_length(rng, 1.5, 2.1), 0.45
    solids = _legs((0.0, width), height, (0.0, depth), 0.04, "metal")
    for k in range(4):
        y = 0.15 + k * (height - 0.6) / 3
        solids.append(box((0.04, width - 0.04), (y, y + 0.03), (0.04, depth - 0.04), "metal"))
        if chance(rng, 0.7):
            end = 0.1 + (width - 0.2) * (0.3 + 0.6 * rng.random())
            solids.append(box((0.1, end), (y + 0.03, y + 0.3), (0.08, 0.37), "carton"))
    return Piece("storage rack", width, depth, tuple(solids))


def workbench(rng: np.random.Generator) -> Piece:
    """A heavy table with a board for tools behind it."""
    width = draw_length(rng, 1.2, 2.4)
    solids = _table_solids((0.0, width), 0.88, (0.0, 0.7), "wood")
    return Piece("workbench", width, 0.7, (*solids, box((0.0, width), (1.1, 1.8), (0.0, 0.03), "carton")))


def crate(rng: np.random.Generator) -> Piece:
    """A closed box on the floor."""
    width, depth = draw_length(rng, 0.4, 0.9), draw_length(rng, 0.4, 0.7)
    top = draw_length(rng, 0.3, 0.8)
    return Piece("crate", width, depth, (box((0.0, width), (0.0, top), (0.0, depth), "carton"),))


BUILDERS: dict[str, Callable[[np.random.Generator], Piece]] = {
    build.__name__: build
    for build in (
        armchair, basin, bathtub, bed, bookcase, chest, counter, crate, desk_and_chair, floor_lamp, meeting_table,
        nightstand, plant, refrigerator, shoe_cabinet, sofa, sofa_and_table, storage_rack, table_and_chairs, television,
        toilet, wardrobe, washing_machine, workbench,
    )
}  # fmt: skip
