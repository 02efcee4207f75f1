"""Prints the energy of early reflections in a box: image sources in closed form, and the engines.

    python -m tests.acoustics.early_energy

The box has one material, which does not scatter. Energies are those of the omnidirectional channel, by time after the
direct sound and relative to it, in dB: the mean over 24 pairs of a listener and a source.
"""

import itertools

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.engines import open_engine
from spatialqa.core.geometry import Pose, Vec3
from tests.acoustics.boxes import shoebox

Array = npt.NDArray[np.float64]

RATE = 32000
SIZE = (6.0, 3.0, 5.0)
ABSORPTION = 0.2
PAIRS = 24
CUTS_MS = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0])
BANDS_HZ = (250, 500, 1000, 2000, 4000, 8000)
SPEED_M_S = 343.0


def pairs() -> list[tuple[Vec3, Vec3]]:
    """Return listeners and sources 0.7 to 3 m apart."""
    rng = np.random.default_rng(1)
    found: list[tuple[Vec3, Vec3]] = []
    while len(found) < PAIRS:
        listener, source = rng.uniform((0.8, 1.2, 0.8), (5.2, 1.7, 4.2)), rng.uniform((0.5, 0.4, 0.5), (5.5, 2.2, 4.5))
        if 0.7 < np.linalg.norm(listener - source) < 3.0:
            (a, b, c), (x, y, z) = listener.tolist(), source.tolist()
            found.append(((a, b, c), (x, y, z)))
    return found


def exact(listener: Vec3, source: Vec3) -> Array:
    """Return the energy of the image sources (Allen and Berkley, 1979) in each stretch of time."""
    energy = np.zeros(len(CUTS_MS) - 1)
    direct = float(np.linalg.norm(np.subtract(source, listener)))
    for cell in itertools.product(range(-4, 5), repeat=3):
        for mirrored in itertools.product((0, 1), repeat=3):
            order = sum(abs(2 * n - m) for n, m in zip(cell, mirrored, strict=True))
            image = [(1 - 2 * m) * x + 2 * n * side for n, m, x, side in zip(cell, mirrored, source, SIZE, strict=True)]
            distance = float(np.linalg.norm(np.subtract(image, listener)))
            k = int(np.searchsorted(CUTS_MS, (distance - direct) / SPEED_M_S * 1000.0)) - 1
            if order and 0 <= k < len(energy):
                energy[k] += (1.0 - ABSORPTION) ** order * (direct / distance) ** 2
    return energy


def in_bands(signal: Array) -> Array:
    """Return the energy of a signal in octave bands."""
    n = 1 << 14
    frequency, power = np.fft.rfftfreq(n, 1.0 / RATE), np.abs(np.fft.rfft(signal, n)) ** 2
    return np.array([power[(frequency >= c / 2**0.5) & (frequency < c * 2**0.5)].sum() for c in BANDS_HZ])


def of_engine(name: str) -> Array:
    """Return what an engine gives, float64 (pairs, stretches, bands)."""
    whole = open_engine(name, RATE, channels="foa")
    alone = open_engine(name, RATE, channels="foa", overrides={"indirect": False})
    room = shoebox(SIZE, ABSORPTION, scattering=0.0)
    found = []
    with whole.open(room) as heard, alone.open(room) as direct_only:
        for k, (listener, source) in enumerate(pairs()):
            rir = heard.rirs(Pose(listener), [source], k)[0][0].astype(float)
            direct = np.zeros(len(rir))
            part = direct_only.rirs(Pose(listener), [source], k)[0][0][: len(rir)]
            direct[: len(part)] = part
            first = int(np.argmax(np.abs(direct)))
            at = first + (CUTS_MS * RATE / 1000.0).astype(int)
            found.append([in_bands((rir - direct)[a:b]) / in_bands(direct) for a, b in itertools.pairwise(at)])
    return np.array(found)


def main() -> None:
    """Print the table."""
    theory = 10 * np.log10(np.mean([exact(*pair) for pair in pairs()], axis=0))
    names = ("geometric", "soundspaces")
    engines = [10 * np.log10(of_engine(name).mean(axis=0)) for name in names]
    print(
        "| after the direct sound | exact |",
        " | ".join(f"{name}, {'/'.join(map(str, BANDS_HZ))} Hz" for name in names),
        "|",
    )
    for k, (a, b) in enumerate(itertools.pairwise(CUTS_MS)):
        cells = [" ".join(f"{value:+.1f}" for value in found[k]) for found in engines]
        print(f"| {a:g}-{b:g} ms | {theory[k]:+.1f} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
