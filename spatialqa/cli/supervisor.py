"""Runs a command in a child process, and starts another one if an engine ends it.

Native code can end its process at any moment: by a crash, by an exit, or by a call that never returns and that only
the kernel can end. The parent waits, hands on the signals that stop a command, and says what happened.
"""

import atexit
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from spatialqa.core.interrupts import end_with_parent

GRACE_S = 15.0  # for a command to stop by itself; native code does not hear a signal
AGAIN_S = 1.0  # a second signal that comes later than this is meant: the child is killed
MOST_STARTS = 10  # of a child, while no shard gets done
_STOPS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = "\x1b[?25h"

available = False  # the command line sets it: a program that imports us is not forked
_report: int | None = None  # where a child tells its exit code


def supervise(out: Path | None = None) -> None:
    """Return in a child process, for the command to continue there; the parent never returns.

    Does nothing where the system has no fork. Called before anything starts a thread.

    Args:
        out: the data set, whose journals tell what the engine was doing; None where none is made.
    """
    global _report
    if not available or _report is not None or not hasattr(os, "fork"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    starts, done = 0, _shards(out)
    while True:
        reader, writer = os.pipe()
        # Python forgets a signal that comes to a child at its very beginning, and this process knows no child as yet
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            end_with_parent()
            _report = writer
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            return
        os.close(writer)
        with _relaying(pid) as stop:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        orderly = _read(reader)
        if orderly:
            sys.exit(orderly[0])
        if stop:
            click.echo(stopped(stop[0]), err=True)
            sys.exit(128 + stop[0])
        starts = 0 if _shards(out) > done else starts + 1
        done = _shards(out)
        _tell(out, code, last=starts == MOST_STARTS)


def _read(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)  # should a process that outlives the child hold the other end
    try:
        return os.read(descriptor, 1)
    except BlockingIOError:
        return b""
    finally:
        os.close(descriptor)


def finished(code: int) -> None:
    """Tell the parent that the command has come to its end, and with which exit code."""
    if _report is not None:
        with contextlib.suppress(OSError):
            os.write(_report, bytes([code & 0xFF]))


def leave(code: int) -> NoReturn:
    """End this process with this code: after a KeyboardInterrupt in native code Python would end it by SIGINT."""
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def stopped(number: int) -> str:
    """Return what a command says that was stopped by a signal."""
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    return f"spatialqa: {how}; run the same command again to resume"


def _shards(out: Path | None) -> int:
    return 0 if out is None else sum(1 for _ in (out / "_spatialqa/shards").glob("*.json"))


@contextlib.contextmanager
def _relaying(child: int) -> Iterator[list[int]]:
    """Hand SIGINT and SIGTERM on to the child, and kill it where it does not stop; yields the signals that came."""
    came: list[int] = []
    first: list[float] = []

    def kill(number: int, frame: FrameType | None) -> None:
        os.kill(child, signal.SIGKILL)

    def relay(number: int, frame: FrameType | None) -> None:
        if not came:
            os.kill(child, number)
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        elif time.monotonic() > first[0] + AGAIN_S:
            os.kill(child, signal.SIGKILL)
        first.append(time.monotonic())
        came.append(number)

    handlers = {signal.SIGALRM: kill}
    handlers |= {n: relay for n in _STOPS if signal.getsignal(n) != signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(out: Path | None, code: int, last: bool) -> None:
    """Say how the child ended; returns where it is worth while to start another."""
    from spatialqa.generation.isolation import groups_in_hand, signal_name

    how = f"ended with code {code}" if code >= 0 else f"was ended by {signal_name(-code)}"
    groups = groups_in_hand(out / "_spatialqa/journal") if out else []
    if sys.stderr.isatty():
        click.echo(_SHOW_CURSOR, nl=False, err=True)
    if groups and not last:
        click.echo(
            f"spatialqa: the process {how} while it simulated {', '.join(groups)}; continuing, and what ended it is "
            f"tried again in a separate process",
            err=True,
        )
        return
    where = f" again and again, in {', '.join(groups)}" if groups else ""
    if code == 1:
        where = " (Ray does so when it loses its head or a node)"
    click.echo(
        f"spatialqa: the process {how}{where} before the command was done; run the same command again to resume",
        err=True,
    )
    sys.exit(1)
