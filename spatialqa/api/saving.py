"""Saves scenes by hand as a data set: the same records, shards and checks as drawn scenes have."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from spatialqa.api.data_set import Dataset, render
from spatialqa.api.hand_made import RenderedScene
from spatialqa.api.values import instance, path_of, text
from spatialqa.clips.clip_table import by_id
from spatialqa.core.files import commit_file
from spatialqa.core.names import SPLITS
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import ClipError, DatasetError, RecipeError, RoomError
from spatialqa.generation.inputs import clips_for, rooms_for
from spatialqa.generation.placements import PlacedScene, read_placements, write_placements
from spatialqa.generation.recipe import RenderRecipe

_TABLE = "placements.parquet"
_DEFAULTS = asdict(RenderRecipe())


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

    Each scene is rendered once more, by the pipeline that renders drawn scenes, and has the same audio again. The same
    call resumes it. Sound files must lie where they were; the table of the scenes is part of the data set, which may be
    moved.

    Args:
        out: a new or empty folder, or one in which these very scenes were begun.
        scenes: of `render_scene`, with the same room set, clips, engine, duration, gain and seed.
        names: a name for each, kept in the column `scene`; "scene-0", "scene-1", ... by default.
        split: "train", "validation" or "test".
        progress: show how far it is.
        options: further keys of `render`, such as save_rirs=True or workers=2.

    Raises:
        RecipeError: there is no scene, two have one name, or they cannot be in one data set; the message says why.
            Nothing is written then.
        ClipError, RoomError: a sound or a room is gone, or has changed since a scene was rendered.
        DatasetError: the folder holds something else.
    """
    scenes = _scenes(scenes)
    if not scenes:
        raise RecipeError("save_scenes: there is no scene to save")
    names = [f"scene-{k}" for k in range(len(scenes))] if names is None else list(names)
    names = [text("save_scenes", f"name {k}", name) for k, name in enumerate(names)]
    if len(names) != len(scenes) or len(set(names)) < len(names):
        raise RecipeError(f"save_scenes: {len(scenes)} scenes need as many different names, and {len(names)} are given")
    if split not in SPLITS:
        raise RecipeError(f"save_scenes: split {split!r} must be one of {', '.join(SPLITS)}")
    keys = _common_keys(scenes)
    placed = [replace(scene.placed, name=name, split=split) for scene, name in zip(scenes, names, strict=True)]
    folder = DatasetFolder(path_of("save_scenes", "out", out))
    folder.refuse_foreign()
    table = folder.meta / _TABLE
    values = {**keys, **options, "placements": str(table)}
    recipe = build(RenderRecipe, values, "save_scenes")
    with _table(folder, table, placed):
        _refuse_changed_rooms(recipe, scenes)
        _refuse_changed_clips(recipe, scenes, placed)
        return render(out, None, progress=progress, **values)


def _scenes(scenes: Sequence[RenderedScene]) -> list[RenderedScene]:
    try:
        found = list(scenes)
    except TypeError:
        raise RecipeError(f"save_scenes: scenes must be a list of scenes, not a {type(scenes).__name__}") from None
    return [instance("save_scenes", f"scene {k}", s, RenderedScene, "render_scene(...)") for k, s in enumerate(found)]


@contextlib.contextmanager
def _table(folder: DatasetFolder, table: Path, placed: Sequence[PlacedScene]) -> Iterator[None]:
    """Write the table into the folder, and take it back where no run begins; the table of a run is never replaced."""
    if folder.exists:
        with tempfile.TemporaryDirectory() as temporary:
            again = Path(temporary) / _TABLE
            write_placements(again, placed)
            same = table.is_file() and read_placements(again).sha256 == read_placements(table).sha256
        if not same:
            raise DatasetError(f"{folder.root}: holds another data set; save these scenes in a folder of their own")
        yield
        return
    made_here = [path for path in (folder.meta, folder.root) if not path.exists()]
    commit_file(table, lambda path: write_placements(path, placed))
    try:
        yield
    except BaseException:
        if not folder.exists:
            table.unlink(missing_ok=True)
            for path in made_here:
                with contextlib.suppress(OSError):
                    path.rmdir()
        raise


def _refuse_changed_rooms(recipe: RenderRecipe, scenes: Sequence[RenderedScene]) -> None:
    rooms = rooms_for(recipe)
    hashes: dict[str, str] = {}
    for k, room in enumerate(scene.room for scene in scenes):
        if room.room_id not in hashes:
            hashes[room.room_id] = rooms.load(room.room_id).sha256
        if hashes[room.room_id] != room.sha256:
            raise RoomError(
                f"save_scenes: room {room.room_id!r} has changed since scene {k} was rendered: render that again"
            )


def _refuse_changed_clips(recipe: RenderRecipe, scenes: Sequence[RenderedScene], placed: Sequence[PlacedScene]) -> None:
    find = by_id(clips_for(recipe).records())
    for k, (scene, own) in enumerate(zip(scenes, placed, strict=True)):
        for used, source in zip(scene.sources, own.sources, strict=True):
            now = find(source.clip) if source.clip else None
            if now is not None and None not in (now.sha256, used.clip_sha256) and now.sha256 != used.clip_sha256:
                raise ClipError(
                    f"save_scenes: {source.clip} has changed since scene {k} was rendered: render that again"
                )


def _common_keys(scenes: Sequence[RenderedScene]) -> dict[str, Any]:
    keys = dict(scenes[0].keys)
    checked = all(scene.keys["check_placements"] for scene in scenes)
    for k, scene in enumerate(scenes):
        if "rooms" not in scene.keys:
            raise RecipeError(
                f"save_scenes: the room of scene {k} was made in Python and cannot be opened again; write it as a mesh "
                f"and open that with open_rooms('mesh:PATH')"
            )
        for name in sorted({*keys, *scene.keys} - {"check_placements"}):
            own, first = (values.get(name, _DEFAULTS.get(name)) for values in (scene.keys, keys))
            if own != first:
                raise RecipeError(
                    f"save_scenes: scene {k} has {name} {own!r} and scene 0 has {first!r}; scenes of one data set "
                    f"share it"
                )
    return {**keys, "check_placements": checked}
