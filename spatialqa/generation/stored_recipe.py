"""The recipe that a data set was rendered with, from its run.json."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from spatialqa.acoustics.engines import ENGINE_NAMES, engine_taken
from spatialqa.core.recipe_keys import build, with_keys_since
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.generation.recipe import RenderRecipe


def stored_recipe(folder: DatasetFolder) -> RenderRecipe:
    """Return the recipe that a data set was rendered with; raises RecipeError where a key of it is not known."""
    return build(RenderRecipe, stored_values(folder), str(folder.meta / "run.json"))


def stored_values(folder: DatasetFolder) -> dict[str, Any]:
    """Return the recipe of a data set as plain values.

    A table of placements that lies in the data set itself is taken from there, so that a data set can be moved.
    The engine is the one that was used, where the recipe left it to `auto`.
    """
    run = folder.read_run()
    values = with_keys_since(RenderRecipe, run.recipe)
    if values.get("engine") == "auto":
        values = {**values, "engine": _known(run.engine.name)}
    table = Path(str(values.get("placements")))
    own = folder.meta / table.name
    if table.parent.name == folder.meta.name and own.is_file():
        values = {**values, "placements": str(own.absolute())}
    return values


def with_engine_named(recipe: RenderRecipe, folder: DatasetFolder) -> RenderRecipe:
    """Return the recipe with the engine that `auto` takes: that of the data set, where it has begun.

    A bank has its RIRs, and the recipe keeps `auto`.
    """
    if recipe.engine != "auto" or recipe.rooms.startswith("bank:"):
        return recipe
    return replace(recipe, engine=engine_taken(_known(folder.engine_used())))


def _known(engine: str | None) -> str:
    """Return the engine of a data set, or "auto" where none was used: there is only a plan, or a bank."""
    return engine if engine in ENGINE_NAMES else "auto"
