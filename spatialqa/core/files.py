"""Atomic writes, hashes, and the cache folder."""

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from spatialqa.core.input_files import open_regular
from spatialqa.errors import DamagedError, DatasetError

_TEMPORARY = re.compile(r"\.spatialqa-[0-9a-f]{32}\.tmp")


def digest(value: Any) -> str:
    """Return the sha256 of plain data as sorted JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class FileRecord:
    """What is known of a committed file; path is relative to the data set."""

    path: str
    rows: int
    bytes: int
    sha256: str


def temporary_name() -> str:
    """Return a new name for a file or folder that is not finished; only spatialqa gives such names."""
    return f".spatialqa-{uuid.uuid4().hex}.tmp"


def unfinished(root: Path) -> Iterator[Path]:
    """Yield what killed commands have left below a folder under temporary names."""
    for path in root.rglob(".spatialqa-*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            yield path


def file_name(identifier: str, where: object) -> str:
    """Return an id that is to name a file as it is; raises DatasetError for one that would lead to another folder.

    Args:
        identifier: from a table or a record.
        where: what holds it, for the message.
    """
    if identifier in ("", ".", "..") or any(character in identifier for character in "/\\\0"):
        raise DamagedError(
            f"{where}: {identifier[:80]!r} cannot name a file; the data set is damaged or was not written by spatialqa"
        )
    return identifier


def below(root: Path, relative: str) -> Path:
    """Return a path below `root`; raises DatasetError where `relative` leads out of it."""
    parts = PurePosixPath(relative).parts
    if not parts or ".." in parts or "\0" in relative or Path(relative).is_absolute():
        raise DamagedError(
            f"{root}: {relative[:80]!r} is not a path below this folder; the record is damaged or was not written by "
            "spatialqa"
        )
    return root / relative


def commit_file(path: Path, write: Callable[[Path], None]) -> tuple[int, str]:
    """Let `write` make a file under a temporary name beside `path`, then sync and rename it; return (bytes, sha256)."""
    aside = path.with_name(temporary_name())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(aside)
        sha256 = sha256_of(aside)
        with aside.open("rb+") as handle:
            os.fsync(handle.fileno())
        size = aside.stat().st_size
        os.replace(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was lost, run again"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return size, sha256


def commit_text(root: Path, relative: str, text: str, rows: int = 0) -> FileRecord:
    """Write a text file below `root`, whole or not at all, and return its record."""

    def write(aside: Path) -> None:
        aside.write_bytes(text.encode())  # the same bytes on systems that end lines otherwise

    size, sha256 = commit_file(below(root, relative), write)
    return FileRecord(relative, rows, size, sha256)


def commit_json(path: Path, value: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    commit_text(path.parent, path.name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with open_regular(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened, and a rename is durable by itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def default_cache() -> Path:
    """Return the folder for caches: $SPATIALQA_CACHE, else $XDG_CACHE_HOME/spatialqa, else ~/.cache/spatialqa."""
    if chosen := os.environ.get("SPATIALQA_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spatialqa"
