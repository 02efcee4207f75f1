"""Opens the room set that a recipe names."""

from pathlib import Path

from spatialqa.errors import RecipeError
from spatialqa.recipe import RenderRecipe
from spatialqa.rooms.mesh import MeshRooms
from spatialqa.rooms.procedural import ProceduralRooms
from spatialqa.rooms.room import RoomSet


def open_rooms(recipe: RenderRecipe) -> RoomSet:
    """Return the room set of `recipe.rooms`.

    Raises:
        RecipeError: no room set has that name.
        RoomError: the rooms cannot be read.
    """
    kind, _, path = recipe.rooms.partition(":")
    if kind == "procedural" and not path:
        return ProceduralRooms(recipe.home_kinds or None)
    if kind == "mesh" and path:
        return MeshRooms(
            Path(path),
            up=recipe.up,
            unit_scale=recipe.unit_scale,
            material_map=Path(recipe.materials) if recipe.materials else None,
            default_material=recipe.default_material,
        )
    raise RecipeError(f"rooms {recipe.rooms!r} is not known: use procedural, or mesh:PATH with a mesh file or folder")
