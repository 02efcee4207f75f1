import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialqa.clips.audioset.clips import AudioSetClips, open_audioset
from spatialqa.clips.audioset.hub_parquet import HubAudioSetClips
from spatialqa.clips.clip import ClipRecord, ClipSet
from spatialqa.clips.clip_table import ClipTable
from spatialqa.errors import ClipError, ClipGoneError
from tests.fixtures.audioset import Segment, flac_bytes, sound, write_hub, write_segments, write_sound

SLUGS = ("bark", "rain", "knock", "meow", "chime")
IDS = ("-0Gj8-vB1q4", "--PJHxphWEs", "Yab_cd-EfG_", "0123456789_", "YYYYYYYYYYY")
LABELS = (("Bark", "Dog"), ("Rain",), ("Knock", "Speech"), ("Meow",), ("Church bell",))


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    rows = [(i, flac_bytes(sound(s)), own) for i, s, own in zip(IDS, SLUGS, LABELS, strict=True)]
    write_hub(tmp_path / "data/bal_train/00.parquet", rows[1:4])
    write_hub(tmp_path / "data/eval/00.parquet", rows[:1])
    write_hub(tmp_path / "data/unbal_train/017.parquet", rows[4:])
    return tmp_path


def by_id(clips: ClipSet) -> dict[str, ClipRecord]:
    return {record.clip_id.removeprefix("audioset/"): record for record in clips.records()}


def test_every_row_is_listed_and_loads_its_own_sound(hub: Path) -> None:
    clips = open_audioset(hub)
    assert isinstance(clips, HubAudioSetClips)
    found = by_id(clips)
    assert list(found) == sorted(IDS)
    for key, slug, labels in zip(IDS, SLUGS, LABELS, strict=True):
        raw = clips.load(found[key])
        assert np.abs(raw.audio - sound(slug)).max() < 1e-4, key
        assert set(found[key].labels) == set(labels)
        assert found[key].official_split == ("test" if key == IDS[0] else "train")
    assert pickle.loads(pickle.dumps(clips)).load(found[IDS[3]]).sha256 == clips.load(found[IDS[3]]).sha256


def test_filters_are_those_of_audioset(hub: Path) -> None:
    assert set(by_id(open_audioset(hub, labels="single"))) == set(IDS) - {"Yab_cd-EfG_"}
    assert set(by_id(open_audioset(hub, classes="spatialsoundqa"))) == set(IDS) - {"YYYYYYYYYYY"}
    assert by_id(open_audioset(hub, labels="specific"))["-0Gj8-vB1q4"].labels == ("Bark",)
    with pytest.raises(ClipError, match="'Bakr' is not an AudioSet class"):
        open_audioset(hub, classes=["Bakr"])
    with pytest.raises(ClipError, match="no strongly labelled times"):
        open_audioset(hub, labels="strong")
    with pytest.raises(ClipError, match="of 5 rows none passes"):
        open_audioset(hub, classes=["Banjo"])


def test_a_broken_sound_is_a_bad_clip(hub: Path) -> None:
    write_hub(
        hub / "data/eval/01.parquet",
        [("aaaaaaaaaaa", b"fLaC no sound", ["Bark"]), ("bbbbbbbbbbb", None, ["Bark"]), ("ccccccccccc", b"", ["Bark"])],
    )
    clips = open_audioset(hub)
    for key in ("aaaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc"):
        with pytest.raises(ClipError, match="unreadable: ") as caught:
            clips.load(by_id(clips)[key])
        assert not isinstance(caught.value, ClipGoneError)
        assert key in str(caught.value)


def test_a_file_that_vanished_or_changed_is_gone(hub: Path) -> None:
    clips = open_audioset(hub)
    found = by_id(clips)
    (hub / "data/eval/00.parquet").unlink()
    with pytest.raises(ClipGoneError, match="cannot be read: .*start again"):
        clips.load(found[IDS[0]])
    write_hub(hub / "data/unbal_train/017.parquet", [("zzzzzzzzzzz", flac_bytes(sound("rain")), ["Rain"])])
    with pytest.raises(ClipGoneError, match="has changed since it was listed"):
        clips.load(found["YYYYYYYYYYY"])


def test_files_that_are_no_audioset_are_left_out_with_the_reason(hub: Path) -> None:
    pq.write_table(pa.table({"text": ["x"]}), hub / "data/other.parquet")
    whole = (hub / "data/bal_train/00.parquet").read_bytes()
    (hub / "data/bal_train/cut.parquet").write_bytes(whole[: len(whole) // 2])
    wrong = pa.table({"video_id": ["aaaaaaaaaaa"], "audio": [b"x"], "labels": [["/m/05tny_"]]})
    pq.write_table(wrong, hub / "data/bal_train/wrong.parquet")
    os.mkfifo(hub / "data/bal_train/pipe.parquet")  # would block if it were opened
    clips = open_audioset(hub)
    assert set(by_id(clips)) == set(IDS)
    why = {reject.path: reject.reason for reject in clips.rejected()}
    assert why["data/other.parquet"] == "columns: it lacks video_id, audio, labels; it has text"
    assert why["data/bal_train/cut.parquet"].startswith("unreadable: ")
    assert why["data/bal_train/pipe.parquet"] == "unreadable: is a pipe, not a file"
    assert why["data/bal_train/wrong.parquet"].startswith("columns: audio is binary")
    for name in ("eval/00.parquet", "bal_train/00.parquet", "unbal_train/017.parquet"):
        (hub / "data" / name).unlink()
    with pytest.raises(ClipError, match="holds no Parquet file of AudioSet as the hub has them; the first: data/bal"):
        open_audioset(hub)


def test_parquet_files_beside_sounds_are_not_taken_for_the_hub_s(hub: Path) -> None:
    write_segments(hub / "eval_segments.csv", [Segment("aaaaaaaaaaa", 0.0, ("Bark",))])
    assert isinstance(open_audioset(hub), HubAudioSetClips)
    write_sound(hub / "aaaaaaaaaaa.wav", sound("bark"))
    clips = open_audioset(hub)
    assert isinstance(clips, AudioSetClips)
    assert set(by_id(clips)) == {"aaaaaaaaaaa"}


def test_a_whole_video_is_not_taken_for_its_segment(hub: Path) -> None:
    rows = [("aaaaaaaaaaa", 11.2), ("bbbbbbbbbbb", 10.9)]
    write_hub(hub / "data/eval/01.parquet", [(i, flac_bytes(sound("bark", 0, s)), ["Bark"]) for i, s in rows])
    clips = open_audioset(hub)
    found = by_id(clips)
    assert found["aaaaaaaaaaa"].origin == "audioset/aaaaaaaaaaa"
    assert clips.load(found["bbbbbbbbbbb"]).audio.size
    with pytest.raises(ClipError, match=r"too long: 11\.2 s, over 11 s"):
        clips.load(found["aaaaaaaaaaa"])


def test_a_root_that_is_one_part_of_the_hub_s_has_its_split(hub: Path, tmp_path: Path) -> None:
    for name, split in (("eval", "test"), ("bal_train", "train"), ("unbal_train", "train")):
        assert {record.official_split for record in open_audioset(hub / "data" / name).records()} == {split}
    (hub / "data/eval").rename(tmp_path / "latest")  # which holds the letters of "test"
    assert {record.official_split for record in open_audioset(tmp_path / "latest").records()} == {None}


def test_the_hash_of_a_set_says_which_row_serves_an_id(hub: Path, tmp_path: Path) -> None:
    def content_hash(root: Path) -> str:
        records = open_audioset(root).records()
        assert isinstance(records, ClipTable)
        return records.content_hash()

    before = content_hash(hub)
    (hub / "data/eval/00.parquet").rename(hub / "data/eval/01.parquet")
    renamed = content_hash(hub)
    one = flac_bytes(sound("bark"))
    write_hub(hub / "data/unbal_train/017.parquet", [("YYYYYYYYYYY", one, LABELS[4]), (IDS[3], one, LABELS[3])])
    (hub / "data/unbal_train/017.parquet").rename(hub / "data/bal_train/000.parquet")
    assert len({before, renamed, content_hash(hub)}) == 3
    # the same clips in the form of files are other bytes
    write_segments(tmp_path / "files/eval_segments.csv", [Segment("aaaaaaaaaaa", 0.0, ("Bark",))])
    write_sound(tmp_path / "files/aaaaaaaaaaa.wav", sound("bark"))
    write_hub(tmp_path / "rows/eval/00.parquet", [("aaaaaaaaaaa", flac_bytes(sound("bark")), ["Bark"])])
    assert content_hash(tmp_path / "files") != content_hash(tmp_path / "rows")


def test_a_video_in_two_files_is_taken_from_the_evaluation(hub: Path) -> None:
    write_hub(hub / "data/bal_train/01.parquet", [(IDS[0], flac_bytes(sound("rain")), ["Rain"])])
    clips = open_audioset(hub)
    record = by_id(clips)[IDS[0]]
    assert (record.official_split, record.labels) == ("test", ("Bark", "Dog"))
    assert ("(rows)", "repeated: 1 rows") in [(reject.path, reject.reason) for reject in clips.rejected()]
