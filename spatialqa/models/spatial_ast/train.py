"""Trains Spatial-AST in the paper's two stages: first the class alone, then direction and distance too (2402.01591).

    spatialqa train-baseline OUT --preset tiny --run RUN           train; after a kill the same command resumes
    spatialqa train-baseline FOLEY DEBIAN --recipe baseline-tiny   on several data sets at once
    torchrun --nproc-per-node 8 --no-python -- spatialqa train-baseline OUT --preset paper --batch-size 512 --run RUN
    spatialqa train-baseline OUT --shuffle-labels --run RUN        control: shuffled labels give chance

The run directory holds best.pt (the best weights in validation), last.pt (the state to resume from), log.csv (a row a
step), validation.csv (a row an epoch) and loss.svg. The loop itself is training/loop.py.
"""

import contextlib
import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spatialqa.core import seeds
from spatialqa.core.console import stderr
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.data.feature_cache import CachedScenes
from spatialqa.models.data.loading import SceneLoader, loader
from spatialqa.models.data.on_the_fly import OnTheFlyDataset
from spatialqa.models.data.provenance import (
    Contamination,
    TrainingProvenance,
    contamination_of,
    provenance_of,
    scenes_with,
)
from spatialqa.models.data.scene_index import NoScenesError, class_name, class_vocabulary, source_counts
from spatialqa.models.data.scenes import Batch, SceneDataset
from spatialqa.models.spatial_ast import metrics
from spatialqa.models.spatial_ast.checkpoint import start_from
from spatialqa.models.spatial_ast.inference import posterior_of, predict_slots, refuse_rate
from spatialqa.models.spatial_ast.losses import (
    LOSS_COLUMNS,
    STAGES,
    augment,
    by_class,
    losses,
    parameter_groups,
    stage_weights,
)
from spatialqa.models.spatial_ast.model import PRESETS, Heads, SpatialAST, maps_identity
from spatialqa.models.spatial_ast.recipe import OF_PRESET, TrainRecipe
from spatialqa.models.spatial_ast.report import SOUNDS, SpatialASTReport
from spatialqa.models.training.checkpoint import BEST, initial_weights, read_weights, weights_file
from spatialqa.models.training.loop import Plan, Schedule, StepResult, Trainer, is_finished, say_finished
from spatialqa.models.training.process import Process, compiled, join
from spatialqa.models.training.run_folder import claimed, threads_of

FEW_SCENES = 2000  # fewer train no useful model
USEFUL_SET = "spatialqa render foley --recipe baseline-tiny"  # 16,000 scenes


def train(folders: Sequence[Path], recipe: TrainRecipe) -> Path:
    """Train a model, or resume a run that was stopped, and return the file of its best weights.

    Raises:
        DatasetError: a data set cannot be used, or the run's folder holds another run.
        RecipeError: the recipe does not fit the machine or the data.
    """
    began = time.monotonic()
    threads = threads_of(Path(recipe.run), recipe.threads)
    process = join(recipe.device, threads, recipe.batch_size)
    classes = recipe.left_out_classes()
    vocabulary = [name for name in class_vocabulary(folders) if class_name(name) not in classes]
    counts = source_counts(folders, "train")
    recipe = replace(recipe, max_sources=recipe.max_sources or default_sources(recipe.preset, counts))
    contamination = contamination_of(folders, recipe.leaks)
    left_out = scenes_with(folders, classes) if classes else set()
    if classes and not left_out:
        raise RecipeError(f"leave_out_classes: {', '.join(classes)} sounds in no scene; leave the key out")
    identity = {"recipe": recipe.identity(), "classes": list(vocabulary), **initial_weights(recipe.init)}
    with claimed(Path(recipe.run), folders, identity, threads) if process.main else contextlib.nullcontext():
        if is_finished(Path(recipe.run), len(STAGES)):
            return say_finished(Path(recipe.run), process)
        trainer = SpatialASTTrainer(folders, recipe, process, vocabulary, contamination, began, left_out)
        if process.main:
            stderr.print(training_text(counts, recipe.max_sources or 1))
        return trainer.train()


def default_sources(preset: str, counts: Mapping[int, int]) -> int:
    """Return for how many sources a model is made where that is not given: the paper's is for one."""
    return 1 if preset == "paper" or not counts.get(2) else 2


def training_text(counts: Mapping[int, int], most: int) -> str:
    """Return how many scenes train a model, by their numbers of sources, and what they can teach it."""
    used = {n: k for n, k in sorted(counts.items()) if 1 <= n <= most}
    parts = ", ".join(f"{k:,} of {n} source{'s' * (n > 1)}" for n, k in used.items())
    text = f"training scenes: {sum(used.values()):,} ({parts})"
    if left := sum(counts.values()) - sum(used.values()):
        text += f"; {left:,} with more sources are left out, see --max-sources"
    if sum(used.values()) < FEW_SCENES:
        text += (
            f". These are too few to learn from, and show only that everything runs: expect the figures of the best "
            f"constant. For a useful one: `{USEFUL_SET}`, then `spatialqa train-baseline foley --recipe baseline-tiny`"
        )
    return text


def new_model(recipe: TrainRecipe, n_classes: int, vocabulary: Sequence[str] = ()) -> SpatialAST:
    """Return the model of a recipe with its first weights, the same for the same seed.

    vocabulary: its classes, where it may start from a model that knows others.
    """
    config = PRESETS[recipe.preset]
    own = "mel" if recipe.channels == "mono" else config.features
    features = own if recipe.features == "preset" else recipe.features
    config = replace(
        config, n_classes=n_classes, slots=recipe.max_sources or 1, channels=recipe.channels, features=features
    )
    config = replace(config, specaugment_each=recipe.specaugment == "scene")
    torch.manual_seed(seeds.derived_seed(recipe.seed, "weights", recipe.preset))
    model = SpatialAST(config)
    if recipe.head_std is not None and recipe.head_std != OF_PRESET["head_std"][1]:
        model.draw_heads(recipe.head_std)
    if recipe.init:
        loaded = start_from(model, weights_file(recipe.init), vocabulary)
        stderr.print(f"--init {loaded.text(recipe.init)}")
    return model


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
    counts = range(1, (recipe.max_sources or 1) + 1)
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
    """Scenes of the validation splits, with as many sounds as are trained on, and their ground truth.

    With several slots, the position of a sound is taken from the slot that is assigned to its class.
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
        positions = metrics.Positions(
            *(x.double().numpy() for x in (self.truth.azimuth_deg, self.truth.elevation_deg, self.truth.distance_m))
        )
        posterior = posterior_of(by_class(heads, self.truth))
        direction, distance, _ = metrics.best_decoders(posterior, positions)
        errors = metrics.errors(metrics.decode(posterior, direction, distance), positions)
        found = {name: float(errors[name].mean()) for name in metrics.FIGURES}
        sounds = {SOUNDS: float(len(self.truth.azimuth_deg))}
        return columns | found | sounds, {"direction": direction, "distance": distance}


def open_held_out(
    folders: Sequence[Path],
    vocabulary: Sequence[str],
    recipe: TrainRecipe,
    model: SpatialAST,
    left_out: Collection[tuple[Path, str]] = (),
) -> HeldOut | None:
    """Return the validation scenes, or None where there are none: then the last weights are kept, and nothing stops."""
    having = [f for f in folders if any(split_of(p) == "validation" for p in DatasetFolder(f).tables("scenes"))]
    try:
        if not having:
            raise NoScenesError("no data set has a validation split")
        counts = range(1, (recipe.max_sources or 1) + 1)
        data = open_stored(having, "validation", vocabulary, counts, recipe, model, shuffle=False)
    except NoScenesError as error:
        stderr.print(f"there is no validation data, so early stopping is off: {error}")
        return None
    if left_out:
        data.leave_out(left_out)
    return HeldOut(data, Batch(waveform=torch.empty(0), **data.truth(data.used)))


class SpatialASTTrainer(Trainer[Batch]):
    """A run of Spatial-AST: two stages, each with a new optimizer and from the best weights of the one before."""

    report_class = SpatialASTReport
    rate_option = "--base-lr"
    recipe: TrainRecipe

    def __init__(
        self,
        folders: Sequence[Path],
        recipe: TrainRecipe,
        process: Process,
        vocabulary: Sequence[str],
        contamination: Contamination,
        began: float,
        left_out: Collection[tuple[Path, str]] = (),
    ) -> None:
        super().__init__(recipe, process, began)
        self.model = new_model(recipe, len(vocabulary), vocabulary).to(process.device)
        before = provenance_of(weights_file(recipe.init)) if recipe.init else TrainingProvenance()
        provenance = contamination.trained_on | before
        self.training_record = {"vocabulary": list(vocabulary), **provenance.stored()}
        if left_out:
            self.training_record["left_out_classes"] = list(recipe.left_out_classes())
        self.decoders = {"direction": "median", "distance": "window"}
        with process.first():
            self.data = open_training(folders, vocabulary, recipe, self.model)
        if contamination.scenes or left_out:
            together = contamination.scenes.union(left_out)
            n = sum(data.leave_out(together) for data in self.data)
            why = "another data set holds out their house or clip, or a class that is left out sounds in them"
            stderr.print(f"{n} training scenes are left out: {why if left_out else why.partition(', or')[0]}")
        for data in self.data:
            refuse_rate(data, self.model)
        self.epochs = (recipe.class_epochs, recipe.joint_epochs)
        per_epoch = len(self._order())
        if not per_epoch:
            raise DatasetError(
                f"{', '.join(map(str, folders))}: too few training scenes for {process.world} processes; use fewer"
            )
        self.plan = Plan(STAGES, (per_epoch,) * len(STAGES), tuple(n * per_epoch for n in self.epochs))
        peak = recipe.base_lr * recipe.batch_size / 256
        self.schedule = Schedule(peak, recipe.min_lr, recipe.warmup, per_stage=True)
        self.optimizer = self._new_optimizer()
        self.held_out = open_held_out(folders, vocabulary, recipe, self.model, left_out) if process.main else None
        self.module = compiled(self.model, process.device) if recipe.compile else self.model
        if process.world > 1:
            self.module = nn.parallel.DistributedDataParallel(self.module)

    def _new_optimizer(self) -> torch.optim.AdamW:
        groups = parameter_groups(self.model, self.recipe.weight_decay, self.recipe.layer_decay)
        return torch.optim.AdamW(groups, lr=0.0, fused=True)

    @cached_property
    def _loaders(self) -> list[SceneLoader]:
        """The loader of every data set; made when what is left out of the data is known."""
        recipe, process = self.recipe, self.process
        size = max(1, recipe.batch_size // process.world)
        return [SceneLoader(data, size, recipe.workers, process.rank, process.world) for data in self.data]

    def _epoch(self) -> int:
        """Return which epoch this is of all stages together."""
        return self.state.epoch + sum(self.epochs[: self.state.stage])

    def _order(self) -> npt.NDArray[np.int64]:
        """Return which data set each batch of the epoch is of: all of them mixed, the same order in every process."""
        counts = [batches.count(self._epoch()) for batches in self._loaders]
        epoch = f"{self.state.stage}/{self.state.epoch}"
        return seeds.rng(self.recipe.seed, "data sets", epoch).permutation(np.repeat(np.arange(len(counts)), counts))

    def batches(self) -> Iterator[Batch]:
        """Yield what is left of the epoch."""
        order = self._order()
        done = np.bincount(order[: self.state.batch], minlength=len(self.data)).tolist()
        streams = [own.epoch(self._epoch(), start) for own, start in zip(self._loaders, done, strict=True)]
        for k in order[self.state.batch :]:
            yield next(streams[k])

    def _loss_weights(self) -> Tensor:
        return stage_weights(self.recipe, STAGES[self.state.stage])

    def backward(self, batch: Batch) -> StepResult:
        """Augment a batch, compute the four losses, and the gradient of their weighted sum."""
        device = self.process.device
        weights = self._loss_weights().to(device)
        batch = augment(batch.to(device), self.recipe, self.model.mirrored)
        with self.autocast:
            logits = self.module(batch.waveform, mask=self.recipe.masking)
        parts = torch.stack(losses(Heads(*(x.float() for x in logits)), batch, weights, self.recipe.smoothing_deg))
        loss = (weights * parts).sum()
        loss.backward()
        return StepResult(torch.cat([loss.detach()[None], parts.detach()]), len(batch.waveform))

    def validate(self) -> dict[str, float]:
        """Return losses and localisation errors of the validation splits, in the first process alone."""
        if self.held_out is None:
            return {}
        measured, self.decoders = self.held_out.measure(
            self.model, self._loss_weights(), self.recipe, self.process.device
        )
        return measured

    def best_content(self) -> dict[str, Any]:
        """Return weights and configuration, what the model was trained on, and the decoders that did best."""
        content = {"model": self.model.state_dict(), "config": self.model.config.to_dict()}
        return {**content, **self.training_record, "decoders": self.decoders}

    def weights(self) -> dict[str, Any]:
        """Return the model."""
        return {"model": self.model.state_dict()}

    def load_weights(self, content: dict[str, Any]) -> None:
        """Take the model over."""
        self.model.load_state_dict(content["model"])

    def end_stage(self) -> None:
        """Go back to the best weights of the stage, and begin the next with a new optimizer."""
        if self.held_out and self.state.best < math.inf:
            self.model.load_state_dict(read_weights(self.folder / BEST)["model"])
        self.process.share(self.model.state_dict().values())
        self.optimizer = self._new_optimizer()
