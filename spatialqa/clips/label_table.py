"""Labels of the sound files in a folder: from the names of sub-folders, or from a table."""

import csv
import os
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialqa.core.input_files import read_text
from spatialqa.core.ontology import LabelRef, ontology, resolve_label
from spatialqa.errors import ClipError

TABLE_NAMES = ("labels.csv", "labels.tsv", "clips.tsv")
_SEPARATOR = re.compile(r";|__")
_PART = re.compile(
    r"(train|test|valid|val|dev|eval)(ing|ation|uation|elopment)?([ _-]?(set|split|data|clean|\d+))?"
    r"|(fold|split)[ _-]?\d+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Listing:
    """What is known of one file before it is opened; `reason` is why it cannot be used."""

    path: str  # relative to the folder, forward slashes
    labels: tuple[LabelRef, ...] = ()
    licence: str | None = None
    attribution: str | None = None
    sha256: str | None = None
    reason: str | None = None


def folder_listings(paths: Collection[str], custom: bool) -> Iterator[Listing]:
    """Label files by the nearest sub-folder above each whose name spells AudioSet classes (several joined by ; or __).

    With `custom`, a file below no such folder gets the name of the folder it lies in, underscores as spaces. A folder
    that names a part of a data set (train, test, validation, dev, eval, fold1, ...) is ignored: a folder `train` is
    the vehicle only beside folders of other sounds, and where no folder beside it is such a part.
    """
    beside: dict[str, set[str]] = {}
    for path in paths:
        folders = path.split("/")[:-1]
        for depth, name in enumerate(folders):
            beside.setdefault("/".join(folders[:depth]), set()).add(name)
    parts_of = {at: {name for name in names if _names_a_part(name, names, custom)} for at, names in beside.items()}
    for path in paths:
        folders = path.split("/")[:-1]
        named = [name for depth, name in enumerate(folders) if name not in parts_of["/".join(folders[:depth])]]
        listing = _by_folders(path, named, custom)
        if listing.reason and folders and folders[-1] in parts_of["/".join(folders[:-1])]:
            why = f"unlabelled: {folders[-1]!r} names a part of a data set, not a sound; put it into or around folders "
            listing = Listing(path, reason=why + "named after sounds, or give a table of labels")
        yield listing


def _names_a_part(name: str, beside: Collection[str], custom: bool) -> bool:
    if not _PART.fullmatch(name):
        return False
    others = [other for other in beside if other != name]
    if ontology().find(name) is None or any(_PART.fullmatch(other) for other in others):
        return True
    return not any(custom or ontology().find(part) for other in others for part in _SEPARATOR.split(other))


def _by_folders(path: str, folders: Sequence[str], custom: bool) -> Listing:
    nearest_first = [_SEPARATOR.split(name) for name in reversed(folders)]
    if not nearest_first:
        return Listing(path, reason="unlabelled: it lies in no sub-folder named after a sound, and there is no table")
    tries = [(parts, False) for parts in nearest_first]
    if custom:
        tries.append(([part.replace("_", " ") for part in nearest_first[0]], True))
    errors = []
    for parts, keep_unknown in tries:
        try:
            if labels := _labels(parts, keep_unknown):
                return Listing(path, labels)
        except ClipError as error:
            errors.append(str(error))
    return Listing(
        path, reason=f"unknown label: {errors[0]}" if errors else "unlabelled: the name of its folder is not a label"
    )


def find_table(root: Path, labels_file: Path | None) -> Path | None:
    """Return the table to use; raises ClipError when the one asked for is absent or the folder has several."""
    if labels_file is not None:
        if not labels_file.is_file():
            raise ClipError(f"there is no table of labels {labels_file}")
        return labels_file
    found = [root / name for name in TABLE_NAMES if (root / name).is_file()]
    if len(found) > 1:
        raise ClipError(
            f"{root} has several tables ({', '.join(t.name for t in found)}); choose one with --labels-file"
        )
    return found[0] if found else None


def read_table(
    table: Path, root: Path, files: Iterable[str], refused: Collection[str], custom: bool
) -> Iterator[Listing]:
    """Yield a listing per row of a table and per file that it does not name.

    A table is UTF-8, comma-separated, or tab-separated when its name ends in .tsv, and may begin with lines that start
    with #. Its header has `path` (relative to `root`) and `label` or `mid` or both (several in one cell separated by
    ";"; mid decides), and may have `licence`, `attribution` and `sha256`; other columns are ignored.

    Args:
        table: the file.
        root: the folder of clips.
        files: the sound files that were found in the folder, relative to it.
        refused: files that were found and cannot be used; they are not reported again.
        custom: whether a label that AudioSet lacks is kept as it is.

    Raises:
        ClipError: the table is no such table, or names a file twice.
    """
    present = set(files)
    line_of: dict[str, int] = {}
    for line, row in _rows(table):
        path = row["path"]
        if os.path.isabs(path):
            path = os.path.relpath(path, root.absolute())
        path = posixpath.normpath(path.replace(os.sep, "/"))
        if path in line_of:
            raise ClipError(
                f"{table.name} line {line}: {path} is named a second time (first in line {line_of[path]}); "
                "write all its labels into one row, separated by ';'"
            )
        line_of[path] = line
        if path in refused:
            continue
        if path not in present:
            yield Listing(path, reason=f"missing: {table.name} line {line} names it, and the folder does not have it")
        else:
            yield _row_listing(path, row, f"{table.name} line {line}", custom)
    for path in sorted(present.difference(line_of)):
        yield Listing(path, reason=f"unlabelled: {table.name} does not name it")


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, cells by column name) of a table's rows that are not blank."""
    try:
        lines = read_text(table, "utf-8-sig").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise ClipError(f"the table of labels {table} cannot be read as UTF-8 text: {error}") from error
    skipped = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
    reader = csv.reader(lines[skipped:], delimiter=delimiter)
    try:
        header = [name.strip().lower().replace("license", "licence") for name in next(reader, [])]
        if "path" not in header or not {"label", "mid"}.intersection(header):
            raise ClipError(
                f"{table}: the header must name the columns path and label (or mid), separated by "
                f"{'tabs' if delimiter == chr(9) else 'commas'}; it is {', '.join(header) or 'empty'}"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = skipped + reader.line_num
            row = dict.fromkeys(("label", "mid", "licence", "attribution", "sha256"), "")
            row.update((name, cell.strip()) for name, cell in zip(header, cells, strict=False))
            if not row["path"]:
                raise ClipError(f"{table} line {line}: the path is empty")
            yield line, row
    except csv.Error as error:
        raise ClipError(f"{table} line {skipped + reader.line_num}: {error}") from error


def _row_listing(path: str, row: dict[str, str], where: str, custom: bool) -> Listing:
    try:
        named = _labels(row["label"].split(";"), custom or bool(row["mid"]))
        by_mid = tuple(_by_mid(mid) for mid in re.split(r"[;,\s]+", row["mid"]) if mid)
    except ClipError as error:
        return Listing(path, reason=f"unknown label: {where}: {error}")
    if by_mid and not {label.mid for label in named} <= {None, *(label.mid for label in by_mid)}:
        reason = f"unknown label: {where}: the label {row['label']!r} and the mid {row['mid']!r} differ"
        return Listing(path, reason=reason)
    labels = by_mid or named
    if not labels:
        return Listing(path, reason=f"unlabelled: {where} has no label")
    return Listing(path, labels, row["licence"] or None, row["attribution"] or None, row["sha256"].lower() or None)


def _by_mid(mid: str) -> LabelRef:
    ontology().by_mid(mid)
    return resolve_label(mid)


def _labels(texts: Iterable[str], custom: bool) -> tuple[LabelRef, ...]:
    """Return each label once, in order; empty texts are ignored."""
    labels = []
    for text in (text.strip() for text in texts):
        if text:
            labels.append(LabelRef(text, None) if custom and ontology().find(text) is None else resolve_label(text))
    return tuple(dict.fromkeys(labels))
