"""Number of reflections until the decay of a room reaches -60 dB.

The engine traces every ray to a fixed depth, so both the time a simulation takes and the length of its reverberation
grow with that number. Here short random walks from the listener, reflected and absorbed as the room's materials say,
count the reflections after which 60 dB are gone. This needs no volume, so it holds for open meshes and coupled rooms.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.core import seeds
from spatialqa.core.geometry import Vec3
from spatialqa.rooms.materials import Curve
from spatialqa.rooms.mesh.ray_library import has_embree
from spatialqa.rooms.room import Room

MIN_DEPTH, MAX_DEPTH = 20, 400
_BANDS_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
_WALKS = 256
_MARGIN = 1.15  # rays reach a given depth at different times: the last of the decay is thinner than the mean says
_SILENCE = 1e-6  # 60 dB
_CLEARANCE_M = 1e-3

Array = npt.NDArray[np.float64]


def at_frequencies(curve: Curve, frequencies_hz: npt.ArrayLike) -> Array:
    """Return the curve's values at these frequencies, linear in log frequency and constant beyond its ends."""
    known_hz, values = zip(*curve, strict=True)
    return np.asarray(np.interp(np.log(frequencies_hz), np.log(known_hz), values), dtype=np.float64)


class DepthEstimator:
    """A room ready for walks; the answer depends on the room and the listener's position alone."""

    def __init__(self, room: Room) -> None:
        self._room = room
        vertices = np.asarray(room.vertices, dtype=np.float64)
        # Embree works in float32: about its middle even a mesh far from the origin keeps its accuracy.
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        self._middle = middle + room.origin
        faces = np.ascontiguousarray(room.faces, dtype=np.int32)
        self._first_hits = _first_hits((vertices - middle).astype(np.float32), faces)
        reflected = [1.0 - at_frequencies(m.absorption, _BANDS_HZ) for m in room.materials]
        self._reflected = np.clip(np.array(reflected), 0.0, 1.0)
        self._scattering = np.array([at_frequencies(m.scattering, _BANDS_HZ).mean() for m in room.materials])

    def depth(self, position: Vec3) -> int:
        """Return the reflections after which 60 dB are gone in the band that rings longest, with a margin.

        At least MIN_DEPTH and at most MAX_DEPTH: a room with less than about 4 % absorption is truncated.
        """
        rng = seeds.rng(0, "ray-depth", self._room.sha256)
        direction = _unit(rng.standard_normal((_WALKS, 3)))
        origin = np.tile(np.asarray(position, dtype=np.float64) - self._middle, (_WALKS, 1))
        energy = np.ones((_WALKS, len(_BANDS_HZ)))
        for reflections in range(1, MAX_DEPTH):
            face, distance, normal = self._first_hits(origin.astype(np.float32), direction.astype(np.float32))
            met = face >= 0
            if not met.any():
                return MIN_DEPTH
            face, origin, direction, energy = face[met], origin[met], direction[met], energy[met]
            material = self._room.face_material[face]
            energy = energy * self._reflected[material]
            if energy.sum(axis=0).max() < _SILENCE * _WALKS:
                return max(MIN_DEPTH, min(MAX_DEPTH, math.ceil(_MARGIN * reflections)))
            normal = _unit(normal[met].astype(np.float64))
            normal *= -np.sign(np.einsum("ij,ij->i", normal, direction))[:, None]
            origin = origin + direction * distance[met, None].astype(np.float64) + normal * _CLEARANCE_M
            direction = direction - 2 * np.einsum("ij,ij->i", normal, direction)[:, None] * normal
            diffuse = np.flatnonzero(rng.random(len(face)) < self._scattering[material])
            # Lambert's law: a point on the unit sphere about the tip of the normal
            direction[diffuse] = _unit(normal[diffuse] + _unit(rng.standard_normal((len(diffuse), 3))))
        return MAX_DEPTH


_FirstHits = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], tuple[npt.NDArray[Any], Array, Array]]


def _first_hits(vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32]) -> _FirstHits:
    """Return what casts rays, float32 (n, 3) from and along: faces (n,) or -1, distances (n,), normals (n, 3)."""
    if has_embree():
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore import EmbreeDevice
        from embreex.rtcore_scene import EmbreeScene

        scene = EmbreeScene(EmbreeDevice())
        mesh = TriangleMesh(scene, vertices, faces)

        def cast(origin: Any, direction: Any, _kept: Any = mesh) -> tuple[Any, Any, Any]:
            hits = scene.run(origin, direction, query="INTERSECT", output=1)
            return hits["primID"], hits["tfar"], hits["Ng"]

        return cast

    from spatialqa.rooms.mesh.bvh import RayTree

    tree = RayTree(vertices, faces)
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    normals = np.cross(b - a, c - a)

    def cast_on_tree(origin: Any, direction: Any) -> tuple[Any, Any, Any]:
        face, distance = tree.first_hits(origin, direction)
        return face, distance, normals[face]

    return cast_on_tree


def _unit(vectors: Array) -> Array:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float64)
