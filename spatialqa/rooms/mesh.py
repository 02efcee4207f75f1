"""Rooms from any mesh file: GLB, glTF, OBJ, PLY, STL; materials by the names of objects, groups and materials."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh
import yaml

from spatialqa.errors import RoomError
from spatialqa.geometry import FloatArray, z_up_to_world
from spatialqa.rooms.materials import Material, guess_material, material
from spatialqa.rooms.rays import RayCaster, ray_efficiency
from spatialqa.rooms.room import Room
from spatialqa.seeds import rng

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
DEFAULT_MATERIAL = "default"
MIN_EXTENT_M, MAX_EXTENT_M = 1.0, 500.0
LEAKY_BELOW = 0.9  # share of rays from inside that meet a surface

_NAMES_SHOWN = 8


@dataclass(frozen=True, eq=False)
class _Part:
    """Faces that share their names. names: from the most telling, as the file has them."""

    names: tuple[str, ...]
    vertices: FloatArray
    faces: npt.NDArray[np.int64]


class MeshRooms:
    """The room set of one mesh file, or of a folder in which every mesh file is one house.

    path: a file, or a folder; a room's id is the file's stem. up: the file's vertical axis, "y" or "z".
    unit_scale: metres per unit of the file. material_map: a YAML file of {pattern: material}; a pattern is a name or
    has shell wildcards, and names are those of objects, their parents, groups and materials, compared without case. The
    first pattern that matches wins. A name that no pattern matches is read by `guess_material`; what is left
    takes default_material, with a warning.

    Raises RoomError where there is no mesh, two files share a stem, or the map is not usable.
    """

    name = "mesh"

    def __init__(
        self,
        path: Path,
        up: str = "y",
        unit_scale: float = 1.0,
        material_map: Path | None = None,
        default_material: str | None = None,
    ) -> None:
        if up not in ("y", "z"):
            raise RoomError(f"up must be y or z, got {up!r}")
        if not 0.0 < unit_scale < float("inf"):
            raise RoomError(f"unit_scale must be a positive number of metres per unit, got {unit_scale!r}")
        self._up, self._unit_scale = up, unit_scale
        self._files = _mesh_files(path)
        self._patterns = _read_map(material_map) if material_map else {}
        self._default = material(default_material or DEFAULT_MATERIAL)

    def room_ids(self, count: int | None, seed: int) -> Sequence[str]:
        """Return the ids of all files by name, or `count` of them drawn by seed where there are more."""
        ids = list(self._files)
        if count is None or count >= len(ids):
            return ids
        return [ids[k] for k in rng(seed, "mesh-rooms", "ids").permutation(len(ids))[:count]]

    def house_of(self, room_id: str) -> str:
        """Return the house: every file is one."""
        return room_id

    def official_split(self, house_id: str) -> str | None:
        """Return None: the houses have no official splits."""
        return None

    def content_hash(self) -> str:
        """Return a hash of the bytes of the files and of the buffers they refer to, and of how they are read.

        The .mtl of an OBJ and textures do not count: no shape and no material name is read from them.
        """
        # the map in its order, since the first pattern that matches wins
        how = (self._up, self._unit_scale, list(self._patterns.items()), self._default.name)
        digest = hashlib.sha256(repr(how).encode())
        for room_id in sorted(self._files):
            content = self._files[room_id].read_bytes()
            for part in (room_id.encode(), content, *_buffers(self._files[room_id], content)):
                digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def load(self, room_id: str) -> Room:
        """Read a file, in metres and in the world frame.

        Raises RoomError when the file is missing, damaged, empty, or has a size that no building has.
        """
        if room_id not in self._files:
            raise RoomError(f"there is no mesh room {room_id!r}: the rooms are {_listed(self._files)}")
        path = self._files[room_id]
        parts = _read_parts(path)
        if not parts:
            raise RoomError(f"{path} holds no faces: a room needs a triangle mesh")
        materials, part_material, warnings = self._materials(path, parts)
        offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
        faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
        face_material = np.repeat(part_material, [len(part.faces) for part in parts]).astype(np.int32)
        points = np.concatenate([part.vertices for part in parts]) * self._unit_scale
        if self._up == "z":
            points = z_up_to_world(points)
        vertices = points.astype(np.float32)
        used = np.unique(faces)
        if not np.isfinite(vertices[used]).all():
            raise RoomError(f"{path} has vertices that are not finite numbers: mend or export the mesh again")
        whole = _area(vertices, faces) > 0.0
        if not whole.any():
            raise RoomError(f"{path} holds only faces without area: a room needs a triangle mesh")
        if not whole.all():
            warnings.append(f"{int((~whole).sum()):,} of {len(faces):,} faces have no area and were left out")
        vertices, faces = _compact(vertices, faces[whole])
        self._check_size(path, vertices)
        warnings += _leaks(vertices, faces, self._up)
        return Room(
            self.name, room_id, room_id, vertices, faces, face_material[whole], materials, warnings=tuple(warnings)
        )

    def _materials(self, path: Path, parts: Sequence[_Part]) -> tuple[tuple[Material, ...], list[int], list[str]]:
        """Return the materials in use, the index of each part's material, and warnings."""
        chosen: list[str | None] = []
        for part in parts:
            mapped = next((value for key, value in self._patterns.items() if _matches(key, part.names)), None)
            chosen.append(mapped or next((found for name in part.names if (found := guess_material(name))), None))
        unnamed = list(
            dict.fromkeys(
                part.names[0] if part.names else "(no name)"
                for part, found in zip(parts, chosen, strict=True)
                if found is None
            )
        )
        warnings = []
        if unnamed:
            warnings.append(f"no material is known for {_listed(unnamed)}: they are {self._default.name}")
        idle = [key for key in self._patterns if not any(_matches(key, part.names) for part in parts)]
        if idle:
            warnings.append(f"nothing in {path.name} has a name that matches {_listed(idle)} of the material map")
        resolved = [found or self._default.name for found in chosen]
        names = sorted(set(resolved))
        return tuple(material(name) for name in names), [names.index(name) for name in resolved], warnings

    def _check_size(self, path: Path, vertices: npt.NDArray[np.float32]) -> None:
        x, y, z = (float(extent) for extent in np.ptp(vertices, axis=0))
        if not MIN_EXTENT_M <= max(x, y, z) <= MAX_EXTENT_M:
            raise RoomError(
                f"{path} reads as {x:.4g} x {z:.4g} m and {y:.4g} m high, which no building is: give --unit-scale, "
                f"the metres per unit of the file (it was {self._unit_scale:g}; 0.01 for cm, 0.001 for mm)"
            )
        if min(x, z) < 0.5 or y < 1.0:
            raise RoomError(
                f"{path} reads as {x:.4g} x {z:.4g} m and {y:.4g} m high: too small for a person; check --up (it was "
                f"{self._up}) and --unit-scale (it was {self._unit_scale:g})"
            )


def _mesh_files(path: Path) -> dict[str, Path]:
    if not path.exists():
        raise RoomError(f"there is no mesh file or folder {path}")
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise RoomError(f"cannot read {path} as a mesh: the file types are {', '.join(SUFFIXES)}")
        return {path.stem: path}
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if not file.is_file() or file.suffix.lower() not in SUFFIXES:
            continue
        if file.stem in files:
            raise RoomError(f"{files[file.stem].name} and {file.name} in {path} have the same stem: rename one")
        files[file.stem] = file
    if not files:
        raise RoomError(f"the folder {path} holds no mesh file ({', '.join(SUFFIXES)})")
    return files


def _buffers(path: Path, content: bytes) -> Iterator[bytes]:
    """Yield the files beside a .gltf that hold its vertices and faces; a missing one is empty, and `load` names it."""
    if path.suffix.lower() != ".gltf":
        return
    try:
        uris = [buffer.get("uri", "base64,") for buffer in json.loads(content)["buffers"]]
        outside = [uri for uri in uris if "base64," not in uri]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # damaged
        return
    resolver = trimesh.resolvers.FilePathResolver(str(path))
    for uri in outside:
        try:
            yield resolver.get(uri)
        except (OSError, ValueError, AttributeError, TypeError):
            yield b""


def _read_map(path: Path) -> dict[str, str]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RoomError(f"cannot read the material map {path}: {_one_line(error)}") from error
    if not isinstance(content, dict) or not content:
        raise RoomError(f"the material map {path} must hold lines of the form `pattern: material`")
    for key, value in content.items():
        try:
            material(str(value))
        except RoomError as error:
            raise RoomError(f"{path}, entry {str(key)!r}: {error}") from error
    return {str(key): str(value) for key, value in content.items()}


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    wanted = pattern.casefold()
    return any(name.casefold() == wanted or fnmatchcase(name.casefold(), wanted) for name in names)


def _read_parts(path: Path) -> list[_Part]:
    """Return the meshes of a file in its own units and axes, in a stable order, transforms of the scene applied."""
    try:
        if path.suffix.lower() == ".obj":
            return _read_obj(path)
        scene = trimesh.load_scene(str(path), process=False)
        return [part for part in _scene_parts(scene) if len(part.faces)]
    except Exception as error:  # trimesh lets parser errors of every kind through
        if isinstance(error, MemoryError):
            raise
        raise RoomError(f"cannot read the mesh {path}: {_one_line(error)}; the file may be damaged") from error


def _scene_parts(scene: Any) -> Iterator[_Part]:
    for node in sorted(scene.graph.nodes_geometry):
        transform, geometry = scene.graph[node]
        mesh = scene.geometry[geometry]
        if not isinstance(mesh, trimesh.Trimesh):
            continue
        names = [str(node), str(geometry), str(getattr(getattr(mesh.visual, "material", None), "name", None) or "")]
        parent = scene.graph.transforms.parents.get(node)
        while parent is not None and parent != scene.graph.base_frame:
            names.append(str(parent))
            parent = scene.graph.transforms.parents.get(parent)
        vertices = np.asarray(mesh.vertices, dtype=np.float64) @ transform[:3, :3].T + transform[:3, 3]
        yield _Part(tuple(dict.fromkeys(filter(None, names))), vertices, np.asarray(mesh.faces, dtype=np.int64))


def _read_obj(path: Path) -> list[_Part]:
    """Read an OBJ by parts of one object, group and material each.

    trimesh keeps neither group names nor material names without their .mtl, so each part is renamed before it reads.
    """
    state = {"o": "", "g": "", "usemtl": ""}
    parts: dict[tuple[str, str, str], str] = {}
    lines: list[str] = []
    current = None
    for line in path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ").splitlines():
        head, *rest = line.split(maxsplit=1) or [""]
        if head in state:
            state[head] = rest[0].strip() if rest else ""
            if head == "o":
                state["g"] = ""  # exporters start every object afresh
        elif head == "f":
            key = (state["o"], state["g"], state["usemtl"])
            if key != current:
                current = key
                lines.append(f"o part{len(parts) if key not in parts else int(parts[key][4:])}")
                parts.setdefault(key, lines[-1][2:])
            lines.append(line)
        elif head in ("v", "vt", "vn"):
            lines.append(line)
    scene = trimesh.load_scene(
        BytesIO(("\n".join(lines) + "\n").encode()),
        file_type="obj",
        process=False,
        split_objects=True,
        skip_materials=True,
    )
    names = {label: tuple(name for name in (key[1], key[0], key[2]) if name) for key, label in parts.items()}
    found = []
    for part in _scene_parts(scene):
        label = next(m[0] for name in part.names if (m := re.match(r"part\d+", name)))
        found.append(_Part(names[label], part.vertices, part.faces))
    return [part for part in found if len(part.faces)]


def _area(vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int64]) -> FloatArray:
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    area: FloatArray = np.sqrt((normal * normal).sum(axis=1)) / 2
    return area


def _compact(
    vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Drop the vertices that no face uses: they would count for the room's size."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[used], renumbered.reshape(faces.shape).astype(np.int32)


def _leaks(vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32], up: str) -> list[str]:
    low, high = (np.asarray(edge, dtype=np.float64) for edge in (vertices.min(axis=0), vertices.max(axis=0)))
    efficiency = ray_efficiency(RayCaster(vertices, faces), low, high)
    if efficiency >= LEAKY_BELOW:
        return []
    if efficiency == 0.0:
        return [f"no closed space was found: sound escapes on every side; check the walls and --up (it was {up})"]
    return [
        f"the mesh is leaky: {efficiency:.0%} of rays from inside meet a surface; sound escapes through the rest "
        f"(a missing ceiling or open windows), so reverberation is too short"
    ]


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    shown = [repr(name) for name in list(names)[:_NAMES_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
