"""Checkpoints of BAT: the files that training writes and `answer` reads, and the released layout.

    save_bat("best.pt", model, encoder)             # what was trained, and the encoder that makes it complete
    model, encoder = load_bat("best.pt")
    model = load_released("released.pt")            # encoder_projector.* and LoRA's matrices by peft's names

A file's configuration is compared with the shapes of its tensors before memory is taken for it; loading is strict.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from spatialqa.models.bat.config import PRESETS, BATConfig
from spatialqa.models.bat.llm import TINY, need, tiny_llm, tiny_tokenizer
from spatialqa.models.bat.model import BAT, Projector, make_grounding
from spatialqa.models.spatial_ast.model import SpatialAST, SpatialASTConfig
from spatialqa.models.training.checkpoint import ModelError, read_weights, save

__all__ = [
    "is_released",
    "load_bat",
    "load_released",
    "pack",
    "released_config",
    "save_bat",
    "unpack",
    "unpack_released",
]

HEAD_WIDTH = 64  # values of an attention head of the Q-Former, as in the paper's


def pack(model: BAT, encoder: SpatialAST | None = None) -> dict[str, Any]:
    """Return what a file needs to answer again: tensors on the CPU and plain values.

    Of the language model it has what is trained; of tiny everything, with its tokenizer. The encoder makes one file
    answer from sound. Of a model that FSDP (fully_shard) shares out, all processes must call this.
    """
    return {
        "bat": model.config.to_dict(),
        "weights": {name: _on_cpu(weight) for name, weight in _kept(model).items()},
        "tokenizer": model.tokenizer.backend_tokenizer.to_str() if model.config.llm == TINY else None,
        "encoder": None if encoder is None else {"config": encoder.config.to_dict(), "model": _state(encoder)},
    }


def _kept(model: BAT) -> dict[str, Tensor]:
    """Return the parameters that a file holds; of two names of one parameter the first."""
    whole = ("",) if model.config.llm == TINY else ("grounding.",)  # what is held whether or not it is trained
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad or name.startswith(whole)}


def _on_cpu(weight: Tensor) -> Tensor:
    whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
    return whole.detach().cpu()


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: _on_cpu(value) for name, value in module.state_dict().items()}


def save_bat(path: Path | str, model: BAT, encoder: SpatialAST | None = None) -> None:
    """Write a file that load_bat reads, whole or not at all."""
    save(Path(path), pack(model, encoder))


def load_bat(path: Path | str, **options: Any) -> tuple[BAT, SpatialAST | None]:
    """Return the model of a file and its encoder, if it has one, in evaluation mode; options as those of BAT.

    Raises:
        MissingDependencyError: a package is needed that is not installed.
        ModelError: the file cannot be read or holds something else, or its language model cannot be had.
    """
    return unpack(read_weights(path), path, **options)


def unpack(
    content: Mapping[str, Any], where: Path | str, llm: str | None = None, **options: Any
) -> tuple[BAT, SpatialAST | None]:
    """Return what `pack` packed; see load_bat.

    Args:
        content: of the file.
        where: the file's name, for messages.
        llm: the language model's folder, where it is not the one that the file names.
        options: as those of BAT.
    """
    stored, weights, encoder = (content.get(key) for key in ("bat", "weights", "encoder"))
    if not isinstance(stored, Mapping) or not _by_name(weights):
        raise ModelError(f"{where}: holds no BAT; train one with train-baseline --model bat")
    config = BATConfig.from_dict(stored)
    need("transformers", "spatialqa[models]", "BAT")
    if llm is not None:
        if TINY in (config.llm, llm):
            raise ModelError(f"{where}: its language model is {config.llm}, and tiny has no folder; leave out --llm")
        config = dataclasses.replace(config, llm=llm)
    tokenizer = None
    if config.llm == TINY:
        if not isinstance(content.get("tokenizer"), str):
            raise ModelError(f"{where}: lacks the tokenizer of its language model")
        tokenizer = tiny_tokenizer(content["tokenizer"])
    _refuse_other_sizes(config, tokenizer, weights, where)
    model = BAT(config, tokenizer=tokenizer, **options)
    _load(model, weights, where)
    return model.eval(), None if encoder is None else _encoder(encoder, where)


def load_released(path: Path | str, config: BATConfig | None = None, **options: Any) -> BAT:
    """Return a model with the projector and the LoRA matrices of a file in the released layout; see unpack_released."""
    return unpack_released(read_weights(path), path, config, **options)


def unpack_released(
    content: Mapping[str, Any], where: Path | str, config: BATConfig | None = None, **options: Any
) -> BAT:
    """Return the model of a file in the released layout, in evaluation mode.

    Args:
        content: of the file: tensors named encoder_projector.* and llm.base_model.model.*, as peft names LoRA's, with
            or without the adapter's name (`default`).
        where: the file's name, for messages.
        config: what the file is; its `llm` names the language model that the file leaves out. By default the paper's,
            with the sizes that the tensors have.
        options: as those of BAT.

    Raises:
        MissingDependencyError: a package is needed that is not installed.
        ModelError: the file does not hold exactly these tensors, or its language model cannot be had.
    """
    weights = _released_weights(content)
    if weights is None:
        raise ModelError(f"{where}: holds no weights by name")
    config = config or released_config(content, where)
    _refuse_other_sizes(config, None, weights, where)
    model = BAT(config, **options)
    _load(model, weights, where)
    return model.eval()


def is_released(content: Mapping[str, Any]) -> bool:
    """Return whether a file is in the released layout: named tensors of a projector, and no configuration."""
    return "bat" not in content and "encoder_projector.query" in (_released_weights(content) or {})


def released_config(content: Mapping[str, Any], where: Path | str, llm: str | None = None) -> BATConfig:
    """Return the configuration of a file in the released layout: the paper's, with the sizes that the tensors have.

    No tensor tells the number of attention heads and LoRA's alpha: one head for every 64 values, and 32.

    Args:
        content: of the file.
        where: the file's name, for messages.
        llm: its language model; by default the paper's.

    Raises:
        ModelError: a tensor is missing that tells a size.
    """
    weights = _released_weights(content) or {}
    layers = "encoder_projector.qformer.encoder.layer."
    try:
        width = int(weights["encoder_projector.query"].shape[2])
        depth = len({name.removeprefix(layers).split(".")[0] for name in weights if name.startswith(layers)})
        crossing = sorted({int(n.removeprefix(layers).split(".")[0]) for n in weights if ".crossattention." in n})
        sizes: dict[str, Any] = {
            "queries": int(weights["encoder_projector.query"].shape[1]),
            "qformer_layers": depth,
            "qformer_width": width,
            "qformer_heads": max(1, width // HEAD_WIDTH),
            "qformer_every": crossing[1] - crossing[0] if len(crossing) > 1 else max(1, depth),
            "encoder_width": int(weights[f"{layers}0.crossattention.attention.key.weight"].shape[1]),
            "lora_rank": next((int(w.shape[0]) for n, w in weights.items() if ".lora_A." in n), 0),
        }
    except (KeyError, AttributeError, IndexError, ValueError, TypeError):
        raise _unfit(where, "it lacks tensors of the projector that tell its sizes") from None
    if not sizes["lora_rank"]:
        raise _unfit(where, "it has no LoRA matrices")
    return dataclasses.replace(PRESETS["paper"], llm=llm or PRESETS["paper"].llm, **sizes)


def _released_weights(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the tensors of a file by their present names; None where it has none by name."""
    held = content.get("model", content)
    return {_released_name(name): value for name, value in held.items()} if _by_name(held) else None


def _by_name(weights: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(weights, Mapping) and all(isinstance(name, str) for name in weights)


def _released_name(name: str) -> str:
    """Return peft's present name of a tensor; older files lack the name of the adapter, or begin with `module.`."""
    return re.sub(r"\.(lora_[AB])\.weight$", r".\1.default.weight", name.removeprefix("module."))


def _load(model: BAT, weights: Mapping[str, Any], where: Path | str) -> None:
    """Take over what a file holds, strictly."""
    _compare(_kept(model), weights, where)
    try:
        model.load_state_dict(dict(weights), strict=False)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise _unfit(where, " ".join(str(error).split())[:300]) from None


def _compare(wanted: Mapping[str, Any], held: Mapping[str, Any], where: Path | str) -> None:
    """Raise ModelError unless both have the same names, of tensors of the same shapes."""
    missing, unknown = sorted(wanted.keys() - held.keys()), sorted(held.keys() - wanted.keys())
    if missing:
        raise _unfit(where, f"it lacks {len(missing)} tensors, such as {missing[0]}")
    if unknown:
        raise _unfit(where, f"it has {len(unknown)} tensors that are none of its own, such as {unknown[0]}")
    for name, value in wanted.items():
        shape = tuple(getattr(held[name], "shape", ()))
        if shape != tuple(value.shape):
            raise _unfit(where, f"{name} has the shape {shape}, not {tuple(value.shape)}")


def _unfit(where: Path | str, reason: str) -> ModelError:
    return ModelError(f"{where}: does not hold the weights of this model ({reason})")


def _refuse_other_sizes(config: BATConfig, tokenizer: Any, weights: Mapping[str, Any], where: Path | str) -> None:
    """Compare a configuration with the tensors that come with it, before memory is taken for what it says.

    Raises:
        ModelError: a tensor is missing or has another shape than the configuration says.
    """
    end = weights.get("encoder_projector.linear.bias")
    if not isinstance(end, Tensor) or end.dim() != 1:
        raise _unfit(where, "it lacks encoder_projector.linear.bias")
    with torch.device("meta"):
        wanted = {f"encoder_projector.{k}": v for k, v in Projector(config, len(end)).named_parameters()}
        grounding = make_grounding(config, None, len(end))
        if grounding is not None:
            wanted |= {f"grounding.{k}": v for k, v in grounding.named_parameters()}
        if tokenizer is not None:
            llm = tiny_llm(len(tokenizer), config.llm_width, config.llm_layers, config.llm_heads)
            wanted |= {f"llm.{k}": v for k, v in llm.named_parameters()}
    # peft puts its own words into the names of what it wraps
    plain = {name.replace("llm.base_model.model.", "llm.").replace(".base_layer.", "."): name for name in weights}
    _compare(wanted, {name: weights[plain[name]] for name in wanted if name in plain}, where)


def _encoder(content: Any, where: Path | str) -> SpatialAST:
    try:
        config = SpatialASTConfig.from_dict(content["config"])
        with torch.device("meta"):
            wanted = SpatialAST(config).state_dict()
        _compare(wanted, content["model"], where)
        encoder = SpatialAST(config)
        encoder.load_state_dict(content["model"])
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{where}: its encoder cannot be used ({' '.join(str(error).split())[:200]})") from None
    return encoder.eval()
