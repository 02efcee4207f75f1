"""Trains BAT with a curriculum: perception of one source, then of one among several, then reasoning (arXiv 2402.01591).

    spatialqa train-baseline OUT --model bat --encoder RUN --run BAT         train; the same command resumes
    spatialqa train-baseline OUT --model bat --encoder RUN --llm smollm2     another language model
    spatialqa train-baseline OUT --model bat --encoder RUN --curriculum A,B,C,D,E:7       one stage (ablation)
    spatialqa train-baseline OUT --model bat --encoder RUN --silence         control: trained without audio
    torchrun --nproc-per-node 8 --no-python -- spatialqa train-baseline OUT --model bat --encoder RUN --llm FOLDER

The loss is on the answer and the token that ends it alone. What the encoder computes from a scene is computed once: its
tokens where it is frozen, else the maps that it starts from. The run directory holds best.pt (one file that answers),
last.pt (the state to resume from), log.csv (a row a step), validation.csv (a row an epoch) and loss.svg. The loop
itself is training/loop.py.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from spatialqa.core.console import stderr
from spatialqa.core.files import sha256_of
from spatialqa.core.names import table_name
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import RecipeError
from spatialqa.models.bat.checkpoint import pack
from spatialqa.models.bat.curriculum import of_stages, open_held_out, open_questions, plan_of, warmup_steps
from spatialqa.models.bat.encoder_lm import (
    EncodedPart,
    EncoderLM,
    cut,
    encoded_part,
    measure,
    new_encoder_lm,
    parameter_groups,
)
from spatialqa.models.bat.grounding import encoder_class_names
from spatialqa.models.bat.questions import open_scenes
from spatialqa.models.bat.recipe import BATRecipe
from spatialqa.models.bat.report import BATReport
from spatialqa.models.data.provenance import Contamination, TrainingProvenance, contamination_of, provenance_of
from spatialqa.models.data.scene_index import Rows
from spatialqa.models.spatial_ast.checkpoint import load_checkpoint
from spatialqa.models.training.checkpoint import BEST, initial_weights, missing, read_weights, weights_file
from spatialqa.models.training.loop import Schedule, StepResult, Trainer, is_finished, say_finished
from spatialqa.models.training.process import Process, join
from spatialqa.models.training.run_folder import claimed, threads_of


def train(folders: Sequence[Path], recipe: BATRecipe) -> Path:
    """Train a model, or resume a run that was stopped, and return the file of its best weights.

    Raises:
        DatasetError: a data set cannot be used, or the run's folder holds another run.
        ModelError: the encoder or the LLM cannot be used.
        RecipeError: the recipe does not fit the machine or the data.
    """
    began = time.monotonic()
    threads = threads_of(Path(recipe.run), recipe.threads)
    process = join(recipe.device, threads, recipe.batch_size)
    encoder_file = find_encoder(recipe)
    contamination = contamination_of(folders, recipe.leaks)
    if recipe.grounded:
        encoder_class_names(encoder_file)  # before the run is this recipe's
    identity = identity_of(recipe, folders, encoder_file)
    with claimed(Path(recipe.run), folders, identity, threads) if process.main else contextlib.nullcontext():
        if is_finished(Path(recipe.run), len(recipe.stages)):
            return say_finished(Path(recipe.run), process)
        return BATTrainer(folders, recipe, process, encoder_file, contamination, began).train()


def find_encoder(recipe: BATRecipe) -> Path:
    """Return the file of the encoder's weights.

    Raises:
        RecipeError: none is named.
        ModelError: there is none.
    """
    if recipe.encoder is None:
        raise RecipeError(
            "BAT needs a trained Spatial-AST: train one with `spatialqa train-baseline OUT --run RUN` and name "
            "it with --encoder RUN"
        )
    path = weights_file(recipe.encoder)
    if not path.is_file():
        raise missing(path)
    return path


def inherited_provenance(recipe: BATRecipe, encoder: Path) -> TrainingProvenance:
    """Return what the encoder, and the BAT of `init`, were trained on."""
    return provenance_of(encoder) | (provenance_of(weights_file(recipe.init)) if recipe.init else TrainingProvenance())


def identity_of(recipe: BATRecipe, folders: Sequence[Path], encoder: Path) -> dict[str, Any]:
    """Return what decides a run's weights beside the scenes: the recipe, the encoder and the questions."""
    table = table_name(recipe.qa_name)
    asked = [DatasetFolder(folder).questions_identity(table) for folder in folders]
    return {
        "recipe": recipe.identity(),
        "encoder": sha256_of(encoder),
        "questions": asked,
        **initial_weights(recipe.init),
    }


def own_rows(rows: Rows, rank: int, world: int, per_scene: int) -> Rows:
    """Return a process's share of a batch; neighbours stay together where they are questions of a scene."""
    return np.array_split(rows, world)[rank] if per_scene > 1 else rows[rank::world]


class BATTrainer(Trainer[list[EncodedPart]]):
    """A run of BAT: the stages of its curriculum, one optimizer and one learning-rate schedule for all of them."""

    report_class = BATReport
    rate_option = "--lr"
    recipe: BATRecipe
    module: EncoderLM

    def __init__(
        self,
        folders: Sequence[Path],
        recipe: BATRecipe,
        process: Process,
        encoder_file: Path,
        contamination: Contamination,
        began: float,
    ) -> None:
        super().__init__(recipe, process, began)
        encoder = load_checkpoint(encoder_file).to(process.device)
        names = encoder_class_names(encoder_file) if recipe.grounded else ()
        self.module = new_encoder_lm(recipe, encoder, process, names)
        scenes = open_scenes(folders, "train")
        with process.first():
            data = open_questions(scenes, recipe, self.module, encoder_file, contamination.scenes)
            held_out = open_held_out(folders, recipe, self.module, encoder_file)
        self.stages = of_stages(data, folders, recipe, process.world)
        self.held_out = [held_out and held_out.of_types(stage.types) for stage in recipe.stages]
        self.plan = plan_of(recipe, self.stages)
        warmup = warmup_steps(recipe, self.plan) / self.plan.total
        self.schedule = Schedule(recipe.lr, recipe.min_lr, warmup, per_stage=False)
        self.trained = self.module.trained()
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.module, recipe),
            lr=0.0,
            betas=(recipe.beta1, recipe.beta2),
            fused=True,
        )
        self.training_record = {
            **(contamination.trained_on | inherited_provenance(recipe, encoder_file)).stored(),
            "types": sorted({kind for stage in recipe.stages for kind in stage.types}),
            "n_samples": scenes.index.n_samples,
            "ears": recipe.ears,
            "silence": recipe.silence,
            "left_out_classes": self._left_out(encoder_file),
        }

    def _left_out(self, encoder_file: Path) -> list[str]:
        """Return the classes that no training question of this run, or of the one it began from, named; say who did."""
        classes = self.recipe.left_out_classes()
        known_to = {encoder_file: read_weights(encoder_file).get("left_out_classes", [])} if classes else {}
        if classes and self.recipe.init:
            before = weights_file(self.recipe.init)
            known_to[before] = read_weights(before).get("known", {}).get("left_out_classes", [])
        for file, without in known_to.items():
            known = [label for label in classes if label not in without]
            if self.process.main and known:
                stderr.print(f"{file}: was trained without leaving out {', '.join(known)}, and may know them")
        begun_with = known_to.get(weights_file(self.recipe.init), []) if classes and self.recipe.init else classes
        return [label for label in classes if label in begun_with]

    def batches(self) -> Iterator[list[EncodedPart]]:
        """Yield this process's share of every batch that is left of the epoch, cut into parts to accumulate."""
        recipe, state, process = self.recipe, self.state, self.process
        questions, epoch = self.stages[state.stage], f"{state.stage}/{state.epoch}"
        per_scene, share = recipe.questions_per_scene, recipe.silent_share
        flipped = questions.flipped(recipe.seed, epoch, per_scene) if recipe.mirror else None
        silenced = questions.silenced(recipe.seed, epoch, share, per_scene) if share else None
        batches = questions.batches(recipe.batch_size, recipe.seed, epoch, per_scene)[
            : self.plan.batches(state.stage, state.epoch)
        ]
        for rows in batches[state.batch :]:
            batch = questions.read(own_rows(rows, process.rank, process.world, per_scene), flipped, silenced)
            yield [encoded_part(self.module, part, process.device) for part in cut(batch, recipe.accumulate)]

    def backward(self, batch: list[EncodedPart]) -> StepResult:
        """Compute the mean loss of the answers' tokens over all processes, part by part, and sum the gradients."""
        process = self.process
        answered = torch.tensor(float(sum(part.n_answered for part in batch)), device=process.device)
        everywhere = float(process.mean(answered)) * process.world
        total = torch.zeros((), device=process.device)
        for part in batch:
            with self.autocast:
                loss = self.module.bat(self.module.tokens(part.sound), part.text, part.of)
                loss = loss * (part.n_answered / everywhere)
            loss.backward()
            total += loss.detach()
        self._add_gradients()
        return StepResult((total * process.world)[None], sum(len(part.text.ids) for part in batch))

    def _add_gradients(self) -> None:
        """Sum what is trained over all processes; it is little beside a frozen LLM, so that one message is enough."""
        if self.process.world > 1:
            own = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.trained.values()]
            flat = torch.cat([gradient.flatten() for gradient in own])
            dist.all_reduce(flat)
            for parameter, part in zip(self.trained.values(), flat.split([p.numel() for p in own]), strict=True):
                parameter.grad = part.view_as(parameter)

    def validate(self) -> dict[str, float]:
        """Return the validation loss of the questions of the stage, and of each of their types."""
        held_out = self.held_out[self.state.stage]
        if not self.recipe.encoder_frozen:
            # each process has heard other sounds, and the front end's statistics are not summed
            self.process.share(self.module.encoder.buffers())
        return measure(self.module, held_out, self.recipe.batch_size, self.autocast) if held_out else {}

    def best_content(self) -> dict[str, Any]:
        """Return what answers: BAT, its encoder, and what both were trained on."""
        return pack(self.module.bat, self.module.encoder) | {"known": self.training_record}

    def weights(self) -> dict[str, Any]:
        """Return what is trained, with all of an encoder that is."""
        kept = {name: p.detach() for name, p in self.trained.items()}
        if not self.recipe.encoder_frozen:
            kept |= {f"encoder.{name}": value for name, value in self.module.encoder.state_dict().items()}
        return {"trained": kept}

    def load_weights(self, content: dict[str, Any]) -> None:
        """Take over what is trained."""
        self.module.load_state_dict(content["trained"], strict=False)

    def end_stage(self) -> None:
        """With patience, go back to the best weights of the stage; AdamW's averages are kept."""
        if self.recipe.patience and self.state.best < math.inf:
            self._return_to_best()

    def _return_to_best(self) -> None:
        if self.process.main:
            content = read_weights(self.folder / BEST)
            best = {f"bat.{name}": value for name, value in content["weights"].items()}
            self.module.load_state_dict({name: best[name] for name in best.keys() & self.trained.keys()}, strict=False)
            if not self.recipe.encoder_frozen:
                self.module.encoder.load_state_dict(content["encoder"]["model"])
        self.process.share([*self.trained.values(), *self.module.encoder.buffers()])
