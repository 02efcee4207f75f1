"""Which side a sound comes from, by the differences of time and level between the ears."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HEAD_RADIUS_M = 0.0875
SPEED_OF_SOUND_M_S = 343.0
LONGEST_ITD_S = 1e-3
BAND_HZ = (150.0, 800.0)  # of the time difference: HRTFs agree there, and it is unambiguous
LEVEL_BAND_HZ = (1500.0, 12_000.0)  # of the level difference: a head shades little below
_FRAME_S, _HOP_S = 0.03, 0.005
_MEMORY_S = 0.05  # how long what was heard before masks an onset
_FINER = 8  # points of the correlation for every sample


@dataclass(frozen=True)
class Interaural:
    """itd_s: how much earlier the left ear hears the sound; ild_db: how much louder."""

    itd_s: float
    ild_db: float

    @property
    def lateral_deg(self) -> float:
        """The angle to the median plane, positive to the left, that has this time difference at a rigid sphere.

        At low frequencies itd = 3 a/c sin(angle) (Kuhn, 1977); differences beyond the largest give 90 degrees.
        """
        sine = self.itd_s * SPEED_OF_SOUND_M_S / (3.0 * HEAD_RADIUS_M)
        return math.degrees(math.asin(min(1.0, max(-1.0, sine))))


def lateral_deg(azimuth_deg: float, elevation_deg: float) -> float:
    """Return the angle between a direction and the median plane, positive to the left."""
    return math.degrees(math.asin(math.sin(math.radians(azimuth_deg)) * math.cos(math.radians(elevation_deg))))


def of_rir(rir: npt.NDArray[np.float32], sample_rate: int) -> Interaural | None:
    """Return the differences in the direct sound of a binaural RIR, or None where it is silent.

    Args:
        rir: float32 (2, n), left then right. Its first arrival must be the direct sound.
        sample_rate: Hz.
    """
    strength = np.max(np.abs(rir), axis=0)
    if not strength.any():
        return None
    first = int(np.argmax(strength >= 0.1 * strength.max()))
    start = max(0, first - round(0.001 * sample_rate))
    direct = rir[:, start : first + round(0.0025 * sample_rate)].astype(np.float64)
    return _differences(direct[None], np.ones(1), sample_rate)


def of_sound(audio: npt.NDArray[np.float32], sample_rate: int) -> Interaural | None:
    """Return the differences of a single source in a room, or None where nothing can be heard.

    Frames count by how much their energy exceeds what was heard before: at an onset the direct sound arrives before
    its reflections (the precedence effect).

    Args:
        audio: float32 (2, n), left then right.
        sample_rate: Hz.
    """
    size, hop = round(_FRAME_S * sample_rate), round(_HOP_S * sample_rate)
    if audio.shape[1] < size:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(audio, size, axis=1)[:, ::hop].transpose(1, 0, 2)
    energy = np.sum(np.square(frames, dtype=np.float64), axis=(1, 2))
    if energy.max() <= 0.0:
        return None
    keep = math.exp(-_HOP_S / _MEMORY_S)
    before, level = np.zeros_like(energy), 0.0
    for k, now in enumerate(energy):
        before[k] = level
        level = max(now, keep * level)
    rise = np.maximum(energy - before, 0.0)
    chosen = np.flatnonzero(rise > 1e-4 * rise.max())
    return _differences(frames[chosen] * np.hanning(size), np.sqrt(rise[chosen]), sample_rate)


def _differences(frames: npt.NDArray[np.floating], weights: Floats, sample_rate: int) -> Interaural:
    """Return the differences over frames (frames, 2, n): the generalised cross-correlation with phase transform."""
    size = 1 << math.ceil(math.log2(2 * frames.shape[-1]))
    left, right = np.moveaxis(np.fft.rfft(frames, size), 1, 0)
    f = np.fft.rfftfreq(size, 1.0 / sample_rate)
    band = (f >= BAND_HZ[0]) & (f <= BAND_HZ[1])
    cross = np.conj(left) * right
    whitened = np.where(band, cross / (np.abs(cross) + 1e-6 * np.abs(cross).max(axis=1, keepdims=True) + 1e-30), 0.0)
    summed = (weights[:, None] * whitened).sum(axis=0)
    correlation = np.fft.irfft(summed, size * _FINER)  # its lags are those of the right ear
    most = round(LONGEST_ITD_S * sample_rate * _FINER)
    lags = np.concatenate((correlation[-most:], correlation[: most + 1]))
    itd_s = float((int(np.argmax(lags)) - most) / (sample_rate * _FINER))
    heard = (f >= LEVEL_BAND_HZ[0]) & (f <= LEVEL_BAND_HZ[1])
    power = np.array([np.sum(weights[:, None] * np.abs(ear[:, heard]) ** 2) for ear in (left, right)])
    ild_db = float(10.0 * np.log10((power[0] + 1e-30) / (power[1] + 1e-30)))
    return Interaural(itd_s, ild_db)
