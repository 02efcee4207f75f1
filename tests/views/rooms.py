"""Rooms whose facts are plain."""

import numpy as np
import trimesh

from spatialqa.rooms.materials import load_materials
from spatialqa.rooms.room import Room


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Room:
    """Return an empty room between two corners."""
    mesh = trimesh.creation.box(bounds=[low, high])
    faces = np.asarray(mesh.faces, dtype=np.int32)
    kinds = np.zeros(len(faces), dtype=np.int32)
    vertices = np.asarray(mesh.vertices, dtype=np.float32)
    return Room("mesh", "box", "box", vertices, faces, kinds, (load_materials()["gypsum_board"],))
