"""Encoder and BAT as the one model that is trained: construction, FSDP sharding, parameter groups, validation loss."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from spatialqa.core import seeds
from spatialqa.core.console import stderr
from spatialqa.errors import RecipeError
from spatialqa.models.bat.checkpoint import load_bat
from spatialqa.models.bat.config import PRESETS
from spatialqa.models.bat.model import BAT, IGNORED, Text
from spatialqa.models.bat.questions import QuestionBatch, QuestionSet
from spatialqa.models.bat.recipe import BATRecipe
from spatialqa.models.spatial_ast.model import SpatialAST
from spatialqa.models.training.checkpoint import ModelError, weights_file
from spatialqa.models.training.process import Process, compiled
from spatialqa.models.training.run_folder import LOSS


class EncoderLM(nn.Module):
    """An encoder and BAT as one module; where the encoder is frozen, its precomputed tokens are the input instead."""

    def __init__(self, encoder: SpatialAST, bat: BAT, frozen: bool, masking: bool = False) -> None:
        super().__init__()
        self.encoder, self.bat, self.frozen, self.masking = encoder, bat, frozen, masking
        for parameter in encoder.parameters():
            parameter.requires_grad = parameter.requires_grad and not frozen

    def train(self, mode: bool = True) -> "EncoderLM":
        """Turn masking and dropout on or off; a frozen encoder has neither."""
        super().train(mode)
        self.encoder.train(mode and not self.frozen)
        return self

    def tokens(self, sound: Tensor) -> Tensor:
        """Return the encoder's tokens (B, n, D) of tokens, or of maps (B, maps, frames, bands)."""
        return sound if self.frozen else self.encoder.forward_tokens(sound, self.masking and self.training)

    def trained(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}


def new_encoder_lm(recipe: BATRecipe, encoder: SpatialAST, process: Process, names: tuple[str, ...] = ()) -> EncoderLM:
    """Return the model of a recipe with its first weights, the same for the same seed.

    Args:
        recipe: of the training.
        encoder: that it listens with.
        process: the device.
        names: of the encoder's classes, where the recipe is grounded.

    Raises:
        ModelError: the LLM cannot be used, or `init` is of another model.
    """
    preset = PRESETS.get(recipe.llm, PRESETS["paper"])
    config = replace(preset, llm=recipe.llm, encoder_width=encoder.config.embed_dim, **recipe.shape())
    if names:
        if len(names) != encoder.config.n_classes:
            raise ModelError(
                f"the encoder has {encoder.config.n_classes} classes, {len(names)} with names: train it again"
            )
        config = replace(config, names=names, slots=encoder.config.slots)
    options = llm_options(recipe.llm_dtype, process.device, bool(config.lora_rank))
    torch.manual_seed(seeds.derived_seed(recipe.seed, "weights", "bat"))
    if recipe.init:
        bat, _ = load_bat(weights_file(recipe.init), checkpointing=recipe.gradient_checkpointing, **options)
        if bat.config != config:
            raise ModelError(
                f"{recipe.init}: differs from this recipe in shape, language model or classes; use the same ones"
            )
        stderr.print(f"--init {recipe.init}: all {sum(1 for _ in bat.parameters())} tensors of BAT are loaded")
    else:
        bat = BAT(config, checkpointing=recipe.gradient_checkpointing, **options)
    if recipe.questions_per_scene > 1 and not bat.can_share:
        raise ModelError(f"llm {recipe.llm}: has no cache that questions can share; leave out --questions-per-scene")
    if bat.grounding is not None:
        bat.grounding.take_over(encoder)
    if process.device.type == "cpu" and recipe.amp == "bf16":
        bat.attend_by_products()
    if recipe.compile:
        bat.compile_for_training(partial(compiled, device=process.device, dynamic=True))
    model = EncoderLM(encoder, bat, recipe.encoder_frozen, recipe.masking)
    if recipe.parallel == "fsdp" and process.world > 1:
        share_layers(model, process.device)
    return model.to(process.device)


def share_layers(model: EncoderLM, device: torch.device) -> None:
    """Let every process hold a part of each layer of a frozen LLM (FSDP2); what is trained is held by all.

    Raises:
        RecipeError: the LLM is trained whole, or in 4 bits.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    trained = set(model.trained().values())
    layers = [m for name, m in model.bat.llm.named_modules() if name.endswith(".layers") for m in m]
    if not layers or not model.bat.config.lora_rank or getattr(model.bat.llm, "is_quantized", False):
        raise RecipeError(
            "parallel fsdp distributes a frozen language model that is not in 4 bits: use ddp, or --lora-rank 8"
        )
    model.bat.can_share = False  # all processes must go through the layers equally often
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh, ignored_params=trained.intersection(layer.parameters()))


def llm_options(llm_dtype: str, device: torch.device, frozen: bool) -> dict[str, Any]:
    """Return how BAT is to hold its LLM: a frozen one in half precision on a GPU, by default."""
    half = llm_dtype == "bf16" or (llm_dtype in ("auto", "4-bit") and frozen and device.type == "cuda")
    return {"dtype": torch.bfloat16 if half else torch.float32, "four_bit": llm_dtype == "4-bit"}


def parameter_groups(model: EncoderLM, recipe: BATRecipe) -> list[dict[str, Any]]:
    """Return AdamW's groups: `scale` multiplies the learning rate; vectors (biases, norms) do not decay."""
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in model.trained().items():
        of_encoder, decays = name.startswith("encoder."), parameter.ndim > 1
        group = {
            "params": [],
            "scale": recipe.encoder_lr if of_encoder else 1.0,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        groups.setdefault((of_encoder, decays), group)["params"].append(parameter)
    return list(groups.values())


def cut(batch: QuestionBatch, parts: int) -> Iterator[QuestionBatch]:
    """Yield a batch in this many parts, or in as many as it has questions."""
    for rows in np.array_split(np.arange(len(batch.questions)), min(parts, len(batch.questions))):
        columns = (batch.questions, batch.answers, batch.types)
        sounds, of = batch.of[rows].unique(return_inverse=True)
        yield QuestionBatch(batch.sound[sounds], of, *([column[k] for k in rows] for column in columns))


class EncodedPart(NamedTuple):
    """Some questions on the device, and on how many of the text's tokens the loss is; see QuestionBatch."""

    sound: Tensor
    of: Tensor
    text: Text
    n_answered: int


def encoded_part(model: EncoderLM, batch: QuestionBatch, device: torch.device) -> EncodedPart:
    """Return sound and text of questions on the device."""
    text = model.bat.encode(batch.questions, batch.answers)
    assert text.labels is not None
    count = int((text.labels != IGNORED).sum())
    sound, of = (x.to(device, non_blocking=True) for x in (batch.sound, batch.of))
    return EncodedPart(sound, of, text.to(device), count)


def measure(model: EncoderLM, questions: QuestionSet, batch_size: int, autocast: torch.autocast) -> dict[str, float]:
    """Return the mean loss of answers, each weighing the same, and that of every type."""
    device = next(model.bat.encoder_projector.parameters()).device
    found: dict[str, list[float]] = {}
    model.eval()
    with torch.no_grad(), autocast:
        for rows in questions.in_order(batch_size):
            batch = questions.read(rows)
            part = encoded_part(model, batch, device)
            each = model.bat(model.tokens(part.sound), part.text, part.of, each=True).float().tolist()
            for kind, loss in zip(batch.types, each, strict=True):
                found.setdefault(kind, []).append(loss)
    every = [loss for losses in found.values() for loss in losses]
    return {LOSS: float(np.mean(every))} | {f"loss_{kind}": float(np.mean(own)) for kind, own in sorted(found.items())}
