"""When a source can be heard: the energy gate of `audible_onset_s` and `audible_offset_s` (docs/labels.md)."""

from typing import NamedTuple

import numpy as np

from spatialqa.core.audio_io import Audio
from spatialqa.core.scene import Scene
from spatialqa.generation.power import frame_powers

FRAME_S = 0.01
_LEAST_S, _LEAST_SHARE = 0.1, 0.2  # audible for less than this, or this share of a short scene, is not heard


class InaudibleError(Exception):
    """A source, or all of a scene, cannot be heard; it is to be drawn again."""


class AudibleTimes(NamedTuple):
    """From when to when, in seconds after the start of the scene."""

    onset_s: float
    offset_s: float


def audible_times(wet: Audio, onset: int, n_samples: int, sample_rate: int, gate_dbfs: float) -> AudibleTimes | None:
    """Return when one source can be heard, or None where it cannot.

    Args:
        wet: float32 (channels, n), the source alone at the listener from the scene's sample `onset` on, before gain.
        onset: where in the scene `wet` begins.
        n_samples: length of the scene.
        sample_rate: Hz.
        gate_dbfs: RMS level over a frame of 10 ms, in the loudest channel, from which on it can be heard.
    """
    size = max(1, round(FRAME_S * sample_rate))
    first = onset // size
    frames = frame_powers(wet, onset - first * size, size, -(-n_samples // size) - first).max(axis=0)
    heard = np.flatnonzero(frames >= 10.0 ** (gate_dbfs / 10.0))
    duration_s = n_samples / sample_rate
    if heard.size * size < min(_LEAST_S, _LEAST_SHARE * duration_s) * sample_rate:
        return None
    onset_s, offset_s = (first + int(heard[0])) * size, (first + int(heard[-1]) + 1) * size
    return AudibleTimes(onset_s / sample_rate, min(offset_s, n_samples) / sample_rate)


def require_audible(scene: Scene, by_hand: bool) -> None:
    """Raise InaudibleError where a rendered scene has a source that is not heard; by hand, where it has no other."""
    silent = [k for k, source in enumerate(scene.sources) if source.inaudible]
    if silent and (not by_hand or len(silent) == len(scene.sources)):
        source = scene.sources[silent[0]]
        level = max(source.wet_level_dbfs or (-np.inf,))
        raise InaudibleError(
            f"source {silent[0]}, clip {source.clip_id!r}, cannot be heard: {level:.0f} dBFS in the louder channel"
        )
