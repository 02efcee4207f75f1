import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from spatialqa.bench.clip_scan import bench_scan
from spatialqa.clips.audioset import file_index
from spatialqa.clips.audioset.file_index import FileIndex, index_files
from spatialqa.clips.audioset.youtube_names import PREFERRED_SUFFIXES, parse_names
from spatialqa.errors import ClipError


def paths(index: FileIndex) -> list[str]:
    return sorted(index.path(row) for row in range(len(index.names)))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a.wav", "x/b.wav", "x/y/c.wav", "x/.hidden.wav", ".d/e.wav", "z/notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    settle(root)
    return root


def settle(root: Path) -> None:
    """Give every folder a time that lies well behind, as if it had been left alone for an hour."""
    for folder, _, _ in os.walk(root):
        past = time.time_ns() - 3600 * 10**9
        os.utime(folder, ns=(past, past))


def test_all_files_are_found_but_hidden_ones(tree: Path, tmp_path: Path) -> None:
    index = index_files(tree, tmp_path / "cache")
    assert not index.from_cache
    assert paths(index) == ["a.wav", "x/b.wav", "x/y/c.wav", "z/notes.txt"]
    again = index_files(tree, tmp_path / "cache")
    assert again.from_cache
    assert [again.path(i) for i in range(4)] == [index.path(i) for i in range(4)]


@pytest.mark.parametrize("change", ["add", "remove", "rename", "new folder", "deep"])
def test_a_tree_that_changed_is_walked_again(tree: Path, tmp_path: Path, change: str) -> None:
    cache = tmp_path / "cache"
    index_files(tree, cache)
    if change == "add":
        (tree / "x/new.wav").touch()
    elif change == "remove":
        (tree / "x/y/c.wav").unlink()
    elif change == "rename":
        (tree / "a.wav").rename(tree / "A.wav")
    elif change == "new folder":
        (tree / "w").mkdir()
    else:
        (tree / "x/y/q.wav").touch()
    index = index_files(tree, cache)
    assert not index.from_cache
    assert paths(index) == paths(index_files(tree, None))


def test_a_folder_that_has_just_changed_is_not_trusted(tree: Path, tmp_path: Path) -> None:
    now = time.time_ns()
    os.utime(tree / "x", ns=(now, now))
    index_files(tree, tmp_path / "cache")
    (tree / "x/late.wav").touch()
    os.utime(tree / "x", ns=(now, now))  # within the same tick of the clock
    assert "x/late.wav" in paths(index_files(tree, tmp_path / "cache"))


@pytest.mark.parametrize("content", [b"", b"PAR1 no Parquet", None])
def test_a_broken_index_is_made_anew(tree: Path, tmp_path: Path, content: bytes | None) -> None:
    cache = tmp_path / "cache"
    index_files(tree, cache)
    (kept,) = (cache / "file_index").iterdir()
    kept.write_bytes(kept.read_bytes()[:-20] if content is None else content)
    index = index_files(tree, cache)
    assert (index.from_cache, len(index.names)) == (False, 4)
    assert index_files(tree, cache).from_cache
    assert len(list((cache / "file_index").iterdir())) == 1


def test_an_index_of_another_version_is_made_anew(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_files(tree, tmp_path / "cache")
    monkeypatch.setattr(file_index, "_VERSION", "next")
    assert not index_files(tree, tmp_path / "cache").from_cache


def test_a_cache_that_cannot_be_written_does_no_harm(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(index_files(tree, tmp_path / "file").names) == 4


def test_links_are_followed_once_and_dangling_ones_passed_over(tree: Path) -> None:
    (tree / "x/up").symlink_to(tree)
    (tree / "other").symlink_to(tree / "x/y")
    (tree / "gone.wav").symlink_to(tree / "nowhere.wav")
    (tree / "there.wav").symlink_to(tree / "a.wav")
    assert paths(index_files(tree)) == ["a.wav", "other/c.wav", "there.wav", "x/b.wav", "z/notes.txt"]


def test_names_that_are_no_utf8_are_passed_over(tree: Path) -> None:
    (tree / "ünï.wav").touch()
    Path(os.fsdecode(os.fsencode(tree) + b"/\xff.wav")).touch()
    assert "ünï.wav" in paths(index_files(tree))
    assert len(index_files(tree).names) == 5


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    assert len(index_files(tmp_path).names) == 0
    with pytest.raises(ClipError, match="cannot be listed"):
        index_files(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "video_id", "start", "end"),
    [
        ("abcdefghijk.wav", "abcdefghijk", None, None),
        ("Yabcdefghijk.wav", "abcdefghijk", None, None),
        ("Yabcdefghij.wav", "Yabcdefghij", None, None),
        ("YYabcdefghij.wav", "Yabcdefghij", None, None),
        ("abcdefghijk_30.flac", "abcdefghijk", 30, None),
        ("Yabcdefghij_30.flac", "Yabcdefghij", 30, None),
        ("Yabcdefghijk_30.flac", "abcdefghijk", 30, None),
        ("abcdefghij__30.flac", "abcdefghij_", 30, None),
        ("Yabcdefghi___30.flac", "abcdefghi__", 30, None),
        ("Yabcdefghij__30.flac", "abcdefghij_", 30, None),
        ("-_-_-_-_-_-_30000_40000.m4a", "-_-_-_-_-_-", 30000, 40000),
        ("a_10_20_30b_10_20.wav", "a_10_20_30b", 10, 20),
        ("abcdefghijk_30.000_40.000.webm", "abcdefghijk", 30, 40),
        ("abcdefghijk_0.5.OGG", "abcdefghijk", 0.5, None),
    ],
)
def test_names_are_parsed_exactly(name: str, video_id: str, start: float | None, end: float | None) -> None:
    for around in ([name], ["short.wav", name, "notes.txt", ""]):
        named = parse_names(pa.array(around))
        assert named.ids.tolist() == [video_id.encode()]
        assert named.rows.tolist() == [around.index(name)]
        assert [None if x != x else x for x in (named.start[0], named.end[0])] == [start, end]
        assert PREFERRED_SUFFIXES[named.suffix[0]] == os.path.splitext(name)[1].lower()


@pytest.mark.parametrize(
    "name",
    [
        "short.wav",
        "abcdefghijkl.wav",
        "abcdefghijk_.wav",
        "abcdefghijk_x.wav",
        "abcdefghijk_1_2_3.wav",
        "abcdefghijk_1_.wav",
        "abcdefghijk_1..wav",
        "abcdefgh jk.wav",
        "abcdéfghij.wav",
        "a.b.wav",
        ".wav",
    ],
)
def test_other_names_of_sounds_are_told(name: str) -> None:
    named = parse_names(pa.array(["x.txt", name, "abcdefghijk"]))
    assert named.ids.size == 0
    assert named.other_sounds.tolist() == [1]


def test_no_names_and_a_slice_of_names() -> None:
    assert parse_names(pa.array([], pa.string())).ids.size == 0
    names = pa.array(["x.wav", "abcdefghijk.wav", "bbbbbbbbbbb_5.wav"]).slice(1)
    assert parse_names(names).ids.tolist() == [b"abcdefghijk", b"bbbbbbbbbbb"]


def test_the_bench_counts_what_it_made_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    figures = {name: figure for name, figure, _ in bench_scan(files=300, repeats=1)}
    assert figures["files"] == 300
    assert all(figure > 0 for figure in figures.values())
    assert list(tmp_path.iterdir()) == []
