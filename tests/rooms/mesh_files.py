"""What the tests of the mesh readers share: the cases, areas and volumes, and files made number by number."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.rooms.mesh.parts import MeshPart
from spatialqa.rooms.mesh.ply import TYPES
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.mesh.reading import read_parts

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

XYZ = ("float x", "float y", "float z")
LIST = ("list uchar int vertex_indices",)
FORMATS = ("ascii", "binary_little_endian", "binary_big_endian")

Triangles = npt.NDArray[np.float64]  # (n, 3, 3)
Row = Sequence[Any]  # numbers, and lists of numbers
Element = tuple[str, Sequence[str], Sequence[Row]]  # its name, its properties as the header has them, its rows


def case(name: str) -> Path:
    """Return a file of the shared cases; the test is skipped where they are not."""
    if not (path := CASES / name).is_file():
        pytest.skip(f"the case {name} is not here")
    return path


def soup(parts: Sequence[MeshPart]) -> Triangles:
    """Return the corners of all triangles, part after part."""
    return np.concatenate([np.empty((0, 3, 3)), *(part.vertices[part.faces] for part in parts)])


def read(path: Path) -> Triangles:
    return soup(read_parts(path))


def alike(triangles: Triangles) -> Triangles:
    """Return triangles in an order that depends on nothing but where they are; each keeps the way it winds."""
    first = np.lexsort(triangles.round(6).transpose(2, 0, 1))[:, :1]
    turned = np.take_along_axis(triangles, ((first + np.arange(3)) % 3)[:, :, None], axis=1)
    rows = turned.reshape(-1, 9)
    return turned[np.lexsort(rows.round(6).T[::-1])]


def area(triangles: Triangles) -> float:
    a, b, c = triangles.transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def volume(triangles: Triangles) -> float:
    """Return the volume that a closed surface holds: positive where it winds anticlockwise seen from outside."""
    a, b, c = triangles.transpose(1, 0, 2)
    return float(np.einsum("nx,nx->", a, np.cross(b, c)) / 6)


def size(triangles: Triangles) -> list[float]:
    return [float(extent) for extent in np.ptp(triangles.reshape(-1, 3), axis=0)]


def blocked(triangles: Triangles, start: Sequence[float], end: Sequence[float]) -> bool:
    """Tell whether a surface lies between two points."""
    faces = np.arange(3 * len(triangles), dtype=np.int32).reshape(-1, 3)
    caster = RayCaster(triangles.reshape(-1, 3).astype(np.float32), faces)
    return bool(caster.blocked(np.array([start], dtype=float), np.array([end], dtype=float))[0])


def ply(path: Path, form: str, *elements: Element, comment: str = "comment a box", end: str = "\n") -> Path:
    """Write a PLY file number by number."""
    header = ["ply", f"format {form} 1.0", comment, "obj_info made by a test"]
    rows = b""
    for name, properties, table in elements:
        header += [f"element {name} {len(table)}", *(f"property {text}" for text in properties)]
        for row in table:
            numbers: list[tuple[str, Any]] = []
            for text, value in zip(properties, row, strict=True):
                types = text.split()[1:3] if text.startswith("list ") else text.split()[:1]
                if len(types) == 2:
                    numbers.append((types[0], len(value)))
                numbers += [(types[-1], item) for item in (value if len(types) == 2 else [value])]
            if form == "ascii":
                rows += (" ".join(str(value) for _, value in numbers) + end).encode()
            else:
                order = "<" if form.endswith("little_endian") else ">"
                rows += b"".join(np.array(value, dtype=order + TYPES[kind]).tobytes() for kind, value in numbers)
    path.write_bytes((end.join([*header, "end_header"]) + end).encode() + rows)
    return path
