"""Collections are fetched from servers with the layouts of their homes, in parts, again, and checked."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from spatialqa.cli.main import cli
from spatialqa.clips.clip import ClipSet
from spatialqa.clips.esc50 import Esc50Clips
from spatialqa.clips.fetch import http
from spatialqa.clips.fetch.audioset_hub import fetch_audioset
from spatialqa.clips.fetch.collected import Fetched, FetchOptions
from spatialqa.clips.fetch.esc50 import fetch_esc50
from spatialqa.clips.fetch.fsd50k import fetch_fsd50k
from spatialqa.clips.folder import FolderClips
from spatialqa.clips.fsd50k import Fsd50kClips
from spatialqa.errors import ClipError, DownloadError
from tests.fixtures.homes import Home, audioset_home, esc50_home, fsd50k_home, serving

needs_zip = pytest.mark.skipif(not shutil.which("zip"), reason="needs zip, to write an archive in parts")
Fetch = Callable[[Path, FetchOptions], Fetched]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE_S", 0.0)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Callable[[Callable[[Path], Home]], Home]]:
    with ExitStack() as stack:
        yield lambda make: stack.enter_context(serving(make(tmp_path)))


def labels(clips: ClipSet) -> list[tuple[str, tuple[str, ...], str | None]]:
    return [(Path(record.clip_id).name, record.labels, record.licence) for record in clips.records()]


def asked_for(home: Home, ending: str) -> list[tuple[str, str | None]]:
    return [(path, part) for path, part in home.asked if path.endswith(ending)]


def test_esc50_is_read_by_its_own_reader_and_as_a_folder(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(esc50_home)
    found = fetch_esc50(tmp_path / "esc", FetchOptions(mirror=home.address))
    assert (found.clips, found.already) == (4, 0)
    assert found.licences == {"CC BY 3.0": 1, "CC BY-NC 3.0": 3}
    assert labels(Esc50Clips(tmp_path / "esc")) == labels(FolderClips(tmp_path / "esc"))
    assert (tmp_path / "esc/LICENSE").read_text() == "the terms\n"
    assert json.loads((tmp_path / "esc/fetched.json").read_text())["licences"] == found.licences
    home.asked.clear()
    again = fetch_esc50(tmp_path / "esc", FetchOptions(mirror=home.address))
    assert (again.already, again.bytes, asked_for(home, ".wav")) == (4, 0, [])


def test_classes_and_a_limit_choose_clips(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(esc50_home)
    options = FetchOptions(mirror=home.address)
    some = fetch_esc50(tmp_path / "some", replace(options, classes=("Dog", "Vacuum cleaner")))
    assert [name for name, _, _ in labels(FolderClips(tmp_path / "some"))] == ["1-100032-A-0.wav", "2-100210-B-36.wav"]
    size = sum(path.stat().st_size for path in (tmp_path / "some/audio").iterdir())
    few = fetch_esc50(tmp_path / "few", replace(options, max_bytes=size))
    assert (some.clips, few.clips) == (2, 2)
    with pytest.raises(ClipError, match="'Dogg' is not an AudioSet class"):
        fetch_esc50(tmp_path / "none", replace(options, classes=("Dogg",)))
    with pytest.raises(ClipError, match="no clip is of the classes Bark"):
        fetch_esc50(tmp_path / "none", replace(options, classes=("Bark",)))


@pytest.mark.parametrize("sends_parts", [True, False])
def test_a_download_that_breaks_off_is_continued(at: Callable[..., Home], tmp_path: Path, sends_parts: bool) -> None:
    home = at(esc50_home)
    home.break_after, home.sends_parts = 20_000, sends_parts
    fetch_esc50(tmp_path / "esc", FetchOptions(classes=("Dog",), mirror=home.address))
    (first, second) = asked_for(home, "1-100032-A-0.wav")
    assert (first[1], second[1]) == (None, "bytes=20000-")
    assert len(FolderClips(tmp_path / "esc").records()) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_a_killed_download_is_continued_by_the_next(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(esc50_home)
    content = home.files["/karolpiczak/ESC-50/master/audio/1-100032-A-0.wav"]
    (tmp_path / "esc/audio").mkdir(parents=True)
    (tmp_path / "esc/.esc50").touch()
    (tmp_path / "esc/audio/1-100032-A-0.wav.part").write_bytes(content[:1234])
    fetch_esc50(tmp_path / "esc", FetchOptions(classes=("Dog",), mirror=home.address))
    assert asked_for(home, "1-100032-A-0.wav")[0][1] == "bytes=1234-"
    assert (tmp_path / "esc/audio/1-100032-A-0.wav").read_bytes() == content


def test_what_is_not_the_file_is_refused(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(esc50_home)
    name = "/karolpiczak/ESC-50/master/audio/1-100032-A-0.wav"
    home.files[name] = home.files[name][:-1] + b"?"
    with pytest.raises(DownloadError, match="what arrived is another file"):
        fetch_esc50(tmp_path / "esc", FetchOptions(mirror=home.address))
    assert not (tmp_path / "esc/audio/1-100032-A-0.wav").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_a_server_that_is_busy_is_asked_again(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(esc50_home)
    home.failures = http.TRIES - 1
    assert fetch_esc50(tmp_path / "esc", FetchOptions(mirror=home.address)).clips == 4
    home.failures = http.TRIES
    with pytest.raises(DownloadError, match=r"cannot be fetched \(503 .*the same command continues"):
        fetch_esc50(tmp_path / "more", FetchOptions(mirror=home.address))
    del home.files["/repos/karolpiczak/ESC-50/git/trees/master?recursive=1"]
    home.asked.clear()
    with pytest.raises(DownloadError, match=r"\(404 "):
        fetch_esc50(tmp_path / "more", FetchOptions(mirror=home.address))
    assert len(home.asked) == 1


@needs_zip
def test_fsd50k_whole_is_fetched_as_archives(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(fsd50k_home)
    assert sum("dev_audio.z" in path for path in home.files) > 2  # it is in parts
    found = fetch_fsd50k(tmp_path / "fsd", FetchOptions(mirror=home.address))
    original = Fsd50kClips(tmp_path / "FSD50K")
    assert labels(Fsd50kClips(tmp_path / "fsd")) == labels(original)
    assert found.clips == len(FolderClips(tmp_path / "fsd").records()) == 4
    for path in (tmp_path / "fsd").rglob("*.wav"):
        assert path.read_bytes() == (tmp_path / "FSD50K" / path.relative_to(tmp_path / "fsd")).read_bytes()
    assert sorted(path.name for path in (tmp_path / "fsd").glob("*.z*")) == [
        "FSD50K.ground_truth.zip",
        "FSD50K.metadata.zip",
    ]
    again = fetch_fsd50k(tmp_path / "fsd", FetchOptions(mirror=home.address))
    assert (again.bytes, again.already) == (0, 4)


@needs_zip
def test_some_of_fsd50k_is_fetched_out_of_the_archives(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(fsd50k_home)
    options = FetchOptions(classes=("Dog", "Rain"), mirror=home.address)
    found = fetch_fsd50k(tmp_path / "fsd", options)
    names = [name for name, _, _ in labels(FolderClips(tmp_path / "fsd"))]
    assert names == ["64760.wav", "37199.wav"]
    assert found.licences == {"CC BY 3.0": 1, "CC Sampling+ 1.0": 1}
    assert all(part is not None for path, part in home.asked if "_audio" in path)
    assert fetch_fsd50k(tmp_path / "fsd", options).already == 2
    home.sends_parts = False
    with pytest.raises(DownloadError, match="sends no parts of files; fetch it without --classes"):
        fetch_fsd50k(tmp_path / "other", options)


@needs_zip
def test_a_damaged_archive_is_refused(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(fsd50k_home)
    name = "/api/records/4060432/files/FSD50K.dev_audio.z01/content"
    data = bytearray(home.files[name])
    data[len(data) // 2] ^= 1
    home.files[name] = bytes(data)
    with pytest.raises(DownloadError, match="what arrived is another file"):
        fetch_fsd50k(tmp_path / "whole", FetchOptions(mirror=home.address))
    with pytest.raises(DownloadError, match="is damaged; fetch it again"):
        fetch_fsd50k(tmp_path / "some", FetchOptions(max_bytes=10**9, mirror=home.address))


def test_audioset_becomes_files_with_labels(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(audioset_home)
    dest = tmp_path / "as"
    found = fetch_audioset(dest, FetchOptions(mirror=home.address))
    assert [name for name, _, _ in labels(FolderClips(dest))] == [
        "aaaaaaaaaaa.flac",
        "bbbbbbbbbbb.flac",
        "ccccccccccc.flac",
        "ddddddddddd.flac",
    ]
    assert found.licences == {"YouTube: rights with the uploader": 4}
    assert not list(dest.rglob("*.parquet"))
    home.asked.clear()
    again = fetch_audioset(dest, FetchOptions(mirror=home.address))
    assert (again.already, asked_for(home, ".parquet")) == (4, [])


def test_audioset_within_a_limit_and_of_some_classes(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(audioset_home)
    options = FetchOptions(classes=("Rain",), mirror=home.address)
    fetch_audioset(tmp_path / "rain", options)
    assert [name for name, _, _ in labels(FolderClips(tmp_path / "rain"))] == ["bbbbbbbbbbb.flac"]
    fetch_audioset(tmp_path / "rain", replace(options, max_bytes=10**9))
    assert [name for name, _, _ in labels(FolderClips(tmp_path / "rain"))] == ["bbbbbbbbbbb.flac", "eeeeeeeeeee.flac"]
    first = len(next(data for path, data in home.files.items() if path.endswith("bal_train/00.parquet")))
    found = fetch_audioset(tmp_path / "few", FetchOptions(max_bytes=first, mirror=home.address))
    assert (found.clips, found.bytes) == (2, first)


def test_the_command_names_what_to_do_next(at: Callable[..., Home], tmp_path: Path) -> None:
    home = at(esc50_home)
    words = ["clips", "fetch", "esc50", str(tmp_path / "esc"), "--classes", "Dog", "--mirror", f"{home.address}/"]
    said = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert said.exit_code == 0
    assert f"next: spatialqa render --clips folder:{tmp_path}/esc" in said.output


@pytest.mark.parametrize("fetch", [fetch_esc50, fetch_fsd50k, fetch_audioset])
def test_a_folder_with_other_things_stays_as_it_is(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ClipError, match="holds other things"):
        fetch(tmp_path, FetchOptions(mirror="http://127.0.0.1:9"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_without_a_network_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"cannot be fetched \(.*refused.*\); the same command continues"):
        fetch_esc50(tmp_path / "esc", FetchOptions(mirror="http://127.0.0.1:9"))
