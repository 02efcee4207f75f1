"""The released layout, read back by a reader that knows only its description, gives the scenes that were rendered."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.clips.prepare import level_dbfs
from spatialqa.core.audio_io import decode_flac
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_scenes
from spatialqa.errors import DatasetError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.interop.spatialsoundqa.released_names import audio_name, dry_signal, file_name
from spatialqa.interop.spatialsoundqa.writer import ReleasedSummary, _notes, _why_not, export_spatialsoundqa
from spatialqa.models.data.scene_index import paper_vocabulary
from tests.exports.released_reader import hear, location, read_clips, read_places, read_records
from tests.fixtures.datasets import PLANNED, Row, planned, rows_of

SPLITS = {"train": "train", "validation": "validation", "test": "eval"}


@pytest.fixture(scope="module")
def exported(hard: Path, tmp_path_factory: pytest.TempPathFactory) -> ReleasedSummary:
    return export_spatialsoundqa(hard, tmp_path_factory.mktemp("released") / "export")


def paired(hard: Path, exported: ReleasedSummary) -> list[tuple[Row, Row, Row]]:
    """Return every record with the question and the scene that it was made from."""
    scenes = {row["scene_id"]: row for row in rows_of(hard, "scenes")}
    pairs = []
    for split, name in SPLITS.items():
        asked = [row for row in rows_of(hard, "qa") if row["split"] == split and row["type"] != "X"]
        asked = [row for row in asked if len(scenes[row["scene_id"]]["sources"]) <= 2]
        records = read_records(exported.dest, name)
        pairs += [(record, row, scenes[row["scene_id"]]) for record, row in zip(records, asked, strict=True)]
    return pairs


def test_questions_and_answers_are_those_of_the_data_set(hard: Path, exported: ReleasedSummary) -> None:
    pairs = paired(hard, exported)
    assert len({record["question_type"] for record, _, _ in pairs}) == 9
    for record, row, scene in pairs:
        assert (record["question"], record["answer"]) == (row["question"], row["answer"])
        assert (record["audio_id2"] is None) == (len(scene["sources"]) == 1)
        assert record["audio_id"].startswith(f"{SPLITS[row['split']]}/audio/")
        assert (record["audio_id2"] is None) == (record["question_type"] in ("CLASSIFICATION", "DOA"))
    for name in SPLITS.values():
        assert [r["question_id"] for r in read_records(exported.dest, name)] == list(
            range(sum(n for (split, _), n in exported.questions.items() if split == name))
        )
    left_out = Counter(row["type"] == "X" for row in rows_of(hard, "qa"))
    assert sum(n for reason, n in exported.left_out.items() if reason.startswith("no question type")) == left_out[True]
    assert exported.left_out["more than 2 sources"] > 0
    assert sum(exported.questions.values()) == len(pairs)


def test_the_lists_of_clips_have_every_dry_file_with_its_classes(hard: Path, exported: ReleasedSummary) -> None:
    labels: dict[str, set[str]] = {}
    for record, _, scene in paired(hard, exported):
        for source, end in zip(scene["sources"], ("", "2"), strict=False):
            labels[record[f"audio_id{end}"]] = set(map(str, source["mids"]))
    found: dict[str, set[str]] = {}
    for name in SPLITS.values():
        clips, weights, classes = read_clips(exported.dest, name)
        assert len(classes) == len(set(classes)) >= 355
        assert classes[:355] == paper_vocabulary()
        found |= {str(path.relative_to(exported.dest))[:-4]: {classes[k] for k in own} for path, own in clips}
        assert all(path.is_file() for path, _ in clips)
        count = Counter(k for _, own in clips for k in own)
        assert weights == pytest.approx([sum(1000 / (count[k] + 0.01) for k in own) for _, own in clips])
    assert found == labels


def test_a_reader_hears_the_scenes_to_the_last_bits_of_pcm(hard: Path, exported: ReleasedSummary) -> None:
    heard: set[str] = set()
    onsets = starts = 0
    for record, _, scene in paired(hard, exported):
        if scene["scene_id"] in heard:
            continue
        heard.add(scene["scene_id"])
        onsets += sum(source["onset_s"] > 0 for source in scene["sources"])
        starts += sum(source["clip_start_s"] > 0 for source in scene["sources"])
        audio, _ = decode_flac(scene["audio"]["bytes"])
        signal = audio / 10 ** (scene["gain_db"] / 20)
        again = hear(exported.dest, record)[:, : audio.shape[1]]
        assert level_dbfs(signal) > -60
        assert level_dbfs(again - signal) < -100
    assert len(heard) >= 8
    assert onsets
    assert starts


def test_directions_and_distances_follow_from_the_places_though_heads_are_turned(
    hard: Path, exported: ReleasedSummary
) -> None:
    checked, turned = Counter[str](), 0
    places = {name: read_places(exported.dest, name) for name in SPLITS.values()}
    for record, row, scene in paired(hard, exported):
        if row["subtype"] not in ("location", "location_of_class"):
            continue
        at = places[SPLITS[row["split"]]]
        index = row["source_indices"][0]
        assert location(*at[record[("reverb_id", "reverb_id2")[index]]]) == record["answer"]
        turned += location(scene["listener_position"], scene["sources"][index]["position"]) != record["answer"]
        checked[record["question_type"]] += 1
    assert set(checked) == {"DOA", "MIXUP_SINGLE_DOA"}
    assert turned > 0


def test_every_rir_is_listed_and_there(exported: ReleasedSummary) -> None:
    listed = [f"{fname}" for name in SPLITS.values() for fname in read_places(exported.dest, name)]
    there = exported.dest / "mp3d_reverb" / "binaural"
    assert sorted(listed) == sorted(str(path.relative_to(there)) for path in there.rglob("*.npy"))
    assert len(listed) == exported.rirs > 10
    assert len(list(exported.dest.glob("*/audio/*.wav"))) == exported.clips > 10
    assert "readers hear signals without the data set's gain of -23.3 dB" in exported.notes
    assert not any("average" in note for note in exported.notes)


def test_without_stored_rirs_they_are_simulated_again(hard: Path, exported: ReleasedSummary, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(hard, copy)
    shutil.rmtree(copy / "rirs")
    folder = DatasetFolder(copy)
    for record in list(folder.shards()):
        folder.commit_shard(replace(record, files=tuple(f for f in record.files if not f.path.startswith("rirs/"))))
    again = export_spatialsoundqa(copy, tmp_path / "export")
    files = {path.relative_to(exported.dest): path.read_bytes() for path in exported.dest.rglob("*") if path.is_file()}
    assert {p.relative_to(again.dest): p.read_bytes() for p in again.dest.rglob("*") if p.is_file()} == files


def test_an_export_that_was_cut_off_goes_on(hard: Path, exported: ReleasedSummary, tmp_path: Path) -> None:
    def cut(done: int, total: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    dest = tmp_path / "export"
    with pytest.raises(KeyboardInterrupt):
        export_spatialsoundqa(hard, dest, progress=cut)
    assert not json.loads((dest / "spatialqa-export.json").read_text())["complete"]
    export_spatialsoundqa(hard, dest)
    files = {path.relative_to(dest): path.read_bytes() for path in dest.rglob("*") if path.is_file()}
    assert files == {p.relative_to(exported.dest): p.read_bytes() for p in exported.dest.rglob("*") if p.is_file()}
    assert json.loads((dest / "spatialqa-export.json").read_text())["complete"]


def test_multiple_choice_has_no_place_in_it(hard: Path) -> None:
    scenes = {scene.scene_id: scene for path in DatasetFolder(hard).tables("scenes") for scene in read_scenes(path)}
    reasons = Counter(_why_not(scenes[row["scene_id"]], row) for row in rows_of(hard, "qa-mcq"))
    assert reasons["multiple choice"] == sum(len(row["choices"]) > 2 for row in rows_of(hard, "qa-mcq")) > 0
    assert set(reasons) <= {None, "multiple choice", "more than 2 sources"}


def test_what_the_form_cannot_hold_is_refused(small: Path, hard: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"is at 16000 Hz, and readers of this format assume 32000 Hz"):
        export_spatialsoundqa(small, tmp_path / "a")
    with pytest.raises(DatasetError, match="holds no questions in 'qa-other'"):
        export_spatialsoundqa(hard, tmp_path / "b", table="qa-other")
    plan = planned(tmp_path / "planned", 4, splits="1,0,0")
    assert PLANNED.sample_rate == 32000
    with pytest.raises(DatasetError, match="holds planned scenes without audio"):
        export_spatialsoundqa(plan, tmp_path / "c")
    assert not any((tmp_path / name).exists() for name in "abc")


@given(
    seconds=st.floats(0.05, 14.0),
    duration_s=st.floats(0.5, 10.0),
    start=st.floats(0.0, 0.95),
    onset=st.floats(0.0, 0.9),
    whole=st.booleans(),
)
def test_whatever_is_cut_or_moved_the_file_has_the_level_of_the_clip(
    seconds: float, duration_s: float, start: float, onset: float, whole: bool
) -> None:
    rate = 1000
    clip = np.random.default_rng(0).standard_normal(round(seconds * rate)).astype(np.float32)
    clip[: clip.size // 3] *= 0.01
    start_s, onset_s = (0.0, 0.0) if whole else (start * seconds, onset * duration_s)
    signal = dry_signal(clip, rate, duration_s, start_s, onset_s)
    assert level_dbfs(signal) == pytest.approx(level_dbfs(clip), abs=0.01)
    heard = np.zeros(10 * rate, dtype=np.float32)
    first, onset_n, total = round(start_s * rate), round(onset_s * rate), round(duration_s * rate)
    part = clip[first : first + total - onset_n]
    heard[onset_n : onset_n + part.size] = part
    kept = np.pad(signal, (0, max(0, heard.size - signal.size)))[: heard.size]
    assert np.array_equal(kept[:total], heard[:total])
    if signal is not clip:
        assert np.array_equal(kept, heard)


@given(
    seconds=st.floats(0.1, 3.0),
    start=st.floats(0.0, 0.6),
    share=st.floats(0.1, 1.0),
    onset_s=st.floats(0.0, 3.0),
    gap_s=st.floats(0.2, 1.0),
    duration_s=st.floats(4.0, 10.0),
)
def test_parts_that_repeat_are_heard_as_in_the_scene_and_at_the_level_of_the_clip(
    seconds: float, start: float, share: float, onset_s: float, gap_s: float, duration_s: float
) -> None:
    rate = 1000
    clip = np.random.default_rng(0).standard_normal(round(seconds * rate)).astype(np.float32)
    clip[: clip.size // 3] *= 0.01  # so that a part may be louder than the whole
    first, n = round(start * clip.size), max(1, round(share * 0.4 * clip.size))
    starts = np.arange(onset_s, duration_s - 0.05, n / rate + gap_s)
    times: dict[str, Any] = {"end_s": (first + n) / rate, "starts_s": starts.tolist()}
    signal = dry_signal(clip, rate, duration_s, first / rate, onset_s, **times)
    assert level_dbfs(signal) == pytest.approx(level_dbfs(clip), abs=0.01)
    total = round(duration_s * rate)
    heard = np.zeros(total + n, dtype=np.float32)
    inside = clip[first : first + n].copy()
    ramp = (np.arange(fade := min(10, n // 2)) + 0.5) / max(fade, 1)
    inside[:fade] *= ramp.astype(np.float32) if first else 1
    inside[n - fade :] *= ramp[::-1].astype(np.float32) if first + n < clip.size else 1
    for begin in starts:
        heard[round(begin * rate) :][:n] = inside
    assert np.array_equal(signal[:total], heard[:total])
    assert not signal[total : 10 * rate].any()


def test_names_of_files_stay_within_their_folder() -> None:
    assert audio_name("YI-HlrcP6Qg4", 0, 0) == "YI-HlrcP6Qg4"
    assert audio_name("YI-HlrcP6Qg4", 0, 5) != audio_name("YI-HlrcP6Qg4", 5, 0)
    assert audio_name("dog/1.wav", 0, 0) != audio_name("dog_1.wav", 0, 0)
    assert file_name("../../etc/passwd") == "_etc_passwd"
    assert "/" not in audio_name("../../x", 0, 0)
    names = {audio_name("a", 0, 0, plays) for plays in ((), (-1, 0, 9), (5, 0), (5, 0, 9))}
    assert len(names) == 4


def test_the_notes_say_what_readers_will_hear_differently() -> None:
    assert _notes(RenderRecipe(gain_db=0.0, mix="mean", rir_time_zero="direct")) == ()
    assert len(_notes(RenderRecipe(clip_rms_dbfs=-20.0))) == 4
