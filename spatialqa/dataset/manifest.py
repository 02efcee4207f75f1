"""The manifest: the sha256 of every file of a data set, in `_spatialqa/manifest.sha256`; its own is in run.json.

Its lines are those of sha256sum, so `sha256sum -c _spatialqa/manifest.sha256` checks a data set without us.

Every command that changes a finished data set marks the manifest stale in run.json first (`DatasetFolder.mark_stale`),
and ends with `write_manifest`. A command that is killed on the way leaves a stale manifest, which says nothing, and not
one that is wrong. Files that a record lists keep the hash of their record, and others that of the manifest before,
unless this command has written them: a file that has changed on the disk does not pass for a new one.
"""

import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from spatialqa.core.files import commit_file, sha256_of
from spatialqa.dataset.croissant import CROISSANT
from spatialqa.dataset.folder import RUN_FILE, DatasetFolder
from spatialqa.dataset.json_records import ManifestRecord, RunRecord, write_record
from spatialqa.dataset.record_checks import REJECTS
from spatialqa.errors import DatasetError

MANIFEST = "_spatialqa/manifest.sha256"
CARD = "README.md"
CLIP_REJECTS = f"{REJECTS}/clips.jsonl"
IMPORT_REJECTS = f"{REJECTS}/import.jsonl"
EXPORT_MARKER = "spatialqa-export.json"
EXPORTED_CLIPS = "_spatialqa/clips.jsonl"

# files of ours that no record lists
_UNLISTED = (CARD, CROISSANT, EXPORT_MARKER, EXPORTED_CLIPS, CLIP_REJECTS, IMPORT_REJECTS)
_UNLISTED_NAMES = "_spatialqa/audit*.json"

_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")


def write_manifest(folder: DatasetFolder, written: Collection[str] = (), run: RunRecord | None = None) -> None:
    """Write the manifest and then its hash into run.json: the last step of a command that writes into a data set.

    Where a shard is missing, none is written: the command that makes the last one will.

    Args:
        folder: the data set, which this command has locked.
        written: which of the files that no record lists this command has written.
        run: the run record to write; by default the present one.

    Raises:
        DatasetError: a record is damaged, or the folder cannot be written.
    """
    run = run or folder.read_run()
    if any(not folder.shard_file(name).is_file() for name in run.plan.shards):
        return
    before = dict(unlisted_before(folder, run))
    count = 0

    def write(path: Path) -> None:
        nonlocal count
        with path.open("w", encoding="utf-8", newline="") as file:
            for name, sha256 in _entries(folder, run, before, written):
                file.write(f"{sha256}  {name}\n")
                count += 1

    _, sha256 = commit_file(folder.root / MANIFEST, write)
    write_record(folder.meta / RUN_FILE, replace(run, manifest=ManifestRecord(sha256, count)))


def _entries(
    folder: DatasetFolder, run: RunRecord, before: dict[str, str], written: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield (path, sha256) of every file: shard by shard, then the questions, then what no record lists."""
    for record in folder.each_shard(run):
        yield from ((item.path, item.sha256) for item in record.files)
        yield _now(folder, folder.shard_file(record.shard))
    if run.imported:
        yield from ((item.path, item.sha256) for item in run.imported.scenes or ())
    for table in folder.question_tables():
        yield from ((item.path, item.sha256) for item in folder.read_questions(table).files)
        yield _now(folder, folder.questions_file(table))
    there = [folder.root / name for name in _UNLISTED] + sorted(folder.root.glob(_UNLISTED_NAMES))
    now = {path.relative_to(folder.root).as_posix(): path for path in there if path.is_file()}
    for name in sorted({*now, *before}):
        if name in before and (CARD if name == CROISSANT else name) not in written:  # they are written together
            yield name, before[name]
        elif name in now:
            yield _now(folder, now[name])


def _now(folder: DatasetFolder, path: Path) -> tuple[str, str]:
    return path.relative_to(folder.root).as_posix(), sha256_of(path)


def unlisted_before(folder: DatasetFolder, run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield what the present manifest says of the files that no record lists; nothing where it is not run.json's."""
    path = folder.root / MANIFEST
    if run.manifest is None or not path.is_file() or sha256_of(path) != run.manifest.sha256:
        return
    for name, sha256 in read_manifest(folder):
        if name in _UNLISTED or Path(name).match(_UNLISTED_NAMES):
            yield name, sha256


def read_manifest(folder: DatasetFolder) -> Iterator[tuple[str, str]]:
    """Yield (path, sha256) line by line; raises DatasetError where a line is not one of ours."""
    path = folder.root / MANIFEST
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, line in enumerate(file, start=1):
                found = _LINE.fullmatch(line)
                if found is None:
                    raise DatasetError(f"{path}: line {number} is damaged; {advice(folder)}")
                yield found[2], found[1]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); {advice(folder)}") from None


def advice(folder: DatasetFolder) -> str:
    """Return what writes a manifest anew."""
    return f"run `{resume_command(folder)}`: it writes the manifest again"


def resume_command(folder: DatasetFolder, by_hash: bool = False) -> str:
    """Return the command that makes again what is missing of a data set; by_hash: and what has changed on the disk."""
    run, root = folder.read_run(), shlex.quote(str(folder.root))
    check = " --check full" if by_hash else ""
    if run.imported:
        return f"spatialqa import {run.imported.format} SOURCE {root}"
    if run.export:
        return f"spatialqa export OUT --to recipes --dest {root}"
    if run.rebuilt:
        return f"spatialqa render {root} --from EXPORT{check}"
    return f"spatialqa {'rirs' if run.makes == 'groups' else 'render'} {root} --from {root}{check}"
