"""The training loop of every model: stages, epochs, early stopping, exact resume, time limit, checkpoints and logs.

    class MyTrainer(Trainer[MyBatch]):
        report_class = MyReport                  # columns of log.csv and validation.csv

        def __init__(self, recipe, process, began):
            super().__init__(recipe, process, began)
            self.module = ...                    # and plan, schedule, optimizer: see Trainer
        def batches(self): ...                   # and the six other hooks below
    best = MyTrainer(recipe, process, time.monotonic()).train()

What the loop does, and in which order:

- A stage is a number of epochs (Plan). After each epoch it calls `validate`, keeps `best.pt` where the loss is the
  stage's lowest, and writes `last.pt`. With `patience` a stage ends early. `end_stage` prepares the next one.
- A step seeds torch from (seed, step, rank), calls `backward`, clips the gradient, sets the learning rate (Schedule),
  steps the optimizer, checks that the loss is finite, and logs.
- `last.pt` is written every `checkpoint_s` seconds, after each epoch and stage, and when `time_limit_min` is over; the
  same call resumes from it.

A resumed run has the losses of one that was never stopped, bit for bit. So all that a step depends on is in `last.pt`:
batches follow from the recipe and the state (stage, epoch, batch) alone, and random numbers from the seed and the state
or, within a step, from torch's generator.

Under torchrun every process runs the loop. All hooks but `weights` are called in every process and may communicate;
only the first process writes and prints.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from spatialqa.core import seeds
from spatialqa.core.console import stderr
from spatialqa.models.training.checkpoint import BEST, LAST, ModelError, load_optimizer, read_last, save
from spatialqa.models.training.process import Process, autocast
from spatialqa.models.training.recipe import TrainingKeys
from spatialqa.models.training.run_folder import LOSS, Report

LEAST_STEPS = 50  # of a run whose duration is reported before it starts
B = TypeVar("B")  # a batch, as a model's `batches` yields it


@dataclass
class State:
    """How far a run is: stages, epochs of the stage and batches of the epoch that are done, and all steps.

    best: the lowest validation loss of the stage. waited: epochs since then.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = math.inf
    waited: int = 0


@dataclass(frozen=True)
class Plan:
    """How many steps there are, stage by stage.

    stages: their names in logs. per_epoch: steps of a whole epoch. steps: of a stage; where they are not multiples of
    per_epoch, its last epoch is truncated.
    """

    stages: tuple[str, ...]
    per_epoch: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def total(self) -> int:
        """All steps."""
        return sum(self.steps)

    def done(self, stage: int, epoch: int, batch: int) -> int:
        """Return how many steps of the plan lie before this one; a truncated epoch counts the batches that it has."""
        return sum(self.steps[:stage]) + min(epoch * self.per_epoch[stage] + batch, self.steps[stage])

    def epochs(self, stage: int) -> int:
        """Return the epochs of a stage; the last may be cut short."""
        return -(-self.steps[stage] // self.per_epoch[stage])

    def batches(self, stage: int, epoch: int) -> int:
        """Return the batches of an epoch."""
        return min(self.per_epoch[stage], self.steps[stage] - epoch * self.per_epoch[stage])


@dataclass(frozen=True)
class Schedule:
    """The learning rate: a linear warm-up to `peak`, then half a cosine down to `minimum`, which is at most `peak`.

    warmup: the share of all steps in which it rises. per_stage: begin again in every stage; else one rise and one fall
    span the whole run.
    """

    peak: float
    minimum: float
    warmup: float
    per_stage: bool

    def at(self, plan: Plan, state: State) -> float:
        """Return the learning rate of the step that comes next."""
        done, total = plan.done(state.stage, state.epoch, state.batch), plan.total
        if self.per_stage:
            done, total = done - sum(plan.steps[: state.stage]), plan.steps[state.stage]
        return learning_rate(done / total, self.warmup, self.peak, min(self.minimum, self.peak))


def learning_rate(done: float, warmup: float, peak: float, minimum: float) -> float:
    """Return the learning rate when a share `done` of the steps is over: a linear rise, then half a cosine."""
    if done < warmup:
        return peak * done / warmup
    falling = min(1.0, (done - warmup) / max(1e-9, 1 - warmup))
    return minimum + (peak - minimum) * 0.5 * (1.0 + math.cos(math.pi * falling))


def is_finished(run: Path, n_stages: int) -> bool:
    """Return whether the run of this directory has gone through all its stages."""
    return (run / LAST).is_file() and State(**read_last(run / LAST)["state"]).stage >= n_stages


def say_finished(run: Path, process: Process) -> Path:
    """Say that there is nothing left to train, leave the other processes, and return the file of the best weights."""
    if process.main:
        stderr.print(f"{run}: this training is finished, and nothing was trained; for another one, name another --run")
    process.leave()
    return run / BEST


class StepResult(NamedTuple):
    """What a step reports: float (n,), this process's losses in the order of Report.loss_columns, and its examples.

    The loop logs the mean of the losses over all processes.
    """

    losses: Tensor
    examples: int


class Trainer(ABC, Generic[B]):
    """A run of one model: how far it is, its checkpoints and its logs.

    A subclass sets in its __init__, after this one's:

    plan: the stages and their steps.
    schedule: the learning rate.
    module: what is trained; the loop puts it into training mode before every epoch, and clips its gradients.
    optimizer: AdamW, whose groups each have a `scale` that multiplies the learning rate.
    """

    report_class: ClassVar[type[Report]]
    rate_option: ClassVar[str]  # of the command line, to be lowered where the loss diverges

    plan: Plan
    schedule: Schedule
    module: nn.Module
    optimizer: torch.optim.AdamW

    def __init__(self, recipe: TrainingKeys, process: Process, began: float) -> None:
        """Make the run.

        Args:
            recipe: of the run.
            process: this one.
            began: time.monotonic() from which the time limit counts.
        """
        self.recipe, self.process, self.began = recipe, process, began
        self.folder = Path(recipe.run)
        self.state = State()
        self.autocast = autocast(process.device, recipe.amp)
        self.report: Report | None = None
        self.saved = time.monotonic()

    # --- what a model provides

    @abstractmethod
    def batches(self) -> Iterator[B]:
        """Yield this process's batches of the epoch, without the first `state.batch` of them.

        Their order depends on the recipe, the stage and the epoch alone; every process has as many.
        """

    @abstractmethod
    def backward(self, batch: B) -> StepResult:
        """Compute the losses of a batch and leave the gradient of the first one in the parameters' `grad`.

        Gradients are None before. Under torchrun they must be those of the whole batch in every process afterwards.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return the validation figures of the stage by column; empty where there is nothing to validate with.

        The loss in them (run_folder.LOSS) is what early stopping and `best.pt` go by; the first process's counts.
        """

    @abstractmethod
    def best_content(self) -> dict[str, Any]:
        """Return the content of `best.pt`: all that the finished model needs. Called after `validate`."""

    @abstractmethod
    def weights(self) -> dict[str, Any]:
        """Return the model's part of `last.pt`, beside the keys `optimizer` and `state`. First process only."""

    @abstractmethod
    def load_weights(self, content: dict[str, Any]) -> None:
        """Take the model's part over from the content of `last.pt`."""

    @abstractmethod
    def end_stage(self) -> None:
        """Prepare the next stage: go back to the best weights, make a new optimizer, or do nothing."""

    # --- the loop

    def train(self) -> Path:
        """Train to the end or until the time is up, and return the file of the best weights.

        Before the first epoch is over that is `last.pt`, which is all there is.
        """
        try:
            self.resume()
            self._say_duration()
            while self.state.stage < len(self.plan.stages) and self._run_stage():
                pass
            self.process.wait_for_first()
        finally:
            self.close()
        best = self.folder / BEST
        if best.is_file():
            return best
        if self.process.main:
            stderr.print(
                f"{self.folder}: no epoch is complete yet, so there are no best weights; the same command resumes"
            )
        return self.folder / LAST

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one, and open the logs."""
        if (self.folder / LAST).is_file():
            content = read_last(self.folder / LAST)
            self.state = State(**content["state"])
            self.load_weights(content)
            load_optimizer(self.optimizer, content["optimizer"], self.folder / LAST)
        if self.process.main:
            self.report = self.report_class(self.folder, self.plan.total)
            self.report.begin(self.state.step)
        self.saved = time.monotonic()

    def _say_duration(self) -> None:
        """Say how long a new run will take, by two trial steps, which leave no trace in the model."""
        if self.state.step or self.plan.total < LEAST_STEPS or self.process.world > 1:
            return
        self.module.train()
        buffers = {name: value.clone() for name, value in self.module.named_buffers()}
        stream, took = self.batches(), []
        for _ in range(2):  # the first one also opens files and takes memory
            began = time.monotonic()
            batch = next(stream, None)
            if batch is not None:
                self.optimizer.zero_grad(set_to_none=True)
                self.backward(batch)
            took.append(time.monotonic() - began)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, value in self.module.named_buffers():
                value.copy_(buffers[name])
        minutes = self.plan.total * min(took) / 60
        stderr.print(
            f"{self.plan.total:,} steps, some {max(minutes, 0.1):.1f} min with {torch.get_num_threads()} CPU threads; "
            f"early stopping may end it sooner"
        )

    def _run_stage(self) -> bool:
        """Go through the epochs of the stage; False when the time is up before its end."""
        state, patience = self.state, self.recipe.patience or 0
        while state.epoch < self.plan.epochs(state.stage) and not 0 < patience <= state.waited:
            if not self._run_epoch():
                return False
            state.epoch, state.batch = state.epoch + 1, 0
            self._validate()
            self._save()
        self.end_stage()
        state.stage, state.epoch, state.best, state.waited = state.stage + 1, 0, math.inf, 0
        self._save()
        return True

    def _run_epoch(self) -> bool:
        """Train on what is left of the epoch; False when the time is up."""
        self.module.train()
        requested = time.monotonic()
        for batch in self.batches():
            over = self._step(batch, requested, time.monotonic())
            if over or time.monotonic() - self.saved >= self.recipe.checkpoint_s:
                self._save()
            if over:
                return False
            requested = time.monotonic()
        return True

    def _step(self, batch: B, requested: float, loaded: float) -> bool:
        """Take one step and log it; return whether the time is up in any process.

        Args:
            batch: of this process.
            requested: time.monotonic() when the batch was asked for.
            loaded: when it was there.
        """
        recipe, state, process = self.recipe, self.state, self.process
        torch.manual_seed(seeds.derived_seed(recipe.seed, "step", f"{state.step}/{process.rank}"))
        self.optimizer.zero_grad(set_to_none=True)
        own, examples = self.backward(batch)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip_norm or math.inf)
        rate = self.schedule.at(self.plan, state)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        state.step, state.batch = state.step + 1, state.batch + 1
        over = torch.tensor([float(self._time_is_up())], device=own.device)
        *losses, over_share = process.mean(torch.cat([own, over])).tolist()
        if not math.isfinite(losses[0]):
            raise ModelError(
                f"the loss is {losses[0]} at step {state.step}: lower {self.rate_option} or set --clip-norm"
            )
        if self.report:
            seconds = time.monotonic() - requested
            self.report.step(
                {
                    "step": state.step,
                    "stage": self.plan.stages[state.stage],
                    "epoch": state.epoch + 1,
                    "lr": rate,
                    **dict(zip(self.report.loss_columns, losses, strict=True)),
                    "gradient_norm": float(norm),
                    f"{self.report.examples}_per_s": examples * process.world / seconds,
                    "loading": (loaded - requested) / seconds,
                }
            )
            if over_share > 0:
                stderr.print(
                    f"{self.folder}: the time limit is reached after step {state.step}; the same command resumes"
                )
        return bool(over_share > 0)

    def _time_is_up(self) -> bool:
        limit = self.recipe.time_limit_min
        return limit is not None and (time.monotonic() - self.began) / 60 >= limit

    def _validate(self) -> None:
        """Validate, keep the weights if they are the best of the stage, and report the epoch."""
        state, measured = self.state, self.validate()
        # figures may differ between processes by rounding, and what follows from them may not
        there, loss = self._of_first([float(bool(measured)), measured.get(LOSS, math.nan)])
        better = not there or loss < state.best
        if there:
            state.best, state.waited = (loss, 0) if better else (state.best, state.waited + 1)
        if better:
            content = self.best_content()  # in all processes: each may hold a part of the model
            if self.process.main:
                save(self.folder / BEST, content)
        if self.report:
            position = {"step": state.step, "stage": self.plan.stages[state.stage], "epoch": state.epoch}
            left = self.plan.total - self.plan.done(state.stage, state.epoch, 0)
            self.report.epoch({**position, **measured}, self.plan.epochs(state.stage), left)

    def _of_first(self, values: Sequence[float]) -> list[float]:
        """Return the values that the first process has."""
        shared = torch.tensor(values, dtype=torch.float64, device=self.process.device)
        self.process.share([shared])
        return shared.tolist()

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.process.main:
            rest = {"optimizer": self.optimizer.state_dict(), "state": asdict(self.state)}
            save(self.folder / LAST, {**self.weights(), **rest})

    def close(self) -> None:
        """Close the logs and leave the other processes."""
        if self.report:
            self.report.close()
        self.process.leave()
