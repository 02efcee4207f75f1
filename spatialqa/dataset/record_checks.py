"""Checks of what a JSON record says, beyond the types of its fields: names, paths, and the keys that readers need."""

import re
from pathlib import Path
from typing import Any

from spatialqa.dataset.json_records import RunRecord
from spatialqa.errors import DatasetError

REJECTS = "_spatialqa/rejects"

SHARD_NAME = re.compile(r"(?:train|validation|test)-[0-9]{5}-of-[0-9]{5}")


def check_shard_name(where: Path, name: Any) -> str:
    """Return a shard's name as it is; raises DatasetError for one that is none, such as a path."""
    if not isinstance(name, str) or not SHARD_NAME.fullmatch(name):
        raise DatasetError(f"{where}: {str(name)[:80]!r} is not the name of a shard; the record is damaged")
    return name


def check_table_path(where: Path, path: Any, table: str) -> str:
    """Return the path of a table's file as it is; raises DatasetError for one that leads elsewhere."""
    folder, _, file = str(path).partition("/")
    if folder != table or not file.endswith(".parquet") or not SHARD_NAME.fullmatch(file.removesuffix(".parquet")):
        raise DatasetError(f"{where}: {str(path)[:80]!r} is not a file of the table {table}; the record is damaged")
    return str(path)


def belongs_to(path: str, shard: str) -> bool:
    """Return whether a path can be that of a file of a shard: a table's, or its rejects."""
    table, _, file = path.rpartition("/")
    return table in ("scenes", "groups", "rirs", REJECTS) and file.rpartition(".")[0] == shard


def check_recipe(path: Path, run: RunRecord) -> None:
    """Raise DatasetError where a run's recipe lacks a key that every reader needs, or has one of another type."""
    needed: dict[str, type | tuple[type, ...]] = {"rooms": str, "clips": str, "seed": int}
    if run.engine.name != "none":
        needed |= dict.fromkeys(("sample_rate", "duration_s", "gain_db"), (int, float))
    recipe = {"channels": "binaural"} | run.recipe  # which older versions did not name
    for name, kind in (needed | {"channels": str}).items():
        if not isinstance(recipe.get(name), kind):
            raise DatasetError(
                f"{path}: is damaged or of another version (its recipe has no usable {name}); repeat the command that "
                f"began the data set: it writes this record again and keeps every whole shard"
            )
