"""Files that appear whole or not at all: atomic writes, hashes, and where caches lie."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.errors import DatasetError


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


def commit_file(path: Path, write: Callable[[Path], None]) -> tuple[int, str]:
    """Let `write` make a file under a temporary name beside `path`, then sync and rename it; return (bytes, sha256)."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
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
        aside.write_text(text, encoding="utf-8")

    size, sha256 = commit_file(root / relative, write)
    return FileRecord(relative, rows, size, sha256)


def commit_json(path: Path, value: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    commit_text(path.parent, path.name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as handle:
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
