"""Hands out the shards of a job as tasks, and tries again what a dead worker held; the tasks run elsewhere."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol, TypeVar

from spatialqa.dataset.json_records import ShardRecord
from spatialqa.errors import SpatialQAError, UnfinishedError

CRASHES_PER_SHARD = 6  # more than the groups in which an engine ends a process, see isolation.CAREFUL_AFTER


Made = Callable[[str, int], None]  # the name of a shard, and how many scenes of it were made since the last call


class ReportedProgress:
    """Adds up what is reported of shards in work, and what their records hold; no scene is counted twice.

    advanced: called with how many more there are; a negative number where a worker died.
    """

    def __init__(self, advanced: Callable[[int], None]) -> None:
        self._advanced = advanced
        self._in_work: Counter[str] = Counter()

    def made(self, shard: str, number: int) -> None:
        """Count scenes of a shard that is in work."""
        self._in_work[shard] += number
        self._advanced(number)

    def finished(self, shard: str, number: int) -> None:
        """Count a whole shard that holds this many."""
        self._advanced(number - self._in_work.pop(shard, 0))


class Named(Protocol):
    """A shard as far as it concerns this module."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


Shard = TypeVar("Shard", bound=Named)


class WorkerDiedError(Exception):
    """The process that worked on a shard has ended; says how."""


class Tasks(Protocol):
    """Workers that do one task each at a time."""

    @property
    def workers(self) -> int:
        """How many tasks are done at once."""
        ...

    def begin(self, shard: Any) -> None:
        """Start the work on a shard; called while fewer than `workers` shards are begun and not finished."""
        ...

    def finished(self) -> tuple[Any, ShardRecord | SpatialQAError | WorkerDiedError]:
        """Wait until some shard is finished; return it and its record, or why it has none.

        Raises any other error of the work, and DatasetError where the workers are gone.
        """
        ...


def distribute(
    tasks: Tasks, shards: Iterable[Shard], advanced: Callable[[ShardRecord], None]
) -> Generator[tuple[Shard, ShardRecord], None, None]:
    """Do every shard once, as many at a time as there are workers.

    Raises:
        SpatialQAError: a shard failed, or its worker died CRASHES_PER_SHARD times; what was begun is finished first.
    """
    waiting, again = iter(shards), deque[Shard]()
    running = 0
    crashes = Counter[str]()
    failure: SpatialQAError | None = None
    while True:
        while failure is None and running < tasks.workers:
            shard = again.popleft() if again else next(waiting, None)
            if shard is None:
                break
            tasks.begin(shard)
            running += 1
        if not running:
            break
        shard, outcome = tasks.finished()
        running -= 1
        if isinstance(outcome, SpatialQAError):
            failure = failure or type(outcome)(f"shard {shard.name}: {outcome}")
        elif isinstance(outcome, WorkerDiedError):
            crashes[shard.name] += 1
            again.append(shard)
            if crashes[shard.name] >= CRASHES_PER_SHARD:
                failure = failure or UnfinishedError(
                    f"shard {shard.name}: its worker died {CRASHES_PER_SHARD} times ({outcome}); "
                    f"give workers more memory or fewer per machine, and run the command again"
                )
        else:
            del crashes[shard.name]
            advanced(outcome)
            yield shard, outcome
    if failure is not None:
        raise failure
