"""Common code for collections with a table of all files (FSD50K, ESC-50)."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa

from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.decode import BadSoundError, cause, read_sound, sound_header
from spatialqa.clips.label_filter import LabelFilter, LabelLists, choose_labels
from spatialqa.core.input_files import open_regular
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError, ClipGoneError


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV whose header is exactly `columns`.

    Raises:
        ClipError: it cannot be read, or has other columns or a row with another number of cells; one line.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            header = next(rows, [])
            if header != list(columns):
                raise ClipError(f"{path} has the columns {', '.join(header)[:80]}; expected {', '.join(columns)}")
            result = []
            for row in rows:
                if len(row) != len(columns):
                    raise ClipError(f"{path} line {rows.line_num} has {len(row)} cells, not {len(columns)}")
                result.append(dict(zip(columns, row, strict=True)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipError(f"{path} cannot be read: {cause(error)}") from error
    if not result:
        raise ClipError(f"{path} has no row; download it again")
    return result


def load_listed(root: Path, relative: str, record: ClipRecord, min_duration_s: float) -> RawClip:
    """Read a file that was listed without opening it.

    Raises:
        ClipError: the sound cannot be used, now or ever.
        ClipGoneError: the file is not there any more.
    """
    try:
        return read_sound(root / relative, min_duration_s)
    except BadSoundError as error:
        raise ClipError(f"clip {record.clip_id} ({relative}): {error}") from error
    except OSError as error:
        raise ClipGoneError(f"{root / relative} cannot be read: {cause(error)}; start again") from error


def licence_reason(licence: str | None, wanted: Sequence[str] | None) -> str | None:
    """Return why a clip with this licence is left out when only some licences (globs, any case) are wanted, or None."""
    if wanted is None or (licence and any(fnmatchcase(licence.casefold(), w.strip().casefold()) for w in wanted)):
        return None
    return f"licence: {licence or 'none stated'}, wanted {' or '.join(wanted)}"


def nothing_usable(root: Path, rejected: Sequence[RejectedClip]) -> str:
    """Return the line that says of how many clips what was wrong when none is left."""
    counts = Counter(clip.reason.split(":")[0] for clip in rejected)
    first = min(rejected, key=lambda clip: clip.path)
    summary = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
    return f"no usable clip in {root}: {summary}; the first: {first.path}: {first.reason}"


@dataclass(frozen=True)
class ListedFile:
    """One row of a data set's table."""

    path: str  # relative to the root, forward slashes
    clip_id: str
    mids: str  # joined by commas
    split: str | None
    licence: str | None
    attribution: str | None
    row: str  # the table and its line, for messages


def open_listed(
    root: Path,
    files: Sequence[ListedFile],
    wanted: LabelFilter,
    min_clip_s: float,
    licences: Sequence[str] | None,
) -> tuple[tuple[ClipRecord, ...], tuple[RejectedClip, ...]]:
    """Return records of the files that a table lists, and those that are left out; reads the header of each.

    Raises:
        ClipError: no clip is left, or the filter names a class that does not exist.
    """
    chosen = choose_labels(LabelLists.joined(pa.array([file.mids for file in files])), wanted)
    nodes = ontology().nodes
    records, rejected = [], []
    # Opening files waits for the disk, so a few threads read a large folder faster.
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda file: _header(root, file), files))
    for file, labels, header in zip(files, chosen.set_of.tolist(), found, strict=True):
        reason = licence_reason(file.licence, licences)
        if labels < 0:
            reason = reason or "filtered: none of its labels is kept, or it has several and one was asked for"
        if isinstance(header, str):
            reason = reason or header
        elif header[0] < min_clip_s:
            reason = reason or f"too short: {header[0]:.3f} s, under {min_clip_s:g} s"
        if reason is not None or isinstance(header, str):
            rejected.append(RejectedClip(file.path, str(reason)))
            continue
        duration_s, rate = header
        own = [nodes[i] for i in chosen.sets[labels]]
        names, mids = tuple(node.name for node in own), tuple(node.mid for node in own)
        records.append(
            ClipRecord(file.clip_id, None, rate, duration_s, file.licence, names, mids, file.attribution, file.split)
        )
    if not records:
        raise ClipError(nothing_usable(root, rejected))
    return tuple(sorted(records, key=lambda r: r.clip_id)), tuple(sorted(rejected, key=lambda r: r.path))


def _header(root: Path, file: ListedFile) -> tuple[float, int] | str:
    """Return duration in seconds and sample rate, or why the file cannot be used."""
    try:
        return sound_header(root / file.path)
    except FileNotFoundError:
        return f"missing: {file.row} names it, and the folder does not have it"
    except BadSoundError as error:
        return str(error)
    except OSError as error:
        return f"unreadable: {cause(error)}"
