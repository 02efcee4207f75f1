"""Delays Ctrl-C while native code calls back into Python, which would otherwise swallow it.

libsndfile calls back into Python for every stretch of a stream in memory, so an interrupt in the midst of it would end
nothing. Wherever such calls are made:

    with interrupts_wait():
        soundfile.write(buffer, audio, 48000, format="FLAC")
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let KeyboardInterrupt be raised at the end, where Ctrl-C comes in between.

    Only where Ctrl-C raises it at all: in the main thread, under Python's own handler.
    """
    own = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not own:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, own)
        if came:
            raise KeyboardInterrupt
