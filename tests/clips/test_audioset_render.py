"""From an AudioSet tree to scenes and questions, by the command's own way."""

import json
from pathlib import Path

import pytest

from spatialqa.clips.clip_table import LICENCE
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.audioset import Segment, flac_bytes, sound, write_hub, write_segments, write_sound, write_strong
from tests.fixtures.datasets import render, scenes_of

SOUNDS = {
    "bark": "Bark",
    "rain": "Rain",
    "knock": "Knock",
    "meow": "Meow",
    "violin": "Violin, fiddle",
    "cough": "Cough",
}
RECIPE = RenderRecipe(
    scenes=12,
    splits="0.5,0.25,0.25",
    duration_s=2.0,
    sample_rate=16000,
    scenes_per_group=4,
    sources_per_group=4,
    scenes_per_shard=4,
    home_kinds=["shoebox"],
    workers=0,
    clips="audioset",
)
BROKEN = "train00brok"


def segments() -> list[tuple[str, str, Segment]]:
    """Return (list, foley sound, segment): four clips of every class to train on and two to test on."""
    rows = []
    for k, (slug, label) in enumerate(SOUNDS.items()):
        for i in range(6):
            part = "eval_segments.csv" if i >= 4 else "balanced_train_segments.csv"
            video_id = BROKEN if (k, i) == (0, 0) else f"{slug:_<7}-{k}{i}_"[:11]
            rows.append((part, slug, Segment(video_id, 10.0 * i, (label,))))
    return rows


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audioset") / "data"
    for part in ("eval_segments.csv", "balanced_train_segments.csv"):
        write_segments(root / part, [segment for own, _, segment in segments() if own == part])
    for i, (part, slug, segment) in enumerate(segments()):
        path = root / part.partition("_")[0] / f"Y{segment.video_id}.flac"
        write_sound(path, sound(slug, i, 3.0))
        if segment.video_id == BROKEN:
            path.write_bytes(path.read_bytes()[:4000])
    return root


def rejects_of(root: Path) -> list[dict[str, str]]:
    paths = sorted((root / "_spatialqa/rejects").glob("*-of-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_from_segment_lists_to_questions(files: Path, tmp_path: Path) -> None:
    recipe = RenderRecipe(
        **{**vars(RECIPE), "scenes": 48, "audioset_root": str(files), "cache": str(tmp_path / "cache")}
    )
    summary = render(recipe, tmp_path / "out")
    assert summary.scenes == 48
    scenes = scenes_of(tmp_path / "out")
    official = {segment.video_id: part for part, _, segment in segments()}
    for scene in scenes:
        for source in scene.sources:
            part = official[source.clip_id.removeprefix("audioset/")]
            assert (part == "eval_segments.csv") == (scene.split == "test")
            assert source.native_sample_rate == 48000  # measured when it was opened
            assert len(str(source.clip_sha256)) == 64
            assert source.licence == LICENCE
            assert BROKEN not in source.clip_id
    assert {scene.split for scene in scenes} == {"train", "validation", "test"}
    told = [reject["reason"] for reject in rejects_of(tmp_path / "out") if BROKEN in reject["reason"]]
    assert told, "the broken file was never drawn: draw more scenes"
    assert all(
        reason.startswith(f"ClipError: clip audioset/{BROKEN} (balanced/Y{BROKEN}.flac): unreadable: ")
        for reason in told
    )
    make_qa(tmp_path / "out", QaRecipe())
    assert validate_dataset(tmp_path / "out").problems == ()
    assert list((tmp_path / "cache").rglob("*.parquet"))


def test_from_parquet_of_the_hub(tmp_path: Path) -> None:
    for part, folder in (("eval_segments.csv", "eval"), ("balanced_train_segments.csv", "bal_train")):
        rows = [
            (segment.video_id, flac_bytes(sound(slug, i, 3.0)), segment.labels)
            for i, (own, slug, segment) in enumerate(segments())
            if own == part
        ]
        write_hub(tmp_path / f"hub/data/{folder}/00.parquet", rows, rows_per_group=5)
    recipe = RenderRecipe(**{**vars(RECIPE), "audioset_root": str(tmp_path / "hub"), "cache": str(tmp_path / "cache")})
    assert render(recipe, tmp_path / "out").scenes == 12
    labels = {label for scene in scenes_of(tmp_path / "out") for source in scene.sources for label in source.labels}
    assert labels <= set(SOUNDS.values())
    assert rejects_of(tmp_path / "out") == []


def test_from_strong_tables_no_file_is_in_two_splits(tmp_path: Path) -> None:
    slugs = list(SOUNDS)
    for part in ("train", "eval"):
        events = []
        for i in range(12 if part == "train" else 4):
            video_id = f"{part}-{i:02d}____"[:11].ljust(11, "_")
            for k in range(3):
                label = SOUNDS[slugs[(2 * i + k) % len(slugs)]]
                events.append((video_id, 1000, 3.0 * k, 3.0 * k + 2.5, label))
            write_sound(
                tmp_path / f"data/Y{video_id}.flac", sound(slugs[i % len(slugs)], i + 100 * (part == "eval"), 10.0)
            )
        # two of the evaluation's videos are in the training table too, with stretches of their own
        if part == "train":
            events += [(f"eval-{i:02d}____", 1000, 9.0, 9.9, SOUNDS["rain"]) for i in range(2)]
        write_strong(tmp_path / f"data/audioset_{part}_strong.tsv", events)
    chosen = {"audioset_root": str(tmp_path / "data"), "cache": str(tmp_path / "cache"), "clip_labels": "strong"}
    recipe = RenderRecipe(**{**vars(RECIPE), **chosen, "scenes": 48})
    assert render(recipe, tmp_path / "out").scenes == 48
    splits: dict[str, set[str]] = {}
    drawn = set()
    for scene in scenes_of(tmp_path / "out"):
        for source in scene.sources:
            splits.setdefault(source.clip_id.split("/")[1], set()).add(scene.split)
            drawn.add(source.clip_id)
    assert {split for own in splits.values() for split in own} == {"train", "validation", "test"}
    assert len(drawn) > len(splits) > 8
    assert all(len(own) == 1 for own in splits.values())
    assert all((own == {"test"}) == video.startswith("eval") for video, own in splits.items())
    assert validate_dataset(tmp_path / "out").problems == ()
