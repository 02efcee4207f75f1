"""Early arrivals as samples: each path's filter, by direction and band gains, added at its fraction of a sample."""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.interpolation import INDEX_CELLS
from spatialqa.acoustics.geometric.octahedral import cell_of
from spatialqa.acoustics.geometric.receiver import LEAD, Receiver
from spatialqa.core.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_PHASES, _SINC_TAPS = 64, 32
_KAISER_BETA = 4.0


def _fractional_delays() -> Float32:
    """Return windowed sincs for delays of 0, 1/64, ... 1 sample, later by 15 samples: float32 (65, 32)."""
    at = np.arange(_SINC_TAPS) - (_SINC_TAPS // 2 - 1) - (np.arange(_PHASES + 1) / _PHASES)[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - np.square(at / (_SINC_TAPS / 2))))) / np.i0(
        _KAISER_BETA
    )
    return (np.sinc(at) * window).astype(np.float32)


_SINCS = _fractional_delays()


def add_paths(receiver: Receiver, directions: Float64, arrivals: Float64, gains: Float32, out: Float32) -> None:
    """Add P plane waves to a response.

    Args:
        receiver: who hears them.
        directions: float64 (P, 3), unit vectors in the frame of the head, to where the sound comes from.
        arrivals: float64 (P,), samples, at the centre of the head.
        gains: float32 (P, B), pressure by octave band.
        out: float32 (channels, n); what lies outside of it is dropped.
    """
    _add(receiver, _SINCS, directions, arrivals, gains, out)


@compiled
def _add(
    receiver: Receiver, sincs: Float32, directions: Float64, arrivals: Float64, gains: Float32, out: Float32
) -> None:
    count, bands, taps = receiver.filters.shape[1], receiver.filters.shape[2], receiver.filters.shape[3]
    mixed, shifted = np.empty(taps, dtype=np.float32), np.empty(taps + sincs.shape[1], dtype=np.float32)
    for p in range(len(arrivals)):
        x, y, z = directions[p, 0], directions[p, 1], directions[p, 2]
        cell = cell_of(x, y, z, INDEX_CELLS)
        for f in range(count):
            mixed[:] = 0.0
            delay = 0.0
            for i in range(3):
                weight, index = receiver.weight_table[cell, i], receiver.index_table[cell, i]
                if weight == 0.0:
                    continue
                delay += weight * receiver.delays[index, f]
                for b in range(bands):
                    factor = np.float32(weight * gains[p, b])
                    of_band = receiver.filters[index, f, b]
                    for t in range(taps):
                        mixed[t] += factor * of_band[t]
            at = arrivals[p] + delay
            whole = int(np.floor(at))
            sinc = sincs[int((at - whole) * (len(sincs) - 1) + 0.5)]
            shifted[:] = 0.0
            for j in range(len(sinc)):
                factor = sinc[j]
                for t in range(taps):
                    shifted[t + j] += factor * mixed[t]
            start = whole - LEAD - (len(sinc) // 2 - 1)
            first, last = max(0, -start), min(len(shifted), out.shape[1] - start)
            for c in range(f, len(receiver.gains), count):
                gain = receiver.gains[c]
                level = np.float32(gain[0] + gain[1] * x + gain[2] * y + gain[3] * z)
                for t in range(first, last):
                    out[c, start + t] += level * shifted[t]
