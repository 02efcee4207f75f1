"""The decay of RIRs on a preview page: of RIRs that are stored, that are simulated again, or that are not to be had."""

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spatialqa.cli.main import cli
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import ShardRecord, read_record, write_record
from spatialqa.views.preview_page import write_preview
from tests.dataset.changing import changed
from tests.fixtures.datasets import planned, rows_of, scenes_of

COUNT = 6


@pytest.fixture
def without_rirs(small: Path, tmp_path: Path) -> Path:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    for owner in (DatasetFolder(root).meta / "shards").glob("*.json"):
        record: Any = read_record(ShardRecord, owner)
        files = tuple(item for item in record.files if not item.path.startswith("rirs/"))
        write_record(owner, replace(record, files=files))
    assert not rows_of(root, "rirs")
    return root


def decays(page: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the decays that a page holds, by the file of their scene."""
    found = {}
    for path in (page / "scenes").glob("*.js"):
        text = path.read_text().removeprefix("spatialqaScene(").removesuffix(");\n")
        found[path.name] = json.loads(text)["decays"]
    return found


def without(html: str) -> list[str]:
    """Return what a page says of scenes without a decay."""
    notes = [re.sub(r"\s+", " ", note) for note in re.findall(r'<p class="note">(.*?)</p>', html, re.DOTALL)]
    return [unescape(note) for note in notes if "without the decay" in note]


def set_recipe(root: Path, **values: Any) -> None:
    path, run = DatasetFolder(root).meta / "run.json", DatasetFolder(root).read_run()
    write_record(path, replace(run, recipe={**run.recipe, **values}))


def test_decays_simulated_again_are_those_of_the_stored_rirs(small: Path, without_rirs: Path, tmp_path: Path) -> None:
    stored = write_preview(small, tmp_path / "stored", count=COUNT).index.read_text()
    again = write_preview(without_rirs, tmp_path / "again", count=COUNT).index.read_text()
    sources = sum(len(decay) for decay in decays(tmp_path / "stored").values())
    assert sources >= COUNT
    assert decays(tmp_path / "again") == decays(tmp_path / "stored")
    assert stored.count('class="decays"') == again.count('class="decays"') == COUNT
    assert "simulated again" not in stored
    assert f"The RIRs of {COUNT} scenes are not stored" in again
    assert "another version" not in again
    assert not without(stored)
    assert not without(again)


def test_nothing_is_simulated_with_no_simulate(without_rirs: Path, tmp_path: Path) -> None:
    arguments = ["preview", str(without_rirs), "--to", str(tmp_path / "page"), "--count", "2", "--no-simulate"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    html = (tmp_path / "page" / "index.html").read_text()
    (said,) = without(html)
    assert said.startswith("2 scenes without the decay of RIRs")
    assert "--no-simulate" in said
    assert 'class="decays"' not in html
    assert all(not found for found in decays(tmp_path / "page").values())


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"rooms": "mesh:/nowhere"}, "/nowhere"),
        ({"engine_config": {"no_such_key": 1}}, "no_such_key"),
        ({"seed": 7, "plan_only": True}, "only planned"),
    ],
)
def test_the_page_says_in_one_line_why_there_is_no_decay(
    without_rirs: Path, tmp_path: Path, recipe: dict[str, Any], words: str
) -> None:
    set_recipe(without_rirs, **recipe)
    html = write_preview(without_rirs, tmp_path / "page", count=COUNT).index.read_text()
    (said,) = without(html)
    assert said.startswith(f"{COUNT} scenes without the decay of RIRs")
    assert words in said
    assert html.count("<audio") == COUNT
    assert all(not found for found in decays(tmp_path / "page").values())


def test_another_engine_does_not_stand_in_for_that_of_the_data_set(without_rirs: Path, tmp_path: Path) -> None:
    path, run = DatasetFolder(without_rirs).meta / "run.json", DatasetFolder(without_rirs).read_run()
    write_record(path, replace(run, engine=replace(run.engine, sha256="0" * 64)))
    html = write_preview(without_rirs, tmp_path / "page", count=1).index.read_text()
    assert "simulated again, by another version of the same engine" in html
    assert html.count('class="decays"') == 1
    write_record(path, replace(run, engine=replace(run.engine, name="another", sha256="0" * 64)))
    (said,) = without(write_preview(without_rirs, tmp_path / "page", count=1).index.read_text())
    assert said.endswith("where another rendered them.")


def test_the_clips_are_not_needed(without_rirs: Path, tmp_path: Path) -> None:
    set_recipe(without_rirs, clips="folder:/nowhere/sounds")
    html = write_preview(without_rirs, tmp_path / "page", count=1).index.read_text()
    assert html.count('class="decays"') == 1
    assert "sounds: folder:sounds." in html  # where they lie is private


def test_a_room_that_has_changed_is_not_simulated(without_rirs: Path, tmp_path: Path) -> None:
    def spoil(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["room_sha256"] = "0" * 64

    changed(without_rirs, "groups", spoil)
    scene = scenes_of(without_rirs)[0]
    html = write_preview(without_rirs, tmp_path / "page", scene_id=scene.scene_id).index.read_text()
    (said,) = without(html)
    assert "has changed since it was rendered" in said


def test_planned_scenes_have_none(tmp_path: Path) -> None:
    root = planned(tmp_path / "data", 4, splits="1,0,0")
    html = write_preview(root, tmp_path / "page").index.read_text()
    assert [said.partition(": ")[2] for said in without(html)] == ["the scenes were only planned."]
