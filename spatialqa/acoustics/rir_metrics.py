"""Room acoustic metrics of an RIR: arrival, reverberation time, direct-to-reverberant ratio.

Both ears are summed as energies. Of four channels, first-order ambisonics, W alone counts: it is the omnidirectional
microphone of ISO 3382-1. Decays follow ISO 3382-1: backward integration (Schroeder, 1965), a least-squares line
from 5 dB below the start, and a tail that is completed beyond a noise floor or a cut (Lundeby et al., 1995).
"""

import functools
import math

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

Array = npt.NDArray[np.float64]

BAND_HZ = (500.0, 2000.0)
DIRECT_WINDOW_S = 0.0025
_ONSET_BELOW_PEAK = 0.01  # 20 dB, the onset of ISO 3382-1
_BLOCK_S = 0.010
_AMBISONIC_CHANNELS = 4
_ABOVE_FLOOR = 10**0.5  # the decay is trusted down to 5 dB above the floor
_STRAIGHT = 0.7  # a late half this much steeper than the early half is a response that ends, not a room that decays


def direct_index(rir: npt.ArrayLike) -> int:
    """Return the sample at which the direct sound arrives at the nearer ear.

    That is the first sample within 20 dB of the RIR's largest, both ears summed or W alone.

    Args:
        rir: (channels, n), linear.

    Raises:
        ValueError: the RIR is silent.
    """
    return _onset(_energy(_heard(rir)))


def rt60(rir: npt.ArrayLike, sample_rate: int) -> float | None:
    """Return the reverberation time T20 in seconds (-5 to -25 dB, times three), 500 Hz to 2 kHz.

    None where the decay has a range under 25 dB before it meets noise or the end of the RIR, or is cut off by that end.

    Args:
        rir: (channels, n), linear.
        sample_rate: Hz, above 4000.
    """
    return _reverberation_time(rir, sample_rate, -25.0)


def t30(rir: npt.ArrayLike, sample_rate: int) -> float | None:
    """Return the reverberation time T30 in seconds (-5 to -35 dB, times two), as `rt60` does; it needs 35 dB."""
    return _reverberation_time(rir, sample_rate, -35.0)


def drr_db(rir: npt.ArrayLike, sample_rate: int, line_of_sight: bool) -> float | None:
    """Return the direct-to-reverberant energy ratio in dB, both ears summed or W alone.

    Direct is everything up to 2.5 ms after the first arrival (Zahorik, 2002). That holds the other ear's arrival,
    0.7 ms later at most, and all but 0.04 % (built-in HRTF) or 0.8 % (MIT KEMAR) of the HRTF's energy at its worst
    angle, which caps the ratio at +34 or +21 dB. A reflection within 0.86 m of path is direct too.

    None when there is no line of sight, or when nothing follows the direct sound.

    Args:
        rir: (channels, n), linear.
        sample_rate: Hz.
        line_of_sight: whether the straight path is free.
    """
    if not line_of_sight:
        return None
    energy = _energy(_heard(rir))
    end = _onset(energy) + round(DIRECT_WINDOW_S * sample_rate)
    direct, rest = float(energy[:end].sum()), float(energy[end:].sum())
    return 10 * math.log10(direct / rest) if rest > 0 else None


def _heard(rir: npt.ArrayLike) -> npt.NDArray[np.floating]:
    channels = np.atleast_2d(np.asarray(rir))
    return channels[:1] if len(channels) == _AMBISONIC_CHANNELS else channels


def _energy(rir: npt.ArrayLike) -> Array:
    squared = np.square(np.atleast_2d(np.asarray(rir)), dtype=np.float64)
    return np.asarray(squared.sum(axis=0), dtype=np.float64)


def _onset(energy: Array) -> int:
    if not energy.size or not energy.max() > 0:
        raise ValueError("a silent RIR has no direct sound")
    return int(np.argmax(energy >= _ONSET_BELOW_PEAK * energy.max()))


@functools.cache
def _band(sample_rate: int) -> Array:
    return np.asarray(butter(3, BAND_HZ, "bandpass", fs=sample_rate, output="sos"), dtype=np.float64)


def _reverberation_time(rir: npt.ArrayLike, sample_rate: int, lowest_db: float) -> float | None:
    filtered = sosfilt(_band(sample_rate), np.asarray(_heard(rir), dtype=np.float64), axis=-1)
    energy = _energy(filtered)
    block = round(_BLOCK_S * sample_rate)
    energy = energy[_onset(energy) :]
    level = _schroeder_db(energy, block)
    if level is None or level[-1] > lowest_db:
        return None
    span = np.flatnonzero((level <= -5) & (level >= lowest_db))
    half = len(span) // 2
    if half < 2:
        return None
    early, late = _slope(level[span[:half]]), _slope(level[span[half:]])
    if early >= 0 or early / late < _STRAIGHT:
        return None
    return float(-60 / _slope(level[span]) / sample_rate)


def _schroeder_db(energy: Array, block: int) -> Array | None:
    """Return the backward-integrated decay in dB, from 0, up to where noise or the end of the RIR takes over."""
    blocks = energy[: len(energy) // block * block].reshape(-1, block).mean(axis=1)
    if len(blocks) < 4:
        return None
    floor = blocks[-max(1, len(blocks) // 10) :].mean()
    smooth = np.convolve(blocks, np.full(3, 1 / 3), mode="same")
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
    return float(position @ values / (position @ position))
