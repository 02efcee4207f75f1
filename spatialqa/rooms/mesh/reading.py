"""Reads mesh files of every format into parts: GLB, glTF, OBJ, PLY, STL."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spatialqa.core.input_files import require_regular
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.gltf import read_gltf
from spatialqa.rooms.mesh.obj import read_obj
from spatialqa.rooms.mesh.parts import MeshPart
from spatialqa.rooms.mesh.ply import read_ply

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")

_READERS = "2"  # raised whenever a file would be read otherwise

_OWN_READERS = {".glb": read_gltf, ".gltf": read_gltf, ".obj": read_obj, ".ply": read_ply}
_HABITAT_ENDS = (".house", ".navmesh", ".scn", ".stage_config.json", "_semantic.ply")


def read_parts(path: Path) -> list[MeshPart]:
    """Return the meshes of a file in its own units and axes, in a stable order, transforms of the scene applied.

    Raises RoomError when the file is missing, damaged, or needs something that cannot be read here.
    """
    try:
        if reader := _OWN_READERS.get(path.suffix.lower()):
            return reader(path)
        require_regular(path)
        import trimesh  # takes longer to import than all else here, and most rooms do not need it

        scene = trimesh.load_scene(str(path), process=False)
        meshes = {name: mesh for name, mesh in scene.geometry.items() if isinstance(mesh, trimesh.Trimesh)}
        return [part for part in _scene_parts(scene, meshes) if len(part.faces)]
    except RoomError:
        raise
    except OSError as error:
        raise RoomError(f"cannot read the mesh {path}: {error.strerror or one_line(error)}") from error
    except Exception as error:  # trimesh lets parser errors of every kind through
        if isinstance(error, MemoryError):
            raise
        raise RoomError(f"cannot read the mesh {path}: {one_line(error)}; the file may be damaged") from error


def reader_versions() -> str:
    """Return what decides how a file is read, for the keys of meshes that are kept: these readers and libraries."""
    return f"readers {_READERS}, mapbox-earcut {version('mapbox-earcut')}, trimesh {version('trimesh')}"


def _scene_parts(scene: Any, meshes: Mapping[str, Any]) -> Iterator[MeshPart]:
    for node in sorted(scene.graph.nodes_geometry):
        transform, geometry = scene.graph[node]
        mesh = meshes.get(geometry)
        if mesh is None:
            continue
        names = [str(node), str(geometry), str(getattr(getattr(mesh.visual, "material", None), "name", None) or "")]
        parent = scene.graph.transforms.parents.get(node)
        while parent is not None and parent != scene.graph.base_frame:
            names.append(str(parent))
            parent = scene.graph.transforms.parents.get(parent)
        vertices = np.asarray(mesh.vertices, dtype=np.float64) @ transform[:3, :3].T + transform[:3, 3]
        yield MeshPart(tuple(dict.fromkeys(filter(None, names))), vertices, np.asarray(mesh.faces, dtype=np.int64))


def habitat_files(scene: Path | None) -> list[Path]:
    """Return the files that lie beside a GLB and that Habitat reads with it; none for any other file."""
    if scene is None or scene.suffix.lower() != ".glb":
        return []
    return [file for end in _HABITAT_ENDS if (file := scene.with_name(scene.stem + end)).is_file()]


def one_line(error: Exception) -> str:
    """Return an error's text in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
