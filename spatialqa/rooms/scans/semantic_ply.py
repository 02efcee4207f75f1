"""Reads a PLY triangle mesh with integer labels of its faces: object, segment or category.

Format: the PLY polygon file format (Turk 1994), binary of either byte order and ASCII. General readers drop the
numbers or build objects for every face; a scanned house has millions of faces, so whole blocks are read at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from spatialqa.core.input_files import LARGEST, open_regular
from spatialqa.errors import RoomError

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_MAX_HEADER_LINES = 1000
_MAX_HEADER_LINE_BYTES = 4096
_CORNERS = ("vertex_indices", "vertex_index")


@dataclass(frozen=True, eq=False)
class SemanticMesh:
    """vertices: float32 (V, 3), as the file has them. faces: int32 (F, 3). values: int32 (F,) by property name."""

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    values: Mapping[str, npt.NDArray[np.int32]]


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    count_type: str | None = None  # of a list's length


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


def read_semantic_ply(path: Path, wanted: Sequence[str]) -> SemanticMesh:
    """Read the vertices and triangles of a PLY file, and those of the `wanted` face properties that it has.

    Raises RoomError when the file is missing, is not a PLY, is truncated, has faces that are not triangles, or when a
    face names a vertex that does not exist.
    """
    try:
        with open_regular(path, LARGEST) as file:
            encoding, elements = _header(path, file)
            tables = _tables(path, file, encoding, elements)
    except OSError as error:
        raise RoomError(f"cannot read {path}: {error.strerror}") from error
    if missing := [name for name in ("vertex", "face") if name not in tables]:
        raise RoomError(f"{path} has no element {missing[0]!r}: a room needs a triangle mesh")
    vertex, face = tables["vertex"], tables["face"]
    vertices = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
    corners = face[next(name for name in _CORNERS if name in (face.dtype.names or ()))]
    if len(corners) and not 0 <= int(corners.min()) <= int(corners.max()) < len(vertices):
        raise RoomError(f"{path}: a face names a vertex that is not there ({len(vertices):,} are): take another copy")
    if not np.isfinite(vertices).all():
        raise RoomError(f"{path} has vertices that are not finite numbers: take another copy")
    values = {name: face[name].astype(np.int32) for name in wanted if name in (face.dtype.names or ())}
    return SemanticMesh(vertices, corners.astype(np.int32), values)


def _header(path: Path, file: BinaryIO) -> tuple[str, list[_Element]]:
    """Read up to and with `end_header`."""
    if file.read(3) != b"ply" or file.readline(8).strip():
        raise RoomError(f"{path} is not a PLY file: it does not begin with `ply`")
    encoding = ""
    elements: list[_Element] = []
    for _ in range(_MAX_HEADER_LINES):
        line = file.readline(_MAX_HEADER_LINE_BYTES)
        match line.decode("ascii", errors="replace").split():
            case ["format", name, "1.0"] if name in _BYTE_ORDERS:
                encoding = name
            case ["element", name, count] if count.isdigit():
                elements.append(_Element(name, int(count), ()))
            case ["property", "list", count_type, type_, name] if elements and {count_type, type_} <= _TYPES.keys():
                elements[-1] = _with(elements[-1], _Property(name, type_, count_type))
            case ["property", type_, name] if elements and type_ in _TYPES:
                elements[-1] = _with(elements[-1], _Property(name, type_))
            case ["comment" | "obj_info", *_]:
                pass
            case ["end_header"]:
                if not encoding:
                    break
                return encoding, elements
            case _:
                raise RoomError(f"{path}: cannot read the PLY header at {line[:40]!r}; the file may be damaged")
    raise RoomError(f"{path}: the PLY header has no format or no end; the file may be damaged")


def _with(element: _Element, added: _Property) -> _Element:
    return _Element(element.name, element.count, (*element.properties, added))


def _tables(path: Path, file: BinaryIO, encoding: str, elements: Sequence[_Element]) -> dict[str, npt.NDArray[Any]]:
    """Return the rows of the elements up to the faces, each a structured array."""
    tables: dict[str, npt.NDArray[Any]] = {}
    for element in elements:
        names = [p.name for p in element.properties]
        lists = [p.name for p in element.properties if p.count_type]
        if element.name == "face" and (len(lists) != 1 or lists[0] not in _CORNERS):
            raise RoomError(f"{path}: the faces need one list, vertex_indices, and have {', '.join(lists) or 'none'}")
        if element.name == "vertex" and not {"x", "y", "z"} <= set(names):
            raise RoomError(f"{path}: the vertices need x, y and z, and have {', '.join(names) or 'nothing'}")
        if not names:
            raise RoomError(f"{path}: the element {element.name!r} has no properties; the file may be damaged")
        if (element.name != "face" and lists) or len(set(names)) != len(names):
            raise RoomError(f"{path}: cannot read the element {element.name!r} with the properties {', '.join(names)}")
        read = _read_ascii if encoding == "ascii" else _read_binary
        tables[element.name] = read(path, file, element, _BYTE_ORDERS[encoding])
        if element.name == "face":
            break
    return tables


def _read_binary(path: Path, file: BinaryIO, element: _Element, order: str) -> npt.NDArray[Any]:
    row = _row_type(element, order)
    at = file.tell()
    fits = (path.stat().st_size - at) // row.itemsize
    # whatever the header claims, no more is allocated than the file holds
    rows = np.fromfile(file, dtype=row, count=min(element.count, fits))
    _check_triangles(path, rows)
    if len(rows) < element.count:
        raise _cut_short(path, element, len(rows))
    return rows


def _read_ascii(path: Path, file: BinaryIO, element: _Element, order: str) -> npt.NDArray[Any]:
    row = _row_type(element, order)
    width = len(element.properties) + 3 * (element.name == "face")
    fits = (path.stat().st_size - file.tell() + 1) // (2 * width)  # a figure and a space each
    lines = (file.readline() for _ in range(min(element.count, fits)))
    try:
        flat = np.fromiter((float(figure) for line in lines for figure in _figures(line, width)), dtype=np.float64)
    except ValueError as error:
        raise RoomError(f"{path}: cannot read the element {element.name!r}: {error}") from None
    if len(flat) < element.count * width:
        raise _cut_short(path, element, len(flat) // width)
    rows = np.empty(element.count, dtype=row)
    columns = iter(flat.reshape(-1, width).T)
    with np.errstate(invalid="ignore"):  # a corner that is not a number is none of the vertices
        for name in row.names or ():
            if row[name].shape:
                rows[name] = np.stack([next(columns) for _ in range(3)], axis=1)
            else:
                rows[name] = next(columns)
    _check_triangles(path, rows)
    return rows


def _figures(line: bytes, width: int) -> list[bytes]:
    figures = line.split()
    if figures and len(figures) != width:
        raise ValueError(f"a line has {len(figures)} figures where {width} are expected (only triangles are read)")
    return figures


def _row_type(element: _Element, order: str) -> np.dtype[Any]:
    """Return the layout of a row, with a face as a triangle: PLY has no padding."""
    fields: list[Any] = []
    for p in element.properties:
        kind = order + _TYPES[p.type]
        if p.count_type:
            fields += [("corners in this face", order + _TYPES[p.count_type]), (p.name, kind, 3)]
        else:
            fields.append((p.name, kind))
    return np.dtype(fields)


def _check_triangles(path: Path, rows: npt.NDArray[Any]) -> None:
    if "corners in this face" not in (rows.dtype.names or ()):
        return
    other = np.flatnonzero(rows["corners in this face"] != 3)
    if len(other):
        raise RoomError(
            f"{path}: face {other[0]:,} is not a triangle ({rows['corners in this face'][other[0]]} corners): "
            f"triangulate the mesh, or take another copy if it should be one"
        )


def _cut_short(path: Path, element: _Element, found: int) -> RoomError:
    return RoomError(
        f"{path} is truncated: its header announces {element.count:,} rows of {element.name!r} and it holds {found:,}; "
        f"take another copy"
    )
