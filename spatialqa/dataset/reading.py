"""Reads tables of a data set row by row, so that memory does not grow with it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.schema import SCENES
from spatialqa.errors import DatasetError
from spatialqa.scene import Scene

_SCENE_COLUMNS = [name for name in SCENES.names if name != "audio"]


def read_rows(path: Path, columns: Sequence[str] | None = None, batch_rows: int = 512) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as plain data.

    Raises:
        DatasetError: the file cannot be read or lacks a column.
    """
    try:
        file = pq.ParquetFile(path)
        missing = [name for name in columns or () if name not in file.schema_arrow.names]
        if missing:
            raise DatasetError(f"{path}: has no column {', '.join(missing)}; it is not a table of ours")
        for batch in file.iter_batches(batch_rows, columns=list(columns) if columns else None, use_threads=False):
            yield from batch.to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path}: cannot be read as a Parquet table of ours ({' '.join(str(error).split())})"
        ) from None


def read_scenes(path: Path) -> Iterator[Scene]:
    """Yield the scenes of one file of the `scenes` table, without their audio."""
    for row in read_rows(path, _SCENE_COLUMNS):
        yield Scene.from_row(row)


def read_audio(path: Path) -> Iterator[tuple[Scene, bytes]]:
    """Yield the scenes of one file with their FLAC bytes, which are empty where scenes were only planned."""
    for row in read_rows(path, batch_rows=16):
        yield Scene.from_row(row), row["audio"]["bytes"] if row["audio"] else b""


def scene_files(folder: DatasetFolder, split: str | None = None) -> list[Path]:
    """Return the files of the `scenes` table in order; DatasetError when there are none."""
    files = [path for path in folder.tables("scenes") if split in (None, split_of(path))]
    if not files:
        raise DatasetError(f"{folder.root}: holds no scenes yet; run `spatialqa render {folder.root}` first")
    return files
