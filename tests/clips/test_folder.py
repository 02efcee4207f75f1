import hashlib
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from spatialqa.clips.folder import FolderClips
from spatialqa.clips.sound_files import misspelt_labels
from spatialqa.errors import ClipError

DOG, BARK, MALE = "/m/0bt9lr", "/m/05tny_", "/m/05zppz"


def tone(frequency_hz: float = 440.0, duration_s: float = 0.5, sample_rate: int = 44100) -> npt.NDArray[np.float32]:
    t = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def put(path: Path, audio: npt.NDArray[np.float32] | None = None, sample_rate: int = 44100, **how: str) -> Path:
    """Write a sound that no other path has, so that nothing is a duplicate by chance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = 200.0 + int(hashlib.sha256(path.name.encode()).hexdigest()[:4], 16) / 20
    soundfile.write(path, tone(own, sample_rate=sample_rate) if audio is None else audio, sample_rate, **how)
    return path


def reasons(clips: FolderClips) -> dict[str, str]:
    return {clip.path: clip.reason for clip in clips.rejected()}


@pytest.mark.parametrize(
    ("name", "how", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_16"}, 1e-4),
        ("b.wav", {"subtype": "FLOAT"}, 0.0),
        ("c.flac", {"subtype": "PCM_24"}, 1e-6),
        ("d.ogg", {}, 0.03),
        ("e.opus", {"format": "OGG", "subtype": "OPUS"}, 0.1),
        ("f.mp3", {}, 0.03),
        ("G.WAV", {}, 1e-4),
    ],
)
def test_every_format_is_read(tmp_path: Path, name: str, how: dict[str, str], tolerance: float) -> None:
    rate = 48000
    path = put(tmp_path / "Dog" / name, tone(440, 1.0, rate), rate, **how)
    clips = FolderClips(tmp_path)
    (record,) = clips.records()
    assert record.clip_id == f"Dog/{name}"
    assert record.native_sample_rate == rate
    assert record.duration_s == pytest.approx(1.0, abs=0.06)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    raw = clips.load(record)
    assert (raw.sample_rate, raw.sha256) == (rate, record.sha256)
    assert raw.audio.dtype == np.float32
    assert raw.audio.shape == (round(record.duration_s * rate),)
    middle = slice(12000, 36000)
    assert np.abs(raw.audio[middle] - tone(440, 1.0, rate)[middle]).max() <= tolerance


def test_channel_0_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "Dog" / "a.wav", np.stack([tone(300), np.zeros_like(tone(300))], axis=1), subtype="FLOAT")
    clips = FolderClips(tmp_path)
    assert np.array_equal(clips.load(clips.records()[0]).audio, tone(300))


def test_a_long_mp3_is_the_same_as_when_decoded_in_one_go(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).normal(0, 0.1, 44100 * 13).astype(np.float32)
    path = put(tmp_path / "Noise" / "a.mp3", noise)
    clips = FolderClips(tmp_path)
    whole, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(clips.load(clips.records()[0]).audio, whole)


def test_labels_come_from_the_nearest_folder_that_is_one(tmp_path: Path) -> None:
    put(tmp_path / "Animal" / "dog" / "session 1" / "a.wav")
    put(tmp_path / "train" / "Male_speech_and_man_speaking" / "b.wav")
    put(tmp_path / "Dog;Bark" / "c.wav")
    put(tmp_path / "dog__bow_wow" / "d.wav")
    put(tmp_path / "m_05tny_" / "e.wav")
    labels = {record.clip_id: (record.labels, record.mids) for record in FolderClips(tmp_path).records()}
    assert labels == {
        "Animal/dog/session 1/a.wav": (("Dog",), (DOG,)),
        "train/Male_speech_and_man_speaking/b.wav": (("Male speech, man speaking",), (MALE,)),
        "Dog;Bark/c.wav": (("Dog", "Bark"), (DOG, BARK)),
        "dog__bow_wow/d.wav": (("Dog", "Bow-wow"), (DOG, "/m/07rc7d9")),
        "m_05tny_/e.wav": (("Bark",), (BARK,)),
    }


def labels_of(root: Path, *paths: str, custom: bool = False) -> dict[str, str | None]:
    """The first label of each file, None where it is left out with the hint that its folder is no class."""
    for path in paths:
        put(root / path)
    other = "Dog/always.wav"
    put(root / "elsewhere" / other)
    clips = FolderClips(root, unknown_labels="custom" if custom else "error")
    labels: dict[str, str | None] = {record.clip_id: record.labels[0] for record in clips.records()}
    for path, reason in reasons(clips).items():
        assert reason.startswith("unlabelled: ")
        assert "names a part of a data set, not a sound; put it into or around folders named after sounds" in reason
        labels[path] = None
    assert labels.pop(f"elsewhere/{other}") == "Dog"
    return labels


PARTS = ("train", "Train", "training", "test", "validation", "valid", "val", "dev", "eval", "evaluation", "fold1")


@pytest.mark.parametrize("part", [*PARTS, "test_set", "fold_10", "split2", "DEV"])
def test_a_folder_that_names_a_part_of_a_data_set_is_no_class(tmp_path: Path, part: str) -> None:
    paths = (f"Dog/{part}/a.wav", f"set/{part}/Bark/b.wav", f"set/{part}/c.wav", "set/test/Bark/d.wav")
    found = labels_of(tmp_path, *paths)
    assert [found[path] for path in paths] == ["Dog", "Bark", None, "Bark"]
    found = labels_of(tmp_path / "custom", f"my robot/{part}/a.wav", f"my robot/{part}/deeper/b.wav", custom=True)
    assert found == {f"my robot/{part}/a.wav": "my robot", f"my robot/{part}/deeper/b.wav": "deeper"}


def test_a_flat_train_and_test_folder_gets_a_hint(tmp_path: Path) -> None:
    for path in ("train/a.wav", "test/b.wav", "fold1/c.wav"):
        put(tmp_path / path)
    for unknown in ("error", "custom"):
        with pytest.raises(ClipError, match="3 unlabelled.*'fold1' names a part of a data set, not a sound"):
            FolderClips(tmp_path, unknown_labels=unknown)


@pytest.mark.parametrize("name", ["Train", "train"])
def test_beside_other_classes_train_is_the_vehicle(tmp_path: Path, name: str) -> None:
    found = labels_of(tmp_path, f"{name}/a.wav", "Car/b.wav", f"test/{name}/c.wav", "test/Car/d.wav")
    # at the top a folder `test` lies beside it
    assert found == {f"{name}/a.wav": None, "Car/b.wav": "Car", f"test/{name}/c.wav": "Train", "test/Car/d.wav": "Car"}
    shutil.rmtree(tmp_path / "test")
    assert labels_of(tmp_path) == {f"{name}/a.wav": "Train", "Car/b.wav": "Car"}
    shutil.rmtree(tmp_path / "Car")
    assert labels_of(tmp_path / "deeper", f"Vehicle/{name}/a.wav", "Vehicle/Car/b.wav") == {
        f"Vehicle/{name}/a.wav": "Train",
        "Vehicle/Car/b.wav": "Car",
    }
    assert labels_of(tmp_path / "by mid", "m_07jdr/a.wav", "test/Dog/b.wav")["m_07jdr/a.wav"] == "Train"


CASE = Path(__file__).parents[3] / "shared" / "cases" / "folder_train_is_a_class"


@pytest.mark.skipif(not CASE.is_dir(), reason="the shared cases are not here")
def test_the_shared_case_of_folders_named_train() -> None:
    assert {record.labels for record in FolderClips(CASE / "clips").records()} == {("Dog",)}
    with pytest.raises(ClipError, match="4 unlabelled"):
        FolderClips(CASE / "flat")


def test_unknown_labels_are_left_out_with_the_nearest_or_kept_as_custom(tmp_path: Path) -> None:
    put(tmp_path / "Dog" / "a.wav")
    put(tmp_path / "Dogg" / "b.wav")
    put(tmp_path / "my_robot__Dog" / "c.wav")
    put(tmp_path / "Human sounds" / "d.wav")
    put(tmp_path / "__" / "e.wav")
    clips = FolderClips(tmp_path)
    assert [r.clip_id for r in clips.records()] == ["Dog/a.wav"]
    assert reasons(clips)["Dogg/b.wav"].startswith(
        "unknown label: 'Dogg' is not an AudioSet class; the nearest are 'Dog'"
    )
    assert "heading" in reasons(clips)["Human sounds/d.wav"]
    assert reasons(clips)["__/e.wav"].startswith("unlabelled: ")
    custom = FolderClips(tmp_path, unknown_labels="custom")
    assert {r.clip_id: (r.labels, r.mids) for r in custom.records()} == {
        "Dog/a.wav": (("Dog",), (DOG,)),
        "Dogg/b.wav": (("Dogg",), (None,)),
        "my_robot__Dog/c.wav": (("my robot", "Dog"), (None, DOG)),
    }
    assert "heading" in reasons(custom)["Human sounds/d.wav"]


def test_bad_files_are_listed_with_the_reason_and_the_good_ones_kept(tmp_path: Path) -> None:
    dog = tmp_path / "Dog"
    put(dog / "good.wav")
    put(dog / "zeros.wav", np.zeros(22050, dtype=np.float32))
    put(dog / "hush.wav", tone() * np.float32(1e-4), subtype="FLOAT")
    put(dog / "right only.wav", np.stack([np.zeros_like(tone()), tone()], axis=1))
    put(dog / "short.wav", tone(duration_s=0.05))
    put(dog / "none.wav", tone(duration_s=0.0))
    put(dog / "nan.wav", np.full(22050, np.nan, dtype=np.float32), subtype="FLOAT")
    put(dog / "cut.flac").write_bytes(put(dog / "cut.flac").read_bytes()[:9000])
    put(dog / "cut.ogg").write_bytes(put(dog / "cut.ogg").read_bytes()[:2000])
    (dog / "text.wav").write_text("this is no sound")
    (dog / "empty.mp3").touch()
    (dog / "film.m4a").write_bytes(b"\0" * 100)
    (dog / "notes.txt").write_text("passed over")
    (dog / "._good.wav").write_text("passed over")
    put(tmp_path / "stray.wav")
    clips = FolderClips(tmp_path)
    assert [r.clip_id for r in clips.records()] == ["Dog/good.wav"]
    kinds = {path: reason.split(":")[0] for path, reason in reasons(clips).items()}
    assert kinds == {
        "Dog/zeros.wav": "silent",
        "Dog/hush.wav": "silent",
        "Dog/right only.wav": "silent",
        "Dog/short.wav": "too short",
        "Dog/none.wav": "too short",
        "Dog/nan.wav": "unreadable",
        "Dog/cut.flac": "unreadable",
        "Dog/cut.ogg": "unreadable",
        "Dog/text.wav": "unreadable",
        "Dog/empty.mp3": "unreadable",
        "Dog/film.m4a": "unsupported",
        "stray.wav": "unlabelled",
    }
    assert list(reasons(clips)) == sorted(reasons(clips))
    assert all("\n" not in reason and str(tmp_path) not in reason for reason in reasons(clips).values())


def test_duration_limits(tmp_path: Path) -> None:
    put(tmp_path / "Dog" / "a.wav", tone(duration_s=0.3))
    put(tmp_path / "Dog" / "b.wav", tone(duration_s=0.6))
    put(tmp_path / "Dog" / "c.wav", tone(duration_s=1.2))
    clips = FolderClips(tmp_path, min_duration_s=0.5, max_duration_s=1.0)
    assert [r.clip_id for r in clips.records()] == ["Dog/b.wav"]
    assert reasons(clips)["Dog/c.wav"].startswith("too long: 1.2 s, over 1 s")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such names")
def test_a_name_that_is_not_utf8_is_listed(tmp_path: Path) -> None:
    good = put(tmp_path / "Dog" / "hünd 犬.wav")
    shutil.copy(good, os.fsdecode(os.fsencode(tmp_path) + b"/Dog/h\xfcnd.wav"))
    clips = FolderClips(tmp_path)
    assert [r.clip_id for r in clips.records()] == ["Dog/hünd 犬.wav"]
    assert reasons(clips) == {"Dog/h\\xfcnd.wav": "name: it is not UTF-8; rename the file or its folder"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_links_loops_and_pipes_do_not_hang(tmp_path: Path) -> None:
    good = put(tmp_path / "set" / "Dog" / "a.wav")
    elsewhere = put(tmp_path / "elsewhere" / "b.wav")
    (good.parent / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    (good.parent / "b.wav").symlink_to(elsewhere)
    (good.parent / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(good.parent / "pipe.wav")
    clips = FolderClips(tmp_path / "set")
    assert [r.clip_id for r in clips.records()] == ["Dog/a.wav", "Dog/b.wav"]
    kinds = {path: reason.split(":")[0] for path, reason in reasons(clips).items()}
    assert kinds == {"Dog/loop": "link", "Dog/gone.wav": "unreadable", "Dog/pipe.wav": "unreadable"}


def test_equal_content_is_kept_once_a_label(tmp_path: Path) -> None:
    first = put(tmp_path / "Dog" / "a.wav")
    (tmp_path / "Bark").mkdir()
    shutil.copy(first, tmp_path / "Dog" / "b.wav")
    shutil.copy(first, tmp_path / "Bark" / "c.wav")
    clips = FolderClips(tmp_path)
    assert [r.clip_id for r in clips.records()] == ["Bark/c.wav", "Dog/a.wav"]
    assert len({r.sha256 for r in clips.records()}) == 1
    assert reasons(clips) == {"Dog/b.wav": "duplicate: same content and labels as Dog/a.wav"}


def test_a_csv_gives_labels_licences_and_attributions(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d.wav", "sub/e.wav"):
        put(tmp_path / name)
    (tmp_path / "labels.csv").write_text(
        "\ufeffpath,Label,mid,licence,attribution,rating\n"
        'a.wav,"Male speech, man speaking; Dog",,CC0-1.0,"A, B",5\n'
        f"b.wav,,{DOG};{BARK},,\n"
        f"./c.wav,dog,{DOG},CC-BY-4.0,C\n"
        "\n"
        f"{tmp_path}/sub/e.wav,bark,,,\n",
        encoding="utf-8",
    )
    clips = FolderClips(tmp_path, licence="proprietary")
    found = {r.clip_id: (r.labels, r.mids, r.licence, r.attribution) for r in clips.records()}
    assert found == {
        "a.wav": (("Male speech, man speaking", "Dog"), (MALE, DOG), "CC0-1.0", "A, B"),
        "b.wav": (("Dog", "Bark"), (DOG, BARK), "proprietary", None),
        "c.wav": (("Dog",), (DOG,), "CC-BY-4.0", "C"),
        "sub/e.wav": (("Bark",), (BARK,), "proprietary", None),
    }
    assert reasons(clips) == {"d.wav": "unlabelled: labels.csv does not name it"}


def test_rows_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d.wav", "e.wav", "Dog/f.wav"):
        put(tmp_path / name)
    (tmp_path / "old.m4a").write_bytes(b"\0")
    sha = hashlib.sha256((tmp_path / "a.wav").read_bytes()).hexdigest()
    table = tmp_path / "elsewhere.tsv"
    table.write_text(
        "# a comment\npath\tlabel\tmid\tsha256\n"
        f"a.wav\tDog\t\t{sha}\nb.wav\tDogg\t\t\nc.wav\tDog\t{BARK}\t\nd.wav\nDog/f.wav\tDog\t\t{sha}\n"
        "e.wav\tDog\t/m/nope\t\nnot here.wav\tDog\t\t\n../up.wav\tDog\t\t\nold.m4a\tDog\t\t\n"
    )
    clips = FolderClips(tmp_path, labels_file=table)
    assert [r.clip_id for r in clips.records()] == ["a.wav"]
    why = reasons(clips)
    assert why["b.wav"].startswith(
        "unknown label: elsewhere.tsv line 4: 'Dogg' is not an AudioSet class; the nearest are 'Dog'"
    )
    assert why["c.wav"] == f"unknown label: elsewhere.tsv line 5: the label 'Dog' and the mid '{BARK}' differ"
    assert why["d.wav"] == "unlabelled: elsewhere.tsv line 6 has no label"
    assert why["Dog/f.wav"].startswith("unreadable: its sha256")
    assert "'/m/nope'" in why["e.wav"]
    assert why["not here.wav"] == "missing: elsewhere.tsv line 9 names it, and the folder does not have it"
    assert why["../up.wav"].startswith("missing: ")
    assert why["old.m4a"].startswith("unsupported: ")


def test_a_custom_label_that_may_be_a_misspelt_class_is_named(tmp_path: Path) -> None:
    for label in ("Brak", "acoustic gitar", "my robot", "Zapper 3000", "Bark"):
        put(tmp_path / label / f"{len(label)}.wav")
    records = FolderClips(tmp_path, unknown_labels="custom").records()
    lines = misspelt_labels(records)
    assert len(lines) == 2
    assert (
        lines[0] == "'Brak' is not an AudioSet class and is kept as a custom label (of 1 clips); did you mean 'Bark'?"
    )
    assert "did you mean 'Acoustic guitar'?" in lines[1]


def test_custom_labels_in_a_table(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    (tmp_path / "clips.tsv").write_text("path\tlabel\na.wav\tR2-D2; dog\n")
    (record,) = FolderClips(tmp_path, unknown_labels="custom").records()
    assert (record.labels, record.mids) == (("R2-D2", "Dog"), (None, DOG))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", b"file,label\na.wav,Dog\n", "header must name the columns path and label (or mid)"),
        ("labels.csv", b"path\tlabel\na.wav\tDog\n", "separated by commas"),
        ("labels.tsv", b"path\tlicence\na.wav\tCC0\n", "separated by tabs"),
        ("labels.csv", b"", "it is empty"),
        (
            "labels.csv",
            b"path,label\na.wav,Dog\n./a.wav,Bark\n",
            "line 3: a.wav is named a second time (first in line 2)",
        ),
        ("labels.csv", b"path,label\n,Dog\n", "line 2: the path is empty"),
        ("labels.csv", b"path,label\nh\xfcnd.wav,Dog\n", "cannot be read as UTF-8"),
        ("labels.csv", b"path,label\na.wav," + b"x" * 200_000, "line 2: field larger than"),
        ("labels.csv", b"path,label\nb.wav,Dog\n", "no usable clip in"),
    ],
)
def test_a_table_that_is_none_is_one_clear_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    put(tmp_path / "a.wav")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipError) as error:
        FolderClips(tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_tables_that_are_absent_or_too_many(tmp_path: Path) -> None:
    put(tmp_path / "Dog" / "a.wav")
    with pytest.raises(ClipError, match=r"there is no table of labels .*mine\.csv"):
        FolderClips(tmp_path, labels_file=tmp_path / "mine.csv")
    for name in ("labels.csv", "clips.tsv"):
        (tmp_path / name).write_text("path,label\n" if name.endswith("csv") else "path\tlabel\nDog/a.wav\tBark\n")
    with pytest.raises(ClipError, match=r"several tables \(labels\.csv, clips\.tsv\)"):
        FolderClips(tmp_path)
    (record,) = FolderClips(tmp_path, labels_file=tmp_path / "clips.tsv").records()
    assert record.labels == ("Bark",)


def test_licences_filter(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d.wav"):
        put(tmp_path / name)
    (tmp_path / "labels.tsv").write_text(
        "path\tlabel\tLicense\na.wav\tDog\tCC0-1.0\nb.wav\tDog\tCC-BY-4.0\nc.wav\tDog\tGPL-2+\nd.wav\tDog\t\n"
    )
    clips = FolderClips(tmp_path, licences=["cc0*", "cc-by-4.0"])
    assert [r.clip_id for r in clips.records()] == ["a.wav", "b.wav"]
    assert reasons(clips) == {
        "c.wav": "licence: GPL-2+, wanted cc0* or cc-by-4.0",
        "d.wav": "licence: none stated, wanted cc0* or cc-by-4.0",
    }
    assert len(FolderClips(tmp_path, licence="CC0-1.0", licences=["CC0-1.0"]).records()) == 2


def test_folders_without_clips_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="is not a folder"):
        FolderClips(tmp_path / "nowhere")
    with pytest.raises(ClipError, match="no sound files in"):
        FolderClips(tmp_path)
    put(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("nothing")
    put(tmp_path / "Dog" / "c.wav", np.zeros(22050, dtype=np.float32))
    with pytest.raises(ClipError) as error:
        FolderClips(tmp_path)
    assert "2 unlabelled, 1 silent; the first: Dog/c.wav: silent" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ClipError, match="'error' or 'custom'"):
        FolderClips(tmp_path, unknown_labels="keep")  # type: ignore[arg-type]


def test_a_file_that_changed_or_went_away_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path / "Dog" / "a.wav")
    clips = FolderClips(tmp_path)
    put(path, tone(999))
    with pytest.raises(ClipError, match=r"a\.wav has changed"):
        clips.load(clips.records()[0])
    path.write_text("no sound")
    with pytest.raises(ClipError, match=r"a\.wav"):
        clips.load(clips.records()[0])
    path.unlink()
    with pytest.raises(ClipError, match=r"a\.wav cannot be read: No such file"):
        clips.load(clips.records()[0])


def test_order_name_and_pickling(tmp_path: Path) -> None:
    for name in ("b/Dog/2.wav", "a/Dog/1.wav", "a/Bark/3.wav", "a-b/Dog/4.wav"):
        put(tmp_path / "mine" / name)
    clips = FolderClips(tmp_path / "mine")
    assert clips.name == "folder:mine"
    ids = [r.clip_id for r in clips.records()]
    assert ids == sorted(ids) == ["a-b/Dog/4.wav", "a/Bark/3.wav", "a/Dog/1.wav", "b/Dog/2.wav"]
    again = pickle.loads(pickle.dumps(clips))
    assert again.records() == clips.records()
    assert np.array_equal(again.load(again.records()[0]).audio, clips.load(clips.records()[0]).audio)
