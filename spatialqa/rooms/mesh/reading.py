"""Reads mesh files of every kind as parts that share their names: GLB, glTF, OBJ, PLY, STL."""

import json
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.obj import read_obj
from spatialqa.rooms.mesh.parts import MeshPart

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")

_READERS = "2"  # raised whenever a file would be read otherwise

_GLB_MAGIC, _GLB_HEADER = b"glTF", 20
_HABITAT_ENDS = (".house", ".navmesh", ".scn", ".stage_config.json", "_semantic.ply")
_DRACO, _MESHOPT = "KHR_draco_mesh_compression", "EXT_meshopt_compression"


def read_parts(path: Path, materials: bool = True) -> list[MeshPart]:
    """Return the meshes of a file in its own units and axes, in a stable order, transforms of the scene applied.

    materials: False leaves out the materials' names, and with them what takes most time: the textures.

    Raises RoomError when the file is missing, damaged, or compressed in a way that cannot be read here.
    """
    _refuse_compressed(path)
    try:
        if path.suffix.lower() == ".obj":
            return read_obj(path)
        scene = trimesh.load_scene(str(path), process=False, **({} if materials else {"skip_materials": True}))
        return [part for part in _scene_parts(scene) if len(part.faces)]
    except RoomError:
        raise
    except Exception as error:  # trimesh lets parser errors of every kind through
        if isinstance(error, MemoryError):
            raise
        raise RoomError(f"cannot read the mesh {path}: {one_line(error)}; the file may be damaged") from error


def reader_versions() -> str:
    """Return what decides how a file is read, for the keys of meshes that are kept: these readers and libraries."""
    return f"readers {_READERS}, mapbox-earcut {version('mapbox-earcut')}, trimesh {version('trimesh')}"


def _scene_parts(scene: Any) -> Iterator[MeshPart]:
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
        yield MeshPart(tuple(dict.fromkeys(filter(None, names))), vertices, np.asarray(mesh.faces, dtype=np.int64))


def _refuse_compressed(path: Path) -> None:
    """Raise for a compression that trimesh does not undo: it would give zeros or noise for vertices."""
    used = _extensions(path)
    if _DRACO in used and not _has_draco():
        raise RoomError(f"{path} is compressed by Draco: pip install DracoPy, or decompress it with another program")
    if _MESHOPT in used:
        raise RoomError(f"{path} is compressed by {_MESHOPT}, which cannot be read: decompress it with another program")


def _has_draco() -> bool:
    try:
        import_module("DracoPy")
    except ImportError:
        return False
    return True


def _extensions(path: Path) -> set[str]:
    """Return the extensions that a glTF file names; none where it is no such file or damaged, as `read_parts` says."""
    try:
        with path.open("rb") as stream:
            if path.suffix.lower() == ".gltf":
                text = stream.read()
            elif path.suffix.lower() == ".glb" and (head := stream.read(_GLB_HEADER))[:4] == _GLB_MAGIC:
                text = stream.read(int.from_bytes(head[12:16], "little"))
            else:
                return set()
        return set(json.loads(text).get("extensionsUsed", ()))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return set()


def buffers(path: Path) -> Iterator[bytes]:
    """Yield the contents of the files beside a .gltf that hold its vertices and faces; nothing for a missing one.

    Raises OSError when the .gltf cannot be read.
    """
    if path.suffix.lower() != ".gltf":
        return
    try:
        uris = [buffer.get("uri", "base64,") for buffer in json.loads(path.read_bytes())["buffers"]]
        outside = [uri for uri in uris if "base64," not in uri]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # damaged
        return
    resolver = trimesh.resolvers.FilePathResolver(str(path))
    for uri in outside:
        try:
            yield resolver.get(uri)
        except (OSError, ValueError, AttributeError, TypeError):
            yield b""


def habitat_files(scene: Path | None) -> list[Path]:
    """Return the files that lie beside a GLB and that Habitat reads with it; none for any other file."""
    if scene is None or scene.suffix.lower() != ".glb":
        return []
    return [file for end in _HABITAT_ENDS if (file := scene.with_name(scene.stem + end)).is_file()]


def one_line(error: Exception) -> str:
    """Return an error's text in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
