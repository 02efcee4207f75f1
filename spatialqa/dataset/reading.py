"""Reads tables of a data set row by row, so that memory does not grow with it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.schema import QA, SCENES, described, descriptions, is_described, type_name, without_descriptions
from spatialqa.errors import DamagedError, DatasetError

_SCENE_COLUMNS = [name for name in SCENES.names if name != "audio"]


def read_rows(
    path: Path, columns: Sequence[str] | None = None, batch_rows: int = 512, also: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as plain data.

    Args:
        path: of the file.
        columns: those that are read; all by default.
        batch_rows: how many rows are held at a time.
        also: further columns, where the file has them.

    Raises:
        DatasetError: the file cannot be read or lacks a column.
    """
    try:
        file = pq.ParquetFile(path)
        present = set(file.schema_arrow.names)
        missing = [name for name in columns or () if name not in present]
        if missing:
            raise DatasetError(f"{path}: has no column {', '.join(missing)}; it is not a table of spatialqa")
        wanted = [*columns, *(name for name in also if name in present)] if columns else None
        for batch in file.iter_batches(batch_rows, columns=wanted, use_threads=False):
            yield from batch.to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise DamagedError(
            f"{path}: cannot be read as a Parquet table of spatialqa ({' '.join(str(error).split())})"
        ) from None


def read_scenes(path: Path) -> Iterator[Scene]:
    """Yield the scenes of one file of the `scenes` table, without their audio."""
    for row in read_rows(path, _SCENE_COLUMNS, also=("scene", "subject")):
        yield Scene.from_row(row)


def read_audio(path: Path) -> Iterator[tuple[Scene, bytes]]:
    """Yield the scenes of one file with their FLAC bytes, which are empty where scenes were only planned."""
    for row in read_rows(path, batch_rows=16):
        yield Scene.from_row(row), row["audio"]["bytes"] if row["audio"] else b""


def schema_of(path: Path, table: str) -> pa.Schema:
    """Return the schema that a file of a table was written with.

    What Parquet adds to it (field ids, other names for the elements of lists) is left out: writing the same rows again
    gives the same bytes. Files of older versions have no descriptions of columns.
    """
    ours = described(table)
    found = pq.read_schema(path)
    schema = pa.schema([_written(field, ours) for field in found])
    return schema if is_described(found) else without_descriptions(schema)


def _written(field: pa.Field, ours: pa.Schema) -> pa.Field:
    """Return the field of our schema that a file was written with; its records may lack fields that came later."""
    if field.name not in ours.names:
        return field
    own = ours.field(field.name)
    if not (pa.types.is_list(own.type) and pa.types.is_struct(own.type.value_type)):
        return own
    return own.with_type(pa.list_(pa.struct(list(own.type.value_type)[: field.type.value_type.num_fields])))


def columns_of(path: Path, table: str) -> list[tuple[str, str, str]]:
    """Return (name, type, description) of every column of a file; one of a record is `sources.azimuth_deg`."""
    texts = descriptions(described(table))
    return list(_columns(schema_of(path, table), "", texts))


def _columns(fields: Iterable[pa.Field], prefix: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for field in fields:
        name = prefix + field.name
        yield name, type_name(field.type), texts.get(name, "")
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            yield from _columns(field.type.value_type, f"{name}.", texts)


def read_clips(path: Path) -> Iterator[tuple[list[str | None], list[str | None]]]:
    """Yield, some scenes at a time, the ids and the licences of the clips that the scenes of a file use.

    Raises:
        DatasetError: the file cannot be read.
    """
    names = ("clip_id", "licence")
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(4096, columns=[f"sources.list.element.{name}" for name in names]):
                sources = batch["sources"].flatten()
                clips, licences = (sources.field(name).to_pylist() for name in names)
                yield clips, licences
    except (OSError, ValueError, KeyError) as error:
        raise DamagedError(f"{path}: cannot be read as scenes ({' '.join(str(error).split())})") from None


def scene_files(folder: DatasetFolder, split: str | None = None) -> list[Path]:
    """Return the files of the `scenes` table in order; DatasetError when there are none."""
    files = [path for path in folder.tables("scenes") if split in (None, split_of(path))]
    if not files:
        if folder.read_run().makes == "groups":
            raise DatasetError(
                f"{folder.root}: is a bank of RIRs, without scenes; use it with `spatialqa render OUT --rooms "
                f"bank:{folder.root}`"
            )
        if others := sorted({split_of(path) for path in folder.tables("scenes")}):
            raise DatasetError(f"{folder.root}: has no scenes in the split {split!r}; it has {', '.join(others)}")
        raise DatasetError(f"{folder.root}: holds no scenes yet; run `spatialqa render {folder.root}` first")
    return files


def require_questions(folder: DatasetFolder, table: str) -> None:
    """Raise DatasetError where a data set has no table of questions of that name; `qa` itself may be missing."""
    if table != "qa" and not folder.tables(table):
        names = ", ".join(folder.question_tables()) or "none"
        raise DatasetError(f"{folder.root}: holds no questions in {table!r}; it holds {names}")


def join_questions(
    scenes: Iterable[Scene], folder: DatasetFolder, table: str, split: str
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """Yield the scenes of a split, in the order of their files, each with its rows of a table of questions.

    Both tables are read once, side by side.

    Raises:
        DatasetError: a question's scene is not among the scenes, or comes in another order.
    """
    files = [path for path in folder.tables(table) if split_of(path) == split]
    rows = (row for path in files for row in read_rows(path, QA.names))  # without audio, which they may have
    asked = ((scene_id, list(group)) for scene_id, group in groupby(rows, key=lambda row: row["scene_id"]))
    waiting = next(asked, None)
    for scene in scenes:
        if waiting is not None and waiting[0] == scene.scene_id:
            yield scene, waiting[1]
            waiting = next(asked, None)
        else:
            yield scene, []
    if waiting is not None:
        raise DatasetError(
            f"{folder.root}/{table}: {waiting[1][0]['qa_id']} is not where its scene is; run make-qa again"
        )
