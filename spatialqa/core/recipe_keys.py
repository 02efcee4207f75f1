"""How recipe keys are declared, read from YAML or the command line, and checked."""

import copy
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeVar

import yaml

from spatialqa.errors import RecipeError

R = TypeVar("R")


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    execution: bool = False,
    path: bool = False,
    only: str = "",
) -> Any:
    """Declare a recipe key.

    `execution` keys say how to run and `path` keys where inputs lie: neither is identity. `only` names the kind of
    rooms or clips that the key is for; with any other it must keep its default.
    """
    extra = {
        "help": help,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "execution": execution,
        "path": path,
        "only": only,
    }
    if isinstance(default, dict | list):
        return field(default_factory=lambda: copy.copy(default), metadata=extra)
    return field(default=default, metadata=extra)


def build(cls: type[R], values: Mapping[str, Any], where: str) -> R:
    """Make a recipe of class `cls` from plain values; unknown keys and wrong types raise RecipeError."""
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    resolved = {}
    for given, value in values.items():
        name = str(given).replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
            raise RecipeError(f"{where}: unknown key {given!r}; {hint}")
        resolved[name] = _checked(known[name], hints[name], value, where)
    return cls(**resolved)


def _checked(f: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    try:
        value = _coerce(hint, value)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {f.name} = {value!r} {error}") from None
    meta = f.metadata
    if meta.get("choices") and value is not None and value not in meta["choices"]:
        raise RecipeError(f"{where}: {f.name} = {value!r} must be one of {', '.join(meta['choices'])}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise RecipeError(f"{where}: {f.name} = {value!r} must be a finite number")
        if meta.get("minimum") is not None and value < meta["minimum"]:
            raise RecipeError(f"{where}: {f.name} = {value} must be at least {meta['minimum']:g}")
        if meta.get("maximum") is not None and value > meta["maximum"]:
            raise RecipeError(f"{where}: {f.name} = {value} must be at most {meta['maximum']:g}")
    return value


def _coerce(hint: Any, value: Any) -> Any:
    """Return value as the hinted type: YAML values are typed already, command line values are strings."""
    if isinstance(hint, types.UnionType):  # X | None
        inner = next(part for part in hint.__args__ if part is not types.NoneType)
        return None if value is None else _coerce(inner, value)
    origin = typing.get_origin(hint)
    if origin in (list, tuple):
        items = (value.split(",") if value else []) if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise TypeError("must be a list, such as a,b,c")
        inner = typing.get_args(hint)[0]
        return origin(_coerce(inner, item.strip() if isinstance(item, str) else item) for item in items)
    if origin is dict:
        return _coerce_dict(hint, value)
    if hint is Any:
        try:
            return yaml.safe_load(value) if isinstance(value, str) else value
        except yaml.YAMLError:
            raise TypeError("must be a YAML value") from None
    if hint is bool:
        if not isinstance(value, bool):
            raise TypeError("must be true or false")
        return value
    if hint is str:
        if isinstance(value, dict | list | bool) or value is None:
            raise TypeError("must be a text")
        return str(value)
    if isinstance(value, bool) or (hint is int and isinstance(value, float) and not value.is_integer()):
        raise TypeError("must be a whole number" if hint is int else "must be a number")
    try:
        return hint(value)
    except (TypeError, ValueError):
        raise TypeError("must be a whole number" if hint is int else "must be a number") from None


def _coerce_dict(hint: Any, value: Any) -> dict[Any, Any]:
    key_type, value_type = typing.get_args(hint)
    if isinstance(value, str):
        parts = [part.split("=", 1) for part in value.split(",") if part]
        if any(len(part) != 2 for part in parts):
            raise TypeError("must be KEY=VALUE pairs separated by commas")
        value = dict(parts)
    if not isinstance(value, Mapping):
        raise TypeError("must be a mapping")
    pairs = {_coerce(key_type, k): _coerce(value_type, v) for k, v in value.items()}
    if any(isinstance(v, float) and not math.isfinite(v) for v in pairs.values()):
        raise TypeError("must hold finite numbers")
    return pairs


def execution_keys(cls: type) -> set[str]:
    """Return the keys that say how to run, not what to make."""
    return {field.name for field in dataclasses.fields(cls) if field.metadata["execution"]}
