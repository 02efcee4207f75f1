"""A run writes down where its inputs lie, and is the same run wherever that is."""

from dataclasses import replace
from pathlib import Path

import pytest

from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import prepare_run
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
