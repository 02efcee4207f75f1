"""WebDataset shards: every scene once, with its questions and its very FLAC bytes, the same bytes every time."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from spatialqa.errors import DatasetError
from spatialqa.interop.webdataset import export_webdataset
from tests.dataset.changing import changed
from tests.fixtures.datasets import planned, rows_of


def samples(path: Path) -> dict[str, dict[str, bytes]]:
    """Gather the members of a shard as WebDataset readers do: consecutive ones with one name up to the first dot."""
    found: dict[str, dict[str, bytes]] = {}
    last = ""
    with tarfile.open(path) as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            key, _, ending = member.name.partition(".")
            assert key == last or key not in found
            last = key
            stream = tar.extractfile(member)
            assert stream is not None
            found.setdefault(key, {})[ending] = stream.read()
    return found


def test_every_scene_is_one_sample_with_its_questions(small: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    summary = export_webdataset(small, tmp_path / "wds", samples_per_shard=5, progress=lambda *n: done.append(n))
    assert summary.shards == {"train": 3, "validation": 2, "test": 2}
    assert done[-1] == (24, 24)
    names = sorted(path.name for path in (tmp_path / "wds").glob("*.tar"))
    assert names[:2] == ["test-000000.tar", "test-000001.tar"]
    assert [len(samples(tmp_path / "wds" / f"train-{i:06d}.tar")) for i in range(3)] == [5, 5, 2]
    questions = rows_of(small, "qa")
    found: dict[str, dict[str, bytes]] = {}
    for name in names:
        part = samples(tmp_path / "wds" / name)
        assert all(key.startswith(name.partition("-")[0]) for key in part)
        found |= part
    scenes = rows_of(small, "scenes")
    assert list(found) == sorted(row["scene_id"] for row in scenes)
    for row in scenes:
        sample = found[row["scene_id"]]
        assert sample["flac"] == row.pop("audio")["bytes"]
        facts = json.loads(sample["json"])
        asked = facts.pop("questions")
        assert facts == row
        own = [question for question in questions if question["scene_id"] == row["scene_id"]]
        assert asked == [{name: value for name, value in question.items() if value is not None} for question in own]
    assert summary.questions == len(questions)


def test_the_bytes_are_the_same_every_time(small: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_webdataset(small, tmp_path / name)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == files
    assert "train-000000.tar" in files


def test_another_export_or_folder_is_refused(small: Path, tmp_path: Path) -> None:
    export_webdataset(small, tmp_path / "wds", samples_per_shard=5)
    with pytest.raises(DatasetError, match="holds another export .*samples_per_shard was 5 and is 6"):
        export_webdataset(small, tmp_path / "wds", samples_per_shard=6)
    with pytest.raises(DatasetError, match="holds no questions in 'qa-x'; it holds qa"):
        export_webdataset(small, tmp_path / "other", table="qa-x")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="is a file, and an export needs a folder"):
        export_webdataset(small, tmp_path / "file")


def test_a_plan_has_no_sound_to_export(tmp_path: Path) -> None:
    planned(tmp_path / "planned", 4, splits="1,0,0")
    with pytest.raises(DatasetError, match="has no audio; render it first"):
        export_webdataset(tmp_path / "planned", tmp_path / "wds")
    assert not list((tmp_path / "wds").glob("*.tar"))


def test_a_hostile_scene_id_names_no_member_of_a_tar_file(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "data")
    changed(tmp_path / "data", "scenes", lambda rows: rows[0].update(scene_id="../../x"))
    with pytest.raises(DatasetError, match=r"'\.\./\.\./x' cannot name a file"):
        export_webdataset(tmp_path / "data", tmp_path / "wds")
    assert not list((tmp_path / "wds").glob("*.tar"))
