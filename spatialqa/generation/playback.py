"""Decides what each source plays and when, once its clip is loaded: which stretch of it, and its repeats.

Nothing here depends on more than the scene and its clips: a planned scene gives the same plays in any process.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spatialqa.clips.prepare import DrySignal, PreparedClip, cut_to_scene
from spatialqa.clips.stretches import choose_stretch
from spatialqa.core import seeds
from spatialqa.core.scene import Scene, Source
from spatialqa.errors import ClipError

GAP_S = (0.2, 1.0)  # silence between two plays, drawn evenly
LEAST_PLAY_S = 0.25  # a repeat that the end of the scene would cut to less is left out


def with_playback(scene: Scene, clips: Sequence[PreparedClip], fill: str, group_seed: int | None = None) -> Scene:
    """Return a scene whose sources say from where in the clip they play and when each play begins.

    What a source says already stays. The gaps between repeats come from the seed in the scene's row.

    Args:
        scene: planned, or read from a table.
        clips: the prepared clip of every source, in order.
        fill: "repeat" or "once", for the sources that do not say when they play.
        group_seed: in place of the scene's seed. That of a group by hand does not depend on the number of the scene.
    """
    sources = []
    for k, (source, clip) in enumerate(zip(scene.sources, clips, strict=True)):
        if source.clip_start_s is None:
            assert source.start_share is not None
            room_s = scene.duration_s - source.onset_s
            start_s, end_s = choose_stretch(clip.audio, scene.sample_rate, room_s, source.start_share)
            source = replace(source, clip_start_s=start_s, clip_end_s=end_s)
        if source.starts_s is None and fill == "once":
            source = replace(source, starts_s=(source.onset_s,))
        if source.starts_s is None:
            end = clip.audio.size / scene.sample_rate if source.clip_end_s is None else source.clip_end_s
            assert source.clip_start_s is not None
            seed, stable_id = (scene.seed, f"{scene.scene_id}/{k}") if group_seed is None else (group_seed, str(k))
            rng = seeds.rng(seed, "repeats", stable_id)
            starts = _starts(rng, source.onset_s, end - source.clip_start_s, scene.duration_s)
            source = replace(source, starts_s=starts)
        sources.append(source)
    return replace(scene, sources=tuple(sources))


def _starts(rng: np.random.Generator, onset_s: float, play_s: float, duration_s: float) -> tuple[float, ...]:
    """Return when each play begins: the first at onset_s, each other a drawn gap after the end of the one before."""
    starts = [onset_s]
    while True:
        start = starts[-1] + play_s + float(rng.uniform(*GAP_S))
        if duration_s - start < min(play_s, LEAST_PLAY_S):
            return tuple(starts)
        starts.append(start)


def dry_signal_of(source: Source, clip: PreparedClip, scene: Scene) -> DrySignal:
    """Return what a source emits in a scene; raises ClipError where that is silent, lies outside or is not known."""
    if source.clip_start_s is None:
        raise ClipError(f"clip {source.clip_id!r}: the row does not say where in it the source begins (clip_start_s)")
    return cut_to_scene(
        clip.audio,
        scene.sample_rate,
        scene.duration_s,
        source.clip_start_s,
        source.onset_s,
        end_s=source.clip_end_s,
        starts_s=source.starts_s,
    )
