"""What a data set holds, what is missing of it, and what to do next."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spatialqa.cli.results import command_line, name_option
from spatialqa.core.console import stdout
from spatialqa.dataset.folder import DatasetFolder


@dataclass(frozen=True)
class TableStatus:
    """A table of questions: how many there are, and about how many scenes they were asked."""

    table: str
    questions: int
    scenes: int


@dataclass(frozen=True)
class Status:
    """What a data set holds. makes: "scenes", or "groups" for a bank of RIRs."""

    root: Path
    rooms: str
    clips: str
    engine: str
    seed: int
    fingerprint: str
    spatialqa: str
    makes: str
    scenes: int
    scenes_planned: int
    shards: int
    shards_planned: int
    tables: tuple[TableStatus, ...]

    @property
    def complete(self) -> bool:
        """Whether every shard of the plan is here."""
        return self.shards == self.shards_planned

    def stale(self) -> list[TableStatus]:
        """Return the tables that were asked before the last scenes were rendered."""
        return [table for table in self.tables if table.scenes < self.scenes]

    def next_command(self) -> str | None:
        """Return what to run next; None where the command that began the data set is to be repeated."""
        if not self.complete:
            return None
        if self.makes == "groups":
            return command_line("render", "OUT", "--rooms", f"bank:{self.root}")
        if stale := self.stale():
            return command_line("make-qa", self.root, *name_option(stale[0].table))
        return command_line("preview" if self.tables else "make-qa", self.root)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "complete": self.complete, "next": self.next_command()}


def status_of(root: Path) -> Status:
    """Read the records of a data set; raises DatasetError where there is none."""
    folder = DatasetFolder(root)
    run = folder.read_own_run()
    committed = [folder.committed(name, run.fingerprint_hash) for name in run.plan.shards]
    done = [record for record in committed if record]
    tables = []
    for table in folder.question_tables():
        record = folder.read_questions(table)
        tables.append(TableStatus(table, sum(record.questions.values()), record.scenes))
    return Status(
        root=root,
        rooms=run.recipe["rooms"],
        clips=run.recipe["clips"],
        engine=run.engine.name,
        seed=run.recipe["seed"],
        fingerprint=run.fingerprint_hash,
        spatialqa=run.spatialqa,
        makes=run.makes,
        scenes=sum(record.scenes for record in done),
        scenes_planned=sum(run.plan.scenes.values()),
        shards=len(done),
        shards_planned=len(committed),
        tables=tuple(tables),
    )


def print_status(found: Status) -> None:
    """Print what a data set holds and what is missing of it."""
    stdout.print(f"{found.root}: rooms {found.rooms}, clips {found.clips}, engine {found.engine}")
    stdout.print(f"seed {found.seed}, fingerprint {found.fingerprint[:16]}, spatialqa {found.spatialqa}")
    shards = f"{found.shards} of {found.shards_planned} shards"
    if found.makes == "groups":
        stdout.print(f"a bank of RIRs: {shards}")
    else:
        stdout.print(f"{found.scenes} of {found.scenes_planned} scenes, {shards}")
    for table in found.tables:
        stdout.print(f"{table.table}: {table.questions} questions about {table.scenes} scenes")
    for table in found.stale():
        stdout.print(f"{table.table} was asked of {table.scenes} of {found.scenes} scenes: run make-qa again")
    following = found.next_command()
    stdout.print(f"next: {following}" if following else "incomplete: run the same command again to resume")
