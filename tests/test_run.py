"""A run writes down where its inputs lie, and is the same run wherever that is."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.generation.run import prepare_run
from spatialqa.generation.stored_recipe import stored_recipe
from tests.fixtures.datasets import SMALL, render
from tests.fixtures.matterport import write_procedural_house


def test_a_root_that_was_looked_for_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data" / "scene_datasets" / "mp3d"
    write_procedural_house(root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPATIALQA_MP3D_ROOT", raising=False)
    recipe = RenderRecipe(rooms="mp3d", scenes=4, plan_only=True, cache=str(tmp_path / "cache"))
    found, _ = prepare_run(recipe, tmp_path / "out")
    assert found.recipe.mp3d_root == str(root)
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    named, _ = prepare_run(replace(recipe, mp3d_root=str(moved)), tmp_path / "out")
    assert named.fingerprint_hash == found.fingerprint_hash


def test_auto_is_geometric_and_the_record_says_so(small: Path) -> None:
    run = DatasetFolder(small).read_run()
    assert SMALL.engine == "auto"
    assert (run.engine.name, run.recipe["engine"]) == ("geometric", "geometric")


@pytest.mark.soundspaces
@pytest.mark.parametrize("record", ["whole", "gone"])
def test_what_was_begun_when_auto_was_another_engine_goes_on_with_that(tmp_path: Path, record: str) -> None:
    recipe = replace(SMALL, scenes=8, splits="1,0,0", save_rirs=False)
    render(replace(recipe, engine="soundspaces"), tmp_path / "old")
    folder = DatasetFolder(tmp_path / "old")
    path, run = folder.meta / "run.json", folder.read_run()
    write_record(path, replace(run, recipe={**run.recipe, "engine": "auto"}))
    assert stored_recipe(folder).engine == "soundspaces"
    shutil.copytree(tmp_path / "old", tmp_path / "again")
    folder.shard_file("train-00001-of-00002").unlink()
    if record == "gone":
        path.unlink()
    assert render(recipe, tmp_path / "old").shards_resumed == 1
    run = folder.read_run()
    assert (run.engine.name, run.recipe["engine"]) == ("soundspaces", "soundspaces")
    for table in (tmp_path / "old").glob("scenes/*.parquet"):
        assert table.read_bytes() == (tmp_path / "again" / table.relative_to(tmp_path / "old")).read_bytes()
    assert rerender_scenes(tmp_path / "again", 2) == (2, [])
