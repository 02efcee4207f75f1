"""The console: stdout, stderr, and progress bars that are silent where stderr is not a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

stdout = Console(soft_wrap=True, highlight=False, markup=False)
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


@contextmanager
def libraries_silent() -> Iterator[None]:
    """Let only what the console `stderr` prints be seen; what libraries write to stdout or stderr is lost."""
    own = sys.stderr
    try:
        kept = [os.dup(1), os.dup(2)]
        visible = os.dup(own.fileno())
    except (OSError, ValueError, AttributeError):  # there are no such files: a notebook, say
        yield
        return
    with open(os.devnull, "w") as nothing, os.fdopen(visible, "w", encoding=own.encoding) as shown:
        streams = sys.stdout, sys.stderr
        for stream in streams:
            stream.flush()
        stderr.file, sys.stdout, sys.stderr = shown, nothing, nothing
        for descriptor in (1, 2):
            os.dup2(nothing.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, before in zip((1, 2), kept, strict=True):
                os.dup2(before, descriptor)
                os.close(before)
            sys.stdout, sys.stderr = streams
            stderr.file = None  # type: ignore[assignment]


class Working:
    """A bar that moves while something of unknown length is done; silent when stderr is not a terminal.

    With counts, a subclass shows how much is done, the rate and the time left.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=stderr,
            disable=not stderr.is_terminal,
        )
        self._waiting: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self._waiting = self._progress.add_task(self._what, total=None, count="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class _Bar(Working):
    """A progress bar with counts. before: what is done until the counts are known."""

    def __init__(self, what: str, unit: str = "scenes", before: str = "reading") -> None:
        super().__init__(before)
        self._counted, self._unit = what, unit
        self._task: TaskID | None = None

    def _begin(self, total: int, done: int, detail: str = "") -> None:
        if self._waiting is not None:
            self._progress.remove_task(self._waiting)
            self._waiting = None
        count = f"{done:,}/{total:,}"
        self._task = self._progress.add_task(self._counted + detail, total=total, completed=done, count=count)

    def _add(self, number: int) -> None:
        if self._task is None:
            return
        self._progress.advance(self._task, number)
        task = self._progress.tasks[0]
        speed = task.finished_speed or task.speed
        rate = f" {speed:.1f} {self._unit}/s" if speed else ""
        self._progress.update(self._task, count=f"{int(task.completed):,}/{int(task.total or 0):,}{rate}")


class RenderProgress(_Bar):
    """Follows a render; the Observer of `generation.runner`. note: what to print when the work starts."""

    def __init__(self, what: str = "rendering", unit: str = "scenes", note: str | None = None) -> None:
        super().__init__(what, unit, before="reading rooms and clips")
        self._note = note

    def started(self, total: int, done: int, workers: int) -> None:
        """Show how much there is to do."""
        how = f" with {workers} workers" if workers else ""
        if done and done < total:
            stderr.print(f"{done} of {total} {self._unit} exist already; resuming")
        if self._note and done < total:
            stderr.print(self._note, highlight=False)
        self._begin(total, done, how)

    def advanced(self, scenes: int) -> None:
        """Move on by this many scenes."""
        self._add(scenes)


class CountProgress(_Bar):
    """Follows what tells how much is done and how much there is."""

    def __init__(self, what: str, unit: str = "scenes") -> None:
        super().__init__(what, unit)
        self._done = 0

    def update(self, done: int, total: int) -> None:
        """Set how much is done."""
        if self._task is None:
            self._begin(total, 0)
        self._add(done - self._done)
        self._done = done
