"""Every option of every command: numbers have bounds, and a text is checked by its type."""

import dataclasses
import typing
from collections.abc import Iterator

import click
import pytest

from spatialqa.cli.help import KeyOption
from spatialqa.cli.main import cli
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.models.bat.recipe import BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.qa.recipe import QaRecipe
from tests.hostile.test_bad_input import CASES

RECIPES = (RenderRecipe, QaRecipe, TrainRecipe, BATRecipe)


def options(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Parameter]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from options(below, (*words, name))
        return
    for parameter in command.params:
        yield " ".join((*words, parameter.opts[0])), parameter


def tried(where: str) -> bool:
    """Tell whether the table of bad input has a case of this command, with this option where it is one."""
    *command, name = where.split()
    return any(
        words[: len(command)] == tuple(command) and (name in words or not name.startswith("-")) for words, _ in CASES
    )


def test_numbers_have_bounds_and_texts_a_type() -> None:
    loose = []
    for where, parameter in options(cli):
        if isinstance(parameter, KeyOption) or getattr(parameter, "is_flag", False) or parameter.expose_value is False:
            continue
        kind = parameter.type
        if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
            if not (isinstance(kind, click.IntRange | click.FloatRange) and None not in (kind.min, kind.max)):
                loose.append(where)
        elif kind is click.STRING and not tried(where):  # click takes any text: bad ones are in the table of cases
            loose.append(where)
    assert loose == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_number_of_a_recipe_has_bounds(recipe: type) -> None:
    hints = typing.get_type_hints(recipe)
    loose = [
        field.name
        for field in dataclasses.fields(recipe)
        if {int, float} & {hints[field.name], *typing.get_args(hints[field.name])}
        and (field.metadata["minimum"] is None or field.metadata["maximum"] is None)
    ]
    assert loose == []
