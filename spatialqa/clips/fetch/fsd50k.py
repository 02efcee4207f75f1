"""Fetches FSD50K from Zenodo: whole archives with their MD5, or only the members that are asked for."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spatialqa.clips.fetch.collected import Clip, Fetched, FetchOptions, record, refuse_foreign
from spatialqa.clips.fetch.http import Remote, download, get_json
from spatialqa.clips.fetch.split_zip import LocalPart, RemotePart, SplitZip
from spatialqa.clips.fsd50k import rights_by_name
from spatialqa.clips.listed_files import read_table
from spatialqa.core.files import below, commit_file
from spatialqa.core.ontology import ontology
from spatialqa.errors import DownloadError

HOME = "zenodo.org/records/4060432"
_HOST, _RECORD = "https://zenodo.org", "4060432"
_SMALL = ("FSD50K.ground_truth.zip", "FSD50K.metadata.zip")
_PARTS = ("dev", "eval")


def fetch_fsd50k(dest: Path, options: FetchOptions) -> Fetched:
    """Fetch FSD50K, or some of it, in its released layout.

    The whole is fetched as archives, which are unpacked and removed. With classes or a limit, only these clips are
    fetched from within the archives, and checked by the checksums in these.

    Raises:
        ClipError: the folder holds other things, a class is none, or no clip is left.
        DownloadError: the network or Zenodo failed, or a file is not what Zenodo says.
    """
    wanted = options.wanted_mids()
    refuse_foreign(dest, "fsd50k")
    files = _files(options.mirror)
    fetched = 0
    for name in _SMALL:
        fetched += _unpacked_small(dest, name, files)
    clips, already = [], 0
    for part in _PARTS:
        listed = _listed(dest, part)
        chosen = {path: clip for path, clip in listed.items() if wanted.intersection(clip.mids)}
        limit = None if options.max_bytes is None else max(options.max_bytes - fetched, 0)
        archive = _Audio(dest, part, files, options)
        n_bytes, n_already, there = archive.fetch(chosen, limit)
        fetched, already = fetched + n_bytes, already + n_already
        clips += [chosen[path] for path in there]
    return record(dest, "fsd50k", HOME, options, clips, fetched, already)


def _files(mirror: str | None) -> dict[str, Remote]:
    host = mirror or _HOST
    url = f"{host}/api/records/{_RECORD}"
    listing: Any = get_json(url)[0]
    try:
        return {
            item["key"]: Remote(f"{url}/files/{item['key']}/content", int(item["size"]), str(item["checksum"]))
            for item in listing["files"]
        }
    except (KeyError, TypeError, ValueError):
        raise DownloadError(f"{url}: is not a record of Zenodo as expected") from None


def _unpacked_small(dest: Path, name: str, files: dict[str, Remote]) -> int:
    """Fetch and unpack a small archive, unless that has been done; return the bytes that were fetched."""
    if name not in files:
        raise DownloadError(f"{HOME}: has no {name}; the record has changed")
    archive = dest / name
    fresh = download(files[name], archive)
    zipped = SplitZip([LocalPart(archive)])
    for info in zipped:
        path = below(dest, info.filename)
        if not path.is_file() or path.stat().st_size != info.file_size:
            _write(path, zipped.read(info))
    return files[name].size if fresh else 0


def _listed(dest: Path, part: str) -> dict[str, Clip]:
    """Return the clips of a part by their path."""
    columns = ["fname", "labels", "mids", *(["split"] if part == "dev" else [])]
    rights = rights_by_name(dest / f"FSD50K.metadata/{part}_clips_info_FSD50K.json")
    known = {node.mid for node in ontology().nodes}
    clips = {}
    for row in read_table(dest / f"FSD50K.ground_truth/{part}.csv", columns):
        path = f"FSD50K.{part}_audio/{row['fname']}.wav"
        mids = tuple(mid for mid in row["mids"].split(",") if mid in known)
        licence, attribution = rights(row["fname"])
        clips[path] = Clip(path, mids, licence or "not stated", attribution or "")
    return clips


class _Audio:
    """The audio of one part: FSD50K.PART_audio.z01, .z02, ..., .zip."""

    def __init__(self, dest: Path, part: str, files: dict[str, Remote], options: FetchOptions) -> None:
        self._dest, self._part, self._options = dest, part, options
        pattern = re.compile(rf"FSD50K\.{part}_audio\.(z\d+|zip)")
        names = [name for name in files if pattern.fullmatch(name)]
        self._names = sorted(names, key=lambda name: (name.endswith(".zip"), name))
        if not names or not self._names[-1].endswith(".zip"):
            raise DownloadError(f"{HOME}: has no FSD50K.{part}_audio.zip; the record has changed")
        self._files = files

    def fetch(self, chosen: dict[str, Clip], limit: int | None) -> tuple[int, int, list[str]]:
        """Fetch clips; return the bytes that were fetched, how many clips were there, and the paths of all."""
        if self._options.selects:
            parts = [RemotePart(name, self._files[name]) for name in self._names]
            there, already = self._members(SplitZip(parts), chosen, limit)
            return sum(part.fetched for part in parts), already, there
        if all((self._dest / path).is_file() for path in chosen):
            return 0, len(chosen), list(chosen)
        total, fetched = sum(self._files[name].size for name in self._names), 0
        for name in self._names:
            self._options.say(f"{name}: {self._files[name].size / 1e6:,.0f} MB")
            if download(self._files[name], self._dest / name):
                fetched += self._files[name].size
            self._options.progress(fetched // 1_000_000, total // 1_000_000)
        there, already = self._members(SplitZip([LocalPart(self._dest / n) for n in self._names]), chosen, None)
        for name in self._names:
            (self._dest / name).unlink()
        return fetched, already, there

    def _members(self, archive: SplitZip, chosen: dict[str, Clip], limit: int | None) -> tuple[list[str], int]:
        there, already, used = [], 0, 0
        members = list(self._wanted(archive, chosen))
        for k, info in enumerate(members, start=1):
            path = self._dest / info.filename
            if path.is_file() and path.stat().st_size == info.file_size and zlib.crc32(path.read_bytes()) == info.CRC:
                already += 1
            else:
                used += info.compress_size
                if limit is not None and used > limit:
                    break
                _write(path, archive.read(info))
            there.append(info.filename)
            self._options.progress(k, len(members))
        return there, already

    def _wanted(self, archive: SplitZip, chosen: dict[str, Clip]) -> Iterator[Any]:
        return (info for info in archive if info.filename in chosen)


def _write(path: Path, content: bytes) -> None:
    def write(aside: Path) -> None:
        aside.write_bytes(content)

    commit_file(path, write)
