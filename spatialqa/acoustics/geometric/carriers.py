"""Stored noise for the late part: what a diffuse field from each side of the head sounds like, by octave band.

The sphere of arrival directions is divided among six sides, right, left, above, below, behind and in front, softly: a
direction belongs to a side by the square of its cosine to that side's axis, and the squares add up to 1. The noise of
a side is a train of pulses from directions of that side, each heard as the receiver hears its direction. So the noise
of all sides together has the coherence between the ears, and the spectrum, of the receiver's diffuse field. A seventh
noise comes from everywhere: it takes over where a decay is so far down that its directions do not matter.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.counter_random import mixed, two_uniforms
from spatialqa.acoustics.geometric.interpolation import INDEX_CELLS
from spatialqa.acoustics.geometric.octahedral import cell_of
from spatialqa.acoustics.geometric.receiver import LEAD, Receiver
from spatialqa.core.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

AXES = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64)
DIFFUSE = len(AXES)  # the noise from everywhere
STRETCH = 512  # samples that are read at a time
CARRIER_SAMPLES = 1 << 16  # 2 s at 32 kHz, after which it repeats
_SAMPLES_PER_PULSE = 8
_LARGEST = 32_767  # of 16 bits
_KEY = np.uint64(0x5350415449414C51)


def side_shares(directions: Float64) -> Float64:
    """Return how much of each direction belongs to each side: float64 (n, 6), of unit vectors float64 (n, 3)."""
    return np.asarray(np.square(np.maximum(0.0, directions @ AXES.T)))


class Carriers(NamedTuple):
    """Circular noise, of power 1 per sample before the receiver: noise times scale.

    noise: int16 (7, channels, B, CARRIER_SAMPLES + STRETCH), of the six sides and DIFFUSE; the last STRETCH samples are
    the first ones again. scale: float32 (7, B).
    """

    noise: npt.NDArray[np.int16]
    scale: Float32


def noise_carriers(receiver: Receiver) -> Carriers:
    """Return the noise of every side and from everywhere, as a receiver hears it."""
    noise = _carriers(receiver, AXES, _KEY)
    scale = np.maximum(np.abs(noise).max(axis=(1, 3)), 1e-30) / np.float32(_LARGEST)
    whole = np.round(noise / scale[:, None, :, None]).astype(np.int16)
    return Carriers(np.concatenate([whole, whole[..., :STRETCH]], axis=-1), scale.astype(np.float32))


@compiled
def _carriers(receiver: Receiver, axes: Float64, key: np.uint64) -> Float32:
    channels, count = len(receiver.gains), receiver.filters.shape[1]
    bands, taps = receiver.filters.shape[2], receiver.filters.shape[3]
    direction = np.empty(3)
    out = np.zeros((len(axes) + 1, channels, bands, CARRIER_SAMPLES), dtype=np.float32)
    for side in range(len(axes) + 1):
        main, sign = (side // 2, axes[side, side // 2]) if side < len(axes) else (0, 1.0)
        side_key = mixed(key, side)
        for pulse in range(CARRIER_SAMPLES // _SAMPLES_PER_PULSE):
            pulse_key = mixed(side_key, pulse)
            first, second = two_uniforms(mixed(pulse_key, 0))
            third, fourth = two_uniforms(mixed(pulse_key, 1))
            # density in proportion to the square of the cosine: its cumulative share is the cube
            cosine = first ** (1.0 / 3.0) if side < len(axes) else 2.0 * first - 1.0
            ring = np.sqrt(max(0.0, 1.0 - cosine * cosine))
            direction[main] = cosine * sign
            direction[(main + 1) % 3] = ring * np.cos(2.0 * np.pi * second)
            direction[(main + 2) % 3] = ring * np.sin(2.0 * np.pi * second)
            at = pulse * _SAMPLES_PER_PULSE + int(third * _SAMPLES_PER_PULSE)
            amplitude = np.sqrt(float(_SAMPLES_PER_PULSE)) * (1.0 if fourth < 0.5 else -1.0)
            cell = cell_of(direction[0], direction[1], direction[2], INDEX_CELLS)
            nearest = 0
            for i in range(1, 3):
                nearest = i if receiver.weight_table[cell, i] > receiver.weight_table[cell, nearest] else nearest
            index = receiver.index_table[cell, nearest]
            for c in range(channels):
                f = c % count
                gain = receiver.gains[c]
                level = gain[0] + gain[1] * direction[0] + gain[2] * direction[1] + gain[3] * direction[2]
                level = np.float32(level * amplitude)
                start = at + int(np.floor(receiver.delays[index, f] + 0.5)) - LEAD
                for b in range(bands):
                    of_band, to = receiver.filters[index, f, b], out[side, c, b]
                    if start >= 0 and start + taps <= CARRIER_SAMPLES:
                        for t in range(taps):
                            to[start + t] += level * of_band[t]
                    else:
                        for t in range(taps):
                            to[(start + t) % CARRIER_SAMPLES] += level * of_band[t]
    return out
