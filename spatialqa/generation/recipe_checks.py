"""Checks of a recipe of `render` that say which keys have no effect beside others."""

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from spatialqa.errors import RecipeError, shown

if TYPE_CHECKING:
    from spatialqa.generation.recipe import RenderRecipe

_KEYS_OF_DRAWS = (
    *("scenes", "splits", "sources_per_scene", "room_splits", "placement", "source_regions", "yaw"),
    *("directions", "heights", "yaws_per_group"),
    *("groups_per_room", "sources_per_group", "scenes_per_group", "exclude_regions", "clip_start", "class_balance"),
    *("clearance_m", "min_distance_m", "max_distance_m", "onset_max_s", "fill", "bank_mix_listeners"),
)


def refuse_idle_keys(recipe: "RenderRecipe") -> None:
    """Refuse a key that the chosen rooms or clips do not use: its user believes that it has an effect."""
    kinds = (recipe.rooms.partition(":")[0], recipe.clips.partition(":")[0])
    for f in dataclasses.fields(recipe):
        only = f.metadata["only"]
        if only and not set(only.split(",")) & set(kinds) and getattr(recipe, f.name) != _default(f):
            raise RecipeError(
                f"{f.name} is for {only.replace(',', ', ')} and does nothing with rooms {recipe.rooms}, "
                f"clips {recipe.clips}: leave it out"
            )


def refuse_keys_of_draws(recipe: "RenderRecipe") -> None:
    """Refuse what only drawn scenes look at where scenes are placed by hand, and the other way round."""
    if recipe.placements is None and not recipe.check_placements:
        raise RecipeError("check_placements has an effect with placements only: leave it out")
    known = {f.name: f for f in dataclasses.fields(recipe)}
    for name in _KEYS_OF_DRAWS if recipe.placements is not None else ():
        if getattr(recipe, name) != _default(known[name]):
            raise RecipeError(f"{name} has no effect with placements: leave it out")


def check_ray_address(address: str | None) -> None:
    """Refuse what is not the address of a Ray cluster."""
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    whole_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
    if not whole_port or not re.fullmatch(r"[\w.:\[\]-]+", host):
        raise RecipeError(f"ray_address {shown(address)} must be auto or HOST:PORT, such as 10.0.0.1:6379")


def _default(f: "dataclasses.Field[Any]") -> Any:
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
