"""The folder of a data set: its paths, its records, its lock, and which shards are committed."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spatialqa.core.files import unfinished
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
from spatialqa.errors import DatasetError

RUN_FILE = "run.json"
_LOCK_FILE = "lock"
_PREVIOUS = ".spatialqa-previous-"  # and the name of a table that is being replaced

_SHARD_NAME = re.compile(r"(?:train|validation|test)-[0-9]{5}-of-[0-9]{5}")


def check_shard_name(where: Path, name: Any) -> str:
    """Return a shard's name as it is; raises DatasetError for one that is none, such as a path."""
    if not isinstance(name, str) or not _SHARD_NAME.fullmatch(name):
        raise DatasetError(f"{where}: {str(name)[:80]!r} is not the name of a shard; the record is damaged")
    return name


def check_table_path(where: Path, path: Any, table: str) -> str:
    """Return the path of a table's file as it is; raises DatasetError for one that leads elsewhere."""
    folder, _, file = str(path).partition("/")
    if folder != table or not file.endswith(".parquet") or not _SHARD_NAME.fullmatch(file.removesuffix(".parquet")):
        raise DatasetError(f"{where}: {str(path)[:80]!r} is not a file of the table {table}; the record is damaged")
    return str(path)


class DatasetFolder:
    """Paths and records of one data set.

    Everything beside the tables and the card lies in `_spatialqa`: run.json (recipe, fingerprint, plan), shards/ (one
    JSON a committed shard) and rejects/ (what was drawn and could not be used, with the reason).
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
        if not self.exists:
            raise DatasetError(
                f"{self.root}: is not a spatialqa data set (it has no _spatialqa/{RUN_FILE}); name the folder that "
                f"`spatialqa render` wrote"
            )
        return read_record(RunRecord, self.meta / RUN_FILE)

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

        Returns whether the run begins here. A run that goes on updates what is not its identity, such as paths.
        """
        if self.exists:
            differences = changed_keys(self.read_run().fingerprint, run.fingerprint)
            if differences:
                raise DatasetError(
                    f"{self.root}: holds another run ({'; '.join(differences[:4])}); use another folder, or repeat the "
                    f"run that began it"
                )
            write_record(self.meta / RUN_FILE, run)
            return False
        self.refuse_foreign()
        write_record(self.meta / RUN_FILE, run)
        return True

    def refuse_foreign(self) -> None:
        """Raise DatasetError when the folder holds something that no run of ours has written."""
        if self.exists or not self.root.exists():
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
        for table in ("scenes", "groups", "rirs", *self.question_tables()):
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

    def read_shard(self, name: str) -> ShardRecord:
        """Return the record of a committed shard; raises DatasetError when there is none."""
        return read_record(ShardRecord, self.shard_file(name))

    def committed(self, name: str, fingerprint: str) -> ShardRecord | None:
        """Return the record of a shard that this run committed and whose files are still there, else None."""
        if not self.shard_file(name).is_file():
            return None
        try:
            record = self.read_shard(name)
        except DatasetError:  # it is damaged: the shard is made again
            return None
        if record.fingerprint != fingerprint:
            return None
        for item in record.files:
            file = self.root / item.path
            if not file.is_file() or file.stat().st_size != item.bytes:
                return None
        return record

    def shards(self) -> list[ShardRecord]:
        """Return the records of all committed shards, by name."""
        return list(self.each_shard())

    def each_shard(self) -> Iterator[ShardRecord]:
        """Yield the records of all committed shards, by name; there may be more than memory should hold."""
        for path in sorted((self.meta / "shards").glob("*.json")):
            yield read_record(ShardRecord, path)

    def rejects(self) -> Iterator[Reject]:
        """Yield what was drawn and could not be used, shard by shard."""
        for path in sorted((self.meta / "rejects").glob("*-of-*.jsonl")):
            yield from read_json_lines(Reject, path)

    def questions_file(self, table: str) -> Path:
        """Return where the record of a table of questions lies."""
        return self.meta / f"{table}.json"

    def read_questions(self, table: str) -> QuestionsRecord:
        """Return the record of a table of questions; raises DatasetError when there is none."""
        return read_record(QuestionsRecord, self.questions_file(table))

    def questions_identity(self, table: str) -> list[dict[str, Any]] | None:
        """Return the files of a table of questions as plain values, which tell it from any other; None without one."""
        if not self.questions_file(table).is_file():
            return None
        return [asdict(file) for file in self.read_questions(table).files]

    def tables(self, kind: str) -> list[Path]:
        """Return the Parquet files of one table (`scenes`, `groups`, `rirs`, `qa`, ...), train first, then by name."""
        return sorted((self.root / kind).glob("*.parquet"), key=lambda path: (split_order(split_of(path)), path.name))

    def question_tables(self) -> list[str]:
        """Return the names of the tables of questions: `qa`, `qa-NAME`."""
        return sorted(path.name for path in self.root.glob("qa*") if path.is_dir() and path.name.split("-")[0] == "qa")

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
    def lock(self) -> Iterator[None]:
        """Hold the folder for one writing command; a second one gets DatasetError. Ends with the process.

        A folder that no run has claimed at the end is left as it was before.
        """
        self.refuse_foreign()
        made = [path for path in (self.meta, self.root, *self.root.parents) if not path.exists()]
        try:
            self.meta.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(f"{self.root}: cannot be made ({error.strerror}); name another place") from None
        try:
            with self._held():
                yield
        finally:
            if not self.exists:
                for path in made:
                    _remove(path)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        try:
            import fcntl
        except ImportError:  # not a POSIX system: no lock that ends with its process
            yield
            return
        path = self.meta / _LOCK_FILE
        new = not path.exists()
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(descriptor), path.stat()):
                    raise OSError  # another command held it, and has just given the folder up
            except OSError:
                raise DatasetError(
                    f"{self.root}: another spatialqa command is writing here; wait until it ends"
                ) from None
            try:
                yield
            finally:
                if new and not self.exists:
                    _remove(path)
        finally:
            os.close(descriptor)

    @staticmethod
    def read_json(path: Path) -> dict[str, Any]:
        """Read one of our small records; DatasetError when it is damaged."""
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DatasetError(f"{path}: cannot be read ({error}); remove it and run again") from None
        return value


def _remove(path: Path) -> None:
    """Remove a file, or a folder that is empty; whatever cannot be removed stays."""
    with contextlib.suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def _remove_shards_files(folder: Path, ending: str) -> None:
    """Remove the files of a folder that are named for a shard, and the folder where nothing else is in it."""
    for path in list(folder.glob(f"*{ending}")):
        if _SHARD_NAME.fullmatch(path.name.removesuffix(ending)):
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
