"""`make-qa --with-audio` writes a table that trains without a join, and every reader of questions takes it."""

import shutil
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError
from spatialqa.interop.export import export_dataset
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import rows_of


@pytest.fixture(scope="module")
def root(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(small, tmp_path_factory.mktemp("with-audio") / "data"))
    make_qa(copy, QaRecipe())
    make_qa(copy, QaRecipe(name="heard", with_audio=True))
    return copy


def test_each_question_has_the_audio_of_its_scene(root: Path) -> None:
    sound = {row["scene_id"]: row["audio"]["bytes"] for row in rows_of(root, "scenes")}
    plain, heard = rows_of(root, "qa"), rows_of(root, "qa-heard")
    assert all(row["audio"]["bytes"] == sound[row["scene_id"]] for row in heard)
    assert [{name: value for name, value in row.items() if name != "audio"} for row in heard] == plain
    for path in DatasetFolder(root).tables("qa-heard"):
        metadata = pq.ParquetFile(path).metadata
        assert all(metadata.row_group(k).num_rows <= 60 for k in range(metadata.num_row_groups))
    assert validate_dataset(root).problems == ()


def test_datasets_reads_it_as_sound(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = datasets.load_dataset(str(root), "qa-heard", split="train")
    assert isinstance(table.features["audio"], datasets.Audio)
    rows = table.cast_column("audio", datasets.Audio(decode=False))
    assert rows[0]["audio"]["bytes"][:4] == b"fLaC"
    assert rows[0]["question"]


def test_exports_take_it(root: Path, tmp_path: Path) -> None:
    export_dataset(root, tmp_path / "chat", "chat", "qa-heard")
    assert (tmp_path / "chat/train.jsonl").read_text().count("\n") == sum(
        row["split"] == "train" for row in rows_of(root, "qa")
    )
    export_dataset(root, tmp_path / "recipes", "recipes")
    assert "audio" not in rows_of(tmp_path / "recipes", "qa-heard")[0]
    assert validate_dataset(tmp_path / "recipes").problems == ()
    assert b"fLaC" not in b"".join(path.read_bytes() for path in (tmp_path / "recipes").rglob("*.parquet"))


def test_without_audio_it_is_refused(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "data"))
    run = DatasetFolder(copy).read_run()
    write_record(copy / "_spatialqa/run.json", replace(run, engine=replace(run.engine, name="none")))
    with pytest.raises(DatasetError, match="has no audio to write beside the questions: leave --with-audio out"):
        make_qa(copy, QaRecipe(with_audio=True))
