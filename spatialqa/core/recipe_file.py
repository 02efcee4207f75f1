"""Recipe files: YAML whose sections are `render`, `make-qa`, `train` and `answer`, each a mapping of recipe keys."""

import importlib.resources
from pathlib import Path
from typing import Any

import yaml

from spatialqa.errors import RecipeError

SECTIONS = ("render", "make-qa", "train", "answer")  # of a recipe file; the last two are for the models


def read_recipe(path_or_name: str) -> dict[str, dict[str, Any]]:
    """Read a recipe file, or a bundled recipe by its bare name, into its sections as plain values."""
    path = Path(path_or_name)
    bundled = importlib.resources.files("spatialqa.recipes")
    if not path.is_file():
        candidate = bundled / f"{path.stem}.yaml"
        if not candidate.is_file():
            names = sorted(item.name for item in bundled.iterdir() if item.name.endswith(".yaml"))
            raise RecipeError(f"no recipe file {path_or_name!r}; bundled recipes: {', '.join(names)}")
        data_bytes = candidate.read_bytes()
    else:
        data_bytes = path.read_bytes()
    try:
        data = yaml.safe_load(data_bytes.decode("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path_or_name}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise RecipeError(f"recipe {path_or_name}: must be a mapping with the sections {', '.join(SECTIONS)}")
    data.pop("description", None)
    for section, values in data.items():
        if section not in SECTIONS:
            raise RecipeError(f"recipe {path_or_name}: unknown section {section!r}; known: {', '.join(SECTIONS)}")
        if not isinstance(values, dict):
            raise RecipeError(f"recipe {path_or_name}: section {section!r} must be a mapping of keys")
    return data
