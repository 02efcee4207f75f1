"""The log-mel patches that YAMNet takes (Hershey et al., ICASSP 2017): 96 frames of 10 ms, 64 bands."""

from functools import cache

import numpy as np
import numpy.typing as npt

RATE = 16_000
PATCH_FRAMES, BANDS = 96, 64
PATCH_HOP_FRAMES = 48
_WINDOW, _HOP, _FFT = 400, 160, 512
_LOW_HZ, _HIGH_HZ = 125.0, 7500.0
_OFFSET = 1e-3  # added to magnitudes, so that silence has a logarithm

Floats = npt.NDArray[np.float32]


def patches(audio: Floats) -> Floats:
    """Return the patches of a sound, half overlapping.

    Args:
        audio: float32 (n,) at RATE, within -1 to 1. Shorter ones than one patch are completed by silence.

    Returns:
        float32 (patches, 96, 64): natural logarithm of mel magnitudes. An end of less than half a patch is left out,
        as YAMNet does, unless nothing else is there.
    """
    least = (PATCH_FRAMES - 1) * _HOP + _WINDOW
    if audio.size < least:
        audio = np.pad(audio, (0, least - audio.size))
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_WINDOW) / _WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(audio, _WINDOW)[::_HOP]
    mel = np.log(np.abs(np.fft.rfft(frames * window, _FFT)) @ _mel_matrix() + _OFFSET).astype(np.float32)
    return np.ascontiguousarray(
        np.lib.stride_tricks.sliding_window_view(mel, PATCH_FRAMES, axis=0)[::PATCH_HOP_FRAMES].transpose(0, 2, 1)
    )


@cache
def _mel_matrix() -> npt.NDArray[np.float64]:
    """Return (257, 64): triangles that are even on the mel scale of HTK."""

    def mel(hz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0))

    edges = np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), BANDS + 2)
    at = mel(np.linspace(0.0, RATE / 2.0, _FFT // 2 + 1))[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((at - low) / (centre - low), (high - at) / (high - centre)))
    weights[0] = 0.0  # no band has the constant
    return np.asarray(weights)
