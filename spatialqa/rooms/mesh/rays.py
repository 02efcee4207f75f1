"""A ray caster for triangle meshes: first hits, blocked segments, and how closed a space is.

Intel Embree casts the rays, or `bvh` where embreex is not installed.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.rooms.mesh.ray_library import has_embree

BoolArray = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]

_EMBREE_MISS = 1e30  # Embree leaves a distance of 1e37 where nothing is hit
_HORIZONTAL_SIN = 0.35  # within about 20 degrees of level
_PROBES = 2000
_HEAD_ROOM_M = 2.5
_WALLED_SHARE = 0.7
_MIN_WALLED = 0.05


class Enclosure(NamedTuple):
    """The share of rays that meet a surface, float64 (n,) each: of all directions, and of those near level."""

    overall: FloatArray
    level: FloatArray


class _Caster(Protocol):
    """What casts rays from origins along directions, float32 (n, 3) each; see `RayTree`."""

    def distances(self, origins: Float32, directions: Float32) -> Float32: ...

    def faces(self, origins: Float32, directions: Float32) -> npt.NDArray[np.int64]: ...

    def blocked(self, origins: Float32, directions: Float32) -> BoolArray: ...


class RayCaster:
    """A mesh prepared for rays. Winding does not matter.

    vertices: float (V, 3), metres from `origin`, a point in the frame of the rays; faces: int (F, 3).
    """

    def __init__(self, vertices: npt.ArrayLike, faces: npt.ArrayLike, origin: Vec3 = (0.0, 0.0, 0.0)) -> None:
        points = np.asarray(vertices, dtype=np.float64)
        # Embree computes in float32: about the middle of the mesh the rounding stays small far from (0, 0, 0).
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        self._middle = middle + origin
        self._caster = _caster((points - middle).astype(np.float32), np.asarray(faces, dtype=np.int32))

    def distances(self, origins: npt.ArrayLike, directions: npt.ArrayLike) -> FloatArray:
        """Return the distance to the first surface in units of each direction's length, inf where there is none.

        origins, directions: (n, 3), broadcast against each other; a unit direction gives metres, float64 (n,).
        """
        start, along = self._rays(origins, directions)
        return self._caster.distances(start, along).astype(np.float64)

    def faces(self, origins: npt.ArrayLike, directions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the first face that each ray meets, -1 where there is none: int64 (n,); see `distances`."""
        start, along = self._rays(origins, directions)
        return self._caster.faces(start, along)

    def blocked(self, a: npt.ArrayLike, b: npt.ArrayLike) -> BoolArray:
        """Tell for each segment from a to b, (n, 3) each and broadcast, whether a surface crosses it: bool (n,)."""
        first = np.asarray(a, dtype=np.float64)
        start, along = self._rays(first, np.asarray(b, dtype=np.float64) - first)
        return self._caster.blocked(start, along)

    def _rays(self, origins: npt.ArrayLike, directions: npt.ArrayLike) -> tuple[Float32, Float32]:
        start = np.atleast_2d(np.asarray(origins, dtype=np.float64) - self._middle).astype(np.float32)
        start, along = np.broadcast_arrays(start, np.atleast_2d(np.asarray(directions, dtype=np.float32)))
        return np.ascontiguousarray(start), np.ascontiguousarray(along)

    def enclosure(self, points: FloatArray, n_rays: int = 64) -> Enclosure:
        """Return how closed the space around each point (n, 3) is; 1 is a closed room, outdoors is far below."""
        directions = sphere_directions(n_rays)
        level = np.abs(directions[:, 1]) < _HORIZONTAL_SIN
        start = np.repeat(points, n_rays, axis=0)
        hit = np.isfinite(self.distances(start, np.tile(directions, (len(points), 1)))).reshape(len(points), n_rays)
        return Enclosure(hit.mean(axis=1), hit[:, level].mean(axis=1))


class _Embree:
    """Casts rays by Embree."""

    def __init__(self, vertices: Float32, faces: npt.NDArray[np.int32]) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._scene = EmbreeScene()
        TriangleMesh(self._scene, vertices, faces)

    def distances(self, origins: Float32, directions: Float32) -> Float32:
        found: Float32 = self._scene.run(origins, directions, query="DISTANCE")
        return np.where(found > _EMBREE_MISS, np.float32(np.inf), found)

    def faces(self, origins: Float32, directions: Float32) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = self._scene.run(origins, directions, query="INTERSECT").astype(np.int64)
        return found

    def blocked(self, origins: Float32, directions: Float32) -> BoolArray:
        whole = np.ones(len(origins), dtype=np.float32)
        crossed: BoolArray = self._scene.run(origins, directions, dists=whole, query="OCCLUDED") != -1
        return crossed


def _caster(vertices: Float32, faces: npt.NDArray[np.int32]) -> _Caster:
    if has_embree():
        return _Embree(vertices, faces)
    from spatialqa.rooms.mesh.bvh import RayTree  # with numba, which takes its time

    return RayTree(vertices, faces)


def sphere_directions(count: int) -> FloatArray:
    """Return `count` unit vectors spread evenly over the sphere, float64 (count, 3): a Fibonacci lattice."""
    k = np.arange(count) + 0.5
    y = 1.0 - 2.0 * k / count
    turn = np.pi * (1.0 + np.sqrt(5.0)) * k
    ring = np.sqrt(1.0 - y * y)
    return np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)


def ray_efficiency(caster: RayCaster, low: FloatArray, high: FloatArray) -> float:
    """Return the share of rays from inside a building that meet a surface: 1 when closed, 0 when nothing is inside.

    (low, high): the bounding box, (3,) each, metres. Inside counts what lies over a surface with walls around it, so a
    missing ceiling lowers the share.
    """
    # Additive recurrence with the plastic number: even in three dimensions at any count (Roberts 2018, R3 sequence).
    plastic = 1.2207440846057596
    k = np.arange(1, _PROBES + 1)[:, None]
    points = low + (high - low) * ((0.5 + k / plastic ** np.arange(1, 4)) % 1.0)
    drop = caster.distances(points, [0.0, -1.0, 0.0])
    points = points[(drop > 0.2) & (drop < _HEAD_ROOM_M)]
    if not len(points):
        return 0.0
    share = caster.enclosure(points)
    walled = share.level >= _WALLED_SHARE
    return float(share.overall[walled].mean()) if walled.mean() >= _MIN_WALLED else 0.0
