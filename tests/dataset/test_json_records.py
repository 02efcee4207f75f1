"""Records are checked when they are read: what is wrong is one line, and what older versions wrote is read."""

from pathlib import Path
from typing import Any

import pytest

from spatialqa.core.files import FileRecord
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import Reject, RunRecord, json_lines, read_json_lines, read_record, write_record
from spatialqa.errors import DatasetError
from tests.fixtures.records import rewritten, run_of, shard_of


def damaged(path: Path, change: Any) -> Path:
    write_record(path, run_of({"recipe": {"seed": 1}}))
    rewritten(path, change)
    return path


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = run_of({"recipe": {"seed": 1}}, makes="groups", qa_recipe={"types": ["A"]})
    write_record(tmp_path / "run.json", run)
    assert read_record(RunRecord, tmp_path / "run.json") == run
    folder = DatasetFolder(tmp_path)
    file = FileRecord("scenes/train-00000-of-00001.parquet", 1, 2, "3")
    shard = shard_of("train-00000-of-00001", "x", file, warnings=("w",))
    folder.commit_shard(shard)
    assert folder.read_shard(shard.shard) == shard
    rejects = [Reject("group", "g", 0, "why"), Reject("scene", "s", None, "\u00fc")]
    (tmp_path / "r.jsonl").write_text(json_lines(rejects))
    assert read_json_lines(Reject, tmp_path / "r.jsonl") == rejects


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda run: run.pop("fingerprint"), "fingerprint"),
        (lambda run: run.update(recipe=[]), "recipe"),
        (lambda run: run["plan"].update(shards=[1]), "shards"),
        (lambda run: run["plan"].update(scenes={"train": "many"}), "scenes"),
        (lambda run: run.update(makes="noise"), "makes"),
        (lambda run: run["engine"].update(sha256=None), "sha256"),
    ],
)
def test_a_field_that_is_missing_or_of_another_type_is_named(tmp_path: Path, change: Any, named: str) -> None:
    path = damaged(tmp_path / "run.json", change)
    with pytest.raises(DatasetError, match=f"is damaged or of another version .*{named}") as caught:
        read_record(RunRecord, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"recipe":' + b'{"a":' * 100_000])
def test_what_is_no_record_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run.json").write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        read_record(RunRecord, tmp_path / "run.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError):
        read_record(RunRecord, tmp_path)


def test_records_of_older_versions_are_read(tmp_path: Path) -> None:
    """An import had four facts of an engine; a shard had no warnings and no sizes of rooms."""

    def older(run: dict[str, Any]) -> None:
        run["engine"] = {"name": "none", "version": "-", "hrtf": "-", "sha256": ""}
        run["a key of a newer version"] = 1

    assert read_record(RunRecord, damaged(tmp_path / "run.json", older)).engine.config == {}
    folder = DatasetFolder(tmp_path)
    folder.commit_shard(shard_of("train-00000-of-00001", "x"))
    rewritten(
        folder.shard_file("train-00000-of-00001"), lambda shard: [shard.pop(k) for k in ("warnings", "room_sizes_m")]
    )
    assert folder.read_shard("train-00000-of-00001").warnings == ()


def test_a_damaged_record_of_a_shard_means_that_the_shard_is_made_again(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    folder.commit_shard(shard_of("train-00000-of-00001", "x"))
    assert folder.committed("train-00000-of-00001", "x") is not None
    folder.shard_file("train-00000-of-00001").write_text('{"shard": "x"}')
    assert folder.committed("train-00000-of-00001", "x") is None
