"""AudioSet as released segment lists with audio files named after YouTube ids.

AudioSet (Gemmeke et al., ICASSP 2017) is released as lists; who uses it has fetched the sound from YouTube. Its
segments are ten seconds, or less where the video ends.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialqa.clips.audioset.file_index import FileIndex, index_files
from spatialqa.clips.audioset.hub_parquet import HubAudioSetClips
from spatialqa.clips.audioset.segment_files import Match, SegmentFiles, match_files
from spatialqa.clips.audioset.segments import SEGMENT_LISTS, SEGMENT_S, Segments, read_segments
from spatialqa.clips.audioset.strong_labels import STRONG_LISTS, StrongEvents, alone, read_strong
from spatialqa.clips.audioset.youtube_names import parse_names
from spatialqa.clips.clip import ClipRecord, ClipSet, RawClip, RejectedClip
from spatialqa.clips.clip_table import MAX_CLIP_S, MAX_EXTRA_S, PREFIX, audioset_table
from spatialqa.clips.decode import BadSoundError, cause, read_sound, require_sound
from spatialqa.clips.label_filter import (
    QUALITY_TABLE,
    ChosenLabels,
    LabelFilter,
    LabelLists,
    LabelMode,
    choose_labels,
    read_quality,
)
from spatialqa.errors import ClipError, ClipGoneError

ROOT_VARIABLE = "SPATIALQA_AUDIOSET_ROOT"
DEFAULT_ROOT = Path("data/audioset")


def find_root(given: str | Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return AudioSet's folder: the one given, else $SPATIALQA_AUDIOSET_ROOT, else data/audioset.

    Raises:
        ClipError: the first of these that is set is not a folder; says where it looked and how the data are obtained.
    """
    for place, path in (("the given root", given), (f"${ROOT_VARIABLE}", environ.get(ROOT_VARIABLE))):
        if path:
            if Path(path).is_dir():
                return Path(path)
            raise ClipError(f"AudioSet: {place}, {path}, is not a folder; {_HOW_OBTAINED}")
    if DEFAULT_ROOT.is_dir():
        return DEFAULT_ROOT
    raise ClipError(
        f"AudioSet was not found; looked at --audioset-root (not given), ${ROOT_VARIABLE} (not set), {DEFAULT_ROOT} "
        f"(not there): {_HOW_OBTAINED}"
    )


_HOW_OBTAINED = (
    "its segment lists are at research.google.com/audioset/download.html, its sounds are fetched from YouTube by their "
    "ids or are available as Parquet files (agkphysics/AudioSet on the Hugging Face hub)"
)


def open_audioset(
    root: Path,
    cache: Path | None = None,
    labels: LabelMode = "all",
    classes: str | Sequence[str] = "all",
    min_label_quality: float = 0.0,
    min_clip_s: float = 0.1,
    lists: Sequence[Path] | None = None,
) -> ClipSet:
    """Open AudioSet in the form that the root has: audio files with segment lists, or Parquet files of the hub.

    Raises:
        ClipError: as AudioSetClips and HubAudioSetClips.
    """
    index = index_files(root, cache)
    parquet = _rows_named(index, suffix=".parquet")
    if not parquet or lists or parse_names(index.names).rows.size:
        return AudioSetClips(root, cache, labels, classes, min_label_quality, min_clip_s, lists, index)
    files = [root / index.path(row) for row in parquet]
    wanted = _label_filter(index, labels, classes, min_label_quality)
    return HubAudioSetClips(root, wanted, sorted(files), min_clip_s)


class AudioSetClips:
    """The clip set `audioset`: segment lists joined with audio files, anywhere below a folder.

    Names are `Y<id>.wav`, `<id>.wav`, `<id>_<start>.*`, `<id>_<start>_<end>.*`, in split folders or flat, and hold the
    segment and nothing else; see `decode` for the formats. A clip_id is `audioset/<id>`, whatever the file is called
    and wherever it lies; with labels="strong" it is `audioset/<id>/<from>-<to>`, in ms within the segment, and all
    stretches of a segment have the origin `audioset/<id>`. Lists give the split: both training lists "train", the
    evaluation list "test", also for what a training list says of the same video; AudioSet has no validation list.

    No file is opened to list them, so a record knows neither hash nor rate; a file that cannot be used is refused when
    it is loaded.

    Args:
        root: the folder; the lists (SEGMENT_LISTS, for strong STRONG_LISTS) may lie anywhere below.
        cache: where the index of file names is kept; None keeps none.
        labels: which labels clips keep (`label_filter.LabelFilter`); "strong" takes the stretches of strongly labelled
            segments in which nothing else sounds.
        classes: "all", "spatialsoundqa", or names.
        min_label_quality: leaves out classes of which raters found a smaller share true (qa_true_counts.csv).
        min_clip_s: shorter segments and stretches are left out.
        lists: other segment lists, or strong tables, than those below the root.
        index: the root's files where they are known already.

    Raises:
        ClipError: no list, a list of another release, no file of any segment, or a class name that does not exist.
    """

    name = "audioset"

    def __init__(
        self,
        root: Path | str,
        cache: Path | None = None,
        labels: LabelMode = "all",
        classes: str | Sequence[str] = "all",
        min_label_quality: float = 0.0,
        min_clip_s: float = 0.1,
        lists: Sequence[Path] | None = None,
        index: FileIndex | None = None,
    ) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise ClipError(f"{root} is not a folder; {_HOW_OBTAINED}")
        self.min_clip_s = min_clip_s
        index = index or index_files(self.root, cache)
        wanted = _label_filter(index, labels, classes, min_label_quality)
        found = list(lists) if lists else _find_lists(index, STRONG_LISTS if labels == "strong" else SEGMENT_LISTS)
        if labels == "strong":
            self._open_strong(index, read_strong(found), wanted)
        else:
            self._open_segments(index, read_segments(found), wanted)
        if not len(self._table):
            raise ClipError(f"no usable clip in {self.root}: {_in_words(self.summary)}")

    def _open_segments(self, index: FileIndex, segments: Segments, wanted: LabelFilter) -> None:
        match = match_files(index, segments.ids, segments.start_s, segments.end_s)
        durations_s = segments.end_s - segments.start_s
        there = match.row_of >= 0
        chosen = choose_labels(LabelLists.joined(segments.mids), wanted)
        long_enough = durations_s >= self.min_clip_s
        kept = np.flatnonzero(there & long_enough & (chosen.set_of >= 0))
        kept = kept[np.argsort(segments.ids[kept])]
        self._files = SegmentFiles(index, segments.ids[kept], match.row_of[kept])
        self._table = audioset_table(
            segments.ids[kept],
            durations_s[kept],
            ChosenLabels(chosen.set_of[kept], chosen.sets),
            segments.list_of[kept],
            [SEGMENT_LISTS.get(path.name) for path in segments.lists],
            self._files.content_hash(),
        )
        self._tell(
            match,
            {
                "segments": len(segments.ids),
                "repeated": segments.repeated,
                "without a file": int((~there).sum()),
                "too short": int((there & ~long_enough).sum()),
                "filtered": int((there & long_enough & (chosen.set_of < 0)).sum()),
            },
        )

    def _open_strong(self, index: FileIndex, events: StrongEvents, wanted: LabelFilter) -> None:
        ids, first = np.unique(events.ids, return_index=True)
        match = match_files(index, ids, events.segment_start_s[first], np.full(ids.size, np.nan))
        good = events.take(alone(events, wanted, self.min_clip_s))
        video = np.searchsorted(ids, good.ids)
        row_of = match.row_of[video]
        good, video = good.take(np.flatnonzero(row_of >= 0)), video[row_of >= 0]
        places = [f"/{begin}-{end}" for begin, end in zip(good.from_ms.tolist(), good.to_ms.tolist(), strict=True)]
        clip_ids = np.char.add(good.ids, np.array(places, dtype="S16"))
        there = np.flatnonzero(match.row_of >= 0)
        self._files = SegmentFiles(index, ids[there], match.row_of[there])
        nodes, set_of = np.unique(good.nodes, return_inverse=True)
        self._table = audioset_table(
            clip_ids,
            (good.to_ms - good.from_ms) / 1000.0,
            ChosenLabels(set_of.astype(np.int32), tuple((int(node),) for node in nodes)),
            events.list_of[first][video],  # all of a file in one split: that of the list that names it first
            [STRONG_LISTS.get(path.name) for path in events.lists],
            self._files.content_hash(),
        )
        lost = int((row_of < 0).sum())
        counts = {"segments": len(ids), "stretches": len(events), "without a file": lost}
        self._tell(match, counts | {"filtered": len(events) - len(row_of)})

    def _tell(self, match: Match, counts: dict[str, int]) -> None:
        self.summary: dict[str, int] = {**counts, **match.counts, "clips": len(self._table)}
        kinds = ("repeated", "without a file", "too short", "filtered")
        told = [RejectedClip("(segment lists)", f"{kind}: {counts[kind]} rows") for kind in kinds if counts.get(kind)]
        self._rejected = (*told, *match.rejected)

    def records(self) -> Sequence[ClipRecord]:
        """Return every clip that has a file and passes the filter, sorted by id; records are made when looked at."""
        return self._table

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that are not used, and one line for each reason that list rows are not; see `summary`."""
        return self._rejected

    def load(self, record: ClipRecord) -> RawClip:
        """Read channel 0 of a clip, sha256 of its file.

        Raises:
            ClipError: the file cannot be used, now or ever.
            ClipGoneError: the file is not there any more.
        """
        video_id, _, stretch = record.clip_id.removeprefix(PREFIX).partition("/")
        row = self._table.find(record.clip_id)
        path = None if row is None else self._files.find(video_id)
        if row is None or path is None:
            raise ClipError(f"{record.clip_id!r} is not a clip of AudioSet in {self.root} with these filters")
        try:
            listed_s = SEGMENT_S if stretch else float(self._table.durations_s[row])
            raw = read_sound(path, self.min_clip_s, min(listed_s + MAX_EXTRA_S, MAX_CLIP_S))
            return _cut(raw, stretch) if stretch else raw
        except BadSoundError as error:
            where = path.relative_to(
                self.root
            ).as_posix()  # it goes into the data set, as where the root lies should not
            raise ClipError(f"clip {record.clip_id} ({where}): {error}") from error
        except ClipGoneError as error:
            raise ClipGoneError(f"clip {record.clip_id} ({path.parent}): {error}") from error
        except OSError as error:
            raise ClipGoneError(f"clip {record.clip_id}: {path} cannot be read: {cause(error)}; start again") from error


def _cut(raw: RawClip, stretch: str) -> RawClip:
    """Return the part `<from>-<to>` (ms) of a segment; raises BadSoundError where it is cut off or silent."""
    begin, end = (round(int(part) * raw.sample_rate / 1000) for part in stretch.split("-"))
    audio = raw.audio[begin:end]
    # Files are a few ms shorter than their lists say; half a stretch is another sound.
    if audio.size < 0.9 * (end - begin):
        raise BadSoundError(
            f"too short: it ends at {raw.audio.size / raw.sample_rate:.3f} s, within {stretch} ms or before"
        )
    require_sound(audio)
    return RawClip(np.ascontiguousarray(audio), raw.sample_rate, raw.sha256)


def _rows_named(index: FileIndex, names: Sequence[str] = (), suffix: str | None = None) -> list[int]:
    """Return the rows of files with one of these names, or with this suffix."""
    found = pc.ends_with(index.names, suffix) if suffix else pc.is_in(index.names, value_set=pa.array(list(names)))
    return [int(row) for row in np.flatnonzero(found.to_numpy(zero_copy_only=False))]


def _find_lists(index: FileIndex, wanted: Mapping[str, str]) -> list[Path]:
    """Return the lists below the root, each name once (the least deep one), in the order in which they count."""
    paths: dict[str, list[str]] = {}
    for row in _rows_named(index, list(wanted)):
        path = index.path(row)
        paths.setdefault(path.rpartition("/")[2], []).append(path)
    if not paths:
        raise ClipError(f"{index.root} holds no list of AudioSet (looked for {', '.join(wanted)}); {_HOW_OBTAINED}")
    best = {name: min(found, key=lambda path: (path.count("/"), path)) for name, found in paths.items()}
    return [index.root / best[name] for name in wanted if name in best]


def _label_filter(
    index: FileIndex, labels: LabelMode, classes: str | Sequence[str], min_label_quality: float
) -> LabelFilter:
    quality = {}
    if min_label_quality > 0:
        rows = _rows_named(index, [QUALITY_TABLE])
        if not rows:
            raise ClipError(
                f"{index.root} holds no {QUALITY_TABLE}, which says how good the labels of a class are: get it from "
                f"research.google.com/audioset/download.html, or keep them all with --min-label-quality 0"
            )
        quality = read_quality(index.root / min(index.path(row) for row in rows))
    wanted = LabelFilter(labels, classes, min_label_quality, quality)
    wanted.allowed()  # report a misspelt class before two million rows are read
    return wanted


def _in_words(summary: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in summary.items() if n or kind == "clips")
