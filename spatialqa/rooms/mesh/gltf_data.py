"""What a glTF 2.0 file holds beneath its scene: the JSON, its buffers, and accessors as arrays (3.6 of the standard).

data = read_data(Path("room.glb"))
data.array(0, (3,))             # accessor 0, whose elements must have three components: float64 (n, 3)
"""

import base64
import binascii
import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray
from spatialqa.core.input_files import LARGEST, open_regular, read_regular
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.parts import MAX_ELEMENTS

SUFFIXES = (".gltf", ".glb")
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_MAX_ZEROS = 2**22  # elements of an accessor without data

Indices = npt.NDArray[np.int64]


def read_data(path: Path) -> "GltfData":
    """Read a file; its buffers are read when they are needed.

    Raises:
        RoomError: it is damaged, or of another version.
        OSError: it cannot be read.
    """
    content, chunk = _contents(path, read_regular(path))
    return GltfData(path, _parsed(path, content), chunk)


def buffers(path: Path) -> Iterator[bytes]:
    """Yield the contents of the files beside a glTF file that hold its vertices and faces; nothing for a missing one.

    Raises OSError when the file itself cannot be read. A damaged one has no buffers: reading it says what is wrong.
    """
    if path.suffix.lower() not in SUFFIXES:
        return
    try:
        uris = [buffer.get("uri") for buffer in _parsed(path, _json_of(path))["buffers"]]
    except (RoomError, LookupError, TypeError, AttributeError):
        return
    for uri in uris:
        if isinstance(uri, str) and not _is_data(uri):
            try:
                yield read_regular(_beside(path, uri))
            except (RoomError, OSError, ValueError):
                yield b""


def _json_of(path: Path) -> bytes:
    """Return a file's JSON without reading the rest of a .glb, which may be large."""
    with open_regular(path, LARGEST) as stream:
        head = stream.read(20)
        if len(head) < 20 or struct.unpack_from("<I", head)[0] != _MAGIC:
            return head + stream.read()
        return stream.read(struct.unpack_from("<I", head, 12)[0])


def _contents(path: Path, content: bytes) -> tuple[bytes, memoryview | None]:
    """Return the JSON and the binary chunk of a file; what it is shows at its beginning, not in its name (4.4)."""
    if len(content) < 4 or struct.unpack_from("<I", content)[0] != _MAGIC:
        return content, None
    if len(content) < 12:
        raise _damaged(path, "is truncated")
    _, version, length = struct.unpack_from("<III", content)
    if version != 2:
        raise RoomError(f"{path} is a glTF file of version {version}, and 2 is read: convert it to glTF 2.0")
    chunks: list[tuple[int, memoryview]] = []
    at, end = 12, min(length, len(content))
    while at + 8 <= end:
        size, kind = struct.unpack_from("<II", content, at)
        if at + 8 + size > len(content):
            raise _damaged(path, f"is truncated: a chunk of {size:,} bytes begins at byte {at:,} of {len(content):,}")
        chunks.append((kind, memoryview(content)[at + 8 : at + 8 + size]))
        at += 8 + size
    if not chunks or chunks[0][0] != _JSON:
        raise _damaged(path, "has no JSON chunk at its beginning")
    return bytes(chunks[0][1]), chunks[1][1] if len(chunks) > 1 and chunks[1][0] == _BIN else None


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"has no readable JSON ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(found, dict):
        raise _damaged(path, "has no JSON object")
    return found


def _damaged(path: Path, text: str) -> RoomError:
    return RoomError(f"cannot read the mesh {path}: it {text}; the file may be damaged, so export or download it again")


def _is_data(uri: str) -> bool:
    return uri[:5].lower() == "data:"


def _beside(path: Path, uri: str) -> Path:
    """Return the file that a relative URI names: in the folder of the glTF file, or below, and nowhere else."""
    for name in dict.fromkeys((unquote(uri), uri)):  # some write the name as it is, a % included
        inside = os.path.normpath(name)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]", name) or inside.split(os.sep)[0] == ".." or "\0" in name:
            raise RoomError(f"{path} refers to {uri[:100]!r}: only files in its own folder are read")
        if (found := path.parent / inside).is_file():
            return found
    raise RoomError(f"{path} needs {uri[:100]!r} in its folder, and there is no such file: put it there")


class GltfData:
    """The contents of a file. path: of the file. top: its JSON. All methods raise RoomError where it is damaged."""

    def __init__(self, path: Path, top: dict[str, Any], chunk: memoryview | None) -> None:
        """Take a parsed file; chunk: the binary chunk of a .glb."""
        self.path, self.top, self._chunk = path, top, chunk
        self._buffers: dict[int, bytes | memoryview] = {}

    # Accessors and buffers (3.6)

    def indices(self, index: Any) -> Indices:
        """Return an accessor of indices, int64 (count,)."""
        if self.entry("accessors", index).get("componentType") not in (5121, 5123, 5125):
            raise self.fault(f"has indices in accessor {index} that are not unsigned integers")
        return self.array(index, (1,)).astype(np.int64)[:, 0]

    def array(self, index: Any, widths: Sequence[int]) -> FloatArray:
        """Return an accessor's elements, float64 (count, width), which every component type fits in."""
        entry, where = self.entry("accessors", index), f"accessor {index}"
        kind, width = self._component(entry, where), _WIDTHS.get(str(entry.get("type")), 0)
        count = self.whole(entry, "count", where)
        if width not in widths:
            raise self.fault(f"has elements of the type {entry.get('type')!r:.40} in {where}, where others belong")
        if count > (MAX_ELEMENTS if "bufferView" in entry else _MAX_ZEROS):
            raise self.fault(f"claims {count:,} elements in {where}, which is more than are read")
        if "bufferView" in entry:
            at = self.whole(entry, "byteOffset", where, 0)
            values = self._elements(entry["bufferView"], at, count, kind, width, where).astype(np.float64)
        else:
            values = np.zeros((count, width))
        if "sparse" in entry:
            sparse = self.object_of(entry, "sparse")
            changes = self.whole(sparse, "count", where)
            places, news = self.object_of(sparse, "indices"), self.object_of(sparse, "values")
            at = self.whole(places, "byteOffset", where, 0)
            which = self._elements(
                places.get("bufferView"), at, changes, self._component(places, where), 1, f"the sparse {where}"
            )[:, 0].astype(np.int64)
            if changes and not 0 <= which.min() <= which.max() < count:
                raise self.fault(f"changes element {which.max():,} of {count:,} in the sparse {where}")
            at = self.whole(news, "byteOffset", where, 0)
            values[which] = self._elements(news.get("bufferView"), at, changes, kind, width, f"the sparse {where}")
        if entry.get("normalized") is True and kind.kind in "iu":
            values = np.maximum(values / np.iinfo(kind).max, -1.0)
        return values

    def _component(self, entry: dict[str, Any], where: str) -> np.dtype[Any]:
        kind = entry.get("componentType")
        if not isinstance(kind, int) or kind not in _COMPONENTS:
            raise self.fault(f"has the unknown component type {kind!r:.40} in {where}")
        return np.dtype("<" + _COMPONENTS[kind])

    def _elements(
        self, view_index: Any, at: int, count: int, kind: np.dtype[Any], width: int, where: str
    ) -> npt.NDArray[Any]:
        """Return elements of a view, (count, width), without a copy."""
        view = self.view(view_index)
        size = width * kind.itemsize
        stride = self.whole(self.entry("bufferViews", view_index), "byteStride", where, size)
        if stride < size:
            raise self.fault(f"has elements of {size} bytes every {stride} bytes in {where}")
        if count and at + (count - 1) * stride + size > len(view):
            raise self.fault(
                f"has {len(view):,} bytes in buffer view {view_index}, where {where} needs "
                f"{at + (count - 1) * stride + size:,}"
            )
        return np.ndarray((count, width), kind, view, at if count else 0, (stride, kind.itemsize))

    def view(self, index: Any) -> memoryview:
        """Return the bytes of a buffer view."""
        view, where = self.entry("bufferViews", index), f"buffer view {index}"
        start, length = self.whole(view, "byteOffset", where, 0), self.whole(view, "byteLength", where)
        compressed = next((name for name in MESHOPT if name in self.object_of(view, "extensions")), None)
        try:
            buffer = self._buffer(view.get("buffer"))
        except RoomError:
            if compressed is not None:
                raise self.compressed(compressed) from None
            raise
        if start + length > len(buffer):
            raise self.fault(
                f"has {len(buffer):,} bytes in buffer {view.get('buffer')}, where {where} ends at {start + length:,}"
            )
        return memoryview(buffer)[start : start + length]

    def _buffer(self, index: Any) -> bytes | memoryview:
        entry = self.entry("buffers", index)
        if index not in self._buffers:
            self._buffers[index] = self._read_buffer(index, entry)
        return self._buffers[index]

    def _read_buffer(self, index: int, entry: dict[str, Any]) -> bytes | memoryview:
        uri = entry.get("uri")
        content: bytes | memoryview
        if uri is None and index == 0 and self._chunk is not None:
            content = self._chunk
        elif not isinstance(uri, str):
            raise self.fault(f"has a buffer {index} without contents")
        elif _is_data(uri):
            head, _, data = uri.partition(",")
            try:
                encoded = head.lower().endswith(";base64")
                content = base64.b64decode(unquote(data), validate=True) if encoded else unquote_to_bytes(data)
            except (binascii.Error, ValueError):
                raise self.fault(f"has a buffer {index} in base64 that cannot be decoded") from None
        else:
            source = _beside(self.path, uri)
            try:
                content = read_regular(source)
            except OSError as error:
                raise RoomError(f"cannot read {source}, which {self.path} needs: {error.strerror or error}") from error
        length = self.whole(entry, "byteLength", f"buffer {index}")
        if len(content) < length:
            raise self.fault(f"has {len(content):,} of {length:,} bytes of buffer {index}")
        return content

    # Entries of the JSON, of which any may be missing or of another type

    def entry(self, kind: str, index: Any) -> dict[str, Any]:
        """Return an entry of a list at the top of the JSON, such as `meshes`."""
        entries = self.list_of(self.top, kind)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(entries):
            raise self.fault(f"refers to {index!r:.40} of its {len(entries)} {kind}")
        if not isinstance(entries[index], dict):
            raise self.fault(f"has no readable entry {index} in {kind}")
        found: dict[str, Any] = entries[index]
        return found

    def object_of(self, entry: dict[str, Any], key: str) -> dict[str, Any]:
        """Return the object under a key, or an empty one."""
        found = entry.get(key, {})
        if not isinstance(found, dict):
            raise self.fault(f"has something else than an object under {key!r}")
        return found

    def extension(self, entry: dict[str, Any], name: str) -> dict[str, Any]:
        """Return what an extension says of an entry, or an empty object."""
        return self.object_of(self.object_of(entry, "extensions"), name)

    def list_of(self, entry: dict[str, Any], key: str) -> list[Any]:
        """Return the list under a key, or an empty one."""
        found = entry.get(key, [])
        if not isinstance(found, list):
            raise self.fault(f"has something else than a list under {key!r}")
        return found

    def whole(self, entry: dict[str, Any], key: str, where: str, default: int | None = None) -> int:
        """Return the number under a key, which must be whole and not negative; `where` names it in the error."""
        found = entry.get(key, default)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise self.fault(f"has {found!r:.40} for {key!r} in {where}, where a whole number belongs")
        return found

    def numbers(self, entry: dict[str, Any], key: str, count: int, where: str) -> FloatArray:
        """Return the numbers under a key, float64 (count,)."""
        found = self.list_of(entry, key)
        if len(found) != count or not all(isinstance(number, int | float) for number in found):
            raise self.fault(f"has no {count} numbers for {key!r} in {where}")
        try:
            return np.array(found, dtype=np.float64)
        except OverflowError:
            raise self.fault(f"has a number for {key!r} in {where} that is too large") from None

    def fault(self, text: str) -> RoomError:
        """Return the error of a file that may be damaged: it + text."""
        return _damaged(self.path, text)

    def compressed(self, extension: str) -> RoomError:
        """Return the error of a file in a compression that is not read."""
        return RoomError(
            f"{self.path} is compressed by {extension}, which cannot be read: decompress it, or export it without "
            f"compression"
        )
