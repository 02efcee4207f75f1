"""Reference pages from the code: commands, recipe keys, columns, and the names of the Python API."""

import dataclasses
from collections.abc import Iterator
from functools import cache
from typing import Any

import click
import pyarrow as pa

import spatialqa
from spatialqa.cli.main import cli
from spatialqa.cli.options import type_name
from spatialqa.dataset.columns import COMMON, OWN
from spatialqa.dataset.schema import TABLES
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.recipe_help import GROUPS, example
from spatialqa.models.bat.recipe import AnswerRecipe, BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.qa.recipe import QaRecipe


@cache
def pages() -> dict[str, str]:
    """Return the text of every page by its path on the site."""
    return {
        "reference/commands.md": commands(),
        "reference/recipe-keys.md": recipe_keys(),
        "reference/columns.md": columns(),
        "reference/python.md": python_names(),
    }


def commands() -> str:
    """Return a page with the help text of every command."""
    parts = [
        "# Commands\n\nThe help texts of all commands. [In the terminal](../terminal.md) has exit codes and completion."
    ]
    for name, command in _commands(cli, "spatialqa"):
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        context.meta["spatialqa.help_all"] = True
        parts.append(f"## {name.removeprefix('spatialqa ')}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts) + "\n"


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from _commands(below, f"{name} {word}")
    else:
        yield name, command


def recipe_keys() -> str:
    """Return a page with every key of a recipe, by section."""
    parts = [
        "# Recipe keys\n\nA recipe is a YAML file. Each key is also an option of the command, with `-` for `_`. "
        "`--recipe` names a file or a bundled recipe.\n\n## render"
    ]
    fields = {field.name: field for field in dataclasses.fields(RenderRecipe)}
    for title, names in GROUPS.items():
        rows = [_key_row(fields[name], example(name, _default(fields[name]))) for name in names]
        parts.append(f"### {title}\n\n" + _table(["key", "value", "default", "meaning", "example"], rows))
    for section, recipe in (("make-qa", QaRecipe), ("answer", AnswerRecipe)):
        rows = [_key_row(field) for field in dataclasses.fields(recipe)]
        parts.append(f"## {section}\n\n" + _table(["key", "value", "default", "meaning"], rows))
    for model, recipe in (("spatial-ast", TrainRecipe), ("bat", BATRecipe)):
        rows = [_key_row(field) for field in dataclasses.fields(recipe)]
        parts.append(f"## train, model {model}\n\n" + _table(["key", "value", "default", "meaning"], rows))
    return "\n\n".join(parts) + "\n"


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]


def _key_row(field: "dataclasses.Field[Any]", typed: str = "") -> list[str]:
    choices = field.metadata["choices"]
    default = _default(field)
    kind = "true or false" if isinstance(default, bool) else " or ".join(choices) or type_name(field).lower()
    text = _shown(default)
    row = [f"`{field.name}`", kind, text, field.metadata["help"]]
    return [*row, f"`{typed}`"] if typed else row


def _shown(default: Any) -> str:
    if default is None or isinstance(default, bool):
        return {None: "", True: "true", False: "false"}[default]
    if isinstance(default, dict):
        return ", ".join(f"{key}: {value}" for key, value in default.items())
    return ", ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)


def columns() -> str:
    """Return a page with every column of every table."""
    parts = [
        "# Columns\n\nEvery table is a folder of Parquet files. The descriptions are also in the metadata of the files."
    ]
    for table, schema in TABLES.items():
        rows = []
        for field in schema:
            rows.append([f"`{field.name}`", _type(field.type), _described(table, field.name)])
            if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
                rows += [
                    [f"`{field.name}[].{inner.name}`", _type(inner.type), _described(field.name, inner.name)]
                    for inner in field.type.value_type
                ]
        parts.append(f"## {table}\n\n" + _table(["column", "type", "meaning"], rows))
    return "\n\n".join(parts) + "\n"


def _described(table: str, column: str) -> str:
    return OWN.get((table, column)) or COMMON[column]


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        inner = "record" if pa.types.is_struct(kind.value_type) else str(kind.value_type)
        return f"list of {inner}"
    return "record" if pa.types.is_struct(kind) else str(kind)


def python_names() -> str:
    """Return a page with the docstring of every public name."""
    parts = [
        "# Names of the Python API\n\nAll names of `import spatialqa as sqa`; [the Python API](../python.md) uses them."
    ]
    for name in spatialqa.__all__:
        found = getattr(spatialqa, name)
        if name != "__version__":
            parts.append(f"::: {found.__module__}.{name}")
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
