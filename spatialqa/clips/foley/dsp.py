"""Building blocks of the foley models: noise, resonances, modal and voiced sources, and placing events in time.

Everything is float64 (n,) at RATE samples a second; frequencies in Hz, times in seconds, levels in dB.
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its modules are imported where they are first used

Signal = npt.NDArray[np.float64]
Range = tuple[float, float]
Numbers = Sequence[float] | npt.NDArray[np.floating[Any]]

# 48 kHz: twice the audible range, and 2:3 and 1:3 down to the 32 kHz and 16 kHz that models listen at.
RATE = 48_000


def samples(duration_s: float) -> int:
    """Return the nearest whole number of samples, at least 1."""
    return max(1, round(duration_s * RATE))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a positive number whose logarithm is uniform, as frequencies and sizes are spread in nature."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def normalised(x: Signal) -> Signal:
    """Scale to a peak of 1 (silence stays silence)."""
    peak = float(np.max(np.abs(x), initial=0.0))
    return x / peak if peak > 0 else x


def gain(level_db: float) -> float:
    """Return the amplitude factor of a level."""
    return float(10.0 ** (level_db / 20.0))


def mixed(x: Signal, other: Signal, level_db: float) -> Signal:
    """Add `other` with an RMS that lies level_db above (negative: below) that of x."""
    ratio = np.sqrt(np.mean(x**2) / max(float(np.mean(other**2)), 1e-30))
    return np.asarray(x + other * (ratio * gain(level_db)))


def curve(n: int, points: Sequence[tuple[float, float]]) -> Signal:
    """Join (position 0..1, value) points by straight lines over n samples."""
    positions, values = zip(*points, strict=True)
    return np.asarray(np.interp(np.linspace(0.0, 1.0, n), positions, values))


def wander(rng: np.random.Generator, n: int, rate_hz: float, low: float, high: float) -> Signal:
    """Return a smooth random walk between two values with about rate_hz independent values a second."""
    knots = rng.uniform(low, high, ceil(n / RATE * rate_hz) + 4)
    at = np.arange(n) * (rate_hz / RATE) + rng.uniform(0.0, 1.0)
    left = at.astype(np.int64)
    u = at - left
    u = u * u * (3.0 - 2.0 * u)
    return np.asarray(knots[left] * (1.0 - u) + knots[left + 1] * u)


def decay(n: int, t60_s: float) -> Signal:
    """Return an exponential envelope that falls by 60 dB in t60_s."""
    return np.asarray(np.exp(np.arange(n) * (-np.log(1000.0) / (t60_s * RATE))))


def swell(n: int, attack_s: float, release_s: float) -> Signal:
    """Return an envelope of 1 with raised-cosine flanks, shortened to fit n."""
    out = np.ones(n)
    a, r = min(samples(attack_s), n // 2), min(samples(release_s), n // 2)
    out[:a] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(a) / max(a, 1))
    out[n - r :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(r) / max(r, 1))
    return out


def tilted_noise(rng: np.random.Generator, n: int, db_per_octave: float, corner_hz: float = 60.0) -> Signal:
    """Return Gaussian noise of RMS about 1 whose spectrum falls (or rises) by db_per_octave above corner_hz."""
    m = scipy.fft.next_fast_len(n, real=True)
    f = np.maximum(scipy.fft.rfftfreq(m, 1.0 / RATE), corner_hz) / corner_hz
    x: Signal = scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(m)) * f ** (db_per_octave / 6.0206), m)[:n]
    return np.asarray(x / np.sqrt(np.mean(x**2)))


def band_noise(rng: np.random.Generator, n: int, low_hz: float, high_hz: float) -> Signal:
    """Return noise of RMS about 1 between two frequencies with slopes of 12 dB an octave."""
    x = bandpassed(rng.standard_normal(n), low_hz, high_hz)
    return x / max(float(np.sqrt(np.mean(x**2))), 1e-12)


def bandpassed(x: Signal, low_hz: float, high_hz: float) -> Signal:
    """Butterworth band-pass, second order each side."""
    y: Signal = scipy.signal.sosfilt(
        scipy.signal.butter(2, (low_hz, min(high_hz, 0.49 * RATE)), "bandpass", fs=RATE, output="sos"), x
    )
    return y


def lowpassed(x: Signal, cutoff_hz: float, order: int = 2) -> Signal:
    """Butterworth low-pass."""
    y: Signal = scipy.signal.sosfilt(scipy.signal.butter(order, min(cutoff_hz, 0.49 * RATE), fs=RATE, output="sos"), x)
    return y


def highpassed(x: Signal, cutoff_hz: float, order: int = 2) -> Signal:
    """Butterworth high-pass."""
    y: Signal = scipy.signal.sosfilt(scipy.signal.butter(order, cutoff_hz, "highpass", fs=RATE, output="sos"), x)
    return y


def convolved(x: Signal, kernel: Signal) -> Signal:
    """Convolve x with a kernel and keep the length of x."""
    y: Signal = scipy.signal.oaconvolve(x, kernel)[: len(x)]
    return y


def _resonator(frequency_hz: float, bandwidth_hz: float) -> tuple[list[float], list[float]]:
    r = np.exp(-np.pi * bandwidth_hz / RATE)
    w = 2.0 * np.pi * min(frequency_hz, 0.48 * RATE) / RATE
    return [0.5 * (1 - r * r), 0.0, -0.5 * (1 - r * r)], [1.0, -2.0 * r * np.cos(w), r * r]


def formants(x: Signal, peaks: Sequence[tuple[float, float, float]]) -> Signal:
    """Pass x through parallel resonators (frequency Hz, bandwidth Hz, level dB) of alternating sign (Klatt 1980)."""
    out = np.zeros_like(x)
    for k, (frequency, bandwidth, level_db) in enumerate(peaks):
        out += (-1) ** k * gain(level_db) * scipy.signal.lfilter(*_resonator(frequency, bandwidth), x)
    return out


def gliding_formants(
    x: Signal, tracks: Sequence[Signal], bandwidths: Sequence[float], levels_db: Sequence[float]
) -> Signal:
    """As `formants`, with a centre frequency for every sample of x; coefficients are renewed every 10 ms."""
    out = np.zeros_like(x)
    step = RATE // 100
    for k, (track, bandwidth, level_db) in enumerate(zip(tracks, bandwidths, levels_db, strict=True)):
        state = np.zeros(2)
        amplitude = (-1) ** k * gain(level_db)
        for i in range(0, len(x), step):
            b, a = _resonator(float(track[i]), bandwidth)
            y, state = scipy.signal.lfilter(b, a, x[i : i + step], zi=state)
            out[i : i + step] += amplitude * y
    return out


def modes(excitation: Signal, frequencies_hz: Numbers, t60s_s: Numbers, amplitudes: Numbers) -> Signal:
    """Modal synthesis (Adrien 1991): a unit impulse rings every mode as a sine of its amplitude and decay time."""
    out = np.zeros_like(excitation)
    for frequency, t60, amplitude in zip(frequencies_hz, t60s_s, amplitudes, strict=True):
        if 20.0 < frequency < 0.46 * RATE:
            r = np.exp(-np.log(1000.0) / (t60 * RATE))
            w = 2.0 * np.pi * frequency / RATE
            out += amplitude * scipy.signal.lfilter([0.0, np.sin(w)], [1.0, -2.0 * r * np.cos(w), r * r], excitation)
    return out


def strike(rng: np.random.Generator, n: int, contact_s: float, noise: float = 0.0) -> Signal:
    """Return a unit-area half-cosine contact pulse at the start of n samples, roughened by noise (0..1)."""
    m = min(max(2, samples(contact_s)), n)
    pulse = np.sin(np.pi * (np.arange(m) + 0.5) / m)
    pulse = pulse / pulse.sum() + noise * rng.standard_normal(m) * pulse / np.sqrt(m)
    return np.concatenate((pulse, np.zeros(n - m)))


def phase_of(frequency_hz: Signal) -> Signal:
    """Return the running phase in cycles of an instantaneous frequency."""
    return np.cumsum(frequency_hz) / RATE


def sine(frequency_hz: Signal) -> Signal:
    """Return a sine that follows an instantaneous frequency."""
    return np.sin(2.0 * np.pi * phase_of(frequency_hz))


def harmonics(frequency_hz: Signal, amplitudes: Numbers, rng: np.random.Generator) -> Signal:
    """Return a harmonic tone; harmonics that would pass 0.46 RATE are left out. Phases are random and fixed."""
    count = min(len(amplitudes), int(0.46 * RATE / max(float(frequency_hz.max()), 1.0)))
    size = 1 << max(10, int(np.ceil(np.log2(16 * max(count, 1)))))
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
    spectrum[1 : count + 1] = np.asarray(amplitudes)[:count] * np.exp(2j * np.pi * rng.uniform(0.0, 1.0, count))
    table = scipy.fft.irfft(spectrum, size) * (size / 2)
    position = (phase_of(frequency_hz) % 1.0) * size
    return np.asarray(np.interp(position, np.arange(size + 1), np.append(table, table[0])))


def glottal(rng: np.random.Generator, f0_hz: Signal, jitter: float = 0.01, open_quotient: float = 0.6) -> Signal:
    """Return the flow derivative of vibrating folds: Rosenberg's (1971) pulse t^2 - t^3, with cycle jitter."""
    wobble = 1.0 + jitter * wander(rng, len(f0_hz), 90.0, -1.0, 1.0)
    p = (phase_of(f0_hz * wobble) % 1.0) / open_quotient
    return np.where(p < 1.0, 2.0 * p - 3.0 * p * p, 0.0)


def place(out: Signal, x: Signal, start: int, amplitude: float = 1.0) -> None:
    """Add x to out from `start` on; what passes the end is dropped."""
    m = min(len(x), len(out) - start)
    if m > 0:
        out[start : start + m] += amplitude * x[:m]


def calls(
    rng: np.random.Generator, n: int, one: Callable[[], Signal], *, group: tuple[int, int], gap_s: Range, pause_s: Range
) -> Signal:
    """Repeat an event in groups with irregular gaps inside a group and pauses between.

    An event that would pass the end is left out, or faded where leaving it out would leave over a second of silence.
    """
    out = np.zeros(n)
    at = samples(rng.uniform(0.005, 0.1))
    end = 0
    while True:
        for _ in range(rng.integers(group[0], group[1] + 1)):
            x = one()
            if at + len(x) > n:
                if n - end < RATE:
                    return out
                x = x[: max(n - at, 1)] * swell(max(n - at, 1), 0.0, 0.08)
                at = min(at, n - 1)
            end = at + len(x)
            place(out, x, at, gain(rng.uniform(-3.0, 0.0)))
            at += len(x) + samples(rng.uniform(*gap_s))
        at += samples(rng.uniform(*pause_s))


def beat(rng: np.random.Generator, n: int, period_s: float, irregularity: float, first_s: float = 0.01) -> list[int]:
    """Return sample positions of a beat whose intervals vary by +- irregularity of the period."""
    out, at = [], first_s
    while at * RATE < n:
        out.append(int(at * RATE))
        at += period_s * (1.0 + rng.uniform(-irregularity, irregularity))
    return out


def poisson_train(rng: np.random.Generator, n: int, rate_hz: float | Signal, spread_db: float) -> Signal:
    """Return impulses at random times with random signs and levels spread evenly over spread_db below 1."""
    hit = rng.random(n) < np.asarray(rate_hz) / RATE
    levels = 10.0 ** (rng.uniform(-spread_db, 0.0, n) / 20.0)
    return np.where(hit, levels * np.where(rng.random(n) < 0.5, -1.0, 1.0), 0.0)


def in_room(rng: np.random.Generator, x: Signal, t60_s: float, level_db: float) -> Signal:
    """Add the diffuse reflections of the place where x is recorded, from 4 ms on, level_db relative to x."""
    tail = lowpassed(rng.standard_normal(samples(t60_s)), 6000.0, 1) * decay(samples(t60_s), t60_s)
    tail[: samples(0.004)] = 0.0
    return mixed(x, convolved(x, tail), level_db)


def outdoors(rng: np.random.Generator, x: Signal, level_db: float) -> Signal:
    """Add the air around a source: pink noise that swells and falls slowly, level_db relative to x."""
    air = tilted_noise(rng, len(x), -3.0, 120.0) * wander(rng, len(x), 0.7, 0.6, 1.4)
    return mixed(x, air, level_db)
