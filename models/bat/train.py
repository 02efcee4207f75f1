"""Trains BAT by a curriculum: first to perceive one sound, then one of several, then to reason (arXiv 2402.01591).

    spatialqa train-baseline OUT --model bat --encoder RUN --run BAT         train; run it again and it goes on
    spatialqa train-baseline OUT --model bat --encoder RUN --llm smollm2     another language model
    spatialqa train-baseline OUT --model bat --encoder RUN --curriculum A,B,C,D,E:7       one stage (ablation)
    spatialqa train-baseline OUT --model bat --encoder RUN --silence         control: nothing to hear in training
    torchrun --nproc-per-node 8 --no-python spatialqa train-baseline OUT --model bat --encoder RUN --llm FOLDER

The loss is on the answer and the token that ends it alone. What the encoder makes of every scene is computed once: the
tokens where it is frozen, else the maps that it starts from. A run's folder holds best.pt (one file that answers),
last.pt (what is needed to go on), log.csv (a row a step), validation.csv (a row a pass) and loss.svg. A run that was
killed and goes on has the same losses as one that was not.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from spatialqa.core import seeds
from spatialqa.core.console import stderr, stdout
from spatialqa.core.files import sha256_of
from spatialqa.core.svg import write_svg
from spatialqa.dataset.folder import DatasetFolder, table_name
from spatialqa.errors import RecipeError
from spatialqa.models.bat.checkpoint import pack
from spatialqa.models.bat.curriculum import Plan, of_stages, open_held_out, open_questions
from spatialqa.models.bat.encoder_lm import LOSS, cut, encoded_part, measure, new_listener, parameter_groups
from spatialqa.models.bat.grounding import class_names
from spatialqa.models.bat.questions import AskedBatch, open_scenes
from spatialqa.models.bat.recipe import TYPES, BATRecipe
from spatialqa.models.data.provenance import Heard, Leaks, heard_by, leaks_of
from spatialqa.models.spatial_ast.losses import learning_rate
from spatialqa.models.spatial_ast.model import load_checkpoint
from spatialqa.models.training import plots
from spatialqa.models.training.checkpoint import BEST, LAST, ModelError, read_last, read_weights, save, weights_file
from spatialqa.models.training.process import Process, autocast, join
from spatialqa.models.training.run_folder import LOG, PLOT, VALIDATION, Log, Report, claim, read_log

LOG_COLUMNS = ("step", "stage", "epoch", "lr", LOSS, "gradient_norm", "questions_per_s", "loading")
VALIDATION_COLUMNS = (
    "step",
    "stage",
    "epoch",
    LOSS,
    *(f"loss_{kind}" for kind in TYPES),
)


def train(folders: Sequence[Path], recipe: BATRecipe) -> Path:
    """Train a model, or go on with a run that was stopped, and return the file of its best weights.

    Raises:
        DatasetError: a data set cannot be used, or the run's folder holds another run.
        ModelError: the encoder or the LLM cannot be used.
        RecipeError: the recipe does not fit the machine or the data.
    """
    began = time.monotonic()
    process = join(recipe.device, recipe.threads, recipe.batch_size)
    encoder_file = find_encoder(recipe)
    leaks = leaks_of(folders, recipe.leaks)
    if recipe.grounded:
        class_names(encoder_file)  # before the run is this recipe's
    if process.main:
        claim(Path(recipe.run), folders, identity_of(recipe, folders, encoder_file))
    trainer = Trainer(folders, recipe, process, encoder_file, leaks, began)
    try:
        trainer.resume()
        while trainer.state.stage < len(recipe.stages) and trainer.run_stage():
            pass
    finally:
        trainer.close()
    best = trainer.run / BEST
    return best if best.is_file() else trainer.run / LAST  # which is all there is before the first pass is over


def find_encoder(recipe: BATRecipe) -> Path:
    """Return the file of the encoder's weights.

    Raises:
        RecipeError: none is named.
        ModelError: there is none.
    """
    if recipe.encoder is None:
        raise RecipeError(
            "BAT listens with a trained Spatial-AST: make one with `spatialqa train-baseline OUT --run RUN` and name "
            "it with --encoder RUN"
        )
    path = weights_file(recipe.encoder)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; --encoder takes a run of train-baseline or a checkpoint")
    return path


def heard_before(recipe: BATRecipe, encoder: Path) -> Heard:
    """Return what the encoder, and the BAT of `init`, were trained on."""
    return heard_by(encoder) | (heard_by(weights_file(recipe.init)) if recipe.init else Heard())


def identity_of(recipe: BATRecipe, folders: Sequence[Path], encoder: Path) -> dict[str, Any]:
    """Return what decides a run's weights beside the scenes: the recipe, the encoder and the questions."""
    table = table_name(recipe.qa_name)
    asked = [DatasetFolder(folder).questions_identity(table) for folder in folders]
    return {"recipe": recipe.identity(), "encoder": sha256_of(encoder), "questions": asked}


class BATReport(Report):
    """What the first process writes and shows of a run of BAT."""

    def begin(self, step: int) -> None:
        """Open the logs where a checkpoint left them: after so many steps."""
        self.log = Log(self.run / LOG, LOG_COLUMNS, step)
        self.validation = Log(self.run / VALIDATION, VALIDATION_COLUMNS, step)
        self.logs = [self.log, self.validation]
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.steps, completed=step)
        if step:
            stderr.print(f"{self.run}: goes on after step {step}")

    def passed(self, row: dict[str, Any], epochs: int, left: int) -> None:
        """Log a pass, draw the plot and say how long the steps that are left will take."""
        self.validation.row(row)
        self._board("validation", row)
        rows = read_log(self.run / LOG)
        write_svg(self.run / PLOT, plots.losses(rows, read_log(self.run / VALIDATION), (LOSS,)))
        last = [float(r[LOSS]) for r in rows if r["stage"] == row["stage"] and r["epoch"] == row["epoch"]]
        text = f"{row['stage']} {row['epoch']}/{epochs}: loss {np.mean(last) if last else math.nan:.3f}"
        if LOSS in row:
            each = ", ".join(f"{k} {row[f'loss_{k}']:.3f}" for k in TYPES if f"loss_{k}" in row)
            text += f", validation {row[LOSS]:.3f} ({each})"
        minutes = left * (time.monotonic() - self.started) / max(1, self.done) / 60
        stdout.print(f"{text}; {minutes:.1f} min left")


@dataclass
class State:
    """How far a run is: passes and batches done of a stage, and the best validation loss of the stage."""

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = math.inf
    waited: int = 0


class Trainer:
    """One run: its data, model and optimiser, how far it is, and its logs."""

    def __init__(
        self,
        folders: Sequence[Path],
        recipe: BATRecipe,
        process: Process,
        encoder_file: Path,
        leaks: Leaks,
        began: float,
    ) -> None:
        self.recipe, self.process, self.run, self.began = recipe, process, Path(recipe.run), began
        encoder = load_checkpoint(encoder_file).to(process.device)
        names = class_names(encoder_file) if recipe.grounded else ()
        self.model = new_listener(recipe, encoder, process, names)
        scenes = open_scenes(folders, "train")
        with process.first():
            data = open_questions(scenes, recipe, self.model, encoder_file, leaks.scenes)
            held_out = open_held_out(folders, recipe, self.model, encoder_file)
        self.stages = of_stages(data, folders, recipe, process.world)
        self.held_out = [held_out and held_out.of_types(stage.types) for stage in recipe.stages]
        self.plan = Plan.of(recipe, self.stages)
        self.trained = self.model.trained()
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, recipe),
            lr=0.0,
            betas=(recipe.beta1, recipe.beta2),
            fused=True,
        )
        self.autocast = autocast(process.device, recipe.amp)
        self.state = State()
        self.known = {
            **(leaks.heard | heard_before(recipe, encoder_file)).stored(),
            "types": sorted({kind for stage in recipe.stages for kind in stage.types}),
            "n_samples": scenes.index.n_samples,
            "ears": recipe.ears,
            "silence": recipe.silence,
        }
        self.report = BATReport(self.run, self.plan.total) if process.main else None
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one."""
        if (self.run / LAST).is_file():
            content = read_last(self.run / LAST)
            self.state = State(**content["state"])
            self.model.load_state_dict(content["trained"], strict=False)
            self.optimizer.load_state_dict(content["optimizer"])
        if self.report:
            self.report.begin(self.state.step)

    def run_stage(self) -> bool:
        """Go through the stage's passes; False when the time is up before its end."""
        state, patience = self.state, self.recipe.patience
        while state.epoch < self.plan.epochs(state.stage) and not 0 < patience <= state.waited:
            if not self._run_epoch():
                return False
            state.epoch, state.batch = state.epoch + 1, 0
            self._validate()
            self._save()
        if patience and state.best < math.inf:
            self._return_to_best()
        state.stage, state.epoch, state.best, state.waited = state.stage + 1, 0, math.inf, 0
        self._save()
        return True

    def _run_epoch(self) -> bool:
        """Train on what is left of the pass; False when the time is up."""
        recipe, state, asked = self.recipe, self.state, self.stages[self.state.stage]
        epoch = f"{state.stage}/{state.epoch}"
        turned = asked.turned(recipe.seed, epoch) if recipe.mirror else None
        silenced = asked.silenced(recipe.seed, epoch, recipe.silent_share) if recipe.silent_share else None
        batches = asked.batches(recipe.batch_size, recipe.seed, epoch)[: self.plan.batches(state.stage, state.epoch)]
        self.model.train()
        for rows in batches[state.batch :]:
            begun = time.monotonic()
            batch = asked.read(rows[self.process.rank :: self.process.world], turned, silenced)
            over = self._step(batch, begun)
            if over or time.monotonic() - self.saved >= recipe.checkpoint_s:
                self._save()
            if over:
                return False
        return True

    def _step(self, batch: AskedBatch, begun: float) -> bool:
        """Take one step and log it; return whether the time is up."""
        recipe, state, process = self.recipe, self.state, self.process
        torch.manual_seed(seeds.derived_seed(recipe.seed, "step", f"{state.step}/{process.rank}"))
        parts = [encoded_part(self.model, part, process.device) for part in cut(batch, recipe.accumulate)]
        loaded = time.monotonic()
        answered = torch.tensor(float(sum(count for _, _, count in parts)), device=process.device)
        everywhere = float(process.mean(answered)) * process.world
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=process.device)
        for sound, text, count in parts:
            with self.autocast:
                loss = self.model.bat(self.model.tokens(sound), text) * (count / everywhere)
            loss.backward()
            total += loss.detach()
        self._add_gradients()
        norm = nn.utils.clip_grad_norm_(list(self.trained.values()), recipe.clip_norm or math.inf)
        done, rising = self.plan.done(state.stage, state.epoch, state.batch), self.plan.warmup
        rate = learning_rate(done / self.plan.total, rising / self.plan.total, recipe.lr, min(recipe.min_lr, recipe.lr))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        state.step, state.batch = state.step + 1, state.batch + 1
        limit = recipe.time_limit_min
        minutes = (time.monotonic() - self.began) / 60
        over = torch.tensor(float(limit is not None and minutes >= limit), device=process.device)
        mean_loss, over_share = process.mean(torch.stack([total * process.world, over])).tolist()
        if not math.isfinite(mean_loss):
            raise ModelError(f"the loss is {mean_loss} at step {state.step}: lower --lr or set --clip-norm")
        if self.report:
            seconds = time.monotonic() - begun
            self.report.step(
                {
                    "step": state.step,
                    "stage": str(recipe.stages[state.stage]),
                    "epoch": state.epoch + 1,
                    "lr": rate,
                    LOSS: mean_loss,
                    "gradient_norm": float(norm),
                    "questions_per_s": len(batch.questions) * process.world / seconds,
                    "loading": (loaded - begun) / seconds,
                }
            )
        if over_share > 0 and self.report:
            stderr.print(f"{self.run}: the time is up after step {state.step}; the same command goes on")
        return bool(over_share > 0)

    def _add_gradients(self) -> None:
        """Sum what is trained over all processes; it is little beside a frozen LLM, so that one message is enough."""
        if self.process.world > 1:
            own = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.trained.values()]
            flat = torch.cat([gradient.flatten() for gradient in own])
            dist.all_reduce(flat)
            for parameter, part in zip(self.trained.values(), flat.split([p.numel() for p in own]), strict=True):
                parameter.grad = part.view_as(parameter)

    def _validate(self) -> None:
        """Measure the validation questions of the stage, keep the weights if they are its best, and report."""
        state, held_out = self.state, self.held_out[self.state.stage]
        if not self.recipe.encoder_frozen:
            # each process has heard other sounds, and the front end's statistics are not summed
            self._share(self.model.encoder.buffers())
        measured = measure(self.model, held_out, self.recipe.batch_size, self.autocast) if held_out else {}
        found = torch.tensor(measured.get(LOSS, math.nan), dtype=torch.float64, device=self.process.device)
        self._share([found])  # rounding may differ between processes, and what follows from it may not
        loss = float(found)
        better = not measured or loss < state.best
        if measured:
            state.best, state.waited = (loss, 0) if better else (state.best, state.waited + 1)
        if better:
            content = pack(self.model.bat, self.model.encoder)  # all processes: each may hold a part of the LLM
            if self.process.main:
                save(self.run / BEST, content | {"known": self.known})
        if self.report:
            where = {"step": state.step, "stage": str(self.recipe.stages[state.stage]), "epoch": state.epoch}
            left = self.plan.total - self.plan.done(state.stage, state.epoch, 0)
            self.report.passed({**where, **measured}, self.plan.epochs(state.stage), max(0, left))

    def _return_to_best(self) -> None:
        """Take up the best weights of the stage; AdamW's averages go on."""
        if self.process.main:
            content = read_weights(self.run / BEST)
            best = {f"bat.{name}": value for name, value in content["weights"].items()}
            self.model.load_state_dict({name: best[name] for name in best.keys() & self.trained.keys()}, strict=False)
            if not self.recipe.encoder_frozen:
                self.model.encoder.load_state_dict(content["encoder"]["model"])
        self._share([*self.trained.values(), *self.model.encoder.buffers()])

    def _share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the first one's values."""
        if self.process.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), 0)

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.process.main:
            kept = {name: p.detach() for name, p in self.trained.items()}
            if not self.recipe.encoder_frozen:
                kept |= {f"encoder.{name}": value for name, value in self.model.encoder.state_dict().items()}
            save(
                self.run / LAST,
                {"trained": kept, "optimizer": self.optimizer.state_dict(), "state": asdict(self.state)},
            )

    def close(self) -> None:
        """Close the logs and leave the other processes."""
        if self.report:
            self.report.close()
        if self.process.world > 1:
            dist.destroy_process_group()
