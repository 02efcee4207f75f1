"""Finds the files of Matterport3D scans, in Habitat's layout and in Matterport's own."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spatialqa.core.input_files import read_text
from spatialqa.errors import RoomError
from spatialqa.rooms.scans.matterport_tables import split_of

ROOT_VARIABLE = "SPATIALQA_MP3D_ROOT"
DEFAULT_ROOT = Path("data/scene_datasets/mp3d")

# Where the scene folders are under a root, by what it was downloaded with and how much of the path was kept.
_NESTINGS = (".", "v1/scans", "scans", "v1/tasks/mp3d", "mp3d")


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene; None for what is not there. A scene has a GLB or a semantic PLY or both.

    ply: with `object_id` at every face (Habitat), or, where own_layout, with `face_material` (Matterport).
    """

    scene: str
    glb: Path | None
    ply: Path | None
    house: Path | None
    own_layout: bool = False


def find_root(option: Path | None) -> Path:
    """Return the folder of Matterport3D: `option`, else $SPATIALQA_MP3D_ROOT, else data/scene_datasets/mp3d.

    It is absolute, so that it is the same folder from everywhere.

    Raises RoomError, with where it looked and how the data are obtained, when it is not there.
    """
    variable = os.environ.get(ROOT_VARIABLE)
    root = option or (Path(variable) if variable else DEFAULT_ROOT)
    if root.is_dir():
        return root.absolute()
    places = [f"--mp3d-root ({option or 'not given'})", f"${ROOT_VARIABLE} ({variable or 'not set'})"]
    places = places[: 1 if option else 2] + ([] if option or variable else [f"{DEFAULT_ROOT} (not there)"])
    raise RoomError(
        f"Matterport3D was not found; looked at {', '.join(places)}: its makers give the scans to those who send them "
        f"the signed terms of use (niessner.github.io/Matterport), then name the folder with --mp3d-root"
    )


def find_scenes(root: Path) -> dict[str, SceneFiles]:
    """Return the scenes under a root, by name in order.

    Raises RoomError, with what was looked for, when there is none, or when a folder may not be read.
    """
    for nesting in _NESTINGS:
        folder = root / nesting
        try:
            folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
            scenes = {files.scene: files for files in map(_scene_files, folders) if files}
        except OSError as error:
            raise RoomError(f"cannot read {error.filename or folder}: {error.strerror}") from error
        if scenes:
            return scenes
    if alone := _without_mesh(root):
        raise RoomError(
            f"{root} has {alone.relative_to(root)}, but not the mesh of this scene: copy {alone.stem}.glb or "
            f"{alone.stem}_semantic.ply beside it"
        )
    raise RoomError(
        f"{root} holds no Matterport3D scene: looked for <scene>/<scene>.glb, <scene>/<scene>_semantic.ply and "
        f"<scene>/house_segmentations/<scene>.ply (unpack the zip files) in it and in {', '.join(_NESTINGS[1:])}"
    )


def _without_mesh(root: Path) -> Path | None:
    """Return a .house file of a scene whose mesh is not there, or None."""
    patterns = (f"{nesting}/*/*.house" for nesting in _NESTINGS)
    return next((path for pattern in patterns for path in sorted(root.glob(pattern))), None)


def _scene_files(folder: Path) -> SceneFiles | None:
    scene = folder.name
    glb, ply = _there(folder / f"{scene}.glb"), _there(folder / f"{scene}_semantic.ply")
    house = _there(folder / f"{scene}.house")
    if ply is None:
        # the zip of a scene holds a folder of its name
        for own in (folder / "house_segmentations", folder / scene / "house_segmentations"):
            if (own_ply := _there(own / f"{scene}.ply")) is not None:
                return SceneFiles(scene, glb, own_ply, _there(own / f"{scene}.house") or house, own_layout=True)
    return SceneFiles(scene, glb, ply, house) if glb or ply else None


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def read_scenes_list(path: Path, scenes: Mapping[str, SceneFiles]) -> dict[str, SceneFiles]:
    """Return the scenes that a file names, one a line; what follows a `#` is a comment.

    Raises RoomError when the file cannot be read, names no scene, or one that is not there.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RoomError(f"cannot read the list of scenes {path}: {error}") from error
    chosen = {}
    for number, line in enumerate(lines, start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if name not in scenes:
            raise RoomError(f"{path}, line {number}: {_not_there(name, scenes)}")
        chosen[name] = scenes[name]
    if not chosen:
        raise RoomError(f"the list of scenes {path} names none: give one scene per line")
    return dict(sorted(chosen.items()))


def _not_there(name: str, scenes: Mapping[str, SceneFiles]) -> str:
    if name in split_of("official"):
        return f"the scene {name!r} of Matterport3D is not among the {len(scenes)} that were found: download it too"
    near = difflib.get_close_matches(name, [*scenes, *split_of("official")], n=1)
    shown = f"did you mean {near[0]!r}?" if near else f"found were {', '.join(list(scenes)[:8])}"
    return f"there is no scene {name[:40]!r} of Matterport3D: {shown}"
