"""Executes the shards of a run, in this process or on Ray, and skips those that are committed already."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from spatialqa.core.files import commit_text
from spatialqa.dataset.card import write_card
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.dataset.json_records import ShardRecord
from spatialqa.errors import DatasetError, MissingDependencyError, SpatialQAError
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.plan import RunPlan
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import Run, library_versions, prepare_run, reject_lines, run_record
from spatialqa.generation.schedule import ShardPlan
from spatialqa.generation.shard import ShardMaker

IN_PROCESS_SCENES = 128  # below this, starting Ray costs more than it saves
CRASHES_PER_SHARD = 6
_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 256 * 2**20


class Observer(Protocol):
    """Told how a run goes on."""

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
        observer: told how it goes on.
        qa_recipe: the recipe's make-qa section, kept for a later `make-qa`.

    Raises:
        SpatialQAError: the folder is not this run's, or a shard could not be made (what was made stays and counts).
    """
    folder = DatasetFolder(root)
    folder.refuse_foreign()
    run, plan = prepare_run(recipe, root)
    with folder.lock():
        began_here = folder.claim(run_record(run, plan, qa_recipe))
        return make_shards(run, plan, observer, began_here)


def make_shards(run: Run, plan: RunPlan, observer: Observer, began_here: bool) -> RunSummary:
    """Make the shards of a run that are missing in its folder, which is claimed and locked.

    Raises:
        SpatialQAError: a shard could not be made. A folder that began here and holds nothing yet is given up, as it is
            when the run is interrupted.
    """
    folder = DatasetFolder(run.root)
    try:
        return _render(run, plan, folder, observer)
    except BaseException:
        if began_here:
            folder.unclaim()
        raise


def _render(run: Run, plan: RunPlan, folder: DatasetFolder, observer: Observer) -> RunSummary:
    folder.sweep()
    commit_text(folder.root, "_spatialqa/rejects/clips.jsonl", reject_lines(run))
    done = {shard.name: folder.committed(shard.name, run.fingerprint_hash) for shard in plan.shards}
    missing = [shard for shard in plan.shards if done[shard.name] is None]
    size = sum(max(shard.n_scenes, len(shard.groups)) for shard in missing)
    workers = worker_count(run.recipe, size, len(missing))
    observer.started(plan.size, sum(record.made(run.makes) for record in done.values() if record), workers)
    for shard, record in _made(run, missing, workers, observer):
        done[shard.name] = record
    records = [record for record in done.values() if record]
    if not any(record.made(run.makes) for record in records):
        what = "scene could be rendered" if run.makes == "scenes" else "group could be simulated"
        raise DatasetError(f"{folder.root}: not one {what}; {_first_reason(folder)}")
    write_card(folder)
    return RunSummary(
        folder.root,
        sum(record.scenes for record in records),
        sum(shard.n_scenes for shard in plan.shards),
        sum(record.draws_rejected for record in records),
        len(records),
        len(plan.shards) - len(missing),
        tuple(dict.fromkeys(text for record in records for text in record.warnings)),
        {room_id: size for record in records for room_id, size in record.room_sizes_m.items()},
        len(run.clips.rejected()),
    )


def _first_reason(folder: DatasetFolder) -> str:
    for path in sorted((folder.meta / "rejects").glob("*-of-*.jsonl")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        if first:
            return f"the first of the rejects: {first}"
    return "see _spatialqa/rejects"


def worker_count(recipe: RenderRecipe, scenes: int, shards: int) -> int:
    """Return how many Ray workers to use; 0 is this process."""
    if recipe.workers is not None:
        return min(recipe.workers, shards)
    if recipe.ray_address:
        return shards  # as many as the cluster has cores, which is known once it has been reached
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, shards)
    return 0 if workers <= 1 or scenes <= IN_PROCESS_SCENES else workers


class Named(Protocol):
    """Something with a name of its own, such as a shard."""

    @property
    def name(self) -> str:
        """What no other has."""
        ...


Shard = TypeVar("Shard", bound=Named)


def _made(
    run: Run, shards: list[ShardPlan], workers: int, observer: Observer
) -> Iterator[tuple[ShardPlan, ShardRecord]]:
    if workers:
        yield from on_ray(
            _make_on_worker, run, run.recipe, shards, workers, lambda made: observer.advanced(made.made(run.makes))
        )
        return
    if not shards:
        return
    maker = ShardMaker(run, engine_for(run.recipe))
    try:
        for shard in shards:
            yield shard, maker.make(shard, observer.advanced)
    finally:
        maker.close()


def on_ray(
    work: Callable[[Any, Shard], ShardRecord],
    job: Any,
    recipe: RenderRecipe,
    shards: Sequence[Shard],
    workers: int,
    advanced: Callable[[ShardRecord], None],
) -> Iterator[tuple[Shard, ShardRecord]]:
    """Do the shards of a job as Ray tasks, `workers` at once; a worker that dies costs its shard a new try.

    Args:
        work: a function of a module, called as work(job, shard) on a worker; returns the shard's record.
        job: what all shards share; travels to every worker once.
        recipe: says where Ray is.
        shards: what is to be done.
        workers: how many at once.
        advanced: told every record as it comes.

    Raises:
        SpatialQAError: a shard failed, or its worker died again and again; what else was begun is finished first.
    """
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "--workers needs Ray: pip install ray, or use --workers 0 to run in this process"
        ) from None
    started_here = not ray.is_initialized()
    if started_here:
        _start_ray(ray, recipe.ray_address, workers)
    if recipe.workers is None and recipe.ray_address:
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
    try:
        task = ray.remote(work).options(num_cpus=1, max_retries=0)
        shared = ray.put(job)
        queue = deque(shards)
        running: dict[Any, Shard] = {}
        crashes = dict.fromkeys((shard.name for shard in shards), 0)
        failure: SpatialQAError | None = None
        while queue or running:
            while queue and len(running) < workers and failure is None:
                shard = queue.popleft()
                running[task.remote(shared, shard)] = shard
            if not running:
                break
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            shard = running.pop(ready)
            try:
                record = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause if isinstance(error.cause, Exception) else error
                if not isinstance(cause, SpatialQAError):
                    raise
                failure = failure or type(cause)(f"shard {shard.name}: {cause}")
            except ray.exceptions.RayError as error:
                crashes[shard.name] += 1
                if crashes[shard.name] >= CRASHES_PER_SHARD:
                    failure = failure or DatasetError(
                        f"shard {shard.name}: its worker died {CRASHES_PER_SHARD} times ({type(error).__name__}); "
                        f"give workers more memory or fewer per machine, and run the command again"
                    )
                else:
                    queue.appendleft(shard)
            else:
                advanced(record)
                yield shard, record
        if failure is not None:
            raise failure
    finally:
        if started_here:
            ray.shutdown()


def _start_ray(ray: Any, address: str | None, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        try:
            host, _, port = address.removeprefix("ray://").rpartition(":")
            if host:  # Ray itself tries for minutes
                socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
            ray.init(address=address, **common)
        except (OSError, RuntimeError, ValueError) as error:
            raise SpatialQAError(f"--ray-address {address}: no Ray cluster answers there ({error})") from None
    else:  # an instance of its own, whatever else runs on this machine or stands in RAY_ADDRESS
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            **common,
        )


_maker: ShardMaker | None = None  # one a worker process: it keeps its room, its clips and its engine


def _make_on_worker(run: Run, shard: ShardPlan) -> ShardRecord:
    global _maker
    differences = changed_keys(run.fingerprint["versions"], library_versions(run.recipe))
    if differences:
        raise DatasetError(
            f"a worker has other libraries ({'; '.join(differences)}): install the same versions everywhere"
        )
    if _maker is None or _maker.run.fingerprint_hash != run.fingerprint_hash or _maker.run.root != run.root:
        _maker = ShardMaker(run, engine_for(run.recipe))
    return _maker.make(shard)
