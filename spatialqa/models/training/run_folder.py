"""The run directory: ownership check, CSV logs, plot, and printed progress.

Beside these it holds the checkpoints (checkpoint.py). A model's report is a subclass of Report with its own columns.
"""

import contextlib
import csv
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spatialqa.core.charts import write_svg
from spatialqa.core.console import stderr, stdout
from spatialqa.core.files import commit_json
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.errors import DatasetError, SpatialQAError
from spatialqa.models.training import plots

RUN_FILE, LOG, VALIDATION, PLOT = "run.json", "log.csv", "validation.csv", "loss.svg"
LOSS = "loss"  # the column of the loss that is trained on


@contextlib.contextmanager
def claimed(run: Path, folders: Sequence[Path], identity: dict[str, Any], threads: int = 1) -> Iterator[None]:
    """Claim the directory for what is done inside; where that fails before it has left anything, the claim goes too.

    Args and errors are those of `claim`.
    """
    there, is_ours = run.is_dir(), (run / RUN_FILE).is_file()
    claim(run, folders, identity, threads)
    try:
        yield
    except SpatialQAError:
        if not is_ours and [item.name for item in run.iterdir()] == [RUN_FILE]:
            (run / RUN_FILE).unlink()
            if not there:
                run.rmdir()
        raise


def claim(run: Path, folders: Sequence[Path], identity: dict[str, Any], threads: int = 1) -> None:
    """Make this the directory of a run on some data sets, or check that it is this run's own.

    Args:
        run: the directory.
        folders: the data sets.
        identity: all that decides the weights beside the data, as plain values.
        threads: CPU threads, which a resumed run takes from here; see threads_of.

    Raises:
        DatasetError: it holds something else, or a run with another recipe or other data; the message names what.
    """
    data = [DatasetFolder(folder).read_run().fingerprint_hash for folder in folders]
    record = {**identity, "data": data}
    file = run / RUN_FILE
    if file.is_file():
        # a run that began before there was a key has no value of it
        before = {"init": record.get("init")} | DatasetFolder.read_json(file, "name another folder with --run")
        if changes := changed_keys({k: before.get(k) for k in record}, record):
            raise DatasetError(
                f"{run}: holds another training run ({'; '.join(changes[:4])}); name another folder with --run, or "
                f"repeat the command that began it"
            )
        return
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise DatasetError(f"{run}: is not empty and no training run; name a new or an empty folder with --run")
    commit_json(file, {**record, "folders": [str(folder.absolute()) for folder in folders], "threads": threads})


def threads_of(run: Path, given: int | None) -> int:
    """Return the CPU threads of a run: those given, or those that it began with, or 1.

    Sums in another order give other last bits, so that a run that resumes with other threads is not the same bit for
    bit.
    """
    stored = None
    if given is None and (run / RUN_FILE).is_file():
        with contextlib.suppress(DatasetError):  # `claim` refuses a damaged one
            stored = DatasetFolder.read_json(run / RUN_FILE, "").get("threads")
    return given or (stored if type(stored) is int and stored > 0 else 1)


class Log:
    """A CSV file with a row a step or an epoch; on resume, rows beyond the checkpoint are dropped and rewritten."""

    def __init__(self, path: Path, columns: Sequence[str], done: int) -> None:
        kept = [row for row in _rows(path) if float(row["step"]) <= done] if path.is_file() else []
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns)
        self._writer.writeheader()
        self._writer.writerows(kept)
        self._file.flush()

    def row(self, values: dict[str, Any]) -> None:
        """Write one row; it is on its way to the disk when this returns. Raises DatasetError where it cannot be."""
        try:
            self._writer.writerow(values)
            self._file.flush()
        except OSError as error:
            raise DatasetError(
                f"{self._file.name}: cannot be written ({error.strerror or error}); the last checkpoint is whole: run "
                f"the command again"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a log, numbers as numbers and what was not measured left out."""
    return [
        {name: text if name == "stage" else float(text) for name, text in row.items() if text} for row in _rows(path)
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows as text, without a last one that a kill cut short."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


class Report(ABC):
    """What the first process writes and shows: logs, the plot, TensorBoard where it is installed, and the time left.

    A model's subclass names its columns and words its validation figures.
    """

    examples: ClassVar[str]  # what a batch consists of: the log has a column EXAMPLES_per_s
    loss_columns: ClassVar[tuple[str, ...]]  # the loss, then its parts, in the order in which a step returns them
    validation_columns: ClassVar[tuple[str, ...]]  # what validation measures

    def __init__(self, run: Path, steps: int) -> None:
        self.run, self.steps, self.done = run, steps, 0
        self.started = time.monotonic()
        self.board = tensorboard(run)
        self.logs: list[Log] = []
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=stderr,
            disable=not stderr.is_terminal,
        )

    @abstractmethod
    def validation_text(self, row: dict[str, Any]) -> str:
        """Return the figures of a row of validation.csv in words."""

    def begin(self, step: int) -> None:
        """Open the logs where a checkpoint left them: after this many steps."""
        position = ("step", "stage", "epoch")
        columns = (*position, "lr", *self.loss_columns, "gradient_norm", f"{self.examples}_per_s", "loading")
        self.log = Log(self.run / LOG, columns, step)
        self.validation = Log(self.run / VALIDATION, (*position, *self.validation_columns), step)
        self.logs = [self.log, self.validation]
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.steps, completed=step)
        if step:
            stderr.print(f"{self.run}: resumes after step {step}")

    def step(self, row: dict[str, Any]) -> None:
        """Log a step."""
        self.done += 1
        self.log.row(row)
        self.bar.update(self.task, advance=1, description=f"{row['stage']} {row['epoch']}, loss {row[LOSS]:.2f}")
        self._board("step", row)

    def epoch(self, row: dict[str, Any], epochs: int, steps_left: int) -> None:
        """Log an epoch and its validation, draw the plot, and print the losses and the time left.

        Args:
            row: of validation.csv; without figures where there is nothing to validate with.
            epochs: of the stage.
            steps_left: of the whole run.
        """
        self.validation.row(row)
        self._board("validation", row)
        steps, validations = read_log(self.run / LOG), read_log(self.run / VALIDATION)
        write_svg(self.run / PLOT, plots.losses(steps, validations, self.loss_columns))
        before = max((other["step"] for other in validations if other["step"] < row["step"]), default=0)
        own = [float(step[LOSS]) for step in steps if step["step"] > before]
        text = f"{row['stage']} {row['epoch']}/{epochs}: loss {np.mean(own) if own else math.nan:.3f}"
        if LOSS in row:
            text += f", validation {self.validation_text(row)}"
        minutes = steps_left * (time.monotonic() - self.started) / max(1, self.done) / 60
        stdout.print(f"{text}; {minutes:.1f} min left")

    def _board(self, group: str, row: dict[str, Any]) -> None:
        if self.board:
            for name, value in row.items():
                if name not in ("step", "stage", "epoch"):
                    self.board.add_scalar(f"{group}/{name}", value, row["step"])

    def close(self) -> None:
        """Close the logs."""
        self.bar.stop()
        for log in self.logs:
            log.close()
        if self.board:
            self.board.close()


def tensorboard(run: Path) -> Any:
    """Return a writer of TensorBoard's files, or None where it is not installed."""
    with contextlib.suppress(ImportError):
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(run / "tensorboard"))
    return None
