"""Executes shards in processes of this machine, which this module starts, feeds through pipes, and ends.

A worker reads shards from its standard input and answers each with a record. On Linux it is a fork of a Python that has
loaded the job, see fork_server.py; elsewhere a fresh Python, which reads the job first. It ends with its parent: when
the pipe closes, and on Linux by the kernel. So it works in any program, with threads or without a main module that can
be imported again, which multiprocessing needs.
"""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, BinaryIO, NoReturn

from spatialqa.core.interrupts import end_with_parent, interrupts_wait, stop_on_signals
from spatialqa.dataset.json_records import ShardRecord
from spatialqa.errors import SpatialQAError, UnfinishedError
from spatialqa.generation import fork_server
from spatialqa.generation.fork_server import (
    Early,
    ForkedProcess,
    ForkServer,
    Loaded,
    ServerEndedError,
    can_fork,
    environment,
)
from spatialqa.generation.isolation import signal_name
from spatialqa.generation.light_imports import without_heavy_libraries
from spatialqa.generation.tasks import Made, WorkerDiedError

_PATH = "import sys; sys.path[:] = sys.argv[1:]; from spatialqa.generation import worker_processes; worker_processes."
_FRESH = _PATH + "serve_fresh()"
_SERVER = _PATH + "serve_forks()"
_READY = "ready"  # the first answer: the job is loaded
_GRACE_S = 5.0  # for a worker to leave its shard in order
_SERVERS = 6  # fork servers that are started for one worker, should they be killed

Outcome = ShardRecord | SpatialQAError | WorkerDiedError


@dataclass(frozen=True)
class _More:
    """What a worker sends in the midst of a shard: how much more of it is done."""

    number: int


class WorkerError(Exception):
    """A worker raised an unexpected error: a fault of the program. Holds the traceback of the worker."""


_early: list[ForkServer] = []


@contextmanager
def server_started_early(early: Early) -> Iterator[None]:
    """Start the process that workers will be forked from, while the block prepares their job.

    Does nothing where workers are not forks, where no process can be started, within another such block, and where
    `early` cannot be pickled, since neither can the job. What the block does not use is ended.

    Args:
        early: what that process does in the meantime.
    """
    started: list[ForkServer] = []
    try:
        with contextlib.suppress(OSError, pickle.PicklingError, TypeError, AttributeError), interrupts_wait():
            if can_fork() and not _early:
                started.append(ForkServer(_SERVER, early))
                _early.extend(started)
        yield
    finally:
        for server in started:
            if server in _early:
                _early.remove(server)
                server.close(at_once=True)


class WorkerProcesses:
    """Tasks in processes of this machine, see tasks.Tasks; a context manager that ends them."""

    def __init__(
        self,
        work: Callable[[Any, Any], ShardRecord],
        job: Any,
        workers: int,
        made: Made | None = None,
        prepare: Callable[[Any], None] | None = None,
    ) -> None:
        """Prepare the workers; each starts with its first shard.

        Args:
            work: a function of a module, called as work(job, shard) in a worker.
            job: what all shards share; pickled once for all workers.
            workers: how many processes there are at most.
            made: called with what workers report by `report_made`.
            prepare: a function of a module, called as prepare(job) before workers are forked: it imports what they
                need, and starts no thread.
        """
        self._made = made
        self._reported: Counter[str] = Counter()
        self.workers = workers
        self._job = pickle.dumps((work, job))
        self._prepare = prepare
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Any] = {}
        self._answers: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self._server: ForkServer | None = None

    def __enter__(self) -> "WorkerProcesses":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        workers = [*self._idle, *self._busy]
        for worker in workers:
            worker.ask_to_end()
        for worker in workers:
            worker.end(_GRACE_S)
        if self._server is not None:
            self._server.close()

    def begin(self, shard: Any) -> None:
        """Give a shard to a worker that has none."""
        worker = self._idle.pop() if self._idle else self._started()
        self._busy[worker] = shard
        worker.send(shard)

    def _started(self) -> "_Worker":
        try:
            if not can_fork():
                return _Worker(self._answers, _fresh, self._job)
            for _ in range(_SERVERS):
                self._server = self._server or self._loaded_server()
                try:
                    return _Worker(self._answers, self._server.fork)
                except ServerEndedError as error:
                    self._server.close()
                    self._server = None
                    if not error.by_signal:
                        raise UnfinishedError(f"a worker cannot start: {error}") from None
        except OSError as error:
            raise UnfinishedError(f"a worker cannot be started ({error}); use fewer --workers, or 0") from None
        raise UnfinishedError(f"a worker cannot start: its server was killed {_SERVERS} times; run the command again")

    def _loaded_server(self) -> ForkServer:
        server = _early.pop() if _early else ForkServer(_SERVER)
        server.load(self._job, self._prepare)
        return server

    def finished(self) -> tuple[Any, Outcome]:
        """Wait for an answer; return its shard, with the record or what is wrong."""
        worker, answer = self._answers.get()
        while isinstance(answer, _More) or worker not in self._busy:
            if isinstance(answer, _More):
                self._count(self._busy[worker].name, answer.number)
            else:  # it ended while it had no shard
                self._idle.remove(worker)
                worker.end(0.0)
            worker, answer = self._answers.get()
        shard = self._busy.pop(worker)
        if answer is None:
            self._count(shard.name, -self._reported.pop(shard.name, 0))
            return shard, worker.how_it_ended()
        self._idle.append(worker)
        if isinstance(answer, WorkerError):
            raise answer
        return shard, answer

    def _count(self, shard: str, number: int) -> None:
        self._reported[shard] += number
        if self._made and number:
            self._made(shard, number)


class _Worker:
    """One process and the thread that waits for its answers."""

    def __init__(
        self,
        answers: "queue.SimpleQueue[tuple[_Worker, Any]]",
        start: "Callable[[int, int, int], subprocess.Popen[bytes] | ForkedProcess]",
        job: bytes = b"",
    ) -> None:
        """Start a process.

        Args:
            answers: where what it answers goes.
            start: returns the process that has these descriptors as its standard input, output and error.
            job: what is sent before the first shard.
        """
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in `end`
        theirs, ours = os.pipe()
        answering, answered = os.pipe()
        self._to: IO[bytes] = os.fdopen(ours, "wb")
        self._from: IO[bytes] = os.fdopen(answering, "rb")
        try:
            self._process = start(theirs, answered, self._printed.fileno())
        except BaseException:
            for stream in (self._to, self._from, self._printed):
                stream.close()
            raise
        finally:
            os.close(theirs)
            os.close(answered)
        self._answers = answers
        self._ready = False
        self._job = job
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, shard: Any) -> None:
        """Send a shard, after the job where it is the first."""
        job, self._job = self._job, b""
        with contextlib.suppress(OSError):  # it has ended, which `_listen` notices
            self._to.write(job + pickle.dumps(shard))
            self._to.flush()

    def _listen(self) -> None:
        while True:
            try:
                answer = pickle.load(self._from)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                self._from.close()
                self._answers.put((self, None))
                return
            if answer == _READY:
                self._ready = True
            else:
                self._answers.put((self, answer))

    def how_it_ended(self) -> WorkerDiedError:
        """Return how the process ended; raises DatasetError where it could not even start its work."""
        code = self._process.wait()
        how = f"ended by {signal_name(-code)}" if code < 0 else f"ended with code {code}"
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").split("\n")
        self.end(0.0)
        if code > 0 and not self._ready and (last := [line for line in lines if line.strip()]):
            raise UnfinishedError(f"a worker cannot start: {last[-1].strip()}")
        return WorkerDiedError(how)

    def ask_to_end(self) -> None:
        """Let the process leave what it does."""
        with contextlib.suppress(OSError):
            self._process.terminate()

    def end(self, grace_s: float) -> None:
        """Wait for the end of the process, and kill it after this time."""
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._to, self._printed):
            with contextlib.suppress(OSError):
                stream.close()


def _fresh(stdin: int, stdout: int, stderr: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", _FRESH, *sys.path],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment(),
        start_new_session=True,  # Ctrl-C is for this process, which ends its workers
    )


_out: BinaryIO | None = None  # of a worker: where its answers go


def report_made(number: int) -> None:
    """Report that so much more of the shard in work is done; has no effect elsewhere than in a worker process."""
    if _out is not None and number:
        _send(_out, pickle.dumps(_More(number)))


def serve_fresh() -> NoReturn:
    """Be a worker in a fresh Python: read the job from stdin, then serve it."""
    end_with_parent()
    without_heavy_libraries()
    _serve(None)


def serve_forks() -> NoReturn:
    """Be the process that workers are forked from."""
    fork_server.serve_forks(_serve)


def _serve(loaded: Loaded | None) -> NoReturn:
    """Do the shards that come on stdin, and answer on stdout; what libraries print is lost once work has begun.

    Args:
        loaded: the work and its job; None where they come first on stdin.
    """
    end_with_parent()
    stop_on_signals()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out: BinaryIO = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    global _out
    _out = out
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    try:
        work, job = loaded or _request(requests)
        nothing = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(nothing, descriptor)
        _send(out, pickle.dumps(_READY))
        while True:
            _send(out, _answer(work, job, _request(requests)))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    os._exit(0)


def _send(out: BinaryIO, answer: bytes) -> None:
    out.write(answer)
    out.flush()


def _request(requests: "queue.SimpleQueue[Any]") -> Any:
    request = requests.get()
    if isinstance(request, BaseException):
        raise request
    return request


def _read_requests(requests: "queue.SimpleQueue[Any]") -> None:
    """Read ahead, so that the end of the parent is noticed in the midst of a shard."""
    while True:
        try:
            requests.put(pickle.load(sys.stdin.buffer))
        except EOFError:
            os._exit(1)
        except Exception as error:  # a job that cannot be loaded: its modules are missing, say
            requests.put(error)
            return


def _answer(work: Callable[[Any, Any], ShardRecord], job: Any, shard: Any) -> bytes:
    try:
        return pickle.dumps(work(job, shard))
    except SpatialQAError as error:
        return pickle.dumps(error)
    except Exception:
        return pickle.dumps(WorkerError(traceback.format_exc()))
