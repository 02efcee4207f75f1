"""Compares the audio of a scene with its row: levels, first arrivals, and that the two ears belong to one head.

Worked out from the stored samples and the row alone, by code that the scene was not rendered with. What follows from
definitions (docs/labels.md) is compared exactly; the rest has bounds that no honest scene is known to reach
(docs/reliability.md, Integrity).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.fft

from spatialqa.core.scene import Scene, Source
from spatialqa.dataset.validation.swapped_ears import ears_evidence

Array = npt.NDArray[np.float64]
Plays = list[tuple[int, int]]

_SAME_DB = 0.01  # of one source alone; rounding to 24 bits moves its level by 1e-6 dB
_QUIET_DBFS = -115.0  # in the file: below, the rounding to 24 bits counts
# how far two sounds correlate over a scene: of 259,296 pairs of foley sounds 1 in 1,000 beyond 0.025, 1 in 100,000
# beyond 0.065, so each decade adds 0.022; the bounds grow with the data set to keep false alarms of a set below 1 %
_CORRELATION = (0.06, 0.022)  # up to 250 scenes, and for each decade more
_SIDES = (0.04, 0.015)  # of what it adds to one ear and not to the other
_RECORDED = 1.0  # recordings share hum, an offset, or a file: of 531,996 pairs 1 in 1,000 beyond 0.39, one 0.87
_FEW_SCENES = 250
# how much likelier the swapped ears must be, as a logarithm: of 2,218 scenes one was below 0, and e times fewer for
# each unit; recordings are less alike in all their parts than foley
_SWAPPED, _SWAPPED_DECADE, _SWAPPED_RECORDED = 4.0, 2.3, 2.0
_SWELL = 4.0  # the end of a play may be that much louder, as a ratio of energies, than the whole
_SLACK_DB = 0.02
_NO_RT60_S = 1.0  # where none could be measured
_SPEED_M_S = 344.0
_HEAD_M = 0.12  # sound meets the near ear before it would meet the centre of the head
_EARLY_S = 0.0004
_EARLY = 1e-5  # of the largest sample: -100 dB, above the rounding of a convolution
_LATE = 1e-6
_LATE_S = 0.027  # a stretch sounds within 20 ms of its start; 5 ms for lag and detours
_POLARITY_HZ = (60.0, 300.0)
_POLARITY_BLOCK_S = 0.128
_POLARITY = 0.0  # mean coherence of the ears, real part: 0.7 and more in rooms, -0.7 and less with one ear inverted
_UNHEARD = 1e-10  # of the mean power: less in a bin is rounding
_FRAME_S = 0.01
_CUT_DB = 0.02


@dataclass(frozen=True)
class SoundCheck:
    """What run.json says of the audio of every scene.

    simulated: the RIRs are an engine's, not those of a bank. stretches: clips are played from where they sound.
    synthetic: the clips are foley's, whose correlation is known.
    """

    gain_db: float | None
    mean: bool
    simulated: bool
    stretches: bool
    synthetic: bool
    gate_dbfs: float | None
    decades: float  # of scenes, beyond a few

    @classmethod
    def of(cls, recipe: Mapping[str, Any], n_scenes: int) -> Self:
        """Return the check that the recipe in run.json asks for, in a data set of `n_scenes` scenes."""
        gain_db = recipe.get("gain_db")
        return cls(
            gain_db=float(np.float32(gain_db)) if isinstance(gain_db, int | float) else None,
            mean=recipe.get("mix") == "mean",
            simulated=not str(recipe.get("rooms")).startswith("bank:"),
            stretches=recipe.get("clip_start") == "active" and recipe.get("rir_time_zero") == "emission",
            synthetic=recipe.get("clips") == "foley",
            gate_dbfs=None if recipe.get("fill") is None else float(recipe.get("audible_dbfs", 0.0)),
            decades=math.log10(max(n_scenes / _FEW_SCENES, 1.0)),
        )

    def problems(self, scene: Scene, audio: npt.NDArray[np.float32]) -> Iterator[str]:
        """Say where the audio of a scene contradicts its row.

        Args:
            scene: its row, as it was rendered.
            audio: float32 (channels, n), as stored; of the size and channels that the row states, and not silent.
        """
        if self.gain_db is not None and scene.gain_db != self.gain_db:
            yield f"its gain is {scene.gain_db:g} dB, and that of the data set is {self.gain_db:g} dB"
        gain_db = scene.gain_db - (20 * math.log10(len(scene.sources)) if self.mean else 0.0)
        sound = audio.astype(np.float64) * 10.0 ** (-gain_db / 20.0)
        plays = [_plays(source, scene) for source in scene.sources]
        known = [own for own in plays if own is not None]
        if len(known) == len(plays):
            levels = self._levels(scene, sound, known, gain_db)
            problem = levels.problem() if levels else None
            if problem:
                yield problem
            elif levels and len(plays) > 1 and scene.channels == "binaural" and self.simulated:
                yield from self._swap_problems(scene, sound, known, levels)
        if scene.channels == "binaural" and self.simulated:
            yield from _ear_problems(sound, scene.sample_rate)
        yield from self._arrival_problems(scene, sound)

    def _levels(self, scene: Scene, sound: Array, plays: Sequence[Plays], gain_db: float) -> "_Levels | None":
        """Compare the level of every channel, while anything plays, with the levels of the sources.

        The level of one source is that of its row. Two sounds add as energies, but for a cross term, which is bounded
        by the correlation that two sounds may have, and for the decay of one while the other plays.

        Returns:
            None where a level is too near that of rounding.
        """
        levels = np.array([source.wet_level_dbfs for source in scene.sources], dtype=np.float64)  # (sources, channels)
        if (levels.max(axis=0) + gain_db < _QUIET_DBFS).any():
            return None
        sizes = np.array([sum(last - first for first, last in own) for own in plays], dtype=np.float64)
        energies = 10.0 ** (levels / 10.0) * sizes[:, None]  # of every source alone while it plays
        stated = energies.sum(axis=0)
        found = np.sum([np.einsum("ct,ct->c", sound[:, a:b], sound[:, a:b]) for a, b in _union(plays)], axis=0)
        off_db = 10 * np.log10(np.maximum(found, 1e-30) / stated)
        stated_db = 10 * np.log10(stated)
        if len(plays) == 1:
            return _Levels(off_db, stated_db, _SAME_DB, _SAME_DB, _SAME_DB)
        cross = float((np.sqrt(energies).sum(axis=0) ** 2 / stated - 1.0).max())
        decays = np.array([_decay(*pair, scene.sample_rate) for pair in zip(scene.sources, plays, strict=True)])
        spare = float(((energies * decays[:, None]).sum(axis=0) / stated).max())
        mixed, sides = (cross * (base + more * self.decades) for base, more in (_CORRELATION, _SIDES))
        if not self.synthetic:
            mixed = cross * _RECORDED
        least_db = -10 * math.log10(max(1 - mixed, 1e-6)) + _SLACK_DB
        most_db = 10 * math.log10(1 + mixed + spare) + _SLACK_DB
        sides_db = 10 * math.log10(1 + sides + spare / 4) + _SLACK_DB if self.synthetic else least_db + most_db
        return _Levels(off_db, stated_db, least_db, most_db, sides_db)

    def _swap_problems(self, scene: Scene, sound: Array, plays: Sequence[Plays], levels: "_Levels") -> Iterator[str]:
        evidence = ears_evidence(scene, sound, plays, (levels.sides(), levels.sides_if_swapped()))
        if evidence < -(_SWAPPED + _SWAPPED_DECADE * self.decades + (0.0 if self.synthetic else _SWAPPED_RECORDED)):
            yield f"its channels are swapped: its levels and directions fit better that way, by {-evidence:.1f} nats"

    def _arrival_problems(self, scene: Scene, sound: Array) -> Iterator[str]:
        if scene.rir_time_zero != "emission" or not self.simulated:
            return
        arrivals_s = [source.onset_s + (source.distance_m - _HEAD_M) / _SPEED_M_S for source in scene.sources]
        first = min(range(len(arrivals_s)), key=arrivals_s.__getitem__)
        earliest_s = max(arrivals_s[first], 0.0)
        loudness = np.abs(sound).max(axis=0)
        heard = loudness > _EARLY * loudness.max()
        began_s = float(np.argmax(heard)) / scene.sample_rate
        if began_s < earliest_s - _EARLY_S:
            yield f"its audio begins at {began_s:.4f} s, before any sound can arrive ({earliest_s:.4f} s)"
        elif self.stretches and scene.sources[first].start_share is not None and scene.sources[first].line_of_sight:
            began_s = float(np.argmax(loudness > _LATE * loudness.max())) / scene.sample_rate
            if began_s > earliest_s + _LATE_S:
                yield f"its audio begins at {began_s:.4f} s, and its first sound arrives at {earliest_s:.4f} s"
        others = [at for k, at in enumerate(arrivals_s) if k != first]
        if self.gate_dbfs is not None and others:
            yield from self._first_alone(scene.sources[first], first, sound, scene.sample_rate, min(others))

    def _first_alone(
        self, source: Source, number: int, sound: Array, sample_rate: int, until_s: float
    ) -> Iterator[str]:
        """Compare the audible onset of the first source with the frames before any other can be heard."""
        size = max(1, round(_FRAME_S * sample_rate))
        n = math.floor(max(until_s - _EARLY_S, 0.0) * sample_rate) // size
        assert self.gate_dbfs is not None
        if source.audible_onset_s is None or n < 1:
            return
        power = np.square(sound[:, : n * size]).reshape(len(sound), n, size).mean(axis=2).max(axis=0)
        above_db = 10 * np.log10(np.maximum(power, 1e-30)) - self.gate_dbfs
        onset = round(source.audible_onset_s * sample_rate / size)
        early = np.flatnonzero(above_db[:onset] > _CUT_DB)
        if early.size:
            yield (
                f"source {number}: is audible from {source.audible_onset_s:.2f} s by its row, and from "
                f"{early[0] * size / sample_rate:.2f} s in the audio, before any other source"
            )
        elif onset < n and above_db[onset] < -_CUT_DB:
            yield f"source {number}: is audible from {source.audible_onset_s:.2f} s by its row, and not in the audio"


@dataclass(frozen=True, eq=False)
class _Levels:
    """Levels of the channels, float64 (channels,), compared with those of the row.

    off_db: what was found less what is stated. stated_db: in the units of samples. least_db, most_db: how far below and
    above a channel may be. sides_db: how much off_db may differ between channels.
    """

    off_db: Array
    stated_db: Array
    least_db: float
    most_db: float
    sides_db: float

    def sides(self) -> float:
        """Return how much off_db differs between channels, relative to what it may."""
        return float(np.ptp(self.off_db)) / self.sides_db

    def sides_if_swapped(self) -> float:
        """Return the same, with two channels swapped."""
        found_db = (self.off_db + self.stated_db)[::-1]
        return float(np.ptp(found_db - self.stated_db)) / self.sides_db

    def problem(self) -> str | None:
        """Say which channel is too far off, if any."""
        worst = int(np.argmax(np.abs(self.off_db)))
        if not -self.least_db <= self.off_db[worst] <= self.most_db:
            return f"channel {worst} is {self.off_db[worst]:+.2f} dB from the levels of its sources"
        if self.sides() > 1.0:
            more_db = np.ptp(self.off_db)
            return f"the levels of its channels differ by {more_db:.2f} dB more or less than those of its sources"
        return None


def _plays(source: Source, scene: Scene) -> Plays | None:
    """Return the samples [first, last) of every play of a source, or None where the row does not say them."""
    rate, n = scene.sample_rate, round(scene.duration_s * scene.sample_rate)
    if source.offset_s is None or source.clip_start_s is None:
        return None
    starts = [round(start * rate) for start in source.starts_s or (source.onset_s,)]
    end = round(source.offset_s * rate)
    if source.clip_end_s is not None:
        size = round(source.clip_end_s * rate) - round(source.clip_start_s * rate)
    elif len(starts) == 1 or end < n:
        size = end - starts[-1]
    else:  # the scene may have cut the last play, and the row does not say how long the others are
        return None
    plays = [(start, min(start + size, n)) for start in starts]
    return plays if all(0 <= first < last for first, last in plays) else None


def _union(plays: Sequence[Plays]) -> Plays:
    """Return the samples [first, last) at which anything plays, without overlaps."""
    merged: Plays = []
    for first, last in sorted(play for own in plays for play in own):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _decay(source: Source, plays: Plays, rate: int) -> float:
    """Return how much energy the decays after its plays may add, as a share of that while it plays."""
    play_samples = sum(last - first for first, last in plays) / len(plays)
    return _SWELL * (source.rt60_s or _NO_RT60_S) * rate / (6 * math.log(10)) / play_samples


def _ear_problems(sound: Array, sample_rate: int) -> Iterator[str]:
    """Two ears on one head never hear the same, and are in phase at low frequencies, from wherever sound comes."""
    left, right = sound
    if np.array_equal(left, right):
        yield "both ears are the same: it is not binaural"
        return
    coherence = _low_coherence(sound, sample_rate)
    if coherence is not None and coherence < _POLARITY:
        yield f"one ear is inverted: the ears are out of phase below {_POLARITY_HZ[1]:g} Hz ({coherence:+.2f})"


def _low_coherence(sound: Array, sample_rate: int) -> float | None:
    """Return the real part of the coherence of two channels, (2, n), a mean over low frequencies; None in silence."""
    size = round(_POLARITY_BLOCK_S * sample_rate)
    n_blocks = sound.shape[1] // size
    if not n_blocks:
        return None
    blocks = sound[:, : n_blocks * size].reshape(2, n_blocks, size) * np.hanning(size)
    low, high = (round(hz * size / sample_rate) for hz in _POLARITY_HZ)
    spectra = scipy.fft.rfft(blocks, axis=2)[:, :, low : high + 1]
    cross = np.sum(spectra[0] * np.conj(spectra[1]), axis=0)
    power = np.sum(np.abs(spectra) ** 2, axis=1)
    full = power.min(axis=0) > _UNHEARD * float(np.mean(np.square(sound))) * size
    if not full.any():
        return None
    return float(np.mean(cross[full].real / np.sqrt(power[0, full] * power[1, full])))
