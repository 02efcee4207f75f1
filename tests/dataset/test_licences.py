"""Who exports what may not be passed on is told so, in one line for each reason."""

import shutil
from pathlib import Path

import pytest

from spatialqa.dataset.licences import licence_warnings
from spatialqa.errors import DatasetError
from spatialqa.interop.export import export_dataset, warnings_before
from tests.fixtures.records import rewritten


@pytest.mark.parametrize(
    ("rooms", "clips", "words"),
    [
        ("procedural", "foley", []),
        ("mesh:/home/rooms", "folder:/data/audioset", []),
        ("mp3d", "foley", ["Matterport3D"]),
        ("procedural", "audioset", ["YouTube"]),
        ("mp3d:/data/mp3d", "audioset:/data/as", ["YouTube", "Matterport3D"]),
        ("hm3d", "audioset-hub:/data", ["YouTube", "HM3D"]),
    ],
)
def test_each_guarded_input_gives_one_line(rooms: str, clips: str, words: list[str]) -> None:
    warnings = licence_warnings({"rooms": rooms, "clips": clips})
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning
        assert "--to recipes" in warning
        assert "\n" not in warning


def test_a_bank_made_in_guarded_rooms_is_guarded_too() -> None:
    (warning,) = licence_warnings({"rooms": "bank:/data/bank", "clips": "foley"}, {"mp3d"})
    assert "Matterport3D" in warning


def test_sounds_of_audioset_are_guarded_in_a_folder_too() -> None:
    recipe = {"rooms": "procedural", "clips": "folder:/data/as"}
    (warning,) = licence_warnings(recipe, licences=["CC0 1.0", "YouTube: rights with the uploader"])
    assert "YouTube" in warning
    assert licence_warnings(recipe, licences=["CC0 1.0"]) == []


def test_recipes_are_what_may_be_published(small: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    (copy / "_spatialqa").mkdir(parents=True)
    shutil.copy(small / "_spatialqa" / "run.json", copy / "_spatialqa" / "run.json")
    rewritten(copy / "_spatialqa" / "run.json", lambda run: run["recipe"].update(rooms="mp3d"))
    assert len(warnings_before(copy, "webdataset")) == 1
    assert warnings_before(copy, "recipes") == []
    with pytest.raises(DatasetError, match=r"no format 'zip' to export to: choose one of chat, audio, lhotse"):
        export_dataset(copy, tmp_path / "out", "zip")


@pytest.mark.parametrize(("to", "last"), [("webdataset", "24 scenes, "), ("recipes", "render them again: ")])
def test_every_format_tells_what_it_wrote(small: Path, tmp_path: Path, to: str, last: str) -> None:
    lines = export_dataset(small, tmp_path / to, to).lines()
    assert lines[-1].startswith(last)
    assert str(tmp_path / to) in lines[-1]
