"""Trains Spatial-AST in the paper's two stages: first what sounds, then also where (arXiv 2402.01591).

    spatialqa train-baseline OUT --preset tiny --run RUN           train; run it again after a kill and it goes on
    spatialqa train-baseline FOLEY DEBIAN --recipe baseline-tiny   on several data sets at once
    torchrun --nproc-per-node 8 --no-python spatialqa train-baseline OUT --preset paper --batch-size 512
    spatialqa train-baseline OUT --shuffle-labels --run RUN        control: labels that mean nothing give chance

A run's folder holds best.pt (the weights that did best in validation), last.pt (all that is needed to go on), log.csv
(a row a step), validation.csv (a row a pass) and loss.svg. A run that was killed and goes on has the same losses as one
that was not: the order of the data and what is masked are drawn for each step from the seed, not one after the other.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spatialqa.core import seeds
from spatialqa.core.console import stderr
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.errors import DatasetError
from spatialqa.models.data.feature_cache import CachedScenes
from spatialqa.models.data.on_the_fly import OnTheFlyDataset
from spatialqa.models.data.provenance import Heard, Leaks, heard_by, leaks_of
from spatialqa.models.data.scenes import Batch, NoScenesError, SceneDataset, class_vocabulary, loader
from spatialqa.models.spatial_ast import metrics
from spatialqa.models.spatial_ast.inference import posterior_of, predict_slots, refuse_rate
from spatialqa.models.spatial_ast.losses import (
    LOSS_COLUMNS,
    STAGES,
    augment,
    by_class,
    learning_rate,
    losses,
    parameter_groups,
    stage_weights,
)
from spatialqa.models.spatial_ast.model import PRESETS, Heads, SpatialAST, load_audiomae, maps_identity
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.models.training.checkpoint import BEST, LAST, ModelError, read_last, read_weights, save, weights_file
from spatialqa.models.training.process import Process, autocast, join
from spatialqa.models.training.run_folder import Report, claim

SLOTS_APART = 0.1  # standard deviation, about that of trained tokens


def train(folders: Sequence[Path], recipe: TrainRecipe) -> Path:
    """Train a model, or go on with a run that was stopped, and return the file of its best weights.

    Raises:
        DatasetError: a data set cannot be used, or the run's folder holds another run.
        RecipeError: the recipe does not fit the machine or the data.
    """
    began = time.monotonic()
    process = join(recipe.device, recipe.threads, recipe.batch_size)
    vocabulary = class_vocabulary(folders)
    leaks = leaks_of(folders, recipe.leaks)
    if process.main:
        claim(Path(recipe.run), folders, {"recipe": recipe.identity(), "classes": list(vocabulary)})
    trainer = Trainer(folders, recipe, process, vocabulary, leaks, began)
    try:
        trainer.resume()
        while trainer.state.stage < len(STAGES) and trainer.run_stage():
            pass
    finally:
        trainer.close()
    return trainer.result()


def new_model(recipe: TrainRecipe, n_classes: int, vocabulary: Sequence[str] = ()) -> SpatialAST:
    """Return the model of a recipe with its first weights, the same for the same seed.

    vocabulary: its classes, where it may start from a model that knows others.
    """
    config = PRESETS[recipe.preset]
    own = "mel" if recipe.channels == "mono" else config.features
    features = own if recipe.features == "preset" else recipe.features
    config = replace(config, n_classes=n_classes, slots=recipe.max_sources, channels=recipe.channels, features=features)
    torch.manual_seed(seeds.derived_seed(recipe.seed, "weights", recipe.preset))
    model = SpatialAST(config)
    if recipe.init:
        taken = start_from(model, weights_file(recipe.init), vocabulary)
        stderr.print(f"{len(taken)} of {len(model.state_dict())} tensors start from {recipe.init}")
    return model


def start_from(model: SpatialAST, path: Path, vocabulary: Sequence[str] = ()) -> list[str]:
    """Load what fits of a checkpoint, ours or AudioMAE's, and return the names of what was taken.

    Where a model with one slot becomes one with more, each slot's tokens are the one's, moved a little apart. What the
    class head knows of the classes of `vocabulary` is taken class by class.
    """
    content = read_weights(path)
    weights = content.get("model", content)
    if "distance_head.weight" not in weights:
        return load_audiomae(model, str(path))
    own = model.state_dict()
    one = weights.get("cls_tokens")
    if isinstance(one, Tensor) and one.shape[1:] == (3, own["cls_tokens"].shape[2]) and model.config.slots > 1:
        every = one.repeat(1, model.config.slots, 1)
        weights = {**weights, "cls_tokens": every + SLOTS_APART * torch.randn_like(every)}
    known = list(content.get("vocabulary", ()))
    if vocabulary and known and known != list(vocabulary):
        weights = {**weights, **_heads_by_class(weights, own, known, vocabulary)}
    taken = [name for name, value in weights.items() if name in own and value.shape == own[name].shape]
    model.load_state_dict({name: weights[name] for name in taken}, strict=False)
    return taken


def _heads_by_class(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], known: Sequence[str], vocabulary: Sequence[str]
) -> dict[str, Tensor]:
    """Return the class head for a vocabulary: rows of classes that are known, and the first weights of the others."""
    rows = {name: k for k, name in enumerate(known)}
    here = [k for k, name in enumerate(vocabulary) if name in rows]
    there = [rows[vocabulary[k]] for k in here]
    found = {}
    for name in ("head.weight", "head.bias"):
        found[name] = own[name].clone()
        found[name][here] = weights[name][there].to(own[name].dtype)
    return found


def open_stored(
    folders: Sequence[Path],
    split: str,
    vocabulary: Sequence[str],
    sources: int | Sequence[int],
    recipe: TrainRecipe,
    model: SpatialAST,
    shuffle: bool = True,
) -> SceneDataset:
    """Return the stored scenes of all data sets as one, from the cache where the recipe has one."""
    if not recipe.cache:
        return SceneDataset(folders, split, vocabulary, sources, shuffle, recipe.seed)
    device = next(model.parameters()).device

    def make(waveform: Tensor) -> Tensor:
        return model.maps(waveform.to(device))

    return CachedScenes(
        folders,
        split,
        vocabulary,
        sources,
        shuffle,
        recipe.seed,
        make=make,
        folder=Path(recipe.cache),
        identity=maps_identity(model),
        workers=recipe.workers,
    )


def open_training(
    folders: Sequence[Path], vocabulary: Sequence[str], recipe: TrainRecipe, model: SpatialAST
) -> list[SceneDataset]:
    """Return what is trained on: stored scenes of all data sets as one, or on the fly each data set by itself."""
    counts = range(1, recipe.max_sources + 1)
    if recipe.data == "stored":
        return [open_stored(folders, "train", vocabulary, counts, recipe, model)]
    return [
        OnTheFlyDataset(
            folder, "train", vocabulary, counts, seed=seeds.derived_seed(recipe.seed, "order", str(k)), fresh=True
        )
        for k, folder in enumerate(folders)
    ]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scenes of the validation splits, with as many sounds as are trained on, and what is true of them.

    Of a model with several slots a sound's place is what the slot says that answers for its class.
    """

    data: SceneDataset
    truth: Batch

    def measure(
        self, model: SpatialAST, weights: Tensor, recipe: TrainRecipe, device: torch.device
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Return the losses and errors of a model, and which decoders make the least errors."""
        batches = loader(self.data, recipe.batch_size, recipe.workers)
        heads = predict_slots(model, (batch.waveform for batch in batches), device)
        parts = torch.stack(losses(heads, self.truth, weights, recipe.smoothing_deg))
        columns = dict(zip(LOSS_COLUMNS, [float((weights * parts).sum()), *parts.tolist()], strict=True))
        places = metrics.Places(
            *(x.double().numpy() for x in (self.truth.azimuth_deg, self.truth.elevation_deg, self.truth.distance_m))
        )
        posterior = posterior_of(by_class(heads, self.truth))
        direction, distance, _ = metrics.best_decoders(posterior, places)
        errors = metrics.errors(metrics.decode(posterior, direction, distance), places)
        found = {name: float(errors[name].mean()) for name in metrics.FIGURES}
        return columns | found, {"direction": direction, "distance": distance}


def open_held_out(
    folders: Sequence[Path], vocabulary: Sequence[str], recipe: TrainRecipe, model: SpatialAST
) -> HeldOut | None:
    """Return the validation scenes, or None where there are none: then the last weights are kept, and nothing stops."""
    having = [f for f in folders if any(split_of(p) == "validation" for p in DatasetFolder(f).tables("scenes"))]
    try:
        if not having:
            raise NoScenesError("no data set has a validation split")
        counts = range(1, recipe.max_sources + 1)
        data = open_stored(having, "validation", vocabulary, counts, recipe, model, shuffle=False)
    except NoScenesError as error:
        stderr.print(f"nothing to validate with, so nothing stops early: {error}")
        return None
    return HeldOut(data, Batch(waveform=torch.empty(0), **data.truth(np.arange(len(data)))))


@dataclass
class State:
    """How far a run is: passes and batches done of a stage, and what early stopping remembers of the stage."""

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
        recipe: TrainRecipe,
        process: Process,
        vocabulary: Sequence[str],
        leaks: Leaks,
        began: float,
    ) -> None:
        self.recipe, self.process, self.began = recipe, process, began
        self.run = Path(recipe.run)
        self.model = new_model(recipe, len(vocabulary), vocabulary).to(process.device)
        heard = leaks.heard | (heard_by(weights_file(recipe.init)) if recipe.init else Heard())
        self.known = {"vocabulary": list(vocabulary), **heard.stored()}
        with process.first():
            self.data = open_training(folders, vocabulary, recipe, self.model)
        if leaks.scenes:
            left_out = sum(data.leave_out(leaks.scenes) for data in self.data)
            stderr.print(f"{left_out} training scenes are left out: another data set holds out their house or clip")
        for data in self.data:
            refuse_rate(data, self.model)
        self.state = State()
        self.epochs = (recipe.class_epochs, recipe.joint_epochs)
        self.steps_per_epoch = len(self._order())
        if not self.steps_per_epoch:
            raise DatasetError(
                f"{', '.join(map(str, folders))}: too few training scenes for {process.world} processes; use fewer"
            )
        self.optimizer = self._new_optimizer()
        self.held_out = open_held_out(folders, vocabulary, recipe, self.model) if process.main else None
        self.trained: nn.Module = torch.compile(self.model) if recipe.compile else self.model
        if process.world > 1:
            self.trained = nn.parallel.DistributedDataParallel(self.trained)
        self.autocast = autocast(process.device, recipe.amp)
        self.report = Report(self.run, sum(self.epochs) * self.steps_per_epoch) if process.main else None
        self.saved = time.monotonic()

    def _new_optimizer(self) -> torch.optim.AdamW:
        groups = parameter_groups(self.model, self.recipe.weight_decay, self.recipe.layer_decay)
        return torch.optim.AdamW(groups, lr=0.0, fused=True)

    def _loaders(self, starts: Sequence[int]) -> "list[DataLoader[Batch]]":
        """Return the epoch's batches of every data set, without the first `starts` of each."""
        recipe, process = self.recipe, self.process
        epoch = self.state.epoch + sum(self.epochs[: self.state.stage])
        size = max(1, recipe.batch_size // process.world)
        return [
            loader(data, size, recipe.workers, epoch, start, process.rank, process.world)
            for data, start in zip(self.data, starts, strict=True)
        ]

    def _order(self) -> npt.NDArray[np.int64]:
        """Return which data set each batch of the epoch is of: all of them mixed, the same order in every process."""
        counts = [len(batches) for batches in self._loaders([0] * len(self.data))]
        epoch = f"{self.state.stage}/{self.state.epoch}"
        return seeds.rng(self.recipe.seed, "data sets", epoch).permutation(np.repeat(np.arange(len(counts)), counts))

    def _batches(self) -> Iterator[Batch]:
        """Yield what is left of the epoch."""
        order = self._order()
        done = np.bincount(order[: self.state.batch], minlength=len(self.data))
        streams = [iter(batches) for batches in self._loaders(done.tolist())]
        for k in order[self.state.batch :]:
            yield next(streams[k])

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one."""
        if (self.run / LAST).is_file():
            content = read_last(self.run / LAST)
            self.state = State(**content["state"])
            self.model.load_state_dict(content["model"])
            self.optimizer.load_state_dict(content["optimizer"])
        if self.report:
            self.report.begin(self.state.step)

    def run_stage(self) -> bool:
        """Go through the stage's epochs; False when the time is up before its end."""
        state, stage = self.state, STAGES[self.state.stage]
        while state.epoch < self.epochs[state.stage] and not self._patience_is_over():
            if not self._run_epoch(stage):
                return False
            state.epoch, state.batch = state.epoch + 1, 0
            self._validate(stage)
            self._save()
        if self.held_out and state.best < math.inf:
            self.model.load_state_dict(read_weights(self.run / BEST)["model"])
        self._share([*self.model.state_dict().values()])
        state.stage, state.epoch, state.best, state.waited = state.stage + 1, 0, math.inf, 0
        self.optimizer = self._new_optimizer()
        self._save()
        return True

    def _patience_is_over(self) -> bool:
        return 0 < self.recipe.patience <= self.state.waited

    def _run_epoch(self, stage: str) -> bool:
        """Train on what is left of the epoch; False when the time is up."""
        weights = stage_weights(self.recipe, stage).to(self.process.device)
        self.trained.train()
        asked = time.monotonic()
        for batch in self._batches():
            begun = time.monotonic()
            over = self._step(batch.to(self.process.device), stage, weights, asked, begun)
            if over or time.monotonic() - self.saved >= self.recipe.checkpoint_s:
                self._save()
            if over:
                return False
            asked = time.monotonic()
        return True

    def _step(self, batch: Batch, stage: str, weights: Tensor, asked: float, begun: float) -> bool:
        """Take one step and log it; return whether the time is up."""
        recipe, state = self.recipe, self.state
        torch.manual_seed(seeds.derived_seed(recipe.seed, "step", f"{state.step}/{self.process.rank}"))
        batch = augment(batch, recipe, self.model.mirrored)
        with self.autocast:
            logits = self.trained(batch.waveform, mask=recipe.masking)
        parts = torch.stack(losses(Heads(*(x.float() for x in logits)), batch, weights, recipe.smoothing_deg))
        loss = (weights * parts).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm or math.inf)
        done = (state.epoch * self.steps_per_epoch + state.batch) / (self.epochs[state.stage] * self.steps_per_epoch)
        peak = recipe.base_lr * recipe.batch_size / 256
        rate = learning_rate(done, recipe.warmup, peak, min(recipe.min_lr, peak))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        state.step, state.batch = state.step + 1, state.batch + 1
        limit = recipe.time_limit_min
        minutes = (time.monotonic() - self.began) / 60
        over = torch.tensor([float(limit is not None and minutes >= limit)], device=parts.device)
        *shared, over_share = self.process.mean(torch.cat([loss.detach()[None], parts.detach(), over])).tolist()
        if not math.isfinite(shared[0]):
            raise ModelError(f"the loss is {shared[0]} at step {state.step}: lower --base-lr or set --clip-norm")
        if self.report:
            now = time.monotonic()
            speed = {"sounds_per_s": len(batch.waveform) * self.process.world / (now - asked)}
            waited = {"loading": (begun - asked) / (now - asked)}
            row = dict(zip(LOSS_COLUMNS, shared, strict=True))
            where = {"step": state.step, "stage": stage, "epoch": state.epoch + 1, "lr": rate}
            self.report.step({**where, **row, "gradient_norm": float(norm), **speed, **waited})
        if over_share > 0 and self.report:
            stderr.print(f"{self.run}: the time is up after step {state.step}; the same command goes on")
        return bool(over_share > 0)

    def _validate(self, stage: str) -> None:
        """Measure the validation split, keep the weights if they are the best of the stage, and report."""
        state, weights = self.state, stage_weights(self.recipe, stage)
        if self.held_out:
            measured, decoders = self.held_out.measure(self.model, weights, self.recipe, self.process.device)
            better = measured["loss"] < state.best
            state.best, state.waited = (measured["loss"], 0) if better else (state.best, state.waited + 1)
        else:
            measured, decoders, better = {}, {"direction": "median", "distance": "window"}, True
        if self.report:
            if better:
                content = {"model": self.model.state_dict(), "config": self.model.config.to_dict()}
                save(self.run / BEST, {**content, **self.known, "decoders": decoders})
            self.report.epoch({"step": state.step, "stage": stage, "epoch": state.epoch, **measured}, self.epochs)
        memory = torch.tensor([state.best, state.waited], dtype=torch.float64, device=self.process.device)
        self._share([memory])
        state.best, state.waited = float(memory[0]), int(memory[1])

    def result(self) -> Path:
        """Return the file of the best weights so far, or of the last ones before the first pass is over."""
        best = self.run / BEST
        return best if best.is_file() else self.run / LAST

    def _share(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's values."""
        if self.process.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.process.main:
            content = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
            save(self.run / LAST, {**content, "state": asdict(self.state)})

    def close(self) -> None:
        """Close the logs and leave the other processes."""
        if self.report:
            self.report.close()
        if self.process.world > 1:
            dist.destroy_process_group()
