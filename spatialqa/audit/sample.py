"""Reads questions for the audit: one pass for counts and keys, then a sample of one subtype at a time."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatialqa.audit.statistics import Ints
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.errors import DatasetError

Hashes = npt.NDArray[np.uint64]

_BATCH_ROWS = 16_384
_COLUMNS = (
    "qa_id",
    "scene_id",
    "type",
    "subtype",
    "question",
    "answer",
    "template_id",
    "asked_labels",
    "asked_direction",
    "asked_distance_m",
    "choices",
    "answer_labels",
    "answer_direction",
    "answer_distance_m",
    "answer_bool",
    "answer_count",
)


@dataclass(frozen=True, eq=False)
class Index:
    """What one pass over a table of questions tells.

    rows: questions by (type, subtype). limits: the largest sampling key that belongs to the sample of a subtype.
    strings, repeated, contradicted: how many distinct question texts there are; how many questions repeat scene,
    question and answer of another; how many texts of a scene have more than one answer.
    """

    rows: dict[tuple[str, str], int]
    limits: dict[str, np.uint64]
    strings: dict[str, int]
    all_strings: int
    repeated: int
    contradicted: int


@dataclass(frozen=True, eq=False)
class Sample:
    """The sampled questions of one subtype, column by column; lists are tuples, absent values None.

    houses: (n,) code of the house of each question's scene. total: how many questions of the subtype the table has.
    """

    type: str
    subtype: str
    total: int
    columns: dict[str, list[Any]] = field(repr=False)
    houses: Ints = field(repr=False)

    def __len__(self) -> int:
        return len(self.houses)

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def has(self, column: str) -> bool:
        """Return whether every question has a value in this column."""
        return all(value is not None for value in self.columns[column])


def hash_of(*parts: str) -> int:
    """Return 64 bits that stand for some strings."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "little")


def index_questions(
    folder: DatasetFolder, table: str, max_questions: int, seed: int, split: str | None = None
) -> Index:
    """Pass once over a table of questions, or one split of it; 32 bytes a question are held, whatever its text.

    Raises:
        DatasetError: there is no such table or split, it is empty, or a file of it cannot be read.
    """
    rows: Counter[tuple[str, str]] = Counter()
    texts: dict[str, list[Hashes]] = {}
    keys: dict[str, list[Hashes]] = {}
    asked: list[Hashes] = []
    answered: list[Hashes] = []
    for batch in _batches(folder, table, ("qa_id", "scene_id", "type", "subtype", "question", "answer"), split):
        columns = batch.to_pydict()
        subtypes = np.asarray(columns["subtype"])
        rows.update(zip(columns["type"], columns["subtype"], strict=True))
        text = _hashes([(q,) for q in columns["question"]])
        key = _hashes([(str(seed), q) for q in columns["qa_id"]])
        asked.append(_hashes(list(zip(columns["scene_id"], columns["question"], strict=True))))
        answered.append(_hashes(list(zip(columns["scene_id"], columns["question"], columns["answer"], strict=True))))
        for subtype in np.unique(subtypes):
            here = subtypes == subtype
            texts.setdefault(str(subtype), []).append(text[here])
            keys.setdefault(str(subtype), []).append(key[here])
    if not rows:
        of = f" of the split {split}" if split else ""
        raise DatasetError(
            f"{folder.root / table}: holds no questions{of}; run `spatialqa make-qa {folder.root}` first"
        )
    distinct = {subtype: np.unique(np.concatenate(parts)) for subtype, parts in texts.items()}
    number = sum(rows.values())
    n_answered = len(np.unique(np.concatenate(answered)))
    return Index(
        rows=dict(sorted(rows.items())),
        limits={subtype: _limit(np.concatenate(parts), max_questions) for subtype, parts in keys.items()},
        strings={subtype: len(values) for subtype, values in distinct.items()},
        all_strings=len(np.unique(np.concatenate(list(distinct.values())))),
        repeated=number - n_answered,
        contradicted=n_answered - len(np.unique(np.concatenate(asked))),
    )


def _hashes(items: Sequence[tuple[str, ...]]) -> Hashes:
    return np.fromiter((hash_of(*item) for item in items), np.uint64, len(items))


def _limit(keys: Hashes, size: int) -> np.uint64:
    return np.uint64(keys.max() if len(keys) <= size else np.partition(keys, size - 1)[size - 1])


def read_sample(
    folder: DatasetFolder,
    table: str,
    kind: tuple[str, str],
    index: Index,
    houses: dict[str, int],
    seed: int,
    split: str | None = None,
) -> Sample:
    """Return the sample of one (type, subtype): the questions whose key is within its limit, in the table's order.

    index: made of the same split.

    Raises:
        DatasetError: a question's scene is not in the scenes table.
    """
    question_type, subtype = kind
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    limit = int(index.limits[subtype])
    for batch in _batches(folder, table, _COLUMNS, split):
        wanted = pc.and_(pc.equal(batch["subtype"], subtype), pc.equal(batch["type"], question_type))
        rows = batch.filter(wanted)
        keep = [hash_of(str(seed), qa_id) <= limit for qa_id in rows["qa_id"].to_pylist()]
        rows = rows.filter(pa.array(keep, pa.bool_()))
        for name in _COLUMNS:
            values = rows[name].to_pylist()
            columns[name] += [tuple(v) if isinstance(v, list) else v for v in values]
    try:
        codes = np.asarray([houses[scene_id] for scene_id in columns.pop("scene_id")], np.int64)
    except KeyError as error:
        raise DatasetError(
            f"{folder.root / table}: a question is about scene {error.args[0]}, which is not in the scenes table; run "
            f"`spatialqa make-qa {folder.root}` again"
        ) from None
    return Sample(question_type, subtype, index.rows[kind], columns, codes)


def _batches(folder: DatasetFolder, table: str, columns: Sequence[str], split: str | None) -> Iterator[pa.RecordBatch]:
    files = folder.tables(table)
    if not files:
        tables = ", ".join(folder.question_tables()) or "none"
        raise DatasetError(
            f"{folder.root / table}: no such table of questions (there is {tables}); run `spatialqa make-qa "
            f"{folder.root}` first"
        )
    splits = list(dict.fromkeys(map(split_of, files)))
    if split not in (None, *splits):
        raise DatasetError(
            f"{folder.root / table}: holds no questions of the split {split} (there is {', '.join(splits)})"
        )
    for path in files:
        if split not in (None, split_of(path)):
            continue
        try:
            file = pq.ParquetFile(path)
            yield from file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{path}: cannot be read as a Parquet table of spatialqa ({' '.join(str(error).split())})"
            ) from None
