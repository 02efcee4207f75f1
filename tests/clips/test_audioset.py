import os
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialqa.clips.audioset.clips import DEFAULT_ROOT, AudioSetClips, find_root, open_audioset
from spatialqa.clips.audioset.segment_files import MOST_LISTED
from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.clip_table import ClipTable
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError, ClipGoneError
from tests.fixtures.audioset import (
    AUDIOSET,
    AUDIOSET_FILES,
    Segment,
    sound,
    write_audioset,
    write_quality,
    write_segments,
    write_sound,
    write_strong,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audioset(tmp_path_factory.mktemp("audioset") / "data")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy of the tree that a test may change."""
    return Path(shutil.copytree(tree, tmp_path / "own"))


def by_id(clips: AudioSetClips) -> dict[str, ClipRecord]:
    return {record.clip_id.removeprefix("audioset/"): record for record in clips.records()}


def test_every_naming_is_found_and_loads_its_own_file(tree: Path) -> None:
    clips = AudioSetClips(tree)
    found = by_id(clips)
    segments = {s.video_id: s for own in AUDIOSET.values() for s in own}
    assert set(found) == set(segments) - {"gone_gone-1"}
    assert list(found) == sorted(found)
    for path, record in zip(AUDIOSET_FILES, [found[key] for key in _ids_in_order_of_files()], strict=True):
        raw = clips.load(record)
        audio, rate = soundfile.read(tree / path, dtype="float32")
        assert raw.sample_rate == rate
        assert np.array_equal(raw.audio, audio), path
        assert record.duration_s == pytest.approx(raw.audio.size / rate, abs=0.06), path
        assert (record.sha256, record.native_sample_rate) == (None, None)
        assert len(raw.sha256) == 64
        assert set(record.labels) == set(segments[record.clip_id.removeprefix("audioset/")].labels)
        assert [ontology().by_name(name).mid for name in record.labels] == list(record.mids)
    assert clips.summary["without a file"] == 1
    assert clips.summary["clips"] == 7


def _ids_in_order_of_files() -> list[str]:
    return ["-0Gj8-vB1q4", "--PJHxphWEs", "Yab_cd-EfG_", "a_10_20_30b", "___________", "YYYYYYYYYYY", "0123456789_"]


def test_splits_are_the_release_s_and_the_most_telling_label_is_first(tree: Path) -> None:
    found = by_id(AudioSetClips(tree))
    assert {key: record.official_split for key, record in found.items()} == {
        key: "test" if key == "-0Gj8-vB1q4" else "train" for key in found
    }
    assert found["-0Gj8-vB1q4"].labels == ("Bark", "Dog", "Domestic animals, pets", "Animal")
    assert found["___________"].labels[0] == "Acoustic guitar"


def test_records_are_a_sequence_like_any_other(tree: Path) -> None:
    records = AudioSetClips(tree).records()
    whole = list(records)
    assert [records[i] for i in range(len(records))] == whole
    assert records[1:5:2] == whole[1:5:2]
    assert records[-1] == whole[-1]
    assert whole[3] in records
    with pytest.raises(IndexError):
        records[len(whole)]
    assert isinstance(records, ClipTable)
    some = records.only(np.array([4, 1]))
    assert list(some) == [whole[1], whole[4]]
    assert (some.find(whole[4].clip_id), some.find(whole[2].clip_id), some.find("foley/x")) == (1, None, None)
    assert records.only(np.arange(len(whole))).content_hash() == records.content_hash() != some.content_hash()


def test_a_set_that_travelled_loads_the_same(tree: Path) -> None:
    clips = AudioSetClips(tree)
    again = pickle.loads(pickle.dumps(clips))
    assert list(again.records()) == list(clips.records())
    assert again.load(clips.records()[0]).sha256 == clips.load(clips.records()[0]).sha256


def test_ids_do_not_depend_on_where_files_lie_or_what_they_are_called(tree: Path, tmp_path: Path) -> None:
    for name, segments in AUDIOSET.items():
        write_segments(tmp_path / name, segments)
    for key, path in zip(_ids_in_order_of_files(), AUDIOSET_FILES, strict=True):
        audio, rate = soundfile.read(tree / path, dtype="float32")
        write_sound(tmp_path / "flat" / f"Y{key}.flac", audio, rate)
    assert list(AudioSetClips(tmp_path).records()) == list(AudioSetClips(tree).records())


def labels_under(root: Path, **how: object) -> dict[str, tuple[str, ...]]:
    return {key: record.labels for key, record in by_id(AudioSetClips(root, **how)).items()}  # type: ignore[arg-type]


def test_specific_labels_drop_what_another_label_is_a_kind_of(tree: Path) -> None:
    found = labels_under(tree, labels="specific")
    assert found["-0Gj8-vB1q4"] == ("Bark",)
    assert set(found["Yab_cd-EfG_"]) == {"Knock", "Speech"}


def test_single_keeps_clips_of_one_sound_only(tree: Path) -> None:
    found = labels_under(tree, labels="single")
    assert found["-0Gj8-vB1q4"] == ("Bark",)
    assert found["0123456789_"] == ("Meow",)
    assert "Yab_cd-EfG_" not in found
    # "Music" lies apart from "Acoustic guitar" in the tree only if it is no ancestor of it
    assert "/m/04rlf" in ontology().ancestors(ontology().by_name("Acoustic guitar").mid)
    assert found["___________"] == ("Acoustic guitar",)


def test_spatialsoundqa_keeps_its_355_classes(tree: Path) -> None:
    assert not ontology().by_name("Church bell").in_spatialsoundqa
    found = labels_under(tree, classes="spatialsoundqa")
    assert "YYYYYYYYYYY" not in found
    kept = {label for labels in found.values() for label in labels}
    assert all(ontology().by_name(label).in_spatialsoundqa for label in kept)


def test_a_single_sound_is_called_by_the_kept_class_and_another_sound_still_counts(tree: Path) -> None:
    assert labels_under(tree, labels="single", classes=["Dog", "Knock"]) == {"-0Gj8-vB1q4": ("Dog",)}
    assert labels_under(tree, labels="all", classes=["Knock", "dog"]) == {
        "-0Gj8-vB1q4": ("Dog",),
        "Yab_cd-EfG_": ("Knock",),
    }


def test_label_quality_leaves_out_classes_that_raters_doubt(own: Path) -> None:
    write_quality(own / "qa_true_counts.csv", {"Bark": (10, 4), "Dog": (10, 9), "Rain": (10, 10), "Knock": (0, 0)})
    assert labels_under(own, min_label_quality=0.5) == {"-0Gj8-vB1q4": ("Dog",), "--PJHxphWEs": ("Rain",)}
    assert set(labels_under(own, min_label_quality=0.3)["-0Gj8-vB1q4"]) == {"Bark", "Dog"}


def test_short_segments_are_left_out(tree: Path) -> None:
    assert "a_10_20_30b" in labels_under(tree, min_clip_s=7.5)
    assert "a_10_20_30b" not in labels_under(tree, min_clip_s=8.0)


STRONG = (
    ("-0Gj8-vB1q4", 30000, 0.0, 2.0, "Bark"),  # alone: Dog is no other sound
    ("-0Gj8-vB1q4", 30000, 0.0, 3.0, "Dog"),
    ("-0Gj8-vB1q4", 30000, 4.0, 5.0, "Bark"),  # the very same stretch as Dog: the more specific one is taken
    ("-0Gj8-vB1q4", 30000, 4.0, 5.0, "Dog"),
    ("-0Gj8-vB1q4", 30000, 6.0, 8.0, "Bark"),  # overlaps with speech
    ("-0Gj8-vB1q4", 30000, 7.9, 9.0, "Speech"),
    ("-0Gj8-vB1q4", 30000, 9.0, 9.3, "Knock"),  # touches only
    ("-0Gj8-vB1q4", 30000, 9.5, 9.9, "Bark"),  # overlaps with a sound that the ontology lacks
    ("-0Gj8-vB1q4", 30000, 9.6, 9.7, "/m/not_in_it"),
    ("0123456789_", 5000, 1.25, 2.75, "Meow"),
    ("gone_gone-1", 5000, 0.0, 5.0, "Meow"),
)


def test_strong_stretches_in_which_nothing_else_sounds(own: Path) -> None:
    write_strong(own / "audioset_eval_strong.tsv", STRONG[:9])
    write_strong(own / "audioset_train_strong.tsv", STRONG[9:])
    clips = AudioSetClips(own, labels="strong")
    found = by_id(clips)
    assert {key: (r.labels, r.official_split) for key, r in found.items()} == {
        "-0Gj8-vB1q4/0-2000": (("Bark",), "test"),
        "-0Gj8-vB1q4/0-3000": (("Dog",), "test"),
        "-0Gj8-vB1q4/4000-5000": (("Bark",), "test"),
        "-0Gj8-vB1q4/9000-9300": (("Knock",), "test"),
        "0123456789_/1250-2750": (("Meow",), "train"),
    }
    assert list(found) == sorted(found)
    raw = clips.load(found["0123456789_/1250-2750"])
    whole, rate = soundfile.read(own / "Y0123456789__5.000.wav", dtype="float32")
    assert np.array_equal(raw.audio, whole[round(1.25 * rate) : round(2.75 * rate)])
    assert found["0123456789_/1250-2750"].duration_s == 1.5
    assert set(by_id(AudioSetClips(own, labels="strong", min_clip_s=1.0, classes=["Bark", "Knock"]))) == {
        "-0Gj8-vB1q4/0-2000",
        "-0Gj8-vB1q4/4000-5000",
    }


def test_all_stretches_of_a_file_are_in_one_split_and_the_evaluation_s_win(own: Path) -> None:
    write_strong(own / "audioset_train_strong.tsv", [*STRONG[:4], *STRONG[9:]])
    write_strong(own / "audioset_eval_strong.tsv", [("-0Gj8-vB1q4", 30000, 9.0, 9.3, "Knock")])
    found = by_id(AudioSetClips(own, labels="strong"))
    assert {key: (r.origin, r.official_split) for key, r in found.items()} == {
        "-0Gj8-vB1q4/0-2000": ("audioset/-0Gj8-vB1q4", "test"),
        "-0Gj8-vB1q4/0-3000": ("audioset/-0Gj8-vB1q4", "test"),
        "-0Gj8-vB1q4/4000-5000": ("audioset/-0Gj8-vB1q4", "test"),
        "-0Gj8-vB1q4/9000-9300": ("audioset/-0Gj8-vB1q4", "test"),
        "0123456789_/1250-2750": ("audioset/0123456789_", "train"),
    }
    assert {r.origin for r in AudioSetClips(own).records()} == {r.clip_id for r in AudioSetClips(own).records()}


def test_a_whole_video_is_not_taken_for_its_segment(own: Path) -> None:
    write_strong(own / "audioset_train_strong.tsv", STRONG[9:])
    clips, strong = AudioSetClips(own), AudioSetClips(own, labels="strong")
    short = "a_10_20_30b"  # 7.5 s long
    for name, key, good_s, bad_s, said in (
        ("Y0123456789__5.000.wav", "0123456789_", 10.9, 11.2, r"too long: 11\.2 s, over 11 s"),
        (f"train/deep/{short}_12000_19500.mp3", short, 8.3, 9.0, r"too long: 9(\.\d+)? s, over 8\.5 s"),
    ):
        write_sound(own / name, sound("meow", duration_s=good_s))
        assert clips.load(by_id(clips)[key]).audio.size
        write_sound(own / name, sound("meow", duration_s=bad_s))
        with pytest.raises(ClipError, match=said) as caught:
            clips.load(by_id(clips)[key])
        assert not isinstance(caught.value, ClipGoneError)
    with pytest.raises(ClipError, match=r"too long: 11\.2 s, over 11 s"):
        strong.load(strong.records()[0])


def test_the_hash_of_a_set_says_which_file_serves_an_id(own: Path, tmp_path: Path) -> None:
    def content_hash(root: Path) -> str:
        records = AudioSetClips(root).records()
        assert isinstance(records, ClipTable)
        return records.content_hash()

    before = content_hash(own)
    assert content_hash(Path(shutil.copytree(own, tmp_path / "elsewhere"))) == before
    (own / "notes.txt").touch()
    assert content_hash(own) == before
    (own / "YYYYYYYYYYY.WAV").rename(own / "YYYYYYYYYYY_70.wav")
    renamed = content_hash(own)
    (own / "YYYYYYYYYYY_70.wav").rename(own / "train/YYYYYYYYYYY_70.wav")
    assert len({before, renamed, content_hash(own)}) == 3


def test_a_stretch_that_its_file_lacks_is_refused(own: Path) -> None:
    write_strong(own / "audioset_train_strong.tsv", STRONG[9:])
    clips = AudioSetClips(own, labels="strong")
    write_sound(own / "Y0123456789__5.000.wav", sound("meow", duration_s=1.5))
    with pytest.raises(ClipError, match=r"too short: it ends at 1\.500 s") as caught:
        clips.load(clips.records()[0])
    assert not isinstance(caught.value, ClipGoneError)


def test_a_broken_file_is_a_bad_clip_and_a_vanished_one_is_gone(own: Path) -> None:
    clips = AudioSetClips(own)
    found = by_id(clips)
    (own / "YYYYYYYYYYY.WAV").write_bytes(b"RIFF....WAVE no sound")
    (own / "train/--PJHxphWEs_30.flac").write_bytes((own / "train/--PJHxphWEs_30.flac").read_bytes()[:5000])
    write_sound(own / "eval/Y-0Gj8-vB1q4.wav", np.zeros(44100, dtype=np.float32))
    (own / "Y0123456789__5.000.wav").unlink()
    for key, said in [("YYYYYYYYYYY", "unreadable: "), ("--PJHxphWEs", "unreadable: "), ("-0Gj8-vB1q4", "silent: ")]:
        with pytest.raises(ClipError, match=said) as caught:
            clips.load(found[key])
        assert not isinstance(caught.value, ClipGoneError)
        assert key in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ClipGoneError, match="cannot be read: No such file"):
        clips.load(found["0123456789_"])
    with pytest.raises(ClipError, match="not a clip of AudioSet"):
        clips.load(ClipRecord("audioset/zzzzzzzzzzz", None, None, 1.0, None, ("Dog",), ("/m/0bt9lr",)))


def test_files_that_are_not_used_are_told_with_the_reason(own: Path) -> None:
    write_sound(own / "music.wav", sound("bark"))
    write_sound(own / "train/Yzzzzzzzzzzz.wav", sound("bark"))
    write_sound(own / "train/--PJHxphWEs_40.wav", sound("bark"))
    write_sound(own / "train/Y-0Gj8-vB1q4.flac", sound("bark"))
    (own / "notes.txt").write_text("passed over")
    clips = AudioSetClips(own)
    assert {r.path: r.reason.split(":")[0] for r in clips.rejected() if "/" in r.path or "." in r.path} == {
        "music.wav": "name",
        "train/Yzzzzzzzzzzz.wav": "unlisted",
        "train/--PJHxphWEs_40.wav": "time",
        "train/Y-0Gj8-vB1q4.flac": "duplicate",
    }
    assert ("(segment lists)", "without a file: 1 rows") in [(r.path, r.reason) for r in clips.rejected()]
    raw = clips.load(by_id(clips)["-0Gj8-vB1q4"])
    assert raw.audio.size == 10 * raw.sample_rate  # the WAV in eval/, not the FLAC, which has another length


def test_a_million_stray_files_are_not_listed_one_by_one(own: Path) -> None:
    for i in range(MOST_LISTED + 5):
        (own / "stray" / f"Y{i:011d}.wav").parent.mkdir(exist_ok=True)
        (own / "stray" / f"Y{i:011d}.wav").touch()
    clips = AudioSetClips(own)
    stray = [r for r in clips.rejected() if r.reason.startswith("unlisted")]
    assert len(stray) == MOST_LISTED + 1
    assert stray[0].reason == "unlisted: 5 more files: no segment list names it"
    assert stray[1].path == "stray/Y00000000000.wav"
    assert clips.summary["unlisted"] == MOST_LISTED + 5


def test_a_video_of_two_lists_is_never_trained_on(own: Path) -> None:
    write_segments(own / "csv/unbalanced_train_segments.csv", AUDIOSET["eval_segments.csv"])
    clips = AudioSetClips(own)
    assert by_id(clips)["-0Gj8-vB1q4"].official_split == "test"
    assert clips.summary["repeated"] == 1


def test_lists_may_be_given(tree: Path, tmp_path: Path) -> None:
    mine = write_segments(tmp_path / "mine.csv", AUDIOSET["eval_segments.csv"])
    (record,) = AudioSetClips(tree, lists=[mine]).records()
    assert (record.clip_id, record.official_split) == ("audioset/-0Gj8-vB1q4", None)


def refused(root: Path, **how: object) -> str:
    with pytest.raises(ClipError) as caught:
        AudioSetClips(root, **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_one(root: Path, text: str) -> None:
    (root / "eval_segments.csv").write_text(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("YTID,start,end,labels,split\n", "line 1 is 'YTID,start,end,labels,split', not YTID, start_seconds"),
        ('# x\n-0Gj8-vB1q4, 30.000, 40.000, "/m/05tny_", 1\n', "line 2 is"),
        ("-0Gj8-vB1q4_30000\t0.0\t1.0\t/m/05tny_\n", "line 1 is"),
        ('# x\n-0Gj8-vB1q4, 30.000, 40.000, "/m/05tny_"\n--PJHx', "line 3 is '--PJHx'"),
        ('-0Gj8-vB1q4, 40.000, 30.000, "/m/05tny_"\n', "the segment of -0Gj8-vB1q4 ends before it begins"),
        (
            '# x\n\n-0Gj8-vB1q4, 30.000, 1000000.5, "/m/05tny_"\n',
            "line 3: the segment of -0Gj8-vB1q4 ends later than 1000000 s",
        ),
        (f'-0Gj8-vB1q4, 30.000, {"9" * 400}, "/m/05tny_"\n', "line 1: the segment of -0Gj8-vB1q4 ends later"),
        ("# only\n# comments\n", "names no segment"),
        ("", "is empty"),
        ('zzzzzzzzzzz, 30.000, 40.000, "/m/05tny_"\n', "no usable clip in"),
    ],
)
def test_a_list_of_another_release_is_refused(tree: Path, tmp_path: Path, text: str, said: str) -> None:
    write_one(tmp_path, text)
    assert said in refused(tree, lists=[tmp_path / "eval_segments.csv"])


def test_a_list_that_is_no_text_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "eval_segments.csv").write_bytes(b"\xff\xfe" + bytes(range(256)))
    refused(tree, lists=[tmp_path / "eval_segments.csv"])
    assert "cannot be read" in refused(tree, lists=[tmp_path / "none.csv"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filename\tonset\toffset\tevent_label\nx\t0\t1\ty\n", "has the columns filename, onset"),
        ("segment_id\tstart_time_seconds\tend_time_seconds\tlabel\nshort_1\t0.0\t1.0\t/m/05tny_\n", "line 2"),
        ("segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n-0Gj8-vB1q4_0\t2.0\t1.0\t/m/05tny_\n", "line 2"),
        (
            "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n-0Gj8-vB1q4_0\tx\t1.0\t/m/05tny_\n",
            "not a strong label",
        ),
        ("", "not a strong label"),
    ],
)
def test_a_strong_table_of_another_release_is_refused(own: Path, text: str, said: str) -> None:
    (own / "audioset_eval_strong.tsv").write_text(text)
    assert said in refused(own, labels="strong")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,score\nx,1\n", "has the columns label, score"),
        ("label_id,num_rated,num_true\n/m/05tny_,10,eleven\n", "line 2"),
        ("label_id,num_rated,num_true\n/m/05tny_,10,11\n", "11 true of 10 rated"),
        ("label_id,num_rated,num_true\nx,10,1\n", "rates no AudioSet class"),
    ],
)
def test_a_quality_table_of_another_release_is_refused(own: Path, text: str, said: str) -> None:
    (own / "qa_true_counts.csv").write_text(text)
    assert said in refused(own, min_label_quality=0.5)


def test_a_wish_that_cannot_be_met_is_refused(tree: Path, own: Path) -> None:
    assert "'Dogg' is not an AudioSet class; the nearest are 'Dog'" in refused(tree, classes=["Dogg"])
    assert "use all, spatialsoundqa, or a list" in refused(tree, classes="spatial")
    assert "labels 'weak' is not known" in refused(tree, labels="weak")
    assert "looked for audioset_eval_strong.tsv" in refused(tree, labels="strong")
    assert "holds no qa_true_counts.csv" in refused(tree, min_label_quality=0.5)
    write_quality(own / "qa_true_counts.csv", {"Bark": (10, 4)})
    assert "no class has a label quality of 0.9" in refused(own, min_label_quality=0.9)
    shutil.rmtree(own / "csv")
    assert "looked for eval_segments.csv, balanced_train_segments.csv" in refused(own)
    assert "is not a folder" in refused(own / "nowhere")


@pytest.mark.parametrize("labels", ["all", "single"])
def test_no_file_of_any_segment_is_told_with_counts(tmp_path: Path, labels: str) -> None:
    write_segments(tmp_path / "eval_segments.csv", AUDIOSET["eval_segments.csv"])
    assert refused(tmp_path, labels=labels).endswith("1 segments, 1 without a file, 0 clips")


def test_the_root_is_looked_for_in_three_places(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_root(tree, {}) == tree
    assert find_root(None, {"SPATIALQA_AUDIOSET_ROOT": str(tree)}) == tree
    with pytest.raises(
        ClipError, match=r"--audioset-root \(not given\), \$SPATIALQA_AUDIOSET_ROOT \(not set\).*research.google.com"
    ):
        find_root(None, {})
    with pytest.raises(ClipError, match=r"\$SPATIALQA_AUDIOSET_ROOT, /not/there, is not a folder"):
        find_root(None, {"SPATIALQA_AUDIOSET_ROOT": "/not/there"})
    with pytest.raises(ClipError, match=r"the given root, /not/there, is not a folder"):
        find_root("/not/there", {"SPATIALQA_AUDIOSET_ROOT": str(tree)})
    DEFAULT_ROOT.mkdir(parents=True)
    assert find_root(None, {}) == DEFAULT_ROOT


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_listed(own: Path) -> None:
    (own / "train").chmod(0)
    try:
        assert "cannot be listed" in refused(own)
    finally:
        (own / "train").chmod(0o755)


def test_files_named_by_whole_seconds_of_a_broken_start(tmp_path: Path) -> None:
    segments: Sequence[Segment] = [Segment("abcdefghijk", 30.5, ("Bark",))]
    for name in ("abcdefghijk_30.wav", "abcdefghijk_30500.wav", "Yabcdefghijk_30.5_40.5.wav", "abcdefghijk_30.500.wav"):
        root = tmp_path / name
        write_segments(root / "eval_segments.csv", segments)
        write_sound(root / name, sound("bark"))
        assert len(open_audioset(root).records()) == 1, name
    for name in ("abcdefghijk_31.wav", "abcdefghijk_305.wav", "abcdefghijk_30.5_35.5.wav", "abcdefghijk_.wav"):
        root = tmp_path / name
        write_segments(root / "eval_segments.csv", segments)
        write_sound(root / name, sound("bark"))
        with pytest.raises(ClipError):
            open_audioset(root)
