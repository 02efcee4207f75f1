"""Signals: SIGTERM stops a command as Ctrl-C does, both wait for native code, and a child process ends with its parent.

libsndfile calls back into Python for every stretch of a stream in memory, which would swallow an interrupt. Wherever
such calls are made:

    with interrupts_wait():
        soundfile.write(buffer, audio, 48000, format="FLAC")
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_STOPS = (signal.SIGINT, signal.SIGTERM)


_came: list[int] = []


def stop_on_signals() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt, once: what follows does not disturb the clearing up.

    A signal that this process ignores stays ignored.
    """
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in _STOPS:
        signal.signal(each, signal.SIG_IGN)
    _came.append(number)
    raise KeyboardInterrupt


def stopped_by() -> signal.Signals:
    """Return the signal that stopped this process last; SIGINT where that is not known."""
    return signal.Signals(_came[-1]) if _came else signal.SIGINT


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let an interrupt be raised at the end, where Ctrl-C or SIGTERM comes in between.

    Only where they raise one at all: in the main thread, under Python's own handler or that of `stop_on_signals`.
    """
    raising = {number: signal.getsignal(number) for number in _STOPS}
    raising = {number: own for number, own in raising.items() if own in (signal.default_int_handler, _stop)}
    if threading.current_thread() is not threading.main_thread() or not raising:
        yield
        return
    came: list[int] = []
    for number in raising:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, own in raising.items():
            signal.signal(number, own)
        if came:
            signal.raise_signal(came[0])


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends; does nothing where that is not Linux."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
