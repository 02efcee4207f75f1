"""A measured head from a SOFA file."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from spatialqa.acoustics.geometric.receiver import Head
from spatialqa.acoustics.sofa import read_hrtf
from spatialqa.core.geometry import cartesian

_ONSET = 0.1  # of the peak, -20 dB: where a response begins
_BEFORE = 4  # samples kept before it
_TAPS = 200
_MEDIAN_PLANE = 0.1  # of a unit vector's part to the right

Float64 = npt.NDArray[np.float64]


def sofa_head(path: Path, sample_rate: int) -> Head:
    """Return the head of a SOFA file at a sample rate in Hz; raises EngineError where the file cannot be read.

    Each response is cut at its onset, which becomes its delay. The delay that all have in common, that of the median
    plane, is taken off: there the sound reaches the ears when it would reach the centre of the head.
    """
    file = read_hrtf(path)
    responses = file.responses()
    if file.sample_rate_hz != sample_rate:
        count, ears, taps = responses.shape
        flat = responses.reshape(-1, taps).T
        padded = np.concatenate([np.zeros((64, flat.shape[1])), flat, np.zeros((64, flat.shape[1]))])
        resampled = soxr.resample(padded, file.sample_rate_hz, sample_rate, quality="VHQ")
        responses = resampled.T.reshape(count, ears, -1) * (file.sample_rate_hz / sample_rate)
    onset = _onsets(responses)
    first = np.maximum(0, onset - _BEFORE)
    cut = np.zeros((*responses.shape[:2], _TAPS), dtype=np.float32)
    for d, ear in np.ndindex(*responses.shape[:2]):
        part = responses[d, ear, first[d, ear] : first[d, ear] + _TAPS]
        cut[d, ear, : len(part)] = part
    directions = cartesian(_signed(file.directions[:, 0]), file.directions[:, 1])
    in_the_middle = np.abs(directions[:, 0]) < _MEDIAN_PLANE
    common = float(np.median(onset[in_the_middle] if in_the_middle.any() else onset))
    return Head(file.label, directions, cut, first - common)


def _onsets(responses: Float64) -> npt.NDArray[np.int64]:
    """Return the first sample of each response within 20 dB of its peak: int64 (..)."""
    peak = np.abs(responses).max(axis=-1, keepdims=True)
    return np.asarray(np.argmax(np.abs(responses) >= _ONSET * peak, axis=-1), dtype=np.int64)


def _signed(azimuth_deg: Float64) -> Float64:
    return np.where(azimuth_deg > 180.0, azimuth_deg - 360.0, azimuth_deg)
