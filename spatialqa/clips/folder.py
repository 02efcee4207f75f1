"""Labelled sound files in a folder: labels from the names of sub-folders, or from a table."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.decode import SUFFIXES, BadSoundError, cause, read_sound
from spatialqa.clips.label_table import Listing, find_table, folder_listings, read_table
from spatialqa.clips.listed_files import licence_reason, nothing_usable
from spatialqa.errors import ClipError, ClipGoneError

OTHER_AUDIO_SUFFIXES = (".aac", ".aif", ".aiff", ".m4a", ".mp4", ".webm", ".wma")


class FolderClips:
    """The clip set of a folder. It is read once, when the object is made; files are read again when they are loaded.

    A label is an AudioSet display name, a mid, or a folder's spelling of one (`spatialqa.core.ontology.resolve_label`).
    Without a table a clip has the labels of the nearest sub-folder above it whose name is one ("Dog", "bow_wow";
    several joined by ";" or "__"); a folder that names a part of a data set (train, test, fold1) is none. A table
    (labels.csv, labels.tsv or clips.tsv in the folder, or `labels_file`) decides alone when there is one; see
    `label_table.read_table` for its columns.

    A file that cannot be used never raises: `rejected()` names it with a reason "kind: detail", where kind is one of
    duplicate, licence, link, missing, name, too short, too long, silent, unlabelled, unknown label, unreadable,
    unsupported. A second file with the same bytes and the same labels is a duplicate; with other labels it stays, under
    its own id (splits keep equal content together by sha256). Names that begin with a dot are ignored; links to
    folders are not followed.

    Args:
        path: the folder.
        labels_file: the table; its paths are relative to the folder.
        unknown_labels: "error" leaves clips with labels that AudioSet lacks out; "custom" keeps them, with mid None.
        licence: the licence of every clip for which a table names none.
        min_duration_s: shorter clips are left out.
        max_duration_s: longer ones too; a clip is held in memory whole.
        licences: when given, only clips whose licence matches one of these are kept (any case; `*` and `?` match).

    Raises:
        ClipError: no such folder, a table that cannot be read, or no usable clip; one line, with counts by reason.
    """

    def __init__(
        self,
        path: Path | str,
        labels_file: Path | None = None,
        unknown_labels: Literal["error", "custom"] = "error",
        licence: str | None = None,
        min_duration_s: float = 0.1,
        licences: Sequence[str] | None = None,
        max_duration_s: float = 600.0,
    ) -> None:
        self.root = Path(path)
        if not self.root.is_dir():
            raise ClipError(f"{path} is not a folder; folder:DIR wants a folder of WAV, FLAC, OGG or MP3 files")
        if unknown_labels not in ("error", "custom"):
            raise ClipError(f"unknown_labels is {unknown_labels!r}; it must be 'error' or 'custom'")
        self.name = f"folder:{self.root.resolve().name}"
        self.min_duration_s = min_duration_s
        self.max_duration_s = max_duration_s
        files, rejected = _sound_files(self.root)
        table = find_table(self.root, labels_file)
        if table is None:
            listings: Iterable[Listing] = folder_listings(files, unknown_labels == "custom")
        else:
            listings = read_table(table, self.root, files, {r.path for r in rejected}, unknown_labels == "custom")
        candidates: list[Listing] = []
        for listing in listings:
            listing = replace(listing, licence=listing.licence or licence)
            reason = listing.reason or licence_reason(listing.licence, licences)
            if reason is None:
                candidates.append(listing)
            else:
                rejected.append(RejectedClip(listing.path, reason))
        # Decoding and hashing leave the interpreter lock, so a few threads read a large folder faster.
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            checked = list(pool.map(self._check, candidates))
        records, duplicates = _without_duplicates([item for item in checked if isinstance(item, ClipRecord)])
        rejected += [item for item in checked if isinstance(item, RejectedClip)] + duplicates
        if not records:
            raise ClipError(_nothing_usable(self.root, rejected))
        self._records = tuple(records)
        self._rejected = tuple(sorted(rejected, key=lambda clip: clip.path))

    def records(self) -> Sequence[ClipRecord]:
        """Return every usable clip, sorted by clip_id: its path relative to the folder, with forward slashes."""
        return self._records

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that were left out, with the reason, sorted by path."""
        return self._rejected

    def load(self, record: ClipRecord) -> RawClip:
        """Read channel 0 of a clip; raises ClipGoneError when the file is gone, damaged or has changed."""
        path = self.root / record.clip_id
        try:
            raw = read_sound(path, self.min_duration_s, self.max_duration_s)
        except (OSError, BadSoundError) as error:
            raise ClipGoneError(f"{path} cannot be read: {cause(error)}; start again") from error
        if raw.sha256 != record.sha256:
            raise ClipGoneError(f"{path} has changed since the folder was read; start again")
        return raw

    def _check(self, listing: Listing) -> ClipRecord | RejectedClip:
        try:
            raw = read_sound(self.root / listing.path, self.min_duration_s, self.max_duration_s)
        except BadSoundError as error:
            return RejectedClip(listing.path, str(error))
        except OSError as error:
            return RejectedClip(listing.path, f"unreadable: {cause(error)}")
        if listing.sha256 not in (None, raw.sha256):
            return RejectedClip(listing.path, "unreadable: its sha256 is not the table's; the file has changed")
        return ClipRecord(
            clip_id=listing.path,
            sha256=raw.sha256,
            native_sample_rate=raw.sample_rate,
            duration_s=raw.audio.size / raw.sample_rate,
            licence=listing.licence,
            labels=tuple(label.name for label in listing.labels),
            mids=tuple(label.mid for label in listing.labels),
            attribution=listing.attribution,
        )


def _sound_files(root: Path) -> tuple[list[str], list[RejectedClip]]:
    """Return the sorted relative paths of the sound files under a folder, and what cannot be one."""
    files: list[str] = []
    rejected: list[RejectedClip] = []

    def cannot_list(error: OSError) -> None:
        rejected.append(RejectedClip(_relative(str(error.filename), root), f"unreadable: {error.strerror}"))

    for folder, subfolders, names in os.walk(root, onerror=cannot_list):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in subfolders:
            if os.path.islink(os.path.join(folder, name)):
                path = _relative(os.path.join(folder, name), root)
                rejected.append(RejectedClip(path, "link: links to folders are not followed; give that folder itself"))
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            path = _relative(os.path.join(folder, name), root)
            if name.startswith(".") or suffix not in SUFFIXES + OTHER_AUDIO_SUFFIXES:
                continue
            if suffix in OTHER_AUDIO_SUFFIXES:
                rejected.append(RejectedClip(path, f"unsupported: {suffix} is not read; convert it to WAV or FLAC"))
            elif path != _relative(os.path.join(folder, name), root, errors="surrogateescape"):
                rejected.append(RejectedClip(path, "name: it is not UTF-8; rename the file or its folder"))
            else:
                files.append(path)
    return sorted(files), rejected


def _relative(path: str, root: Path, errors: str = "backslashreplace") -> str:
    """Return a path below the folder with forward slashes; bytes that are not UTF-8 are shown as \\xNN."""
    return os.fsencode(os.path.relpath(path, root)).decode("utf-8", errors).replace(os.sep, "/")


def _without_duplicates(records: Sequence[ClipRecord]) -> tuple[list[ClipRecord], list[RejectedClip]]:
    first: dict[tuple[str | None, frozenset[str]], ClipRecord] = {}
    duplicates = []
    for record in sorted(records, key=lambda r: r.clip_id):
        kept = first.setdefault((record.sha256, frozenset(record.labels)), record)
        if kept is not record:
            duplicates.append(RejectedClip(record.clip_id, f"duplicate: same content and labels as {kept.clip_id}"))
    return list(first.values()), duplicates


def _nothing_usable(root: Path, rejected: Sequence[RejectedClip]) -> str:
    if not rejected:
        return f"no sound files in {root}; put WAV, FLAC, OGG or MP3 files into sub-folders named after their sounds"
    return nothing_usable(root, rejected)
