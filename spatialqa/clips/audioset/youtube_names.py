"""Parses file names into YouTube ids and times: `Y<id>.wav`, `<id>.wav`, `<id>_<start>.*`, `<id>_<start>_<end>.*`.

A YouTube id has 11 characters of A-Z, a-z, 0-9, "-" and "_", so it may begin with Y and hold or end in "_": it is
found by its place in the name, never by looking for a separator. The prefix Y may stand before any of the forms.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spatialqa.clips.decode import FFMPEG_SUFFIXES, SUFFIXES

ID_LENGTH = 11
# The order in which one is preferred when a segment is there in several formats: lossless first.
PREFERRED_SUFFIXES = (*SUFFIXES, *FFMPEG_SUFFIXES)
_ID_BYTES = np.zeros(256, dtype=bool)
_ID_BYTES[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] = True
_DIGITS = np.zeros(256, dtype=bool)
_DIGITS[list(b"0123456789")] = True
_TIMES = r"^%s[A-Za-z0-9_-]{11}_(?P<start>\d+(?:\.\d+)?)(?:_(?P<end>\d+(?:\.\d+)?))?\.[^.]+$"


@dataclass(frozen=True, eq=False)
class NamedSegments:
    """What names say: for every sound file among them its row, id (ASCII, 11 bytes), times and suffix.

    start and end are as the name has them, in seconds or milliseconds; NaN where it has none. suffix is an index into
    PREFERRED_SUFFIXES.
    """

    rows: npt.NDArray[np.int64]
    ids: npt.NDArray[np.bytes_]  # S11
    start: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]
    suffix: npt.NDArray[np.int8]
    other_sounds: npt.NDArray[np.int64]  # rows of sound files whose names are not of these forms


def parse_names(names: pa.Array) -> NamedSegments:
    """Parse file names (an Arrow string array); files that are not sounds by their suffix are ignored."""
    data, starts, ends = _buffers(names)
    suffix, dots = _suffixes(data, starts, ends)
    sounds = np.flatnonzero(suffix >= 0)
    head = data[starts[sounds, None] + np.arange(ID_LENGTH + 3)]
    length = dots[sounds] - starts[sounds]
    # After the id comes the end of the stem, or "_" and a digit: so no name can be read both with and without the Y.
    plain = _id_and_time(head, length)
    prefixed = (head[:, 0] == ord("Y")) & _id_and_time(head[:, 1:], length - 1)
    ids = np.where(prefixed[:, None], head[:, 1 : ID_LENGTH + 1], head[:, :ID_LENGTH])
    valid = (plain | prefixed) & _ID_BYTES[ids].all(axis=1)
    start, end = np.full((2, sounds.size), np.nan)
    for prefix, own in (("", plain & (length > ID_LENGTH)), ("Y", prefixed & (length > ID_LENGTH + 1))):
        timed = np.flatnonzero(valid & own)
        if timed.size:
            start[timed], end[timed] = _times(names.take(pa.array(sounds[timed])), _TIMES % prefix)
            valid[timed] &= ~np.isnan(start[timed])
    return NamedSegments(
        rows=sounds[valid],
        ids=np.ascontiguousarray(ids[valid]).view(f"S{ID_LENGTH}").reshape(-1),
        start=start[valid],
        end=end[valid],
        suffix=suffix[sounds[valid]],
        other_sounds=sounds[~valid],
    )


def _buffers(names: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the bytes of all names, with room to read past the last one, and where each begins and ends."""
    _, offsets, data = names.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[names.offset : names.offset + len(names) + 1].astype(np.int64)
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return np.concatenate([raw, np.zeros(16, dtype=np.uint8)]), bounds[:-1], bounds[1:]


def _suffixes(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Return each name's suffix (index into PREFERRED_SUFFIXES, -1 for none of them) and the place of its last dot."""
    all_dots = np.concatenate([[-1], np.flatnonzero(data == ord("."))])
    dots = all_dots[np.searchsorted(all_dots, ends) - 1]
    tail = data[np.maximum(dots, 0)[:, None] + np.arange(8)]
    tail[np.arange(8) >= (ends - dots)[:, None]] = 0
    tail += np.where((tail >= ord("A")) & (tail <= ord("Z")), 32, 0).astype(np.uint8)
    codes = tail.view(np.uint64).reshape(-1)
    suffix = np.full(starts.size, -1, dtype=np.int8)
    for i, text in enumerate(PREFERRED_SUFFIXES):
        suffix[codes == np.frombuffer(text.encode().ljust(8, b"\0"), dtype=np.uint64)[0]] = i
    suffix[(dots < starts) | (ends - dots > 8)] = -1
    return suffix, dots


def _id_and_time(head: npt.NDArray[np.uint8], length: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether a stem has the length of an id, or continues after one with "_" and a digit."""
    goes_on = (head[:, ID_LENGTH] == ord("_")) & _DIGITS[head[:, ID_LENGTH + 1]]
    found: npt.NDArray[np.bool_] = (length == ID_LENGTH) | ((length > ID_LENGTH + 1) & goes_on)
    return found


def _times(names: pa.Array, pattern: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    found = pc.extract_regex(names, pattern)
    start, end = (pc.struct_field(found, field) for field in ("start", "end"))
    end = pc.if_else(pc.equal(end, ""), None, end)
    return tuple(pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False) for text in (start, end))
