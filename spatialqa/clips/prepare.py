"""Prepares a stored clip for a scene: resample, level, cut and pad."""

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

from spatialqa.clips.clip import ClipRecord, ClipSet, RawClip
from spatialqa.errors import ClipError

_FADE_S = 0.01


def level_dbfs(audio: npt.NDArray[np.floating]) -> float:
    """Return the RMS level of a signal in dB re full scale (a constant 1.0 is 0 dBFS); -inf for silence."""
    if not audio.size:
        return -math.inf
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def prepare(raw: RawClip, sample_rate: int, rms_dbfs: float | None = -14.0) -> npt.NDArray[np.float32]:
    """Return the whole clip at a scene's rate and level.

    Args:
        raw: the clip as it is stored.
        sample_rate: the rate wanted, Hz. Resampled by soxr at its quality VHQ: linear phase, no delay.
        rms_dbfs: RMS level of the whole clip afterwards (SpatialSoundQA: -14); None leaves the level alone.

    Returns:
        float32 (n,), linear, n = the clip's duration times sample_rate to within one sample. May exceed 1.

    Raises:
        ClipError: the clip is silent or has a sample that is not finite.
    """
    if not np.isfinite(raw.audio).all():
        raise ClipError("the clip has samples that are not finite (NaN or infinity); write the file again")
    audio = np.asarray(raw.audio, dtype=np.float32)
    if raw.sample_rate != sample_rate and audio.size:
        audio = np.asarray(soxr.resample(audio, raw.sample_rate, sample_rate, quality="VHQ"), dtype=np.float32)
    level = level_dbfs(audio)
    if level == -math.inf:
        raise ClipError("the clip is silent; leave it out")
    if rms_dbfs is None:
        return audio.copy() if audio is raw.audio else audio
    gain = 10.0 ** ((rms_dbfs - level) / 20.0)
    return np.asarray(audio * gain, dtype=np.float32)


class DrySignal(NamedTuple):
    """What a source emits in a scene: a part of a clip, once or several times."""

    audio: npt.NDArray[np.float32]  # (n,), from its onset to the end of its last play within the scene
    onset: int  # the scene's sample at which it begins
    offset_s: float  # where the last play ends within the scene
    level_dbfs: float  # RMS while it plays
    plays: tuple[tuple[int, int], ...]  # the samples [first, last) of `audio` in which it plays

    def while_playing(self, channel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the samples of a signal that begins with `audio` at which the clip plays: float32 (m,)."""
        return np.concatenate([channel[first:last] for first, last in self.plays])


def cut_to_scene(
    dry: npt.NDArray[np.float32],
    sample_rate: int,
    duration_s: float,
    start_s: float,
    onset_s: float,
    *,
    end_s: float | None = None,
    starts_s: Sequence[float] | None = None,
) -> DrySignal:
    """Cut a prepared clip to what sounds in a scene; it ends where the scene does.

    Args:
        dry: float32 (n,), a clip at `sample_rate`.
        sample_rate: Hz.
        duration_s: length of the scene.
        start_s: where in the clip to begin.
        onset_s: where in the scene it begins to sound.
        end_s: where in the clip to end, with a fade of 10 ms there and at `start_s`; None plays to the clip's end.
        starts_s: where in the scene each play begins, the first at `onset_s`; None plays once.

    Raises:
        ClipError: nothing of the clip falls within the scene, what does is silent, or two plays overlap.
    """
    total = round(duration_s * sample_rate)
    first, onset = round(start_s * sample_rate), round(onset_s * sample_rate)
    last = dry.size if end_s is None else round(end_s * sample_rate)
    if not 0 <= first < min(last, dry.size):
        raise ClipError(f"a clip of {min(last, dry.size) / sample_rate:.3f} s cannot begin at {start_s:.3f} s")
    if not 0 <= onset < total:
        raise ClipError(f"an onset at {onset_s:.3f} s lies outside a scene of {duration_s:.3f} s")
    part = dry[first:last] if end_s is None else _faded(dry[first:last], first > 0, last < dry.size, sample_rate)
    at = [0] if starts_s is None else [round(start * sample_rate) - onset for start in starts_s]
    plays = tuple((begin, min(begin + part.size, total - onset)) for begin in at)
    if at[0] != 0 or any(b[0] < a[1] or b[0] >= total - onset for a, b in itertools.pairwise(plays)):
        raise ClipError(f"plays at {', '.join(f'{s:.3f}' for s in starts_s or ())} s overlap or leave the scene")
    if len(plays) == 1:
        audio = part[: total - onset]
    else:
        audio = np.zeros(plays[-1][1], dtype=np.float32)
        for begin, end in plays:
            audio[begin:end] = part[: end - begin]
    signal = DrySignal(audio, onset, (onset + audio.size) / sample_rate, 0.0, plays)
    level = level_dbfs(signal.while_playing(audio))
    if level == -math.inf:
        raise ClipError(f"the clip is silent from {start_s:.3f} s to {start_s + plays[0][1] / sample_rate:.3f} s")
    return signal._replace(level_dbfs=level)


def _faded(part: npt.NDArray[np.float32], at_start: bool, at_end: bool, sample_rate: int) -> npt.NDArray[np.float32]:
    """Return a part of a clip with linear fades where it was cut out of the clip."""
    n = min(round(_FADE_S * sample_rate), part.size // 2)
    ramp = ((np.arange(n) + 0.5) / max(n, 1)).astype(np.float32)
    faded = part.copy()
    if at_start:
        faded[:n] *= ramp
    if at_end:
        faded[part.size - n :] *= ramp[::-1]
    return faded


@dataclass(frozen=True, eq=False)
class PreparedClip:
    """A clip at a scene's rate and level (float32 (n,), read-only), and the hash and rate of what it was made from."""

    audio: npt.NDArray[np.float32]
    sha256: str
    native_sample_rate: int


class PreparedClips:
    """The prepared clips of one set; those asked for last are kept in memory, up to `max_bytes` of audio."""

    def __init__(
        self, clip_set: ClipSet, sample_rate: int, rms_dbfs: float | None = -14.0, max_bytes: int = 256 * 2**20
    ) -> None:
        self.clip_set = clip_set
        self.sample_rate = sample_rate
        self.rms_dbfs = rms_dbfs
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, PreparedClip] = OrderedDict()
        self._kept_bytes = 0

    def get(self, record: ClipRecord) -> PreparedClip:
        """Return a clip ready to be placed; raises ClipError, with the clip's id, when it cannot be read or used."""
        clip_id = record.clip_id
        if clip_id in self._kept:
            self._kept.move_to_end(clip_id)
            return self._kept[clip_id]
        raw = self.clip_set.load(record)
        try:
            audio = prepare(raw, self.sample_rate, self.rms_dbfs)
        except ClipError as error:
            raise ClipError(f"clip {clip_id!r} of {self.clip_set.name}: {error}") from error
        audio.flags.writeable = False
        clip = PreparedClip(audio, raw.sha256, raw.sample_rate)
        self._kept[clip_id] = clip
        self._kept_bytes += audio.nbytes
        while self._kept_bytes > self.max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.audio.nbytes
        return clip
