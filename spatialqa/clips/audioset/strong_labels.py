"""AudioSet's strong labels: stretches of a segment in which a single class sounds.

The format (research.google.com/audioset/download_strong.html): a tab-separated table with the header segment_id,
start_time_seconds, end_time_seconds, label; a segment_id is `<YouTube id>_<start of the segment in ms>`, times are
within the segment, and a label is a mid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from spatialqa.clips.label_filter import LabelFilter, LabelLists, Nodes, ancestry
from spatialqa.errors import ClipError, one_line

STRONG_LISTS = {"audioset_eval_strong.tsv": "test", "audioset_train_strong.tsv": "train"}
_COLUMNS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
_SEGMENT = r"^(?P<id>[A-Za-z0-9_-]{11})_(?P<start>\d{1,9})$"
_CHUNK = 1 << 24  # pairs of events held in memory at once


@dataclass(frozen=True, eq=False)
class StrongEvents:
    """Labelled stretches: ids S11 (n,), segment_start_s float64 (n,), from_ms and to_ms int32 (n,), within the segment;

    nodes int16 (n,), -1 for a label that the ontology lacks; list_of int8 (n,), index into `lists`.
    """

    ids: npt.NDArray[np.bytes_]
    segment_start_s: npt.NDArray[np.float64]
    from_ms: npt.NDArray[np.int32]
    to_ms: npt.NDArray[np.int32]
    nodes: Nodes
    list_of: npt.NDArray[np.int8]
    lists: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[np.int64]) -> "StrongEvents":
        """Return some of the events."""
        return StrongEvents(
            self.ids[rows],
            self.segment_start_s[rows],
            self.from_ms[rows],
            self.to_ms[rows],
            self.nodes[rows],
            self.list_of[rows],
            self.lists,
        )


def read_strong(lists: Sequence[Path]) -> StrongEvents:
    """Read strong label tables.

    Raises:
        ClipError: a file that is no such table.
    """
    tables = [_read(path) for path in lists]
    table = pa.concat_tables(tables).combine_chunks()
    labels = pc.fill_null(table["label"], "")
    offsets = pa.array(np.arange(table.num_rows + 1, dtype=np.int32))
    one_each = pa.ListArray.from_arrays(offsets, labels.combine_chunks())
    return StrongEvents(
        ids=np.asarray(table["id"].to_numpy(), dtype="S11"),
        segment_start_s=table["segment_start_ms"].to_numpy() / 1000.0,
        from_ms=np.round(table["start_time_seconds"].to_numpy() * 1000).astype(np.int32),
        to_ms=np.round(table["end_time_seconds"].to_numpy() * 1000).astype(np.int32),
        nodes=LabelLists.of(one_each).nodes,
        list_of=np.repeat(np.arange(len(tables), dtype=np.int8), [t.num_rows for t in tables]),
        lists=tuple(lists),
    )


def _read(path: Path) -> pa.Table:
    types = {"segment_id": pa.string(), "label": pa.string()}
    types |= {"start_time_seconds": pa.float64(), "end_time_seconds": pa.float64()}
    try:
        table = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types),
        )
        columns = tuple(table.column_names)
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ClipError(f"{path} is not a strong label table: {one_line(error)}") from error
    if columns != _COLUMNS:
        raise ClipError(
            f"{path} has the columns {', '.join(columns)[:80]}, not {', '.join(_COLUMNS)}: it is not a strong "
            f"label table as AudioSet releases it"
        )
    found = pc.extract_regex(table["segment_id"], _SEGMENT)
    bad = pc.is_null(found)
    begin, end = table["start_time_seconds"], table["end_time_seconds"]
    ordered = pc.and_(pc.less_equal(0.0, begin), pc.and_(pc.less_equal(begin, end), pc.less(end, 1e5)))
    bad = pc.or_(bad, pc.invert(pc.fill_null(ordered, False)))
    if pc.any(bad).as_py():
        row = pc.index(bad, pa.scalar(True)).as_py()
        shown = "\t".join(str(table[name][row].as_py()) for name in _COLUMNS)
        raise ClipError(f"{path} line {row + 2}: {shown!r} is not a labelled stretch of a segment; download it again")
    return table.append_column("id", pc.struct_field(found, "id")).append_column(
        "segment_start_ms", pc.cast(pc.struct_field(found, "start"), pa.int64())
    )


def alone(events: StrongEvents, wanted: LabelFilter, min_duration_s: float) -> npt.NDArray[np.int64]:
    """Return the rows of events that sound alone, of a kept class, and long enough.

    An event is alone when no event of another class overlaps it. Classes of which one is a kind of the other (Bark,
    Dog) are no others; of such events over the very same stretch the more specific one is taken.

    Raises:
        ClipError: the filter names a class that does not exist.
    """
    allowed = wanted.allowed()
    _, segment_of = np.unique(events.ids, return_inverse=True)
    order = np.argsort(segment_of, kind="stable")
    counts = np.bincount(segment_of)
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    good = np.zeros(len(events), dtype=bool)
    for k in np.unique(counts):
        segments = np.flatnonzero(counts == k)
        for part in np.array_split(segments, -(-segments.size * int(k) ** 2 // _CHUNK)):
            rows = order[firsts[part][:, None] + np.arange(k)]
            good[rows] = _alone(events.from_ms[rows], events.to_ms[rows], events.nodes[rows])
    long_enough = events.to_ms - events.from_ms >= max(min_duration_s * 1000, 1)
    return np.flatnonzero(good & long_enough & allowed[events.nodes])


def _alone(from_ms: npt.NDArray[np.int32], to_ms: npt.NDArray[np.int32], nodes: Nodes) -> npt.NDArray[np.bool_]:
    """Return (m, k): which of the k events of each of m segments are alone and no repetition of another."""
    above = ancestry()[nodes[:, :, None], nodes[:, None, :]]
    same = (nodes[:, :, None] == nodes[:, None, :]) & (nodes >= 0)[:, :, None]
    other = ~(above | above.transpose(0, 2, 1) | same)
    other &= ~np.eye(nodes.shape[1], dtype=bool)
    overlap = (from_ms[:, :, None] < to_ms[:, None, :]) & (from_ms[:, None, :] < to_ms[:, :, None])
    twin = (from_ms[:, :, None] == from_ms[:, None, :]) & (to_ms[:, :, None] == to_ms[:, None, :])
    repeats = twin & (above | np.tril(same, -1))
    result: npt.NDArray[np.bool_] = ~(overlap & other).any(axis=2) & ~repeats.any(axis=2)
    return result
