"""Reads glTF 2.0 (.gltf with its buffers, or .glb): the surfaces of the scene, with all node transforms applied.

Format: glTF 2.0 (Khronos Group, ISO/IEC 12113:2022); "3.6" and the like below are its sections. Meshes are read in
full: buffers of every kind, sparse and normalised accessors, all modes of primitives, morph targets at their default
weights, skins as posed. Materials give names; textures, cameras, lights and animations are not read.
"""

import base64
import binascii
import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray
from spatialqa.core.input_files import LARGEST, open_regular, read_regular
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.parts import MAX_ELEMENTS, MeshPart, compact

SUFFIXES = (".gltf", ".glb")
INSTANCING, QUANTIZATION, VISIBILITY = "EXT_mesh_gpu_instancing", "KHR_mesh_quantization", "KHR_node_visibility"
DRACO, MESHOPT = "KHR_draco_mesh_compression", ("EXT_meshopt_compression", "KHR_meshopt_compression")
# What a file may require although we do not know it: it changes how surfaces look, or what they mean.
_ONLY_SEEN = re.compile(
    r"KHR_(materials|texture|lights|xmp)_\w+|KHR_xmp|KHR_animation_pointer|EXT_(texture|lights)_\w+|MSFT_texture_\w+"
    r"|MSFT_packing_\w+|ADOBE_materials_\w+|AGI_\w+|EXT_(mesh_features|instance_features|structural_metadata)"
)

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_TRIANGLES, _STRIP, _FAN, _MODES = 4, 5, 6, range(7)

_MAX_ZEROS = 2**22  # elements of an accessor without data
_MAX_INSTANCES = 2**20  # of one node: their matrices take 128 MiB
_PLACE = {"translation": (0.0, 0.0, 0.0), "rotation": (0.0, 0.0, 0.0, 1.0), "scale": (1.0, 1.0, 1.0)}

_Matrix = FloatArray  # (4, 4)
_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Surface:
    """The triangles of a primitive, and of its material the name."""

    material: str
    vertices: FloatArray
    faces: _Indices
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Node:
    """A node of the scene. names: those of its ancestors, the nearest first. world: from its frame to the scene's."""

    index: int
    entry: dict[str, Any]
    names: tuple[str, ...]
    world: _Matrix
    visible: bool


def read_gltf(path: Path) -> list[MeshPart]:
    """Return the triangles of the default scene, of the first one where none is the default, or else of all nodes.

    There is a part for each primitive of each node that shows a mesh, with the names of node, mesh, material and the
    nodes above. Parts are ordered by the name of their node, then as the file has them.

    Raises RoomError for a file that is damaged or needs what is not read here, OSError when it cannot be read.
    """
    content, chunk = _contents(path, read_regular(path))
    file = _File(path, _parsed(path, content), chunk)
    file.check_extensions()
    return file.parts()


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


class _File:
    """A glTF file. chunk: the binary chunk of a .glb."""

    def __init__(self, path: Path, top: dict[str, Any], chunk: memoryview | None) -> None:
        self._path, self._top, self._chunk = path, top, chunk
        self._buffers: dict[int, bytes | memoryview] = {}
        self._latest: tuple[Any, FloatArray] | None = None  # positions: primitives often share them
        self._surfaces: dict[int, list[_Surface]] = {}

    def check_extensions(self) -> None:
        """Raise for a file of another version, or one that requires an extension which is not known (3.12)."""
        version = self._object(self._top, "asset").get("version", "2.0")
        if not (isinstance(version, str) and version.split(".")[0] == "2"):
            raise RoomError(f"{self._path} is a glTF file of version {version!r:.40}, and 2.0 is read: convert it")
        for name in map(str, self._list(self._top, "extensionsRequired")):
            if name in MESHOPT:
                raise self._compressed(name)
            if name == DRACO and _draco_library() is None:
                raise self._compressed_by_draco()
            if name not in (INSTANCING, QUANTIZATION, VISIBILITY, DRACO) and not _ONLY_SEEN.fullmatch(name):
                shown = " ".join(name.split())[:100]
                raise RoomError(
                    f"{self._path} requires the glTF extension {shown}, which is not read: export without it"
                )

    def parts(self) -> list[MeshPart]:
        """Return the parts of all visible nodes."""
        nodes = {node.index: node for node in self._nodes()}
        parts: list[tuple[str, MeshPart]] = []
        n_vertices = n_faces = 0
        for index in sorted(nodes):
            node = nodes[index]
            if "mesh" not in node.entry or not node.visible:
                continue
            mesh = self._entry("meshes", node.entry["mesh"])
            instances = self._instances(node)
            times = 1 if instances is None else len(instances)
            for surface in self._morphed(node.entry, mesh):
                n_vertices += times * len(surface.vertices)
                n_faces += times * len(surface.faces)
                self._check_count(max(n_vertices, n_faces))
                names = (_name(node.entry), _name(mesh), surface.material, *node.names)
                part = self._placed(node, nodes, surface, instances)
                parts.append((_name(node.entry) or str(index), MeshPart(_unique(names), *part, surface.material)))
        # by the names of nodes: the order is part of a room's hash, and has been this one from the first version on
        return [part for _, part in sorted(parts, key=lambda named: named[0])]

    def _check_count(self, count: int) -> None:
        if count > MAX_ELEMENTS:
            raise RoomError(
                f"{self._path} repeats its data to more than {MAX_ELEMENTS:,} vertices or faces: export fewer"
            )

    # Nodes (3.5)

    def _nodes(self) -> Iterator[_Node]:
        """Yield the nodes of the scene, parents before children."""
        waiting: list[tuple[Any, tuple[str, ...], _Matrix, bool]]
        waiting = [(root, (), np.eye(4), True) for root in self._roots()]
        seen: set[int] = set()
        while waiting:
            index, names, above, shown = waiting.pop()
            entry = self._entry("nodes", index)
            if index in seen:
                raise self._fault(f"has node {index} below two others or below itself")
            seen.add(index)
            extension = self._object(self._object(entry, "extensions"), VISIBILITY)
            node = _Node(
                index, entry, names, above @ self._local(index, entry), shown and extension.get("visible") is not False
            )
            yield node
            below = _unique((_name(entry), *names))
            waiting += [(child, below, node.world, node.visible) for child in self._list(entry, "children")]

    def _roots(self) -> list[Any]:
        if "scene" in self._top or self._list(self._top, "scenes"):
            return self._list(self._entry("scenes", self._top.get("scene", 0)), "nodes")
        nodes = range(len(self._list(self._top, "nodes")))
        children = [self._list(self._entry("nodes", node), "children") for node in nodes]
        below = {child for some in children for child in some if isinstance(child, int)}
        return [node for node in nodes if node not in below]

    def _local(self, index: int, node: dict[str, Any]) -> _Matrix:
        if "matrix" in node:
            return self._numbers(node, "matrix", 16, f"node {index}").reshape(4, 4).T
        given = {key: self._numbers(node, key, len(_PLACE[key]), f"node {index}") for key in _PLACE if key in node}
        return _transform(*(given.get(key, np.array(_PLACE[key])) for key in _PLACE))

    def _instances(self, node: _Node) -> FloatArray | None:
        """Return the transforms of EXT_mesh_gpu_instancing, (n, 4, 4); None where a node shows its mesh once."""
        attributes = self._object(self._object(self._object(node.entry, "extensions"), INSTANCING), "attributes")
        accessors = {key: attributes[key.upper()] for key in _PLACE if key.upper() in attributes}
        if not accessors:
            return None
        counts = {self._whole(self._entry("accessors", k), "count", f"accessor {k}") for k in accessors.values()}
        if len(counts) > 1 or max(counts) > _MAX_INSTANCES:
            some = f"in different numbers, or more than {_MAX_INSTANCES:,},"
            raise self._fault(f"has instances {some} at node {node.index}")
        given = {key: self._array(k, (len(_PLACE[key]),)) for key, k in accessors.items()}
        shape = next(iter(given.values())).shape[:1]
        return _transform(*(given.get(key, np.broadcast_to(_PLACE[key], (*shape, len(_PLACE[key])))) for key in _PLACE))

    def _placed(
        self, node: _Node, nodes: dict[int, _Node], surface: _Surface, instances: FloatArray | None
    ) -> tuple[FloatArray, _Indices]:
        if "skin" in node.entry and "JOINTS_0" in surface.attributes:
            return self._skinned(node.entry["skin"], nodes, surface), surface.faces
        if instances is None:
            return surface.vertices @ node.world[:3, :3].T + node.world[:3, 3], surface.faces
        worlds = node.world @ instances
        vertices = surface.vertices @ worlds[:, :3, :3].transpose(0, 2, 1) + worlds[:, None, :3, 3]
        offsets = len(surface.vertices) * np.arange(len(worlds))
        return vertices.reshape(-1, 3), (surface.faces + offsets[:, None, None]).reshape(-1, 3)

    def _skinned(self, index: Any, nodes: dict[int, _Node], surface: _Surface) -> FloatArray:
        """Return the vertices as their joints stand (3.7.3.3): the mesh's own node does not count."""
        skin = self._entry("skins", index)
        joints = self._list(skin, "joints")
        if not joints or not all(isinstance(joint, int) and joint in nodes for joint in joints):
            raise self._fault(f"has a skin {index} with a joint that is not a node of the scene")
        bind = np.broadcast_to(np.eye(4), (len(joints), 4, 4))
        if "inverseBindMatrices" in skin:
            bind = self._array(skin["inverseBindMatrices"], (16,)).reshape(-1, 4, 4).transpose(0, 2, 1)
        if len(bind) < len(joints):
            raise self._fault(f"has a skin {index} with fewer matrices than joints")
        pose = np.stack([nodes[joint].world @ matrix for joint, matrix in zip(joints, bind, strict=False)])
        moved, total = np.zeros_like(surface.vertices), np.zeros((len(surface.vertices), 1))
        for k in range(len(surface.attributes)):
            if not {f"JOINTS_{k}", f"WEIGHTS_{k}"} <= surface.attributes.keys():
                break
            which = self._array(surface.attributes[f"JOINTS_{k}"], (4,)).astype(np.int64)
            weights = self._array(surface.attributes[f"WEIGHTS_{k}"], (4,))
            if not len(which) == len(weights) == len(moved) or not 0 <= which.min() <= which.max() < len(pose):
                raise self._fault(f"has vertices with joints that skin {index} does not have")
            for column in range(4):
                matrix = pose[which[:, column]]
                at = np.einsum("nij,nj->ni", matrix[:, :3, :3], surface.vertices) + matrix[:, :3, 3]
                moved += weights[:, column, None] * at
                total += weights[:, column, None]
        return moved / np.where(total > 0.0, total, 1.0)

    # Meshes (3.7)

    def _morphed(self, node: dict[str, Any], mesh: dict[str, Any]) -> list[_Surface]:
        """Return the surfaces of a mesh as a node shows it: its weights of morph targets go before the mesh's."""
        index = node["mesh"]
        if "weights" in node:
            return self._read_mesh(index, mesh, self._list(node, "weights"))
        if index not in self._surfaces:
            self._surfaces[index] = self._read_mesh(index, mesh, self._list(mesh, "weights"))
        return self._surfaces[index]

    def _read_mesh(self, index: int, mesh: dict[str, Any], weights: Sequence[Any]) -> list[_Surface]:
        if not all(isinstance(weight, int | float) for weight in weights):
            raise self._fault(f"has mesh {index} with weights that are not numbers")
        surfaces = []
        count = 0
        for number, primitive in enumerate(self._list(mesh, "primitives")):
            where = f"primitive {number} of mesh {index}"
            if not isinstance(primitive, dict):
                raise self._fault(f"has no readable {where}")
            surface = self._read_primitive(where, primitive, weights)
            if surface is not None and len(surface.faces):
                surfaces.append(surface)
                count += max(len(surface.vertices), len(surface.faces))
                self._check_count(count)
        return surfaces

    def _read_primitive(self, where: str, primitive: dict[str, Any], weights: Sequence[float]) -> _Surface | None:
        mode = primitive.get("mode", _TRIANGLES)
        if mode not in _MODES:
            raise self._fault(f"has the unknown mode {mode!r:.40} in {where}")
        attributes = self._object(primitive, "attributes")
        if mode < _TRIANGLES or "POSITION" not in attributes:
            return None
        decoded = self._draco(where, primitive)
        if decoded is None:
            vertices = self._positions(attributes["POSITION"])
            order = self._indices(primitive["indices"]) if "indices" in primitive else np.arange(len(vertices))
            faces = _triangles(order, mode)
        else:
            vertices, faces = decoded
        if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise self._fault(f"names vertex {faces.max():,} in {where}, which has {len(vertices):,}")
        for target, weight in zip(self._list(primitive, "targets"), weights, strict=False):
            if weight and isinstance(target, dict) and "POSITION" in target:
                moved = self._array(target["POSITION"], (3,))
                if len(moved) != len(vertices):
                    raise self._fault(f"has a morph target with other vertices than {where}")
                vertices = vertices + weight * moved
        material = _name(self._entry("materials", primitive["material"])) if "material" in primitive else ""
        if "JOINTS_0" not in attributes and 3 * len(faces) < len(vertices):  # primitives may share all their vertices
            vertices, faces = compact(vertices, faces)
        return _Surface(material, vertices, faces, attributes)

    def _draco(self, where: str, primitive: dict[str, Any]) -> tuple[FloatArray, _Indices] | None:
        """Return what is compressed in a primitive; None where nothing is, or where the file has it plainly as well."""
        extension = self._object(self._object(primitive, "extensions"), DRACO)
        if not extension:
            return None
        draco = _draco_library()
        if draco is None:
            position = self._entry("accessors", self._object(primitive, "attributes").get("POSITION"))
            if "bufferView" in position:
                return None
            raise self._compressed_by_draco()
        try:
            found = draco.decode(bytes(self._view(extension.get("bufferView"))))
            vertices = np.asarray(found.points, dtype=np.float64).reshape(-1, 3)
            faces = np.asarray(found.faces, dtype=np.int64).reshape(-1, 3)
        except RoomError:
            raise
        except Exception as error:  # whatever the library has for damaged data
            raise self._fault(
                f"has Draco data in {where} that cannot be decoded ({' '.join(str(error).split())[:80]})"
            ) from None
        return vertices, faces

    # Accessors and buffers (3.6)

    def _indices(self, index: Any) -> _Indices:
        if self._entry("accessors", index).get("componentType") not in (5121, 5123, 5125):
            raise self._fault(f"has indices in accessor {index} that are not unsigned integers")
        return self._array(index, (1,)).astype(np.int64)[:, 0]

    def _positions(self, index: Any) -> FloatArray:
        if self._latest is None or self._latest[0] != index:
            self._latest = index, self._array(index, (3,))
        return self._latest[1]

    def _array(self, index: Any, widths: Sequence[int]) -> FloatArray:
        """Return an accessor's elements, float64 (count, width), which every component type fits in."""
        entry, where = self._entry("accessors", index), f"accessor {index}"
        kind, width = self._component(entry, where), _WIDTHS.get(str(entry.get("type")), 0)
        count = self._whole(entry, "count", where)
        if width not in widths:
            raise self._fault(f"has elements of the type {entry.get('type')!r:.40} in {where}, where others belong")
        if count > (MAX_ELEMENTS if "bufferView" in entry else _MAX_ZEROS):
            raise self._fault(f"claims {count:,} elements in {where}, which is more than are read")
        if "bufferView" in entry:
            at = self._whole(entry, "byteOffset", where, 0)
            values = self._elements(entry["bufferView"], at, count, kind, width, where).astype(np.float64)
        else:
            values = np.zeros((count, width))
        if "sparse" in entry:
            sparse = self._object(entry, "sparse")
            changes = self._whole(sparse, "count", where)
            places, news = self._object(sparse, "indices"), self._object(sparse, "values")
            at = self._whole(places, "byteOffset", where, 0)
            which = self._elements(
                places.get("bufferView"), at, changes, self._component(places, where), 1, f"the sparse {where}"
            )[:, 0].astype(np.int64)
            if changes and not 0 <= which.min() <= which.max() < count:
                raise self._fault(f"changes element {which.max():,} of {count:,} in the sparse {where}")
            at = self._whole(news, "byteOffset", where, 0)
            values[which] = self._elements(news.get("bufferView"), at, changes, kind, width, f"the sparse {where}")
        if entry.get("normalized") is True and kind.kind in "iu":
            values = np.maximum(values / np.iinfo(kind).max, -1.0)
        return values

    def _component(self, entry: dict[str, Any], where: str) -> np.dtype[Any]:
        kind = entry.get("componentType")
        if not isinstance(kind, int) or kind not in _COMPONENTS:
            raise self._fault(f"has the unknown component type {kind!r:.40} in {where}")
        return np.dtype("<" + _COMPONENTS[kind])

    def _elements(
        self, view_index: Any, at: int, count: int, kind: np.dtype[Any], width: int, where: str
    ) -> npt.NDArray[Any]:
        """Return elements of a view, (count, width), without a copy."""
        view = self._view(view_index)
        size = width * kind.itemsize
        stride = self._whole(self._entry("bufferViews", view_index), "byteStride", where, size)
        if stride < size:
            raise self._fault(f"has elements of {size} bytes every {stride} bytes in {where}")
        if count and at + (count - 1) * stride + size > len(view):
            raise self._fault(
                f"has {len(view):,} bytes in buffer view {view_index}, where {where} needs "
                f"{at + (count - 1) * stride + size:,}"
            )
        return np.ndarray((count, width), kind, view, at if count else 0, (stride, kind.itemsize))

    def _view(self, index: Any) -> memoryview:
        view, where = self._entry("bufferViews", index), f"buffer view {index}"
        start, length = self._whole(view, "byteOffset", where, 0), self._whole(view, "byteLength", where)
        compressed = next((name for name in MESHOPT if name in self._object(view, "extensions")), None)
        try:
            buffer = self._buffer(view.get("buffer"))
        except RoomError:
            if compressed is not None:
                raise self._compressed(compressed) from None
            raise
        if start + length > len(buffer):
            raise self._fault(
                f"has {len(buffer):,} bytes in buffer {view.get('buffer')}, where {where} ends at {start + length:,}"
            )
        return memoryview(buffer)[start : start + length]

    def _buffer(self, index: Any) -> bytes | memoryview:
        entry = self._entry("buffers", index)
        if index not in self._buffers:
            self._buffers[index] = self._read_buffer(index, entry)
        return self._buffers[index]

    def _read_buffer(self, index: int, entry: dict[str, Any]) -> bytes | memoryview:
        uri = entry.get("uri")
        content: bytes | memoryview
        if uri is None and index == 0 and self._chunk is not None:
            content = self._chunk
        elif not isinstance(uri, str):
            raise self._fault(f"has a buffer {index} without contents")
        elif _is_data(uri):
            head, _, data = uri.partition(",")
            try:
                encoded = head.lower().endswith(";base64")
                content = base64.b64decode(unquote(data), validate=True) if encoded else unquote_to_bytes(data)
            except (binascii.Error, ValueError):
                raise self._fault(f"has a buffer {index} in base64 that cannot be decoded") from None
        else:
            source = _beside(self._path, uri)
            try:
                content = read_regular(source)
            except OSError as error:
                raise RoomError(f"cannot read {source}, which {self._path} needs: {error.strerror or error}") from error
        length = self._whole(entry, "byteLength", f"buffer {index}")
        if len(content) < length:
            raise self._fault(f"has {len(content):,} of {length:,} bytes of buffer {index}")
        return content

    # Entries of the JSON, of which any may be missing or of another type

    def _entry(self, kind: str, index: Any) -> dict[str, Any]:
        entries = self._list(self._top, kind)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(entries):
            raise self._fault(f"refers to {index!r:.40} of its {len(entries)} {kind}")
        if not isinstance(entries[index], dict):
            raise self._fault(f"has no readable entry {index} in {kind}")
        found: dict[str, Any] = entries[index]
        return found

    def _object(self, entry: dict[str, Any], key: str) -> dict[str, Any]:
        found = entry.get(key, {})
        if not isinstance(found, dict):
            raise self._fault(f"has something else than an object under {key!r}")
        return found

    def _list(self, entry: dict[str, Any], key: str) -> list[Any]:
        found = entry.get(key, [])
        if not isinstance(found, list):
            raise self._fault(f"has something else than a list under {key!r}")
        return found

    def _whole(self, entry: dict[str, Any], key: str, where: str, default: int | None = None) -> int:
        found = entry.get(key, default)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise self._fault(f"has {found!r:.40} for {key!r} in {where}, where a whole number belongs")
        return found

    def _numbers(self, entry: dict[str, Any], key: str, count: int, where: str) -> FloatArray:
        found = self._list(entry, key)
        if len(found) != count or not all(isinstance(number, int | float) for number in found):
            raise self._fault(f"has no {count} numbers for {key!r} in {where}")
        try:
            return np.array(found, dtype=np.float64)
        except OverflowError:
            raise self._fault(f"has a number for {key!r} in {where} that is too large") from None

    def _fault(self, text: str) -> RoomError:
        return _damaged(self._path, text)

    def _compressed_by_draco(self) -> RoomError:
        return RoomError(f"{self._path} is compressed by Draco: pip install DracoPy, or export it without compression")

    def _compressed(self, extension: str) -> RoomError:
        return RoomError(
            f"{self._path} is compressed by {extension}, which cannot be read: decompress it, or export it without "
            f"compression"
        )


def _draco_library() -> Any | None:
    try:
        return import_module("DracoPy")
    except ImportError:
        return None


def _transform(translation: FloatArray, rotation: FloatArray, scale: FloatArray) -> FloatArray:
    """Return the matrices (..., 4, 4) of scaling, then turning by a quaternion (x, y, z, w), then shifting."""
    squared = np.einsum("...k,...k->...", rotation, rotation)
    unit = np.where(squared[..., None] > 0.0, rotation, (0.0, 0.0, 0.0, 1.0))
    unit = unit * np.sqrt(2.0 / np.where(squared > 0.0, squared, 1.0))[..., None]
    products = unit[..., :, None] * unit[..., None, :]
    xx, xy, xz, xw = np.moveaxis(products[..., 0, :], -1, 0)
    _, yy, yz, yw = np.moveaxis(products[..., 1, :], -1, 0)
    _, _, zz, zw = np.moveaxis(products[..., 2, :], -1, 0)
    matrix = np.zeros((*squared.shape, 4, 4))
    rows = ((1.0 - yy - zz, xy - zw, xz + yw), (xy + zw, 1.0 - xx - zz, yz - xw), (xz - yw, yz + xw, 1.0 - xx - yy))
    for k, row in enumerate(rows):
        matrix[..., k, :3] = np.stack(row, axis=-1) * scale
    matrix[..., :3, 3] = translation
    matrix[..., 3, 3] = 1.0
    return matrix


def _triangles(order: _Indices, mode: int) -> _Indices:
    """Return the triangles of a list, a strip or a fan of vertices, wound as 3.7.2.1 has it."""
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if len(order) < 3:
        return np.empty((0, 3), dtype=np.int64)
    if mode == _FAN:
        return np.stack([order[1:-1], order[2:], np.broadcast_to(order[0], len(order) - 2)], axis=1)
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    faces[1::2, 1:] = faces[1::2, :0:-1]
    a, b, c = faces.T
    joined: _Indices = faces[(a != b) & (b != c) & (c != a)]  # a strip continues elsewhere over triangles without area
    return joined


def _name(entry: dict[str, Any]) -> str:
    name = entry.get("name")
    return name if isinstance(name, str) else ""


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
