"""Reads glTF 2.0 (.gltf with its buffers, or .glb): the surfaces of the scene, with all node transforms applied.

Format: glTF 2.0 (Khronos Group, ISO/IEC 12113:2022); "3.6" and the like below are its sections. Meshes are read in
full: buffers of every kind, sparse and normalised accessors, all modes of primitives, morph targets at their default
weights, skins as posed. Materials give names; textures, cameras, lights and animations are not read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.gltf_data import MESHOPT, GltfData, Indices, read_data
from spatialqa.rooms.mesh.parts import MAX_ELEMENTS, MeshPart, compact

INSTANCING, QUANTIZATION, VISIBILITY = "EXT_mesh_gpu_instancing", "KHR_mesh_quantization", "KHR_node_visibility"
DRACO = "KHR_draco_mesh_compression"
# What a file may require although we do not know it: it changes how surfaces look, or what they mean.
_ONLY_SEEN = re.compile(
    r"KHR_(materials|texture|lights|xmp)_\w+|KHR_xmp|KHR_animation_pointer|EXT_(texture|lights)_\w+|MSFT_texture_\w+"
    r"|MSFT_packing_\w+|ADOBE_materials_\w+|AGI_\w+|EXT_(mesh_features|instance_features|structural_metadata)"
)

_TRIANGLES, _STRIP, _FAN, _MODES = 4, 5, 6, range(7)

_MAX_INSTANCES = 2**20  # of one node: their matrices take 128 MiB
_PLACE = {"translation": (0.0, 0.0, 0.0), "rotation": (0.0, 0.0, 0.0, 1.0), "scale": (1.0, 1.0, 1.0)}

_Matrix = FloatArray  # (4, 4)


@dataclass(frozen=True, eq=False)
class _Surface:
    """The triangles of a primitive, and of its material the name."""

    material: str
    vertices: FloatArray
    faces: Indices
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
    scene = _Scene(read_data(path))
    scene.check_extensions()
    return scene.parts()


class _Scene:
    """The scene of a glTF file."""

    def __init__(self, data: GltfData) -> None:
        self._data = data
        self._latest: tuple[Any, FloatArray] | None = None  # positions: primitives often share them
        self._surfaces: dict[int, list[_Surface]] = {}

    def check_extensions(self) -> None:
        """Raise for a file of another version, or one that requires an extension which is not known (3.12)."""
        version = self._data.object_of(self._data.top, "asset").get("version", "2.0")
        if not (isinstance(version, str) and version.split(".")[0] == "2"):
            raise RoomError(f"{self._data.path} is a glTF file of version {version!r:.40}, and 2.0 is read: convert it")
        for name in map(str, self._data.list_of(self._data.top, "extensionsRequired")):
            if name in MESHOPT:
                raise self._data.compressed(name)
            if name == DRACO and _draco_library() is None:
                raise self._compressed_by_draco()
            if name not in (INSTANCING, QUANTIZATION, VISIBILITY, DRACO) and not _ONLY_SEEN.fullmatch(name):
                shown = " ".join(name.split())[:100]
                raise RoomError(
                    f"{self._data.path} requires the glTF extension {shown}, which is not read: export without it"
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
            mesh = self._data.entry("meshes", node.entry["mesh"])
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
                f"{self._data.path} repeats its data to more than {MAX_ELEMENTS:,} vertices or faces: export fewer"
            )

    # Nodes (3.5)

    def _nodes(self) -> Iterator[_Node]:
        """Yield the nodes of the scene, parents before children."""
        waiting: list[tuple[Any, tuple[str, ...], _Matrix, bool]]
        waiting = [(root, (), np.eye(4), True) for root in self._roots()]
        seen: set[int] = set()
        while waiting:
            index, names, above, shown = waiting.pop()
            entry = self._data.entry("nodes", index)
            if index in seen:
                raise self._data.fault(f"has node {index} below two others or below itself")
            seen.add(index)
            extension = self._data.extension(entry, VISIBILITY)
            node = _Node(
                index, entry, names, above @ self._local(index, entry), shown and extension.get("visible") is not False
            )
            yield node
            below = _unique((_name(entry), *names))
            waiting += [(child, below, node.world, node.visible) for child in self._data.list_of(entry, "children")]

    def _roots(self) -> list[Any]:
        if "scene" in self._data.top or self._data.list_of(self._data.top, "scenes"):
            return self._data.list_of(self._data.entry("scenes", self._data.top.get("scene", 0)), "nodes")
        nodes = range(len(self._data.list_of(self._data.top, "nodes")))
        children = [self._data.list_of(self._data.entry("nodes", node), "children") for node in nodes]
        below = {child for some in children for child in some if isinstance(child, int)}
        return [node for node in nodes if node not in below]

    def _local(self, index: int, node: dict[str, Any]) -> _Matrix:
        if "matrix" in node:
            return self._data.numbers(node, "matrix", 16, f"node {index}").reshape(4, 4).T
        given = {key: self._data.numbers(node, key, len(_PLACE[key]), f"node {index}") for key in _PLACE if key in node}
        return _transform(*(given.get(key, np.array(_PLACE[key])) for key in _PLACE))

    def _instances(self, node: _Node) -> FloatArray | None:
        """Return the transforms of EXT_mesh_gpu_instancing, (n, 4, 4); None where a node shows its mesh once."""
        data = self._data
        attributes = data.object_of(data.extension(node.entry, INSTANCING), "attributes")
        accessors = {key: attributes[key.upper()] for key in _PLACE if key.upper() in attributes}
        if not accessors:
            return None
        counts = {data.whole(data.entry("accessors", k), "count", f"accessor {k}") for k in accessors.values()}
        if len(counts) > 1 or max(counts) > _MAX_INSTANCES:
            some = f"in different numbers, or more than {_MAX_INSTANCES:,},"
            raise data.fault(f"has instances {some} at node {node.index}")
        given = {key: data.array(k, (len(_PLACE[key]),)) for key, k in accessors.items()}
        shape = next(iter(given.values())).shape[:1]
        return _transform(*(given.get(key, np.broadcast_to(_PLACE[key], (*shape, len(_PLACE[key])))) for key in _PLACE))

    def _placed(
        self, node: _Node, nodes: dict[int, _Node], surface: _Surface, instances: FloatArray | None
    ) -> tuple[FloatArray, Indices]:
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
        skin = self._data.entry("skins", index)
        joints = self._data.list_of(skin, "joints")
        if not joints or not all(isinstance(joint, int) and joint in nodes for joint in joints):
            raise self._data.fault(f"has a skin {index} with a joint that is not a node of the scene")
        bind = np.broadcast_to(np.eye(4), (len(joints), 4, 4))
        if "inverseBindMatrices" in skin:
            bind = self._data.array(skin["inverseBindMatrices"], (16,)).reshape(-1, 4, 4).transpose(0, 2, 1)
        if len(bind) < len(joints):
            raise self._data.fault(f"has a skin {index} with fewer matrices than joints")
        pose = np.stack([nodes[joint].world @ matrix for joint, matrix in zip(joints, bind, strict=False)])
        moved, total = np.zeros_like(surface.vertices), np.zeros((len(surface.vertices), 1))
        for k in range(len(surface.attributes)):
            if not {f"JOINTS_{k}", f"WEIGHTS_{k}"} <= surface.attributes.keys():
                break
            which = self._data.array(surface.attributes[f"JOINTS_{k}"], (4,)).astype(np.int64)
            weights = self._data.array(surface.attributes[f"WEIGHTS_{k}"], (4,))
            if not len(which) == len(weights) == len(moved) or not 0 <= which.min() <= which.max() < len(pose):
                raise self._data.fault(f"has vertices with joints that skin {index} does not have")
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
            return self._read_mesh(index, mesh, self._data.list_of(node, "weights"))
        if index not in self._surfaces:
            self._surfaces[index] = self._read_mesh(index, mesh, self._data.list_of(mesh, "weights"))
        return self._surfaces[index]

    def _read_mesh(self, index: int, mesh: dict[str, Any], weights: Sequence[Any]) -> list[_Surface]:
        if not all(isinstance(weight, int | float) for weight in weights):
            raise self._data.fault(f"has mesh {index} with weights that are not numbers")
        surfaces = []
        count = 0
        for number, primitive in enumerate(self._data.list_of(mesh, "primitives")):
            where = f"primitive {number} of mesh {index}"
            if not isinstance(primitive, dict):
                raise self._data.fault(f"has no readable {where}")
            surface = self._read_primitive(where, primitive, weights)
            if surface is not None and len(surface.faces):
                surfaces.append(surface)
                count += max(len(surface.vertices), len(surface.faces))
                self._check_count(count)
        return surfaces

    def _read_primitive(self, where: str, primitive: dict[str, Any], weights: Sequence[float]) -> _Surface | None:
        mode = primitive.get("mode", _TRIANGLES)
        if mode not in _MODES:
            raise self._data.fault(f"has the unknown mode {mode!r:.40} in {where}")
        attributes = self._data.object_of(primitive, "attributes")
        if mode < _TRIANGLES or "POSITION" not in attributes:
            return None
        decoded = self._draco(where, primitive)
        if decoded is None:
            vertices = self._positions(attributes["POSITION"])
            order = self._data.indices(primitive["indices"]) if "indices" in primitive else np.arange(len(vertices))
            faces = _triangles(order, mode)
        else:
            vertices, faces = decoded
        if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise self._data.fault(f"names vertex {faces.max():,} in {where}, which has {len(vertices):,}")
        for target, weight in zip(self._data.list_of(primitive, "targets"), weights, strict=False):
            if weight and isinstance(target, dict) and "POSITION" in target:
                moved = self._data.array(target["POSITION"], (3,))
                if len(moved) != len(vertices):
                    raise self._data.fault(f"has a morph target with other vertices than {where}")
                vertices = vertices + weight * moved
        material = _name(self._data.entry("materials", primitive["material"])) if "material" in primitive else ""
        if "JOINTS_0" not in attributes and 3 * len(faces) < len(vertices):  # primitives may share all their vertices
            vertices, faces = compact(vertices, faces)
        return _Surface(material, vertices, faces, attributes)

    def _draco(self, where: str, primitive: dict[str, Any]) -> tuple[FloatArray, Indices] | None:
        """Return what is compressed in a primitive; None where nothing is, or where the file has it plainly as well."""
        extension = self._data.extension(primitive, DRACO)
        if not extension:
            return None
        draco = _draco_library()
        if draco is None:
            position = self._data.entry("accessors", self._data.object_of(primitive, "attributes").get("POSITION"))
            if "bufferView" in position:
                return None
            raise self._compressed_by_draco()
        try:
            found = draco.decode(bytes(self._data.view(extension.get("bufferView"))))
            vertices = np.asarray(found.points, dtype=np.float64).reshape(-1, 3)
            faces = np.asarray(found.faces, dtype=np.int64).reshape(-1, 3)
        except RoomError:
            raise
        except Exception as error:  # whatever the library has for damaged data
            raise self._data.fault(
                f"has Draco data in {where} that cannot be decoded ({' '.join(str(error).split())[:80]})"
            ) from None
        return vertices, faces

    def _positions(self, index: Any) -> FloatArray:
        if self._latest is None or self._latest[0] != index:
            self._latest = index, self._data.array(index, (3,))
        return self._latest[1]

    def _compressed_by_draco(self) -> RoomError:
        return RoomError(
            f"{self._data.path} is compressed by Draco: pip install DracoPy, or export it without compression"
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


def _triangles(order: Indices, mode: int) -> Indices:
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
    joined: Indices = faces[(a != b) & (b != c) & (c != a)]  # a strip continues elsewhere over triangles without area
    return joined


def _name(entry: dict[str, Any]) -> str:
    name = entry.get("name")
    return name if isinstance(name, str) else ""


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
