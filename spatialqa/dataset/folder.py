"""The folder of a data set: its paths, its records, its lock, and which shards are committed."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from spatialqa.core.files import FileRecord, sha256_of, temporary_name, unfinished
from spatialqa.core.interrupts import interrupts_wait
from spatialqa.core.names import SPLITS
from spatialqa.dataset.json_records import (
    QuestionsRecord,
    Reject,
    RunRecord,
    ShardRecord,
    read_json_lines,
    read_record,
    write_record,
)
from spatialqa.dataset.locking import held
from spatialqa.dataset.record_checks import REJECTS, SHARD_NAME, belongs_to, check_recipe, check_table_path
from spatialqa.errors import DamagedError, DatasetError

RUN_FILE = "run.json"
_LOCK_FILE = "lock"
_PREVIOUS = ".spatialqa-previous-"  # and the name of a table that is being replaced


class DatasetFolder:
    """Paths and records of one data set.

    Everything beside the tables and the card lies in `_spatialqa`: run.json (recipe, fingerprint, plan), shards/ (one
    JSON a committed shard), rejects/ (what was drawn and could not be used, with the reason), one JSON a table of
    questions, and the manifest. A file that no record names is no part of the data set.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.meta = self.root / "_spatialqa"

    @property
    def exists(self) -> bool:
        """Whether a run of ours has claimed this folder."""
        return (self.meta / RUN_FILE).is_file()

    def read_run(self) -> RunRecord:
        """Return the run record; raises DatasetError when the folder holds none."""
        if not self.root.exists():
            raise DatasetError(f"{self.root}: no such data set; make one with `spatialqa render {self.root}`")
        if not self.exists and self._shard_files():
            raise DamagedError(
                f"{self.root}: its record _spatialqa/{RUN_FILE} is gone; repeat the command that began the data set: "
                f"it writes the record again and keeps every whole shard"
            )
        if not self.exists:
            raise DatasetError(
                f"{self.root}: is not a spatialqa data set (it has no _spatialqa/{RUN_FILE}); name the folder that "
                f"`spatialqa render` wrote"
            )
        run = read_record(RunRecord, self.meta / RUN_FILE)
        check_recipe(self.meta / RUN_FILE, run)
        return run

    def read_own_run(self) -> RunRecord:
        """Return the run record of what was rendered here; raises DatasetError also where questions were imported."""
        run = self.read_run()
        if run.imported:
            raise DatasetError(
                f"{self.root}: holds questions imported from {run.imported.format}, not scenes rendered here: "
                f"use it with `spatialqa score`"
            )
        return run

    def claim(self, run: RunRecord) -> bool:
        """Make this the folder of a run, or check that it is: same fingerprint, or DatasetError naming what changed.

        Returns whether the run begins here. A run that continues updates what is not its identity, such as paths. A run
        record that is gone or damaged is written again where the records of shards are of this very run.
        """
        try:
            before = self.read_run() if self.exists else None
        except DatasetError:
            before = None
        if before is None:
            self.refuse_foreign()
            self._refuse_other_shards(run)
        else:
            self._refuse_other_run(before, run)
        stale = replace(before.manifest, stale=True) if before and before.manifest else None
        write_record(self.meta / RUN_FILE, replace(run, manifest=stale))
        return before is None and not self._shard_files()

    @contextlib.contextmanager
    def claimed(self, run: RunRecord) -> Iterator[None]:
        """Claim the folder for the block; give it up where the block fails, the run began here and made nothing.

        Raises:
            DatasetError: see `claim`.
        """
        began_here = False
        try:
            with interrupts_wait():
                began_here = self.claim(run)
            yield
        except BaseException:
            if began_here:
                self.unclaim()
            raise

    def engine_used(self) -> str | None:
        """Return the name of the engine that made what is here, by the run record or else by a shard, or None."""
        try:
            return self.read_run().engine.name
        except DatasetError:  # there is none, or it is damaged: a run that resumes writes it again
            pass
        for path in self._shard_files():
            try:
                return read_record(ShardRecord, path).engine.name
            except DatasetError:
                continue
        return None

    def _refuse_other_run(self, before: RunRecord, run: RunRecord) -> None:
        if differences := changed_keys(before.fingerprint, run.fingerprint):
            raise DatasetError(
                f"{self.root}: holds another run ({'; '.join(differences[:4])}); use another folder, or repeat the "
                f"run that began it"
            )
        if before.export:
            raise DatasetError(f"{self.root}: holds an export of this run, without audio; use another folder")

    def _refuse_other_shards(self, run: RunRecord) -> None:
        """Raise DatasetError where shards of another run lie in a folder whose run record says nothing."""
        for path in self._shard_files():
            try:
                record = read_record(ShardRecord, path)
            except DatasetError:  # it is damaged: its shard will be made again
                continue
            if record.fingerprint != run.fingerprint_hash or record.original:
                raise DamagedError(
                    f"{self.root}: its record _spatialqa/{RUN_FILE} is gone or damaged, and the shards here are of "
                    f"another run; use another folder, or repeat the command that began this one"
                )

    def mark_stale(self) -> None:
        """Note in run.json that a command is about to change the data set, so that its manifest says nothing now."""
        run = self.read_run()
        if run.manifest and not run.manifest.stale:
            write_record(self.meta / RUN_FILE, replace(run, manifest=replace(run.manifest, stale=True)))

    def refuse_foreign(self) -> None:
        """Raise DatasetError when the folder holds something that no run of ours has written."""
        if self.exists or not self.root.exists() or self._shard_files():
            return
        if not self.root.is_dir():
            raise DatasetError(f"{self.root}: is a file, and a data set needs a folder; name another place")
        if any(item.name != self.meta.name for item in self.root.iterdir()):
            raise DatasetError(f"{self.root}: is not empty and not a spatialqa data set; name a new or an empty folder")

    def unclaim(self) -> None:
        """Give up a folder that a run began and in which it made nothing; remove what the run wrote, and that alone.

        `lock` removes the folder itself, where it has made it.
        """
        run = self.read_run()
        if any(record.made(run.makes) for record in self.each_shard()):
            return
        meta = self.meta
        for folder, ending in ((meta / "shards", ".json"), (meta / "rejects", ".jsonl"), (meta / "journal", ".json")):
            _remove_shards_files(folder, ending)
        folders = [path.name for path in self.root.glob("qa*") if path.name.split("-")[0] == "qa"]
        for table in ("scenes", "groups", "rirs", *folders):
            _remove_shards_files(self.root / table, ".parquet")
        for table in self.question_tables():
            _remove(self.questions_file(table))
        for path in (*unfinished(self.root), meta / "rejects/clips.jsonl", meta / "rejects/import.jsonl"):
            _remove(path)
        _remove(meta / "rejects")
        _remove(meta / RUN_FILE)

    def shard_file(self, name: str) -> Path:
        """Return where the record of a shard lies."""
        return self.meta / "shards" / f"{name}.json"

    def commit_shard(self, record: ShardRecord) -> ShardRecord:
        """Record a shard whose files are all in place; returns the record."""
        write_record(self.shard_file(record.shard), record)
        return record

    def _shard_files(self) -> list[Path]:
        return sorted((self.meta / "shards").glob("*.json"))

    def read_shard(self, name: str) -> ShardRecord:
        """Return the record of a committed shard; raises DatasetError when there is none or it names other files."""
        path = self.shard_file(name)
        record = read_record(ShardRecord, path)
        strange = [item.path for item in record.files if not belongs_to(item.path, name)]
        if strange or record.shard != name:
            raise DamagedError(
                f"{path}: is not the record of shard {name} "
                f"(it names {strange[0] if strange else record.shard!r:.80}); repeat the command "
                "that began the data set: it makes this shard again"
            )
        return record

    def committed(self, name: str, fingerprint: str, by_hash: bool = False) -> ShardRecord | None:
        """Return the record of a shard that this run committed and whose files are still there, else None.

        by_hash: compare the sha256 of the files too, not only their sizes.
        """
        if not self.shard_file(name).is_file():
            return None
        try:
            record = self.read_shard(name)
        except DatasetError:  # it is damaged: the shard is made again
            return None
        if record.fingerprint != fingerprint:
            return None
        return record if all(self.is_whole(item, by_hash) for item in record.files) else None

    def is_whole(self, item: FileRecord, by_hash: bool = True) -> bool:
        """Return whether a file has its recorded size and, by_hash, its recorded sha256."""
        file = self.root / item.path
        try:
            if not file.is_file() or file.stat().st_size != item.bytes:
                return False
            return not by_hash or sha256_of(file) == item.sha256
        except OSError:  # a disk that cannot read it
            return False

    def shards(self, run: RunRecord | None = None) -> list[ShardRecord]:
        """Return the records of the committed shards of this folder's run; see `each_shard`."""
        return list(self.each_shard(run))

    def each_shard(self, run: RunRecord | None = None) -> Iterator[ShardRecord]:
        """Yield the records of the committed shards of this folder's run, in the order of its plan.

        There may be more than memory should hold. A record that the plan does not know, or that has another run's
        fingerprint, is left out.

        Raises:
            DatasetError: a record is damaged.
        """
        if run is None and not self.exists:
            return
        run = run or self.read_run()
        for name in run.plan.shards:
            if self.shard_file(name).is_file():
                record = self.read_shard(name)
                if record.fingerprint == run.fingerprint_hash:
                    yield record

    def rejects(self) -> Iterator[Reject]:
        """Yield what was drawn and could not be used, shard by shard."""
        for record in self.each_shard():
            for item in record.files:
                if item.path.startswith(f"{REJECTS}/"):
                    yield from read_json_lines(Reject, self.root / item.path)

    def questions_file(self, table: str) -> Path:
        """Return where the record of a table of questions lies."""
        return self.meta / f"{table}.json"

    def read_questions(self, table: str) -> QuestionsRecord:
        """Return the record of a table of questions; raises DatasetError when there is none or it is damaged."""
        path = self.questions_file(table)
        record = read_record(QuestionsRecord, path)
        for item in record.files:
            check_table_path(path, item.path, table)
        return record

    def questions_identity(self, table: str) -> list[dict[str, Any]] | None:
        """Return the files of a table of questions as plain values, which tell it from any other; None without one."""
        if not self.questions_file(table).is_file():
            return None
        return [asdict(file) for file in self.read_questions(table).files]

    def files(self, kind: str, run: RunRecord | None = None) -> list[FileRecord]:
        """Return what the records say of the files of one table, train first, then by name; see `tables`."""
        run = run or self.read_run()
        known: Iterable[FileRecord] = ()
        if kind.split("-")[0] == "qa":
            known = self.read_questions(kind).files if self.questions_file(kind).is_file() else ()
        elif run.imported:
            known = run.imported.scenes or ()
        else:
            known = (item for record in self.each_shard(run) for item in record.files)
        own = [item for item in known if item.path.partition("/")[0] == kind]
        return sorted(own, key=lambda item: (split_order(split_of(Path(item.path))), item.path))

    def tables(self, kind: str) -> list[Path]:
        """Return the Parquet files of one table (`scenes`, `groups`, `rirs`, `qa`, ...), train first, then by name.

        They are those that the records name. Others that lie beside them are no part of the data set.

        Raises:
            DatasetError: a file is gone or has another size than was recorded, or a record is damaged.
        """
        run = self.read_run()
        if run.imported and run.imported.scenes is None and kind == "scenes":  # by an older version, without a record
            found = (self.root / kind).glob("*.parquet")
            return sorted(found, key=lambda path: (split_order(split_of(path)), path.name))
        files = self.files(kind, run)
        for item in files:
            if not self.is_whole(item, by_hash=False):
                state = "has another size than was recorded" if (self.root / item.path).exists() else "is gone"
                again = "run make-qa again" if kind.startswith("qa") else "repeat the command that began the data set"
                raise DamagedError(f"{self.root / item.path}: {state}; {again}, and it is made again")
        return [self.root / item.path for item in files]

    def question_tables(self) -> list[str]:
        """Return the names of the tables of questions: `qa`, `qa-NAME`."""
        return sorted(path.stem for path in self.meta.glob("qa*.json") if path.stem.split("-")[0] == "qa")

    def publish_questions(self, aside: str, record: QuestionsRecord, table: str) -> None:
        """Put finished questions, and their record, in the place of a table that may exist.

        All is on the disk before anything changes. A kill in between leaves a table without its record, which is no
        table: make-qa has to be run again.

        Args:
            aside: the folder that holds the files, below the data set.
            record: names them where they will be.
            table: `qa` or `qa-NAME`.
        """
        file = self.questions_file(table)
        pending = file.with_name(temporary_name())
        try:
            write_record(pending, record)
            file.unlink(missing_ok=True)
            self.replace_table(aside, table)
            os.replace(pending, file)
        finally:
            pending.unlink(missing_ok=True)

    def replace_table(self, finished: str, table: str) -> None:
        """Put a finished folder in the place of a table that may exist; a kill in between leaves one of the two."""
        target, previous = self.root / table, self.root / f"{_PREVIOUS}{table}"
        if target.exists():
            os.replace(target, previous)
        os.replace(self.root / finished, target)
        shutil.rmtree(previous, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what an interrupted command left under temporary names, and restore a table it was replacing."""
        for previous in self.root.glob(f"{_PREVIOUS}*"):
            table = previous.with_name(previous.name.removeprefix(_PREVIOUS))
            if table.exists():
                shutil.rmtree(previous, ignore_errors=True)
            else:
                os.replace(previous, table)
        for leftover in list(unfinished(self.root)):
            with contextlib.suppress(OSError):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    @contextlib.contextmanager
    def lock(self, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the folder for one writing command; a second one gets DatasetError. Ends with the process.

        A folder that no run has claimed at the end is left as it was before.

        wait_s: how long to wait for another command, seconds.
        """
        self.refuse_foreign()
        made = [path for path in (self.meta, self.root, *self.root.parents) if not path.exists()]
        try:
            self.meta.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(f"{self.root}: cannot be made ({error.strerror}); name another place") from None
        try:
            with held(self.meta / _LOCK_FILE, wait_s, keep=lambda: self.exists):
                yield
        finally:
            if not self.exists:
                for path in made:
                    _remove(path)

    @staticmethod
    def read_json(path: Path, advice: str) -> dict[str, Any]:
        """Read a JSON object; DatasetError, which ends in the advice, when it is damaged or something else."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DatasetError(f"{path}: cannot be read ({error}); {advice}") from None
        if not isinstance(value, dict):
            raise DatasetError(f"{path}: is damaged (it holds no JSON object); {advice}")
        return value


def _remove(path: Path) -> None:
    """Remove a file, or a folder that is empty; whatever cannot be removed stays."""
    with contextlib.suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def _remove_shards_files(folder: Path, ending: str) -> None:
    """Remove the files of a folder that are named for a shard, and the folder where nothing else is in it."""
    for path in list(folder.glob(f"*{ending}")):
        if SHARD_NAME.fullmatch(path.name.removesuffix(ending)):
            _remove(path)
    _remove(folder)


def split_of(path: Path) -> str:
    """Return the split that a table's file belongs to."""
    return path.name.split("-")[0]


def split_order(split: str) -> int:
    """Return a sort key: train, validation, test, and whatever else last."""
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def changed_keys(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Return `key: before -> now` for every leaf in which two fingerprints differ."""
    changes = []
    for name in sorted({*before, *now}, key=lambda name: (name != "recipe", name)):  # what a user changed comes first
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            changes += changed_keys(old, new, f"{prefix}{name}.")
        elif old != new:
            changes.append(f"{prefix}{name} was {_short(old)} and is {_short(new)}")
    return changes


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
