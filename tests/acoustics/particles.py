"""The decay of a box by following particles between its walls: plain numpy, independent of the engines."""

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Vec3

Float64 = npt.NDArray[np.float64]

_STEP_S = 0.0005


def hit_times_s(size: Vec3, particles: int = 20_000, hits: int = 72, speed_m_s: float = 343.0) -> Float64:
    """Return when particles that start anywhere in a box of Lambert walls meet them: float64 (hits, particles)."""
    rng = np.random.default_rng(7)
    extent = np.array(size)
    here, ahead = rng.random((particles, 3)) * extent, _sphere(rng, particles)
    every, time, times = np.arange(particles), np.zeros(particles), []
    for _ in range(hits):
        reach = np.where(ahead > 0, (extent - here) / ahead, -here / ahead)
        wall = reach.argmin(axis=1)
        length = reach[every, wall]
        time = time + length / speed_m_s
        times.append(time)
        here = np.clip(here + length[:, None] * ahead, 0.0, extent)
        inwards = np.zeros((particles, 3))
        inwards[every, wall] = -np.sign(ahead[every, wall])
        ahead = inwards + _sphere(rng, particles)
        ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    return np.array(times)


def t30_of_particles(times_s: Float64, absorption: float) -> float:
    """Return T30 of the energy in a box whose walls leave 1 - absorption of a particle at every hit."""
    grid = np.arange(0.0, float(times_s[-1].min()), _STEP_S)
    energy = np.zeros(len(grid))
    before = np.zeros(times_s.shape[1])
    for hit, after in enumerate(times_s):
        met = np.bincount(np.searchsorted(grid, before), minlength=len(grid) + 1)
        left = np.bincount(np.searchsorted(grid, after), minlength=len(grid) + 1)
        energy += (1.0 - absorption) ** hit * np.cumsum(met - left)[:-1]
        before = after
    return t30_of(energy, _STEP_S)


def t30_of(energy: Float64, step_s: float, from_db: float = -5.0, to_db: float = -35.0) -> float:
    """Return the reverberation time of energy by time, float64 (n,), by the line between two levels of its decay."""
    left = np.cumsum(energy[::-1])[::-1]
    level = 10.0 * np.log10(np.maximum(left / left[0], 1e-30))
    chosen = np.flatnonzero((level <= from_db) & (level >= to_db))
    return float(-60.0 / np.polyfit(chosen * step_s, level[chosen], 1)[0])


def _sphere(rng: np.random.Generator, count: int) -> Float64:
    points = rng.normal(size=(count, 3))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))
