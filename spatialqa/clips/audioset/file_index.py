"""Index of all file names below a folder, from one walk, cached as a Parquet file.

A kept index is taken when every directory of it still has the modification time that it had: adding, removing or
renaming a file changes its directory's time, so a million names are checked by as many `stat` calls as there are
directories. What is inside the files does not matter here.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.errors import ClipError

_VERSION = "1"
_METADATA_KEY = b"spatialqa_index"
# A directory that changed this shortly before it was read may change again under the same time stamp.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, eq=False)
class FileIndex:
    """The files below `root`: names (string) and the index of each one's folder (int32) in `folders`.

    Folders are relative to the root, with forward slashes, sorted; the root itself is "". Names follow their folders,
    within each in the file system's order: what is made of them is to be sorted. Names that begin with a dot are passed
    over, and so are links that lead nowhere.
    """

    root: Path
    folders: tuple[str, ...]
    names: pa.Array
    folder_of: np.ndarray[tuple[int], np.dtype[np.int32]]
    from_cache: bool  # whether the tree did not have to be walked

    def path(self, row: int) -> str:
        """Return a file's path relative to the root, with forward slashes."""
        folder = self.folders[self.folder_of[row]]
        name = self.names[row].as_py()
        return f"{folder}/{name}" if folder else name


def index_files(root: Path, cache: Path | None = None) -> FileIndex:
    """Return the files below a folder, from the index kept in `cache` when the tree has not changed since.

    Links to folders are followed, each folder once. A cache that cannot be read is ignored, and one that cannot be
    written is left as it is.

    Raises:
        ClipError: the folder cannot be listed.
    """
    kept = _cache_file(root, cache) if cache is not None else None
    if kept is not None and (index := _read(kept, root)) is not None:
        return index
    index, times, started_ns = _walk(root)
    if kept is not None:
        # The index only saves time: a full disk or a read-only home is no reason to stop.
        with contextlib.suppress(OSError):
            _write(kept, index, times, started_ns)
    return index


def _walk(root: Path) -> tuple[FileIndex, list[int], int]:
    started_ns = time.time_ns()
    found: dict[str, tuple[list[str], int]] = {}
    seen: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        relative = pending.pop()
        folder = os.path.join(root, relative) if relative else os.fspath(root)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            names, folders = _list(folder)
        except OSError as error:
            raise ClipError(f"{folder} cannot be listed: {error.strerror}; make it readable or give another") from error
        found[relative] = (names, status.st_mtime_ns)
        # Deepest last, so that a folder that two links lead to is met under the same name every time.
        pending += [f"{relative}/{name}" if relative else name for name in sorted(folders, reverse=True)]
    ordered = sorted(found)
    names = [name for folder in ordered for name in found[folder][0]]
    counts = [len(found[folder][0]) for folder in ordered]
    folder_of = np.repeat(np.arange(len(ordered), dtype=np.int32), counts)
    index = FileIndex(root, tuple(ordered), pa.array(names, pa.string()), folder_of, from_cache=False)
    return index, [found[folder][1] for folder in ordered], started_ns


def _list(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders in one folder."""
    names, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[0] == ".":
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif not entry.is_symlink() or entry.is_file():
                names.append(entry.name)
    return _utf8(names), _utf8(folders)


def _utf8(names: list[str]) -> list[str]:
    """Leave out names whose bytes are not UTF-8, which no table could name."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        return [name for name in names if name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)]
    return names


def _cache_file(root: Path, cache: Path) -> Path:
    key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
    return cache / "file_index" / f"{key}.parquet"


def _read(path: Path, root: Path) -> FileIndex | None:
    """Return the index that is kept, or None when there is none or the tree has changed since."""
    try:
        table = pq.read_table(path, memory_map=False)
        facts = json.loads((table.schema.metadata or {})[_METADATA_KEY])
        if facts["version"] != _VERSION:
            return None
        folders, times, started_ns = facts["folders"], facts["times_ns"], facts["started_ns"]
        for folder, modified_ns in zip(folders, times, strict=True):
            if modified_ns > started_ns - _SETTLED_NS or os.stat(root / folder).st_mtime_ns != modified_ns:
                return None
        names = table["name"].combine_chunks().cast(pa.string())
        counts = np.asarray(facts["counts"], dtype=np.int64)
        if int(counts.sum()) != len(names) or len(counts) != len(folders):
            return None
        folder_of = np.repeat(np.arange(len(folders), dtype=np.int32), counts)
        return FileIndex(root, tuple(folders), names, folder_of, from_cache=True)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def _write(path: Path, index: FileIndex, times_ns: list[int], started_ns: int) -> None:
    counts = np.bincount(index.folder_of, minlength=len(index.folders))
    facts = {
        "version": _VERSION,
        "root": os.fspath(index.root.resolve()),
        "folders": index.folders,
        "counts": counts.tolist(),
        "times_ns": times_ns,
        "started_ns": started_ns,
    }
    schema = pa.schema([("name", pa.string())], metadata={_METADATA_KEY: json.dumps(facts).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".index-", suffix=".tmp")
    try:
        with open(descriptor, "wb") as stream:
            pq.write_table(
                pa.table([index.names], schema=schema),
                stream,
                compression="NONE",
                use_dictionary=False,
                write_statistics=False,
            )
        os.replace(aside, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(aside)
