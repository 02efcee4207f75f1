"""ESC-50 (K. J. Piczak, ACM MM 2015): 2,000 Freesound clips of 5 s in 50 categories, in its released layout."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.label_filter import LabelFilter
from spatialqa.clips.listed_files import ListedFile, load_listed, open_listed, read_table
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError

_TABLE = "meta/esc50.csv"
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
# Folds keep all takes of one recording together. The release leaves open which fold is held out; this is our choice.
_FOLDS = {"1": "train", "2": "train", "3": "train", "4": "validation", "5": "test"}


class Esc50Clips:
    """The clip set `esc50`: meta/esc50.csv with audio/<filename>.

    Every category has an AudioSet class (`spatialqa/data/esc50_classes.tsv`). Folds 1 to 3 are the train split, 4
    validation, 5 test. The licence is ESC-50's: CC BY-NC 3.0, of its ESC-10 part CC BY 3.0. A clip_id is
    `esc50/<filename>`.

    Args:
        root: the folder that holds meta and audio.
        classes: "all", "spatialsoundqa", or names (`label_filter.LabelFilter`).
        min_clip_s: shorter clips are left out.
        licences: when given, only clips whose licence matches one of these are kept (any case; `*` and `?` match).

    Raises:
        ClipError: the folder has another layout, the table is not an ESC-50 table, or no clip is left.
    """

    name = "esc50"

    def __init__(
        self,
        root: Path | str,
        classes: str | Sequence[str] = "all",
        min_clip_s: float = 0.1,
        licences: Sequence[str] | None = None,
    ) -> None:
        self.root = Path(root)
        self.min_clip_s = min_clip_s
        table = self.root / _TABLE
        if not table.is_file():
            raise ClipError(f"{root} holds no {_TABLE}; ESC-50 is available from github.com/karolpiczak/ESC-50")
        rows = read_table(table, _COLUMNS)
        files = [_listed(table, line, row) for line, row in enumerate(rows, start=2)]
        self._paths = {file.clip_id: file.path for file in files}
        if len(self._paths) < len(files):
            raise ClipError(f"{table} names a file twice; download it again")
        records, self._rejected = open_listed(self.root, files, LabelFilter("all", classes), min_clip_s, licences)
        recordings = {f"esc50/{row['filename']}": f"freesound/{row['src_file']}" for row in rows}
        self._records = [replace(record, origin=recordings[record.clip_id]) for record in records]

    def records(self) -> Sequence[ClipRecord]:
        """Return every usable clip, sorted by id; headers have been read, the sound has not."""
        return self._records

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that were left out, with the reason, sorted by path."""
        return self._rejected

    def load(self, record: ClipRecord) -> RawClip:
        """Read a clip; raises ClipError when it is unusable, ClipGoneError when it is not there any more."""
        if record.clip_id not in self._paths:
            raise ClipError(f"{record.clip_id!r} is not a clip of ESC-50 in {self.root}")
        return load_listed(self.root, self._paths[record.clip_id], record, self.min_clip_s)


def _listed(table: Path, line: int, row: dict[str, str]) -> ListedFile:
    name, classes = row["filename"], esc50_classes()
    known = classes.get(row["category"])
    if known is None or str(known[0]) != row["target"] or row["fold"] not in _FOLDS or Path(name).name != name:
        raise ClipError(f"{table} line {line}: {','.join(row.values())[:80]!r} is not a row of ESC-50")
    return ListedFile(
        path=f"audio/{name}",
        clip_id=f"esc50/{name}",
        mids=ontology().by_name(known[1]).mid,
        split=_FOLDS[row["fold"]],
        licence="CC BY 3.0" if row["esc10"] == "True" else "CC BY-NC 3.0",
        attribution=f"Freesound clip {row['src_file']}, in ESC-50 (K. J. Piczak)",
        row=f"{table.name} line {line}",
    )


@cache
def esc50_classes() -> dict[str, tuple[int, str]]:
    """Return for every category its target number and the display name of its AudioSet class."""
    text = resources.files("spatialqa.data").joinpath("esc50_classes.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return {row["category"]: (int(row["target"]), row["audioset_class"]) for row in rows}
