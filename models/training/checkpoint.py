"""Checkpoint files: tensors and plain values, written atomically and read without running code.

A run keeps two: `best.pt`, the weights that did best in validation, and `last.pt`, all that an exact resume needs.
"""

import io
import os
from pathlib import Path
from typing import Any

import torch

from spatialqa.core.files import commit_file
from spatialqa.core.input_files import require_regular
from spatialqa.errors import SpatialQAError

BEST, LAST = "best.pt", "last.pt"


class ModelError(SpatialQAError):
    """A model cannot be made as configured, or its weights cannot be used."""


def weights_file(path: Path | str) -> Path:
    """Return the file of a checkpoint, or of the best weights where the path is a run directory."""
    file = Path(os.path.expanduser(path))
    return file / BEST if file.is_dir() else file


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)

    def write(aside: Path) -> None:
        aside.write_bytes(buffer.getbuffer())

    commit_file(path, write)


def read_weights(path: Path | str) -> dict[str, Any]:
    """Read a file of tensors and plain values; raises ModelError for any other, and runs no code that is in it."""
    try:
        require_regular(Path(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except Exception as error:  # torch.load raises what it likes
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: cannot be read as weights ({reason})") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds a {type(content).__name__}, not weights by name")
    return content


def read_last(path: Path) -> dict[str, Any]:
    """Return the checkpoint that a run resumes from; raises ModelError when it is none, saying what to do."""
    content = read_weights(path)
    if missing := {"state", "optimizer"} - content.keys():
        raise ModelError(f"{path}: has no {min(missing)}, so no run can resume from it; remove it to start again")
    return content
