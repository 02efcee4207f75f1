import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialqa.core.files import below, commit_file, commit_text, file_name, sha256_of, temporary_name
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.errors import DatasetError
from tests.fixtures.records import run_of, shard_of

TABLE = pa.table({"scene_id": [f"s{i}" for i in range(130)], "seed": list(range(130))})


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".*")]


def test_a_committed_table_is_what_its_record_says(tmp_path: Path) -> None:
    record = commit_table(tmp_path, "scenes/a.parquet", TABLE)
    path = tmp_path / "scenes/a.parquet"
    assert (record.rows, record.bytes, record.sha256) == (130, path.stat().st_size, sha256_of(path))
    assert pq.read_table(path).to_pylist() == TABLE.to_pylist()
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.read_schema(path).metadata[b"schema_version"] == b"1"
    assert leftovers(tmp_path) == []


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    assert commit_table(tmp_path, "a.parquet", TABLE).sha256 == commit_table(tmp_path, "b.parquet", TABLE).sha256


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")

    def write(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DatasetError, match="No space left on device.*run again"):
        commit_file(tmp_path / "a.json", write)
    assert (tmp_path / "a.json").read_text() == "old"
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_real_full_device_is_a_clear_error(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x" * 100)

    with pytest.raises(DatasetError, match="No space left"):
        commit_file(tmp_path / "a", write)


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commit_file(tmp_path / "a", write)
    assert list(tmp_path.iterdir()) == []


def test_a_short_write_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pq.write_table
    monkeypatch.setattr(pq, "write_table", lambda table, path, **how: whole(table.slice(0, 5), path, **how))
    with pytest.raises(DatasetError, match="wrote 130 rows and read back 5"):
        commit_table(tmp_path, "a.parquet", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    folder = DatasetFolder(tmp_path)
    with pytest.raises(DatasetError, match="not empty and not a spatialqa data set"), folder.lock():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(DatasetError, match="is a file"):
        DatasetFolder(tmp_path / "thesis.tex").refuse_foreign()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first, second = DatasetFolder(tmp_path).lock(), DatasetFolder(tmp_path).lock()
    with first, pytest.raises(DatasetError, match="another spatialqa command"), second:
        pass
    with DatasetFolder(tmp_path).lock():
        pass


def test_another_run_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path / "out")
    folder.claim(run_of({"recipe": {"seed": 1}, "clips": "a"}))
    folder.claim(run_of({"recipe": {"seed": 1}, "clips": "a"}))
    with pytest.raises(DatasetError, match=r"recipe\.seed was 1 and is 2"):
        folder.claim(run_of({"recipe": {"seed": 2}, "clips": "a"}))
    assert changed_keys({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}, "d": 4}) == [
        "a was 1 and is null",
        "b.c was 2 and is 3",
        "d was null and is 4",
    ]


def test_a_shard_counts_only_while_its_files_are_there(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    record = commit_table(tmp_path, "scenes/a.parquet", TABLE)
    folder.commit_shard(shard_of("a", "x", record))
    assert folder.committed("a", "x") is not None
    assert folder.committed("a", "other run") is None
    assert folder.committed("b", "x") is None
    (tmp_path / "scenes/a.parquet").write_bytes(b"cut")
    assert folder.committed("a", "x") is None


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_replacing_a_table_survives_a_kill_at_any_moment(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = os.replace

    def replace_or_die(source: Path, target: Path) -> None:
        if target.name == "qa":
            raise KeyboardInterrupt
        moved(source, target)

    folder = DatasetFolder(tmp_path)
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa/old").touch()
    finished = temporary_name()
    (tmp_path / finished).mkdir()
    (tmp_path / finished / "new").touch()
    if moment == "between":
        monkeypatch.setattr(os, "replace", replace_or_die)
        with pytest.raises(KeyboardInterrupt):
            folder.replace_table(finished, "qa")
        monkeypatch.undo()
        assert not (tmp_path / "qa").exists()
    if moment == "after":
        folder.replace_table(finished, "qa")
    folder.sweep()
    assert [path.name for path in (tmp_path / "qa").iterdir()] == ["new" if moment == "after" else "old"]
    assert leftovers(tmp_path) == []


def test_what_others_wrote_is_never_swept(tmp_path: Path) -> None:
    foreign = [".notes.tmp", ".spatialqa-mine.tmp", ".other.previous", "scenes/.x.parquet.0123456789abcdef.tmp"]
    (tmp_path / "scenes").mkdir()
    for name in foreign:
        (tmp_path / name).touch()
    ours = [tmp_path / temporary_name(), tmp_path / "scenes" / temporary_name()]
    ours[0].mkdir()
    for path in (ours[0] / "half", ours[1]):
        path.touch()
    DatasetFolder(tmp_path).sweep()
    assert all((tmp_path / name).is_file() for name in foreign)
    assert not any(path.exists() for path in ours)


def test_giving_up_a_folder_leaves_what_others_put_there(tmp_path: Path) -> None:
    root = tmp_path / "new/data"
    folder = DatasetFolder(root)
    with folder.lock():
        folder.claim(run_of({}))
        name = "train-00000-of-00001"
        folder.commit_shard(shard_of(name, "x", commit_table(root, f"scenes/{name}.parquet", TABLE), scenes=0))
        commit_text(root, f"_spatialqa/rejects/{name}.jsonl", "")
        (folder.meta / "mine.txt").touch()
        (root / "scenes/mine.parquet").touch()
        folder.unclaim()
    assert [path for path in sorted(root.rglob("*")) if path.is_file()] == [
        folder.meta / "mine.txt",
        root / "scenes/mine.parquet",
    ]


@pytest.mark.parametrize("existing", ["", "new", "new/data"])
def test_a_folder_that_was_given_up_is_as_it_was(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    folder = DatasetFolder(tmp_path / "new/data")
    with pytest.raises(KeyboardInterrupt), folder.lock():
        raise KeyboardInterrupt  # before it was claimed
    assert sorted(tmp_path.rglob("*")) == before
    with folder.lock():
        folder.claim(run_of({}))
        folder.unclaim()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/x", "..", "", "a\0b"])
def test_no_path_of_a_record_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="is not a path below"):
        below(tmp_path, name)
    with pytest.raises(DatasetError, match="is not a path below"):
        commit_table(tmp_path, name, TABLE)
    if name != "a/../../x":
        with pytest.raises(DatasetError, match="cannot name a file"):
            file_name(name, "scene_id")
    assert below(tmp_path, "a/b..c") == tmp_path / "a/b..c"
    assert file_name("train-..7", "scene_id") == "train-..7"


def test_damaged_records_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such data set"):
        DatasetFolder(tmp_path / "none").read_run()
    with pytest.raises(DatasetError, match="is not a spatialqa data set"):
        DatasetFolder(tmp_path).read_run()
    (tmp_path / "_spatialqa").mkdir()
    (tmp_path / "_spatialqa/run.json").write_text("{")
    with pytest.raises(DatasetError, match=r"run\.json: cannot be read"):
        DatasetFolder(tmp_path).read_run()
