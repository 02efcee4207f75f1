"""Opens the clip set that a recipe names."""

from pathlib import Path

from spatialqa.clips.clip import ClipSet
from spatialqa.clips.folder import FolderClips
from spatialqa.clips.foley import FoleyClips
from spatialqa.errors import RecipeError
from spatialqa.recipe import RenderRecipe


def open_clips(recipe: RenderRecipe) -> ClipSet:
    """Return the clip set of `recipe.clips`.

    Raises:
        RecipeError: no clip set has that name.
        ClipError: the clips cannot be used.
    """
    kind, _, path = recipe.clips.partition(":")
    if kind == "foley" and not path:
        return FoleyClips(recipe.foley_clips_per_class)
    if kind == "folder" and path:
        return FolderClips(
            Path(path),
            labels_file=Path(recipe.labels_file) if recipe.labels_file else None,
            unknown_labels="custom" if recipe.unknown_labels == "custom" else "error",
            licence=recipe.licence,
            min_duration_s=recipe.min_clip_s,
            licences=recipe.licences or None,
        )
    raise RecipeError(f"clips {recipe.clips!r} is not known: use foley, or folder:DIR with labelled sound files")
