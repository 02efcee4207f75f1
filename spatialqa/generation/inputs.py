"""Opens the room set that a recipe names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spatialqa.errors import RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.rooms.room import RoomSet
from spatialqa.rooms.scans.hm3d_gibson_replica import GibsonRooms, HM3DRooms, ReplicaRooms, TreeOptions
from spatialqa.rooms.scans.matterport import Matterport3DRooms
from spatialqa.rooms.scans.matterport_files import find_root

_TREES: dict[str, Callable[..., RoomSet]] = {"hm3d": HM3DRooms, "gibson": GibsonRooms, "replica": ReplicaRooms}


def open_rooms(recipe: RenderRecipe) -> RoomSet:
    """Return the room set of `recipe.rooms`.

    Raises:
        RecipeError: no room set has that name.
        RoomError: the rooms cannot be read.
    """
    kind, _, path = recipe.rooms.partition(":")
    if kind == "procedural" and not path:
        return ProceduralRooms(recipe.home_kinds or None)
    if kind == "mp3d":
        if path and recipe.mp3d_root:
            raise RecipeError(f"rooms {recipe.rooms!r} and mp3d_root both name a folder: give one of them")
        return _matterport(recipe, path or recipe.mp3d_root)
    if kind == "mesh" and path:
        return MeshRooms(Path(path), up=recipe.up, unit_scale=recipe.unit_scale, **_mesh_options(recipe))
    if kind in _TREES and path:
        return _TREES[kind](Path(path), **_mesh_options(recipe))
    if kind == "bank" and path:
        from spatialqa.banks.bank_rooms import BankRooms

        return BankRooms(
            Path(path),
            recipe.seed,
            recipe.sources_per_group,
            recipe.min_distance_m,
            recipe.max_distance_m,
            mix_listeners=recipe.bank_mix_listeners,
            yaw_deg=recipe.yaw_deg(),
        )
    raise RecipeError(
        f"rooms {recipe.rooms!r} is not known: use procedural, mp3d, or mesh:PATH, hm3d:DIR, gibson:DIR, replica:DIR, "
        f"bank:PATH"
    )


def with_root(recipe: RenderRecipe) -> RenderRecipe:
    """Return the recipe with the folder of its rooms written down where it was looked for, so that others find it too.

    Raises:
        RoomError: Matterport3D is nowhere.
    """
    if recipe.rooms == "mp3d" and recipe.mp3d_root is None:
        return replace(recipe, mp3d_root=str(find_root(None).absolute()))
    return recipe


def _matterport(recipe: RenderRecipe, root: str | None) -> Matterport3DRooms:
    return Matterport3DRooms(
        Path(root) if root else None,
        splits=recipe.room_splits,
        scenes_list=Path(recipe.scenes_list) if recipe.scenes_list else None,
        default_material=recipe.default_material,
        exclude_regions=recipe.exclude_regions,
        geometry=recipe.geometry,
        target_faces=recipe.target_faces(),
        max_error_m=recipe.max_error_m,
        cache=recipe.cache_folder(),
    )


def _mesh_options(recipe: RenderRecipe) -> TreeOptions:
    return TreeOptions(
        material_map=Path(recipe.materials) if recipe.materials else None,
        default_material=recipe.default_material,
        simplify_faces=recipe.target_faces(),
        max_error_m=recipe.max_error_m,
        cache=MeshCache(recipe.cache_folder()),
    )
