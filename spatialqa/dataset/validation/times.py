"""Checks when sources play and when they can be heard, from rows, recipe and audio alone (docs/labels.md)."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spatialqa.core.scene import Scene, Source

_FRAME_S = 0.01
_GAP_S = (0.2, 1.0)
_SAME_S = 1e-3
_SAME_DB = 0.02
_NEAR_QUANTISATION_DBFS = -130.0  # the noise of 24 bits lies at -149


@dataclass(frozen=True)
class TimeCheck:
    """What the recipe of a data set says of times. by_hand: rows, not the recipe, say what is played."""

    fill: str | None  # None in a data set that was rendered before there were these columns
    gate_dbfs: float
    mean: bool
    all_heard: bool
    by_hand: bool

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> Self:
        """Return the check that the recipe in run.json asks for."""
        return cls(
            fill=recipe.get("fill"),
            gate_dbfs=float(recipe.get("audible_dbfs", 0.0)),
            mean=recipe.get("mix") == "mean",
            all_heard=recipe.get("inaudible") == "redraw",
            by_hand=recipe.get("placements") is not None,
        )

    def row_problems(self, scene: Scene) -> Iterator[str]:
        """Say what is wrong with the times in the row of a rendered scene."""
        if self.fill is None:
            return
        for number, source in enumerate(scene.sources):
            problems = [*self._playing(source, scene.duration_s), *_hearing(source, scene.duration_s)]
            if self.all_heard and not self.by_hand and source.audible_onset_s is None:
                problems.append("cannot be heard, and the recipe keeps no such source")
            yield from (f"source {number}: {text}" for text in problems)
        if self.all_heard and all(source.audible_onset_s is None for source in scene.sources):
            yield "none of its sources can be heard"

    def _playing(self, source: Source, duration_s: float) -> Iterator[str]:
        starts = source.starts_s
        if not starts or source.clip_start_s is None or source.offset_s is None:
            yield "does not say what it plays and when (clip_start_s, starts_s, offset_s)"
            return
        text = ", ".join(f"{start:.3f}" for start in starts)
        if starts[0] != source.onset_s:
            yield f"its plays begin at {text} s, and onset_s is {source.onset_s:.3f} s"
        if any(b <= a for a, b in itertools.pairwise(starts)) or starts[-1] >= duration_s:
            yield f"its plays begin at {text} s: not in order, or not within {duration_s:g} s"
            return
        if self.fill == "once" and not self.by_hand and len(starts) > 1:
            yield f"it plays {len(starts)} times, and fill is once"
        steps = [b - a for a, b in itertools.pairwise(starts)]
        if source.clip_end_s is None:  # the length of a play is not in the row; that of all is the same
            if steps and max(steps) - min(steps) > _GAP_S[1] - _GAP_S[0] + _SAME_S:
                yield f"its plays begin at {text} s: no gaps from {_GAP_S[0]:g} to {_GAP_S[1]:g} s leave such steps"
            return
        play_s = source.clip_end_s - source.clip_start_s
        if play_s <= 0:
            yield f"it plays from {source.clip_start_s:.3f} s to {source.clip_end_s:.3f} s of its clip"
        gaps = [step - play_s for step in steps]
        if gaps and not _GAP_S[0] - _SAME_S <= min(gaps) <= max(gaps) <= _GAP_S[1] + _SAME_S:
            yield f"its gaps are {', '.join(f'{gap:.3f}' for gap in gaps)} s, not {_GAP_S[0]:g} to {_GAP_S[1]:g} s"
        if abs(min(starts[-1] + play_s, duration_s) - source.offset_s) > _SAME_S:
            yield f"its last play, at {starts[-1]:.3f} s, lasts {play_s:.3f} s and ends at {source.offset_s:.3f} s"

    def audio_problems(self, scene: Scene, audio: npt.NDArray[np.float32]) -> Iterator[str]:
        """Say where the audio contradicts the audible times.

        One source: the frames of its audio give them. Several: outside of all their times, the level of the mix
        is at most that of as many sources at the gate.

        Args:
            scene: its row.
            audio: float32 (channels, n), as stored.
        """
        n_sources = len(scene.sources)
        gain_db = scene.gain_db - (20 * math.log10(n_sources) if self.mean else 0.0)
        if self.fill is None or self.gate_dbfs + gain_db < _NEAR_QUANTISATION_DBFS:
            return
        levels = _frame_levels_dbfs(audio, scene.sample_rate) - gain_db - self.gate_dbfs
        heard = [_frames(source, scene.sample_rate) for source in scene.sources]
        if n_sources == 1:
            yield from self._one_source(levels, heard[0], scene)
        elif all(heard):
            covered = np.zeros(levels.size, dtype=bool)
            for first, last in filter(None, heard):
                covered[first:last] = True
            loudest = float(levels[~covered].max(initial=-math.inf)) - 20 * math.log10(n_sources)
            if loudest > _SAME_DB:
                yield f"its audio is {loudest:.1f} dB over the gate where no source is audible by its row"

    def _one_source(
        self, levels: npt.NDArray[np.float64], heard: tuple[int, int] | None, scene: Scene
    ) -> Iterator[str]:
        surely, perhaps = np.flatnonzero(levels > _SAME_DB), np.flatnonzero(levels > -_SAME_DB)
        if heard is None:
            if surely.size * _FRAME_S >= min(0.1, 0.2 * scene.duration_s) + _FRAME_S:
                yield "its audio can be heard, and its source has no audible times"
            return
        first, last = heard
        ends_fit = first in perhaps and last - 1 in perhaps
        if not ends_fit or (surely.size and not first <= surely[0] <= surely[-1] < last):
            at = f"{surely[0] * _FRAME_S:.2f} to {(surely[-1] + 1) * _FRAME_S:.2f} s" if surely.size else "nowhere"
            source = scene.sources[0]
            yield (
                f"source 0: is audible from {source.audible_onset_s} s to {source.audible_offset_s} s by its row, and "
                f"{at} in the audio"
            )


def _hearing(source: Source, duration_s: float) -> Iterator[str]:
    onset_s, offset_s = source.audible_onset_s, source.audible_offset_s
    if (onset_s is None) != (offset_s is None):
        yield "has one of audible_onset_s and audible_offset_s only"
        return
    if onset_s is None or offset_s is None:
        return
    earliest_s = max(source.onset_s - _FRAME_S, 0.0)
    if onset_s < earliest_s or not onset_s < offset_s <= duration_s + 1e-9:
        yield f"is audible from {onset_s:.3f} s to {offset_s:.3f} s, and its onset is {source.onset_s:.3f} s"


def _frame_size(sample_rate: int) -> int:
    return max(1, round(_FRAME_S * sample_rate))


def _frames(source: Source, sample_rate: int) -> tuple[int, int] | None:
    """Return the frames [first, last) in which a source can be heard, by its row."""
    if source.audible_onset_s is None or source.audible_offset_s is None:
        return None
    per_s = sample_rate / _frame_size(sample_rate)
    return round(source.audible_onset_s * per_s), math.ceil(source.audible_offset_s * per_s - 1e-6)


def _frame_levels_dbfs(audio: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the level of every frame in its loudest channel, dB re full scale: (frames,). Zeros fill up the last."""
    size = _frame_size(sample_rate)
    padded = np.pad(audio.astype(np.float64), ((0, 0), (0, -audio.shape[1] % size)))
    power: npt.NDArray[np.float64] = (padded**2).reshape(audio.shape[0], -1, size).mean(axis=2).max(axis=0)
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 1e-30))
    return levels
