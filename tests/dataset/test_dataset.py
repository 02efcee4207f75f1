"""The data set as other programs see it: pyarrow, pandas, Hugging Face datasets."""

import io
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.schema import TABLES
from spatialqa.dataset.validate import validate_dataset
from spatialqa.rerender import rerender_scenes
from tests.dataset.changing import changed

DESIGN = Path(__file__).parents[3] / "shared" / "DESIGN.md"


def load(root: Path, name: str, cache: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(str(root), name, cache_dir=str(cache))


def test_datasets_reads_scenes_with_audio(small: Path, tmp_path: Path) -> None:
    scenes = load(small, "scenes", tmp_path)
    assert {split: len(rows) for split, rows in scenes.items()} == {"train": 12, "validation": 6, "test": 6}
    assert isinstance(scenes["train"].features["audio"], datasets.Audio)
    plain = scenes.cast_column("audio", datasets.Audio(decode=False))
    row = plain["train"][0]
    audio, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate == row["sample_rate"] == 16000
    assert audio.shape == (32000, 2)
    assert isinstance(row["sources"][0]["labels"][0], str)
    assert len(row["sources"][0]["position"]) == 3


def test_datasets_reads_questions_groups_and_rirs(small: Path, tmp_path: Path) -> None:
    questions = load(small, "qa", tmp_path)
    assert questions["train"][0]["question"].endswith(("?", "."))
    assert {row["scene_id"] for row in questions["test"]} <= set(load(small, "scenes", tmp_path)["test"]["scene_id"])
    groups, rirs = load(small, "groups", tmp_path), load(small, "rirs", tmp_path)
    assert len(rirs["train"]) == sum(len(row["source_positions"]) for row in groups["train"])
    rir = rirs["train"][0]
    values = np.frombuffer(rir["rir"], "<f4").reshape(2, rir["n_samples"])
    assert np.isfinite(values).all()
    assert values.any()


def test_pandas_reads_the_tables(small: Path) -> None:
    scenes = pd.read_parquet(small / "scenes", columns=["scene_id", "sources", "gain_db"])
    assert len(scenes) == 24
    assert scenes["sources"].iloc[0][0]["distance_m"] > 0
    questions = pd.read_parquet(small / "qa")
    assert questions["scene_id"].isin(scenes["scene_id"]).all()


def test_the_schema_is_as_published(small: Path) -> None:
    for name, expected in TABLES.items():
        for path in (small / name).glob("*.parquet"):
            found = pq.read_schema(path)
            assert found.remove_metadata() == expected
            assert b"schema_version" in found.metadata


@pytest.mark.skipif(not DESIGN.exists(), reason="the design text is not beside this checkout")
def test_every_designed_column_exists() -> None:
    text = DESIGN.read_text()
    for name in ("scenes", "groups", "rirs", "qa"):
        start = text.index(f"**{name}**:") + len(name) + 5
        listed = text[start : text.index(".", start)]
        for item in listed.split(","):
            column = item.replace("(", " ").split()[0] if item.split() else ""
            if column and column.replace("_", "").isalnum() and not column.isdigit() and column.islower():
                assert column in TABLES[name].names or name == "qa", f"{name}.{column}"
    for column in ("qa_id", "asked_labels", "answer_distance_m", "margin_deg", "rationale"):
        assert column in TABLES["qa"].names


def test_a_fresh_data_set_is_valid_and_renders_again_bit_for_bit(small: Path) -> None:
    report = validate_dataset(small)
    assert report.problems == ()
    assert any("24 scenes" in line for line in report.checked)
    assert rerender_scenes(small, 7) == (7, [])


def test_a_scene_that_was_changed_does_not_render_again_the_same(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)

    def louder(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["gain_db"] += 0.5

    changed(root, "scenes", louder)
    compared, problems = rerender_scenes(root, 24)
    assert compared == 24
    assert len(problems) == len(pq.read_table(DatasetFolder(root).tables("scenes")[0])) == 4
