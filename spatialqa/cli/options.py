"""Recipe keys as command line options: declares an option for every field, and resolves values and recipes."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from spatialqa.cli.help import KeyOption
from spatialqa.core.input_files import path_fault
from spatialqa.core.names import table_name_fault
from spatialqa.core.recipe_file import read_recipe
from spatialqa.core.recipe_keys import KIND_AND_PATH, LARGEST_SEED, build, plain_names
from spatialqa.errors import RecipeError, shown

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


def PATH(value: Any) -> Path:  # noqa: N802  # a type of options, as click.INT is
    """Return a path that a file system takes; click's own type lets any text through."""
    text = str(value)
    if fault := "is empty" if not text else path_fault(text):
        raise click.BadParameter(f"the path {shown(text)} {fault}")
    return Path(text)


def PATHS(value: Any) -> list[Path]:  # noqa: N802
    """Return paths that are separated by commas."""
    return [PATH(part) for part in str(value).split(",")]


def TEXT(value: Any) -> str:  # noqa: N802
    """Return a name or a path that is looked up later."""
    return str(PATH(value)) if str(value) else ""


def URL(value: Any) -> str:  # noqa: N802
    """Return an address of the web."""
    address = str(value)
    if path_fault(address) or not address.startswith(("http://", "https://")):
        raise click.BadParameter(f"{shown(address)} is not an address, such as https://mirror.example")
    return address


def TABLE(value: Any) -> str:  # noqa: N802
    """Return the NAME of a table of questions, qa-NAME, as it is."""
    if fault := table_name_fault(str(value)):
        raise click.BadParameter(fault)
    return str(value)


SEED = click.IntRange(0, LARGEST_SEED)
MANY = 1_000_000_000  # the most of anything that an option counts

out_argument = click.argument(
    "out",
    type=PATH,
    default=Path("spatialqa-out"),
    shell_complete=lambda ctx, param, incomplete: [CompletionItem(incomplete, type="dir")],
)
recipe_option = click.option("--recipe", metavar="FILE", help="Recipe file, or name of a bundled recipe.")


def keys_of(*classes: type, without: Sequence[str] = (), only: Sequence[str] = ()) -> Callable[[F], F]:
    """Give a command one option for every key of some recipe classes; those not given arrive as None.

    Where there are several classes, each is a way to run the command that its field `model` names; the help of a key
    that they describe differently has what each of them says, and make the command a ModelsCommand. Keys named in
    `without`, or not named in `only` where there is one, have no effect on the command and are not options of it.
    """
    fields: dict[str, dict[str, dataclasses.Field[Any]]] = {}
    for cls in classes:
        for field in sorted(dataclasses.fields(cls), key=lambda f: f.name not in cls.__annotations__):  # its own first
            if field.name not in without and (not only or field.name in only):
                fields.setdefault(field.name, {})[_model(cls)] = field

    def decorate(command: F) -> F:
        for name, found in reversed(fields.items()):
            command = _option(name, found, "" if len(found) == len(classes) else ", ".join(found))(command)
        return command

    return decorate


def _option(name: str, found: dict[str, "dataclasses.Field[Any]"], models: str) -> Callable[[F], F]:
    flag, first = "--" + name.replace("_", "-"), next(iter(found.values()))
    choices = tuple(dict.fromkeys(choice for field in found.values() for choice in field.metadata["choices"]))
    switch = isinstance(_default(first), bool)
    return click.option(
        f"{flag}/--no-{flag[2:]}" if switch else flag,
        cls=KeyOption,
        models=models,
        values=choices,
        is_path=first.metadata["path"],
        standard=_default(first),
        default=None,
        metavar=None if switch else "|".join(choices) or type_name(first),
        help=_help(name, found),
    )


def type_name(field: "dataclasses.Field[Any]") -> str:
    """Return what the value of a recipe key is, in capitals, as help texts show it."""
    hint = str(getattr(field.type, "__name__", field.type)) if isinstance(field.type, type) else str(field.type)
    if field.name in KIND_AND_PATH:
        return "KIND[:PATH]"
    if field.metadata["path"]:
        return "PATH,..." if hint.startswith(("list", "tuple")) else "PATH"
    if hint.startswith("dict"):
        return "KEY=VALUE,..."
    if hint.startswith(("list", "tuple")):
        return "A,B,..."
    return {"int": "INTEGER", "float": "NUMBER"}.get(hint.partition(" ")[0], "TEXT")


def _help(name: str, found: dict[str, "dataclasses.Field[Any]"]) -> str:
    texts = {model: field.metadata["help"] for model, field in found.items()}
    shown = {model: _shown(_default(field), field.metadata["path"]) for model, field in found.items()}
    if len(set(texts.values())) == 1:
        alike = len(set(shown.values())) == 1 or name == "model"
        values = next(iter(shown.values())) if alike else ", ".join(f"{model} {text}" for model, text in shown.items())
        return f"{next(iter(texts.values()))} [{values}]"
    choices = {model: "|".join(field.metadata["choices"]) for model, field in found.items()}
    who = {model: model if len(set(choices.values())) == 1 else f"{model}: {choices[model]}" for model in found}
    return "; ".join(f"({who[model]}) {texts[model]} [{shown[model]}]" for model in found)


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[operator]


def _model(cls: type) -> str:
    return next((str(field.default) for field in dataclasses.fields(cls) if field.name == "model"), "")


def _shown(default: Any, path: bool) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, dict):
        return ",".join(f"{k}={v}" for k, v in default.items()) or "none"
    if isinstance(default, list | tuple):
        return ",".join(map(str, default)) or ("none" if path else "all")
    return "none" if default is None else str(default)


def resolve(cls: type[R], section: str, recipe: str | None, given: dict[str, Any], base: dict[str, Any]) -> R:
    """Make a recipe: defaults, then `base`, then the recipe file's section, then what was typed."""
    values = plain_names(base, "the recipe of the data set")
    if recipe:
        values |= plain_names(read_recipe(recipe).get(section, {}), f"recipe {recipe}")
        build(cls, values, f"recipe {recipe}")
    typed = {name: value for name, value in given.items() if value is not None}
    return build(cls, values | typed, "command line")


def resolve_model(classes: Sequence[type[Any]], section: str, recipe: str | None, given: dict[str, Any]) -> Any:
    """Make the recipe whose class the key `model` names, typed or in the recipe file; the first class by default.

    Raises:
        RecipeError: there is no such model, or a key is another model's.
    """
    written = read_recipe(recipe).get(section, {}) if recipe else {}
    by_model = {_model(cls): cls for cls in classes}
    model = str(given.get("model") or written.get("model") or _model(classes[0]))
    if model not in by_model:
        raise RecipeError(f"model = {shown(model)} must be one of {', '.join(by_model)}")
    own = {field.name for field in dataclasses.fields(by_model[model])}
    for name, value in given.items():
        if value is not None and name not in own:
            raise RecipeError(f"--{name.replace('_', '-')} is not a key of the model {model}; leave it out")
    typed = {name: value for name, value in given.items() if name in own}
    return resolve(by_model[model], section, recipe, typed, {})
