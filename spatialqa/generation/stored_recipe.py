"""The recipe that a data set was rendered with, from its run.json."""

from pathlib import Path
from typing import Any

from spatialqa.core.recipe_keys import build, with_keys_since
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.generation.recipe import RenderRecipe


def stored_recipe(folder: DatasetFolder) -> RenderRecipe:
    """Return the recipe that a data set was rendered with; raises RecipeError where a key of it is not known."""
    return build(RenderRecipe, stored_values(folder), str(folder.meta / "run.json"))


def stored_values(folder: DatasetFolder) -> dict[str, Any]:
    """Return the recipe of a data set as plain values.

    A table of placements that lies in the data set itself is taken from there, so that a data set can be moved.
    """
    values = with_keys_since(RenderRecipe, folder.read_run().recipe)
    table = Path(str(values.get("placements")))
    own = folder.meta / table.name
    if table.parent.name == folder.meta.name and own.is_file():
        values = {**values, "placements": str(own.absolute())}
    return values
