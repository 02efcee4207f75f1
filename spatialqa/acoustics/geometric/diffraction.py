"""Sound around edges, for sources that the listener does not see: an approximation by single detours.

A detour goes straight to a bend that both the listener and the source see, and straight on. The shortest detours bend
at edges, so no edge of the mesh needs to be known: bends are sampled along the listener's directions, looked up in the
distance maps of both ends, and pulled tight by rays. A detour that is longer by d than the straight path is weakened as
behind a thin screen, by Maekawa's curve in the form of Kurze and Anderson (Applied Acoustics 4, 1971):
5 dB + 20 lg(x / tanh x), x = sqrt(4 pi d / wavelength). Detours with two bends are not looked for, and edges do not
weaken reflected sound.
"""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.bands import BANDS_HZ
from spatialqa.acoustics.geometric.embree import RayBuffer, Rays, is_blocked, ray_buffer
from spatialqa.acoustics.geometric.octahedral import cell_centres, cell_of
from spatialqa.acoustics.geometric.paths import DIFFRACTED, Paths
from spatialqa.acoustics.geometric.scene_arrays import CLEARANCE_M, MAP_CELLS, Sources, pattern, unit_vector
from spatialqa.core.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

MOST_DETOURS = 3  # per source
_STEPS = 24  # bends tried along a direction
_APART = np.cos(np.radians(20.0))  # detours of one source that leave the listener closer than this are one
_TRIES = 40
_HALVINGS = 10
_ROUNDS = 4
_DIRECTIONS = cell_centres(MAP_CELLS)
_BANDS = np.array(BANDS_HZ)


def diffracted_paths(
    rays: Rays, listener: Float64, listener_map: Float32, sources: Sources, hidden: npt.NDArray[np.int64], speed: float
) -> Paths:
    """Return the detours to hidden sources.

    Args:
        rays: the mesh.
        listener: float64 (3,), metres, in the frame of the mesh.
        listener_map: float32 (n * n,), the listener's distance map.
        sources: of the group.
        hidden: int64 (k,), indices of the sources that have no straight path.
        speed: of sound, m/s.
    """
    source, length, arrival, gains = _detours(rays, listener, listener_map, sources, hidden, _DIRECTIONS, _BANDS, speed)
    return Paths(source, np.full(len(source), DIFFRACTED, dtype=np.int32), length, arrival, gains)


@compiled
def _detours(
    rays: Rays,
    listener: Float64,
    listener_map: Float32,
    sources: Sources,
    hidden: npt.NDArray[np.int64],
    directions: Float64,
    bands_hz: Float64,
    speed: float,
) -> tuple[npt.NDArray[np.int32], Float64, Float64, Float64]:
    most = MOST_DETOURS * len(hidden)
    source = np.zeros(most, dtype=np.int32)
    length, arrival, gains = np.zeros(most), np.zeros((most, 3)), np.zeros((most, len(bands_hz)))
    ray = ray_buffer()
    excess, reach = np.empty(len(directions)), np.empty(len(directions))
    found = 0
    for s in hidden:
        place = sources.positions[s]
        straight = unit_vector(listener, place)[3]
        _sample(listener, listener_map, place, sources.distance_maps[s], directions, straight, excess, reach)
        first = found
        tries = 0
        while tries < _TRIES and found - first < MOST_DETOURS:
            tries += 1
            k = 0
            for j in range(len(directions)):
                k = j if excess[j] < excess[k] else k
            if excess[k] >= 1e6:
                break
            bend = listener + reach[k] * directions[k]
            if _blocked(rays, ray, listener, bend) or _blocked(rays, ray, bend, place):
                excess[k] = 1e6
                continue
            for j in range(len(directions)):
                if _cosine(directions[j], directions[k]) > _APART:
                    excess[j] = 1e6
            bend = _pulled_tight(rays, ray, listener, place, bend)
            u, v, w, leg = unit_vector(listener, bend)
            back_u, back_v, back_w, rest = unit_vector(place, bend)
            known = False
            for j in range(first, found):
                known = known or arrival[j, 0] * u + arrival[j, 1] * v + arrival[j, 2] * w > _APART
            if known:
                continue
            source[found], length[found] = s, leg + rest
            arrival[found, 0], arrival[found, 1], arrival[found, 2] = u, v, w
            facing = sources.facing[s]
            cosine = facing[0] * back_u + facing[1] * back_v + facing[2] * back_w
            for b in range(len(bands_hz)):
                x = np.sqrt(4.0 * np.pi * max(leg + rest - straight, 1e-4) * bands_hz[b] / speed)
                screen = 10.0 ** (-5.0 / 20.0) * np.tanh(x) / x
                gains[found, b] = screen * pattern(sources.omni_share[b], cosine) / (leg + rest)
            found += 1
    return source[:found], length[:found], arrival[:found], gains[:found]


@compiled
def _sample(
    listener: Float64,
    listener_map: Float32,
    place: Float64,
    source_map: Float32,
    directions: Float64,
    straight: float,
    excess: Float64,
    reach: Float64,
) -> None:
    """Find for every direction the bend with the least excess length: excess (n,) and its distance, reach (n,)."""
    for k in range(len(directions)):
        excess[k] = 1e6
        free = min(0.97 * listener_map[k] - 0.02, 1.5 * straight)
        for step in range(_STEPS):
            along = free * (step + 1) / _STEPS
            if along < 0.05:
                continue
            dx = listener[0] + along * directions[k, 0] - place[0]
            dy = listener[1] + along * directions[k, 1] - place[1]
            dz = listener[2] + along * directions[k, 2] - place[2]
            rest = np.sqrt(dx * dx + dy * dy + dz * dz)
            if along + rest - straight >= excess[k] or rest < 0.05:
                continue
            if rest < 0.97 * source_map[cell_of(dx, dy, dz, MAP_CELLS)] - 0.02:
                excess[k], reach[k] = along + rest - straight, along


@compiled
def _blocked(rays: Rays, ray: RayBuffer, start: Float64, end: Float64) -> bool:
    u, v, w, distance = unit_vector(start, end)
    if distance < 2.0 * CLEARANCE_M:
        return False
    return is_blocked(rays, ray, start[0], start[1], start[2], u, v, w, distance - CLEARANCE_M)


@compiled
def _pulled_tight(rays: Rays, ray: RayBuffer, listener: Float64, place: Float64, bend: Float64) -> Float64:
    """Move a bend towards the straight path as far as both ends still see it, at the best place along that path."""
    axis, out = place - listener, bend - listener
    square = axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]
    share = (out[0] * axis[0] + out[1] * axis[1] + out[2] * axis[2]) / square
    share = min(0.95, max(0.05, share))
    best = _nearest_free(rays, ray, listener, place, bend, listener + share * axis)
    least = _around(listener, place, best)
    step = 0.2
    for _ in range(_ROUNDS):
        for sign in (-1.0, 1.0):
            moved = min(0.97, max(0.03, share + sign * step))
            tried = bend + (moved - share) * axis
            if _blocked(rays, ray, listener, tried) or _blocked(rays, ray, tried, place):
                tried = best
            tried = _nearest_free(rays, ray, listener, place, tried, listener + moved * axis)
            around = _around(listener, place, tried)
            if around < least:
                best, least, share, bend = tried, around, moved, tried
        step *= 0.5
    return best


@compiled
def _nearest_free(
    rays: Rays, ray: RayBuffer, listener: Float64, place: Float64, free: Float64, target: Float64
) -> Float64:
    """Return the point from `free` towards `target` that is farthest on and still seen by both ends."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        tried = free + middle * (target - free)
        if _blocked(rays, ray, listener, tried) or _blocked(rays, ray, tried, place):
            high = middle
        else:
            low = middle
    return free + low * (target - free)


@compiled
def _around(listener: Float64, place: Float64, bend: Float64) -> float:
    return unit_vector(listener, bend)[3] + unit_vector(bend, place)[3]


@compiled
def _cosine(a: Float64, b: Float64) -> float:
    return float(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])
