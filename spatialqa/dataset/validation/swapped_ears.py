"""Tells which way round the ears of a scene with several sources fit its row better.

Rooms turn every single interaural difference of some scenes around, so several are added up. Each counts by the
logarithm of how much likelier it is with the ears as they are than with the ears swapped. The weights are those of a
logistic regression on 2,218 scenes of the default recipe.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spatialqa.core.scene import Scene, Source

Array = npt.NDArray[np.float64]
Plays = Sequence[tuple[int, int]]

_SPEED_M_S = 343.0
_ITD_S = 3 * 0.0875 / _SPEED_M_S  # of a source beside a rigid sphere, at low frequencies (Kuhn, 1977)
_ITD_HZ = (150.0, 1200.0)
_ILD_HZ = (1500.0, 12_000.0)
_FRAME_S, _HOP_S = 0.03, 0.005
_HANN = 0.375  # what a Hann window leaves of the energy of a frame
_ONSET_S = 0.08  # how long after its arrival a play is looked at
_MEMORY_S = 0.05  # how long what was heard before masks an onset
_MOST_PLAYS = 10
_DECAY_S = 0.25  # after its last sample a play is no longer heard, for this purpose
_SHORTEST_S = 0.1

_BY_LEVELS = 8.0
_BY_STRETCHES = 1.0
_SPREADS = ((1.2, 0.3), (0.3, 0.5), (_SHORTEST_S, 0.9))  # (s, dB): how much a stretch differs from all plays
_BY_TIME = 5.0
_BY_SHADE = 0.24  # for each dB, of a source 30 degrees or more from the median plane
_MOST_SPREADS, _MOST_SHADE_DB = 6.0, 10.0


def ears_evidence(scene: Scene, sound: Array, plays: Sequence[Plays], sides_db: tuple[float, float]) -> float:
    """Return the logarithm of how much likelier the sound of a scene is than with its ears swapped.

    Args:
        scene: its row, binaural.
        sound: float64 (2, n), left then right.
        plays: of each source, the samples [first, last) of every play.
        sides_db: how much the difference of the ears' levels departs from that of the row, as they are and swapped,
            each relative to the most that other causes explain.
    """
    as_they_are, swapped = sides_db
    evidence = _BY_LEVELS * float(np.clip(swapped - as_they_are, -1.0, 1.0))
    for number, source in enumerate(scene.sources):
        others = [own for k, own in enumerate(plays) if k != number]
        evidence += _BY_STRETCHES * _of_stretches(source, sound, plays[number], others, scene.sample_rate)
        if source.line_of_sight:
            delayed = scene.rir_time_zero == "emission"
            evidence += _of_onsets(source, sound, plays[number], scene.sample_rate, delayed)
    return evidence


def _of_stretches(source: Source, sound: Array, own: Plays, others: Sequence[Plays], rate: int) -> float:
    """Compare the level difference of the ears, while no other source is heard, with that in the row."""
    alone = np.zeros(sound.shape[1], dtype=np.bool_)
    for first, last in own:
        alone[first:last] = True
    for plays in others:
        for first, last in plays:
            alone[first : last + round(_DECAY_S * rate)] = False
    length_s = np.count_nonzero(alone) / rate
    spread_db = next((spread for least_s, spread in _SPREADS if length_s > least_s), None)
    energy = np.square(sound[:, alone]).sum(axis=1)
    if spread_db is None or energy.min() <= 0.0 or source.wet_level_dbfs is None:
        return 0.0
    left, right = source.wet_level_dbfs[:2]
    found_db = 10 * math.log10(energy[0] / energy[1])
    nearer_db = abs(found_db + (left - right)) - abs(found_db - (left - right))
    return float(np.clip(nearer_db / spread_db, -_MOST_SPREADS, _MOST_SPREADS))


def _of_onsets(source: Source, sound: Array, own: Plays, rate: int, delayed: bool) -> float:
    """Compare differences of time and level, when the direct sounds of its plays arrive, with its direction."""
    delay = round(source.distance_m / _SPEED_M_S * rate) if delayed else 0
    found = [_rising(sound, first + delay, rate) for first, _ in own[:_MOST_PLAYS]]
    frames = np.concatenate([frames for frames, _ in found])  # (frames, 2, n)
    rises = np.concatenate([rise for _, rise in found])
    if not rises.any():
        return 0.0
    sine = math.sin(math.radians(source.azimuth_deg)) * math.cos(math.radians(source.elevation_deg))
    size = 1 << (frames.shape[2] - 1).bit_length()
    hz = np.fft.rfftfreq(size, 1.0 / rate)
    left, right = np.moveaxis(np.fft.rfft(frames, size), 1, 0)

    low = (hz >= _ITD_HZ[0]) & (hz <= _ITD_HZ[1])
    cross = np.conj(left) * right
    strength = np.abs(cross)
    phases = cross[:, low] / (strength[:, low] + 1e-3 * strength.max(axis=1, keepdims=True) + 1e-30)
    mean = np.sqrt(rises) @ phases / np.sqrt(rises).sum()
    # the correlation at the delay of the label less that at the opposite one
    contrast = float(np.mean(-2.0 * np.imag(mean) * np.sin(2 * np.pi * hz[low] * _ITD_S * sine)))

    high = (hz >= _ILD_HZ[0]) & (hz <= _ILD_HZ[1])
    power = [float(rises @ np.square(np.abs(ear[:, high])).sum(axis=1)) + 1e-30 for ear in (left, right)]
    shade_db = float(np.clip(10 * math.log10(power[0] / power[1]), -_MOST_SHADE_DB, _MOST_SHADE_DB))
    return _BY_TIME * contrast + _BY_SHADE * shade_db * float(np.clip(2.0 * sine, -1.0, 1.0))


def _rising(sound: Array, arrival: int, rate: int) -> tuple[Array, Array]:
    """Return windowed frames around an arrival, (frames, 2, n), and how much each one's energy exceeds those before."""
    size, hop = round(_FRAME_S * rate), round(_HOP_S * rate)
    starts = np.arange(arrival - size + hop, arrival + round(_ONSET_S * rate), hop)
    starts = starts[(starts >= 0) & (starts + size <= sound.shape[1])]
    frames = np.array([sound[:, start : start + size] for start in starts]).reshape(-1, 2, size) * np.hanning(size)
    keep = math.exp(-_HOP_S / _MEMORY_S)
    heard = _HANN * float(np.square(sound[:, max(0, arrival - size) : arrival]).sum())
    rises = np.zeros(len(frames))
    for k, energy in enumerate(np.square(frames).sum(axis=(1, 2))):
        rises[k] = max(float(energy) - heard, 0.0)
        heard = max(float(energy), keep * heard)
    return frames, rises
