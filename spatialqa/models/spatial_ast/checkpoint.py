"""Checkpoint files of Spatial-AST: ours, the released layout, and AudioMAE's as first weights.

    trained = read_encoder("runs/tiny/best.pt")    # or released.pth: its sizes are those of its tensors
    trained.model, trained.vocabulary
    model = load_checkpoint("released.pth")        # the model alone, in evaluation mode
    taken = start_from(model, "audiomae.pth")      # first weights; taken.text() says what was loaded and what was not

The reference code saves {"model": tensors, "optimizer", "epoch", "scaler", "args"}, without configuration and without
the names of the classes. The 355 classes of such a file are SpatialSoundQA's, in AudioSet's order.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spatialqa.models.data.scene_index import paper_vocabulary
from spatialqa.models.spatial_ast.model import PRESETS, SpatialAST, SpatialASTConfig
from spatialqa.models.training.checkpoint import ModelError, read_weights

HEAD_WIDTH = 64  # values of an attention head, as in every ViT of the paper's family
REFERENCE_DECODERS = {"direction": "argmax", "distance": "argmax"}
SLOTS_APART = 0.1  # standard deviation, about that of trained tokens
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class TrainedEncoder:
    """A model of a file, and what the file says of it.

    vocabulary: the ids of its classes. decoders: those that were best in validation. houses: that it was trained on;
    None where the file does not say.
    """

    model: SpatialAST
    vocabulary: tuple[str, ...]
    decoders: Mapping[str, str]
    houses: frozenset[str] | None


def read_encoder(path: Path | str) -> TrainedEncoder:
    """Return the model of a checkpoint of ours, or of a file in the released layout.

    Raises:
        ModelError: the file cannot be used, or does not say which classes it knows and has not the paper's 355.
    """
    content = read_weights(path)
    houses = content.get("houses")
    return TrainedEncoder(
        load_checkpoint(path),
        vocabulary_of(content, path),
        content.get("decoders", REFERENCE_DECODERS),
        None if houses is None else frozenset(houses),
    )


def vocabulary_of(content: Mapping[str, Any], where: Path | str) -> tuple[str, ...]:
    """Return the ids of the classes that a file's model knows, in the order of its class head.

    A file of the reference does not name them. With 355 classes they are taken to be SpatialSoundQA's.

    Raises:
        ModelError: the file does not name its classes, and they are not 355.
    """
    if content.get("vocabulary"):
        return tuple(content["vocabulary"])
    bias = _tensors(content).get("head.bias")
    classes = paper_vocabulary()
    if isinstance(bias, Tensor) and bias.shape == (len(classes),):
        return tuple(classes)
    raise ModelError(
        f"{where}: does not name its classes and has not the {len(classes)} of SpatialSoundQA, so it is not a "
        f"checkpoint of train-baseline or of the reference"
    )


def load_checkpoint(path: Path | str, config: SpatialASTConfig | None = None) -> SpatialAST:
    """Return a model with the weights of a file, in evaluation mode on the CPU.

    Args:
        path: a checkpoint of ours, which holds its configuration, or weights in the released layout.
        config: of weights that come without one; by default the paper's, with the sizes of the tensors.

    Raises:
        ModelError: the file cannot be read, holds something else, or does not fit the configuration.
    """
    content = read_weights(path)
    stored, weights = content.get("config"), _tensors(content)
    if config is None:
        named = isinstance(stored, Mapping)
        config = SpatialASTConfig.from_dict(dict(stored or {})) if named else released_config(weights, path)
    model = SpatialAST(config)
    kernels = {name: value.clone() for name, value in model.state_dict().items() if "_extractor." in name}
    try:
        model.load_state_dict(dict(weights), strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        first = [line.strip() for line in str(error).splitlines()[:2]]
        raise ModelError(f"{path}: does not hold the weights of this model ({' '.join(first)[:300]})") from None
    for name, ours in kernels.items():
        if not torch.allclose(model.state_dict()[name], ours, atol=1e-4):
            raise ModelError(f"{path}: was trained on other spectrograms than its configuration says ({name} differs)")
    return model.eval()


def released_config(weights: Mapping[str, Any], where: Path | str) -> SpatialASTConfig:
    """Return the configuration of weights in the released layout: the paper's, with the sizes that the tensors have.

    The number of attention heads is in no tensor: one for every 64 values, as in the paper.

    Raises:
        ModelError: a tensor is missing that tells a size.
    """
    try:
        dim = int(weights["cls_tokens"].shape[2])
        hidden = int(weights["blocks.0.mlp.fc1.bias"].shape[0])
        patch_time, patch_mel = weights["patch_embed.proj.weight"].shape[2:]
        sizes: dict[str, Any] = {
            "embed_dim": dim,
            "depth": len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
            "heads": max(1, dim // HEAD_WIDTH),
            "mlp_ratio": hidden / dim,
            "n_classes": int(weights["head.bias"].shape[0]),
            "patch_time": int(patch_time),
            "patch_mel": int(patch_mel),
            "slots": int(weights["cls_tokens"].shape[1]) // 3,
        }
    except (KeyError, AttributeError, IndexError, ValueError, TypeError):
        raise ModelError(
            f"{where}: does not hold the weights of a Spatial-AST, neither of train-baseline nor of the reference"
        ) from None
    return replace(PRESETS["paper"], **sizes)


def _tensors(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the tensors of a file by name: those under `model`, or all of it."""
    held = content.get("model", content)
    return held if isinstance(held, Mapping) else {}


# --- first weights --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """What a model took over from a file.

    taken: names of the tensors that were loaded. kept: of the model, with their first weights. unused: of the file.
    """

    taken: tuple[str, ...]
    kept: tuple[str, ...]
    unused: tuple[str, ...]

    def text(self, where: Path | str) -> str:
        """Return it in words, a part of the model at a time."""
        lines = [f"{where}: {len(self.taken)} tensors are loaded: {_parts(self.taken)}"]
        if self.kept:
            lines.append(f"not loaded, with first weights: {_parts(self.kept)}")
        if self.unused:
            lines.append(f"in the file and not used: {_parts(self.unused)}")
        return "; ".join(lines)


def _parts(names: Collection[str]) -> str:
    counts = Counter(name.split(".")[0] for name in names)
    shown = [f"{part} ({n})" if n > 1 else part for part, n in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(counts) - _SHOWN} others" if len(counts) > _SHOWN else "")


def start_from(model: SpatialAST, path: Path | str, vocabulary: Sequence[str] = ()) -> Loaded:
    """Load what fits of a checkpoint, ours, the reference's or AudioMAE's, and return what was taken.

    Where a model with one slot becomes one with more, each slot's tokens are the one's, moved a little apart. What the
    class head knows of the classes of `vocabulary` is taken class by class.

    Raises:
        ModelError: the file cannot be read or nothing in it fits.
    """
    content = read_weights(path)
    weights = _tensors(content)
    if "distance_head.weight" not in weights:
        return load_audiomae(model, path)
    own = model.state_dict()
    one = weights.get("cls_tokens")
    if isinstance(one, Tensor) and one.shape[1:] == (3, own["cls_tokens"].shape[2]) and model.config.slots > 1:
        every = one.repeat(1, model.config.slots, 1)
        weights = {**weights, "cls_tokens": every + SLOTS_APART * torch.randn_like(every)}
    known = _known_classes(content, path)
    if vocabulary and known and known != tuple(vocabulary):
        weights = {**weights, **_heads_by_class(weights, own, known, vocabulary)}
    return _take(model, weights, [name for name in weights if name in own])


def _known_classes(content: Mapping[str, Any], path: Path | str) -> tuple[str, ...]:
    try:
        return vocabulary_of(content, path)
    except ModelError:
        return ()


def load_audiomae(model: SpatialAST, path: Path | str) -> Loaded:
    """Start a model from AudioMAE (Huang et al. 2022): patches, positions and layers, as far as they have its shape.

    Raises:
        ModelError: the file cannot be read or nothing in it fits.
    """
    weights, own = _tensors(read_weights(path)), model.state_dict()
    named = [name for name in weights if name.startswith(("patch_embed.", "pos_embed", "blocks.")) and name in own]
    if not any(name.startswith("blocks.") and weights[name].shape == own[name].shape for name in named):
        raise ModelError(f"{path}: holds no layer of the shape of this model; AudioMAE ViT-B fits the preset paper")
    return _take(model, weights, named)


def _take(model: SpatialAST, weights: Mapping[str, Any], named: Sequence[str]) -> Loaded:
    own = model.state_dict()
    taken = [name for name in named if getattr(weights[name], "shape", None) == own[name].shape]
    model.load_state_dict({name: weights[name] for name in taken}, strict=False)
    made = {name for name in own if "_extractor." in name}  # computed, not learned
    return Loaded(
        tuple(taken),
        tuple(name for name in own if name not in {*taken, *made}),
        tuple(name for name in weights if name not in taken),
    )


def _heads_by_class(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], known: Sequence[str], vocabulary: Sequence[str]
) -> dict[str, Tensor]:
    """Return the class head for a vocabulary: rows of classes that are known, and the first weights of the others."""
    rows = {name: k for k, name in enumerate(known)}
    here = [k for k, name in enumerate(vocabulary) if name in rows]
    there = [rows[vocabulary[k]] for k in here]
    found = {}
    for name in ("head.weight", "head.bias"):
        if weights[name].shape[1:] != own[name].shape[1:]:
            return {}
        found[name] = own[name].clone()
        found[name][here] = weights[name][there].to(own[name].dtype)
    return found
