"""The straight path from each source: free, or through what stands between.

A wall of a mesh is one face, or two with a space between. Two faces within WALL_M that are met one after the other, the
second from inside, are one wall: it lets through what its first face does. A longer way through (a cupboard) counts
twice.
"""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.embree import MISS, Rays, first_hit, ray_buffer
from spatialqa.acoustics.geometric.paths import DIRECT, THROUGH, Paths
from spatialqa.acoustics.geometric.scene_arrays import CLEARANCE_M, Sources, pattern, unit_vector
from spatialqa.acoustics.geometric.surfaces import Surfaces
from spatialqa.core.compiled import compiled

Float64 = npt.NDArray[np.float64]

WALL_M = 0.35
_MOST_FACES = 64
_UNHEARD = 1e-5  # linear: what is 100 dB quieter is left out


def direct_paths(rays: Rays, surfaces: Surfaces, listener: Float64, sources: Sources, transmission: bool) -> Paths:
    """Return the straight path of every source that is heard on it.

    Args:
        rays, surfaces: the mesh.
        listener: float64 (3,), metres, in the frame of the mesh.
        sources: of the group.
        transmission: whether sound goes through faces.
    """
    free, length, arrival, gains = _straight(rays, surfaces, listener, sources, transmission)
    kind = np.where(free, DIRECT, THROUGH).astype(np.int32)
    heard = free | (gains.max(axis=1) * length > _UNHEARD)
    return Paths(np.arange(len(length), dtype=np.int32), kind, length, arrival, gains).chosen(heard)


@compiled
def _straight(
    rays: Rays, surfaces: Surfaces, listener: Float64, sources: Sources, transmission: bool
) -> tuple[npt.NDArray[np.bool_], Float64, Float64, Float64]:
    count, bands = len(sources.positions), surfaces.reflectance.shape[1]
    free = np.ones(count, dtype=np.bool_)
    length, arrival, gains = np.zeros(count), np.zeros((count, 3)), np.zeros((count, bands))
    ray = ray_buffer()
    for s in range(count):
        u, v, w, distance = unit_vector(listener, sources.positions[s])
        length[s] = distance
        arrival[s, 0], arrival[s, 1], arrival[s, 2] = u, v, w
        cosine = -(sources.facing[s, 0] * u + sources.facing[s, 1] * v + sources.facing[s, 2] * w)
        for b in range(bands):
            gains[s, b] = pattern(sources.omni_share[b], cosine) / distance
        at, entered = 0.0, -1e9
        for _ in range(_MOST_FACES):
            face = first_hit(
                rays,
                ray,
                listener[0] + at * u,
                listener[1] + at * v,
                listener[2] + at * w,
                u,
                v,
                w,
                distance - at - CLEARANCE_M,
            )
            if face == MISS:
                break
            at += float(ray.values[8])
            free[s] = False
            if at - entered < WALL_M:
                entered = -1e9
            else:
                entered = at
                m = surfaces.material[face]
                for b in range(bands):
                    gains[s, b] *= np.sqrt(surfaces.transmission[m, b]) if transmission else 0.0
            at += CLEARANCE_M
            if at >= distance - CLEARANCE_M:
                break
    return free, length, arrival, gains
