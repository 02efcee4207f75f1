"""Opens the inputs of a stored run and simulates its stored groups again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from spatialqa.acoustics.engine import Engine, OpenRoom, TimedEngine, engine_errors
from spatialqa.clips.clip_table import by_id
from spatialqa.clips.foley.clips import VERSION as FOLEY_VERSION
from spatialqa.clips.prepare import PreparedClip, PreparedClips
from spatialqa.core.scene import ListenerGroup, Scene
from spatialqa.dataset.json_records import RunRecord
from spatialqa.errors import ClipError, DatasetError, RoomError
from spatialqa.generation.inputs import clips_for, engine_for, rooms_for
from spatialqa.generation.isolation import time_limit
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import SimulatedGroup, simulate
from spatialqa.rooms.room import Room, RoomSet


class StoredGroups:
    """The rooms and the engine of a run whose groups are stored. Nothing is drawn; the last room is kept open.

    Raises:
        SpatialQAError: later, where they are needed, the rooms or the engine cannot be opened.
    """

    def __init__(self, recipe: RenderRecipe) -> None:
        self.recipe = recipe
        self._room: Room | None = None
        self._acoustic: OpenRoom | None = None

    @cached_property
    def engine(self) -> Engine:
        """The engine that the recipe configures; opened when it is first asked for, since RIRs may be stored."""
        return engine_for(self.recipe)

    @cached_property
    def rooms(self) -> RoomSet:
        """The rooms of the recipe; opened when they are first asked for."""
        return rooms_for(self.recipe)

    def require_engine(self, root: Path, run: RunRecord) -> None:
        """Raise DatasetError unless the engine here is the one that rendered the data set `root`."""
        identity, then = self.engine.identity, run.engine
        if identity.sha256 != then.sha256:
            raise DatasetError(
                f"{root}: was rendered by {then.name} {then.sha256[:12]}, and here is {identity.name} "
                f"{identity.sha256[:12]}: bits can only be compared with the same engine"
            )

    def require_sounds(self, root: Path, run: RunRecord) -> None:
        """Raise DatasetError where the data set `root` has other synthesised sounds than foley makes here."""
        then = run.fingerprint.get("foley", FOLEY_VERSION)
        if self.recipe.clips == "foley" and then != FOLEY_VERSION:
            raise DatasetError(
                f"{root}: has foley sounds of version {then}, and here foley makes version {FOLEY_VERSION}: "
                "bits can only be compared with spatialqa as it was then"
            )

    def simulate(self, group: Mapping[str, Any], scenes: Iterable[Scene]) -> SimulatedGroup:
        """Simulate a row of `groups`; `scenes` are those of the group whose measured truth is wanted.

        Raises:
            RoomError: the room is not there, or is not the one that the group was simulated in.
            EngineError: the engine failed.
        """
        acoustic = self.open_room(group["room_id"], group["room_sha256"])
        with time_limit(0.0 if isinstance(self.engine, TimedEngine) else self.recipe.group_timeout_s):
            return simulate(
                ListenerGroup.from_row(group, scenes), acoustic, self.recipe.sample_rate, self.recipe.channels
            )

    def open_room(self, room_id: str, sha256: str) -> OpenRoom:
        """Return a room ready to be simulated; raises RoomError when its content is not of this hash."""
        if self._room is None or self._room.room_id != room_id:
            self.close()
            try:
                self._room = self.rooms.load(room_id)
            except RoomError as error:
                raise RoomError(f"room {room_id}: {error}") from error
        if self._room.sha256 != sha256:
            raise RoomError(f"room {room_id} has changed since it was rendered: its content hash differs")
        if self._acoustic is None:
            with engine_errors(f"opening room {room_id}"):
                self._acoustic = self.engine.open(self._room)
        return self._acoustic

    def close(self) -> None:
        """Release the last room."""
        if self._acoustic is not None:
            self._acoustic.close()
        self._room = self._acoustic = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StoredRun(StoredGroups):
    """All inputs of a run whose groups and scenes are stored: its clips too.

    Raises:
        SpatialQAError: the clips cannot be opened; later, where they are needed, the rooms or the engine.
    """

    def __init__(self, recipe: RenderRecipe) -> None:
        super().__init__(recipe)
        self.clips = clips_for(recipe)
        self.record = by_id(self.clips.records())
        self._prepared = PreparedClips(self.clips, recipe.sample_rate, recipe.clip_rms_dbfs)

    def sounds(self, scene: Scene) -> list[PreparedClip]:
        """Return the prepared clip of every source of a scene.

        Raises:
            ClipGoneError: a clip that was listed cannot be read now.
            ClipError: a clip is not in the set, or has other content than the scene was made from.
        """
        prepared = []
        for number, source in enumerate(scene.sources):
            record = self.record(source.clip_id)
            if record is None:
                raise ClipError(f"source {number}: clip {source.clip_id} is not in {self.recipe.clips} any more")
            try:
                clip = self._prepared.get(record)
            except ClipError as error:
                raise type(error)(f"scene {scene.scene_id}, source {number}: {error}") from error
            if source.clip_sha256 is not None and clip.sha256 != source.clip_sha256:
                raise ClipError(
                    f"source {number}: clip {source.clip_id} has changed since it was rendered: its sha256 is "
                    f"{clip.sha256[:12]}, and {source.clip_sha256[:12]} was used"
                )
            prepared.append(clip)
        return prepared


def same_truth(rendered: Scene, stored: Scene) -> bool:
    """Return whether two records of a scene agree, in everything that the stored one knows."""
    if all(source.starts_s is not None for source in stored.sources):
        return rendered == stored
    later = {"starts_s": None, "audible_onset_s": None, "audible_offset_s": None}  # columns that came later
    sources = tuple(replace(source, **later) for source in rendered.sources)  # type: ignore[arg-type]
    return replace(rendered, sources=sources) == stored


def by_group(scenes: Sequence[Scene]) -> dict[str, list[Scene]]:
    """Return scenes gathered by their group, in order."""
    gathered: dict[str, list[Scene]] = {}
    for scene in scenes:
        gathered.setdefault(scene.group_id, []).append(scene)
    return gathered
