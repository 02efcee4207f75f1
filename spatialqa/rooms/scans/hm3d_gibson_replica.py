"""HM3D, Gibson and Replica: scanned houses in folders of mesh files, in their released layouts.

Their files are z-up: habitat-sim turns GLB stages from +z up by default, and Replica's mesh.ply by its stage
configuration. Replica's semantic PLY is described in both frames, so its floors and ceilings tell which one it is in.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.core.input_files import read_text
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.mesh_rooms import FileRooms
from spatialqa.rooms.mesh.parts import MeshPart, compact
from spatialqa.rooms.mesh.ply import Table, corner_lists, polygon_triangles, positions, read_tables
from spatialqa.rooms.mesh.polygons import Indices
from spatialqa.rooms.mesh.reading import one_line

_HM3D_FOLDER = re.compile(r"(?:hm3d-)?(train|val|minival|test)(?:-.+)?")  # as Habitat and as the archives name them
_HM3D_HOUSE = re.compile(r"\d{5}-(.+)")
_HM3D_SPLITS = {"train": "train", "val": "validation", "minival": "validation", "test": "test"}
_LEVEL_CLASSES = ("floor", "ceiling")


class TreeOptions(TypedDict, total=False):
    """The options of FileRooms that a data set with a fixed frame and scale leaves open."""

    material_map: Path | None
    default_material: str | None
    simplify_faces: int | None
    max_error_m: float
    cache: MeshCache | None


class HM3DRooms(FileRooms):
    """Habitat-Matterport 3D (Ramakrishnan et al. 2021): ROOT/SPLIT/NNNNN-NAME/NAME.glb, or NAME.basis.glb.

    SPLIT is train, val, minival or test, or an archive's name such as hm3d-val-glb-v0.2; ROOT may also be one of these
    folders. A house's id is its folder's name. Its semantics lie in textures and are not read, so every surface takes
    default_material.

    Raises RoomError where there is no such file, or an option is not usable.
    """

    def __init__(self, root: Path, **options: Unpack[TreeOptions]) -> None:
        files: dict[str, Path] = {}
        self._splits: dict[str, str] = {}
        for folder in (root.resolve(), *_folders(root)):
            if not (split := _HM3D_FOLDER.fullmatch(folder.name)):
                continue
            for house in _folders(folder):
                if (scene := _HM3D_HOUSE.fullmatch(house.name)) and (file := _hm3d_file(house, scene[1])):
                    best = files.get(house.name)
                    # the same house may be unpacked twice, with and without compressed textures
                    if best is None or (".basis." in best.name and ".basis." not in file.name):
                        files[house.name] = file
                    self._splits[house.name] = _HM3D_SPLITS[split[1]]
        if not files:
            raise _no_root(
                "HM3D", root, "SPLIT/NNNNN-NAME/NAME.glb or NAME.basis.glb, SPLIT being train, val or minival"
            )
        super().__init__("hm3d", dict(sorted(files.items())), up="z", **options)

    def official_split(self, house_id: str) -> str | None:
        """Return train, validation (val, of which minival is a part) or test, by the folder a house lies in."""
        return self._splits.get(house_id)


class GibsonRooms(FileRooms):
    """Gibson (Xia et al. 2018): ROOT/NAME.glb as in Habitat's download, or ROOT/NAME/mesh_z_up.obj as in its own.

    A house's id is its name. It has no semantics, so every surface takes default_material.

    Raises RoomError where there is no such file, or an option is not usable.
    """

    def __init__(self, root: Path, **options: Unpack[TreeOptions]) -> None:
        files = {folder.name: folder / "mesh_z_up.obj" for folder in _folders(root)}
        files = {name: file for name, file in files.items() if file.is_file()}
        files |= {file.stem: file for file in _listing(root) if file.suffix == ".glb" and file.is_file()}
        if not files:
            raise _no_root("Gibson", root, "NAME.glb or NAME/mesh_z_up.obj")
        super().__init__("gibson", dict(sorted(files.items())), up="z", **options)


class ReplicaRooms(FileRooms):
    """Replica (Straub et al. 2019): ROOT/SCENE/habitat/mesh_semantic.ply with info_semantic.json, else SCENE/mesh.ply.

    A scene's id is its folder's name. Every face has a material by the name of its object's class; a mesh.ply without
    semantics takes default_material.

    Raises RoomError where there is no such file, or an option is not usable.
    """

    def __init__(self, root: Path, **options: Unpack[TreeOptions]) -> None:
        files = {scene.name: file for scene in _folders(root) if (file := _replica_file(scene))}
        if not files:
            raise _no_root(
                "Replica", root, "SCENE/habitat/mesh_semantic.ply with info_semantic.json, or SCENE/mesh.ply"
            )
        super().__init__("replica", files, up="z", **options)

    def read(self, path: Path) -> tuple[list[MeshPart], str]:
        """Return the faces of each class as one part, and the vertical axis."""
        if path.name == "mesh.ply":
            return super().read(path)
        classes = _replica_classes(_replica_info(path))
        vertices, faces, objects = _replica_mesh(path)
        numbers = {name: k for k, name in enumerate(sorted(set(classes.values())))}
        class_of = np.full(max(int(objects.max(initial=0)), *classes, 0) + 1, -1)
        for identifier, name in classes.items():
            class_of[identifier] = numbers[name]
        face_class = np.where(objects >= 0, class_of[objects], -1)
        parts = [_part((name,), vertices, faces[face_class == k]) for name, k in numbers.items()]
        parts.append(_part((), vertices, faces[face_class < 0]))
        parts = [part for part in parts if len(part.faces)]
        return parts, _vertical_axis(parts)

    def inputs(self, path: Path) -> list[Path]:
        """Return the files that a room is made from."""
        return [path] if path.name == "mesh.ply" else [path, _replica_info(path)]


def _hm3d_file(house: Path, name: str) -> Path | None:
    return next((file for end in ("glb", "basis.glb") if (file := house / f"{name}.{end}").is_file()), None)


def _replica_file(scene: Path) -> Path | None:
    semantic = scene / "habitat" / "mesh_semantic.ply"
    if semantic.is_file() and _replica_info(semantic).is_file():
        return semantic
    return file if (file := scene / "mesh.ply").is_file() else None


def _replica_info(semantic: Path) -> Path:
    return semantic.with_name("info_semantic.json")


def _replica_classes(path: Path) -> dict[int, str]:
    """Return the class of each object."""
    try:
        objects = json.loads(read_text(path))["objects"]
        classes = {int(item["id"]): str(item["class_name"]) for item in objects}
    except (OSError, ValueError, OverflowError, LookupError, TypeError, RecursionError) as error:
        raise RoomError(
            f"cannot read the classes of objects in {path}: {one_line(error)}; take another copy"
        ) from error
    if not all(0 <= identifier < 2**20 for identifier in classes):
        raise RoomError(f"{path}: object ids must be whole numbers from 0 to 1,048,575; take another copy")
    return classes


def _replica_mesh(path: Path) -> tuple[FloatArray, Indices, Indices]:
    """Return vertices (V, 3), triangles (F, 3) of the file's polygons, and the object of each."""
    try:
        tables = read_tables(path, ("vertex", "face"))
    except OSError as error:
        raise RoomError(f"cannot read the mesh {path}: {error.strerror or one_line(error)}") from error
    vertices, polygons = positions(path, tables.get("vertex", Table())), tables.get("face", Table())
    faces, row = polygon_triangles(path, polygons, vertices)
    if "object_id" not in polygons.scalars:
        raise RoomError(f"{path}: the faces have no object_id, as Replica's have, so the file may be damaged")
    objects = polygons.scalars["object_id"].astype(np.int64)
    if objects.max(initial=0) >= 2**20:
        raise RoomError(f"{path}: a face names the object {objects.max():,}, so the file may be damaged")
    # polygon after polygon, the halves of a quad both from its first corner: the order is part of a room's hash
    order = np.argsort(row, kind="stable")
    faces, row = faces[order], row[order]
    corners = corner_lists(polygons)
    if corners is not None and len(faces):
        last = faces[:, 2] == corners.values[(np.cumsum(corners.sizes) - corners.sizes)[row]]
        faces[last] = faces[last][:, [2, 0, 1]]
    return vertices, faces, objects[row]


def _part(names: tuple[str, ...], vertices: FloatArray, faces: Indices) -> MeshPart:
    return MeshPart(names, *compact(vertices, faces))


def _vertical_axis(parts: Iterable[MeshPart]) -> str:
    """Return the axis, y or z, that floors and ceilings face; z where there are none."""
    across = np.zeros(3)
    for part in parts:
        if part.names[:1] and part.names[0] in _LEVEL_CLASSES:
            a, b, c = (part.vertices[part.faces[:, k]] for k in range(3))
            across += np.abs(np.cross(b - a, c - a)).sum(axis=0)
    return "y" if across[1] > across[2] else "z"


def _folders(root: Path) -> Iterator[Path]:
    return (path for path in _listing(root) if path.is_dir())


def _listing(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except OSError:
        return []


def _no_root(name: str, root: Path, layout: str) -> RoomError:
    there = "there is no such folder" if not root.is_dir() else f"looked for {layout} in it"
    return RoomError(f"{root} is no {name} root: {there}; give the folder that holds them")
