"""What is played and when, in whole data sets: nothing silent, sounds that repeat, times that are heard."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from spatialqa.clips.prepare import PreparedClip
from spatialqa.core.audio_io import decode_flac
from spatialqa.core.scene import Source
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, scene_files
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.generation.audibility import FRAME_S, InaudibleError, audible_times, require_audible
from spatialqa.generation.playback import GAP_S, with_playback
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.listener_view import view
from tests.dataset.changing import changed
from tests.fixtures import scenes
from tests.fixtures.datasets import render, scenes_of

RATE = 16000
Audio = npt.NDArray[np.float32]


def tone(seconds: float, level: float = 0.1) -> Audio:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(level * np.sqrt(2) * np.sin(2 * np.pi * 500 * t), dtype=np.float32)


def planned(**fields: Any) -> Source:
    return scenes.source((0.0, 0.0, -1.0), **fields)


def played(source: Source, audio: Audio, fill: str = "repeat", duration_s: float = 10.0, seed: int = 3) -> Source:
    scene = scenes.scene(source, sample_rate=RATE, duration_s=duration_s, seed=seed)
    return with_playback(scene, [PreparedClip(audio, "sha", RATE)], fill).sources[0]


def test_a_short_clip_repeats_after_gaps_that_its_scene_draws() -> None:
    source = played(planned(onset_s=1.5, starts_s=None), tone(1.0))
    assert source.starts_s is not None
    assert source.starts_s[0] == 1.5
    gaps = np.diff(source.starts_s) - 1.0
    assert GAP_S[0] <= gaps.min() < gaps.max() <= GAP_S[1]
    assert 5 <= len(source.starts_s) <= 7
    assert 8.0 < source.starts_s[-1] <= 9.75
    assert played(planned(onset_s=1.5), tone(1.0)) == source
    assert played(planned(onset_s=1.5), tone(1.0), seed=4).starts_s != source.starts_s


def test_a_clip_plays_once_where_it_is_long_where_the_recipe_says_so_and_where_its_row_does() -> None:
    assert played(planned(), tone(9.9)).starts_s == (0.0,)
    assert played(planned(onset_s=2.0), tone(1.0), fill="once").starts_s == (2.0,)
    assert played(planned(starts_s=(0.0, 5.0)), tone(1.0)).starts_s == (0.0, 5.0)


def test_a_share_becomes_a_start_and_an_end_once_the_clip_is_there() -> None:
    audio = np.concatenate([np.zeros(3 * RATE, dtype=np.float32), tone(2.0), np.zeros(RATE, dtype=np.float32)])
    source = played(planned(clip_start_s=None, start_share=0.5), audio, fill="once")
    assert source.clip_start_s == pytest.approx(2.99)
    assert source.clip_end_s == pytest.approx(5.1)


def test_audible_times_are_those_of_the_frames_over_the_gate() -> None:
    wet = np.zeros((2, 3 * RATE), dtype=np.float32)
    wet[1, RATE : 2 * RATE] = tone(1.0, 10 ** (-45 / 20))
    later = audible_times(wet, RATE // 2 + 40, 4 * RATE, RATE, -46.0)
    assert later == (1.51, 2.5)  # a quarter of a frame later: three quarters and one of the power in the outer frames
    assert audible_times(wet, RATE // 2, 4 * RATE, RATE, -46.0) == (1.5, 2.5)
    assert audible_times(wet, RATE // 2, 4 * RATE, RATE, -44.0) is None
    short = np.zeros_like(wet)
    short[0, : round(0.09 * RATE)] = 0.5
    assert audible_times(short, 0, 4 * RATE, RATE, -46.0) is None
    short[0, : round(0.1 * RATE)] = 0.5
    assert audible_times(short, 0, 4 * RATE, RATE, -46.0) == (0.0, 0.1)


def test_a_scene_is_drawn_again_for_one_source_that_is_not_heard_and_by_hand_for_none_that_is() -> None:
    heard = planned(offset_s=1.0, starts_s=(0.0,), audible_onset_s=0.1, audible_offset_s=0.9, wet_level_dbfs=(-30, -31))
    faint = replace(heard, clip_id="faint", audible_onset_s=None, audible_offset_s=None, wet_level_dbfs=(-63.0, -65.0))
    require_audible(scenes.scene(heard, heard), by_hand=False)
    with pytest.raises(InaudibleError, match="source 1, clip 'faint', cannot be heard: -63 dBFS in the louder channel"):
        require_audible(scenes.scene(heard, faint), by_hand=False)
    require_audible(scenes.scene(heard, faint), by_hand=True)
    with pytest.raises(InaudibleError, match="source 0"):
        require_audible(scenes.scene(faint, faint), by_hand=True)


def test_a_source_that_is_not_heard_is_not_asked_about() -> None:
    heard = planned(offset_s=1.0, starts_s=(0.0,), audible_onset_s=0.1, audible_offset_s=0.9)
    faint = replace(heard, audible_onset_s=None, audible_offset_s=None)
    unknown = planned()  # only planned, or rendered before there were these columns
    made = scenes.scene(heard, faint, unknown)
    assert [source.masked for source in view(made, AskOptions()).sources] == [False, True, False]
    assert not any(source.masked for source in view(made, AskOptions(masking_db=0)).sources)


@pytest.fixture(scope="module")
def silent_starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings of 15 s of which only the last 2 s, the first 2 s, or two short parts sound."""
    folder = tmp_path_factory.mktemp("clips") / "clips"
    rng = np.random.default_rng(5)
    for label in ("Bark", "Meow", "Knock"):
        for k, (first, last) in enumerate([(13, 15), (0, 2), (4, 5), (7, 8)]):
            audio = 1e-6 * rng.standard_normal(15 * RATE)
            audio[first * RATE : last * RATE] += 0.1 * rng.standard_normal((last - first) * RATE)
            (folder / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / label / f"{k}.wav", audio, RATE, subtype="FLOAT")
    return folder


def recipe(clips: Path, **changes: Any) -> RenderRecipe:
    values: dict[str, Any] = {
        "scenes": 12,
        "duration_s": 4.0,
        "sample_rate": RATE,
        "splits": "1,0,0",
        "workers": 0,
        "seed": 2,
    }
    return RenderRecipe(rooms="procedural", clips=f"folder:{clips}", **values | changes)


@pytest.fixture(scope="module")
def sounding(silent_starts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounding") / "data"
    render(recipe(silent_starts), root)
    return root


def test_clips_with_silent_parts_sound_in_every_scene(sounding: Path) -> None:
    shares = []
    for path in scene_files(DatasetFolder(sounding)):
        for scene, flac in read_audio(path):
            audio, _ = decode_flac(flac)
            frames = audio[:, : audio.shape[1] // 1600 * 1600].reshape(audio.shape[0], -1, 1600)
            shares.append(float(np.mean(np.mean(frames.astype(float) ** 2, axis=2).max(axis=0) > 1e-7)))
            for source in scene.sources:
                assert source.clip_start_s is not None
                assert source.audible_onset_s is not None
                assert -FRAME_S < source.audible_onset_s - source.onset_s < 0.2
    assert len(shares) == 12
    assert min(shares) > 0.4
    assert np.mean(shares) > 0.75


def test_the_zero_start_of_such_clips_is_never_kept_as_a_scene(silent_starts: Path, tmp_path: Path) -> None:
    render(recipe(silent_starts, clip_start="zero", fill="once", onset_max_s=0.0), tmp_path / "data")
    for scene in scenes_of(tmp_path / "data"):
        assert all(source.audible_onset_s is not None for source in scene.sources)
    reasons = [reject.reason for reject in DatasetFolder(tmp_path / "data").rejects()]
    assert any("cannot be heard" in reason for reason in reasons)
    kept = recipe(silent_starts, clip_start="zero", fill="once", onset_max_s=0.0, inaudible="keep")
    render(kept, tmp_path / "kept")
    inaudible = [s for scene in scenes_of(tmp_path / "kept") for s in scene.sources if s.inaudible]
    assert inaudible
    assert max(level for s in inaudible for level in s.wet_level_dbfs or ()) < -60
    assert validate_dataset(tmp_path / "kept").problems == ()


def test_a_plan_leaves_open_what_needs_the_clip_and_rendering_draws_the_same(
    sounding: Path, silent_starts: Path, tmp_path: Path
) -> None:
    render(recipe(silent_starts, plan_only=True), tmp_path / "plan")
    plan = {scene.scene_id: scene for scene in scenes_of(tmp_path / "plan")}
    same = 0
    for scene in scenes_of(sounding):
        for source, before in zip(scene.sources, plan[scene.scene_id].sources, strict=True):
            assert (before.clip_start_s, before.clip_end_s, before.starts_s) == (None, None, None)
            assert before.start_share is not None
            assert 0 <= before.start_share < 1
            same += (before.clip_id, before.onset_s, before.start_share) == (
                *(source.clip_id, source.onset_s, source.start_share),
            )
    assert same > 10
    assert validate_dataset(tmp_path / "plan").problems == ()


PLANTED = [
    ("starts_s", lambda s: [s["onset_s"] + 0.1, *s["starts_s"][1:]], "and onset_s is"),
    ("starts_s", lambda s: [*s["starts_s"], s["starts_s"][0]], "not in order, or not within 4 s"),
    ("starts_s", lambda s: [*s["starts_s"], 4.5], "not in order, or not within 4 s"),
    ("starts_s", lambda s: [s["starts_s"][0], s["starts_s"][0] + 0.5], "its gaps are"),
    ("starts_s", lambda _: None, "does not say what it plays and when"),
    ("offset_s", lambda s: s["starts_s"][-1] + 0.1, "lasts"),
    ("audible_onset_s", lambda s: s["audible_onset_s"] - 0.05, "audible from"),
    ("audible_onset_s", lambda s: s["audible_onset_s"] + 0.05, "in the audio"),
    ("audible_offset_s", lambda s: s["audible_offset_s"] - 0.5, "in the audio"),
    ("audible_offset_s", lambda _: None, "one of audible_onset_s and audible_offset_s"),
]


@pytest.mark.parametrize(("column", "value", "message"), PLANTED)
def test_validation_notices_times_that_are_not_so(
    sounding: Path, tmp_path: Path, column: str, value: Any, message: str
) -> None:
    root = Path(shutil.copytree(sounding, tmp_path / "data"))

    def plant(rows: list[dict[str, Any]]) -> None:
        one = next(row["sources"][0] for row in rows if len(row["sources"]) == 1)
        one[column] = value(one)

    changed(root, "scenes", plant)
    problems = validate_dataset(root).problems
    assert len(problems) >= 1
    assert any(message in problem for problem in problems), problems


def test_validation_hears_that_several_sources_are_not_as_late_as_their_rows_say(
    sounding: Path, tmp_path: Path
) -> None:
    assert validate_dataset(sounding).problems == ()
    root = Path(shutil.copytree(sounding, tmp_path / "data"))

    def plant(rows: list[dict[str, Any]]) -> None:
        two = next(row for row in rows if len(row["sources"]) == 2)
        for source in two["sources"]:
            source["audible_onset_s"] += 1.0

    changed(root, "scenes", plant)
    problems = validate_dataset(root).problems
    assert any("over the gate where no source is audible by its row" in problem for problem in problems)
