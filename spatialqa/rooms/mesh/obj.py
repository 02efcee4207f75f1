"""Reads Wavefront OBJ: polygons by object, group and material.

Format: "Object Files (.obj)", Wavefront Advanced Visualizer, appendix B1. Vertex positions and faces are read; points,
lines, curves and everything that is only seen are ignored, and so is the .mtl: the OBJ has the materials' names.
"""

import codecs
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray
from spatialqa.core.input_files import read_regular
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.parts import MeshPart, compact
from spatialqa.rooms.mesh.polygons import Indices, PolygonError, triangulate

_BLOCK = 2**24  # bytes that are taken apart at a time, up to the end of a line
_NEWLINE, _SPACE, _SLASH = (ord(letter) for letter in "\n /")
_NAMING = {b"o": 0, b"g": 1, b"usemtl": 2}
_COMMENT = re.compile(rb"#[^\n]*")
_LINE_GOES_ON = re.compile(rb"\\[ \t]*\n")
_JOINT = b" \v"  # white space, by which messages can count the lines that were joined

_Names = tuple[str, str, str]  # object, group, material
_Text = npt.NDArray[np.uint8]


def read_obj(path: Path) -> list[MeshPart]:
    """Return the faces of each object, group and material of a file as triangles.

    names: group, object, material as the file has them, then the single names where a face is in several groups.

    Raises RoomError, with the number of the line, for a vertex without three numbers or a face without its vertices,
    and OSError when the file cannot be read.
    """
    text = _plain(read_regular(path))
    file = _File(path, text)
    start = 0
    while start < len(text):
        stop = text.rfind(b"\n", start, start + _BLOCK) + 1 or text.find(b"\n", start) + 1
        file.read_block(text[start:stop])
        start = stop
    return file.parts()


def _plain(text: bytes) -> bytes:
    """Return the lines of a file, each whole and ended by a newline, without comments; names may hold a #."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = text.decode("utf-16", errors="replace").encode()
    text = text.removeprefix(codecs.BOM_UTF8)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"#" in text:
        text = _COMMENT.sub(_unless_in_a_name, text)
    if b"\\" in text:
        text = _LINE_GOES_ON.sub(_JOINT, text)
    return text + b"\n"


def _unless_in_a_name(comment: re.Match[bytes]) -> bytes:
    line = comment.string[comment.string.rfind(b"\n", 0, comment.start()) + 1 : comment.start()]
    return comment[0] if line.split(None, 1) and line.split(None, 1)[0] in _NAMING else b""


class _File:
    """What has been read of a file so far. text: all of it, to count lines for messages."""

    def __init__(self, path: Path, text: bytes) -> None:
        self._path, self._text = path, text
        self._names: _Names = ("", "", "")
        self._parts: dict[_Names, int] = {}
        self._n_lines = self._n_vertices = 0
        self._vertices: list[FloatArray] = []
        self._corners: list[Indices] = []
        # of every face: how many corners it has, its part, its line
        self._sizes: list[Indices] = []
        self._part: list[Indices] = []
        self._line: list[Indices] = []

    def read_block(self, block: bytes) -> None:
        """Read lines that are whole."""
        data = np.frombuffer(block, dtype=np.uint8).copy()
        gap = _gaps(data)
        begins = ~gap
        begins[1:] &= gap[:-1]
        words = np.flatnonzero(begins)
        line_ends = np.flatnonzero(data == _NEWLINE)
        last = np.searchsorted(words, line_ends)
        first = np.concatenate([[0], last[:-1]])
        lines = np.flatnonzero(first < last)  # that hold anything
        heads = words[first[lines]]
        n_values = (last - first)[lines] - 1
        vertex, face = ((data[heads] == ord(letter)) & gap[heads + 1] for letter in "vf")
        naming = np.isin(data[heads], [name[0] for name in _NAMING])
        data[heads] = _SPACE
        widths = np.diff(line_ends, prepend=-1)

        def text_of(chosen: npt.NDArray[np.bool_]) -> _Text:
            of_line = np.zeros(len(line_ends), dtype=np.bool_)
            of_line[lines[chosen]] = True
            return data[np.repeat(of_line, widths)]

        if vertex.any():
            self._read_vertices(block, text_of(vertex), n_values[vertex], lines[vertex])
        if face.any():
            before = self._n_vertices + np.searchsorted(lines[vertex], lines[face])
            self._read_faces(block, text_of(face), n_values[face], lines[face], before)
        self._name_faces(block, lines[naming], heads[naming], lines[face])
        self._n_vertices += int(vertex.sum())
        self._n_lines += len(line_ends)

    def parts(self) -> list[MeshPart]:
        """Return the parts; their order is part of a room's hash, and has been this one from the first version on."""
        if not self._sizes:
            return []
        vertices = np.concatenate([*self._vertices, np.empty((0, 3))])
        corners, sizes, part, line = map(np.concatenate, (self._corners, self._sizes, self._part, self._line))
        outside = np.flatnonzero((corners < 0) | (corners >= len(vertices)))
        if len(outside):
            number = int(np.searchsorted(np.cumsum(sizes), outside[0], side="right"))
            raise self._error(line[number], f"a face names a vertex that is not there ({len(vertices):,} are)")
        try:
            triangles, face = triangulate(vertices, corners, sizes)
        except PolygonError as error:
            raise self._error(line[error.number], f"the face {error}") from None
        mixed = np.zeros(len(self._parts), dtype=np.bool_)
        first = np.unique(part, return_index=True)[1]
        mixed[part[sizes != sizes[first][part]]] = True
        order = np.lexsort((np.where(mixed[part[face]], face, 0), part[face]))
        triangles = triangles[order]
        ends = np.cumsum(np.bincount(part[face], minlength=len(self._parts)))
        names = list(self._parts)
        return [
            _part(names[k], vertices, triangles[ends[k - 1] if k else 0 : ends[k]])
            for k in sorted(range(len(names)), key=str)
            if ends[k] > (ends[k - 1] if k else 0)
        ]

    def _read_vertices(self, block: bytes, text: _Text, n_values: Indices, lines: Indices) -> None:
        values = _numbers(text, int(n_values.sum()), np.float64)
        if values is None or n_values.min() < 3:
            self._vertices.append(np.array([self._vertex(*words) for words in self._words(block, lines)]))
        else:
            starts = np.cumsum(n_values) - n_values
            self._vertices.append(values[starts[:, None] + np.arange(3)])

    def _vertex(self, line: int, words: list[bytes]) -> tuple[float, ...]:
        """Return a vertex's place: the first three numbers of its line."""
        try:
            x, y, z = map(float, words[:3])
        except ValueError:
            raise self._error(line, f"a vertex needs three numbers and has {_shown(words)}") from None
        return x, y, z

    def _read_faces(
        self, block: bytes, text: _Text, n_corners: Indices, lines: Indices, vertices_before: Indices
    ) -> None:
        _blank_after_slash(text)  # of v/vt/vn only v is a place
        corners = _numbers(text, int(n_corners.sum()), np.int64)
        if corners is None:
            corners = np.array([k for words in self._words(block, lines) for k in self._face(*words)], dtype=np.int64)
        before = np.repeat(vertices_before, n_corners)  # -1 is the vertex just above the face
        self._corners.append(np.where(corners > 0, corners - 1, np.where(corners < 0, before + corners, -1)))
        self._sizes.append(n_corners)
        self._line.append(lines + self._n_lines)

    def _face(self, line: int, words: list[bytes]) -> list[int]:
        try:
            return [int(word.partition(b"/")[0]) for word in words]
        except ValueError:
            raise self._error(line, f"a face needs the numbers of its vertices and has {_shown(words)}") from None

    def _words(self, block: bytes, lines: Indices) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the number of each of some lines of a block in the file, and its words without the first."""
        whole = block.split(b"\n")
        return ((self._n_lines + line, whole[line].split()[1:]) for line in lines.tolist())

    def _name_faces(self, block: bytes, lines: Indices, heads: Indices, faces: Indices) -> None:
        """Give each face of a block its part, by the names that were last said."""
        start = 0
        for line, head in zip(lines.tolist(), heads.tolist(), strict=True):
            word, *rest = block[head : block.index(b"\n", head)].split(None, 1)
            if word not in _NAMING:
                continue
            stop = int(np.searchsorted(faces, line))
            self._name(stop - start)
            start = stop
            said = list(self._names)
            said[_NAMING[word]] = rest[0].decode(errors="replace").strip() if rest else ""
            if word == b"o":
                said[_NAMING[b"g"]] = ""  # exporters start every object afresh
            self._names = (said[0], said[1], said[2])
        self._name(len(faces) - start)

    def _name(self, n_faces: int) -> None:
        if n_faces:
            part = self._parts.setdefault(self._names, len(self._parts))
            self._part.append(np.full(n_faces, part, dtype=np.int64))

    def _error(self, line: int, text: str) -> RoomError:
        lines = self._text.split(b"\n", line)[:line]
        number = 1 + line + sum(whole.count(_JOINT) for whole in lines)
        return RoomError(f"{self._path}, line {number:,}: {text}; repair the file or export it again")


def _blank_after_slash(text: _Text) -> None:
    """Overwrite each word of a text with blanks from its first slash on, in place. The text ends with a gap."""
    slash = text == _SLASH
    if not slash.any():
        return
    gap = np.flatnonzero(_gaps(text))
    step = slash.view(np.int8)  # summed up: how many slashes of its own word lie before each byte
    step[gap[1:]] = -np.add.reduceat(step, gap, dtype=np.int8)[:-1]
    step[gap[0]] = -step[: gap[0]].sum(dtype=np.int8)
    text[np.cumsum(step, dtype=np.int8) != 0] = _SPACE


def _gaps(text: _Text) -> npt.NDArray[np.bool_]:
    """Tell of each byte whether it is white space, as `bytes.split` has it."""
    gaps: npt.NDArray[np.bool_] = text - ord("\t") <= ord("\r") - ord("\t")  # unsigned: below a tab it wraps around
    gaps |= text == _SPACE
    return gaps


def _numbers(text: _Text, count: int, kind: Any) -> npt.NDArray[Any] | None:
    """Return the numbers of a text, None where it has others than `count` or something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numbers = np.fromstring(text.tobytes(), dtype=kind, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return numbers if len(numbers) == count else None


def _part(names: _Names, vertices: FloatArray, triangles: Indices) -> MeshPart:
    thing, group, material = names
    several = group.split() if len(group.split()) > 1 else []
    said = dict.fromkeys(name for name in (group, thing, material, *several) if name)
    return MeshPart(tuple(said), *compact(vertices, triangles), material)


def _shown(words: list[bytes]) -> str:
    return repr(b" ".join(words)[:60].decode(errors="replace"))
