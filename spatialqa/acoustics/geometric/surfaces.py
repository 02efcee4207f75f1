"""A room as arrays for the kernels: octave-band coefficients, normals, and faces of one plane."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.bands import BAND_COUNT, at_bands
from spatialqa.core.compiled import compiled
from spatialqa.rooms.room import Room

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

_NORMAL_STEPS = 256.0  # to 0.2 degrees
_OFFSET_STEPS_PER_M = 200.0  # to 5 mm


class Surfaces(NamedTuple):
    """The faces of a room as kernels read them; B octave bands, M materials, F faces, P planes.

    reflectance, scattering, transmission: float32 (M, B), shares of the energy. Of what meets a face, `reflectance` is
    reflected, `scattering` of that by Lambert's law; `transmission` goes through. material: int32 (F,). normals:
    float32 (F, 3), unit vectors, either way. plane: int32 (F,), the plane that a face lies in. planes: float64 (P, 4),
    unit normal n and offset d of the points n . x = d.
    """

    reflectance: Float32
    scattering: Float32
    transmission: Float32
    material: Int32
    normals: Float32
    plane: Int32
    planes: Float64


def surfaces_of(room: Room, vertices: Float32) -> Surfaces:
    """Return a room's surfaces.

    Args:
        room: its faces and materials.
        vertices: float32 (V, 3), its vertices in the frame of the kernels.
    """
    curves = [[at_bands(curve) for curve in (m.absorption, m.scattering, m.transmission)] for m in room.materials]
    coefficients = np.clip(np.array(curves).reshape(-1, 3, BAND_COUNT), 0.0, 1.0)
    absorption, scattering, transmission = coefficients[:, 0], coefficients[:, 1], coefficients[:, 2]
    faces = np.ascontiguousarray(room.faces, dtype=np.int32)
    normals, offsets, areas = _planes_of_faces(vertices, faces)
    plane, largest = _grouped(normals, offsets, areas)
    return Surfaces(
        reflectance=(1.0 - absorption).astype(np.float32),
        scattering=scattering.astype(np.float32),
        transmission=np.minimum(transmission, absorption).astype(np.float32),
        material=np.ascontiguousarray(room.face_material, dtype=np.int32),
        normals=normals.astype(np.float32),
        plane=plane,
        planes=np.column_stack([normals[largest], offsets[largest]]),
    )


@compiled
def _planes_of_faces(vertices: Float32, faces: Int32) -> tuple[Float64, Float64, Float64]:
    """Return unit normals (F, 3), offsets (F,) along them, and areas (F,) in square metres."""
    count = len(faces)
    normals, offsets, areas = np.zeros((count, 3)), np.zeros(count), np.zeros(count)
    for f in range(count):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = float(vertices[a, 0]), float(vertices[a, 1]), float(vertices[a, 2])
        ux, uy, uz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
        vx, vy, vz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        areas[f] = length / 2.0
        if length == 0.0:
            ny, length = 1.0, 1.0
        # of the two normals the one whose first large part is positive, so that planes do not depend on winding
        lead = nx if abs(nx) > 1e-6 * length else (ny if abs(ny) > 1e-6 * length else nz)
        length = -length if lead < 0.0 else length
        normals[f, 0], normals[f, 1], normals[f, 2] = nx / length, ny / length, nz / length
        offsets[f] = normals[f, 0] * ax + normals[f, 1] * ay + normals[f, 2] * az
    return normals, offsets, areas


@compiled
def _grouped(normals: Float64, offsets: Float64, areas: Float64) -> tuple[Int32, npt.NDArray[np.int64]]:
    """Return the plane of each face, int32 (F,), and the largest face of each plane, int64 (P,)."""
    count = len(offsets)
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, dtype=np.int32)
    keys = np.zeros((count, 4), dtype=np.int32)
    plane = np.zeros(count, dtype=np.int32)
    largest = np.zeros(count, dtype=np.int64)
    found = 0
    for f in range(count):
        h = np.uint64(0)
        for k in range(4):
            value = offsets[f] * _OFFSET_STEPS_PER_M if k == 3 else normals[f, k] * _NORMAL_STEPS
            keys[found, k] = int(np.floor(value + 0.5))
            h = (h ^ np.uint64(np.uint32(keys[found, k]))) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        slot = np.int64(h & np.uint64(size - 1))
        while True:
            p = slots[slot]
            if p < 0:
                slots[slot] = found
                plane[f], largest[found] = found, f
                found += 1
                break
            if (
                keys[p, 0] == keys[found, 0]
                and keys[p, 1] == keys[found, 1]
                and keys[p, 2] == keys[found, 2]
                and keys[p, 3] == keys[found, 3]
            ):
                plane[f] = p
                if areas[f] > areas[largest[p]]:
                    largest[p] = f
                break
            slot = (slot + 1) & (size - 1)
    return plane, largest[:found]
