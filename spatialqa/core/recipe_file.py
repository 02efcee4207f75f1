"""Recipe files: YAML whose sections are `render`, `make-qa`, `train` and `answer`, each a mapping of recipe keys."""

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from spatialqa.core.input_files import path_fault
from spatialqa.core.strict_yaml import read_yaml
from spatialqa.errors import RecipeError, shown

SECTIONS = ("render", "make-qa", "train", "answer")  # of a recipe file; the last two are for the models


def read_recipe(path_or_name: str) -> dict[str, dict[str, Any]]:
    """Read a recipe file, or a bundled recipe by its bare name, into its sections as plain values.

    Raises:
        RecipeError: there is no such file, or it is not a recipe.
    """
    where = f"recipe {path_or_name}"
    data = read_yaml(_file(path_or_name), where, RecipeError) or {}
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: must be a mapping with the sections {', '.join(SECTIONS)}")
    data.pop("description", None)
    for section, values in data.items():
        if section not in SECTIONS:
            raise RecipeError(f"{where}: unknown section {shown(section)}; known: {', '.join(SECTIONS)}")
        if not isinstance(values, dict):
            raise RecipeError(f"{where}: section {section!r} must be a mapping of keys")
    return data


def _file(path_or_name: str) -> Traversable:
    if fault := path_fault(path_or_name):
        raise RecipeError(f"recipe {shown(path_or_name)}: the path {fault}")
    path = Path(path_or_name)
    if path.exists():
        return path
    bundled = importlib.resources.files("spatialqa.recipes")
    names = sorted(item.name for item in bundled.iterdir() if item.name.endswith(".yaml"))
    if (name := path_or_name.removesuffix(".yaml") + ".yaml") in names:
        return bundled / name
    raise RecipeError(f"no recipe file {path_or_name!r}; bundled recipes: {', '.join(names)}")
