"""Saves scenes by hand as a data set: the same records, shards and checks as drawn scenes have."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spatialqa.api.data_set import Dataset, render
from spatialqa.api.hand_made import RenderedScene
from spatialqa.core.files import commit_file
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import RecipeError
from spatialqa.generation.placements import write_placements

_TABLE = "placements.parquet"


def save_scenes(
    out: str | Path,
    scenes: Sequence[RenderedScene],
    *,
    names: Sequence[str] | None = None,
    split: str = "train",
    progress: bool = True,
    **options: Any,
) -> Dataset:
    """Save scenes by hand as a data set.

    Each scene is rendered once more, by the pipeline that renders drawn scenes, and has the same audio again.

    Args:
        out: a new or empty folder.
        scenes: of `render_scene`, with the same room set, clips, engine, duration, gain and seed.
        names: a name for each, kept in the column `scene`; "scene-0", "scene-1", ... by default.
        split: "train", "validation" or "test".
        progress: show how far it is.
        options: further keys of `render`, such as save_rirs=True or workers=2.

    Raises:
        RecipeError: there is no scene, two have one name, or they cannot be in one data set; the message says why.
        DatasetError: the folder holds something else.
    """
    if not scenes:
        raise RecipeError("save_scenes: there is no scene to save")
    names = [f"scene-{k}" for k in range(len(scenes))] if names is None else list(names)
    if len(names) != len(scenes) or len(set(names)) < len(names):
        raise RecipeError(f"save_scenes: {len(scenes)} scenes need as many different names, and {len(names)} are given")
    keys = _common_keys(scenes)
    placed = [replace(scene.placed, name=name, split=split) for scene, name in zip(scenes, names, strict=True)]
    folder = DatasetFolder(Path(out))
    folder.refuse_foreign()
    table = folder.meta / _TABLE
    commit_file(table, lambda path: write_placements(path, placed))
    return render(out, None, progress=progress, **{**keys, **options, "placements": str(table)})


def _common_keys(scenes: Sequence[RenderedScene]) -> dict[str, Any]:
    keys = dict(scenes[0].keys)
    for k, scene in enumerate(scenes):
        if "rooms" not in scene.keys:
            raise RecipeError(
                f"save_scenes: the room of scene {k} was made in Python and cannot be opened again; write it as a mesh "
                f"and open that with open_rooms('mesh:PATH')"
            )
        different = [name for name in sorted({*keys, *scene.keys}) if keys.get(name) != scene.keys.get(name)]
        if different:
            name = different[0]
            raise RecipeError(
                f"save_scenes: scene {k} has {name} {scene.keys.get(name)!r} and scene 0 has {keys.get(name)!r}; "
                f"scenes of one data set share it"
            )
    return keys
