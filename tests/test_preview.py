"""preview prints what a data set holds as it is, and says what is wrong with an id."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from spatialqa.cli.preview import show
from spatialqa.core.audio_io import encode_flac
from spatialqa.core.console import stdout
from spatialqa.errors import DatasetError
from spatialqa.qa.recipe import QaRecipe
from tests.dataset.changing import changed
from tests.fixtures.datasets import planned, written
from tests.fixtures.scenes import scene
from tests.fixtures.scenes import source as at_place


@pytest.fixture(scope="module")
def bracketed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan whose room, region, labels, questions and answers hold what rich would take for markup."""
    folder = tmp_path_factory.mktemp("preview")
    box = trimesh.creation.box((6.0, 2.6, 5.0))
    box.export(folder / "house[old].ply")
    rooms = f"mesh:{folder / 'house[old].ply'}"
    root = planned(folder / "data", 4, QaRecipe(), splits="1,0,0", rooms=rooms, home_kinds=[])

    def label(rows: list[dict[str, object]]) -> None:
        for row in rows:
            row["region_label"] = "den[/bold]"
            for source in row["sources"]:  # type: ignore[attr-defined]
                source["labels"] = [f"{source['labels'][0]}[dry] :bell:"]

    def ask(rows: list[dict[str, object]]) -> None:
        for row in rows:
            row["question"], row["answer"] = "What is [left]?", "a [red] :dog:"

    changed(root, "scenes", label)
    changed(root, "qa", ask)
    return root


def test_brackets_are_text_and_no_markup(
    bracketed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stdout, "width", 300)
    show(bracketed, 1, None, 2, None)
    text = capsys.readouterr().out
    assert "room house[old] (den[/bold])" in text
    assert "[dry] :bell:" in text
    assert "What is [left]?  a [red] :dog:" in text


@pytest.mark.parametrize("scene_id", ["nonsense", "", "test-00000000", "train-99999999", "a-b-c", "train-0[x]"])
def test_a_scene_that_is_not_there_is_named(bracketed: Path, scene_id: str) -> None:
    with pytest.raises(DatasetError, match="ids look like train-00000000") as caught:
        show(bracketed, 1, scene_id, 1, None)
    assert repr(scene_id) in str(caught.value)


def test_a_hostile_scene_id_writes_no_file_elsewhere(tmp_path: Path) -> None:
    row = scene(at_place((0.0, 0.0, -2.0)), scene_id="train-../../x").to_row()
    audio = {"bytes": encode_flac(np.zeros((2, 100), dtype=np.float32), 16000), "path": "x.flac"}
    root = written(tmp_path / "data", [{**row, "audio": audio}])
    with pytest.raises(DatasetError, match=r"'train-\.\./\.\./x' cannot name a file"):
        show(root, 1, None, 0, tmp_path / "a/b/wav")
    assert not list(tmp_path.rglob("*.wav"))
