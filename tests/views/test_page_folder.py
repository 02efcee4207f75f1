"""A page is put in its place whole, replaces an older page and nothing else, and never touches the data set."""

from pathlib import Path

import pytest

from spatialqa.errors import DatasetError
from spatialqa.views.page_folder import MARKER, PageFolder, place_beside


def make(place: Path, dataset: Path, text: str = "new") -> None:
    page = PageFolder(place, dataset)
    with page.whole({"page": "test"}):
        page.write("index.html", text)
        page.write("scenes/a.js", b"1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_an_older_page_is_replaced_as_a_whole(tmp_path: Path, data: Path) -> None:
    make(tmp_path / "page", data, "old")
    (tmp_path / "page" / "scenes" / "a.js").unlink()
    make(tmp_path / "page", data)
    assert (tmp_path / "page" / "index.html").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "page"}
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"index.html", "scenes", MARKER}


def test_after_an_error_the_older_page_is_there_and_nothing_else(tmp_path: Path, data: Path) -> None:
    make(tmp_path / "page", data, "old")
    page = PageFolder(tmp_path / "page", data)

    def fail() -> None:
        with page.whole({}):
            page.write("index.html", "half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "page" / "index.html").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "page"}


@pytest.mark.parametrize("place", ["data", "data/page", "."])
def test_a_page_and_its_data_set_do_not_lie_in_each_other(tmp_path: Path, data: Path, place: str) -> None:
    with pytest.raises(DatasetError, match="a folder of its own"):
        PageFolder(tmp_path / place, data)


def test_a_link_into_the_data_set_is_seen_through(tmp_path: Path, data: Path) -> None:
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(DatasetError, match="a folder of its own"):
        PageFolder(tmp_path / "link", data)


def test_what_is_not_a_page_is_refused_and_kept(tmp_path: Path, data: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not empty and not a page"):
        make(tmp_path / "mine", data)
    with pytest.raises(DatasetError, match="not a folder"):
        make(tmp_path / "mine" / "notes.txt", data)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_a_file_that_someone_put_beside_the_page_is_not_lost(tmp_path: Path, data: Path) -> None:
    make(tmp_path / "page", data)
    (tmp_path / "page" / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"holds 'notes\.txt', which is not of the page"):
        make(tmp_path / "page", data)
    assert (tmp_path / "page" / "notes.txt").read_text() == "mine"


def test_an_empty_folder_becomes_the_page(tmp_path: Path, data: Path) -> None:
    (tmp_path / "page").mkdir()
    make(tmp_path / "page", data)
    assert (tmp_path / "page" / "index.html").is_file()


def test_a_page_lies_beside_the_folder_or_the_link_that_was_named(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to(data)
    assert place_beside(tmp_path / "work" / "link", "preview") == tmp_path / "work" / "link-preview"
    monkeypatch.chdir(data)
    assert place_beside(Path(), "report") == tmp_path / "data-report"
