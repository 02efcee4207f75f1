"""Reads AudioSet's segment lists: video, time, and labels.

The format (research.google.com/audioset/download.html): lines that begin with "#", then
`YTID, start_seconds, end_seconds, "mid,mid"`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from spatialqa.errors import ClipError

# In the order in which a video that several lists name is taken: evaluation before training, so that none leaks.
SEGMENT_LISTS = {
    "eval_segments.csv": "test",
    "balanced_train_segments.csv": "train",
    "unbalanced_train_segments.csv": "train",
}
SEGMENT_S = 10.0  # how long a segment is, but where its video ends before
_MAX_TIME_S = 1e6  # eleven days
_LINE = (
    r'^\s*"?(?P<id>[A-Za-z0-9_-]{11})"?\s*,\s*(?P<start>\d+(?:\.\d+)?)\s*,\s*(?P<end>\d+(?:\.\d+)?)\s*,'
    r'\s*"?(?P<mids>/[a-z]/[^",\s]+(?:,\s*/[a-z]/[^",\s]+)*)"?\s*$'
)


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of any number of lists, each video once.

    ids: S11 (n,). start_s, end_s: float64 (n,), in the video. mids: Arrow string (n,), joined by ",". list_of: int8
    (n,), index into `lists`. repeated: rows left out because an earlier one names the same video.
    """

    ids: npt.NDArray[np.bytes_]
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    mids: pa.Array
    list_of: npt.NDArray[np.int8]
    lists: tuple[Path, ...]
    repeated: int


def read_segments(lists: Sequence[Path]) -> Segments:
    """Read segment lists; of a video that is named twice, the first row in the order given is taken.

    Raises:
        ClipError: a file that is no such list (with its first line that is not), or is another release's.
    """
    tables = [_read(path) for path in lists]
    table = pa.concat_tables(tables).combine_chunks()
    list_of = np.repeat(np.arange(len(tables), dtype=np.int8), [t.num_rows for t in tables])
    ids = _one(table["id"])
    first = np.sort(_first_rows(ids))
    taken = table.take(pa.array(first))
    return Segments(
        ids=np.asarray(_one(taken["id"]).to_numpy(zero_copy_only=False), dtype="S11"),
        start_s=taken["start"].to_numpy(),
        end_s=taken["end"].to_numpy(),
        mids=_one(taken["mids"]),
        list_of=list_of[first],
        lists=tuple(lists),
        repeated=table.num_rows - len(first),
    )


def read_lines(path: Path) -> pa.Array:
    """Return the lines of a UTF-8 text file as an Arrow string array; raises ClipError when it is none."""
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=["line"], block_size=1 << 24),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter="\x01", quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False),
        )
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        if path.stat().st_size == 0:
            raise ClipError(f"{path} is empty; download it again") from error
        raise ClipError(f"{path} is not UTF-8 text: {' '.join(str(error).split())}") from error
    return _one(table["line"])


def _read(path: Path) -> pa.Table:
    lines = read_lines(path)
    comment = pc.or_(pc.starts_with(lines, "#"), pc.equal(pc.utf8_trim_whitespace(lines), ""))
    found = pc.extract_regex(lines, _LINE)
    bad = pc.and_(pc.is_null(found), pc.invert(comment))
    if pc.any(bad).as_py():
        number = pc.index(bad, pa.scalar(True)).as_py()
        shown = str(lines[number])[:80]
        raise ClipError(
            f'{path} line {number + 1} is {shown!r}, not YTID, start_seconds, end_seconds, "mid,mid": this is not a '
            f"segment list as AudioSet releases it"
        )
    found = found.drop_null()
    if not len(found):
        raise ClipError(f"{path} names no segment; download it again")
    columns = {name: pc.struct_field(found, name) for name in ("id", "start", "end", "mids")}
    for name in ("start", "end"):
        columns[name] = pc.cast(columns[name], pa.float64())
    numbers = np.flatnonzero(pc.invert(comment).to_numpy(zero_copy_only=False)) + 1
    for wrong, said in (
        (pc.less_equal(columns["end"], columns["start"]), "ends before it begins"),
        (pc.greater(columns["end"], _MAX_TIME_S), f"ends later than {_MAX_TIME_S:.0f} s into it"),
    ):
        if pc.any(wrong).as_py():
            row = pc.index(wrong, pa.scalar(True)).as_py()
            raise ClipError(
                f"{path} line {numbers[row]}: the segment of {columns['id'][row]} {said}; download the list again"
            )
    return pa.table(columns)


def _first_rows(values: pa.Array) -> npt.NDArray[np.int64]:
    """Return the row at which every distinct value stands first."""
    table = pa.table({"value": values, "row": pa.array(np.arange(len(values)))})
    rows: npt.NDArray[np.int64] = table.group_by("value").aggregate([("row", "min")])["row_min"].to_numpy()
    return rows


def _one(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        return array.chunk(0) if array.num_chunks else pa.array([], array.type)
    return array
