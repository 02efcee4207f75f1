"""Inference with Spatial-AST: from waveforms, optionally with swapped or mono channels, to logits and posteriors."""

from collections.abc import Iterable

import torch
from torch import Tensor

from spatialqa.errors import RecipeError
from spatialqa.models.data.scenes import SceneDataset
from spatialqa.models.spatial_ast.metrics import Posterior
from spatialqa.models.spatial_ast.model import (
    Heads,
    SpatialAST,
    from_distance_class,
    from_elevation_class,
    from_model_azimuth,
)


def hear(waveform: Tensor, ears: str) -> Tensor:
    """Return waveforms (B, 2, n) as they are, with the ears `swapped`, or with the mean of both in each (`same`)."""
    if ears == "swapped":
        return waveform.flip(1)
    return waveform.mean(1, keepdim=True).expand_as(waveform) if ears == "same" else waveform


def predict(model: SpatialAST, waveforms: Iterable[Tensor], device: torch.device, ears: str = "both") -> Heads:
    """Return what predict_slots does, but of several slots only the one whose likeliest class is likeliest."""
    heads = predict_slots(model, waveforms, device, ears)
    if heads.classes.dim() == 2:
        return heads
    slot = heads.classes.amax(2).argmax(1)
    return Heads(*(logits[torch.arange(len(slot)), slot] for logits in heads))


def predict_slots(model: SpatialAST, waveforms: Iterable[Tensor], device: torch.device, ears: str = "both") -> Heads:
    """Return the logits of all waveforms, of all slots, on the CPU, computed in float32 and evaluation mode."""
    training = model.training
    model.eval()
    with torch.no_grad():
        parts = [Heads(*(logits.float().cpu() for logits in model(hear(w.to(device), ears)))) for w in waveforms]
    model.train(training)
    return Heads(*(torch.cat(logits) for logits in zip(*parts, strict=True)))


def posterior_of(heads: Heads) -> Posterior:
    """Return probabilities of logits, with our angles and metres on their axes."""
    soft = [logits.double().softmax(-1).numpy() for logits in (heads.azimuth, heads.elevation, heads.distance)]
    axes = [
        border(torch.arange(p.shape[-1])).double().numpy()
        for border, p in zip((from_model_azimuth, from_elevation_class, from_distance_class), soft, strict=True)
    ]
    return Posterior(soft[0], soft[1], soft[2], heads.classes.double().numpy(), axes[0], axes[1], axes[2])


def refuse_rate(data: SceneDataset, model: SpatialAST) -> None:
    """Raise RecipeError when scenes have another rate than the model expects."""
    if data.sample_rate != model.config.sample_rate:
        raise RecipeError(
            f"the scenes are at {data.sample_rate} Hz and the model expects {model.config.sample_rate} Hz: render "
            f"them with --sample-rate {model.config.sample_rate}"
        )
