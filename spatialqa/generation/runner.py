"""Executes the shards of a run, in this process or on workers, and skips those that are committed already."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from spatialqa.acoustics.engine import Engine
from spatialqa.acoustics.engines import kernels_are_kept
from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.clips.clip_table import ClipTable
from spatialqa.clips.sound_files import misspelt_labels
from spatialqa.core.files import commit_text
from spatialqa.dataset.card import card_facts, write_card
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.dataset.json_records import ShardRecord, json_lines
from spatialqa.dataset.manifest import CARD, CLIP_REJECTS, write_manifest
from spatialqa.errors import DatasetError
from spatialqa.generation.early_start import worker_count, workers_started_early
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.plan import RunPlan
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import (
    Run,
    attributions,
    library_versions,
    prepare_run,
    reject_lines,
    run_record,
    settled,
)
from spatialqa.generation.schedule import ShardPlan
from spatialqa.generation.shard import ShardMaker
from spatialqa.generation.tasks import ReportedProgress
from spatialqa.generation.worker_processes import report_made
from spatialqa.generation.workers import on_workers


class Observer(Protocol):
    """Receives the progress of a run."""

    def started(self, total: int, done: int, workers: int) -> None:
        """Called once, when it is known how many scenes (of a bank: groups) there are to make and how many are done."""
        ...

    def advanced(self, scenes: int) -> None:
        """Called whenever scenes are finished."""
        ...


@dataclass(frozen=True)
class RunSummary:
    """What a finished run holds."""

    root: Path
    scenes: int
    scenes_planned: int
    draws_rejected: int
    shards: int
    shards_resumed: int
    warnings: tuple[str, ...]  # what a user should know about the rooms
    room_sizes_m: Mapping[str, tuple[float, float, float]]  # of rooms from files, (x, y, z)
    clips_left_out: int


def render_dataset(
    recipe: RenderRecipe, root: Path, observer: Observer, qa_recipe: Mapping[str, Any] | None = None
) -> RunSummary:
    """Render a data set, or what is missing of it.

    Args:
        recipe: what to render.
        root: where; a new or empty folder, or one that this very run has begun.
        observer: receives progress.
        qa_recipe: the recipe's make-qa section, kept for a later `make-qa`.

    Raises:
        SpatialQAError: the folder is not this run's, or a shard could not be made (what was made stays and counts).
    """
    folder = DatasetFolder(root)
    folder.refuse_foreign()
    with workers_started_early(recipe, root):
        run, plan = prepare_run(recipe, root)
        with folder.lock(), folder.claimed(run_record(run, plan, qa_recipe)):
            return make_shards(run, plan, observer)


@dataclass
class _Totals:
    """What the shards of a run hold, added up: records are not kept, since there may be very many."""

    scenes: int = 0
    groups: int = 0
    draws_rejected: int = 0
    shards: int = 0
    warnings: dict[str, None] = field(default_factory=dict)
    room_sizes_m: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def add(self, record: ShardRecord) -> None:
        """Count one shard."""
        self.scenes += record.scenes
        self.groups += record.groups
        self.draws_rejected += record.draws_rejected
        self.shards += 1
        self.warnings.update(dict.fromkeys(record.warnings))
        self.room_sizes_m.update(record.room_sizes_m)


def make_shards(run: Run, plan: RunPlan, observer: Observer) -> RunSummary:
    """Make the shards of a run that are missing in its folder, which is claimed and locked.

    Raises:
        SpatialQAError: a shard could not be made.
    """
    folder = DatasetFolder(run.root)
    folder.sweep()
    commit_text(folder.root, CLIP_REJECTS, reject_lines(run))
    totals = _Totals()
    missing = []
    for index, name in enumerate(plan.shards.names()):
        record = folder.committed(name, run.fingerprint_hash, by_hash=run.recipe.check == "full")
        if record is None:
            missing.append(index)
        else:
            totals.add(record)
    resumed = totals.shards
    done = totals.scenes if run.makes == "scenes" else totals.groups
    workers = worker_count(run.recipe, plan.size - done, len(missing))
    observer.started(plan.size, done, workers)
    if missing:
        shards = (plan.shards[index] for index in plan.shards.longest_first(missing))
        with closing(_made(run, shards, workers, observer)) as made:
            for _, record in made:
                totals.add(record)
    if not (totals.scenes if run.makes == "scenes" else totals.groups):
        what = "scene could be rendered" if run.makes == "scenes" else "group could be simulated"
        raise DatasetError(f"{folder.root}: not one {what}; {_first_reason(folder)}")
    facts, stored = card_facts(folder), folder.read_run()
    stored = replace(stored, attributions=attributions(run, facts.uses))
    write_card(folder, facts, stored)
    write_manifest(folder, [CARD, CLIP_REJECTS], stored)
    return RunSummary(
        folder.root,
        totals.scenes,
        sum(plan.scenes.values()),
        totals.draws_rejected,
        totals.shards,
        resumed,
        (*_misspelt(run), *totals.warnings),
        totals.room_sizes_m,
        len(run.clips.rejected()),
    )


def _misspelt(run: Run) -> list[str]:
    """Return a line for every custom label that may be a misspelt class; only folders and placements have such."""
    if run.recipe.unknown_labels != "custom" and run.recipe.placements is None:
        return []
    return misspelt_labels(
        record for records in run.clips_by_split.values() if not isinstance(records, ClipTable) for record in records
    )


def _first_reason(folder: DatasetFolder) -> str:
    first = next(folder.rejects(), None)
    return f"the first of the rejects: {json_lines([first]).strip()}" if first else "see _spatialqa/rejects"


def _made(
    run: Run, shards: Iterable[ShardPlan], workers: int, observer: Observer
) -> Generator[tuple[ShardPlan, ShardRecord], None, None]:
    if workers:
        count = ReportedProgress(observer.advanced)
        yield from on_workers(
            _make_on_worker,
            run,
            run.recipe,
            shards,
            workers,
            lambda record: count.finished(record.shard, record.made(run.makes)),
            count.made,
            _prepare,
        )
        return
    maker = ShardMaker(run, engine_for(run.recipe))
    try:
        for shard in shards:
            yield shard, maker.make(shard, observer.advanced)
    finally:
        maker.close()


_engine: tuple[RenderRecipe, Engine] | None = None  # what a worker process was forked with
_maker: ShardMaker | None = None  # one a worker process: it keeps its room, its clips and its engine


def open_engine_early(recipe: RenderRecipe, root: Path) -> None:
    """Open the engine of a run that is being planned, in the process that its workers are forked from.

    Where its kernels are still to be compiled, planning does that, and this process waits for them.
    """
    recipe = settled(recipe, root)
    if recipe.engine == "geometric" and kernels_are_kept():
        _open_engine(recipe)


def _open_engine(recipe: RenderRecipe) -> None:
    """Open the engine of a recipe for the processes that are forked from this one; of engines only ours can be."""
    global _engine
    from spatialqa.acoustics.geometric.engine import GeometricEngine

    if _engine is not None and _engine[0] == recipe:
        return
    engine = engine_for(recipe)
    if isinstance(engine, GeometricEngine):  # it has no threads
        engine.ears.prepare()
        _engine = recipe, engine


def _prepare(run: Run) -> None:
    """Load what the shards of a run need, before workers are forked."""
    import scipy.signal  # noqa: F401  of reverberation times; half a second of CPU time

    if run.identity.name == "geometric" and not isinstance(run.rooms, BankRooms):
        _open_engine(run.recipe)


def _make_on_worker(run: Run, shard: ShardPlan) -> ShardRecord:
    global _maker
    differences = changed_keys(run.fingerprint["versions"], library_versions(run.recipe))
    if differences:
        raise DatasetError(
            f"a worker has other libraries ({'; '.join(differences)}): install the same versions everywhere"
        )
    if _maker is None or _maker.run.fingerprint_hash != run.fingerprint_hash or _maker.run.root != run.root:
        forked_with = _engine[1] if _engine is not None and _engine[0] == run.recipe else None
        _maker = ShardMaker(run, forked_with or engine_for(run.recipe))
    return _maker.make(shard, report_made)
