"""Detects engines that crash, hang or end their process, with a journal, a time limit, and a separate process.

A journal names the group that is being simulated. A process that ends in the midst of it leaves the journal behind, so
the next process tries that group in a process of its own. If that one ends too, the group is rejected; if not, the end
came from outside (a kill, a full machine), and what it has simulated is used.
"""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from spatialqa.core.files import temporary_name
from spatialqa.core.interrupts import end_with_parent
from spatialqa.errors import EngineCrashError, EngineError, SpatialQAError, UnfinishedError

TRIES_APART = 3  # of a group whose process apart is killed from outside
MOST_ENDS = 10  # processes that ended in the midst of a draw of a group, which is then not tried again
CAREFUL_AFTER = 3  # processes that ended in the midst of a shard, which is then simulated apart as a whole

_KILLED = "its process was killed every time it was simulated; it may need more memory than there is"
_CRASHES = {"SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL", "SIGSYS", "SIGTRAP"}
_CHILD = (
    "import sys; sys.path[:] = sys.argv[1:]; from spatialqa.generation.isolation import answer_parent; answer_parent()"
)
T = TypeVar("T")


class CrashJournal:
    """One small file a shard: the draw that is being simulated, and in whose midst processes ended before.

    A draw is a group's id and the number of the attempt.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended, current = _read_journal(path)
        if current is not None:
            self._ended[current] = self._ended.get(current, 0) + 1

    def ends(self, group_id: str, attempt: int) -> int:
        """Return how many processes ended while they simulated this draw."""
        return self._ended.get(f"{group_id}#{attempt}", 0)

    def suspects(self, group_id: str) -> bool:
        """Tell whether this group is to be simulated apart: a process ended in one of its draws, or some in others."""
        return sum(self._ended.values()) >= CAREFUL_AFTER or any(
            name.rpartition("#")[0] == group_id for name in self._ended
        )

    @contextlib.contextmanager
    def holding(self, group_id: str, attempt: int) -> Iterator[None]:
        """Note that this draw is being simulated; an end of the process within stays noted."""
        self._write(f"{group_id}#{attempt}")
        try:
            yield
        finally:
            self._write(None)

    def clear(self) -> None:
        """Forget everything: the shard is committed."""
        self._path.unlink(missing_ok=True)

    def _write(self, current: str | None) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._path.with_name(temporary_name())
            aside.write_text(json.dumps({"ended": self._ended, "current": current}), encoding="utf-8")
            os.replace(aside, self._path)
        except OSError as error:
            raise UnfinishedError(
                f"{self._path}: cannot be written ({error.strerror}); nothing was lost, run again"
            ) from None


def _read_journal(path: Path) -> tuple[dict[str, int], str | None]:
    """Return how many processes ended in which draw, and the draw that is or was being simulated."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        ended = {str(name): int(count) for name, count in entry["ended"].items()}
        return ended, None if entry["current"] is None else str(entry["current"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, None  # no journal, or one cut off while it was written: nothing is suspect


def groups_in_hand(folder: Path) -> list[str]:
    """Return the groups that journals in a folder name as being simulated; none of them is, where no process runs."""
    current = (_read_journal(path)[1] for path in sorted(folder.glob("*.json")))
    return [name.rpartition("#")[0] for name in current if name is not None]


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process by SIGALRM where what is within takes longer; 0 is no limit.

    No Python code could end a call of native code, so the kernel does. Nothing happens on systems without SIGALRM, or
    where the program handles that signal itself.
    """
    if not seconds or not hasattr(signal, "setitimer") or signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def simulate_apart(simulate: Callable[[], T], timeout_s: float = 0.0) -> T:
    """Simulate a group in a fresh process and return what it returns.

    Args:
        simulate: a function of a module, or a partial of one; it is pickled, and so is what it returns.
        timeout_s: the limit that the function sets itself, for the message; see `time_limit`.

    Raises:
        EngineCrashError: the process crashed, hung, ended, or was killed TRIES_APART times.
        SpatialQAError: whatever the function raised.
    """
    for _ in range(TRIES_APART):
        code, answer = _ask_child(pickle.dumps(simulate))
        if answer is not None:
            value, error = answer
            if error is not None:
                raise error
            return value  # type: ignore[no-any-return]
        if how := _how_it_ended(code, timeout_s):
            raise EngineCrashError(f"the engine {how} in a process of its own")
    raise EngineCrashError(_KILLED)


def refuse_deadly(journal: CrashJournal, group_id: str, attempt: int) -> None:
    """Raise EngineCrashError for a draw in whose midst too many processes have ended, all of them killed."""
    if journal.ends(group_id, attempt) >= MOST_ENDS:
        raise EngineCrashError(_KILLED)


def _how_it_ended(code: int, timeout_s: float) -> str | None:
    """Return what an exit status says of the engine; None for a kill from outside."""
    if code >= 0:
        return f"ended its process with code {code}"
    name = signal_name(-code)
    if name == "SIGALRM":
        return f"took more than group_timeout_s ({timeout_s:g} s)"
    return f"crashed ({name})" if name in _CRASHES else None


def signal_name(number: int) -> str:
    """Return the name of a signal, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _ask_child(request: bytes) -> tuple[int, tuple[Any, SpatialQAError | None] | None]:
    """Run a pickled function in a new Python; return its exit status, and its answer where it gave one."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process, which ends its child
    )
    try:
        answer, _ = child.communicate(request)
    finally:
        child.kill()
        child.wait()
    try:
        return child.returncode, pickle.loads(answer)
    except (EOFError, pickle.UnpicklingError):
        return child.returncode, None


def answer_parent() -> NoReturn:
    """Do what `_ask_child` asks for on stdin, and answer on stdout; whatever else is printed goes to stderr."""
    end_with_parent()
    out: BinaryIO = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer: tuple[Any, SpatialQAError | None]
    try:
        answer = pickle.load(sys.stdin.buffer)(), None
    except SpatialQAError as error:
        answer = None, error
    except Exception as error:
        answer = None, EngineError(f"{type(error).__name__}: {error}")
    out.write(pickle.dumps(answer))
    out.close()
    os._exit(0)
