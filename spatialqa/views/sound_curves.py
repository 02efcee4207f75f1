"""Curves and images of sound for a page: waveform, spectrogram and decay, small enough to be stored by the hundred."""

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import ShortTimeFFT

from spatialqa.acoustics.rir_metrics import direct_index

Audio = npt.NDArray[np.float32]
Float = npt.NDArray[np.float64]

COLUMNS = 320
BANDS = 64
LOWEST_HZ = 60.0
_RANGE_DB = 75.0
_POINTS = 160
_DECAY_DB = 70.0


def packed(values: npt.NDArray[np.uint8]) -> str:
    """Return bytes, compressed by zlib, as base64."""
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode("ascii")


def envelope(audio: Audio, columns: int = COLUMNS) -> Float:
    """Return the lowest and the highest sample of each channel in each column: float64 (channels, columns, 2)."""
    edges = np.linspace(0, audio.shape[1], columns + 1).astype(np.int64)[:-1]
    low = np.minimum.reduceat(audio, edges, axis=1)
    high = np.maximum.reduceat(audio, edges, axis=1)
    return np.stack([low, high], axis=-1).astype(np.float64)


def waveform(audio: Audio) -> dict[str, Any]:
    """Return the envelope of every channel.

    Args:
        audio: (channels, n).

    Returns:
        columns; peak, the largest sample of all channels; envelope: uint8 (channels, columns, 2) packed, lowest and
        highest sample of each column, 128 for zero and 127 steps for the peak.
    """
    extremes = envelope(audio)
    peak = float(np.abs(extremes).max())
    steps = extremes * (127.0 / peak if peak > 0 else 0.0) + 128.0
    return {"columns": COLUMNS, "peak": peak, "envelope": packed(np.round(steps).astype(np.uint8))}


def spectrogram(audio: Audio, sample_rate: int) -> dict[str, Any]:
    """Return the level by time and frequency of every channel, on one scale.

    Args:
        audio: (channels, n).
        sample_rate: Hz.

    Returns:
        columns and bands, its size; low_hz and high_hz, the centres of the first and the last band, which are evenly
        spaced in the logarithm; range_db; levels: uint8 (channels, bands, columns) packed, 255 for the loudest point.
    """
    return {
        "columns": COLUMNS,
        "bands": BANDS,
        "low_hz": LOWEST_HZ,
        "high_hz": highest_hz(sample_rate),
        "range_db": _RANGE_DB,
        "levels": packed(levels(audio, sample_rate)),
    }


def highest_hz(sample_rate: int) -> float:
    """Return the centre of the highest band of a spectrogram, Hz."""
    return 0.45 * sample_rate


def levels(audio: Audio, sample_rate: int) -> npt.NDArray[np.uint8]:
    """Return the levels of `spectrogram`, uint8 (channels, BANDS, COLUMNS), the lowest band first."""
    window = max(64, int(0.03 * sample_rate))
    hop = max(1, audio.shape[1] // COLUMNS)
    transform = ShortTimeFFT(np.hanning(window), hop, sample_rate, mfft=2 * window, scale_to="magnitude")
    power = np.square(np.abs(transform.stft(audio.astype(np.float64), axis=-1)))
    times = transform.t(audio.shape[1])
    at = np.searchsorted(times, (np.arange(COLUMNS) + 0.5) * audio.shape[1] / COLUMNS / sample_rate)
    power = power[:, :, np.minimum(at, power.shape[2] - 1)]
    centres = np.geomspace(LOWEST_HZ, highest_hz(sample_rate), BANDS)
    level_db = 10 * np.log10(np.maximum(_in_bands(power, transform.f, centres), 1e-20))
    scaled = np.clip(1.0 + (level_db - level_db.max()) / _RANGE_DB, 0.0, 1.0) * 255.0
    rounded: npt.NDArray[np.uint8] = np.round(scaled).astype(np.uint8)
    return rounded


def _in_bands(power: Float, frequencies: Float, centres: Float) -> Float:
    """Return the mean power in each band; of a band between two bins, what lies between them. (channels, bands, n)."""
    half = np.sqrt(centres[1] / centres[0])
    bands = []
    for centre in centres:
        inside = (frequencies >= centre / half) & (frequencies < centre * half)
        if inside.any():
            bands.append(power[:, inside].mean(axis=1))
        else:
            above = int(np.searchsorted(frequencies, centre))
            share = (centre - frequencies[above - 1]) / (frequencies[above] - frequencies[above - 1])
            bands.append((1 - share) * power[:, above - 1] + share * power[:, above])
    return np.stack(bands, axis=1)


def decay(rir: Audio, sample_rate: int, channels: str) -> dict[str, Any]:
    """Return how an RIR dies away: both ears summed, of ambisonics W alone.

    Args:
        rir: (channels, n), linear, not silent.
        sample_rate: Hz.
        channels: its layout, as in `core/channels.py`.

    Returns:
        end_ms: where the curves end; direct_ms: when the direct sound arrives; level_db: the energy of each step, re
        the largest; decay_db: what is left from then on, re all. Both have the same number of steps.
    """
    energy = np.square(rir[:1] if channels == "foa" else rir, dtype=np.float64).sum(axis=0)
    left = np.cumsum(energy[::-1])[::-1]
    heard = np.flatnonzero(left >= left[0] * 10 ** (-_DECAY_DB / 10))
    n = int(heard[-1]) + 1
    edges = np.unique(np.linspace(0, n, min(_POINTS, n) + 1).astype(np.int64))[:-1]
    steps = np.add.reduceat(energy[:n], edges)
    return {
        "end_ms": 1000.0 * n / sample_rate,
        "direct_ms": 1000.0 * direct_index(rir, channels) / sample_rate,
        "level_db": _rounded_db(steps / steps.max()),
        "decay_db": _rounded_db(left[edges] / left[0]),
    }


def _rounded_db(values: Float) -> list[float]:
    floored = np.maximum(10 * np.log10(np.maximum(values, 1e-20)), -_DECAY_DB - 10)
    return [round(float(value), 1) for value in floored]
