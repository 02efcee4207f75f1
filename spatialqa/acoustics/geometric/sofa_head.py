"""A measured head from a SOFA file.

A response is a filter that begins at once, and the delay before it. The delay is that at which the response correlates
best with its own version of minimum phase (Nam, Kolar and Abel, 2008), to a small fraction of a sample. The filter is
the response, earlier by this delay: what it has beyond minimum phase stays in it. So filters of neighbouring directions
line up when they are interpolated, and a direction of the file sounds as it was measured.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft

from spatialqa.acoustics.geometric.receiver import Head
from spatialqa.acoustics.geometric.spherical_head import minimum_phase
from spatialqa.acoustics.sofa import read_hrtf
from spatialqa.core.geometry import cartesian

_BLOCK = 1024  # directions that are taken apart at a time
_BEFORE = 8  # samples kept before the arrival
_TAPS = 200
_FADE = 32  # samples, at the end
_BEGIN_FADE = 4
_LEAST_SAMPLES = 4 * _TAPS  # of transforms
_EDGE = 0.92  # of half the lower rate: above it the spectrum fades out
_FLOOR = 1e-3  # of the largest magnitude, -60 dB, for minimum phase
_NEWTON_STEPS = 2
_MEDIAN_PLANE = 0.1  # of a unit vector's part to the right

Float64 = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complexfloating]


def sofa_head(path: Path, sample_rate: int) -> Head:
    """Return the head of a SOFA file at a sample rate in Hz; raises EngineError where the file cannot be read.

    The delay that all responses have in common, that of the median plane, is taken off: there the sound reaches the
    ears when it would reach the centre of the head.
    """
    file = read_hrtf(path)
    whole = file.responses()
    blocks = [whole[first : first + _BLOCK] for first in range(0, len(whole), _BLOCK)]
    parts = [_taken_apart(block, file.sample_rate_hz, sample_rate) for block in blocks]
    responses, delays = (np.concatenate(found) for found in zip(*parts, strict=True))
    directions = cartesian(_signed(file.directions[:, 0]), file.directions[:, 1])
    in_the_middle = np.abs(directions[:, 0]) < _MEDIAN_PLANE
    common = float(np.median(delays[in_the_middle] if in_the_middle.any() else delays))
    return Head(file.label, directions, responses, delays - _BEFORE - common)


def _taken_apart(responses: Float64, from_hz: float, to_hz: float) -> tuple[npt.NDArray[np.float32], Float64]:
    """Return filters (..., _TAPS), which begin _BEFORE samples before the arrival, and arrivals (...), samples."""
    spectra, n = _spectra(responses, from_hz, to_hz)
    delays = arrivals(spectra, n)
    omega = 2 * np.pi * np.arange(n // 2 + 1) / n
    earlier = np.exp((1j * omega * (delays - _BEFORE)[..., None]).astype(spectra.dtype))
    filters = scipy.fft.irfft(spectra * earlier, n)[..., :_TAPS]
    filters[..., :_BEGIN_FADE] *= np.sin(np.pi / 2 * (np.arange(_BEGIN_FADE) + 0.5) / _BEGIN_FADE) ** 2
    filters[..., -_FADE:] *= np.cos(np.pi / 2 * (np.arange(_FADE) + 0.5) / _FADE) ** 2
    return filters.astype(np.float32), delays


def arrivals(spectra: Spectra, n: int) -> Float64:
    """Return when responses begin: float64 (...), samples.

    Args:
        spectra: complex (..., n / 2 + 1), of a real FFT of n samples; n is at least four times a response's length.
        n: even.
    """
    magnitude = np.abs(spectra)
    floor = _FLOOR * magnitude.max(axis=-1, keepdims=True)
    cross = spectra * np.conj(minimum_phase(np.maximum(magnitude, floor))).astype(spectra.dtype)
    correlation = scipy.fft.irfft(cross, n)
    peak = np.argmax(correlation, axis=-1)
    around = [np.take_along_axis(correlation, ((peak + k) % n)[..., None], axis=-1)[..., 0] for k in (-1, 0, 1)]
    bend = around[0] - 2 * around[1] + around[2]
    first = peak + 0.5 * (around[0] - around[2]) / np.where(bend < 0, bend, -1.0)
    omega = 2 * np.pi * np.arange(n // 2 + 1) / n
    delay = np.asarray(first, dtype=np.float64)
    for _ in range(_NEWTON_STEPS):
        turned = cross * np.exp((1j * omega * delay[..., None]).astype(cross.dtype))
        slope = -np.sum(omega * turned.imag, axis=-1)
        curve = -np.sum(omega * omega * turned.real, axis=-1)
        step = np.where(curve < 0, -slope / np.where(curve < 0, curve, -1.0), 0.0)
        delay = np.clip(delay + step, first - 1.0, first + 1.0)
    return np.where(delay > n / 2, delay - n, delay)


def _spectra(responses: Float64, from_hz: float, to_hz: float) -> tuple[Spectra, int]:
    """Return the spectra of responses (..., m) at another rate: complex64 (..., n / 2 + 1), and n."""
    ratio = Fraction(to_hz / from_hz).limit_denominator(1000)
    least = max(responses.shape[-1] + _TAPS, _LEAST_SAMPLES / min(float(ratio), 1.0))
    times = 2 * int(np.ceil(least / (2 * ratio.denominator)))
    n_from, n = ratio.denominator * times, ratio.numerator * times
    kept = min(n_from, n) // 2 + 1
    place = np.arange(kept) / (kept - 1)
    fade = np.cos(np.pi / 2 * np.clip((place - _EDGE) / (1.0 - _EDGE), 0.0, 1.0)) ** 2
    spectra = np.zeros((*responses.shape[:-1], n // 2 + 1), dtype=np.complex64)
    spectra[..., :kept] = scipy.fft.rfft(responses.astype(np.float32), n_from)[..., :kept] * fade.astype(np.float32)
    return spectra, n


def _signed(azimuth_deg: Float64) -> Float64:
    return np.where(azimuth_deg > 180.0, azimuth_deg - 360.0, azimuth_deg)
