"""The late part: rays from the listener, and the energy that reaches it by time, arrival direction and octave band.

A ray follows the sound backwards. At every surface that it meets, the part of each source's sound that the surface
scatters towards the ray is added (next event estimation): a source of intensity 1 / r^2 gives a Lambert surface of
reflectance R the radiance R cos / (pi r^2), and a ray of N stands for 4 pi / N of the directions. Whether the surface
sees the source is looked up in the source's map of distances.

Chains of mirror reflections from listener to source are not counted here but by the image sources (specular.py), up to
their order. By the rule `early`, a ray reflects as a mirror, with the share that the material does not scatter, only
until its first scattering and at most `specular_order` times: then both parts together hold all energy, once. By the
rule `material` it does so everywhere; a source that a mirror shows to a scattered ray is then caught by a sphere around
it. By the rule `lambert` every reflection is scattered.

Energies are added up as whole numbers. Sums do not depend on their order then, nor on how rays are split into batches.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.bands import BAND_COUNT
from spatialqa.acoustics.geometric.counter_random import mixed, two_uniforms
from spatialqa.acoustics.geometric.embree import MISS, Rays, first_hit, ray_buffer
from spatialqa.acoustics.geometric.octahedral import cell_of
from spatialqa.acoustics.geometric.scene_arrays import CLEARANCE_M, Sources, is_seen, pattern
from spatialqa.acoustics.geometric.surfaces import Surfaces
from spatialqa.core.compiled import compiled, inlined

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

DIRECTION_CELLS = 6  # along a side of the octahedral map of arrival directions: 36 of them
ENERGY_UNIT = 2.0**-50  # one step of the sums
RULES = ("early", "material", "lambert")

_EARLY, _MATERIAL = 0, 1
_SURVIVAL_POWER = 1.0 / 3.0  # of the largest reflectance; 1 / 2 leaves the end of the decay to too few rays
_LEAST_WEIGHT = 1e-6  # of a ray that has lasted; with the rays that have not, about -90 dB
_NEAREST_M2 = 0.01  # a source is not nearer to a surface than 0.1 m
_WALL_M = 0.35  # a ray that has entered a wall leaves it within this distance
_CATCH_M = 0.25  # radius of the sphere that catches a source in a mirror
_FIRST_DRAW = 1 << 20  # counters above those of rays


class LateRules(NamedTuple):
    """How rays travel. ray_count: N. rule: index into RULES. specular_order: of the image sources. transmission:
    whether rays go through walls. speed_m_s: of sound. bin_of_step: int32 (T,), the time bin of each TIME_STEP_S.
    """

    ray_count: int
    rule: int
    specular_order: int
    transmission: bool
    speed_m_s: float
    bin_of_step: Int32


TIME_STEP_S = 0.0005


@compiled
def trace_late(
    rays: Rays,
    surfaces: Surfaces,
    listener: Float64,
    first_directions: Float64,
    sources: Sources,
    rules: LateRules,
    key: np.uint64,
    first_ray: int,
    energy: Int64,
) -> tuple[int, int]:
    """Follow rays and add what they gather to `energy`.

    Args:
        rays, surfaces: the mesh.
        listener: float64 (3,), metres, in the frame of the mesh.
        first_directions: float64 (n, 3), unit vectors, of the rays first_ray to first_ray + n - 1 of ray_count.
        sources: of the group.
        rules: see there.
        key: of the random numbers.
        first_ray: index of the first of these rays.
        energy: int64 (S, T, D, B), by source, time bin, arrival cell and octave band, in units of ENERGY_UNIT. Air
            absorbs nothing yet.

    Returns:
        how many segments were cast, and how many of them met a surface.
    """
    ray = ray_buffer()
    weight, emitted = np.empty(BAND_COUNT), np.empty(BAND_COUNT)
    cast, met = 0, 0
    for k in range(len(first_directions)):
        ray_key = mixed(key, _FIRST_DRAW + first_ray + k)
        x, y, z = listener[0], listener[1], listener[2]
        u, v, w = first_directions[k, 0], first_directions[k, 1], first_directions[k, 2]
        cell = cell_of(u, v, w, DIRECTION_CELLS)
        for b in range(BAND_COUNT):
            weight[b] = 4.0 / rules.ray_count / ENERGY_UNIT
        floor = _LEAST_WEIGHT * weight[0]
        travelled = 0.0
        bounce, in_wall, mirrored, scattered = 0, False, False, False
        while True:
            cast += 1
            face = first_hit(rays, ray, x, y, z, u, v, w, 1e6)
            length = float(ray.values[8])
            if mirrored and (scattered or bounce > rules.specular_order):
                _catch(sources, rules, weight, x, y, z, u, v, w, length, travelled, cell, energy)
            if face == MISS:
                break
            met += 1
            travelled += length
            if int(travelled / rules.speed_m_s / TIME_STEP_S) >= len(rules.bin_of_step):
                break
            nx, ny, nz = surfaces.normals[face, 0], surfaces.normals[face, 1], surfaces.normals[face, 2]
            along = nx * u + ny * v + nz * w
            if along > 0.0:
                nx, ny, nz, along = -nx, -ny, -nz, -along
            x, y, z = x + u * length, y + v * length, z + w * length
            if in_wall and length < _WALL_M:
                in_wall = False
                x, y, z = x - nx * CLEARANCE_M, y - ny * CLEARANCE_M, z - nz * CLEARANCE_M
                continue
            in_wall = False
            bounce_key = mixed(ray_key, bounce)
            choice, survival = two_uniforms(mixed(bounce_key, 0))
            m = surfaces.material[face]
            through = _mean(surfaces.transmission, m) if rules.transmission else 0.0
            through = through / (through + _mean(surfaces.reflectance, m) + 1e-9)
            mirror = rules.rule == _MATERIAL or (
                rules.rule == _EARLY and not scattered and bounce < rules.specular_order
            )
            scatter = _mean(surfaces.scattering, m) if mirror else 1.0
            x, y, z = x + nx * CLEARANCE_M, y + ny * CLEARANCE_M, z + nz * CLEARANCE_M
            for b in range(BAND_COUNT):
                share = surfaces.scattering[m, b] if mirror else 1.0
                emitted[b] = weight[b] * surfaces.reflectance[m, b] * share
            _gather(sources, rules, emitted, x, y, z, nx, ny, nz, travelled, cell, energy)
            bounce += 1
            if choice < through:  # on through the wall
                choice = choice / through
                in_wall = scattered = True  # image sources do not go through walls
                for b in range(BAND_COUNT):
                    weight[b] *= surfaces.transmission[m, b] / through
                x, y, z = x - 2 * nx * CLEARANCE_M, y - 2 * ny * CLEARANCE_M, z - 2 * nz * CLEARANCE_M
            else:
                choice = (choice - through) / (1.0 - through)
                mirrored = choice >= scatter
                for b in range(BAND_COUNT):
                    share = surfaces.scattering[m, b] if mirror else 1.0
                    kept = (1.0 - share) / (1.0 - scatter) if mirrored else share / max(scatter, 1e-9)
                    weight[b] *= surfaces.reflectance[m, b] * kept / (1.0 - through)
                if mirrored:
                    u, v, w = u - 2.0 * along * nx, v - 2.0 * along * ny, w - 2.0 * along * nz
                else:
                    scattered = True
                    u, v, w = _lambert(mixed(bounce_key, 1), nx, ny, nz)
            most = 0.0
            for b in range(BAND_COUNT):
                most = max(most, weight[b])
            if most < floor:
                break
            # Roulette: a ray lasts with the cube root of what the surface has left of it.
            best = 0.0
            for b in range(BAND_COUNT):
                best = max(best, surfaces.reflectance[m, b] + surfaces.transmission[m, b])
            lasting = min(1.0, best**_SURVIVAL_POWER)
            if survival >= lasting:
                break
            for b in range(BAND_COUNT):
                weight[b] /= lasting
    return cast, met


@inlined
def _mean(values: npt.NDArray[np.float32], m: int) -> float:
    total = 0.0
    for b in range(BAND_COUNT):
        total += values[m, b]
    return total / BAND_COUNT


@inlined
def _lambert(bits: np.uint64, nx: float, ny: float, nz: float) -> tuple[float, float, float]:
    """Return a direction about a normal by Lambert's law: the normal plus a point of the unit sphere."""
    first, second = two_uniforms(bits)
    height = 2.0 * first - 1.0
    ring, turn = np.sqrt(max(0.0, 1.0 - height * height)), 2.0 * np.pi * second
    u, v, w = nx + ring * np.cos(turn), ny + height, nz + ring * np.sin(turn)
    length = np.sqrt(u * u + v * v + w * w)
    if length < 1e-6:
        return nx, ny, nz
    return u / length, v / length, w / length


@inlined
def _gather(
    sources: Sources,
    rules: LateRules,
    emitted: Float64,
    x: float,
    y: float,
    z: float,
    nx: float,
    ny: float,
    nz: float,
    travelled: float,
    cell: int,
    energy: Int64,
) -> None:
    """Add what a surface at (x, y, z) scatters of every source that it sees."""
    for s in range(len(sources.positions)):
        dx, dy, dz = x - sources.positions[s, 0], y - sources.positions[s, 1], z - sources.positions[s, 2]
        facing = -(nx * dx + ny * dy + nz * dz)
        if facing <= 0.0:
            continue
        square = dx * dx + dy * dy + dz * dz
        distance = np.sqrt(square)
        step = int((travelled + distance) / rules.speed_m_s / TIME_STEP_S)
        if step >= len(rules.bin_of_step) or not is_seen(sources.distance_maps, s, dx, dy, dz, distance):
            continue
        geometry = facing / (distance * max(square, _NEAREST_M2))
        _add(
            sources,
            emitted,
            geometry,
            s,
            dx / distance,
            dy / distance,
            dz / distance,
            energy,
            rules.bin_of_step[step],
            cell,
        )


@inlined
def _catch(
    sources: Sources,
    rules: LateRules,
    weight: Float64,
    x: float,
    y: float,
    z: float,
    u: float,
    v: float,
    w: float,
    length: float,
    travelled: float,
    cell: int,
    energy: Int64,
) -> None:
    """Add the sources whose spheres a mirrored ray crosses on its way from (x, y, z)."""
    for s in range(len(sources.positions)):
        dx, dy, dz = sources.positions[s, 0] - x, sources.positions[s, 1] - y, sources.positions[s, 2] - z
        reached = dx * u + dy * v + dz * w
        if reached <= 0.0 or reached > length:
            continue
        if dx * dx + dy * dy + dz * dz - reached * reached > _CATCH_M * _CATCH_M:
            continue
        step = int((travelled + reached) / rules.speed_m_s / TIME_STEP_S)
        if step < len(rules.bin_of_step):
            _add(sources, weight, 1.0 / _CATCH_M**2, s, -u, -v, -w, energy, rules.bin_of_step[step], cell)


@inlined
def _add(
    sources: Sources,
    emitted: Float64,
    geometry: float,
    s: int,
    u: float,
    v: float,
    w: float,
    energy: Int64,
    time_bin: int,
    cell: int,
) -> None:
    """Add energy that left source s along (u, v, w) to one entry of the sums."""
    if sources.omnidirectional:
        for b in range(BAND_COUNT):
            energy[s, time_bin, cell, b] += np.int64(emitted[b] * geometry)
        return
    cosine = sources.facing[s, 0] * u + sources.facing[s, 1] * v + sources.facing[s, 2] * w
    for b in range(BAND_COUNT):
        gain = pattern(sources.omni_share[b], cosine)
        energy[s, time_bin, cell, b] += np.int64(emitted[b] * geometry * gain * gain)
