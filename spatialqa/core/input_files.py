"""Checks of input paths: valid names, and regular files only.

A device may never end and a pipe may never begin, so neither is opened as an input.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

_LONGEST_NAME, _LONGEST_PATH = 255, 4095  # bytes, of Linux; other systems take no more
LARGEST = 1 << 33  # bytes of a file that is read whole; meshes of whole buildings have up to 2 GiB


def path_fault(path: str) -> str | None:
    """Return why no file can have this path, or None where one can."""
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8, as a path in a record must be: rename it"
    if b"\0" in encoded:
        return "holds a character of code 0, which no path does"
    if any(ord(c) < 32 for c in path):
        return "holds a control character: rename it"
    if len(encoded) > _LONGEST_PATH:
        return f"is too long: {len(encoded):,} bytes, and a path has at most {_LONGEST_PATH:,}"
    longest = max(len(name) for name in encoded.split(b"/"))
    if longest > _LONGEST_NAME:
        return f"is too long: one of its names has {longest:,} bytes, and a name has at most {_LONGEST_NAME}"
    return None


def require_regular(path: Path) -> None:
    """Raise OSError where a path names no file, or a folder, pipe, socket or device: a library would wait or fail."""
    _require_regular(os.stat(path).st_mode)


def open_regular(path: Path, largest: int | None = None) -> BufferedReader:
    """Open a file to read its bytes, and wait for no other program.

    Raises OSError as `require_regular` does, and for a file of more than `largest` bytes.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        _require_regular(status.st_mode)
        if largest is not None and status.st_size > largest:
            raise OSError(f"is larger than {largest:,} bytes, more than such a file can need")
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, largest: int = LARGEST) -> bytes:
    """Return the bytes of a file; raises OSError as `open_regular` does, and for more than `largest` bytes."""
    with open_regular(path, largest) as stream:
        return stream.read()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a file; raises OSError as `open_regular` does, and UnicodeDecodeError."""
    return read_regular(path).decode(encoding)


def _require_regular(mode: int) -> None:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in kinds if is_kind(mode)), "a device")
        raise OSError(f"is {kind}, not a file")
