"""Commits a table as one Parquet file: written under a temporary name, re-opened, hashed, synced, renamed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.core.files import FileRecord, below, commit_file
from spatialqa.dataset.schema import is_described, with_metadata
from spatialqa.errors import UnfinishedError

_AUDIO_LEAVES = {"audio.bytes", "audio.path", "rir"}
ROWS_PER_GROUP = 60  # keeps a row group of scenes under 100 MB


def commit_table(root: Path, relative: str, table: pa.Table, rows_per_group: int = ROWS_PER_GROUP) -> FileRecord:
    """Write a table as one Parquet file below `root` and return its record; the name appears only when it is whole.

    A page index is written, except for a schema without descriptions: that of a file of an older version.

    Raises:
        DatasetError: the disk is full or the folder cannot be written, or `relative` leads out of `root`; nothing is
            left behind.
    """
    table = table.replace_schema_metadata(with_metadata(table.schema).metadata)
    how = _options(table.schema)
    return _commit(
        root,
        relative,
        lambda path: pq.write_table(table, path, row_group_size=rows_per_group, **how),
        lambda: table.num_rows,
    )


def commit_groups(
    root: Path, relative: str, schema: pa.Schema, groups: Iterable[Sequence[Mapping[str, Any]]]
) -> FileRecord:
    """Write rows as one Parquet file, each item of `groups` as a row group, and return its record.

    No more than one group is held in memory. Otherwise as `commit_table`.
    """
    schema = with_metadata(schema)
    count = 0

    def write(path: Path) -> None:
        nonlocal count
        with pq.ParquetWriter(path, schema, **_options(schema)) as writer:
            for rows in groups:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                count += len(rows)

    return _commit(root, relative, write, lambda: count)


def _options(schema: pa.Schema) -> dict[str, Any]:
    names = _leaf_names(schema)
    leaves = [name for name in names if name not in _AUDIO_LEAVES]
    return {
        "compression": "NONE" if len(leaves) < len(names) else "ZSTD",
        "use_dictionary": leaves,
        "write_statistics": leaves,
        "write_page_index": is_described(schema),
    }


def _commit(root: Path, relative: str, write: Callable[[Path], None], wanted: Callable[[], int]) -> FileRecord:
    def write_and_count(path: Path) -> None:
        write(path)
        rows = pq.ParquetFile(path).metadata.num_rows
        if rows != wanted():
            raise UnfinishedError(f"{path}: wrote {wanted()} rows and read back {rows}; run the command again")

    size, sha256 = commit_file(below(root, relative), write_and_count)
    return FileRecord(relative, wanted(), size, sha256)


def _leaf_names(schema: pa.Schema) -> list[str]:
    """Return the dotted Parquet names of a schema's leaves."""

    def walk(name: str, kind: pa.DataType) -> list[str]:
        if pa.types.is_struct(kind):
            return [leaf for field in kind for leaf in walk(f"{name}.{field.name}", field.type)]
        if pa.types.is_list(kind):
            return walk(f"{name}.list.element", kind.value_type)
        return [name]

    return [leaf for field in schema for leaf in walk(field.name, field.type)]
