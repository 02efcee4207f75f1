"""Computes lines of sight and regions of stored scenes again, from the geometry of the buildings that they name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows, read_scenes, scene_files
from spatialqa.errors import SpatialQAError
from spatialqa.generation.inputs import rooms_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.placement.solids import under_the_sky
from spatialqa.rooms.room import Region, Room, RoomSet

_KEPT_ROOMS = 4  # groups of a shard are of few rooms
_Where = tuple[str | None, str | None, int | None]


@dataclass(eq=False)
class RoomCheck:
    """What was found. unknown: by room, why it could not be opened. problems: a line each, with file and scene."""

    n_sources: int = 0
    rooms: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def checked(self) -> tuple[str, ...]:
        """What was checked, in words."""
        if not self.n_sources:
            return ()
        return (f"lines of sight and regions of {self.n_sources} sources computed again, in {len(self.rooms)} rooms",)

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What was not checked, in words, and why."""
        if not self.unknown:
            return ()
        some = next(iter(self.unknown.values()))
        return (f"lines of sight and regions in {len(self.unknown)} rooms ({some})",)


def check_rooms(folder: DatasetFolder, recipe: RenderRecipe) -> RoomCheck:
    """Compare lines of sight, regions and storeys in all scenes with the geometry of their buildings.

    A building that cannot be opened, or has changed, is noted and its scenes are left out.
    """
    found = RoomCheck()
    if recipe.rooms.startswith("bank:"):
        found.unknown[recipe.rooms] = "the RIRs of a bank have no geometry"
        return found
    try:
        opened = _OpenRooms(rooms_for(recipe))
    except SpatialQAError as error:
        found.unknown[recipe.rooms] = str(error)
        return found
    hashes = {row["group_id"]: row["room_sha256"] for row in _groups(folder)}
    for path in scene_files(folder):
        for scene in read_scenes(path):
            geometry = opened.get(scene.room_id, hashes.get(scene.group_id))
            if isinstance(geometry, str):
                found.unknown.setdefault(scene.room_id, geometry)
                continue
            found.rooms.add(scene.room_id)
            found.n_sources += len(scene.sources)
            found.problems += [f"scenes/{path.name}: {scene.scene_id}: {text}" for text in geometry.problems(scene)]
    return found


def _groups(folder: DatasetFolder) -> Iterator[Mapping[str, Any]]:
    for path in folder.tables("groups"):
        yield from read_rows(path, ["group_id", "room_sha256"])


class _Geometry:
    """A building and its rays."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._caster = RayCaster(room.vertices, room.faces[under_the_sky(room)], room.origin)

    def problems(self, scene: Scene) -> Iterator[str]:
        """Say what the row of a scene has otherwise than the building."""
        listener = scene.listener_position
        if (scene.room_set, scene.house_id) != (self._room.room_set, self._room.house_id):
            yield f"is in house {scene.house_id}, and room {scene.room_id} is in {self._room.house_id}"
        here = (scene.region_id, scene.region_label, scene.level_index)
        if here != (there := _where(self._room.region_at(listener))):
            yield f"its listener stands in region {_words(there)}, and the row says {_words(here)}"
        positions = np.reshape([source.position for source in scene.sources], (-1, 3))
        blocked = self._caster.blocked(np.asarray([listener]), positions)
        for number, (source, hidden) in enumerate(zip(scene.sources, blocked, strict=True)):
            if source.line_of_sight is not None and source.line_of_sight == bool(hidden):
                yield (
                    f"source {number}: line_of_sight is {str(source.line_of_sight).lower()}, and "
                    f"{'a surface' if hidden else 'no surface'} of the building is in the way"
                )
            own = (source.region_id, source.region_label, source.level_index)
            if own != (there := _where(self._room.region_at(source.position))):
                yield f"source {number}: lies in region {_words(there)}, and the row says {_words(own)}"


def _where(region: Region | None) -> _Where:
    return (region.region_id, region.label, region.level_index) if region else (None, None, None)


def _words(where: _Where) -> str:
    region_id, label, level = where
    return "none" if where == (None, None, None) else f"{region_id} ({label}, level {level})"


class _OpenRooms:
    """The last few buildings that scenes were in."""

    def __init__(self, rooms: RoomSet) -> None:
        self._rooms = rooms
        self._kept: dict[tuple[str, str | None], _Geometry | str] = {}

    def get(self, room_id: str, sha256: str | None) -> _Geometry | str:
        """Return the building of this id and hash, or why there is none."""
        key = (room_id, sha256)
        if key not in self._kept:
            while len(self._kept) >= _KEPT_ROOMS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._open(room_id, sha256)
        return self._kept[key]

    def _open(self, room_id: str, sha256: str | None) -> _Geometry | str:
        try:
            room = self._rooms.load(room_id)
        except SpatialQAError as error:
            return f"room {room_id}: {error}"
        if room.sha256 != sha256:
            return f"room {room_id} is not the one that was rendered: its hash differs"
        return _Geometry(room)
