import csv
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialqa.clips.debian import DebianClip, debian_clips, extract, fetch, fetch_clips
from spatialqa.clips.folder import FolderClips
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "debian_clips.tsv"
DOG, CAT = "/m/0bt9lr", "/m/01yrx"

needs_debian = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="apt-get and dpkg-deb are on Debian and Ubuntu"
)


def test_the_table_has_its_sounds_and_every_label_is_a_nameable_class() -> None:
    clips = debian_clips()
    assert len(clips) == len({clip.path for clip in clips}) == len({clip.sha256 for clip in clips}) == 532
    assert len({clip.mid for clip in clips}) == 201
    assert len({clip.package for clip in clips}) == 18
    assert all(ontology().is_nameable(clip.mid) and clip.licence for clip in clips)
    assert [(c.package, c.file) for c in clips] == sorted((c.package, c.file) for c in clips)


def test_the_default_set_is_large_and_follows_its_rule() -> None:
    chosen = [clip for clip in debian_clips() if clip.in_default_set]
    assert len(chosen) >= 300
    assert len({clip.mid for clip in chosen}) >= 130
    assert all(c.tagger_agrees in ("yes", "parent") and c.duration_s >= 0.2 and c.sample_rate >= 8000 for c in chosen)


@pytest.mark.skipif(not SHARED.is_file(), reason="the source table is not here")
def test_the_table_says_what_its_source_says() -> None:
    with open(SHARED, encoding="utf-8", newline="") as stream:
        source = {(r["package"], r["file"]): r for r in csv.DictReader(stream, delimiter="\t")}
    assert {(c.package, c.file) for c in debian_clips()} == set(source)
    for clip in debian_clips():
        row = source[clip.package, clip.file]
        told = (row["sha256"], row["mid"], row["licence"], int(row["sample_rate"]), row["tagger_agrees"])
        assert (clip.sha256, clip.mid, clip.licence, clip.sample_rate, clip.tagger_agrees) == told
        if not clip.file.endswith(".mp3"):  # the source has an MP3's length as guessed from its size
            assert clip.duration_s == pytest.approx(float(row["duration_s"]), abs=0.002)


def build_package(folder: Path, name: str, sounds: dict[str, bytes], text: str = "Licence: CC0-1.0\n") -> Path:
    """Build a real Debian package that holds sounds and a copyright file."""
    root = folder / f"{name}-root"
    files = {f"usr/share/doc/{name}/copyright": text.encode(), f"usr/share/{name}/readme": b"not asked for", **sounds}
    files["DEBIAN/control"] = (
        f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A B <a@example.org>\nDescription: sounds\n"
    ).encode()
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    deb = folder / f"{name}_1.0-1_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root)
    return deb


def sound(folder: Path, frequency_hz: float) -> bytes:
    path = folder / "sound.wav"
    t = np.arange(8000) / 16000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency_hz * t), 16000)
    data = path.read_bytes()
    path.unlink()
    return data


def listed(package: str, file: str, data: bytes, mid: str = DOG, licence: str = "CC0-1.0") -> DebianClip:
    return DebianClip(package, file, hashlib.sha256(data).hexdigest(), mid, licence, 0.5, 16000, "yes")


@needs_debian
def test_extract_writes_what_has_the_right_bytes_and_reports_the_rest(tmp_path: Path) -> None:
    bark, other = sound(tmp_path, 300), sound(tmp_path, 400)
    deb = build_package(tmp_path, "kennel", {"usr/share/kennel/a b.wav": bark, "usr/share/kennel/new.wav": other})
    clips = [
        listed("kennel", "usr/share/kennel/a b.wav", bark),
        listed("kennel", "usr/share/kennel/new.wav", bark),
        listed("kennel", "usr/share/kennel/gone.wav", bark),
    ]
    skipped = extract(deb, clips, tmp_path / "out")
    assert [(s.path, s.reason.split(";")[0]) for s in skipped] == [
        ("kennel/usr/share/kennel/gone.wav", "the package has no such file"),
        ("kennel/usr/share/kennel/new.wav", "its bytes differ from the table's"),
    ]
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written == ["kennel/copyright", "kennel/usr/share/kennel/a b.wav"]
    assert (tmp_path / "out" / "kennel/usr/share/kennel/a b.wav").read_bytes() == bark
    assert (tmp_path / "out" / "kennel/copyright").read_text() == "Licence: CC0-1.0\n"


@needs_debian
@pytest.mark.parametrize("damage", [lambda data: data[:2000], lambda data: b"no package", lambda data: b""])
def test_a_damaged_package_is_an_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    noise = np.random.default_rng(0).bytes(50_000)
    deb = build_package(tmp_path, "kennel", {"usr/share/kennel/a.wav": noise})
    deb.write_bytes(damage(deb.read_bytes()))
    with pytest.raises(ClipError, match=r"kennel_1\.0-1_all\.deb cannot be unpacked: ") as error:
        extract(deb, [listed("kennel", "usr/share/kennel/a.wav", noise)], tmp_path / "out")
    assert "\n" not in str(error.value)


class Archive:
    """A package archive of our own over HTTP, and an apt that knows no other."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "archive"
        self.clips: list[DebianClip] = []
        self._apt = folder / "apt"
        for part in (self.folder, self._apt / "state/lists/partial", self._apt / "cache/archives/partial"):
            part.mkdir(parents=True)
        handler = partial(QuietHandler, directory=str(self.folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        (self._apt / "status").touch()
        (self._apt / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{self.server.server_port} ./\n")
        (self._apt / "apt.conf").write_text(
            f'Dir::State "{self._apt}/state"; Dir::State::status "{self._apt}/status";\n'
            f'Dir::Cache "{self._apt}/cache";\n'
            f'Dir::Etc::sourcelist "{self._apt}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
            'APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries::Delay "false";\n'
            'Acquire::http::Proxy "false"; Acquire::http::Timeout "5";\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(self._apt / "apt.conf"))

    def add(self, package: str, sounds: dict[str, tuple[float, str]]) -> None:
        """Publish a package of sounds: name -> (frequency, mid)."""
        data = {f"usr/share/{package}/{name}": sound(self.folder, hz) for name, (hz, _) in sounds.items()}
        deb = build_package(self.folder, package, data)
        mids = [mid for _, mid in sounds.values()]
        self.clips += [listed(package, path, b, mid) for (path, b), mid in zip(data.items(), mids, strict=True)]
        with open(self.folder / "Packages", "a") as index:
            index.write(
                f"Package: {package}\nVersion: 1.0-1\nArchitecture: all\nFilename: ./{deb.name}\n"
                f"Size: {deb.stat().st_size}\nSHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n\n"
            )

    def update(self) -> None:
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    archive = Archive(tmp_path, monkeypatch)
    archive.add("kennel", {"bark.wav": (300, DOG), "howl.wav": (350, DOG)})
    archive.add("cattery", {"meow.wav": (700, CAT)})
    return archive


def everything_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@needs_debian
def test_fetching_out_of_an_archive_and_reading_it_as_a_folder(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    told: list[str] = []
    report = fetch_clips(tmp_path / "new" / "out", archive.clips, archive.clips, told.append)
    assert (report.n_clips, report.n_classes, report.n_already_there) == (3, 2, 0)
    assert (report.skipped, report.failed_packages) == ((), ())
    assert told == ["kennel (1/2): downloading", "kennel: 2 sounds", "cattery (2/2): downloading", "cattery: 1 sounds"]
    clips = FolderClips(report.dest)
    assert clips.rejected() == ()
    found = {r.clip_id: (r.labels, r.mids, r.licence, r.attribution, r.sha256) for r in clips.records()}
    assert found == {
        clip.path: (
            (ontology().by_mid(clip.mid).name,),
            (clip.mid,),
            "CC0-1.0",
            f"{Path(clip.file).name} of the Debian package {clip.package} (CC0-1.0)",
            clip.sha256,
        )
        for clip in archive.clips
    }
    assert not [path for path in everything_in(report.dest) if "/." in f"/{path}"], "something temporary was left"


@needs_debian
def test_a_second_run_needs_no_network_and_changes_nothing(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    fetch_clips(tmp_path / "out", archive.clips, archive.clips)
    before = everything_in(tmp_path / "out")
    archive.stop()
    report = fetch_clips(tmp_path / "out", archive.clips, archive.clips)
    assert (report.n_clips, report.n_already_there) == (3, 3)
    assert everything_in(tmp_path / "out") == before


@needs_debian
def test_a_run_mends_what_is_missing_or_damaged_and_adds_to_what_is_there(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    out = tmp_path / "out"
    kennel = archive.clips[:2]
    assert fetch_clips(out, kennel, archive.clips).n_clips == 2
    (out / kennel[0].path).write_bytes(b"damaged")
    (out / kennel[1].path).unlink()
    (out / "clips.tsv").unlink()  # as after an interrupted first run
    report = fetch_clips(out, kennel, archive.clips)
    assert (report.n_clips, report.n_already_there) == (2, 0)
    assert fetch_clips(out, archive.clips[2:], archive.clips).n_clips == 3  # the table names the earlier ones too
    assert len(FolderClips(out).records()) == 3


@needs_debian
def test_another_release_of_a_package_is_reported_and_the_rest_is_kept(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    stale = [listed("kennel", archive.clips[0].file, b"as it was in an older release"), *archive.clips[1:]]
    report = fetch_clips(tmp_path / "out", stale, stale)
    assert report.n_clips == 2
    assert [s.path for s in report.skipped] == [stale[0].path]
    with pytest.raises(ClipError, match=r"no sounds could be fetched: .*its bytes differ"):
        fetch_clips(tmp_path / "empty", stale[:1], stale)


@needs_debian
def test_a_package_that_apt_does_not_know_is_reported_and_the_rest_fetched(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    absent = listed("no-such-kennel", "usr/share/a.wav", b"")
    report = fetch_clips(tmp_path / "out", [absent, *archive.clips], [absent, *archive.clips])
    assert report.n_clips == 3
    ((package, why),) = report.failed_packages
    assert package == "no-such-kennel"
    assert "Unable to locate package" in why


@needs_debian
def test_absent_package_lists_say_to_update(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"cannot download kennel: .*run `apt-get update`") as error:
        fetch_clips(tmp_path / "out", archive.clips, archive.clips)
    assert "\n" not in str(error.value)


@needs_debian
def test_without_a_network_the_first_failure_ends_it(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    archive.stop()
    told: list[str] = []
    with pytest.raises(ClipError, match=r"cannot download kennel: .*check the network"):
        fetch_clips(tmp_path / "out", archive.clips, archive.clips, told.append)
    assert not [line for line in told if line.startswith("cattery")]
    assert everything_in(tmp_path / "out") == {}


@needs_debian
def test_a_package_that_left_the_archive_says_to_update(archive: Archive, tmp_path: Path) -> None:
    archive.update()
    (archive.folder / "kennel_1.0-1_all.deb").unlink()
    report = fetch_clips(tmp_path / "out", archive.clips, archive.clips)
    assert report.n_clips == 1
    assert "404" in report.failed_packages[0][1]
    assert "apt-get update" in report.failed_packages[0][1]


def test_without_apt_or_dpkg_one_line_says_where_this_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    clips = [listed("kennel", "usr/share/a.wav", b"")]
    with pytest.raises(ClipError, match=r"apt-get is not here; .* Debian or Ubuntu"):
        fetch_clips(tmp_path / "out", clips, clips)
    with pytest.raises(ClipError, match="dpkg-deb is not here"):
        extract(tmp_path / "kennel.deb", clips, tmp_path / "out")


def test_folders_with_other_things_and_unknown_packages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="no sounds are known in the package 'vim'; known are alsa-utils, "):
        fetch(tmp_path / "out", packages=["vim"])
    (tmp_path / "file").touch()
    with pytest.raises(ClipError, match="is a file"):
        fetch(tmp_path / "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "clips.tsv").write_text("path\tlabel\na.wav\tDog\n")
    with pytest.raises(ClipError, match=r"holds other things \(clips\.tsv\)"):
        fetch(tmp_path / "mine")
    (tmp_path / "music" / "Dog").mkdir(parents=True)
    with pytest.raises(ClipError, match=r"holds other things \(Dog\)"):
        fetch(tmp_path / "music")
    assert (tmp_path / "mine" / "clips.tsv").read_text() == "path\tlabel\na.wav\tDog\n"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClipError, match=r"cannot write to .*out: Not a directory"):
        fetch(tmp_path / "file" / "out", packages=["alsa-utils"])


@needs_debian
def test_the_smallest_real_package(tmp_path: Path) -> None:
    command = ["apt-get", "download", "-q", "sound-theme-freedesktop"]
    if subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("apt-get cannot download here")
    report = fetch(tmp_path / "out", packages=["sound-theme-freedesktop"], everything=True)
    assert report.n_clips + len(report.skipped) == 16
    assert "license" in (tmp_path / "out/sound-theme-freedesktop/copyright").read_text().lower()
    clips = FolderClips(report.dest)
    durations = {clip.path: clip.duration_s for clip in debian_clips()}
    for record in clips.records():
        assert record.duration_s == pytest.approx(durations[record.clip_id], abs=0.002)
        assert record.native_sample_rate is not None
        assert clips.load(record).audio.size == round(record.duration_s * record.native_sample_rate)
