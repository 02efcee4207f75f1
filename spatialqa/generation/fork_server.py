"""Starts worker processes as forks of one Python that has loaded the job and imported what it needs.

Imports take seconds of CPU time, and a list of two million clips half a gigabyte. Forks have both at once and share the
memory. The server is a process of its own, without threads, so that a program with threads can use it. It reads orders
from a socket, which is its standard input, and ends when that closes. Only Linux is sure to have libraries that can be
forked.
"""

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any, NamedTuple, NoReturn

from spatialqa.core.interrupts import end_with_parent
from spatialqa.generation.light_imports import without_heavy_libraries

_MESSAGE = struct.Struct("<cqq")  # what, and two numbers
_READY, _LOAD, _FORK, _KILL = b"R", b"L", b"F", b"K"  # orders; the first two have bytes after them
_FORKED, _ENDED = b"f", b"e"  # answers: process; process, exit code

Loaded = tuple[Callable[[Any, Any], Any], Any]  # a function and its job


class Early(NamedTuple):
    """What a server does before it is given a job, while that is still being prepared.

    modules: names of what it imports. function: the name of a function of the first of them, called with `arguments`
    thereafter; what it raises is ignored, because the job is sure to meet it too.
    """

    modules: tuple[str, ...]
    function: str | None = None
    arguments: tuple[Any, ...] = ()


def can_fork() -> bool:
    """Tell whether workers are forks on this system."""
    return sys.platform == "linux" and hasattr(os, "fork") and hasattr(socket, "send_fds")


class ServerEndedError(Exception):
    """The server has ended before it could start a process; says what it printed last, or how it ended."""

    def __init__(self, how: str, by_signal: bool) -> None:
        super().__init__(how)
        self.by_signal = by_signal


class ForkServer:
    """The server, as the program sees it.

    Args:
        code: what a Python runs to become the server, with the search path of modules as its arguments; it calls
            `serve_forks`.
        early: what it does before anything else.

    Raises:
        OSError: no process can be started.
        PicklingError, TypeError, AttributeError: `early` cannot be pickled.
    """

    def __init__(self, code: str, early: Early | None = None) -> None:
        ready = pickle.dumps(early)
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._socket, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *sys.path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._printed,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for this process, which ends its workers
            )
        except OSError:
            self._socket.close()
            self._printed.close()
            raise
        finally:
            theirs.close()
        self._changed = threading.Condition()
        self._started: list[int] = []
        self._codes: dict[int, int] = {}
        self._ended = False
        threading.Thread(target=self._listen, daemon=True).start()
        if early:
            self._order(_READY, len(ready), 0, then=ready)

    def load(self, job: bytes, prepare: Callable[[Any], None] | None = None) -> None:
        """Load the job of all forks, before the first of them.

        Args:
            job: a pickled pair of a function and its job.
            prepare: a function of a module, called as prepare(job) once it is loaded.
        """
        prepared = pickle.dumps(prepare)
        self._order(_LOAD, len(job), len(prepared), then=job + prepared)

    def fork(self, stdin: int, stdout: int, stderr: int) -> "ForkedProcess":
        """Start a process with these descriptors, which stay open here.

        Raises:
            ServerEndedError: there is no server any more.
        """
        with contextlib.suppress(OSError):
            socket.send_fds(self._socket, [_MESSAGE.pack(_FORK, 0, 0)], [stdin, stdout, stderr])
        with self._changed:
            self._changed.wait_for(lambda: self._started or self._ended)
            if not self._started:
                raise self._error()
            return ForkedProcess(self, self._started.pop())

    def kill(self, pid: int, number: int) -> None:
        """Send a signal to a process that this server has started, unless that has ended."""
        self._order(_KILL, pid, number)

    def wait(self, pid: int, timeout_s: float | None) -> int:
        """Return the exit code of a process when it has ended, negative for a signal; raises subprocess.TimeoutExpired.

        A server that ends takes its processes with it.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: pid in self._codes or self._ended, timeout_s):
                raise subprocess.TimeoutExpired("a worker", timeout_s or 0.0)
            return self._codes.pop(pid, -signal.SIGKILL)

    def close(self, at_once: bool = False) -> None:
        """End the server, whose processes have ended or are to end with it.

        at_once: do not wait for what it is doing.
        """
        if at_once:
            self._process.kill()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait()
        self._socket.close()
        self._printed.close()

    def _error(self) -> ServerEndedError:
        code = self._process.wait()
        self._printed.seek(0)
        lines = [line.strip() for line in self._printed.read().decode(errors="replace").split("\n") if line.strip()]
        return ServerEndedError(lines[-1] if lines and code > 0 else f"ended with code {code}", by_signal=code < 0)

    def _order(self, what: bytes, first: int, second: int, then: bytes = b"") -> None:
        with contextlib.suppress(OSError):  # it has ended, which `_listen` notices
            self._socket.sendall(_MESSAGE.pack(what, first, second) + then)

    def _listen(self) -> None:
        while (message := _received(self._socket, _MESSAGE.size)) is not None:
            what, pid, code = _MESSAGE.unpack(message)
            with self._changed:
                if what == _FORKED:
                    self._started.append(pid)
                else:
                    self._codes[pid] = code
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class ForkedProcess:
    """A process that a server has started, with the methods of subprocess.Popen that its users need."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal; raises subprocess.TimeoutExpired."""
        if self._code is None:
            self._code = self._server.wait(self.pid, timeout)
        return self._code

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._server.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._server.kill(self.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Return the environment of workers: one thread each, because they share the cores already."""
    return {"OMP_NUM_THREADS": "1", **os.environ}


def _received(channel: socket.socket, size: int) -> bytes | None:
    """Return this number of bytes, or None where the other side is gone."""
    parts: list[bytes] = []
    while size:
        try:
            part = channel.recv(min(size, 1 << 20))
        except OSError:
            return None
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def serve_forks(serve: Callable[[Loaded], NoReturn]) -> NoReturn:
    """Do what a `ForkServer` orders on stdin.

    Args:
        serve: what a fork does with the function and the job, and its own standard input and output.
    """
    end_with_parent()
    without_heavy_libraries()
    gc.disable()  # imports leave no garbage; a search in a fork would copy the memory that forks share
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = socket.socket(fileno=os.dup(0))
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    running: set[int] = set()
    loaded: Loaded | None = None
    while True:
        watched: list[Any] = [orders, woken]
        ready = select.select(watched, [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            _tell_ended(orders, running)
        if orders not in ready:
            continue
        what, first, second, descriptors = _next_order(orders)
        if what == _READY:
            _get_ready(_received(orders, first))
        elif what == _LOAD:
            loaded = _load(_received(orders, first), _received(orders, second))
        elif what == _KILL and first in running:
            os.kill(first, second)
        elif what == _FORK:
            gc.freeze()
            pid = os.fork()
            if pid == 0:
                gc.enable()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for standard, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, standard)
                for descriptor in (*descriptors, orders.fileno(), woken, wake):
                    os.close(descriptor)
                assert loaded
                serve(loaded)
            for descriptor in descriptors:
                os.close(descriptor)
            running.add(pid)
            _answer(orders, _FORKED, pid, 0)


def _next_order(orders: socket.socket) -> tuple[bytes, int, int, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(orders, _MESSAGE.size, 3)
    rest = _received(orders, _MESSAGE.size - len(message)) if message else None
    if rest is None:
        os._exit(0)
    what, first, second = _MESSAGE.unpack(message + rest)
    return what, first, second, list(descriptors)


def _get_ready(early: bytes | None) -> None:
    if early is None:
        os._exit(0)
    wanted: Early = pickle.loads(early)
    modules = [importlib.import_module(name) for name in wanted.modules]
    if wanted.function:
        with contextlib.suppress(Exception):
            getattr(modules[0], wanted.function)(*wanted.arguments)


def _load(job: bytes | None, prepare: bytes | None) -> Loaded:
    if job is None or prepare is None:
        os._exit(0)
    work, loaded = pickle.loads(job)
    if ready := pickle.loads(prepare):
        ready(loaded)
    return work, loaded


def _tell_ended(orders: socket.socket, running: set[int]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            running.remove(pid)
            _answer(orders, _ENDED, pid, os.waitstatus_to_exitcode(status))


def _answer(orders: socket.socket, what: bytes, first: int, second: int) -> None:
    try:
        orders.sendall(_MESSAGE.pack(what, first, second))
    except OSError:
        os._exit(0)
