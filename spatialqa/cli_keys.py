"""Recipe keys as command line options: every field of a recipe class is one, and one place resolves them."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import click

from spatialqa.recipe import read_recipe
from spatialqa.recipe_keys import build

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


def keys_of(cls: type) -> Callable[[F], F]:
    """Give a command one option for every key of a recipe class; those not given arrive as None."""

    def decorate(command: F) -> F:
        for field in reversed(dataclasses.fields(cls)):
            flag = "--" + field.name.replace("_", "-")
            default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            text = field.metadata["help"]
            if isinstance(default, bool):
                declared = click.option(f"{flag}/--no-{flag[2:]}", default=None, help=f"{text} [{_shown(default)}]")
            else:
                declared = click.option(flag, default=None, metavar=_metavar(field), help=f"{text} [{_shown(default)}]")
            command = declared(command)
        return command

    return decorate


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, dict):
        return ",".join(f"{k}={v}" for k, v in default.items()) or "none"
    if isinstance(default, list | tuple):
        return ",".join(map(str, default)) or "all"
    return "none" if default is None else str(default)


def _metavar(field: "dataclasses.Field[Any]") -> str:
    return "|".join(field.metadata["choices"]) or "VALUE"


def resolve(cls: type[R], section: str, recipe: str | None, given: dict[str, Any], base: dict[str, Any]) -> R:
    """Make a recipe: defaults, then `base`, then the recipe file's section, then what was typed."""
    values = dict(base)
    if recipe:
        values |= {str(name).replace("-", "_"): value for name, value in read_recipe(recipe).get(section, {}).items()}
        build(cls, values, f"recipe {recipe}")
    typed = {name: value for name, value in given.items() if value is not None}
    return build(cls, values | typed, "command line")


def execution_keys(cls: type) -> set[str]:
    """Return the keys that say how to run, not what to make."""
    return {field.name for field in dataclasses.fields(cls) if field.metadata["execution"]}


def table_name(name: str | None) -> str:
    """Return the table that `make-qa --name NAME` writes."""
    return f"qa-{name}" if name else "qa"
