"""The data set as other programs see it: pyarrow, pandas, Hugging Face datasets."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from spatialqa.dataset.card import write_card
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.schema import TABLES
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.generation.rerender import rerender_scenes
from tests.dataset.changing import changed
from tests.fixtures.datasets import planned
from tests.fixtures.records import rewritten

# The tables as published, in order; a name alone is a string. A `sources` column has its own list.
PUBLISHED = {
    "scenes": """
        scene_id
        split
        audio struct<bytes binary, path string>
        sample_rate int32
        duration_s float64
        channels
        room_set
        room_id
        house_id
        region_id
        region_label
        level_index int32
        group_id
        engine
        engine_config_hash
        hrtf
        rir_time_zero
        listener_position list<float64>
        listener_orientation list<float64>
        gain_db float32
        rir_reuse_count int32
        sources list<struct>
        seed int64
        recipe_hash
    """,
    "sources": """
        clip_id
        clip_sha256
        clip_start_s float64
        native_sample_rate int32
        licence
        labels list<string>
        mids list<string>
        position list<float64>
        azimuth_deg float64
        elevation_deg float64
        distance_m float64
        region_id
        region_label
        onset_s float64
        offset_s float64
        dry_level_dbfs float32
        wet_level_dbfs list<float32>
        line_of_sight bool
        drr_db float32
        rt60_s float64
        rir_id
    """,
    "groups": """
        group_id
        split
        room_set
        room_id
        room_sha256
        listener_position list<float64>
        listener_orientation list<float64>
        source_positions list<list<float64>>
        engine
        engine_config
        engine_sha256
        sample_rate int32
        seed int64
    """,
    "rirs": """
        rir_id
        group_id
        room_id
        room_sha256
        listener_position list<float64>
        listener_orientation list<float64>
        source_position list<float64>
        sample_rate int32
        n_samples int32
        rir binary
        rir_time_zero
        engine
        engine_config_hash
        drr_db float32
        rt60_s float64
    """,
    "qa": """
        qa_id
        scene_id
        split
        type
        subtype
        question
        answer
        template_id
        source_indices list<int32>
        asked_labels list<string>
        asked_direction list<string>
        asked_distance_m float64
        polarity
        choices list<string>
        answer_labels list<string>
        answer_direction list<string>
        answer_distance_m float64
        answer_bool bool
        answer_count int32
        margin_deg float64
        margin_m float64
        rationale
    """,
}


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


def type_name(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        if len(kind) > 2:
            return "struct"  # a source: its fields are compared on their own
        return f"struct<{', '.join(f'{field.name} {type_name(field.type)}' for field in kind)}>"
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_designed_column_is_there_with_its_type_and_place(small: Path, name: str) -> None:
    """Other programs read these: a column may be appended, none renamed, retyped or moved."""
    files = sorted((small / ("scenes" if name == "sources" else name)).glob("*.parquet"))
    assert files
    for path in files:
        schema = pq.read_schema(path)
        fields = schema.field("sources").type.value_type if name == "sources" else schema
        found = [f"{field.name} {type_name(field.type)}" for field in fields]
        designed = [line.strip() for line in PUBLISHED[name].strip().splitlines()]
        assert found[: len(designed)] == [line if " " in line else f"{line} string" for line in designed]


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


# The card


def card_of(root: Path, tmp_path: Path, **changes: Any) -> str:
    """Return the card that is written for a copy of a data set whose run record says something else."""
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, dirs_exist_ok=True)
    rewritten(copy / "_spatialqa" / "run.json", lambda run: run.update(changes))
    write_card(DatasetFolder(copy))
    return (copy / "README.md").read_text()


def table_of(card: str, heading: str) -> list[str]:
    lines = card[card.index(heading) :].splitlines()
    return lines[: lines.index("") if "" in lines else None][2:]


def test_what_a_licence_says_stays_in_its_cell(small: Path, tmp_path: Path) -> None:
    items = [
        {"licence": "CC0 | MIT", "attribution": "a.wav by A|B\nand\r\n<!-- C", "clips": 3},
        {"licence": "own\\", "attribution": "", "clips": 4},
    ]
    rows = table_of(card_of(small, tmp_path, attributions=items), "| licence of the clips |")
    assert rows == ["| CC0 \\| MIT | a.wav by A\\|B and &lt;!-- C | 3 |", "| own\\\\ |  | 4 |"]


def test_audioset_is_named_whatever_the_engine(small: Path, tmp_path: Path) -> None:
    engine = json.loads((small / "_spatialqa" / "run.json").read_text())["engine"]
    for name in ("soundspaces", "other", "none"):
        card = card_of(small, tmp_path, engine={**engine, "name": name})
        assert "Class names come from AudioSet" in card
        assert ("RLRAudioPropagation" in card) == (name == "soundspaces")


def test_the_card_names_the_folder_even_when_it_is_the_current_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "my data"
    shutil.copytree(small, root)
    monkeypatch.chdir(root)
    write_card(DatasetFolder(Path()))
    assert 'load_dataset("my data", "scenes", split="train")' in (root / "README.md").read_text()


def test_what_the_card_shows_keeps_both_ears(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "mine"
    shutil.copytree(small, root)
    write_card(DatasetFolder(root))
    card = (root / "README.md").read_text()
    assert "What `datasets` itself decodes is their mean" in card
    code = card.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    values: dict[str, Any] = {}
    exec(code, values)
    first = pq.read_table(min((root / "scenes").glob("train-*.parquet")), columns=["audio"])["audio"][0].as_py()
    stored, rate = soundfile.read(io.BytesIO(first["bytes"]))
    assert stored.shape[1] == 2
    assert values["sample_rate"] == rate
    assert np.array_equal(values["audio"], stored)


def test_the_card_of_ambisonics_names_its_channels(small: Path, tmp_path: Path) -> None:
    recipe = json.loads((small / "_spatialqa" / "run.json").read_text())["recipe"]
    card = card_of(small, tmp_path, recipe={**recipe, "channels": "foa"})
    assert "# (samples, 4): W, Y, Z, X" in card
    assert "10 s, W, Y, Z and X, FLAC" in card.replace(f"{recipe['duration_s']:g} s", "10 s")


def test_the_card_of_a_plan_says_that_there_is_no_audio(small: Path, tmp_path: Path) -> None:
    planned(tmp_path / "plan", 8)
    card = (tmp_path / "plan" / "README.md").read_text().partition("## Columns")[0]
    assert "the scenes are planned, without audio" in card
    assert "HRTF" not in card
    assert "FLAC" not in card
    assert "FLAC with 24 bits" in (small / "README.md").read_text()
