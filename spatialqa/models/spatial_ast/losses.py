"""Training losses, targets, augmentation and parameter groups of Spatial-AST (arXiv 2402.01591)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spatialqa.models.data.scenes import Batch, Targets
from spatialqa.models.spatial_ast.model import (
    Heads,
    SpatialAST,
    distance_class,
    elevation_class,
    from_elevation_class,
    from_model_azimuth,
    match_slots,
    to_model_azimuth,
)
from spatialqa.models.spatial_ast.recipe import TrainRecipe

STAGES = ("class", "joint")
LOSS_COLUMNS = ("loss", "classes", "distance", "azimuth", "elevation")


class Losses(NamedTuple):
    """The four cross-entropies, each a mean over the batch."""

    classes: Tensor
    distance: Tensor
    azimuth: Tensor
    elevation: Tensor


def losses(heads: Heads, batch: Targets, weights: Tensor, smoothing_deg: float = 0.0) -> Losses:
    """Return the losses of a batch; positions are turned into the model's classes here.

    Where the model has several slots, each sound is answered for by the slot that makes the weighted sum least, and the
    others are to say that they hear nothing.
    """
    targets = targets_of(batch, smoothing_deg)
    classes = batch.classes
    if heads.classes.dim() == 3:
        with torch.no_grad():
            slot = choose_slots(heads, batch, targets, weights)
        classes = torch.zeros_like(heads.classes)
        classes[batch.scene, slot] = batch.classes
        heads = Heads(heads.classes, *(logits[batch.scene, slot] for logits in heads[1:]))
    return Losses(
        F.binary_cross_entropy_with_logits(heads.classes, classes),
        *(F.cross_entropy(logits, target) for logits, target in zip(heads[1:], targets, strict=True)),
    )


def targets_of(batch: Targets, smoothing_deg: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the heads of distance, azimuth and elevation are to say of each sound."""
    return (
        distance_class(batch.distance_m),
        azimuth_target(batch.azimuth_deg, smoothing_deg),
        elevation_target(batch.elevation_deg, smoothing_deg),
    )


def by_class(heads: Heads, batch: Targets) -> Heads:
    """Return for each sound, (N, n), what the slot says that answers for its class: chosen by classes alone."""
    if heads.classes.dim() == 2:
        return heads
    slot = choose_slots(heads, batch, targets_of(batch), torch.tensor([1.0, 0.0, 0.0, 0.0]))
    return Heads(*(logits[batch.scene, slot] for logits in heads))


def choose_slots(heads: Heads, batch: Targets, targets: tuple[Tensor, ...], weights: Tensor) -> Tensor:
    """Return which slot answers for each sound, int64 (N,): permutation-invariant, no slot twice in a scene."""
    scenes, slots, _ = heads.classes.shape
    cost = torch.full((scenes, slots, slots), 0.0, device=heads.classes.device)
    for k in range(slots):
        own = Heads(*(logits[batch.scene, k].float() for logits in heads))
        each = weights[0] * F.binary_cross_entropy_with_logits(own.classes, batch.classes, reduction="none").mean(1)
        for weight, logits, target in zip(weights[1:], own[1:], targets, strict=True):
            each = each + weight * F.cross_entropy(logits, target, reduction="none")
        cost[batch.scene, batch.slot, k] = each
    present = torch.zeros(scenes, slots, dtype=torch.bool, device=cost.device)
    present[batch.scene, batch.slot] = True
    return match_slots(cost, present)[batch.scene, batch.slot]


def azimuth_target(azimuth_deg: Tensor, smoothing_deg: float) -> Tensor:
    """Return the class of azimuths, int64 (B,), or with smoothing shares of all classes around the circle (B, 360)."""
    if not smoothing_deg:
        return to_model_azimuth(azimuth_deg)
    axis = from_model_azimuth(torch.arange(360, device=azimuth_deg.device))
    gap = (axis - azimuth_deg[:, None] + 180.0) % 360.0 - 180.0
    return torch.softmax(-0.5 * (gap / smoothing_deg) ** 2, dim=1)


def elevation_target(elevation_deg: Tensor, smoothing_deg: float) -> Tensor:
    """Return the class of elevations, int64 (B,), or with smoothing shares of all classes (B, 180)."""
    if not smoothing_deg:
        return elevation_class(elevation_deg)
    gap = from_elevation_class(torch.arange(180, device=elevation_deg.device)) - elevation_deg[:, None]
    return torch.softmax(-0.5 * (gap / smoothing_deg) ** 2, dim=1)


def stage_weights(recipe: TrainRecipe, stage: str) -> Tensor:
    """Return the weights of the four losses in a stage, in the order of Losses."""
    if stage == "class":
        return torch.tensor([recipe.class_weight, 0.0, 0.0, 0.0])
    return torch.tensor([recipe.class_weight, recipe.distance_weight, recipe.azimuth_weight, recipe.elevation_weight])


def parameter_groups(model: SpatialAST, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's groups: a layer's learning rate is multiplied by `scale`, layer_decay for each layer above it.

    The patch embedding is layer 0. The fusion convolution, the learned tokens, the heads and their norms are the last
    layer, at the full rate, as in the reference code. Vectors (biases, norms) do not decay.
    """
    depth = model.config.depth
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("blocks."):
            layer = int(name.split(".")[1]) + 1
        else:
            layer = 0 if name.startswith("patch_embed") else depth + 1
        decays = parameter.ndim > 1
        group = groups.setdefault(
            (layer, decays),
            {
                "params": [],
                "scale": layer_decay ** (depth + 1 - layer),
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())


def augment(batch: Batch, recipe: TrainRecipe, mirrored: Callable[[Tensor], Tensor]) -> Batch:
    """Return the batch as a training step sees it: mirrored, or with the labels of other sounds, where asked.

    mirrored: gives the sound with the ears changed; SpatialAST.mirrored does.
    """
    n = len(batch.waveform)
    if recipe.mirror:  # a head is the same on both sides, and so is what it hears
        flip = torch.rand(n, device=batch.waveform.device) < 0.5
        batch = replace(
            batch,
            waveform=torch.where(
                flip.view(-1, *[1] * (batch.waveform.dim() - 1)), mirrored(batch.waveform), batch.waveform
            ),
            azimuth_deg=torch.where(flip[batch.scene], -batch.azimuth_deg, batch.azimuth_deg),
        )
    if recipe.shuffle_labels:
        other = torch.randperm(len(batch.azimuth_deg), device=batch.waveform.device)
        batch = replace(
            batch,
            **{name: getattr(batch, name)[other] for name in ("classes", "distance_m", "azimuth_deg", "elevation_deg")},
        )
    return batch
