"""Detects engine crashes: a journal names the group being simulated, and a suspect group is tried in a child process.

A journal remembers what was being simulated when that happened, and the suspect group is tried in a process of its own:
if that dies too, the group is rejected; if not, the death came from outside (a kill, a full machine) and the group is
simulated as usual.
"""

import json
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from spatialqa.errors import DatasetError, EngineError, SpatialQAError

_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS, signal.SIGILL}


class CrashJournal:
    """One small file a shard: the group in the engine's hands now, and those in whose midst a process ended before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._suspects: list[str] = []
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            self._suspects = [str(name) for name in (*entry["suspects"], entry["current"]) if name]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no journal, or one cut off while it was written: nobody is suspect

    def suspects(self, group_id: str, attempt: int) -> bool:
        """Tell whether an earlier process ended while it simulated this group."""
        return f"{group_id}#{attempt}" in self._suspects

    def enter(self, group_id: str, attempt: int) -> None:
        """Note that this group goes to the engine now."""
        self._write(f"{group_id}#{attempt}")

    def leave(self) -> None:
        """Note that the engine gave the group back."""
        self._write(None)

    def clear(self) -> None:
        """Forget everything: the shard is committed."""
        self._path.unlink(missing_ok=True)

    def _write(self, current: str | None) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"suspects": self._suspects, "current": current}), encoding="utf-8")
        except OSError as error:
            raise DatasetError(
                f"{self._path}: cannot be written ({error.strerror}); nothing was lost, run again"
            ) from None


def simulate_apart(simulate: Callable[[], None], group_id: str, expected: EngineError | None = None) -> None:
    """Simulate a group in a fresh process and look only at how that ends.

    Args:
        simulate: simulates the group and returns nothing; it is pickled, so it is a function of a module, or a partial
            of one.
        group_id: the group, for messages.
        expected: the failure that was seen in this process; the fresh one must show a failure too.

    Raises:
        EngineError: the engine crashed (when nothing was expected), or failed once and not again.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell_how_it_went, args=(simulate, sender), daemon=True)
    process.start()
    sender.close()
    try:
        failure = receiver.recv()
    except EOFError:
        failure = None  # it ended without a word
    process.join()
    if failure is None:
        failure = _how_it_ended(process.exitcode or 0, group_id)
    if expected is None and failure:
        raise EngineError(str(failure))
    if expected is not None and not failure:
        raise SpatialQAError(f"group {group_id}: {expected} (not again in a fresh process: run the command again)")


def _how_it_ended(code: int, group_id: str) -> str:
    if code >= 0:
        return f"the engine ended its process with code {code}, again in a fresh process"
    name = signal.Signals(-code).name
    if -code not in _CRASHES:
        raise SpatialQAError(f"the check of group {group_id} was ended by {name}; run the command again")
    return f"the engine crashed ({name}), again in a fresh process"


def _tell_how_it_went(simulate: Callable[[], None], sender: Connection) -> None:
    try:
        simulate()
    except EngineError as error:
        sender.send(str(error))
    else:
        sender.send("")
