"""Opens the clip set that a recipe names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from spatialqa.clips.audioset.clips import find_root, open_audioset
from spatialqa.clips.clip import ClipSet
from spatialqa.clips.esc50 import Esc50Clips
from spatialqa.clips.folder import FolderClips
from spatialqa.clips.foley.clips import FoleyClips
from spatialqa.clips.fsd50k import Fsd50kClips
from spatialqa.clips.label_filter import LabelMode
from spatialqa.errors import RecipeError
from spatialqa.generation.recipe import RenderRecipe


def open_clips(recipe: RenderRecipe) -> ClipSet:
    """Return the clip set of `recipe.clips`.

    Raises:
        RecipeError: no clip set has that name.
        ClipError: the clips cannot be used.
    """
    kind, _, path = recipe.clips.partition(":")
    labels = cast(LabelMode, recipe.clip_labels)
    if kind == "foley" and not path:
        return FoleyClips(recipe.foley_clips_per_class)
    if kind == "audioset":
        if path and recipe.audioset_root:
            raise RecipeError(f"clips {recipe.clips!r} and audioset_root both name a folder: give one of them")
        root = find_root(path or recipe.audioset_root)
        return open_audioset(
            root, recipe.cache_folder(), labels, _classes(recipe), recipe.min_label_quality, recipe.min_clip_s
        )
    if kind == "fsd50k" and path:
        return Fsd50kClips(path, labels, _classes(recipe), recipe.min_clip_s, recipe.licences or None)
    if kind == "esc50" and path:
        return Esc50Clips(path, _classes(recipe), recipe.min_clip_s, recipe.licences or None)
    if kind == "folder" and path:
        return FolderClips(
            Path(path),
            labels_file=Path(recipe.labels_file) if recipe.labels_file else None,
            unknown_labels="custom" if recipe.unknown_labels == "custom" else "error",
            licence=recipe.licence,
            min_duration_s=recipe.min_clip_s,
            licences=recipe.licences or None,
        )
    raise RecipeError(f"clips {recipe.clips!r} is not known: use foley, audioset, or folder:DIR, fsd50k:DIR, esc50:DIR")


def with_root(recipe: RenderRecipe) -> RenderRecipe:
    """Return the recipe with the folder of its clips written down where it was looked for, so that others find it too.

    Raises:
        ClipError: AudioSet is nowhere.
    """
    if recipe.clips == "audioset" and recipe.audioset_root is None:
        return replace(recipe, audioset_root=str(find_root(None).absolute()))
    return recipe


def _classes(recipe: RenderRecipe) -> str | Sequence[str]:
    """Return `classes` as label filters take them: everything, the name of a list, or names of classes."""
    if not recipe.classes or recipe.classes == ["all"]:
        return "all"
    return "spatialsoundqa" if recipe.classes == ["spatialsoundqa"] else recipe.classes
