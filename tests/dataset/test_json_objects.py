"""A small JSON file of ours that holds something else than an object is one line that says what to do."""

from pathlib import Path

import pytest

from spatialqa.errors import DatasetError
from spatialqa.interop.destination import Destination

OTHERS = ["[]", "null", "3", '"x"', "{", "\x00"]


@pytest.mark.parametrize("text", OTHERS)
def test_the_marker_of_an_export(tmp_path: Path, text: str) -> None:
    identity = {"format": "recipes"}
    Destination(tmp_path / "dest", tmp_path / "data", identity)
    (tmp_path / "dest" / "spatialqa-export.json").write_text(text)
    with pytest.raises(DatasetError, match="spatialqa-export.json: .*; name a new or an empty folder") as caught:
        Destination(tmp_path / "dest", tmp_path / "data", identity)
    assert "\n" not in str(caught.value)


def test_the_marker_of_an_export_without_an_identity(tmp_path: Path) -> None:
    Destination(tmp_path / "dest", tmp_path / "data", {})
    (tmp_path / "dest" / "spatialqa-export.json").write_text('{"complete": true, "identity": []}')
    with pytest.raises(DatasetError, match="has no identity"):
        Destination(tmp_path / "dest", tmp_path / "data", {})
