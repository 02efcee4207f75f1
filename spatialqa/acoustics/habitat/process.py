"""The parent side of the habitat engine: starts the child process, exchanges messages with it, and ends it.

Whatever the child does - crash, hang, write rubbish, flood stderr - becomes one EngineError, and the child and what it
started are gone.
"""

import contextlib
import json
import math
import os
import selectors
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.habitat import child as habitat_child
from spatialqa.errors import EngineError, MissingDependencyError

HELLO_TIMEOUT_S = 60.0
HOW_TO_GET = "build one as docs/habitat.md says and give its Python with --habitat-python"
_MIN_PYTHON = (3, 8)
_STDERR_KEPT = 8192
_STDERR_SHOWN = 300
_BLOCK = 1 << 20
_SAMPLES: Mapping[str, type[np.generic]] = {"<f4": np.float32, "<f8": np.float64}
_QUIET = {"HABITAT_SIM_LOG": "quiet", "MAGNUM_LOG": "quiet", "GLOG_minloglevel": "2"}
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, eq=False)
class Reply:
    """What the child answered. samples: the array that came with it, of the shape and type that it named, or None."""

    header: dict[str, Any]
    samples: npt.NDArray[Any] | None


def usable_python(python: str) -> str:
    """Return the path of a Python that can run the child.

    Raises:
        EngineError: there is no such program, it is not a Python, or one older than 3.8.
    """
    path = shutil.which(os.path.expanduser(python))
    if path is None:
        raise EngineError(f"--habitat-python {python}: there is no such program; give the path of a Python")
    try:
        told = subprocess.run(
            [path, "-c", "import sys; print('python', *sys.version_info[:2])"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=HELLO_TIMEOUT_S,
            check=True,
        ).stdout.split()
        version = (int(told[-2]), int(told[-1])) if told[-3:-2] == [b"python"] else None
    except (OSError, subprocess.SubprocessError, ValueError):
        version = None
    if version is None:
        raise EngineError(
            f"--habitat-python {path} is not a Python: give the Python of the environment with habitat-sim"
        )
    if version < _MIN_PYTHON:
        found = ".".join(map(str, version))
        raise EngineError(f"--habitat-python {path} is Python {found}: the engine habitat needs 3.8 or later")
    return path


class HabitatProcess:
    """One child process; used by one thread, closed when done (and ended when it is forgotten or this process dies).

    On Linux it also ends with the thread that made it, so make it in one that stays.

    Args:
        python: path of the Python that has habitat-sim.

    Raises:
        EngineError: the child did not start, or does not speak this version of the protocol; the system is Windows.
    """

    def __init__(self, python: str) -> None:
        if os.name != "posix":
            raise EngineError(
                "the engine habitat runs on Linux, as habitat-sim with audio does: use the engine geometric"
            )
        self._python = python
        self._stderr = bytearray()
        self._received = bytearray()
        self._ended: str | None = None
        defaults = {**_QUIET, **_ONE_THREAD}
        try:
            self._process = subprocess.Popen(
                [python, str(Path(habitat_child.__file__).absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**defaults, **os.environ},
                start_new_session=True,  # so that all it starts can be ended with it
            )
        except OSError as error:
            raise EngineError(f"--habitat-python {python} cannot be started: {error.strerror}") from None
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
        self._finalizer = weakref.finalize(self, _end, self._process)
        hello = self._exchange(b"", HELLO_TIMEOUT_S, "starting")
        if hello.header.get("protocol") != habitat_child.PROTOCOL:
            self._fail(f"speaks protocol {hello.header.get('protocol')!r}, not {habitat_child.PROTOCOL}")

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the child was closed or had to be ended."""
        return self._ended is not None

    def ask(self, do: str, timeout_s: float, what: str, deadline: float | None = None, **request: Any) -> Reply:
        """Send a request and return its answer.

        Args:
            do: the request's name.
            timeout_s: after this many seconds the child is ended.
            what: what is being done, for errors ("simulating ...").
            deadline: when that time is up, where it began before this request; on the clock of time.monotonic.
            request: its arguments, plain data.

        Raises:
            MissingDependencyError: the child's Python has no habitat-sim, or one without audio.
            EngineError: the child refused, crashed, hung or wrote what is not an answer.
        """
        if self._ended is not None:
            raise EngineError(f"the habitat process is gone: it {self._ended}")
        reply = self._exchange(habitat_child.frame({"do": do, **request}), timeout_s, what, deadline)
        if "error" in reply.header:
            self._refused(what, str(reply.header["error"]), reply.header.get("kind"))
        return reply

    def close(self) -> None:
        """End the child; closing twice is fine."""
        self._ended = self._ended or "was closed"
        self._finalizer()

    def _refused(self, what: str, text: str, kind: object) -> None:
        text = _one_line(text)
        if kind == habitat_child.NO_HABITAT:
            raise MissingDependencyError(
                f"the engine habitat needs habitat-sim, and {self._python} cannot import it ({text}): {HOW_TO_GET}"
            )
        if kind == habitat_child.NO_AUDIO:
            raise MissingDependencyError(f"{text} was built without audio: {HOW_TO_GET}")
        raise EngineError(f"the engine habitat failed {what}: {text}{self._last_words()}")

    def _fail(self, how: str) -> None:
        """End the child and raise EngineError; `how` says what it did."""
        self._ended = how
        self._finalizer()
        raise EngineError(f"the habitat process ({self._python}) {how}{self._last_words()}")

    def _last_words(self) -> str:
        said = _one_line(self._stderr.decode(errors="replace"))
        return f"; it said: {said[-_STDERR_SHOWN:]}" if said else ""

    def _exchange(self, message: bytes, timeout_s: float, what: str, deadline: float | None = None) -> Reply:
        """Write a message, then read one frame, draining stderr meanwhile."""
        try:
            by = time.monotonic() + timeout_s if deadline is None else deadline
            return self._exchanged(memoryview(message), by, timeout_s, what)
        except BaseException:
            self.close()  # after half a frame nothing that follows could be trusted
            raise

    def _exchanged(self, left: memoryview, deadline: float, timeout_s: float, what: str) -> Reply:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            if left:
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while True:
                reply = self._reply(what) if not left else None
                if reply is not None:
                    return reply
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    self._fail(f"took more than {timeout_s:g} s {what} and was ended")
                for key, _ in selector.select(remaining):
                    if key.fileobj is process.stdin:
                        try:
                            left = left[os.write(process.stdin.fileno(), left) :]
                        except BrokenPipeError:
                            left = left[:0]  # the end of stdout tells the rest
                        if not left:
                            selector.unregister(process.stdin)
                    elif key.fileobj is process.stderr:
                        if not self._heard(process.stderr.fileno()):
                            selector.unregister(process.stderr)
                    elif part := os.read(process.stdout.fileno(), _BLOCK):
                        self._received += part
                    else:
                        self._gone(what)

    def _heard(self, descriptor: int) -> bool:
        text = os.read(descriptor, _BLOCK)
        self._stderr += text
        del self._stderr[:-_STDERR_KEPT]
        return bool(text)

    def _gone(self, what: str) -> None:
        """Raise EngineError for a child that closed its pipe: with what it still said, and how it ended."""
        assert self._process.stderr is not None
        with contextlib.suppress(BlockingIOError):
            while self._heard(self._process.stderr.fileno()):
                pass
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._fail(f"closed its pipe while {what}")
            return
        how = signal.Signals(-code).name if code < 0 else f"code {code}"
        self._fail(f"ended with {how} while {what}")

    def _reply(self, what: str) -> Reply | None:
        """Return the frame that has come in whole, or None; refuses whatever is not a frame or has wrong sizes."""
        head = habitat_child.HEAD.size
        if len(self._received) < head:
            if not habitat_child.MAGIC.startswith(self._received[: len(habitat_child.MAGIC)]):
                self._fail(f"sent an invalid answer while {what}")
            return None
        try:
            header_bytes, payload_bytes = habitat_child.split_head(bytes(self._received[:head]))
            if len(self._received) < head + header_bytes + payload_bytes:
                return None
            header = json.loads(self._received[head : head + header_bytes])
            payload = bytes(self._received[head + header_bytes : head + header_bytes + payload_bytes])
            del self._received[: head + header_bytes + payload_bytes]
            if not isinstance(header, dict) or self._received:
                raise ValueError
            return Reply(header, _samples(header, payload))
        except (ValueError, TypeError, KeyError, RecursionError):
            self._fail(f"sent an invalid answer while {what}")
            return None


def _samples(header: dict[str, Any], payload: bytes) -> npt.NDArray[Any] | None:
    if "shape" not in header:
        if payload:
            raise ValueError
        return None
    shape = tuple(header["shape"])
    kind = np.dtype(_SAMPLES[header["dtype"]])
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) * kind.itemsize != len(payload):
        raise ValueError
    return np.frombuffer(payload, dtype=kind.newbyteorder("<")).reshape(shape)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.returncode is None:  # its id is its own until it is waited for
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
