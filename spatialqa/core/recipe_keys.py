"""Recipe keys: how they are declared, read from YAML or the command line, and checked."""

import copy
import dataclasses
import difflib
import math
import operator
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeVar

from spatialqa.core.input_files import path_fault
from spatialqa.core.strict_yaml import load_yaml
from spatialqa.errors import RecipeError, shown

R = TypeVar("R")
LARGEST_SEED = 2**63 - 1  # of the seeds that data sets store
_LONGEST_TEXT = 1000  # characters of a value that is not a path
_MOST_ITEMS = 10_000  # of a list or a mapping
_NEVER = object()  # no value of a key
KIND_AND_PATH = ("rooms", "clips")  # keys that hold KIND or KIND:PATH
_UNITS = {"m": "m", "s": "s", "deg": "degrees", "db": "dB", "dbfs": "dBFS", "min": "minutes", "hz": "Hz"}


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    execution: bool = False,
    path: bool = False,
    only: str = "",
    before: Any = _NEVER,
) -> Any:
    """Declare a recipe key.

    A number needs a `minimum` and a `maximum`, both of which it may be; those of a mapping are for its values. `unit`
    stands in messages where the key's name does not end in its unit. `execution` keys say how to run and `path` keys
    where inputs lie: neither is identity. `only` names the kind of rooms or clips that the key is for; with any other
    it must keep its default. `before` is what holds for data sets that were made before there was the key, where that
    is not its default; a recipe with this value has the identity that it had then.
    """
    extra = {
        "help": help,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "unit": unit,
        "execution": execution,
        "path": path,
        "only": only,
        "before": before,
    }
    if isinstance(default, dict | list):
        return field(default_factory=lambda: copy.copy(default), metadata=extra)
    return field(default=default, metadata=extra)


def plain_names(values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Return values by the names of their keys with `_` for `-`; raises RecipeError for a key that is there twice."""
    named: dict[str, Any] = {}
    for given, value in values.items():
        name = str(given).replace("-", "_")
        if name in named:
            raise RecipeError(f"{where}: the key {shown(name)} is given twice, as {name!r} and {given!r}")
        named[name] = value
    return named


def build(cls: type[R], values: Mapping[str, Any], where: str) -> R:
    """Make a recipe of class `cls` from plain values.

    Raises:
        RecipeError: a key is unknown or given twice, or a value is of the wrong type or out of its bounds.
    """
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    resolved = {}
    for name, value in plain_names(values, where).items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) if len(name) < 100 else []
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
            raise RecipeError(f"{where}: unknown key {shown(name)}; {hint}")
        try:
            resolved[name] = _coerce(hints[name], value)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"{where}: {name} = {shown(value)} {error}") from None
        if fault := _fault(known[name], resolved[name]):
            raise RecipeError(f"{where}: {fault}")
    return cls(**resolved)


def whole(who: str, name: str, value: Any, least: int = 0) -> int:
    """Return a whole number of any library as an int; raises RecipeError unless it is `least` or more."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise RecipeError(f"{who}: {name} {shown(value)} must be a whole number, {least} or more")
    return number


def check_bounds(recipe: Any) -> None:
    """Raise RecipeError for the first value of a recipe that its key does not allow, however the recipe was made."""
    for f in dataclasses.fields(recipe):
        if f.metadata and (fault := _fault(f, getattr(recipe, f.name))):
            raise RecipeError(fault)


def _fault(f: dataclasses.Field[Any], value: Any) -> str | None:
    """Return what is wrong with the value of a key, as "name = value must be ..."; None where nothing is."""
    if isinstance(value, list | tuple | dict):
        if len(value) > _MOST_ITEMS:
            return f"{f.name} has {len(value):,} items: give at most {_MOST_ITEMS:,}"
        parts = [*value.values(), *(key for key in value if isinstance(key, str))] if isinstance(value, dict) else value
    else:
        parts = [value]
    faults = (_path_fault(f, part) if f.metadata["path"] else _part_fault(f, part) for part in parts)
    why = next(filter(None, faults), None)
    if f.metadata["choices"] and value is not None and value not in f.metadata["choices"]:
        why = f"must be one of {', '.join(f.metadata['choices'])}"
    return f"{f.name} = {shown(value)} {why}" if why else None


def _part_fault(f: dataclasses.Field[Any], value: Any) -> str | None:
    return _text_fault(value) if isinstance(value, str) else _number_fault(f, value)


def _number_fault(f: dataclasses.Field[Any], value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    unit = f.metadata["unit"] or _UNITS.get(f.name.rpartition("_")[2], "")
    least, most = f.metadata["minimum"], f.metadata["maximum"]
    if least is not None and value < least:
        return f"must be at least {_number(least)} {unit}".rstrip()
    if most is not None and value > most:
        return f"must be at most {_number(most)} {unit}".rstrip()
    return None


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _text_fault(text: str) -> str | None:
    if not text:
        return "is empty: leave it out"
    if len(text) > _LONGEST_TEXT:
        return f"is too long: {len(text):,} characters, and at most {_LONGEST_TEXT:,} are read"
    if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in text):
        return "holds a control character, or one that is not UTF-8"
    return None


def _path_fault(f: dataclasses.Field[Any], text: Any) -> str | None:
    """Check a path; where the key holds KIND or KIND:PATH, the path alone."""
    if not isinstance(text, str):
        return None
    kind, _, path = text.partition(":") if f.name in KIND_AND_PATH else ("", "", text)
    return _text_fault(kind or path) or path_fault(path)


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
            value = load_yaml(value) if isinstance(value, str) else value
        except ValueError:
            raise TypeError("must be a YAML value") from None
        if not isinstance(value, bool | int | float | str | None):
            raise TypeError("must hold single values, no lists and mappings")
        return value
    if hint is bool:
        if not isinstance(value, bool):
            raise TypeError("must be true or false")
        return value
    if hint is str:
        if isinstance(value, bool):  # what YAML makes of on, off, yes and no
            raise TypeError("must be a text: put it in quotes")
        if isinstance(value, dict | list) or value is None:
            raise TypeError("must be a text")
        return str(value)
    if isinstance(value, bool) or (hint is int and isinstance(value, float) and not value.is_integer()):
        raise TypeError("must be a whole number" if hint is int else "must be a number")
    try:
        return hint(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError("must be a whole number" if hint is int else "must be a number") from None


def _coerce_dict(hint: Any, value: Any) -> dict[Any, Any]:
    key_type, value_type = typing.get_args(hint)
    if isinstance(value, str):
        parts = [part.split("=", 1) for part in value.split(",") if part]
        if any(len(part) != 2 for part in parts):
            raise TypeError("must be KEY=VALUE pairs separated by commas")
        if len({part[0].strip() for part in parts}) < len(parts):
            raise TypeError("names a key twice")
        value = dict(parts)
    if not isinstance(value, Mapping):
        raise TypeError("must be a mapping")
    pairs = {_coerce(key_type, k): _coerce(value_type, v) for k, v in value.items()}
    if len(pairs) < len(value):
        raise TypeError("names a key twice")
    if any(isinstance(v, float) and not math.isfinite(v) for v in pairs.values()):
        raise TypeError("must hold finite numbers")
    return pairs


def as_before(f: dataclasses.Field[Any], value: Any) -> bool:
    """Return whether a key has the value that holds for data sets from before there was the key."""
    return f.metadata["before"] is not _NEVER and bool(value == f.metadata["before"])


def with_keys_since(cls: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values of a recipe, and what holds for it of keys that came later."""
    since = {f.name: f.metadata["before"] for f in dataclasses.fields(cls) if f.metadata["before"] is not _NEVER}
    return {**since, **stored}


def execution_keys(cls: type) -> set[str]:
    """Return the keys that say how to run, not what to make."""
    return {field.name for field in dataclasses.fields(cls) if field.metadata["execution"]}
