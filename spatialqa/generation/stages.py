"""The sounds of stored scenes at every stage from the clip to the ears, for checks by listening."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from spatialqa.audit.hearing.recognition import Sounding
from spatialqa.clips.clip import ClipSet
from spatialqa.clips.prepare import PreparedClip
from spatialqa.core.audio_io import Audio, decode_flac
from spatialqa.core.ontology import ontology
from spatialqa.core.scene import Scene, Source
from spatialqa.core.seeds import rng
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.errors import ClipError, DatasetError
from spatialqa.generation.playback import dry_signal_of
from spatialqa.generation.render import SimulatedGroup
from spatialqa.generation.replay import StoredRun, by_group
from spatialqa.generation.stored_recipe import stored_recipe

_TAIL_S = 0.5  # of reverberation after a sound that belongs to it


def scene_sounds(root: Path, most: int, ablation: bool) -> Iterator[Sounding]:
    """Yield the sources of stored scenes, the clip and what both ears hear of it in the scene.

    Args:
        root: the data set; its clips must be there.
        most: the greatest number of scenes.
        ablation: also yield what lies between: the cut of the clip that sounds, this cut in its room, without other
            sources, and the mix. For this the groups are simulated again. "level" is the mix at its own level.

    Raises:
        SpatialQAError: clips, rooms or the engine cannot be opened, or scenes have no audio.
    """
    folder = DatasetFolder(root)
    recipe = stored_recipe(folder)
    if recipe.plan_only:
        raise DatasetError(f"{root}: holds planned scenes without audio; nothing can be heard")
    stored = list(islice((pair for path in scene_files(folder) for pair in read_audio(path)), most))
    flacs = {scene.scene_id: flac for scene, flac in stored}
    rows = {row["group_id"]: row for path in folder.tables("groups") for row in read_rows(path)} if ablation else {}
    with StoredRun(recipe) as run:
        for group_id, scenes in by_group([scene for scene, _ in stored]).items():
            simulated = run.simulate(rows[group_id], scenes) if ablation else None
            for scene in scenes:
                audio, _ = decode_flac(flacs[scene.scene_id])
                for source, clip in zip(scene.sources, run.sounds(scene), strict=True):
                    if source.mids and source.mids[0]:
                        yield _sounding(scene, source, clip, audio, simulated)


def _sounding(
    scene: Scene, source: Source, clip: PreparedClip, audio: Audio, simulated: SimulatedGroup | None
) -> Sounding:
    rate = scene.sample_rate
    assert source.offset_s is not None
    end_s = min(source.offset_s + _TAIL_S, scene.duration_s)
    # of ambisonics, only the omnidirectional channel
    heard = (audio[:1] if scene.channels == "foa" else audio)[:, round(source.onset_s * rate) : round(end_s * rate)]
    stages = {"clip": clip.audio}
    if simulated is None:
        stages["scene"] = heard
    else:
        cut = dry_signal_of(source, clip, scene).audio
        room = simulated.convolver(source.place)(cut)[: len(heard), : heard.shape[1]]
        stages |= {"cut": cut, "room": room, "mix": heard, "level": heard}
    mid = source.mids[0]
    assert mid is not None
    return Sounding(
        source.labels[0],
        mid,
        rate,
        stages,
        source.distance_m,
        source.line_of_sight,
        frozenset({"level"}),
    )


def clip_sounds(clips: ClipSet, per_class: int, seed: int, skipped: int = 0) -> Iterator[Sounding]:
    """Yield up to per_class clips of every class of a clip set, drawn by the seed; the class is the first label.

    The first `skipped` clips of a class are left out.

    Raises:
        ClipError: a clip cannot be read, or the set has no clip of an AudioSet class.
    """
    records = [record for record in clips.records() if record.mids and record.mids[0]]
    if not records:
        raise ClipError(f"{clips.name}: has no clip of an AudioSet class")
    by_class: dict[str, list[int]] = {}
    for k, record in enumerate(records):
        by_class.setdefault(str(record.mids[0]), []).append(k)
    for mid, listed in by_class.items():
        members = listed[skipped:]
        order = rng(seed, "hear-check", mid).permutation(len(members))[:per_class]
        for k in np.sort(order):
            record = records[members[int(k)]]
            raw = clips.load(record)
            yield Sounding(ontology().by_mid(mid).name, mid, raw.sample_rate, {"clip": raw.audio})
