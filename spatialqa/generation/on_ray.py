"""Executes shards as Ray tasks: starts Ray or joins a cluster, and says when a worker or Ray itself is lost."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from spatialqa.core.console import libraries_silent
from spatialqa.dataset.json_records import ShardRecord
from spatialqa.errors import MissingDependencyError, SpatialQAError, UnfinishedError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.tasks import WorkerDiedError

_CONNECT_S = 10.0


@contextmanager
def ray_tasks(
    work: Callable[[Any, Any], ShardRecord], job: Any, recipe: RenderRecipe, workers: int
) -> Iterator["RayTasks"]:
    """Join the cluster at the recipe's `ray_address`, or use the Ray that this program has connected to.

    Args:
        work: a function of a module, called as work(job, shard) on a worker.
        job: what all shards share.
        recipe: names the cluster. Where it leaves `workers` open, there are as many as the cluster has cores.
        workers: how many tasks run at once.

    Raises:
        SpatialQAError: there is no Ray, no cluster answers, or it is lost meanwhile.
    """
    ray = _ray()
    with _connected(ray, recipe.ray_address):
        if recipe.workers is None and recipe.ray_address:
            workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        with _loss_in_one_line(ray):
            yield RayTasks(ray, work, job, workers)


@contextmanager
def _loss_in_one_line(ray: Any) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError) as error:
        if isinstance(error, ray.exceptions.RayTaskError):  # raised by a task, and of both kinds
            raise
        raise UnfinishedError(
            f"Ray is gone, its head or its process on this machine ({type(error).__name__}); run the same command "
            f"again to resume"
        ) from None


class RayTasks:
    """Tasks on Ray, see tasks.Tasks."""

    def __init__(self, ray: Any, work: Callable[[Any, Any], ShardRecord], job: Any, workers: int) -> None:
        self.workers = workers
        self._ray = ray
        self._task = ray.remote(work).options(num_cpus=1, max_retries=0)
        self._job = ray.put(job)
        self._running: dict[Any, Any] = {}

    def begin(self, shard: Any) -> None:
        """Submit a task."""
        self._running[self._task.remote(self._job, shard)] = shard

    def finished(self) -> tuple[Any, ShardRecord | SpatialQAError | WorkerDiedError]:
        """Wait for a task; return its shard, with the record or what is wrong."""
        exceptions = self._ray.exceptions
        (ready, *_), _ = self._ray.wait(list(self._running), num_returns=1)
        shard = self._running.pop(ready)
        try:
            return shard, self._ray.get(ready)
        except exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if not isinstance(cause, SpatialQAError):
                raise
            return shard, cause
        except (exceptions.LocalRayletDiedError, exceptions.RaySystemError):
            raise
        except exceptions.RayError as error:
            return shard, WorkerDiedError(type(error).__name__)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "--ray-address needs Ray: pip install 'spatialqa[ray]'; --workers uses processes of this machine without it"
        ) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Join a cluster, unless this program is connected already; meanwhile only our own lines are printed."""
    if ray.is_initialized():
        yield
        return
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    with libraries_silent():
        try:
            try:
                _join(ray, address or "auto")
            except SystemExit:  # by Ray's own handler of SIGTERM, which it sets while it connects
                if main:
                    signal.signal(signal.SIGTERM, handler)
                signal.raise_signal(signal.SIGTERM)
                raise
            if main:
                signal.signal(signal.SIGTERM, handler)
            yield
        finally:
            ray.shutdown()


def _join(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if host:  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise SpatialQAError(f"--ray-address {address}: no Ray cluster answers there ({error})") from None
