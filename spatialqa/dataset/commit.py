"""Commits a table as one Parquet file: written under a temporary name, re-opened, hashed, synced, renamed."""

from pathlib import Path

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
    leaves = [name for name in _leaf_names(table.schema) if name not in _AUDIO_LEAVES]

    def write(path: Path) -> None:
        pq.write_table(
            table,
            path,
            row_group_size=rows_per_group,
            compression="NONE" if len(leaves) < len(_leaf_names(table.schema)) else "ZSTD",
            use_dictionary=leaves,
            write_statistics=leaves,
            write_page_index=is_described(table.schema),
        )
        rows = pq.ParquetFile(path).metadata.num_rows
        if rows != table.num_rows:
            raise UnfinishedError(f"{path}: wrote {table.num_rows} rows and read back {rows}; run the command again")

    size, sha256 = commit_file(below(root, relative), write)
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
