"""Room acoustic metrics of an RIR: arrival, reverberation time, direct-to-reverberant ratio.

Channels are summed as energies. Of first-order ambisonics W alone counts: it is the omnidirectional microphone of
ISO 3382-1. Decays follow ISO 3382-1: backward integration (Schroeder, 1965), a least-squares line
from 5 dB below the start, and a tail that is completed beyond a noise floor or a cut (Lundeby et al., 1995). The line
never runs through the direct sound, and where that is 10 dB above the rest, the integration starts at its end: of a
near source the first 25 dB would be its own, not the room's.

Sums here are numpy's own. A product of vectors (`@`) goes to BLAS, whose result depends on its number of threads.
"""

import functools
import math

import numpy as np
import numpy.typing as npt
import scipy  # scipy.signal is imported where it is first used

from spatialqa.core.channels import CHANNEL_NAMES

Array = npt.NDArray[np.float64]

BAND_HZ = (500.0, 2000.0)
DIRECT_WINDOW_S = 0.0025
_ONSET_BELOW_PEAK = 0.01  # 20 dB, the onset of ISO 3382-1
_BLOCK_S = 0.010
_ABOVE_FLOOR = 10**0.5  # the decay is trusted down to 5 dB above the floor
_STRONG = 10.0  # 10 dB: a direct sound above this leaves the decay less than 15 of the first 25 dB
_AUDIBLE = 1e-6  # 60 dB: what follows the direct sound at less than this of it is not a room
_STRAIGHT = 0.7  # a late half this much steeper than the early half is a response that ends, not a room that decays


def direct_index(rir: npt.ArrayLike, channels: str) -> int:
    """Return the sample at which the direct sound arrives at the nearer ear.

    That is the first sample within 20 dB of the RIR's largest, both ears summed or W alone.

    Args:
        rir: (channels, n), linear.
        channels: its layout, such as "binaural" or "foa".

    Raises:
        ValueError: the RIR is silent, or has not the channels of its layout.
    """
    return _onset(_energy(_heard(rir, channels)))


def rt60(rir: npt.ArrayLike, sample_rate: int, channels: str) -> float | None:
    """Return the reverberation time T20 in seconds (-5 to -25 dB, times three), 500 Hz to 2 kHz.

    The line is laid through what follows the direct sound, as `drr_db` divides the two. None where the decay has not
    25 dB before it meets noise or the end of the RIR, is cut off by that end, or is 60 dB below the direct sound.

    Args:
        rir: (channels, n), linear.
        sample_rate: Hz, above 4000.
        channels: its layout, such as "binaural" or "foa".

    Raises:
        ValueError: the RIR is silent, or has not the channels of its layout.
    """
    return _reverberation_time(_heard(rir, channels), sample_rate, -25.0)


def t30(rir: npt.ArrayLike, sample_rate: int, channels: str) -> float | None:
    """Return the reverberation time T30 in seconds (-5 to -35 dB, times two), as `rt60` does; it needs 35 dB."""
    return _reverberation_time(_heard(rir, channels), sample_rate, -35.0)


def drr_db(rir: npt.ArrayLike, sample_rate: int, line_of_sight: bool, channels: str) -> float | None:
    """Return the direct-to-reverberant energy ratio in dB, both ears summed or W alone.

    Direct is everything up to 2.5 ms after the first arrival (Zahorik, 2002). That holds the other ear's arrival,
    0.7 ms later at most, and all but 0.04 % (built-in HRTF) or 0.8 % (MIT KEMAR) of the HRTF's energy at its worst
    angle, which caps the ratio at +34 or +21 dB. A reflection within 0.86 m of path is direct too.

    None when there is no line of sight, or when nothing follows the direct sound.

    Args:
        rir: (channels, n), linear.
        sample_rate: Hz.
        line_of_sight: whether the straight path is free.
        channels: its layout, such as "binaural" or "foa".

    Raises:
        ValueError: the RIR is silent, or has not the channels of its layout.
    """
    if not line_of_sight:
        return None
    energy = _energy(_heard(rir, channels))
    end = _direct_end(energy, sample_rate)
    direct, rest = float(energy[:end].sum()), float(energy[end:].sum())
    return 10 * math.log10(direct / rest) if rest > 0 else None


def _heard(rir: npt.ArrayLike, channels: str) -> npt.NDArray[np.floating]:
    """Return the channels that count."""
    heard, names = np.asarray(rir), CHANNEL_NAMES[channels]
    if heard.ndim != 2 or len(heard) != len(names):
        raise ValueError(f"an RIR of shape {heard.shape} is not {channels}, ({len(names)}, n)")
    return heard[:1] if channels == "foa" else heard


def _energy(rir: npt.ArrayLike) -> Array:
    squared = np.square(np.atleast_2d(np.asarray(rir)), dtype=np.float64)
    return np.asarray(squared.sum(axis=0), dtype=np.float64)


def _onset(energy: Array) -> int:
    if not energy.size or not energy.max() > 0:
        raise ValueError("a silent RIR has no direct sound")
    return int(np.argmax(energy >= _ONSET_BELOW_PEAK * energy.max()))


def _direct_end(energy: Array, sample_rate: int) -> int:
    return _onset(energy) + round(DIRECT_WINDOW_S * sample_rate)


@functools.cache
def _band(sample_rate: int) -> Array:
    return np.asarray(scipy.signal.butter(3, BAND_HZ, "bandpass", fs=sample_rate, output="sos"), dtype=np.float64)


def _reverberation_time(rir: npt.NDArray[np.floating], sample_rate: int, lowest_db: float) -> float | None:
    heard = np.asarray(rir, dtype=np.float64)
    whole = _energy(heard)
    end = _direct_end(whole, sample_rate)
    direct, rest = float(whole[:end].sum()), float(whole[end:].sum())
    if not rest > _AUDIBLE * direct:
        return None
    start = end if direct > _STRONG * rest else 0
    # cut before it is filtered, or the filter's own ringing after a strong direct sound would count
    energy = _energy(scipy.signal.sosfilt(_band(sample_rate), heard[:, start:], axis=-1))
    if start == 0:
        start = _onset(energy)
        energy = energy[start:]
    level = _schroeder_db(energy, round(_BLOCK_S * sample_rate))
    if level is None or level[-1] > lowest_db:
        return None
    span = np.flatnonzero((level <= -5) & (level >= lowest_db))
    span = span[span >= end - start]
    half = len(span) // 2
    if half < 2:
        return None
    early, late = _slope(level[span[:half]]), _slope(level[span[half:]])
    if early >= 0 or early / late < _STRAIGHT:
        return None
    return float(-60 / _slope(level[span]) / sample_rate)


def _schroeder_db(energy: Array, block: int) -> Array | None:
    """Return the backward-integrated decay in dB, from 0, up to where noise or the end of the RIR takes over."""
    if len(energy) < 4 * block:
        return None
    blocks = energy[: len(energy) // block * block].reshape(-1, block).mean(axis=1)
    floor = blocks[-max(1, len(blocks) // 10) :].mean()
    padded = np.pad(blocks, 1)
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    peak = int(np.argmax(smooth))
    below = smooth[peak:] < _ABOVE_FLOOR * floor
    knee = peak + int(np.argmax(below)) if below.any() else len(blocks)
    if knee - peak < 3:
        return None
    tail = np.log(smooth[peak + (knee - peak) // 2 : knee])
    per_block = _slope(tail)
    if per_block >= 0:
        return None
    clean = energy[: knee * block]
    missing = smooth[knee - 1] * block / -per_block
    left = np.cumsum(clean[::-1])[::-1] + missing
    return np.asarray(10 * np.log10(left / left[0]), dtype=np.float64)


def _slope(values: Array) -> float:
    position = np.arange(len(values), dtype=np.float64)
    position -= position.mean()
    return float(np.sum(position * values) / np.sum(np.square(position)))
