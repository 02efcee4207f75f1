"""The lock of a data set's folder: one writing command at a time."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from spatialqa.errors import DatasetError

_POLL_S = 0.1


def _taker() -> Callable[[int], object] | None:
    """Return what locks an open file until it is closed, or raises OSError; None where the system has no such lock."""
    with contextlib.suppress(ImportError):
        import fcntl

        return lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with contextlib.suppress(ImportError):
        import msvcrt

        return lambda descriptor: msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    return None


@contextlib.contextmanager
def held(path: Path, wait_s: float, keep: Callable[[], bool]) -> Iterator[None]:
    """Hold a lock file, whose folder is there; the lock ends with the process.

    Args:
        path: the file.
        wait_s: how long to wait for another process that holds it, seconds.
        keep: asked at the end whether a file that was made here stays.

    Raises:
        DatasetError: another process holds it.
    """
    take = _taker()
    if take is None:
        yield
        return
    new = not path.exists()
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    until = time.monotonic() + wait_s
    try:
        while True:
            try:
                take(descriptor)
                if not os.path.samestat(os.fstat(descriptor), path.stat()):
                    raise OSError  # another command held it, and has just given the folder up
                break
            except OSError:
                if time.monotonic() >= until:
                    raise DatasetError(
                        f"{path.parent.parent}: another spatialqa command is writing here; wait until it ends"
                    ) from None
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            if new and not keep():
                with contextlib.suppress(OSError):
                    path.unlink()
    finally:
        os.close(descriptor)
