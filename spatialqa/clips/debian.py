"""Downloads recorded sounds from Debian packages, each with its AudioSet class.

The table `spatialqa/data/debian_clips.tsv` says which file of which package is what; the sounds themselves stay in
their packages until a user fetches them, each under its own licence.
"""

import csv
import hashlib
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from spatialqa.clips.clip import RejectedClip
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError

TABLE = "clips.tsv"
_FIRST_LINE = "# Sounds fetched out of Debian packages by spatialqa; each package's copyright file has its licence.\n"
_COLUMNS = ("path", "label", "mid", "licence", "attribution", "sha256")
# Signs in apt-get's messages that no other package would succeed either.
_OFFLINE = (
    "could not resolve",
    "temporary failure",
    "could not connect",
    "unable to connect",
    "network is unreachable",
)


@dataclass(frozen=True)
class DebianClip:
    """One sound file of a package, as it is in Debian 12."""

    package: str
    file: str  # path within the package
    sha256: str
    mid: str
    licence: str
    duration_s: float
    sample_rate: int
    tagger_agrees: str  # "yes", "parent" (a parent class was heard), "no"

    @property
    def path(self) -> str:
        """Where the file lies below the folder it is fetched to."""
        return f"{self.package}/{self.file}"

    @property
    def in_default_set(self) -> bool:
        """The rule of the default set: a tagger hears the class or its parent, 0.2 s or longer, and 8 kHz or more."""
        return self.tagger_agrees != "no" and self.duration_s >= 0.2 and self.sample_rate >= 8000


@dataclass(frozen=True)
class FetchReport:
    """What a folder holds after `fetch`."""

    dest: Path
    n_clips: int  # named in the folder's clips.tsv
    n_classes: int
    n_already_there: int
    skipped: tuple[RejectedClip, ...]  # files that this release's packages lack or have in another version
    failed_packages: tuple[tuple[str, str], ...]  # (package, why)


@cache
def debian_clips() -> tuple[DebianClip, ...]:
    """Return every sound that the table knows (532 of 201 classes), sorted by package and file."""
    text = resources.files("spatialqa.data").joinpath("debian_clips.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        DebianClip(
            package=row["package"],
            file=row["file"],
            sha256=row["sha256"],
            mid=row["mid"],
            licence=row["licence"],
            duration_s=float(row["duration_s"]),
            sample_rate=int(row["sample_rate"]),
            tagger_agrees=row["tagger_agrees"],
        )
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    )


def fetch(
    dest: Path,
    packages: Sequence[str] | None = None,
    everything: bool = False,
    progress: Callable[[str], None] | None = None,
) -> FetchReport:
    """Fetch labelled sounds into a folder that `FolderClips` reads: by `apt-get download` and `dpkg-deb`, without root.

    Sounds that are there already and unchanged are not fetched again. The folder's table, clips.tsv, is written last.

    Args:
        dest: a new or empty folder, or one that was fetched before (then it gains what is missing).
        packages: only these Debian packages; all 18 by default, about 540 MB of downloads.
        everything: every sound of the table, also those that no tagger recognised and very short ones.
        progress: called with one line for each step.

    Raises:
        ClipError: a package the table lacks; a folder with other things in it; no apt-get or dpkg-deb, no package lists
            or no network, so that no sound could be had. One line that names what to do.
    """
    known = sorted({clip.package for clip in debian_clips()})
    for package in packages or ():
        if package not in known:
            raise ClipError(f"no sounds are known in the package {package!r}; known are {', '.join(known)}")
    wanted = [
        clip
        for clip in debian_clips()
        if (everything or clip.in_default_set) and (not packages or clip.package in packages)
    ]
    return fetch_clips(dest, wanted, debian_clips(), progress)


def fetch_clips(
    dest: Path,
    wanted: Sequence[DebianClip],
    known: Sequence[DebianClip],
    progress: Callable[[str], None] | None = None,
) -> FetchReport:
    """Do the work of `fetch` for given sounds; the folder's table names all of `known` that the folder has."""
    say = progress or (lambda _: None)
    there = {clip.path for clip in wanted if _has(dest, clip)}
    missing: dict[str, list[DebianClip]] = {}
    for clip in wanted:
        if clip.path not in there:
            missing.setdefault(clip.package, []).append(clip)
    skipped: list[RejectedClip] = []
    failed: list[tuple[str, str]] = []
    try:
        _refuse_foreign(dest, {clip.package for clip in known})
        dest.mkdir(parents=True, exist_ok=True)
        for k, (package, clips) in enumerate(missing.items(), start=1):
            say(f"{package} ({k}/{len(missing)}): downloading")
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=dest) as scratch:
                try:
                    lacking = extract(download(package, Path(scratch)), clips, dest)
                except ClipError as error:
                    failed.append((package, str(error)))
                    say(f"{package}: {error}")
                    if any(sign in str(error).lower() for sign in _OFFLINE):
                        break
                    continue
            skipped += lacking
            say(f"{package}: {len(clips) - len(lacking)} sounds" + (f", {len(lacking)} skipped" if lacking else ""))
        held = [clip for clip in known if _has(dest, clip)]
        if held:
            _write_table(dest, held)
    except OSError as error:
        raise ClipError(f"cannot write to {dest}: {error.strerror or error}") from error
    if not held:
        cause = (
            failed[0][1] if failed else f"{skipped[0].path}: {skipped[0].reason}" if skipped else "none were asked for"
        )
        raise ClipError(f"no sounds could be fetched: {cause}")
    return FetchReport(dest, len(held), len({clip.mid for clip in held}), len(there), tuple(skipped), tuple(failed))


def download(package: str, folder: Path) -> Path:
    """Download a package file into a folder and return its path; raises ClipError with what to do."""
    command = ["apt-get", "download", "-q", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", package]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, env=os.environ | {"LC_ALL": "C"}, check=False)
    except FileNotFoundError:
        raise ClipError(
            "apt-get is not here; these sounds come out of Debian packages, so run this on Debian or Ubuntu"
        ) from None
    found = sorted(folder.glob(f"{package}_*.deb"))
    if done.returncode == 0 and found:
        return found[0]
    errors = [line[2:].strip() for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("E:")]
    cause = errors[0] if errors else f"apt-get ended with code {done.returncode}"
    advice = "run `apt-get update` as root and check the network (Debian or Ubuntu only)"
    raise ClipError(f"apt-get cannot download {package}: {cause}; {advice}")


def extract(deb: Path, clips: Sequence[DebianClip], dest: Path) -> list[RejectedClip]:
    """Copy sounds out of a package file, with the package's copyright file, and return those it lacks or has otherwise.

    A sound is written only when its bytes have the sha256 of the table, whole or not at all.

    Raises:
        ClipError: dpkg-deb is absent or cannot read the file.
    """
    package = clips[0].package
    left = {clip.file: clip for clip in clips}
    copyright_file = f"usr/share/doc/{package}/copyright"
    pending = {*left, copyright_file}
    skipped = []
    try:
        process = subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except FileNotFoundError:
        raise ClipError("dpkg-deb is not here; install the package dpkg, or run this on Debian or Ubuntu") from None
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                while pending and (member := archive.next()) is not None:
                    name = member.name.removeprefix("./")
                    if name not in pending or not member.isfile() or (stream := archive.extractfile(member)) is None:
                        continue
                    pending.remove(name)
                    data = stream.read()
                    clip = left.pop(name, None)
                    if clip is None:
                        _write_whole(dest / package / "copyright", data)
                    elif hashlib.sha256(data).hexdigest() == clip.sha256:
                        _write_whole(dest / clip.path, data)
                    else:
                        reason = "its bytes differ from the table's; another release of the package"
                        skipped.append(RejectedClip(clip.path, reason))
        except tarfile.TarError as error:
            process.stdout.close()
            cause = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise ClipError(f"{deb.name} cannot be unpacked: {cause[-1] if cause else error}") from error
        process.stdout.close()
    skipped += [
        RejectedClip(clip.path, "the package has no such file; another release of it") for clip in left.values()
    ]
    return sorted(skipped, key=lambda clip: clip.path)


def _has(dest: Path, clip: DebianClip) -> bool:
    try:
        with open(dest / clip.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == clip.sha256
    except OSError:
        return False


def _refuse_foreign(dest: Path, packages: Iterable[str]) -> None:
    """Raise ClipError when the folder holds anything that an earlier fetch did not put there."""
    if not dest.exists():
        return
    if not dest.is_dir():
        raise ClipError(f"{dest} is a file; give a new or empty folder")
    expected = {TABLE, *packages}
    foreign = sorted(entry.name for entry in dest.iterdir() if entry.name not in expected and entry.name[0] != ".")
    table = dest / TABLE
    if not foreign and table.exists() and not table.read_bytes().startswith(_FIRST_LINE.encode()):
        foreign = [TABLE]
    if foreign:
        raise ClipError(f"{dest} holds other things ({foreign[0]}); give a new or empty folder")


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


def _write_table(dest: Path, clips: Sequence[DebianClip]) -> None:
    lines = [_COLUMNS]
    for clip in sorted(clips, key=lambda c: c.path):
        attribution = f"{Path(clip.file).name} of the Debian package {clip.package} ({clip.licence})"
        label = ontology().by_mid(clip.mid).name
        lines.append((clip.path, label, clip.mid, clip.licence, attribution, clip.sha256))
    text = _FIRST_LINE + "".join("\t".join(cells) + "\n" for cells in lines)
    _write_whole(dest / TABLE, text.encode())
