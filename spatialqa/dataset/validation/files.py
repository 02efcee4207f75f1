"""Checks the files of a data set against its records and its manifest: what has changed, is gone, or is not its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from spatialqa.core.files import FileRecord, sha256_of
from spatialqa.dataset.croissant import CROISSANT
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import QuestionsRecord, RunRecord, ShardRecord
from spatialqa.dataset.manifest import CARD, CLIP_REJECTS, MANIFEST, advice, read_manifest
from spatialqa.dataset.schema import TABLES
from spatialqa.errors import DatasetError


@dataclass(eq=False)
class FileCheck:
    """What the check of the files found.

    problems: what is wrong, a line each. warnings: what a user may have done on purpose. damaged: paths, relative to
    the data set, of files that are gone or not what was recorded. shards: those that a resume has to make again.
    questions: tables of questions that make-qa has to make again. records: those of the questions that could be read.
    tables: by name, the files that are what was recorded; none of a shard in which another file is damaged.
    """

    n_files: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    shards: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    records: dict[str, QuestionsRecord] = field(default_factory=dict)
    tables: dict[str, list[Path]] = field(default_factory=dict)

    def problem(self, path: str, text: str) -> None:
        """Note what is wrong with a file, unless something has been noted of it."""
        if path not in self.damaged:
            self.damaged.add(path)
            self.problems.append(f"{path}: {text}")


def check_files(folder: DatasetFolder, run: RunRecord) -> FileCheck:
    """Compare every file of a data set with what its records and its manifest say of it.

    Raises:
        DatasetError: run.json is damaged: without it nothing tells what belongs to the data set.
    """
    found = FileCheck()
    recorded: dict[str, str] = {}
    n_scenes, n_shards = 0, 0
    for name in run.plan.shards:
        record = _shard(folder, run, name, found)
        if record is None:
            found.shards.append(name)
            continue
        n_scenes, n_shards = n_scenes + record.scenes, n_shards + 1
        if not _compare(folder, record.files, folder.shard_file(name), recorded, found):
            found.shards.append(name)
    for table in folder.question_tables():
        try:
            questions = found.records[table] = folder.read_questions(table)
        except DatasetError as error:
            found.problem(_relative(folder, folder.questions_file(table)), _without_path(error))
            found.questions.append(table)
            continue
        if not _compare(folder, questions.files, folder.questions_file(table), recorded, found):
            found.questions.append(table)
        if n_shards and questions.scenes < n_scenes:
            found.problems.append(f"{table} was asked of {questions.scenes} of {n_scenes} scenes: run make-qa again")
    _check_unlisted(folder, run, recorded, found)
    _check_manifest(folder, run, recorded, found)
    return found


def _shard(folder: DatasetFolder, run: RunRecord, name: str, found: FileCheck) -> ShardRecord | None:
    path = _relative(folder, folder.shard_file(name))
    if not folder.shard_file(name).is_file():
        found.damaged.add(path)
        found.problems.append(f"shard {name} is missing: run the render command again")
        return None
    try:
        record = folder.read_shard(name)
    except DatasetError as error:
        found.problem(path, _without_path(error))
        return None
    if record.fingerprint != run.fingerprint_hash:
        found.problem(
            path,
            f"is of another run (its fingerprint is {record.fingerprint[:12]}, and run.json says "
            f"{run.fingerprint_hash[:12]}): run the render command again, which makes the shard anew",
        )
        return None
    return record


def _compare(
    folder: DatasetFolder, files: Iterable[FileRecord], record: Path, recorded: dict[str, str], found: FileCheck
) -> bool:
    """Compare the files of a record with it; return whether all are what was committed."""
    whole = True
    for item in files:
        found.n_files += 1
        recorded[item.path] = item.sha256
        if folder.is_whole(item):
            continue
        whole = False
        if (folder.root / item.path).is_file():
            found.problem(item.path, "is not the file that was committed (its sha256 differs)")
        else:
            found.problem(item.path, f"is gone ({record.name} lists it)")
    for item in files if whole else ():
        found.tables.setdefault(item.path.partition("/")[0], []).append(folder.root / item.path)
    return whole


def _check_unlisted(folder: DatasetFolder, run: RunRecord, recorded: dict[str, str], found: FileCheck) -> None:
    """Report tables that no record names: readers of Parquet other than ours take what lies in a folder."""
    for path in sorted((folder.meta / "shards").glob("*.json")):
        if path.stem not in run.plan.shards:
            found.problem(_relative(folder, path), "belongs to a shard that this run does not have: move it away")
    for top in sorted(folder.root.iterdir()):
        table = top.name
        if not top.is_dir() or table.split("-")[0] not in TABLES:
            continue
        strange = [path for path in sorted(top.glob("*.parquet")) if f"{table}/{path.name}" not in recorded]
        if strange and table.split("-")[0] == "qa" and table not in found.records:
            if table not in found.questions:  # whose record is damaged
                found.problems.append(f"{table}: its record {table}.json is missing: run make-qa again")
                found.questions.append(table)
            continue
        found.problems += [
            f"{table}/{path.name}: no record names it, so it is not part of the data set: move it away"
            for path in strange
            if path.stem not in found.shards  # whose record is gone or damaged: it will be written again
        ]


def _check_manifest(folder: DatasetFolder, run: RunRecord, recorded: dict[str, str], found: FileCheck) -> None:
    """Compare the files that no record lists, and the records themselves, with the manifest."""
    if run.manifest is None:
        if not found.shards:
            found.warnings.append(
                f"{MANIFEST}: there is none, so only the files that records list were checked; the data set is of an "
                f"older version, or its last command was interrupted: {advice(folder)}"
            )
        return
    if run.manifest.stale:
        found.warnings.append(
            f"{MANIFEST}: is out of date, so only the files that records list were checked; a command that was "
            f"changing the data set was interrupted, or is running: {advice(folder)}"
        )
        return
    if not (folder.root / MANIFEST).is_file():
        found.problem(MANIFEST, f"is gone: {advice(folder)}")
        return
    if sha256_of(folder.root / MANIFEST) != run.manifest.sha256:
        found.problem(MANIFEST, f"is not the one that run.json names (its sha256 differs): {advice(folder)}")
        return
    listed = set()
    for name, sha256 in read_manifest(folder):
        listed.add(name)
        if name not in recorded:
            found.n_files += 1
            _check_listed(folder, name, sha256, found)
        elif recorded[name] != sha256:
            found.problem(name, f"its record and {MANIFEST} do not agree: {advice(folder)}")
    for name in recorded.keys() - listed:
        found.problem(name, f"is not in {MANIFEST}: {advice(folder)}")


def _check_listed(folder: DatasetFolder, name: str, sha256: str, found: FileCheck) -> None:
    """Compare a file that only the manifest knows: a record, rejects, the card."""
    path = folder.root / name
    if path.is_file() and sha256_of(path) == sha256:
        return
    state = "has changed since it was written" if path.is_file() else "is gone"
    if name in (CARD, CROISSANT):
        found.warnings.append(f"{name}: {state}")
    elif name == CLIP_REJECTS:
        found.problem(name, f"{state}: {advice(folder).rpartition(':')[0]}")
    elif name.startswith("_spatialqa/audit"):
        found.problem(name, f"{state}: run `spatialqa audit {folder.root}` again")
    elif name.startswith("_spatialqa/qa"):
        found.problem(name, f"{state}: run make-qa again")
    else:
        found.problem(name, f"{state}: repeat the command that began the data set")


def _relative(folder: DatasetFolder, path: Path) -> str:
    return path.relative_to(folder.root).as_posix()


def _without_path(error: DatasetError) -> str:
    return str(error).partition(": ")[2]
