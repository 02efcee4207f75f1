"""The folder of a training run: whose it is, its checkpoints, logs and plot, and what is said while it runs."""

import contextlib
import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spatialqa.core.console import stderr, stdout
from spatialqa.core.files import commit_json
from spatialqa.core.svg import write_svg
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.errors import DatasetError
from spatialqa.models.spatial_ast import metrics
from spatialqa.models.spatial_ast.losses import LOSS_COLUMNS, STAGES
from spatialqa.models.training import plots

RUN_FILE, LOG, VALIDATION, PLOT = "run.json", "log.csv", "validation.csv", "loss.svg"
LOG_COLUMNS = ("step", "stage", "epoch", "lr", *LOSS_COLUMNS, "gradient_norm", "sounds_per_s", "loading")
VALIDATION_COLUMNS = ("step", "stage", "epoch", *LOSS_COLUMNS, *metrics.FIGURES)


def claim(run: Path, folders: Sequence[Path], identity: dict[str, Any]) -> None:
    """Make this the folder of a run on some data, or check that it is this run's; `identity` is what decides weights.

    Raises:
        DatasetError: it holds something else, or a run with another recipe or other data; the message names what.
    """
    data = [DatasetFolder(folder).read_run().fingerprint_hash for folder in folders]
    record = {**identity, "data": data}
    file = run / RUN_FILE
    if file.is_file():
        before = DatasetFolder.read_json(file)
        if changes := changed_keys({k: before.get(k) for k in record}, record):
            raise DatasetError(
                f"{run}: holds another training run ({'; '.join(changes[:4])}); name another folder with --run, or "
                f"repeat the command that began it"
            )
        return
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise DatasetError(f"{run}: is not empty and no training run; name a new or an empty folder with --run")
    commit_json(file, {**record, "folders": [str(folder.absolute()) for folder in folders]})


class Log:
    """A CSV file with a row a step; when a run goes on, rows beyond its checkpoint are dropped and made again."""

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


class Report:
    """What the first process writes and shows: logs, the plot, TensorBoard where it is installed, and the time left."""

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

    def begin(self, step: int) -> None:
        """Open the logs where a checkpoint left them: after so many steps."""
        self.log = Log(self.run / LOG, LOG_COLUMNS, step)
        self.validation = Log(self.run / VALIDATION, VALIDATION_COLUMNS, step)
        self.logs = [self.log, self.validation]
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.steps, completed=step)
        if step:
            stderr.print(f"{self.run}: goes on after step {step}")

    def step(self, row: dict[str, Any]) -> None:
        """Log a step."""
        self.done += 1
        self.log.row(row)
        self.bar.update(self.task, advance=1, description=f"{row['stage']} {row['epoch']}, loss {row['loss']:.2f}")
        self._board("step", row)

    def epoch(self, row: dict[str, Any], epochs: tuple[int, ...]) -> None:
        """Log a pass over the training split, draw the plot and say how long it will take."""
        self.validation.row(row)
        self._board("validation", row)
        rows = read_log(self.run / LOG)
        write_svg(self.run / PLOT, plots.losses(rows, read_log(self.run / VALIDATION), LOSS_COLUMNS))
        left = (self.steps - row["step"]) * (time.monotonic() - self.started) / max(1, self.done) / 60
        last = [float(r["loss"]) for r in rows if r["stage"] == row["stage"] and r["epoch"] == row["epoch"]]
        text = f"{row['stage']} {row['epoch']}/{epochs[STAGES.index(row['stage'])]}: loss {np.mean(last):.3f}"
        if "loss" in row:
            text += (
                f", validation {row['loss']:.3f}, MAE {row['mae_deg']:.1f} degrees, left or right "
                f"{100 * row['left_right']:.1f} %, front or behind {100 * row['front_behind']:.1f} %, "
                f"DER {100 * row['der']:.1f} %"
            )
        stdout.print(f"{text}; {left:.1f} min left")

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
