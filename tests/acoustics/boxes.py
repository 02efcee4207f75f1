"""Bare rooms for physics: shoeboxes of one material, and walls to put into them."""

import math

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Vec3
from spatialqa.rooms.materials import Material
from spatialqa.rooms.room import Room

BANDS_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
FLOOR, CEILING = (0, 1), (2, 3)  # the triangles of these sides
_SIDES = [(0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 2, 6), (0, 6, 4)]
_TRIANGLES = np.array([*_SIDES, (1, 5, 7), (1, 7, 3)], dtype=np.int32)

Vertices = npt.NDArray[np.float32]
Faces = npt.NDArray[np.int32]


def material(absorption: float, scattering: float = 0.3, transmission: float = 0.0, name: str = "plaster") -> Material:
    curves = [tuple((band, value) for band in BANDS_HZ) for value in (absorption, scattering, transmission)]
    return Material(name, *curves)


def box_mesh(low: Vec3, high: Vec3) -> tuple[Vertices, Faces]:
    corners = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    return np.array(corners, dtype=np.float32), _TRIANGLES


def room(vertices: Vertices, faces: Faces, *materials: Material, face_material: npt.ArrayLike | None = None) -> Room:
    chosen = (
        np.zeros(len(faces), dtype=np.int32) if face_material is None else np.asarray(face_material, dtype=np.int32)
    )
    return Room("test", "box", "box", vertices, faces, chosen, materials)


def shoebox(size: Vec3, absorption: float, scattering: float = 0.3) -> Room:
    return room(*box_mesh((0.0, 0.0, 0.0), size), material(absorption, scattering))


def without(faces: Faces, *sides: tuple[int, int]) -> Faces:
    return np.delete(faces, [index for side in sides for index in side], axis=0)


def joined(*meshes: tuple[Vertices, Faces]) -> tuple[Vertices, Faces]:
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in meshes[:-1])])
    faces = [faces + offset for (_, faces), offset in zip(meshes, offsets, strict=True)]
    return np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(faces).astype(np.int32)


def eyring_s(size: Vec3, absorption: float) -> float:
    """Eyring's reverberation time (JASA 1, 1930) of a shoebox, seconds."""
    x, y, z = size
    surface = 2 * (x * y + y * z + x * z)
    return 24 * math.log(10) / 343 * x * y * z / (-surface * math.log(1 - absorption))
