"""Checkpoint files: tensors and plain values, written atomically and read without running code.

A run keeps two: `best.pt`, the weights that did best in validation, and `last.pt`, all that an exact resume needs.
"""

import argparse
import io
import os
import re
from pathlib import Path
from typing import Any

import torch

from spatialqa.core.files import commit_file, sha256_of
from spatialqa.core.input_files import require_regular
from spatialqa.errors import SpatialQAError

BEST, LAST = "best.pt", "last.pt"


class ModelError(SpatialQAError):
    """A model cannot be made as configured, or its weights cannot be used."""


def weights_file(path: Path | str) -> Path:
    """Return the file of a checkpoint, or of the best weights where the path is a run directory."""
    file = Path(os.path.expanduser(path))
    return file / BEST if file.is_dir() else file


def missing(file: Path) -> ModelError:
    """Return what to say of a file of weights that is not there: that its run has not come far enough, if it is one."""
    if file.name == BEST and file.with_name(LAST).is_file():
        return ModelError(
            f"{file.parent}: has not completed its first epoch, so it has no best weights yet; the command that began "
            f"it resumes it"
        )
    return ModelError(f"{file}: no such file")


def initial_weights(init: str | None) -> dict[str, str]:
    """Return what identifies the file of `--init` in a run's run.json: its hash, under `init`; nothing without one.

    Raises:
        ModelError: there is no such file.
    """
    if init is None:
        return {}
    file = weights_file(init)
    if not file.is_file():
        raise missing(file)
    return {"init": sha256_of(file)}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)

    def write(aside: Path) -> None:
        aside.write_bytes(buffer.getbuffer())

    commit_file(path, write)


def read_weights(path: Path | str) -> dict[str, Any]:
    """Read a file of tensors and plain values; raises ModelError for any other, and runs no code that is in it.

    An argparse.Namespace of such values is allowed: the reference code and AudioMAE save their options as one.
    """
    try:
        require_regular(Path(path))
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise missing(Path(path)) from None
    except Exception as error:  # torch.load raises what it likes
        raise ModelError(f"{path}: cannot be read as weights ({_reason(error)})") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds a {type(content).__name__}, not weights by name")
    return content


def _reason(error: Exception) -> str:
    """Return why torch does not read a file, in a few words: a type that it holds and that could run code, by name."""
    told = " ".join(str(error).split())
    kind = re.search(r"(?:Unsupported global: GLOBAL|instance of|build Class) (?:<class '|type )?([\w.]+)", told)
    if kind:
        return f"it holds an object of the type {kind[1]}, which could run code; save tensors and plain values alone"
    return told[:200]


def read_last(path: Path) -> dict[str, Any]:
    """Return the checkpoint that a run resumes from; raises ModelError when it is none, saying what to do."""
    content = read_weights(path)
    if missing := {"state", "optimizer"} - content.keys():
        raise ModelError(f"{path}: has no {min(missing)}, so no run can resume from it; remove it to start again")
    return content


def load_optimizer(optimizer: torch.optim.Optimizer, stored: dict[str, Any], path: Path) -> None:
    """Take over the state of an optimizer from a checkpoint.

    Args:
        optimizer: of a run with the same recipe; its groups have a `scale` and a `weight_decay`.
        stored: what its `state_dict` was.
        path: of the checkpoint, for messages.

    Raises:
        ModelError: the state is of other parameter groups, as those of earlier versions are.
    """
    if (fault := _other_groups(optimizer, stored)) is not None:
        raise ModelError(
            f"{path}: its optimizer has other parameter groups than this version of spatialqa makes ({fault}), so the "
            f"run cannot resume; resume it with the version that began it, or begin a new --run, whose first weights "
            f"can be its best ones: --init {path.parent}"
        )
    optimizer.load_state_dict(stored)


def _other_groups(optimizer: torch.optim.Optimizer, stored: dict[str, Any]) -> str | None:
    """Return how the parameter groups of a stored state differ from those of an optimizer, or None."""
    try:
        before = [(len(g["params"]), g["scale"], g["weight_decay"]) for g in stored["param_groups"]]
        ids = [number for group in stored["param_groups"] for number in group["params"]]
        shapes = {number: tuple(state["exp_avg"].shape) for number, state in stored["state"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return "they cannot be read"
    now = [(len(g["params"]), g["scale"], g["weight_decay"]) for g in optimizer.param_groups]
    if len(before) != len(now):
        return f"{len(before)}, not {len(now)}"
    for number, (was, own) in enumerate(zip(before, now, strict=True), 1):
        for what, old, new in zip(("number of parameters", "scale", "weight decay"), was, own, strict=True):
            if old != new:
                return f"the {what} of group {number} is {old:g}, not {new:g}"
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for k, (number, parameter) in enumerate(zip(ids, parameters, strict=True), 1):
        if (shape := shapes.get(number, tuple(parameter.shape))) != tuple(parameter.shape):
            return f"parameter {k} is {shape}, not {tuple(parameter.shape)}"
    return None
