"""How a file becomes part of a data set: written aside, re-opened, hashed, synced, renamed, and only then recorded."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.dataset.schema import with_metadata
from spatialqa.errors import DatasetError

_AUDIO_LEAVES = {"audio.bytes", "audio.path", "rir"}
ROWS_PER_GROUP = 60  # keeps a row group of scenes under 100 MB


@dataclass(frozen=True)
class FileRecord:
    """What is known of a committed file; path is relative to the data set."""

    path: str
    rows: int
    bytes: int
    sha256: str


def commit_table(root: Path, relative: str, table: pa.Table, rows_per_group: int = ROWS_PER_GROUP) -> FileRecord:
    """Write a table as one Parquet file below `root` and return its record; the name appears only when it is whole.

    Raises:
        DatasetError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    table = table.replace_schema_metadata(with_metadata(table.schema).metadata)
    leaves = [name for name in _leaf_names(table.schema) if name not in _AUDIO_LEAVES]

    def write(path: Path) -> None:
        pq.write_table(
            table,
            path,
            row_group_size=rows_per_group,
            compression="NONE" if len(leaves) < len(_leaf_names(table.schema)) else "ZSTD",
            use_dictionary=leaves,
            write_statistics=leaves,
        )
        rows = pq.ParquetFile(path).metadata.num_rows
        if rows != table.num_rows:
            raise DatasetError(f"{path}: wrote {table.num_rows} rows and read back {rows}; run the command again")

    size, sha256 = commit_file(root / relative, write)
    return FileRecord(relative, table.num_rows, size, sha256)


def _leaf_names(schema: pa.Schema) -> list[str]:
    """Return the dotted Parquet names of a schema's leaves."""

    def walk(name: str, kind: pa.DataType) -> list[str]:
        if pa.types.is_struct(kind):
            return [leaf for field in kind for leaf in walk(f"{name}.{field.name}", field.type)]
        if pa.types.is_list(kind):
            return walk(f"{name}.list.element", kind.value_type)
        return [name]

    return [leaf for field in schema for leaf in walk(field.name, field.type)]


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
