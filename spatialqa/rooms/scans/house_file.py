"""Reads the .house file of a Matterport3D scan: levels, regions, objects and categories.

Format: the description of house_segmentations in Matterport3D (Chang et al., 3DV 2017, arXiv 1709.06158), version
"ASCII 1.1": one item a line, a letter first, then fields between spaces. Coordinates are left as the file has them:
metres, z up.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spatialqa.core.geometry import Vec3
from spatialqa.core.input_files import read_regular
from spatialqa.errors import RoomError

_VERSION = ["ASCII", "1.1"]
_MAX_BYTES = 1 << 29  # the largest house has about 5 MB
# What the H line counts, in its order, from its third field on.
_COUNTED = {"I": "images", "panorama": "panoramas", "V": "vertices", "S": "surfaces", "E": "segments", "O": "objects",
            "C": "categories", "R": "regions", "portal": "portals", "L": "levels"}  # fmt: skip
_TOKENS = {
    "H": 29,
    "L": 18,
    "R": 20,
    "S": 22,
    "V": 13,
    "I": 41,
    "C": 11,
    "O": 24,
    "E": 19,
    "portal": 15,
    "panorama": 13,
}


@dataclass(frozen=True)
class Level:
    """A storey."""

    index: int
    label: str | None


@dataclass(frozen=True)
class HouseRegion:
    """A room-like part of the house. low, high: its bounding box; height: of the prism over its floor, 0 if unknown."""

    index: int
    level_index: int  # -1 for none
    label: str | None  # one letter
    position: Vec3
    low: Vec3
    high: Vec3
    height: float


@dataclass(frozen=True)
class HouseSurface:
    """A polygon of a region, as a rule its floor: corners in order around it."""

    index: int
    region_index: int  # -1 for none
    normal: Vec3
    corners: tuple[Vec3, ...]


@dataclass(frozen=True)
class Category:
    """What an object may be: as the annotators called it, and as one of mpcat40's 42 classes."""

    index: int
    mapping_index: int
    mapping_name: str
    mpcat40_index: int
    mpcat40_name: str


@dataclass(frozen=True)
class HouseObject:
    """A thing, a wall, a floor: its region and its category, each -1 for none."""

    index: int
    region_index: int
    category_index: int


@dataclass(frozen=True)
class Segment:
    """A patch of the mesh, by the id that house_segmentations' PLY gives its faces, and the object that it is of."""

    segment_id: int
    object_index: int  # -1 for none


@dataclass(frozen=True)
class House:
    """Everything in a .house file that tells what the mesh is. An item's index is its place in its tuple."""

    name: str
    levels: tuple[Level, ...]
    regions: tuple[HouseRegion, ...]
    surfaces: tuple[HouseSurface, ...]
    categories: tuple[Category, ...]
    objects: tuple[HouseObject, ...]
    segments: tuple[Segment, ...]


@dataclass
class _Items:
    levels: list[Level] = field(default_factory=list)
    regions: list[HouseRegion] = field(default_factory=list)
    surfaces: list[tuple[int, Vec3]] = field(default_factory=list)
    corners: dict[int, list[Vec3]] = field(default_factory=dict)
    categories: list[Category] = field(default_factory=list)
    objects: list[HouseObject] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)


class _LineError(Exception):
    """What is wrong with one line; the reader adds which line of which file it is."""


def read_house_file(path: Path) -> House:
    """Read a .house file.

    Raises RoomError, with the line, when the file cannot be read, has another version, a line is malformed or refers to
    an item that is not there, or there are not as many items as the H line counts.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RoomError(f"{path} has more than {_MAX_BYTES >> 20} MB: this is not a .house file")
        lines = read_regular(path).decode("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise RoomError(f"cannot read {path}: {error.strerror}") from error
    if lines[0].split() != _VERSION:
        raise RoomError(f"{path} begins with {lines[0][:40]!r} where a .house file has 'ASCII 1.1': take another copy")
    name: str | None = None
    announced: dict[str, int] = {}
    found: Counter[str] = Counter()
    items = _Items()
    for number, line in enumerate(lines[1:], start=2):
        tokens = line.split()
        if not tokens:
            continue
        try:
            kind = _kind(tokens)
            if kind == "H":
                if name is not None:
                    raise _LineError("a second H line")
                name, announced = tokens[1], _counts(tokens)
            elif name is None:
                raise _LineError("the first line must be the H line")
            else:
                found[kind] += 1
                _take(items, kind, tokens)
        except _LineError as error:
            raise RoomError(f"{path}, line {number}: {error}") from None
    if name is None:
        raise RoomError(f"{path} has no H line, which counts the items of a .house file: take another copy")
    for kind, what in _COUNTED.items():
        if found[kind] != announced[kind]:
            raise RoomError(
                f"{path}: the H line counts {announced[kind]} {what} and the file has {found[kind]}: it was truncated "
                f"or edited; take another copy"
            )
    _check_references(path, items)
    return House(
        name,
        tuple(items.levels),
        tuple(items.regions),
        tuple(
            HouseSurface(index, region, normal, tuple(items.corners.get(index, ())))
            for index, (region, normal) in enumerate(items.surfaces)
        ),
        tuple(items.categories),
        tuple(items.objects),
        tuple(items.segments),
    )


def _kind(tokens: Sequence[str]) -> str:
    """Return the kind of a line; P is a portal or a panorama, and some writers begin a portal with R."""
    letter = tokens[0]
    kinds = {"P": ("portal", "panorama"), "R": ("R", "portal")}.get(letter, (letter,))
    if kinds[0] not in _TOKENS:
        raise _LineError(f"there is no kind of line {letter[:20]!r} in a .house file")
    for kind in kinds:
        if len(tokens) == _TOKENS[kind]:
            return kind
    wanted = " or ".join(str(_TOKENS[kind]) for kind in kinds)
    raise _LineError(f"a line {letter} has {wanted} fields, and this one {len(tokens)}")


def _counts(tokens: Sequence[str]) -> dict[str, int]:
    return {kind: _int(token) for kind, token in zip(_COUNTED, tokens[3:13], strict=True)}


def _take(items: _Items, kind: str, tokens: Sequence[str]) -> None:
    """Add what a line tells to the items; images, portals and panoramas are only counted."""
    if kind == "L":
        items.levels.append(Level(_index(tokens[1], items.levels), _label(tokens[3])))
    elif kind == "R":
        index = _index(tokens[1], items.regions)
        position, low, high = _point(tokens, 6), _point(tokens, 9), _point(tokens, 12)
        items.regions.append(
            HouseRegion(index, _int(tokens[2]), _label(tokens[5]), position, low, high, _float(tokens[15]))
        )
    elif kind == "S":
        _index(tokens[1], items.surfaces)
        items.surfaces.append((_int(tokens[2]), _point(tokens, 8)))
    elif kind == "V":
        items.corners.setdefault(_int(tokens[2]), []).append(_point(tokens, 4))
    elif kind == "C":
        index = _index(tokens[1], items.categories)
        items.categories.append(Category(index, _int(tokens[2]), _words(tokens[3]), _int(tokens[4]), _words(tokens[5])))
    elif kind == "O":
        items.objects.append(HouseObject(_index(tokens[1], items.objects), _int(tokens[2]), _int(tokens[3])))
    elif kind == "E":
        items.segments.append(Segment(_int(tokens[3]), _int(tokens[2])))


def _check_references(path: Path, items: _Items) -> None:
    references = [
        ("R", "level", [region.level_index for region in items.regions], len(items.levels)),
        ("S", "region", [region for region, _ in items.surfaces], len(items.regions)),
        ("V", "surface", list(items.corners), len(items.surfaces)),
        ("O", "region", [item.region_index for item in items.objects], len(items.regions)),
        ("O", "category", [item.category_index for item in items.objects], len(items.categories)),
        ("E", "object", [segment.object_index for segment in items.segments], len(items.objects)),
    ]
    for letter, what, indices, count in references:
        if beyond := [index for index in indices if not -1 <= index < count]:
            raise RoomError(
                f"{path}: a line {letter} refers to {what} {beyond[0]}, and there are {count}: take another copy"
            )


def _index(token: str, before: Sequence[object]) -> int:
    index = _int(token)
    if index != len(before):
        raise _LineError(f"index {index} where {len(before)} is next: items must stand in order")
    return index


def _int(token: str) -> int:
    try:
        return int(token)
    except ValueError:
        raise _LineError(f"{token[:20]!r} is not a whole number") from None


def _float(token: str) -> float:
    try:
        value = float(token)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _LineError(f"{token[:20]!r} is not a finite number")
    return value


def _point(tokens: Sequence[str], start: int) -> Vec3:
    x, y, z = (_float(token) for token in tokens[start : start + 3])
    return (x, y, z)


def _words(token: str) -> str:
    return token.replace("#", " ")


def _label(token: str) -> str | None:
    return None if token == "-" else token
