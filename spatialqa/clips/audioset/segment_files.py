"""Matches audio files to AudioSet segments by YouTube id and times."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spatialqa.clips.audioset.file_index import FileIndex
from spatialqa.clips.audioset.youtube_names import NamedSegments, parse_names
from spatialqa.clips.clip import RejectedClip
from spatialqa.clips.clip_table import find_id
from spatialqa.clips.decode import SUFFIXES

MOST_LISTED = 1000  # rejected files of one kind that are named one by one


@dataclass(frozen=True, eq=False)
class SegmentFiles:
    """The file of every segment that has one: ids S11 (n,), sorted; rows int64 (n,), rows of `index`."""

    index: FileIndex
    ids: npt.NDArray[np.bytes_]
    rows: npt.NDArray[np.int64]

    def find(self, video_id: str) -> Path | None:
        """Return where a segment's file lies, or None."""
        row = find_id(self.ids, video_id)
        return None if row is None else self.index.root / self.index.path(int(self.rows[row]))

    def content_hash(self) -> str:
        """Return one sha256 of which file, by its path relative to the root, holds which segment."""
        digest = hashlib.sha256(np.ascontiguousarray(self.ids).tobytes())
        for start in range(0, self.rows.size, 65536):
            rows = self.rows[start : start + 65536]
            names = self.index.names.take(pa.array(rows)).to_pylist()
            folders = (self.index.folders[k] for k in self.index.folder_of[rows].tolist())
            paths = (f"{folder}\0{name}\0" for folder, name in zip(folders, names, strict=True))
            digest.update("".join(paths).encode())
        return f"files {digest.hexdigest()}"


@dataclass(frozen=True, eq=False)
class Match:
    """row_of: int64 (n,), for every segment the row of its file, -1 where there is none; what else there was."""

    row_of: npt.NDArray[np.int64]
    counts: dict[str, int]
    rejected: tuple[RejectedClip, ...]


def match_files(
    index: FileIndex,
    ids: npt.NDArray[np.bytes_],
    start_s: npt.NDArray[np.float64],
    end_s: npt.NDArray[np.float64],
) -> Match:
    """Find the file of every segment.

    A time in a name is in seconds, whole or not, or in milliseconds; a name with other times than its segment's is
    another cut of the video and is not taken. Of several files of one segment the first in the order of
    PREFERRED_SUFFIXES is taken, then of folders, then of names.

    Args:
        index: the files.
        ids: S11 (n,), YouTube ids, each once.
        start_s: (n,), where the segments begin in their videos.
        end_s: (n,), where they end, NaN where that is not known.
    """
    named = parse_names(index.names)
    has_ffmpeg = shutil.which("ffmpeg") is not None
    segment = pc.index_in(pa.array(named.ids), value_set=pa.array(ids)).fill_null(-1).to_numpy(zero_copy_only=False)
    segment = segment.astype(np.int64)
    listed = segment >= 0
    timely = _same_time(named.start, start_s[segment]) & _same_time(named.end, end_s[segment])
    readable = (named.suffix < len(SUFFIXES)) | has_ffmpeg
    usable = np.flatnonzero(listed & timely & readable)
    first = _preferred(index, named, segment, usable)
    row_of = np.full(ids.size, -1, dtype=np.int64)
    row_of[segment[first]] = named.rows[first]
    second = np.setdiff1d(usable, first, assume_unique=True)
    kinds = {
        "name": (named.other_sounds, "it is not named as an AudioSet segment is: Y<id>.wav, <id>_<start>.wav, ..."),
        "unlisted": (named.rows[~listed], "no segment list names it"),
        "time": (named.rows[listed & ~timely], "its name says another part of the video than the segment list"),
        "unsupported": (
            named.rows[listed & timely & ~readable],
            "it is read through ffmpeg, which is not on the PATH; install ffmpeg or convert it",
        ),
        "duplicate": (named.rows[second], "another file holds the same segment"),
    }
    rejected = [reject for kind, (rows, why) in kinds.items() for reject in _rejects(index, kind, rows, why)]
    counts = {kind: len(rows) for kind, (rows, _) in kinds.items()}
    return Match(row_of, counts, tuple(sorted(rejected, key=lambda reject: (reject.path, reject.reason))))


def _same_time(said: npt.NDArray[np.float64], meant_s: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        seconds = (np.abs(said - meant_s) < 1e-3) | (said == np.floor(meant_s))
        milliseconds = np.abs(said - 1000.0 * meant_s) < 1.0
    result: npt.NDArray[np.bool_] = np.isnan(said) | np.isnan(meant_s) | seconds | milliseconds
    return result


def _preferred(
    index: FileIndex, named: NamedSegments, segment: npt.NDArray[np.int64], usable: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return, of the usable files, one for each segment."""
    own = segment[usable]
    often = np.bincount(own, minlength=1) > 1 if own.size else np.zeros(1, dtype=bool)
    single: npt.NDArray[np.int64] = usable[~often[own]]
    several = usable[often[own]]
    if not several.size:
        return single
    rows = named.rows[several]
    table = pa.table(
        {
            "segment": segment[several],
            "suffix": named.suffix[several],
            "folder": index.folder_of[rows],
            "name": index.names.take(pa.array(rows)),
            "file": several,
        }
    ).sort_by([(key, "ascending") for key in ("segment", "suffix", "folder", "name")])
    _, first = np.unique(table["segment"].to_numpy(), return_index=True)
    best: npt.NDArray[np.int64] = np.concatenate([single, table["file"].to_numpy()[first]])
    return best


def _rejects(index: FileIndex, kind: str, rows: npt.NDArray[np.int64], why: str) -> list[RejectedClip]:
    """Name rejected files one by one, the first MOST_LISTED of them by path, and say how many more there are."""
    if rows.size <= MOST_LISTED:
        return [RejectedClip(index.path(int(row)), f"{kind}: {why}") for row in rows]
    table = pa.table({"folder": index.folder_of[rows], "name": index.names.take(pa.array(rows)), "row": rows})
    options = pc.SelectKOptions(MOST_LISTED, [("folder", "ascending"), ("name", "ascending")])
    shown = table["row"].to_numpy()[pc.select_k_unstable(table, options=options).to_numpy()]
    more = RejectedClip("...", f"{kind}: {rows.size - MOST_LISTED} more files: {why}")
    return [*(RejectedClip(index.path(int(row)), f"{kind}: {why}") for row in shown), more]
