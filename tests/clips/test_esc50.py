from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from spatialqa.clips.esc50 import Esc50Clips, esc50_classes
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError, ClipGoneError
from spatialqa.generation.splits import split_clips
from tests.fixtures.audioset import ESC50_ROWS, sound, write_esc50, write_sound


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_esc50(tmp_path / "ESC-50")


def test_all_50_categories_are_audioset_classes() -> None:
    classes = esc50_classes()
    assert [target for target, _ in classes.values()] == list(range(50))
    nodes = [ontology().by_name(name) for _, name in classes.values()]
    assert all(not node.restrictions for node in nodes)
    assert len({node.mid for node in nodes}) == 50  # no two categories are called the same
    text = resources.files("spatialqa.data").joinpath("esc50_classes.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith(("#", "target"))]
    assert {row[3] for row in rows} == {"exact", "broader", "narrower"}


def test_every_clip_has_its_class_fold_and_rights(root: Path) -> None:
    clips = Esc50Clips(root)
    assert [(r.clip_id, r.labels, r.official_split, r.licence) for r in clips.records()] == [
        ("esc50/1-100032-A-0.wav", ("Dog",), "train", "CC BY 3.0"),
        ("esc50/2-100210-B-36.wav", ("Vacuum cleaner",), "train", "CC BY-NC 3.0"),
        ("esc50/4-100648-A-43.wav", ("Vehicle horn, car horn, honking",), "validation", "CC BY-NC 3.0"),
        ("esc50/5-100263-A-30.wav", ("Knock",), "test", "CC BY-NC 3.0"),
    ]
    for record, row in zip(clips.records(), ESC50_ROWS, strict=True):
        raw = clips.load(record)
        assert np.abs(raw.audio - sound(row[-1], duration_s=5.0)).max() < 1e-4
        assert record.duration_s == 5.0
        assert str(row[5]) in str(record.attribution)


def test_takes_of_one_recording_stay_in_one_split_whatever_the_seed(tmp_path: Path) -> None:
    root = tmp_path / "ESC-50"
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for recording in range(12):
        for take in "AB":
            name = f"{recording % 5 + 1}-{recording}-{take}-0.wav"
            lines.append(f"{name},{recording % 5 + 1},0,dog,True,{recording},{take}")
            write_sound(root / "audio" / name, sound("bark", 2 * recording + "AB".index(take), duration_s=0.5))
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    records = Esc50Clips(root).records()
    assert len(records) == 24
    for seed in range(5):
        splits = split_clips(records, (0.4, 0.3, 0.3), seed, official=False)
        homes: dict[str, set[str]] = {}
        for split, own in splits.items():
            for record in own:
                homes.setdefault(record.clip_id.split("-")[1], set()).add(split)
        assert {len(own) for own in homes.values()} == {1}


def test_filters_and_broken_files(root: Path) -> None:
    assert len(Esc50Clips(root, licences=["CC BY 3.0"]).records()) == 1
    assert len(Esc50Clips(root, classes=["Knock", "Dog"]).records()) == 2
    with pytest.raises(ClipError, match="not an AudioSet class; the nearest are"):
        Esc50Clips(root, classes=["Dogg"])
    clips = Esc50Clips(root)
    (root / "audio/1-100032-A-0.wav").unlink()
    with pytest.raises(ClipGoneError, match="start again"):
        clips.load(clips.records()[0])
    clips = Esc50Clips(root)
    (rejected,) = clips.rejected()
    assert rejected.path == "audio/1-100032-A-0.wav"
    assert rejected.reason == "missing: esc50.csv line 2 names it, and the folder does not have it"
    with pytest.raises(ClipError, match="is not a clip of ESC-50"):
        clips.load(replace(clips.records()[0], clip_id="esc50/other.wav"))


@pytest.mark.parametrize(
    "row",
    [
        "x.wav,6,0,dog,True,1,A",
        "x.wav,1,1,dog,True,1,A",
        "x.wav,1,0,hound,True,1,A",
        "../x.wav,1,0,dog,True,1,A",
        "x.wav,1,0,dog,True,1",
    ],
)
def test_rows_of_another_table(root: Path, row: str) -> None:
    (root / "meta/esc50.csv").write_text(f"filename,fold,target,category,esc10,src_file,take\n{row}\n")
    with pytest.raises(ClipError, match="line 2") as caught:
        Esc50Clips(root)
    assert "\n" not in str(caught.value)


def test_another_table_and_another_folder(root: Path) -> None:
    (root / "meta/esc50.csv").write_text("file,class\nx.wav,dog\n")
    with pytest.raises(ClipError, match="has the columns file, class; expected filename, fold"):
        Esc50Clips(root)
    with pytest.raises(ClipError, match=r"holds no meta/esc50.csv; ESC-50 is available from"):
        Esc50Clips(root / "meta")
