"""Rooms from mesh files (GLB, glTF, OBJ, PLY, STL), with materials by the names of objects, groups and materials."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spatialqa.core import seeds
from spatialqa.core.geometry import FloatArray, Vec3, z_up_to_world
from spatialqa.core.strict_yaml import read_yaml
from spatialqa.errors import RoomError, shown
from spatialqa.rooms.materials import material
from spatialqa.rooms.mesh.cache import KnownContents, MeshCache
from spatialqa.rooms.mesh.gltf_data import buffers
from spatialqa.rooms.mesh.part_materials import DEFAULT, PartMaterial, PartMaterials, read_part_materials
from spatialqa.rooms.mesh.parts import MeshPart
from spatialqa.rooms.mesh.rays import RayCaster, ray_efficiency
from spatialqa.rooms.mesh.reading import SUFFIXES, habitat_files, read_parts, reader_versions
from spatialqa.rooms.mesh.simplify import (
    MAX_ERROR_M,
    TARGET_FACES,
    LabelledMesh,
    PreparedMesh,
    preparation,
    prepare_mesh,
)
from spatialqa.rooms.room import NO_SHIFT, Room

DEFAULT_MATERIAL = "default"
MIN_EXTENT_M, MAX_EXTENT_M = 1.0, 500.0
USUAL_HEIGHT_M = (1.8, 60.0)  # from a cabin to a cathedral; what lies outside is warned of
FAR_M = 100.0  # from the origin to a building's middle, along any axis; float32 has steps of 8 micrometres there
LEAKY_BELOW = 0.9  # share of rays from inside that meet a surface

_VERSION = "2"  # raised whenever the same file would become another room
_NAMES_SHOWN = 8


class FileRooms:
    """Rooms of which each is one mesh file and one house, whatever the folders look like.

    name: the room set's. files: by room id. up: the files' vertical axis, "y" or "z". unit_scale: metres per unit of
    the files. material_map: a YAML file of {pattern: material}; a pattern is a name or has shell wildcards, and names
    are those of objects, their parents, groups and materials, compared without case. The first pattern that matches
    wins. A part that no pattern matches is read by its names (see part_materials); what is left takes default_material,
    with a warning.
    simplify_faces, max_error_m: larger meshes are simplified to about this many faces, no surface moving farther than
    that; None keeps all faces. cache: where prepared meshes are kept; None keeps none.

    Raises RoomError where the map is not usable or an option has a value that cannot be.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, Path],
        up: str = "y",
        unit_scale: float = 1.0,
        material_map: Path | None = None,
        default_material: str | None = None,
        simplify_faces: int | None = TARGET_FACES,
        max_error_m: float = MAX_ERROR_M,
        cache: MeshCache | None = None,
    ) -> None:
        if up not in ("y", "z"):
            raise RoomError(f"up must be y or z, got {up!r}")
        if not 0.0 < unit_scale < float("inf"):
            raise RoomError(f"unit_scale must be a positive number of metres per unit, got {unit_scale!r}")
        self.name, self.finite = name, True
        self._files = dict(files)
        self._known = KnownContents()
        self._up, self._unit_scale = up, unit_scale
        self._patterns = _read_map(material_map) if material_map else {}
        self._default = material(default_material or DEFAULT_MATERIAL)
        self._simplify_faces, self._max_error_m = simplify_faces, max_error_m
        self._cache = cache or MeshCache(None)

    def room_ids(self, count: int | None, seed: int) -> Sequence[str]:
        """Return the ids of all files by name, or `count` of them drawn by seed where there are more."""
        ids = list(self._files)
        if count is None or count >= len(ids):
            return ids
        return [ids[k] for k in seeds.rng(seed, "mesh-rooms", "ids").permutation(len(ids))[:count]]

    def house_of(self, room_id: str) -> str:
        """Return the house: every file is one."""
        return room_id

    def official_split(self, house_id: str) -> str | None:
        """Return None: the houses have no official splits."""
        return None

    def content_hash(self) -> str:
        """Return a hash of the bytes of the files and of the buffers they refer to, and of how they are read.

        What Habitat reads beside a GLB counts; an OBJ's .mtl and textures, which change no shape and no name, do not.
        """
        digest = hashlib.sha256(repr(self._how()).encode())
        for room_id in sorted(self._files):
            self._known.note(room_id, repr(self._hashes(room_id)))
            for part in (room_id, *self._hashes(room_id, habitat_files(self._files[room_id]))):
                digest.update(part.encode() + b"\n")
        return digest.hexdigest()

    def load(self, room_id: str) -> Room:
        """Read a file, in metres and in the world frame, or take its mesh from the cache.

        Where the middle of the building is more than FAR_M from the world's origin along an axis, vertices count from
        there (see Room.origin): that is subtracted in float64, before anything becomes float32.

        Raises RoomError when the file is missing, damaged, empty, has changed since `content_hash`, or has a size that
        no building has, and MissingDependencyError when it must be simplified and meshoptimizer is not installed.
        """
        path = self._path(room_id)
        hashes = self._hashes(room_id)
        self._known.check(room_id, repr(hashes))
        key = repr((self.name, path.name, *self._how(), _vocabulary_sha256(), reader_versions(), *hashes))
        mesh = self._cache.get(key, lambda: self._prepare(path))
        materials = tuple(material(name) for name in mesh.labels)
        return Room(
            self.name,
            room_id,
            room_id,
            mesh.vertices,
            mesh.faces,
            mesh.face_material,
            materials,
            warnings=mesh.remarks,
            scene_path=path,
            origin=mesh.origin,
        )

    def parts(self, room_id: str) -> tuple[PartMaterial, ...]:
        """Return the parts of a file with what each is read as, the largest first.

        Raises RoomError when the file is missing, damaged or empty.
        """
        path = self._path(room_id)
        parts, up = self.read(path)
        found = self._part_materials(path, parts, up).parts
        return tuple(sorted(found, key=lambda part: -part.area_m2))

    def read(self, path: Path) -> tuple[list[MeshPart], str]:
        """Return the parts of a file in its own units and axes, and its vertical axis."""
        return read_parts(path), self._up

    def inputs(self, path: Path) -> list[Path]:
        """Return the files that the room of a file is made from, buffers beside a .gltf apart."""
        return [path]

    def _path(self, room_id: str) -> Path:
        if room_id not in self._files:
            raise RoomError(f"there is no {self.name} room {room_id!r}: the rooms are {listed(self._files)}")
        return self._files[room_id]

    def _prepare(self, path: Path) -> PreparedMesh:
        parts, up = self.read(path)
        names, part_material, warnings = self._materials(path, parts, up)
        offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
        faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
        face_material = np.repeat(part_material, [len(part.faces) for part in parts]).astype(np.int32)
        points = np.concatenate([part.vertices for part in parts]) * self._unit_scale
        if up == "z":
            points = z_up_to_world(points)
        used = np.zeros(len(points), dtype=bool)
        used[faces] = True
        if not (np.abs(points[used]) <= np.finfo(np.float32).max).all():
            raise RoomError(f"{path} has vertices that are not finite numbers: repair or export the mesh again")
        origin = _origin(points[used])
        points[~used] = origin  # a stray vertex may be anything
        vertices = (points - origin).astype(np.float32)
        labelled = LabelledMesh(vertices, faces.astype(np.int32), face_material)
        del parts, points, used, faces, face_material, vertices
        mesh = prepare_mesh(labelled, self._simplify_faces, self._max_error_m)
        if not len(mesh.faces):
            raise RoomError(f"{path} holds only faces without area: a room needs a triangle mesh")
        doubts = self._check_size(path, mesh.vertices, up)
        remarks = (*warnings, *mesh.notes(), *doubts, *_leaks(mesh.vertices, mesh.faces, up))
        return replace(mesh, labels=names, remarks=remarks, origin=origin)

    def _how(self) -> tuple[object, ...]:
        # the map in its order, since the first pattern that matches wins
        patterns = list(self._patterns.items())
        prepared = preparation(self._simplify_faces, self._max_error_m)
        return (_VERSION, self._up, self._unit_scale, patterns, self._default.name, prepared)

    def _hashes(self, room_id: str, others: Sequence[Path] = ()) -> list[str]:
        """Return the hashes of the files of a room, of other files, and of the buffers beside it."""
        path = self._files[room_id]
        try:
            hashes = [self._cache.file_sha256(file) for file in (*self.inputs(path), *others)]
            return hashes + [hashlib.sha256(part).hexdigest() for part in buffers(path)]
        except OSError as error:
            raise RoomError(f"cannot read the mesh {path}: {error.strerror or error}") from error

    def _part_materials(self, path: Path, parts: Sequence[MeshPart], up: str) -> PartMaterials:
        if not parts:
            raise RoomError(f"{path} holds no faces: a room needs a triangle mesh")
        return read_part_materials(path, parts, self._patterns, self._default.name, up, self._unit_scale)

    def _materials(
        self, path: Path, parts: Sequence[MeshPart], up: str
    ) -> tuple[tuple[str, ...], list[int], list[str]]:
        """Return the materials in use, the index of each part's material, and warnings."""
        read = self._part_materials(path, parts, up)
        unnamed = list(dict.fromkeys(part.name or "(no name)" for part in read.parts if part.why == DEFAULT))
        warnings = []
        if unnamed:
            warnings.append(f"no material is known for {listed(unnamed)}: they are {self._default.name}")
        if read.idle:
            warnings.append(f"nothing in {path.name} has a name that matches {listed(read.idle)} of the material map")
        if read.upright:
            stand = "stands" if len(read.upright) == 1 else "stand"
            warnings.append(f"{listed(read.upright)} {stand} upright, unlike a floor: check --up (it was {up})")
        resolved = [part.material for part in read.parts]
        names = sorted(set(resolved))
        return tuple(names), [names.index(name) for name in resolved], warnings

    def _check_size(self, path: Path, vertices: npt.NDArray[np.float32], up: str) -> list[str]:
        """Return a warning of a height that is not usual; raises RoomError for a size that no building has."""
        x, y, z = (float(extent) for extent in np.ptp(vertices, axis=0))
        if not MIN_EXTENT_M <= max(x, y, z) <= MAX_EXTENT_M:
            raise RoomError(
                f"{path} reads as {x:.4g} x {z:.4g} m and {y:.4g} m high, which no building has: "
                f"give --unit-scale, metres per unit (it was {self._unit_scale:g}; 0.01 for cm, 0.001 for mm)"
            )
        if min(x, z) < 0.5 or y < 1.0:
            raise RoomError(
                f"{path} reads as {x:.4g} x {z:.4g} m and {y:.4g} m high: too small for a person; check --up (it was "
                f"{up}) and --unit-scale (it was {self._unit_scale:g})"
            )
        low, high = USUAL_HEIGHT_M
        if low <= y <= high:
            return []
        return [
            f"it reads as {x:.4g} x {z:.4g} m and {y:.4g} m high, {'lower' if y < low else 'higher'} than buildings "
            f"are: check --unit-scale, the metres per unit of the file (it was {self._unit_scale:g}; 0.01 for cm, "
            f"0.0254 for inches), and --up (it was {up})"
        ]


class MeshRooms(FileRooms):
    """The room set of one mesh file, or of a folder in which every mesh file is one house.

    path: a file, or a folder; a room's id is the file's stem. The options are those of FileRooms.

    Raises RoomError where there is no mesh, two files share a stem, or an option is not usable.
    """

    def __init__(
        self,
        path: Path,
        up: str = "y",
        unit_scale: float = 1.0,
        material_map: Path | None = None,
        default_material: str | None = None,
        simplify_faces: int | None = TARGET_FACES,
        max_error_m: float = MAX_ERROR_M,
        cache: MeshCache | None = None,
    ) -> None:
        files = _mesh_files(path)
        super().__init__(
            "mesh", files, up, unit_scale, material_map, default_material, simplify_faces, max_error_m, cache
        )


def _mesh_files(path: Path) -> dict[str, Path]:
    if not path.exists():
        raise RoomError(f"there is no mesh file or folder {path}")
    if not path.is_dir():
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


def _read_map(path: Path) -> dict[str, str]:
    content = read_yaml(path, f"the material map {path}", RoomError)
    if not isinstance(content, dict) or not content:
        raise RoomError(f"the material map {path} must hold lines of the form `pattern: material`")
    for key, value in content.items():
        try:
            material(str(value))
        except RoomError as error:
            raise RoomError(f"{path}, entry {shown(str(key))}: {error}") from error
    return {str(key): str(value) for key, value in content.items()}


def _origin(points: FloatArray) -> Vec3:
    """Return the point that vertices should count from, in whole metres: the building's middle where that is far."""
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    if (np.abs(middle) <= FAR_M).all():
        return NO_SHIFT
    x, y, z = (float(value) for value in np.round(middle))
    return (x, y, z)


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


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """Return the first names, quoted, and how many more there are."""
    shown = [repr(name) for name in list(names)[:_NAMES_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _vocabulary_sha256() -> str:
    """Return a hash of the words that `guess_material` knows: a cached mesh has its materials by them."""
    return hashlib.sha256(resources.files("spatialqa.data").joinpath("material_names.yaml").read_bytes()).hexdigest()
