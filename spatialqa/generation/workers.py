"""Does the shards of a job on workers: processes of this machine, or a Ray cluster.

    yield from on_workers(make_shard, job, recipe, shards, 4, print)

Processes of this machine need no package beside Python. Ray is used with `ray_address`, or where the calling program
has started Ray itself.
"""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from typing import Any

from spatialqa.dataset.json_records import ShardRecord
from spatialqa.generation.on_ray import ray_tasks
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.tasks import Made, Shard, Tasks, distribute
from spatialqa.generation.worker_processes import WorkerProcesses


def on_workers(
    work: Callable[[Any, Shard], ShardRecord],
    job: Any,
    recipe: RenderRecipe,
    shards: Iterable[Shard],
    workers: int,
    advanced: Callable[[ShardRecord], None],
    made: Made | None = None,
    prepare: Callable[[Any], None] | None = None,
) -> Generator[tuple[Shard, ShardRecord], None, None]:
    """Do the shards of a job on workers; a worker that dies costs its shard a new try.

    Args:
        work: a function of a module, called as work(job, shard) in a worker; returns the shard's record.
        job: what all shards share; it is pickled, and travels to every worker once.
        recipe: says where Ray is.
        shards: what is to be done.
        workers: how many at once.
        advanced: called with every record.
        made: called with what workers of this machine report of a shard in work (`worker_processes.report_made`).
        prepare: a function of a module, called as prepare(job) before workers of this machine are forked; imports what
            they need.

    Raises:
        SpatialQAError: a shard failed, or its worker died again and again; what else was begun is finished first. Or
            no worker can be started or reached.
    """
    opened: AbstractContextManager[Tasks]
    if recipe.ray_address or _ray_runs():
        opened = ray_tasks(work, job, recipe, workers)
    else:
        opened = WorkerProcesses(work, job, workers, made, prepare)
    with opened as tasks:
        yield from distribute(tasks, shards, advanced)


def _ray_runs() -> bool:
    """Tell whether the program that calls us has connected to Ray."""
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())
