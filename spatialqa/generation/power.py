"""Sums of squares of float32 signals in float64, compiled: no copy of a signal in float64 is made."""

from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.core.compiled import compiled


@compiled
def sum_of_squares(signal: Any, first: int, last: int) -> float:
    """Return the sum of the squares of the samples [first, last) of a float32 signal (n,)."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0  # four sums, which do not wait for each other
    whole = first + (last - first) // 4 * 4
    for k in range(first, whole, 4):
        a += np.float64(signal[k]) * np.float64(signal[k])
        b += np.float64(signal[k + 1]) * np.float64(signal[k + 1])
        c += np.float64(signal[k + 2]) * np.float64(signal[k + 2])
        d += np.float64(signal[k + 3]) * np.float64(signal[k + 3])
    for k in range(whole, last):
        a += np.float64(signal[k]) * np.float64(signal[k])
    return (a + b) + (c + d)


@compiled
def frame_powers(signals: Any, lead: int, size: int, frames: int) -> npt.NDArray[np.float64]:
    """Return the mean square of every channel and frame of float32 signals (channels, n): float64 (channels, frames).

    The first frame begins `lead` samples before the signals, where there is silence, as there is after their end.
    """
    powers = np.zeros((len(signals), frames))
    for channel in range(len(signals)):
        for frame in range(frames):
            first = max(0, frame * size - lead)
            last = min(signals.shape[1], (frame + 1) * size - lead)
            if last > first:
                powers[channel, frame] = sum_of_squares(signals[channel], first, last) / size
    return powers
