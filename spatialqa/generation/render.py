"""render: computes audio and measured ground truth of a listener group and its scenes. Nothing is drawn here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spatialqa.acoustics.engine import OpenRoom, RoomWithHeads, engine_errors
from spatialqa.acoustics.rir_metrics import drr_db, rt60
from spatialqa.clips.prepare import PreparedClip
from spatialqa.core.audio_io import FULL_SCALE, Audio
from spatialqa.core.scene import ListenerGroup, Scene
from spatialqa.errors import EngineError
from spatialqa.generation.audibility import audible_times
from spatialqa.generation.convolution import Convolver
from spatialqa.generation.playback import dry_signal_of
from spatialqa.generation.power import sum_of_squares

SILENCE_DBFS = -200.0  # stands for a level of nothing at all


class ClippedSceneError(Exception):
    """A scene peaks above full scale after the data set's gain; it is to be drawn again."""


@dataclass(frozen=True, eq=False)
class SimulatedGroup:
    """A group with one RIR per place, each float32 (channels, n), and what was measured of them."""

    group: ListenerGroup
    rirs: Sequence[Audio]
    drr_db: Sequence[float | None]
    rt60_s: Sequence[float | None]
    sample_rate: int

    def convolver(self, place: int) -> Convolver:
        """Return what convolves with the RIR of a place; its spectrum is kept."""
        if place not in self._convolvers:
            self._convolvers[place] = Convolver(self.rirs[place])
        return self._convolvers[place]

    @cached_property
    def _convolvers(self) -> dict[int, Convolver]:
        return {}


@dataclass(frozen=True, eq=False)
class RenderedScene:
    """A scene with its measured fields filled in, and its audio: float32 (channels, n), within full scale."""

    scene: Scene
    audio: Audio


def simulate(group: ListenerGroup, room: OpenRoom, sample_rate: int, channels: str) -> SimulatedGroup:
    """Simulate every place of a group in one call and measure its RIRs, whose layout is `channels`.

    Raises:
        EngineError: the engine failed.
    """
    with engine_errors(f"simulating group {group.group_id}"):
        rirs = rirs_of(group, room)
        seen = [bool(place.line_of_sight) for place in group.places]
        return SimulatedGroup(
            group,
            rirs,
            [_float32(drr_db(rir, sample_rate, visible, channels)) for rir, visible in zip(rirs, seen, strict=True)],
            [rt60(rir, sample_rate, channels) for rir in rirs],
            sample_rate,
        )


def rirs_of(group: ListenerGroup, room: OpenRoom) -> list[Audio]:
    """Return the RIR of every place of a group, heard by the group's own head if it has one.

    Raises:
        EngineError: the engine failed, or has one head only.
    """
    sources = [place.position for place in group.places]
    if group.subject is None:
        return room.rirs(group.listener, sources, group.seed)
    if not isinstance(room, RoomWithHeads):
        raise EngineError(f"group {group.group_id} has the head {group.subject}, and this engine has one head only")
    return room.rirs_of_subject(group.listener, sources, group.seed, group.subject)


def _float32(value: float | None) -> float | None:
    """Return a number as the tables hold it, so that a stored row equals the record it was made from."""
    return None if value is None else float(np.float32(value))


def render_scene(
    scene: Scene, simulated: SimulatedGroup, clips: Sequence[PreparedClip], mix: str, audible_dbfs: float = -46.0
) -> RenderedScene:
    """Render one scene.

    Args:
        scene: a planned scene of the simulated group, after `with_playback`.
        simulated: the group's RIRs.
        clips: the prepared clip of every source, in order.
        mix: "sum" adds the sources; "mean" divides the sum by their number.
        audible_dbfs: level in the loudest channel, before the gain, from which on a source can be heard.

    Raises:
        ClippedSceneError: the mix peaks above full scale.
        ClipError: a clip is silent where the scene uses it.
    """
    n_samples = round(scene.duration_s * scene.sample_rate)
    total = np.zeros((simulated.rirs[0].shape[0], n_samples), dtype=np.float32)
    measured = []
    for source, clip in zip(scene.sources, clips, strict=True):
        place = source.place
        dry = dry_signal_of(source, clip, scene)
        wet = simulated.convolver(place).played(dry.audio, dry.plays, n_samples - dry.onset)
        total[:, dry.onset : dry.onset + wet.shape[1]] += wet
        heard = audible_times(wet, dry.onset, n_samples, scene.sample_rate, audible_dbfs)
        truth = replace(
            source,
            clip_sha256=clip.sha256,
            native_sample_rate=clip.native_sample_rate,
            offset_s=dry.offset_s,
            dry_level_dbfs=_float32(dry.level_dbfs),
            wet_level_dbfs=tuple(_wet_level_dbfs(channel, dry.plays) for channel in wet),
            drr_db=simulated.drr_db[place],
            rt60_s=simulated.rt60_s[place],
            starts_s=source.starts_s or (source.onset_s,),
            audible_onset_s=heard.onset_s if heard else None,
            audible_offset_s=heard.offset_s if heard else None,
        )
        measured.append(truth)
    gain = 10.0 ** (scene.gain_db / 20.0) / (len(clips) if mix == "mean" else 1)
    audio = np.multiply(total, np.float32(gain), out=total)
    peak = max(float(audio.max()), -float(audio.min()))
    if peak > FULL_SCALE:
        raise ClippedSceneError(f"peaks at {20 * math.log10(peak):+.1f} dBFS")
    return RenderedScene(replace(scene, sources=tuple(measured)), audio)


def _wet_level_dbfs(channel: Audio, plays: Sequence[tuple[int, int]]) -> float:
    """Return the RMS level of what one channel has while the dry clip plays."""
    energy = sum(sum_of_squares(channel, first, last) for first, last in plays)
    power = energy / sum(last - first for first, last in plays)
    return float(np.float32(max(10.0 * math.log10(power) if power > 0.0 else -math.inf, SILENCE_DBFS)))
