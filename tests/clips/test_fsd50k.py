import json
from pathlib import Path

import numpy as np
import pytest

from spatialqa.clips.fsd50k import Fsd50kClips, short_licence
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError, ClipGoneError
from tests.fixtures.audioset import FSD50K_ROWS, sound, write_fsd50k


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_fsd50k(tmp_path / "FSD50K")


def test_every_clip_has_its_labels_split_and_rights(root: Path) -> None:
    clips = Fsd50kClips(root)
    found = {record.clip_id: record for record in clips.records()}
    assert list(found) == sorted(f"fsd50k/{name}" for name in FSD50K_ROWS)
    assert {key: record.official_split for key, record in found.items()} == {
        "fsd50k/64760": "train",
        "fsd50k/16399": "validation",
        "fsd50k/345111": "train",
        "fsd50k/37199": "test",
    }
    assert found["fsd50k/64760"].labels == ("Bark", "Dog", "Domestic animals, pets", "Animal")
    assert {key: record.licence for key, record in found.items()} == {
        "fsd50k/64760": "CC BY 3.0",
        "fsd50k/16399": "CC BY-NC 3.0",
        "fsd50k/345111": "CC0 1.0",
        "fsd50k/37199": "CC Sampling+ 1.0",
    }
    assert found["fsd50k/64760"].attribution == "bark no. 1.wav by maker of bark, Freesound clip 64760, in FSD50K"
    for name, (_, _, _, slug, _) in FSD50K_ROWS.items():
        record = found[f"fsd50k/{name}"]
        raw = clips.load(record)
        assert np.abs(raw.audio - 0.5 * sound(slug)).max() < 1e-4
        assert raw.sample_rate == record.native_sample_rate
        assert record.duration_s == raw.audio.size / raw.sample_rate
        assert [ontology().by_mid(str(mid)).name for mid in record.mids] == list(record.labels)
    assert clips.rejected() == ()


def test_filters(root: Path) -> None:
    def labels(**how: object) -> dict[str, tuple[str, ...]]:
        return {r.clip_id[7:]: r.labels for r in Fsd50kClips(root, **how).records()}  # type: ignore[arg-type]

    assert labels(labels="specific")["64760"] == ("Bark",)
    assert set(labels(labels="specific")["345111"]) == {"Knock", "Speech"}
    assert set(labels(labels="single")) == {"64760", "16399"} | ({"37199"} if _kind_of("Rain", "Water") else set())
    assert labels(classes=["Dog"]) == {"64760": ("Dog",)}
    assert set(labels(licences=["CC0*", "cc by 3.0"])) == {"64760", "345111"}
    with pytest.raises(ClipError, match="no strongly labelled times"):
        labels(labels="strong")
    with pytest.raises(ClipError, match="no usable clip in .*4 licence"):
        labels(licences=["MIT"])


def _kind_of(name: str, wider: str) -> bool:
    return ontology().by_name(wider).mid in ontology().ancestors(ontology().by_name(name).mid)


def test_broken_and_missing_files_are_left_out_and_later_ones_told_apart(root: Path) -> None:
    (root / "FSD50K.dev_audio/64760.wav").write_bytes(b"no sound")
    (root / "FSD50K.eval_audio/37199.wav").unlink()
    clips = Fsd50kClips(root)
    assert {r.path: r.reason.split(":")[0] for r in clips.rejected()} == {
        "FSD50K.dev_audio/64760.wav": "unreadable",
        "FSD50K.eval_audio/37199.wav": "missing",
    }
    first, second = clips.records()
    path = root / f"FSD50K.dev_audio/{first.clip_id[7:]}.wav"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ClipError, match=first.clip_id) as caught:
        clips.load(first)
    assert not isinstance(caught.value, ClipGoneError)
    (root / f"FSD50K.dev_audio/{second.clip_id[7:]}.wav").unlink()
    with pytest.raises(ClipGoneError, match="start again"):
        clips.load(second)


def test_half_a_release_and_no_metadata(root: Path) -> None:
    (root / "FSD50K.ground_truth/dev.csv").unlink()
    (root / "FSD50K.metadata/eval_clips_info_FSD50K.json").unlink()
    (record,) = Fsd50kClips(root).records()
    assert (record.licence, record.attribution) == (None, "Freesound clip 37199, in FSD50K")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "FSD50K.ground_truth/dev.csv",
            "fname,labels\n1,Bark\n",
            "has the columns fname, labels; expected fname, labels",
        ),
        ("FSD50K.ground_truth/dev.csv", "fname,labels,mids,split\n1,Bark\n", "line 2 has 2 cells, not 4"),
        ("FSD50K.ground_truth/dev.csv", "fname,labels,mids,split\n../1,Bark,/m/05tny_,train\n", "line 2: "),
        ("FSD50K.ground_truth/dev.csv", "fname,labels,mids,split\n1,Bark,/m/05tny_,test\n", "is not a row of FSD50K"),
        ("FSD50K.ground_truth/dev.csv", "fname,labels,mids,split\n", "has no row"),
        ("FSD50K.ground_truth/dev.csv", "fname,labels,mids,split\n37199,Bark,/m/05tny_,val\n", "names a clip twice"),
        ("FSD50K.metadata/dev_clips_info_FSD50K.json", "{", "is not JSON"),
        ("FSD50K.metadata/dev_clips_info_FSD50K.json", "[1]", "holds no object by clip name"),
    ],
)
def test_tables_of_another_release(root: Path, file: str, text: str, said: str) -> None:
    (root / file).write_text(text)
    with pytest.raises(ClipError) as caught:
        Fsd50kClips(root)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_metadata_of_odd_shapes_does_no_harm(root: Path) -> None:
    path = root / "FSD50K.metadata/dev_clips_info_FSD50K.json"
    path.write_text(json.dumps({"64760": ["x"], "16399": {"license": 3, "title": None}}))
    found = {record.clip_id: record.licence for record in Fsd50kClips(root).records()}
    assert (found["fsd50k/64760"], found["fsd50k/16399"]) == (None, "3")


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ClipError, match=r"holds no FSD50K.ground_truth/dev.csv and no eval.csv; FSD50K is available from"
    ):
        Fsd50kClips(tmp_path)


def test_short_names_of_licences() -> None:
    assert short_licence("https://creativecommons.org/licenses/by-nc/4.0/") == "CC BY-NC 4.0"
    assert short_licence("free for all") == "free for all"
    assert short_licence("") is None
