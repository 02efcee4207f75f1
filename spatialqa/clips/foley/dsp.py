"""Building blocks of the foley models: noise, resonances, modal and voiced sources, and placing events in time.

Everything is float64 (n,) at RATE samples a second; frequencies in Hz, times in seconds, levels in dB.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its modules are imported where they are first used

Signal = npt.NDArray[np.float64]
Range = tuple[float, float]
Numbers = Sequence[float] | npt.NDArray[np.floating[Any]]

# 48 kHz: twice the audible range, and 2:3 and 1:3 down to the 32 kHz and 16 kHz that models listen at.
RATE = 48_000
_CHUNK = 32_768  # samples that fit into a processor's cache with what is computed of them


def samples(duration_s: float) -> int:
    """Return the nearest whole number of samples, at least 1."""
    return max(1, round(duration_s * RATE))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a positive number whose logarithm is uniform, as frequencies and sizes are spread in nature."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def normalised(x: Signal) -> Signal:
    """Scale to a peak of 1 (silence stays silence)."""
    top = peak(x)
    return x / top if top > 0 else x


def peak(x: Signal) -> float:
    """Return the largest absolute value, 0 of an empty signal."""
    return float(max(np.max(x, initial=0.0), -np.min(x, initial=0.0)))


def rms(x: Signal) -> float:
    """Return the root of the mean square, at least 1e-15."""
    from spatialqa.clips.foley.kernels import mean_square

    return max(sqrt(mean_square(x)), 1e-15)


def gain(level_db: float) -> float:
    """Return the amplitude factor of a level."""
    return float(10.0 ** (level_db / 20.0))


def mixed(x: Signal, other: Signal, level_db: float) -> Signal:
    """Add `other` with an RMS that lies level_db above (negative: below) that of x."""
    y = other * (rms(x) / rms(other) * gain(level_db))
    y += x
    return y


def curve(n: int, points: Sequence[tuple[float, float]]) -> Signal:
    """Join (position 0..1, value) points by straight lines over n samples."""
    from spatialqa.clips.foley.kernels import joined

    return joined(np.array(points, dtype=np.float64), n)


def wander(rng: np.random.Generator, n: int, rate_hz: float, low: float, high: float) -> Signal:
    """Return a smooth random walk between two values with about rate_hz independent values a second."""
    from spatialqa.clips.foley.kernels import between

    knots = rng.uniform(low, high, ceil(n / RATE * rate_hz) + 4)
    return between(knots, rate_hz / RATE, rng.uniform(0.0, 1.0), n)


def decay(n: int, t60_s: float) -> Signal:
    """Return an exponential envelope that falls by 60 dB in t60_s."""
    out, known = np.ones(n), 1
    while known < n:  # what is known, once more and that much lower
        more = min(known, n - known)
        out[known : known + more] = out[:more] * np.exp(known * (-np.log(1000.0) / (t60_s * RATE)))
        known += more
    return out


def swell(n: int, attack_s: float, release_s: float) -> Signal:
    """Return an envelope of 1 with raised-cosine flanks, shortened to fit n."""
    out = np.ones(n)
    fade(out, attack_s, release_s)
    return out


def fade(x: Signal, attack_s: float, release_s: float) -> None:
    """Multiply x by `swell`, in place."""
    n = len(x)
    a, r = min(samples(attack_s), n // 2), min(samples(release_s), n // 2)
    x[:a] *= _rise(a)
    x[n - r :] *= 1.0 - _rise(r)


@lru_cache(64)
def _rise(n: int) -> Signal:
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.arange(n) / max(n, 1)))


def tilted_noise(rng: np.random.Generator, n: int, db_per_octave: float, corner_hz: float = 60.0) -> Signal:
    """Return Gaussian noise of RMS about 1 whose spectrum falls (or rises) by db_per_octave above corner_hz."""
    m = scipy.fft.next_fast_len(n, real=True)
    weights = _powers(m // 2 + 1, db_per_octave / 6.0206)
    corner = corner_hz * m / RATE
    weights[: ceil(corner)] = corner ** (db_per_octave / 6.0206)
    spectrum = scipy.fft.rfft(rng.standard_normal(m).astype(np.float32), overwrite_x=True)
    spectrum *= weights
    x: Signal = scipy.fft.irfft(spectrum, m, overwrite_x=True)[:n].astype(np.float64)
    x /= rms(x)
    return x


def _powers(n: int, exponent: float) -> npt.NDArray[np.float32]:
    """Return k ** exponent for k = 1 to n - 1, within 1e-6 of it, and 1 for k = 0."""
    top = 4096
    out = np.ones(max(n, top + 1), dtype=np.float32)
    out[1 : top + 1] = np.arange(1.0, top + 1.0) ** exponent
    while top + 1 < n:  # at twice k it is 2 ** exponent times as much, and halfway between two lies their mean
        known = out[top // 2 : top + 1] * np.float32(2.0**exponent)
        more = np.empty(top + 1, dtype=np.float32)
        more[::2] = known
        more[1::2] = np.float32(0.5) * (known[:-1] + known[1:])
        out[top : 2 * top + 1] = more[: n - top]
        top *= 2
    return out[:n]


def band_noise(rng: np.random.Generator, n: int, low_hz: float, high_hz: float) -> Signal:
    """Return noise of RMS about 1 between two frequencies with slopes of 12 dB an octave."""
    x = bandpassed(rng.standard_normal(n), low_hz, high_hz)
    x /= rms(x)
    return x


def bandpassed(x: Signal, low_hz: float, high_hz: float) -> Signal:
    """Butterworth band-pass, second order each side."""
    return _filtered(x, 2, (low_hz, min(high_hz, 0.49 * RATE)), "bandpass")


def lowpassed(x: Signal, cutoff_hz: float, order: int = 2) -> Signal:
    """Butterworth low-pass."""
    return _filtered(x, order, min(cutoff_hz, 0.49 * RATE), "lowpass")


def highpassed(x: Signal, cutoff_hz: float, order: int = 2) -> Signal:
    """Butterworth high-pass."""
    return _filtered(x, order, cutoff_hz, "highpass")


def _filtered(x: Signal, order: int, cutoff_hz: float | Range, kind: str) -> Signal:
    from spatialqa.clips.foley.kernels import cascade

    return cascade(x, _sections(order, cutoff_hz, kind))


@lru_cache(256)
def _sections(order: int, cutoff_hz: float | Range, kind: str) -> Signal:
    """Return a Butterworth filter as an even number of second-order sections, for kernels.cascade."""
    sections: Signal = scipy.signal.butter(order, cutoff_hz, kind, fs=RATE, output="sos")
    return sections if len(sections) % 2 == 0 else np.append(sections, [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]], axis=0)


def convolved(x: Signal, kernel: Signal) -> Signal:
    """Convolve x with a kernel, by overlap and add within 1e-6 of the peak, and keep the length of x."""
    size = max(1 << (2 * len(kernel) - 1).bit_length(), 16384)
    step = size - len(kernel) + 1
    starts = range(0, len(x), step)
    blocks = np.zeros((len(starts), size), dtype=np.float32)  # transforms of several rows share their instructions
    for block, start in zip(blocks, starts, strict=True):
        block[: min(step, len(x) - start)] = x[start : start + step]
    spectrum = _product(scipy.fft.rfft(blocks, axis=1), scipy.fft.rfft(kernel.astype(np.float32), size))
    out = np.zeros(len(x))
    for block, start in zip(scipy.fft.irfft(spectrum, size, axis=1), starts, strict=True):
        out[start : start + size] += block[: len(x) - start]
    return out


def _product(a: npt.NDArray[np.complex64], b: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Return a b. numpy multiplies complex numbers with fused instructions where there are some: other last bits."""
    out = np.empty(a.shape, dtype=np.complex64)
    np.multiply(a.real, b.real, out=out.real)
    out.real -= a.imag * b.imag
    np.multiply(a.real, b.imag, out=out.imag)
    out.imag += a.imag * b.real
    return out


def _resonated(x: Signal, gains: Signal, first: Signal, radius: Signal, out: Signal, step: int = RATE) -> None:
    """Add K resonators (kernels.resonate) of pole radius (K,), with first (B, K), to out, until they fall by 160 dB."""
    from spatialqa.clips.foley.kernels import resonate

    blocks, count = first.shape
    rows = np.zeros((blocks + 2, count + -count % 4))
    rows[0, :count], rows[1, :count], rows[2:, :count] = gains, radius * radius, first
    resonate(x, rows[0], rows[2:], rows[1], step, 1e-8 * peak(x), out)


def formants(x: Signal, peaks: Sequence[tuple[float, float, float]]) -> Signal:
    """Pass x through parallel resonators (frequency Hz, bandwidth Hz, level dB) of alternating sign (Klatt 1980)."""
    frequencies, bandwidths, levels_db = np.array(peaks).T
    return _formants(x, frequencies[None, :], bandwidths, levels_db)


def gliding_formants(
    x: Signal, tracks: Sequence[Signal], bandwidths: Sequence[float], levels_db: Sequence[float]
) -> Signal:
    """As `formants`, with a centre frequency for every sample of x; coefficients are renewed every 10 ms."""
    step = RATE // 100
    frequencies = np.stack([track[: len(x) : step] for track in tracks], axis=-1)
    return _formants(x, frequencies, np.array(bandwidths), np.array(levels_db), step)


def _formants(x: Signal, frequencies: Signal, bandwidths: Signal, levels_db: Signal, step: int = RATE) -> Signal:
    r = np.exp(-np.pi * bandwidths / RATE)
    first = -2.0 * r * np.cos(2.0 * np.pi * np.minimum(frequencies, 0.48 * RATE) / RATE)
    gains = 0.5 * (1.0 - r * r) * 10.0 ** (levels_db / 20.0)
    gains[1::2] *= -1.0
    edges = x.copy()
    edges[2:] -= x[:-2]
    out = np.zeros(len(x))
    _resonated(edges, gains, first, r, out, step)
    return out


def modes(excitation: Signal, frequencies_hz: Numbers, t60s_s: Numbers, amplitudes: Numbers) -> Signal:
    """Modal synthesis (Adrien 1991): a unit impulse rings every mode as a sine of its amplitude and decay time."""
    f, t60, a = np.array(frequencies_hz), np.array(t60s_s), np.array(amplitudes)
    heard = (f > 20.0) & (f < 0.46 * RATE)
    r, w = np.exp(-np.log(1000.0) / (t60[heard] * RATE)), 2.0 * np.pi * f[heard] / RATE
    out = np.zeros(len(excitation))
    _resonated(excitation[:-1], a[heard] * np.sin(w), (-2.0 * r * np.cos(w))[None, :], r, out[1:])
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


def turn_of(frequency_hz: Signal) -> Signal:
    """Return the running phase of an instantaneous frequency within its cycle, 0 to 1."""
    from spatialqa.clips.foley.kernels import turns

    return turns(frequency_hz, RATE)


def sine(frequency_hz: Signal) -> Signal:
    """Return a sine that follows an instantaneous frequency, within 1e-7."""
    return cycled(frequency_hz, _sine_table())


@cache
def _sine_table() -> Signal:
    return np.asarray(np.sin(np.linspace(0.0, 2.0 * np.pi, 8193)))


def cycled(frequency_hz: Signal, table: Signal) -> Signal:
    """Return a wave that follows an instantaneous frequency; table: one cycle, from its start to its end, in steps."""
    from spatialqa.clips.foley.kernels import read_cycle

    return read_cycle(frequency_hz, RATE, table)


def harmonics(frequency_hz: Signal, amplitudes: Numbers, rng: np.random.Generator) -> Signal:
    """Return a harmonic tone; harmonics that would pass 0.46 RATE are left out. Phases are random and fixed."""
    count = min(len(amplitudes), int(0.46 * RATE / max(float(frequency_hz.max()), 1.0)))
    size = 1 << max(10, int(np.ceil(np.log2(16 * max(count, 1)))))
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
    spectrum[1 : count + 1] = np.asarray(amplitudes)[:count] * np.exp(2j * np.pi * rng.uniform(0.0, 1.0, count))
    table = scipy.fft.irfft(spectrum, size) * (size / 2)
    return cycled(frequency_hz, np.append(table, table[0]))


def glottal(rng: np.random.Generator, f0_hz: Signal, jitter: float = 0.01, open_quotient: float = 0.6) -> Signal:
    """Return the flow derivative of vibrating folds: Rosenberg's (1971) pulse t^2 - t^3, with cycle jitter."""
    wobble = 1.0 + jitter * wander(rng, len(f0_hz), 90.0, -1.0, 1.0)
    p = turn_of(f0_hz * wobble) / open_quotient
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
    out, found = np.zeros(n), []
    for start in range(0, n, _CHUNK):
        rate = rate_hz[start : start + _CHUNK] if isinstance(rate_hz, np.ndarray) else rate_hz
        found.append(start + np.flatnonzero(rng.random(min(_CHUNK, n - start)) < rate / RATE))
    hits = np.concatenate(found)
    levels = 10.0 ** (spread_db * (_drawn_at(rng, n, hits) - 1.0) / 20.0)
    out[hits] = levels * np.where(_drawn_at(rng, n, hits) < 0.5, -1.0, 1.0)
    return out


def _drawn_at(rng: np.random.Generator, n: int, hits: npt.NDArray[np.intp]) -> Signal:
    """Return rng.random(n)[hits]; few hits are drawn alone. The state of rng is the same afterwards."""
    bits = rng.bit_generator
    if not isinstance(bits, np.random.PCG64) or 500 * len(hits) > n:
        return rng.random(n)[hits]
    before = bits.state
    out, at = np.empty(len(hits)), 0
    for k, hit in enumerate(hits.tolist()):
        bits.advance(hit - at)
        out[k] = rng.random()
        at = hit + 1
    bits.advance(n - at)
    after = bits.state  # without the half of a draw that integers() may have kept
    after["has_uint32"], after["uinteger"] = before["has_uint32"], before["uinteger"]
    bits.state = after
    return out


def in_room(rng: np.random.Generator, x: Signal, t60_s: float, level_db: float) -> Signal:
    """Add the diffuse reflections of the place where x is recorded, from 4 ms on, level_db relative to x."""
    tail = lowpassed(rng.standard_normal(samples(t60_s)), 6000.0, 1) * decay(samples(t60_s), t60_s)
    tail[: samples(0.004)] = 0.0
    return mixed(x, convolved(x, tail), level_db)


def outdoors(rng: np.random.Generator, x: Signal, level_db: float) -> Signal:
    """Add the air around a source: pink noise that swells and falls slowly, level_db relative to x."""
    air = tilted_noise(rng, len(x), -3.0, 120.0)
    air *= wander(rng, len(x), 0.7, 0.6, 1.4)
    return mixed(x, air, level_db)
