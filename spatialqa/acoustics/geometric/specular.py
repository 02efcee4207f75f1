"""Mirror reflections up to a given order: image sources that rays propose and exact geometry verifies.

Rays from the listener are reflected as by mirrors. A source near a ray, within the radius that the ray's spreading has
reached, makes the sequence of planes that the ray has met a candidate. The source is then mirrored in these planes, and
the path to its image is followed back from the listener: each mirror point must lie on a face of its plane, and nothing
may stand between. In a box this finds the image sources of Allen and Berkley (JASA 65, 1979).
"""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.counter_random import mixed
from spatialqa.acoustics.geometric.embree import MISS, RayBuffer, Rays, first_hit, is_blocked, ray_buffer
from spatialqa.acoustics.geometric.paths import MIRRORED, Paths
from spatialqa.acoustics.geometric.scene_arrays import CLEARANCE_M, Sources, pattern, unit_vector
from spatialqa.acoustics.geometric.surfaces import Surfaces
from spatialqa.core.compiled import compiled

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

MAX_ORDER = 6
_SPREAD = 1.5  # times the mean distance between neighbouring rays
_AT_LEAST_M = 0.1
_ON_PLANE_M = 0.01  # how far a mirror point may lie from the face that carries it
_MOST_CANDIDATES = 1 << 16
_SLOTS = 1 << 18


def mirror_paths(
    rays: Rays, surfaces: Surfaces, listener: Float64, sources: Sources, directions: Float64, order: int
) -> Paths:
    """Return the mirror reflections of every source up to an order.

    Args:
        rays, surfaces: the mesh.
        listener: float64 (3,), metres, in the frame of the mesh.
        sources: of the group.
        directions: float64 (n, 3), unit vectors evenly spread, of the rays that propose.
        order: the largest number of reflections, 0 to MAX_ORDER.
    """
    candidates = _proposed(rays, surfaces, listener, sources.positions, directions, order)
    source, length, arrival, gains = _verified(rays, surfaces, listener, sources, np.ascontiguousarray(candidates))
    return Paths(source, np.full(len(source), MIRRORED, dtype=np.int32), length, arrival, gains)


@compiled
def _proposed(
    rays: Rays, surfaces: Surfaces, listener: Float64, sources: Float64, directions: Float64, order: int
) -> Int32:
    """Return different candidates: int32 (n, 2 + MAX_ORDER), source, order, and the planes from the listener on."""
    ray = ray_buffer()
    found = np.full((_MOST_CANDIDATES, 2 + MAX_ORDER), -1, dtype=np.int32)
    slots = np.full(_SLOTS, -1, dtype=np.int32)
    row = np.full(2 + MAX_ORDER, -1, dtype=np.int32)
    spread = _SPREAD * np.sqrt(4.0 * np.pi / max(1, len(directions)))
    count = 0
    for k in range(len(directions) if order > 0 else 0):
        x, y, z = listener[0], listener[1], listener[2]
        u, v, w = directions[k, 0], directions[k, 1], directions[k, 2]
        travelled = 0.0
        for j in range(2, len(row)):
            row[j] = -1
        for bounce in range(order + 1):
            face = first_hit(rays, ray, x, y, z, u, v, w, 1e6)
            length = float(ray.values[8])
            for s in range(len(sources) if bounce > 0 else 0):
                dx, dy, dz = sources[s, 0] - x, sources[s, 1] - y, sources[s, 2] - z
                along = dx * u + dy * v + dz * w
                radius = _AT_LEAST_M + spread * (travelled + max(0.0, along))
                if along < -radius or along > length + radius:
                    continue
                if dx * dx + dy * dy + dz * dz - along * along > radius * radius:
                    continue
                row[0], row[1] = s, bounce
                if count < _MOST_CANDIDATES and _is_new(row, found, slots, count):
                    count += 1
            if face == MISS or bounce == order:
                break
            nx, ny, nz = surfaces.normals[face, 0], surfaces.normals[face, 1], surfaces.normals[face, 2]
            cosine = nx * u + ny * v + nz * w
            row[2 + bounce] = surfaces.plane[face]
            travelled += length
            side = -CLEARANCE_M if cosine > 0.0 else CLEARANCE_M
            x, y, z = x + u * length + nx * side, y + v * length + ny * side, z + w * length + nz * side
            u, v, w = u - 2.0 * cosine * nx, v - 2.0 * cosine * ny, w - 2.0 * cosine * nz
    return found[:count]


@compiled
def _is_new(row: Int32, found: Int32, slots: Int32, count: int) -> bool:
    """Tell whether no candidate is like `row`, and enter it at `count` then."""
    key = np.uint64(0)
    for value in row:
        key = mixed(key, value + 1)
    slot = np.int64(key & np.uint64(_SLOTS - 1))
    while slots[slot] >= 0:
        same = True
        for j in range(len(row)):
            same = same and found[slots[slot], j] == row[j]
        if same:
            return False
        slot = (slot + 1) & (_SLOTS - 1)
    slots[slot] = count
    for j in range(len(row)):
        found[count, j] = row[j]
    return True


@compiled
def _verified(
    rays: Rays, surfaces: Surfaces, listener: Float64, sources: Sources, candidates: Int32
) -> tuple[Int32, Float64, Float64, Float64]:
    """Return source, length, arrival direction and gains of the candidates that hold; see `Paths`."""
    bands = surfaces.reflectance.shape[1]
    count = len(candidates)
    source = np.zeros(count, dtype=np.int32)
    length, arrival, gains = np.zeros(count), np.zeros((count, 3)), np.zeros((count, bands))
    images = np.zeros((MAX_ORDER + 1, 3))
    ray = ray_buffer()
    held = 0
    for c in range(count):
        s, order = candidates[c, 0], candidates[c, 1]
        for i in range(3):
            images[order, i] = sources.positions[s, i]
        for j in range(order - 1, -1, -1):
            plane = surfaces.planes[candidates[c, 2 + j]]
            image = images[j + 1]
            beyond = 2.0 * (plane[0] * image[0] + plane[1] * image[1] + plane[2] * image[2] - plane[3])
            for i in range(3):
                images[j, i] = image[i] - beyond * plane[i]
        u, v, w, whole = unit_vector(listener, images[0])
        for b in range(bands):
            gains[held, b] = 1.0 / max(whole, 1e-3)
        if not _followed(rays, surfaces, listener, images, candidates[c, 2:], order, ray, sources, s, gains[held]):
            continue
        source[held], length[held] = s, whole
        arrival[held, 0], arrival[held, 1], arrival[held, 2] = u, v, w
        held += 1
    return source[:held], length[:held], arrival[:held], gains[:held]


@compiled
def _followed(
    rays: Rays,
    surfaces: Surfaces,
    listener: Float64,
    images: Float64,
    planes: Int32,
    order: int,
    ray: RayBuffer,
    sources: Sources,
    s: int,
    gains: Float64,
) -> bool:
    """Follow a path from the listener to images[0], images[1], ... and multiply its gains; False where it is broken."""
    x, y, z = listener[0], listener[1], listener[2]
    for j in range(order + 1):
        dx, dy, dz = images[j, 0] - x, images[j, 1] - y, images[j, 2] - z
        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        if distance < CLEARANCE_M:
            return False
        u, v, w = dx / distance, dy / distance, dz / distance
        if j == order:
            cosine = -(sources.facing[s, 0] * u + sources.facing[s, 1] * v + sources.facing[s, 2] * w)
            for b in range(len(gains)):
                gains[b] *= pattern(sources.omni_share[b], cosine)
            return not is_blocked(rays, ray, x, y, z, u, v, w, distance - CLEARANCE_M)
        plane = surfaces.planes[planes[j]]
        approach = plane[0] * u + plane[1] * v + plane[2] * w
        if abs(approach) < 1e-6:
            return False
        reach = (plane[3] - plane[0] * x - plane[1] * y - plane[2] * z) / approach
        if not 0.0 < reach < distance:
            return False
        face = first_hit(rays, ray, x, y, z, u, v, w, reach + 2.0 * _ON_PLANE_M)
        if face == MISS or surfaces.plane[face] != planes[j] or abs(ray.values[8] - reach) > _ON_PLANE_M:
            return False
        m = surfaces.material[face]
        for b in range(len(gains)):
            gains[b] *= np.sqrt(surfaces.reflectance[m, b] * (1.0 - surfaces.scattering[m, b]))
        side = -CLEARANCE_M if approach > 0.0 else CLEARANCE_M
        x, y, z = x + u * reach + plane[0] * side, y + v * reach + plane[1] * side, z + w * reach + plane[2] * side
    return False
