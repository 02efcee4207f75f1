"""Who exports what may not be passed on is told so, in one line for each reason."""

import pytest

from spatialqa.exports.licences import licence_warnings


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
    warnings = licence_warnings({"recipe": {"rooms": rooms, "clips": clips}})
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning
        assert "--to recipes" in warning
        assert "\n" not in warning
