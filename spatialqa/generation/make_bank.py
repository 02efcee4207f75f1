"""Makes a bank of RIRs: places and simulates listeners and sources, without scenes.

`spatialqa rirs` makes one and `--rooms bank:DIR` uses it. Its shards are made, committed and resumed as those of a data
set are.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.core.recipe_keys import execution_keys, with_keys_since
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import prepare_bank, run_record
from spatialqa.generation.runner import Observer, make_shards

# What is about sounds and scenes, beside the keys that are for one kind of clips; a bank has neither.
SCENE_KEYS = (
    "scenes_per_group",
    "clips",
    "clip_rms_dbfs",
    "clip_start",
    "fill",
    "inaudible",
    "audible_dbfs",
    "class_balance",
    "clip_splits",
    "scenes",
    "onset_max_s",
    "mix",
    "duration_s",
    "gain_db",
    "plan_only",
    "save_rirs",
)


@dataclass(frozen=True)
class BankSummary:
    """What a finished bank holds."""

    root: Path
    groups: int
    groups_planned: int
    rirs: int
    draws_rejected: int
    shards: int
    shards_resumed: int
    warnings: tuple[str, ...]


def bank_recipe(recipe: RenderRecipe) -> RenderRecipe:
    """Return the recipe with every key about sounds and scenes at its default, so that none changes the bank."""
    kind = recipe.rooms.partition(":")[0]
    idle = {
        f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        for f in dataclasses.fields(RenderRecipe)
        if f.name in SCENE_KEYS or (f.metadata["only"] and kind not in f.metadata["only"].split(","))
    }
    values: dict[str, Any] = {**idle, "sources_per_scene": {1: 1.0}}
    return dataclasses.replace(recipe, **values)


def stored_bank(root: Path) -> tuple[dict[str, Any], int]:
    """Return what a bank was made of: the values of its recipe, without execution keys, and how many groups.

    Raises:
        DatasetError: the folder is not a bank of RIRs.
    """
    run = DatasetFolder(root).read_run()
    groups = run.fingerprint.get("bank_groups")
    if run.makes != "groups" or not isinstance(groups, int):
        raise DatasetError(f"{root}: is not a bank of RIRs; name one that `spatialqa rirs` made")
    idle = execution_keys(RenderRecipe)
    stored = with_keys_since(RenderRecipe, run.recipe)
    return {name: value for name, value in stored.items() if name not in idle}, groups


def make_bank(recipe: RenderRecipe, root: Path, groups: int, observer: Observer) -> BankSummary:
    """Make a bank, or what is missing of it.

    Args:
        recipe: rooms, placement, engine and splits; its keys about sounds and scenes do not count.
        root: where; a new or empty folder, or one that this very command has begun.
        groups: how many listener groups, over all splits; each gives sources_per_group RIRs.
        observer: receives progress; it counts groups.

    Raises:
        SpatialQAError: the folder is not this run's, rooms or engine cannot be used, or a shard could not be made (what
            was made stays and counts).
    """
    if groups < 1:
        raise RecipeError(f"a bank needs 1 or more groups, got {groups}")
    if recipe.plan_only:
        raise RecipeError("plan_only simulates no RIRs, and a bank consists of RIRs: leave it out")
    if recipe.rooms.startswith("bank:"):
        raise RecipeError(f"rooms {recipe.rooms} is a bank already: name rooms that can be simulated")
    folder = DatasetFolder(root)
    folder.refuse_foreign()
    run, plan = prepare_bank(bank_recipe(recipe), root, groups)
    with folder.lock(), folder.claimed(run_record(run, plan)):
        summary = make_shards(run, plan, observer)
    return BankSummary(
        root,
        sum(record.groups for record in folder.each_shard()),
        groups,
        sum(item.rows for item in folder.files("rirs")),
        summary.draws_rejected,
        summary.shards,
        summary.shards_resumed,
        summary.warnings,
    )
