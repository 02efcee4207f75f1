"""Patterns of sources: how much sound leaves them by octave band and angle.

Every pattern is |a + (1 - a) cos(angle)| of the pressure in front, with a share a for each octave band: 1 in all
directions, 0.5 a cardioid.
"""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.bands import BAND_COUNT
from spatialqa.acoustics.geometric.counter_random import subkey, two_uniforms

Float64 = npt.NDArray[np.float64]

# How much weaker a talker is behind than in front, dB by octave band: round figures of the size that was measured
# of talkers (Chu and Warnock, NRC IRC-RR-104, 2002).
_TALKER_BEHIND_DB = (1.5, 3.0, 5.0, 7.0, 11.0, 15.0, 18.0)
_FACING_DRAW = 1 << 40  # counters of no other draw


def omni_share(directivity: str) -> Float64:
    """Return the share a of a pattern by octave band, float64 (B,)."""
    if directivity == "talker":
        behind = 10.0 ** (-np.array(_TALKER_BEHIND_DB) / 20.0)
        return np.asarray((1.0 + behind) / 2.0)
    return np.full(BAND_COUNT, {"omnidirectional": 1.0, "cardioid": 0.5}[directivity])


def facing(rule: str, sources: Float64, listener: Float64, key: np.uint64) -> Float64:
    """Return where sources face, float64 (S, 3), unit vectors: to the listener, or level and at random.

    sources: float64 (S, 3). listener: float64 (3,). key: of the random numbers.
    """
    if rule == "listener":
        offset = listener - sources
        return np.asarray(offset / np.linalg.norm(offset, axis=1, keepdims=True))
    turns = [2 * np.pi * two_uniforms(subkey(key, _FACING_DRAW + s))[0] for s in range(len(sources))]
    return np.array([(np.sin(turn), 0.0, np.cos(turn)) for turn in turns])
