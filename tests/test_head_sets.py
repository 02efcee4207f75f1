"""A folder of HRTF files: a head for each listener group, disjoint between splits, the same however it is rendered."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spatialqa.acoustics.engines import check_engine, open_engine
from spatialqa.acoustics.head_files import synthesise
from spatialqa.acoustics.head_set import HeadSet, head_set
from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.core.geometry import Pose
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows, read_scenes, scene_files
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import EngineError, RecipeError, RoomError
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.generation.run import prepare_bank, prepare_run
from spatialqa.generation.shard import ShardMaker
from spatialqa.generation.splits import split_heads
from tests.acoustics.boxes import shoebox
from tests.dataset.changing import changed
from tests.fixtures.datasets import SMALL, render

BOX = shoebox((6.0, 3.0, 5.0), 0.4)
HERE, AHEAD = Pose((2.0, 1.5, 3.0)), [(2.0, 1.5, 1.0)]


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spatialqa.acoustics.head_files._STEP_DEG", (20, 30))  # few directions: quick to read
        synthesise(folder, 4)
    return folder


def subjects_of(folder: Path) -> list[str]:
    found = head_set(folder)
    assert isinstance(found, HeadSet)
    return list(found.files)


def with_heads(folder: Path, **changes: object) -> RenderRecipe:
    own = {"engine": "geometric", "hrtf": str(folder), "save_rirs": False, "foley_clips_per_class": 6}
    return replace(SMALL, **own | changes)  # type: ignore[arg-type]


def scenes_of(root: Path) -> Iterator[Scene]:
    for path in scene_files(DatasetFolder(root)):
        yield from read_scenes(path)


def test_every_split_that_has_scenes_gets_its_own_heads() -> None:
    names = [f"s{k}" for k in range(20)]
    own = split_heads(names, {"train": 80, "validation": 10, "test": 10}, seed=1)
    assert {split: len(found) for split, found in own.items()} == {"train": 16, "validation": 2, "test": 2}
    assert sorted(name for found in own.values() for name in found) == sorted(names)
    assert own != split_heads(names, {"train": 80, "validation": 10, "test": 10}, seed=2)
    few = split_heads(names[:3], {"train": 998, "validation": 1, "test": 1}, seed=1)
    assert [len(found) for found in few.values()] == [1, 1, 1]
    assert split_heads(names[:1], {"train": 5, "validation": 0}, seed=1) == {"train": ["s0"]}
    with pytest.raises(EngineError, match="train, test need 2 different heads and the folder has 1"):
        split_heads(names[:1], {"train": 5, "test": 5}, seed=1)


def test_equal_files_are_one_subject(heads: Path, tmp_path: Path) -> None:
    shutil.copy(heads / "subject-0001.sofa", tmp_path / "a.sofa")
    shutil.copy(heads / "subject-0001.sofa", tmp_path / "b.SOFA")
    shutil.copy(heads / "subject-0002.sofa", tmp_path / "c.sofa")
    (tmp_path / "notes.txt").write_text("no head")
    assert [name.partition(":")[0] for name in subjects_of(tmp_path)] == ["a.sofa", "c.sofa"]


def test_folders_that_cannot_be_used_say_so(heads: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="has no SOFA file"):
        head_set(tmp_path)
    with pytest.raises(EngineError, match="habitat has one head"):
        check_engine("habitat", 16_000, hrtf=heads)
    with pytest.raises(EngineError, match="has no HRTF"):
        check_engine("geometric", 16_000, hrtf=heads, channels="mono")
    with pytest.raises(RecipeError, match="a bank has one head"):
        prepare_bank(with_heads(heads), tmp_path, 3)
    two = tmp_path / "two"
    synthesise(two, 2)
    with pytest.raises(EngineError, match="need 3 different heads and the folder has 2"):
        prepare_run(with_heads(two, plan_only=True), tmp_path / "out")
    (two / "broken.sofa").write_bytes(b"nothing")
    with pytest.raises(EngineError, match=r"broken\.sofa cannot be read as SOFA"):
        prepare_run(with_heads(two, plan_only=True), tmp_path / "out")
    with pytest.raises(EngineError, match="48000 Hz"):
        prepare_run(replace(with_heads(heads, plan_only=True), engine="soundspaces", sample_rate=64_000), tmp_path)


@pytest.mark.parametrize("name", ["geometric", "soundspaces"])
def test_a_subject_sounds_as_its_file_does(name: str, heads: Path) -> None:
    first, second = subjects_of(heads)[:2]
    with open_engine(name, 16_000, hrtf=heads).open(BOX) as room:
        rirs = [room.rirs_of_subject(HERE, AHEAD, 3, subject)[0] for subject in (first, second, first)]  # type: ignore[attr-defined]
        with pytest.raises(EngineError, match="has 4 heads, and one must be chosen"):
            room.rirs(HERE, AHEAD, 3)
        with pytest.raises(EngineError, match="has no file subject-9"):
            room.rirs_of_subject(HERE, AHEAD, 3, "subject-9.sofa:0")  # type: ignore[attr-defined]
    with open_engine(name, 16_000, hrtf=heads / first.partition(":")[0]).open(BOX) as room:
        alone = room.rirs(HERE, AHEAD, 3)[0]
    assert rirs[0].tobytes() == alone.tobytes() == rirs[2].tobytes()
    assert rirs[1].tobytes() != alone.tobytes()


def test_a_data_set_has_a_head_for_each_group_and_renders_again(heads: Path, tmp_path: Path) -> None:
    recipe = with_heads(heads, save_rirs=True, scenes=6, splits="0.4,0.3,0.3")
    root = tmp_path / "first"
    render(recipe, root)
    of_split: dict[str, set[str | None]] = {}
    for scene in scenes_of(root):
        of_split.setdefault(scene.split, set()).add(scene.subject)
    assert {"train", "validation", "test"} == set(of_split)
    assert sum(len(own) for own in of_split.values()) == len(set().union(*of_split.values()))
    assert set().union(*of_split.values()) <= set(subjects_of(heads))
    report = validate_dataset(root)
    assert report.problems == ()
    assert any("heads, none in two splits" in line for line in report.checked)
    assert rerender_scenes(root, 3) == (3, [])
    with pytest.raises(RoomError, match="several heads"):
        BankRooms(root, 0, 4)

    # the shards of the same run, made in another order by an engine that has heard other heads
    run, plan = prepare_run(recipe, tmp_path / "again")
    maker = ShardMaker(run, engine_for(run.recipe))
    for shard in reversed(plan.shards[:]):
        maker.make(shard)
    maker.close()
    for path in DatasetFolder(root).tables("scenes"):
        assert (tmp_path / "again" / "scenes" / path.name).read_bytes() == path.read_bytes()

    planned = tmp_path / "planned"
    render(replace(recipe, plan_only=True, save_rirs=False), planned)
    assert [s.subject for s in scenes_of(planned)] == [s.subject for s in scenes_of(root)]


def test_validate_notices_heads_that_were_changed(heads: Path, tmp_path: Path) -> None:
    root = tmp_path / "planned"
    render(with_heads(heads, plan_only=True), root)
    first = DatasetFolder(root).tables("scenes")[0]
    assert pq.read_schema(first).names[-1] == "subject"
    here = next(read_rows(first))["split"]
    other = next(s.subject for s in scenes_of(root) if s.split != here)

    def swapped(rows: list[dict[str, object]]) -> None:
        rows[0]["subject"] = other
        rows[1]["subject"] = None

    changed(root, "scenes", swapped)
    text = "\n".join(validate_dataset(root).problems)
    assert f"its subject is {other}, and group" in text
    assert f"head {other} is in" in text
    assert "has no subject" in text


def test_other_runs_have_no_such_column(small: Path) -> None:
    for table in ("scenes", "groups", "rirs"):
        assert "subject" not in pq.read_schema(DatasetFolder(small).tables(table)[0]).names
