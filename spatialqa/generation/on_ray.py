"""Executes shards as Ray tasks: starts Ray or joins a cluster, and retries the shards of a dead worker."""

import os
import signal
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from spatialqa.core.console import libraries_silent
from spatialqa.dataset.json_records import ShardRecord
from spatialqa.errors import DatasetError, MissingDependencyError, SpatialQAError
from spatialqa.generation.recipe import RenderRecipe

CRASHES_PER_SHARD = 6  # more than the groups in which an engine ends a process, see isolation.CAREFUL_AFTER
_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 256 * 2**20


class Named(Protocol):
    """Something with a name of its own, such as a shard."""

    @property
    def name(self) -> str:
        """What no other has."""
        ...


Shard = TypeVar("Shard", bound=Named)


def on_ray(
    work: Callable[[Any, Shard], ShardRecord],
    job: Any,
    recipe: RenderRecipe,
    shards: Iterable[Shard],
    workers: int,
    advanced: Callable[[ShardRecord], None],
) -> Generator[tuple[Shard, ShardRecord], None, None]:
    """Do the shards of a job as Ray tasks, `workers` at once; a worker that dies costs its shard a new try.

    Args:
        work: a function of a module, called as work(job, shard) on a worker; returns the shard's record.
        job: what all shards share; travels to every worker once.
        recipe: says where Ray is.
        shards: what is to be done.
        workers: how many at once.
        advanced: called with every record.

    Raises:
        SpatialQAError: a shard failed, or its worker died again and again; what else was begun is finished first. Or
            there is no Ray, or it is gone.
    """
    ray = _ray()
    with _connected(ray, recipe.ray_address, workers):
        if recipe.workers is None and recipe.ray_address:
            workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            yield from _tasks(ray, work, job, shards, workers, advanced)
        except (ConnectionError, ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError) as error:
            if isinstance(error, ray.exceptions.RayTaskError):  # raised by a task, and of both kinds
                raise
            raise DatasetError(
                f"Ray is gone, its head or its process on this machine ({type(error).__name__}); run the same command "
                f"again to resume"
            ) from None


def _tasks(
    ray: Any,
    work: Callable[[Any, Shard], ShardRecord],
    job: Any,
    shards: Iterable[Shard],
    workers: int,
    advanced: Callable[[ShardRecord], None],
) -> Iterator[tuple[Shard, ShardRecord]]:
    task = ray.remote(work).options(num_cpus=1, max_retries=0)
    shared = ray.put(job)
    waiting, again = iter(shards), deque[Shard]()
    running: dict[Any, Shard] = {}
    crashes = Counter[str]()
    failure: SpatialQAError | None = None
    while True:
        while failure is None and len(running) < workers:
            shard = again.popleft() if again else next(waiting, None)
            if shard is None:
                break
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
        except (ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError):
            raise
        except ray.exceptions.RayError as error:
            crashes[shard.name] += 1
            again.append(shard)
            if crashes[shard.name] >= CRASHES_PER_SHARD:
                failure = failure or DatasetError(
                    f"shard {shard.name}: its worker died {CRASHES_PER_SHARD} times ({type(error).__name__}); "
                    f"give workers more memory or fewer per machine, and run the command again"
                )
        else:
            del crashes[shard.name]
            advanced(record)
            yield shard, record
    if failure is not None:
        raise failure


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "--workers needs Ray: pip install ray, or use --workers 0 to run in this process"
        ) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None, workers: int) -> Iterator[None]:
    """Start Ray, or join a cluster, unless this program has done so; meanwhile only our own lines are printed."""
    if ray.is_initialized():
        yield
        return
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    with libraries_silent():
        try:
            _start_ray(ray, address, workers)
            if main:
                signal.signal(signal.SIGTERM, handler)  # Ray sets its own
            yield
        finally:
            ray.shutdown()


def _start_ray(ray: Any, address: str | None, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of an instance of our own; Ray's default is 15
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
        try:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **common,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise SpatialQAError(f"Ray cannot start here ({error}); use --workers 0 to run without it") from None
