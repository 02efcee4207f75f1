"""Reads PLY: ASCII and binary of both byte orders, polygons of any number of corners, triangle strips.

Format: "The PLY Polygon File Format" (Turk, Stanford 1994), with the type names of version 1.0 and those of the sizes
(int8 to float64) that came later. Elements and properties that a surface does not need are ignored.
"""

import re
import warnings
from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray
from spatialqa.core.input_files import read_regular
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.parts import MeshPart
from spatialqa.rooms.mesh.polygons import Indices, PolygonError, triangulate

TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8",
}  # fmt: skip

_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_WHOLE = {name for name, kind in TYPES.items() if kind[0] != "f"}
_MAX_HEADER_BYTES = 2**20
_END = re.compile(rb"(?:\r\n|\n|\r)[ \t]*end_header[ \t]*(\r\n|\n|\r)")
_CORNERS = ("vertex_indices", "vertex_index")


@dataclass(frozen=True)
class Property:
    """A property of an element. type, count_type: as numpy has them; count_type is that of a list's length, or None."""

    name: str
    type: np.dtype[Any]
    count_type: np.dtype[Any] | None = None


@dataclass(frozen=True)
class Element:
    """An element as the header announces it."""

    name: str
    count: int
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, eq=False)
class Lists:
    """A list in every row of an element. values: row after row. sizes: int64 (rows,), how many each row has."""

    values: npt.NDArray[Any]
    sizes: Indices


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of an element, by the names of its properties."""

    scalars: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    lists: dict[str, Lists] = field(default_factory=dict)


def read_ply(path: Path) -> list[MeshPart]:
    """Return the polygons and the triangle strips of a file as triangles: one part without names, or none.

    Raises RoomError for a file that is damaged or truncated, OSError when it cannot be read.
    """
    tables = read_tables(path, ("vertex", "face", "tristrips"))
    vertices = positions(path, tables.get("vertex", Table()))
    faces = [polygon_triangles(path, tables["face"], vertices)[0]] if "face" in tables else []
    if "tristrips" in tables and (strips := corner_lists(tables["tristrips"])) is not None:
        faces.append(_strip_triangles(_checked(path, strips.values, len(vertices), "triangle strip", -1), strips.sizes))
    triangles = np.concatenate([np.empty((0, 3), dtype=np.int64), *faces])
    return [MeshPart((), vertices, triangles)] if len(triangles) else []


def positions(path: Path, table: Table) -> FloatArray:
    """Return the places of vertices, float64 (V, 3)."""
    if not table.scalars:
        return np.empty((0, 3))
    if missing := [axis for axis in "xyz" if axis not in table.scalars]:
        raise RoomError(f"{path}: the vertices have no {missing[0]!r}, only {', '.join(table.scalars)[:100]}")
    return np.stack([table.scalars[axis] for axis in "xyz"], axis=1).astype(np.float64)


def polygon_triangles(path: Path, table: Table, vertices: FloatArray) -> tuple[Indices, Indices]:
    """Return the triangles of the polygons of an element, int64 (F, 3), and the row that each is from, int64 (F,)."""
    corners = corner_lists(table)
    if corners is None:
        return np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.int64)
    indices = _checked(path, corners.values, len(vertices), "face", 0)
    try:
        return triangulate(vertices, indices, corners.sizes)
    except PolygonError as error:
        raise RoomError(f"{path}: face {error.number:,} {error}") from None


def corner_lists(table: Table) -> Lists | None:
    """Return the list that holds the vertices of every row; None where there is none."""
    return next((table.lists[name] for name in _CORNERS if name in table.lists), None)


def _checked(path: Path, corners: npt.NDArray[Any], n_vertices: int, what: str, least: int) -> Indices:
    if corners.dtype.kind == "f" and (corners % 1 != 0).any():
        raise _damaged(path, f"a {what} has the vertex {corners[corners % 1 != 0][0]}, which is not an integer")
    outside = (corners < least) | (corners >= n_vertices)
    if outside.any():
        raise _damaged(path, f"a {what} names vertex {corners[outside][0]}, and there are {n_vertices:,} from 0 on")
    return corners.astype(np.int64)


def _strip_triangles(order: Indices, sizes: Indices) -> Indices:
    """Return the triangles of strips, which end with their row and at every -1."""
    order = np.insert(order, np.cumsum(sizes), -1)
    if len(order) < 3:
        return np.empty((0, 3), dtype=np.int64)
    at = np.arange(len(order))
    start = np.maximum.accumulate(np.where(order < 0, at + 1, 0))
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    odd = (at - start)[:-2] % 2 == 1
    faces[odd] = faces[odd][:, [0, 2, 1]]
    a, b, c = faces.T
    whole: Indices = faces[(faces >= 0).all(axis=1) & (a != b) & (b != c) & (c != a)]
    return whole


# Header and rows


def read_tables(path: Path, wanted: Sequence[str]) -> dict[str, Table]:
    """Return the wanted elements of a file, as far as it has them.

    Raises RoomError for a file that is damaged or truncated, OSError when it cannot be read.
    """
    content = read_regular(path)
    order, elements, start = _header(path, content)
    rows = _AsciiRows(path, content[start:]) if order == "=" else _BinaryRows(path, content, start)
    tables: dict[str, Table] = {}
    last = max((k for k, element in enumerate(elements) if element.name in wanted), default=-1)
    for element in elements[: last + 1]:
        tables[element.name] = rows.read(element)
    return {name: tables[name] for name in wanted if name in tables}


def _header(path: Path, content: bytes) -> tuple[str, list[Element], int]:
    """Return the byte order, = for ASCII, the elements, and where the rows begin."""
    if not re.match(rb"ply[ \t]*[\r\n]", content):
        raise RoomError(f"{path} is not a PLY file: it does not begin with `ply`")
    end = _END.search(content, 0, _MAX_HEADER_BYTES)
    if end is None:
        raise _damaged(path, "the header has no end")
    # where lines end in a carriage return alone, a newline after the last is a byte of the rows
    single = end[1] == b"\r\n" and b"\n" not in content[: end.start(1)]
    lines = [line.split() for line in re.split(r"[\r\n]+", content[: end.start()].decode("latin-1"))[1:]]
    formats = [_BYTE_ORDERS.get(line[1]) for line in lines if line[:1] == ["format"] and line[2:] == ["1.0"]]
    order = formats[0] if formats else None
    if order is None:
        raise _damaged(path, "the header names no format that is known")
    elements: list[Element] = []
    for line in lines:
        match line:
            case ["element", name, count] if count.isdecimal() and len(count) < 20:
                elements.append(Element(name, int(count)))
            case ["property", "list", counted, kind, name] if elements and {counted, kind} <= TYPES.keys():
                if counted not in _WHOLE:
                    raise _damaged(path, f"the length of the list {name[:40]!r} is a {counted}, not an integer")
                types = np.dtype(order + TYPES[kind]), np.dtype(order + TYPES[counted])
                elements[-1] = _with(elements[-1], Property(name, *types))
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1] = _with(elements[-1], Property(name, np.dtype(order + TYPES[kind])))
            case [] | ["comment" | "obj_info" | "format", *_]:
                pass
            case _:
                raise _damaged(path, f"cannot read the PLY header at {' '.join(line)[:40]!r}")
    return order, elements, end.end() - single


def _with(element: Element, added: Property) -> Element:
    return Element(element.name, element.count, (*element.properties, added))


class _Rows(ABC):
    """The rows of a file, element after element. Places and sizes are in bytes, or in numbers where it is ASCII."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._path, self._at, self._end = path, start, end

    @abstractmethod
    def size(self, kind: np.dtype[Any]) -> int:
        """Return how much room a number takes."""

    @abstractmethod
    def one(self, at: int, kind: np.dtype[Any]) -> int:
        """Return one whole number."""

    @abstractmethod
    def columns(self, start: int, width: int, shape: tuple[int, int], kind: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return numbers that stand one behind the other in each of many rows of one width, (rows, numbers)."""

    @abstractmethod
    def scattered(self, places: Indices, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the numbers at some places."""

    def read(self, element: Element) -> Table:
        """Return the rows of the next element."""
        least = sum(self.size(p.count_type or p.type) for p in element.properties)
        room = self._end - self._at
        if element.count * least > room:
            raise self._cut_short(element, f"at most {room // least:,}")
        if not element.count or not element.properties:
            return Table()
        table = self._read_even(element)
        return self._read_uneven(element) if table is None else table

    def _read_even(self, element: Element) -> Table | None:
        """Read rows of which each is as long as the first; return None where they are not."""
        at, lengths = self._at, []
        for p in element.properties:
            if p.count_type is None:
                at += self.size(p.type)
                continue
            if at + self.size(p.count_type) > self._end:
                return None
            lengths.append(self.one(at, p.count_type))
            at += self.size(p.count_type) + max(lengths[-1], 0) * self.size(p.type)
        width = at - self._at
        if width * element.count > self._end - self._at:
            return None
        table, at, length = Table(), self._at, iter(lengths)
        for p in element.properties:
            if p.count_type is None:
                table.scalars[p.name] = self.columns(at, width, (element.count, 1), p.type)[:, 0]
                at += self.size(p.type)
                continue
            n = next(length)
            if n < 0 or (self.columns(at, width, (element.count, 1), p.count_type) != n).any():
                return None
            at += self.size(p.count_type)
            values = self.columns(at, width, (element.count, n), p.type).reshape(-1)
            table.lists[p.name] = Lists(values, np.full(element.count, n, dtype=np.int64))
            at += n * self.size(p.type)
        self._at += width * element.count
        return table

    def _read_uneven(self, element: Element) -> Table:
        """Read rows one after another: where one begins depends on the lists of those before."""
        steps: list[tuple[int, np.dtype[Any], int, int]] = []  # to a list's length; its type and size; of an item
        gap = 0
        for p in element.properties:
            if p.count_type is None:
                gap += self.size(p.type)
            else:
                steps.append((gap, p.count_type, self.size(p.count_type), self.size(p.type)))
                gap = 0
        at, end = self._at, self._end
        begins, lengths = array("q"), array("q")
        for row in range(element.count):
            for before, kind, counted, item in steps:
                at += before
                if at + counted > end:
                    raise self._cut_short(element, f"{row:,}")
                length = self.one(at, kind)
                if length < 0:
                    raise _damaged(self._path, f"{element.name} {row:,} has a list of {length} numbers")
                at += counted
                begins.append(at)
                lengths.append(length)
                at += length * item
            at += gap
            if at > end:
                raise self._cut_short(element, f"{row:,}")
        firsts = np.array(begins).reshape(element.count, len(steps)).T
        sizes = np.array(lengths).reshape(element.count, len(steps)).T
        ends = firsts + sizes * np.array([item for *_, item in steps])[:, None]
        place = np.concatenate([[self._at], ends[-1, :-1] + gap])
        table, k = Table(), 0
        for p in element.properties:
            if p.count_type is None:
                table.scalars[p.name] = self.scattered(place, p.type)
                place = place + self.size(p.type)
            else:
                within = np.arange(sizes[k].sum()) - np.repeat(np.cumsum(sizes[k]) - sizes[k], sizes[k])
                places = np.repeat(firsts[k], sizes[k]) + within * self.size(p.type)
                table.lists[p.name] = Lists(self.scattered(places, p.type), sizes[k])
                place, k = ends[k], k + 1
        self._at = at
        return table

    def _cut_short(self, element: Element, found: str) -> RoomError:
        return RoomError(
            f"{self._path} is truncated: its header announces {element.count:,} rows of {element.name[:40]!r} and it "
            f"holds {found}; take another copy"
        )


class _BinaryRows(_Rows):
    def __init__(self, path: Path, content: bytes, start: int) -> None:
        super().__init__(path, start, len(content))
        self._content = content
        self._bytes = np.frombuffer(content, dtype=np.uint8)

    def size(self, kind: np.dtype[Any]) -> int:
        return kind.itemsize

    def one(self, at: int, kind: np.dtype[Any]) -> int:
        if kind.itemsize == 1 and kind.kind == "u":
            return self._content[at]
        order: Any = "big" if kind.str[0] == ">" else "little"
        return int.from_bytes(self._content[at : at + kind.itemsize], order, signed=kind.kind == "i")

    def columns(self, start: int, width: int, shape: tuple[int, int], kind: np.dtype[Any]) -> npt.NDArray[Any]:
        return np.ndarray(shape, kind, self._content, start if shape[1] else 0, (width, kind.itemsize))

    def scattered(self, places: Indices, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        numbers: npt.NDArray[Any] = self._bytes[places[:, None] + np.arange(kind.itemsize)].view(kind)[:, 0]
        return numbers


class _AsciiRows(_Rows):
    def __init__(self, path: Path, text: bytes) -> None:
        self._numbers = _numbers(path, text)
        super().__init__(path, 0, len(self._numbers))

    def size(self, kind: np.dtype[Any]) -> int:
        return 1

    def one(self, at: int, kind: np.dtype[Any]) -> int:
        number = self._numbers[at]
        return int(number) if number % 1 == 0 else -1

    def columns(self, start: int, width: int, shape: tuple[int, int], kind: np.dtype[Any]) -> npt.NDArray[Any]:
        numbers = self._numbers
        step = numbers.itemsize
        return _kept(
            np.ndarray(shape, numbers.dtype, numbers, start * step if shape[1] else 0, (width * step, step)), kind
        )

    def scattered(self, places: Indices, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        return _kept(self._numbers[places], kind)


def _kept(numbers: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return numbers as precisely as their type keeps them. Whole ones stay: what is there may be no whole number."""
    return numbers.astype(kind) if kind.kind == "f" else numbers


def _numbers(path: Path, text: bytes) -> FloatArray:
    if not text.strip():
        return np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            pass
    words = text.split()
    for k, word in enumerate(words):
        try:
            float(word)
        except ValueError:
            raise _damaged(
                path, f"{word[:40].decode('latin-1')!r}, word {k + 1:,} of its rows, is not a number"
            ) from None
    return np.array(words).astype(np.float64)


def _damaged(path: Path, text: str) -> RoomError:
    return RoomError(f"{path}: {text}; the file may be damaged, so export or download it again")
