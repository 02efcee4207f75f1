"""Reads predictions: JSON lines, Parquet, or two columns of text (qa_id and prediction)."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.core.input_files import open_regular
from spatialqa.errors import DatasetError, one_line

COLUMNS = ("qa_id", "prediction")
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Predictions:
    """The first prediction of every qa_id, and the qa_ids that came more than once with how many rows were left out."""

    path: Path
    by_id: dict[str, str]
    duplicates: dict[str, int]

    def __str__(self) -> str:
        return str(self.path)


def read_predictions(path: "Path | Predictions") -> Predictions:
    """Read predictions; their first bytes tell Parquet, JSON lines and text of two columns apart.

    `-` is standard input. It and a pipe can be read once; what has been read is returned as it is.

    The text is what SLAM-LLM's decoder writes: a qa_id, a tab, and the answer, which ends with the line. A prediction
    of null is an empty answer. Of rows with the same qa_id the first counts.

    Raises:
        DatasetError: the file cannot be read, or a row is not what it must be (the text names the line or row).
    """
    if isinstance(path, Predictions):
        return path
    try:
        with _opened(path) as stream:
            is_parquet = stream.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
            stream.seek(0)
            has_columns = not is_parquet and _has_columns(stream)
            stream.seek(0)
            read = _parquet_rows if is_parquet else _text_rows if has_columns else _json_rows
            return _collect(path, read(path, stream))
    except OSError as error:
        raise DatasetError(f"{path}: the predictions cannot be read ({one_line(error.strerror or error)})") from None


def predictions_of(answers: Mapping[Any, Any]) -> Predictions:
    """Return answers by qa_id as predictions; raises DatasetError where there are none, or one is not a text."""
    rows = ((f"answer {number}", qa_id, text) for number, (qa_id, text) in enumerate(answers.items()))
    return _collect(Path("predictions"), rows)


def _opened(path: Path) -> BinaryIO:
    """Return a stream that can be read again from its start."""
    if str(path) == "-":
        return BytesIO(sys.stdin.buffer.read())
    if path.is_fifo():
        with path.open("rb") as pipe:
            return BytesIO(pipe.read())
    return open_regular(path)


def _collect(path: Path, rows: Iterable[tuple[str, Any, Any]]) -> Predictions:
    by_id: dict[str, str] = {}
    duplicates: dict[str, int] = {}
    for where, qa_id, prediction in rows:
        if not isinstance(qa_id, str) or not qa_id:
            raise DatasetError(f"{path}: {where}: qa_id must be a text, got {qa_id!r}")
        if prediction is not None and not isinstance(prediction, str):
            raise DatasetError(f"{path}: {where}: prediction must be a text, got {_short(prediction)}")
        if qa_id in by_id:
            duplicates[qa_id] = duplicates.get(qa_id, 0) + 1
        else:
            by_id[qa_id] = prediction or ""
    if not by_id:
        raise DatasetError(f"{path}: holds no predictions; write one per line: {{'qa_id': ..., 'prediction': ...}}")
    return Predictions(path, by_id, duplicates)


def _json_rows(path: Path, stream: BinaryIO) -> Iterator[tuple[str, Any, Any]]:
    for number, line in enumerate(stream, start=1):
        where = f"line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not text:
                continue
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DatasetError(
                f"{path}: {where}: is not JSON ({error}); write one object per line with qa_id and prediction"
            ) from None
        if not isinstance(row, dict):
            raise DatasetError(f"{path}: {where}: must be an object with qa_id and prediction, got {_short(row)}")
        for column in COLUMNS:
            if column not in row:
                raise DatasetError(f"{path}: {where}: has no {column!r} (it has {_short(sorted(row))})")
        yield where, row["qa_id"], row["prediction"]


def _has_columns(stream: BinaryIO) -> bool:
    """Return whether the first line that is not blank has a tab and does not begin as JSON does."""
    first = next((line for line in stream if line.strip()), b"").removeprefix(b"\xef\xbb\xbf")
    return b"\t" in first and not first.lstrip().startswith((b"{", b"[", b'"'))


def _text_rows(path: Path, stream: BinaryIO) -> Iterator[tuple[str, Any, Any]]:
    for number, line in enumerate(stream, start=1):
        where = f"line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except ValueError as error:
            raise DatasetError(f"{path}: {where}: is not UTF-8 text ({error})") from None
        if not text.strip():
            continue
        qa_id, tab, prediction = text.partition("\t")
        if not tab:
            raise DatasetError(f"{path}: {where}: has no tab between qa_id and prediction: {_short(text)}")
        yield where, qa_id.strip(), prediction.strip()


def _parquet_rows(path: Path, stream: BinaryIO) -> Iterator[tuple[str, Any, Any]]:
    try:
        file = pq.ParquetFile(stream)
        names = file.schema_arrow.names
        missing = [column for column in COLUMNS if column not in names]
        if missing:
            raise DatasetError(f"{path}: has no column {missing[0]!r} (it has {_short(names)})")
        row = 0
        for batch in file.iter_batches(8192, columns=list(COLUMNS), use_threads=False):
            ids, texts = (batch.column(column).to_pylist() for column in COLUMNS)
            for qa_id, text in zip(ids, texts, strict=True):
                row += 1
                yield f"row {row}", qa_id, text
    except (pa.ArrowException, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as Parquet ({one_line(error)})") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
