"""AudioSet as Parquet files of the Hugging Face hub, with FLAC or WAV bytes in the table.

Columns: video_id (string), audio (struct<bytes: binary, path: string>), labels (list<string> of mids), human_labels.
The name of the folder or file gives the split (data/bal_train, data/unbal_train, data/eval).
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatialqa.clips.audioset.segments import SEGMENT_S
from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.clip_table import MAX_EXTRA_S, PREFIX, audioset_table, find_id
from spatialqa.clips.decode import BadSoundError, cause, read_sound_bytes
from spatialqa.clips.label_filter import LabelFilter, LabelLists, choose_labels
from spatialqa.core.input_files import require_regular
from spatialqa.errors import ClipError, ClipGoneError

_SPLIT_WORDS = (("eval", "test"), ("test", "test"), ("valid", "validation"), ("train", "train"))
_SPLIT_FOLDERS = {"eval": "test", "test": "test", "validation": "validation"}
_SPLIT_FOLDERS |= dict.fromkeys(("train", "bal_train", "unbal_train"), "train")
_ROWS_AT_ONCE = 8  # rows of sound held in memory while one is looked for


@dataclass(frozen=True, eq=False)
class _Rows:
    """Where clips lie: ids S11 (n,), sorted, and for each its file, its row group and its row in that."""

    ids: npt.NDArray[np.bytes_]
    file_of: npt.NDArray[np.int32]
    group_of: npt.NDArray[np.int32]
    row_of: npt.NDArray[np.int32]

    def content_hash(self, files: Sequence[str]) -> str:
        """Return one sha256 of which row of which file, by its path relative to the root, holds which clip."""
        digest = hashlib.sha256(repr((list(files), self.ids.dtype)).encode())
        for column in (self.ids, self.file_of, self.group_of, self.row_of):
            digest.update(np.ascontiguousarray(column).tobytes())
        return f"parquet {digest.hexdigest()}"


class HubAudioSetClips:
    """The clip set `audioset` of Parquet files; ids and filters are those of `audioset.AudioSetClips`.

    Listing reads video_id and labels only. A file that cannot be read is left out (see `rejected`); a clip whose sound
    cannot be decoded is refused when it is loaded.

    Args:
        root: the folder; shown in messages, and paths are relative to it.
        wanted: which labels clips keep; "strong" is not to be had, since the tables have no times.
        files: the Parquet files, in the order in which they count where two hold the same video.
        min_clip_s: shorter clips are refused.

    Raises:
        ClipError: no file has the columns, or no clip passes the filter.
    """

    name = "audioset"

    def __init__(self, root: Path, wanted: LabelFilter, files: Sequence[Path], min_clip_s: float = 0.1) -> None:
        if wanted.mode == "strong":
            raise ClipError(
                f"{root}: Parquet files have no strongly labelled times; give a root with audio files and "
                f"audioset_train_strong.tsv, or ask for labels single"
            )
        self.root = root
        self.min_clip_s = min_clip_s
        # evaluation first, so that a video that is in both is never trained on
        self._files = sorted(files, key=lambda path: (_split(path, root) not in ("test", "validation"), path))
        rejected: list[RejectedClip] = []
        tables = []
        for number, path in enumerate(self._files):
            try:
                tables.append(_listing(path, number))
            except ClipError as error:
                rejected.append(RejectedClip(path.relative_to(root).as_posix(), str(error)))
        if not tables:
            first = f"; the first: {rejected[0].path}: {rejected[0].reason}" if rejected else ""
            raise ClipError(f"{root} holds no Parquet file of AudioSet as the hub has them{first}")
        table = pa.concat_tables(tables).combine_chunks()
        ids = table["video_id"].to_numpy(zero_copy_only=False).astype("S64")
        file_of = table["file"].to_numpy()
        # np.unique gives the first row of every id, and rows are in the order of files
        _, first_rows = np.unique(ids, return_index=True)
        chosen = choose_labels(LabelLists.of(table["labels"].combine_chunks()), wanted)
        kept = first_rows[chosen.set_of[first_rows] >= 0]
        self._rows = _Rows(ids[kept], file_of[kept], table["group"].to_numpy()[kept], table["row"].to_numpy()[kept])
        splits = [_split(path, root) for path in self._files]
        names = sorted({split or "" for split in splits})
        split_of = np.array([names.index(split or "") for split in splits], dtype=np.int8)[file_of[kept]]
        self._table = audioset_table(
            ids[kept],
            np.full(kept.size, SEGMENT_S),  # the tables do not say how long a segment is
            type(chosen)(chosen.set_of[kept], chosen.sets),
            split_of,
            [name or None for name in names],
            self._rows.content_hash([path.relative_to(root).as_posix() for path in self._files]),
        )
        self.summary = {
            "rows": len(ids),
            "repeated": len(ids) - len(first_rows),
            "filtered": len(first_rows) - len(kept),
            "clips": len(self._table),
        }
        told = [f"{kind}: {self.summary[kind]} rows" for kind in ("repeated", "filtered") if self.summary[kind]]
        self._rejected = (*(RejectedClip("(rows)", text) for text in told), *rejected)
        if not len(self._table):
            raise ClipError(f"no usable clip in {root}: of {len(ids)} rows none passes the filter of labels")

    def records(self) -> Sequence[ClipRecord]:
        """Return every clip that passes the filter, sorted by id; records are made when looked at."""
        return self._table

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the Parquet files that are not used, and how many rows are not; see `summary`."""
        return self._rejected

    def load(self, record: ClipRecord) -> RawClip:
        """Read channel 0 of a clip, sha256 of its file's bytes; only its row group is looked at, a few rows at a time.

        Raises:
            ClipError: the sound cannot be used, now or ever.
            ClipGoneError: the Parquet file is not there any more or has changed.
        """
        at = find_id(self._rows.ids, record.clip_id.removeprefix(PREFIX))
        if at is None or not record.clip_id.startswith(PREFIX):
            raise ClipError(f"{record.clip_id!r} is not a clip of AudioSet in {self.root} with these filters")
        path = self._files[self._rows.file_of[at]]
        group, row = int(self._rows.group_of[at]), int(self._rows.row_of[at])
        try:
            video_id, data = _read_row(path, group, row)
        except (OSError, pa.ArrowException, IndexError) as error:
            raise ClipGoneError(f"clip {record.clip_id}: {path} cannot be read: {cause(error)}; start again") from error
        if video_id != record.clip_id.removeprefix(PREFIX):
            raise ClipGoneError(f"clip {record.clip_id}: {path} has changed since it was listed; start again")
        try:
            if data is None:
                raise BadSoundError("unreadable: the row holds no sound")
            return read_sound_bytes(data, self.min_clip_s, SEGMENT_S + MAX_EXTRA_S)
        except BadSoundError as error:
            where = f"{path.relative_to(self.root).as_posix()}, row group {group}, row {row}"
            raise ClipError(f"clip {record.clip_id} ({where}): {error}") from error


def _split(path: Path, root: Path) -> str | None:
    """Return the split that the path tells: the file's own name first, then the folders up to the root itself."""
    for part in reversed(path.relative_to(root).parts):
        for word, split in _SPLIT_WORDS:
            if word in part.lower():
                return split
    # A root may be called anything ("latest"), so that only the hub's own names count there.
    return _SPLIT_FOLDERS.get(os.path.basename(os.path.abspath(root)).lower())


def _listing(path: Path, number: int) -> pa.Table:
    """Return video_id, labels, file, group and row of every row of a file; raises ClipError for other tables."""
    try:
        require_regular(path)
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            missing = [name for name in ("video_id", "audio", "labels") if name not in schema.names]
            if missing:
                raise ClipError(f"columns: it lacks {', '.join(missing)}; it has {', '.join(schema.names)[:80]}")
            audio, labels = schema.field("audio").type, schema.field("labels").type
            if not pa.types.is_struct(audio) or "bytes" not in [audio.field(i).name for i in range(audio.num_fields)]:
                raise ClipError(f"columns: audio is {str(audio)[:60]}, not struct<bytes: binary, path: string>")
            if not (pa.types.is_list(labels) and pa.types.is_string(labels.value_type)):
                raise ClipError(f"columns: labels is {str(labels)[:60]}, not list<string>")
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            table = file.read(columns=["video_id", "labels"])
    except OSError as error:
        raise ClipError(f"unreadable: {cause(error)}") from error
    except pa.ArrowException as error:
        raise ClipError(f"unreadable: {cause(error)}; download it again") from error
    ids = table["video_id"]
    if not pa.types.is_string(ids.type) or not pc.all(pc.match_substring_regex(ids, r"^[\x21-\x7e]{1,64}$")).as_py():
        raise ClipError("columns: video_id holds something else than YouTube ids")
    group = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    row = np.concatenate([np.arange(n, dtype=np.int32) for n in sizes]) if sizes else np.zeros(0, np.int32)
    columns = {"video_id": ids, "labels": table["labels"].cast(pa.list_(pa.string()))}
    return pa.table({**columns, "file": np.full(len(row), number, np.int32), "group": group, "row": row})


def _read_row(path: Path, group: int, row: int) -> tuple[str, bytes | None]:
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        start = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=["video_id", "audio"]):
            if row < start + batch.num_rows:
                audio = batch.column("audio")[row - start].as_py()
                return str(batch.column("video_id")[row - start].as_py()), audio["bytes"] if audio else None
            start += batch.num_rows
    raise IndexError(f"row group {group} has no row {row}")
