"""Checks of the values that a caller of the Python API passes; each error is one line and names the value."""

import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spatialqa.core.geometry import Vec3
from spatialqa.core.recipe_keys import build, whole
from spatialqa.errors import RecipeError
from spatialqa.generation.placements import MAX_NUMBER, one_line
from spatialqa.generation.recipe import RenderRecipe

__all__ = ["instance", "is_path", "number", "path_of", "point", "seed_value", "text", "whole"]

T = TypeVar("T")

_NUMBERS = "iufO"  # kinds of numpy arrays; objects may be numbers of another library


def number(who: str, name: str, value: Any) -> float:
    """Return a number of any library as a float; raises RecipeError unless it is finite and at most 1e9."""
    values = _numbers(value, ())
    if values is None:
        raise RecipeError(f"{who}: {name} {_shown(value)} must be a finite number, at most {MAX_NUMBER:g}")
    return float(values)


def point(who: str, name: str, value: Any) -> Vec3:
    """Return a position as (x, y, z); raises RecipeError unless it is three finite numbers of at most 1e9."""
    values = _numbers(value, (3,))
    if values is None:
        need = f"three finite numbers (x, y, z) in metres, at most {MAX_NUMBER:g}"
        raise RecipeError(f"{who}: {name} {_shown(value)} must be {need}")
    x, y, z = values.tolist()
    return (x, y, z)


def text(who: str, name: str, value: Any) -> str:
    """Return a text without blanks around it; raises RecipeError unless it is one line of 1 to 1000 characters."""
    found = one_line(who, name, value) if isinstance(value, str) else None
    if found is None:
        raise RecipeError(f"{who}: {name} {_shown(value)} must be a text that is not empty")
    return found


def seed_value(who: str, value: Any) -> int:
    """Return a seed; raises RecipeError unless it is a whole number, 0 or more."""
    return build(RenderRecipe, {"seed": value}, who).seed


def path_of(who: str, name: str, value: Any) -> Path:
    """Return a path; raises RecipeError where the value is neither a text nor a path object."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise RecipeError(f"{who}: {name} {_shown(value)} must be a path")
    return Path(value)


def instance(who: str, name: str, value: Any, kind: type[T], made_by: str) -> T:
    """Return a value of a class; raises RecipeError, which says how one is made, where it is something else."""
    if not isinstance(value, kind):
        raise RecipeError(f"{who}: {name} must be made with {made_by}, and is {_shown(value)}")
    return value


def is_path(value: Any) -> bool:
    """Tell whether a value is a path object, and not a text."""
    return isinstance(value, os.PathLike)


def _numbers(value: Any, shape: tuple[int, ...]) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """Return finite float64 numbers of this shape; None where the value is something else."""
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in _NUMBERS or any(isinstance(item, str | bytes | bool) for item in raw.flat):
            return None
        numbers = raw.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    fits = numbers.shape == shape and np.isfinite(numbers).all() and (np.abs(numbers) <= MAX_NUMBER).all()
    return numbers if fits else None


def _shown(value: object) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else shown[:57] + "..."
