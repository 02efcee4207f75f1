"""FSD50K (Fonseca et al., IEEE/ACM TASLP 2022): Freesound clips with AudioSet classes, in its released layout."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.label_filter import LabelFilter, LabelMode
from spatialqa.clips.listed_files import ListedFile, load_listed, open_listed, read_table
from spatialqa.core.input_files import read_text
from spatialqa.errors import ClipError

_TRUTH = "FSD50K.ground_truth"
_SPLITS = {"train": "train", "val": "validation"}
_HOW_OBTAINED = "FSD50K is available from zenodo.org/records/4060432; unpack its archives beside each other"


class Fsd50kClips:
    """The clip set `fsd50k`: FSD50K.ground_truth/{dev,eval}.csv with FSD50K.{dev,eval}_audio/<fname>.wav.

    Labels are AudioSet's by their mids; the release gives every clip all the wider classes too, so labels="specific"
    leaves the sounds themselves. Splits are the release's: dev.csv's train and val, and eval as test; one of the two
    CSVs may be absent. Licence and attribution of a clip come from FSD50K.metadata where it is there. A clip_id is
    `fsd50k/<fname>`.

    Args:
        root: the folder that holds FSD50K.ground_truth.
        labels, classes: as for AudioSet (`label_filter.LabelFilter`), without "strong".
        min_clip_s: shorter clips are left out.
        licences: when given, only clips whose licence matches one of these are kept (any case; `*` and `?` match).

    Raises:
        ClipError: the folder has another layout, a table is not an FSD50K table, or no clip is left.
    """

    name = "fsd50k"

    def __init__(
        self,
        root: Path | str,
        labels: LabelMode = "all",
        classes: str | Sequence[str] = "all",
        min_clip_s: float = 0.1,
        licences: Sequence[str] | None = None,
    ) -> None:
        self.root = Path(root)
        self.min_clip_s = min_clip_s
        if labels == "strong":
            raise ClipError("FSD50K has no strongly labelled times: use labels all, specific or single")
        truth = self.root / _TRUTH
        parts = [part for part in ("dev", "eval") if (truth / f"{part}.csv").is_file()]
        if not parts:
            raise ClipError(f"{root} holds no {_TRUTH}/dev.csv and no eval.csv; {_HOW_OBTAINED}")
        files = [file for part in parts for file in self._part(part)]
        wanted = LabelFilter(labels, classes)
        self._paths = {file.clip_id: file.path for file in files}
        if len(self._paths) < len(files):
            raise ClipError(f"{truth} names a clip twice; download it again")
        self._records, self._rejected = open_listed(self.root, files, wanted, min_clip_s, licences)

    def _part(self, part: str) -> list[ListedFile]:
        columns = ["fname", "labels", "mids", *(["split"] if part == "dev" else [])]
        path = self.root / _TRUTH / f"{part}.csv"
        info = _clips_info(self.root / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json")
        files = []
        for line, row in enumerate(read_table(path, columns), start=2):
            name, split = row["fname"], _SPLITS.get(row.get("split", ""), None if part == "dev" else "test")
            if not name.isdecimal() or split is None:
                raise ClipError(f"{path} line {line}: {', '.join(row.values())[:80]!r} is not a row of FSD50K")
            licence, attribution = _rights(info.get(name), name)
            file, where = f"FSD50K.{part}_audio/{name}.wav", f"{path.name} line {line}"
            files.append(ListedFile(file, f"fsd50k/{name}", row["mids"], split, licence, attribution, where))
        return files

    def records(self) -> Sequence[ClipRecord]:
        """Return every usable clip, sorted by id; headers have been read, the sound has not."""
        return self._records

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that were left out, with the reason, sorted by path."""
        return self._rejected

    def load(self, record: ClipRecord) -> RawClip:
        """Read a clip; raises ClipError when it is unusable, ClipGoneError when it is not there any more."""
        if record.clip_id not in self._paths:
            raise ClipError(f"{record.clip_id!r} is not a clip of FSD50K in {self.root}")
        return load_listed(self.root, self._paths[record.clip_id], record, self.min_clip_s)


def _clips_info(path: Path) -> dict[str, Any]:
    """Return what is known of every clip by name; nothing where the file is absent."""
    if not path.is_file():
        return {}
    try:
        info = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ClipError(f"{path} is not JSON: {error}; download it again") from error
    if not isinstance(info, dict):
        raise ClipError(f"{path} holds no object by clip name; download it again")
    return info


def rights_by_name(path: Path) -> Callable[[str], tuple[str | None, str | None]]:
    """Return a function that gives licence and attribution of a clip by its name, from clips_info_FSD50K.json."""
    info = _clips_info(path)
    return lambda name: _rights(info.get(name), name)


def _rights(info: Any, name: str) -> tuple[str | None, str | None]:
    """Return licence and attribution of a clip."""
    if not isinstance(info, dict):
        return None, f"Freesound clip {name}, in FSD50K"
    title, uploader, url = (str(info.get(key) or "") for key in ("title", "uploader", "license"))
    who = f" by {uploader}" if uploader else ""
    return short_licence(url), f"{title or name}{who}, Freesound clip {name}, in FSD50K"


def short_licence(url: str) -> str | None:
    """Return the short name of a Creative Commons licence ("CC BY 3.0") by its address; other texts as they are."""
    if re.search(r"creativecommons\.org/publicdomain/zero/", url):
        return "CC0 1.0"
    found = re.search(r"creativecommons\.org/licenses/([a-z+-]+)/([0-9.]+)", url)
    if not found:
        return url.strip() or None
    kind = "Sampling+" if found[1] == "sampling+" else found[1].upper()
    return f"CC {kind} {found[2]}"
