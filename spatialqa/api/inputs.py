"""Opens rooms, clips and engines by the same names and keys as the command line."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from spatialqa.acoustics.engine import Engine, OpenRoom
from spatialqa.acoustics.engines import engine_taken
from spatialqa.api.values import point, seed_value, text, whole
from spatialqa.banks.bank_rooms import BankRoom
from spatialqa.clips.clip import ClipRecord, ClipSet, RawClip, RejectedClip
from spatialqa.clips.clip_table import by_id
from spatialqa.core import seeds
from spatialqa.core.geometry import Vec3
from spatialqa.core.recipe_keys import build
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import RecipeError, RoomError
from spatialqa.generation.inputs import clips_for, engine_for, rooms_for, with_roots
from spatialqa.generation.recipe import RenderRecipe, absolute_paths
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.placement.positions import Positions
from spatialqa.rooms.room import Room as PlainRoom
from spatialqa.rooms.room import RoomSet

DEFAULT_SAMPLE_RATE = 32_000

_ENGINE_KEYS = (
    *(
        "engine",
        "sample_rate",
        "preset",
        "engine_config",
        "hrtf",
        "calibrated",
        "rir_time_zero",
        "hrtf_lag",
        "channels",
    ),
    *("habitat_python", "habitat_materials", "cache"),
)
_CLIP_KEYS = (
    *("clips", "audioset_root", "classes", "clip_labels", "min_label_quality", "foley_clips_per_class", "labels_file"),
    *("unknown_labels", "licence", "min_clip_s", "licences", "cache"),
)
_ROOM_KEYS = (
    *("rooms", "home_kinds", "up", "unit_scale", "materials", "default_material", "simplify", "max_error_m"),
    *("mp3d_root", "scenes_list", "exclude_regions", "geometry", "room_splits", "cache"),
)


@dataclass(frozen=True, eq=False)
class Room(PlainRoom):
    """A room in which scenes can be placed by hand.

    Geometry and materials are those of `spatialqa.rooms.room.Room`. keys: the recipe keys that open its room set; empty
    for a room that was made in Python, which cannot be saved with a data set.
    """

    keys: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        width, height, depth = self.size
        return f"Room({self.room_id!r}: {width:.1f} x {depth:.1f} m, {height:.1f} m high)"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made of the mesh when it is needed, and cannot be pickled."""
        return {name: value for name, value in self.__dict__.items() if name not in ("positions", "_placer")}

    def sample_point(self, seed: int = 0) -> Vec3:
        """Return a world position (x, y, z) in metres where a listener could be: over open floor, clear of surfaces.

        Raises:
            PlacementError: the room has no such place.
            RecipeError: the seed is not a whole number, 0 or more.
        """
        seed = seed_value("sample_point", seed)
        return self._placer.listener(seeds.rng(seed, "sample point", self.sha256)).position

    def problem(self, position: Vec3) -> str | None:
        """Return why a world position (x, y, z) in metres cannot be used, such as "is outside the building".

        None where it can be used. Raises RecipeError unless it is three finite numbers.
        """
        return self.positions.problems([point("problem", "position", position)])[0]

    @cached_property
    def positions(self) -> Positions:
        """What checks positions in this room."""
        return Positions(self)

    @cached_property
    def _placer(self) -> Placer:
        return Placer(self)


class Rooms:
    """A set of rooms. keys: the recipe keys that open it."""

    def __init__(self, room_set: RoomSet, keys: Mapping[str, Any]) -> None:
        self.room_set, self.keys = room_set, keys
        self.name = room_set.name

    def __repr__(self) -> str:
        return f"Rooms({self.keys['rooms']!r})"

    def room_ids(self, count: int | None = None, seed: int = 0) -> list[str]:
        """Return `count` different ids, drawn by the seed; without a count all ids of a finite set.

        Raises:
            RoomError: the set has no end, and no count is given, or it has fewer rooms.
            RecipeError: the count or the seed is not a whole number, 0 or more.
        """
        seed = seed_value("room_ids", seed)
        count = None if count is None else whole("room_ids", "count", count)
        if count is None and not self.room_set.finite:
            raise RoomError(f"{self.name} rooms are unlimited: give a count")
        return list(self.room_set.room_ids(count, seed))

    def load(self, room_id: str) -> Room:
        """Read or make one room.

        Raises:
            RoomError: there is no such room, or it cannot be used.
            RecipeError: the id is not a text.
        """
        room_id = text("load", "room_id", room_id)
        room = self.room_set.load(room_id)
        if isinstance(room, BankRoom):
            raise RoomError(f"{self.name}: a bank has RIRs between fixed places, and no room for others")
        return Room(**{f.name: getattr(room, f.name) for f in fields(PlainRoom)}, keys=self.keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self.room_ids())


class Clips:
    """A set of labelled clips. keys: the recipe keys that open it."""

    def __init__(self, clip_set: ClipSet, keys: Mapping[str, Any]) -> None:
        self.clip_set, self.keys = clip_set, keys
        self.name = clip_set.name

    def __repr__(self) -> str:
        return f"Clips({self.keys['clips']!r}: {len(self.records()):,} clips of {len(self.labels())} classes)"

    @cached_property
    def _records(self) -> Sequence[ClipRecord]:
        return self.clip_set.records()

    def records(self) -> Sequence[ClipRecord]:
        """Return every usable clip: id, labels, duration, licence."""
        return self._records

    @cached_property
    def find(self) -> Callable[[str], ClipRecord | None]:
        """The function that returns the clip of an id, None where there is none."""
        return by_id(self.records())

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that were left out, with the reason."""
        return self.clip_set.rejected()

    def load(self, record: ClipRecord) -> RawClip:
        """Read or make one clip: audio float32 (n,), sample_rate in Hz; raises ClipError when it cannot be read."""
        return self.clip_set.load(record)

    def labels(self) -> list[str]:
        """Return the labels that its clips have, sorted."""
        return sorted({label for record in self.records() for label in record.labels})


class KeyedEngine:
    """An acoustic engine. keys: the recipe keys that open it. The room that was simulated last stays open.

    Threads may share one; they simulate one after the other.
    """

    def __init__(self, engine: Engine, keys: Mapping[str, Any]) -> None:
        self.engine, self.keys = engine, keys
        self._room: tuple[str, OpenRoom] | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"KeyedEngine({self.identity.name!r}, {self.identity.sample_rate} Hz)"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open room and the lock, which belong to this process."""
        return {"engine": self.engine, "keys": self.keys}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def identity(self) -> EngineIdentity:
        """What the engine is: name, version, hash, settings, sample rate in Hz."""
        return self.engine.identity

    @contextlib.contextmanager
    def using(self, room: PlainRoom) -> Iterator[OpenRoom]:
        """Prepare a room for simulation, and keep other threads from the engine inside of the `with` statement.

        Raises:
            EngineError, RoomError: it cannot be used.
        """
        with self._lock:
            if self._room is None or self._room[0] != room.sha256:
                self.close()
                self._room = (room.sha256, self.engine.open(room))
            yield self._room[1]

    def close(self) -> None:
        """Release the room that is open, if there is one."""
        with self._lock:
            if self._room is not None:
                self._room[1].close()
                self._room = None


def open_rooms(spec: str = "procedural", **options: Any) -> Rooms:
    """Open a set of rooms.

    Args:
        spec: what --rooms takes: "procedural", "mp3d", "mesh:PATH", "hm3d:DIR", "gibson:DIR", "replica:DIR".
        options: the keys of these rooms, such as up="z" or unit_scale=0.01 for meshes.

    Raises:
        RecipeError: there is no such set, or an option is not one of rooms.
        RoomError: the rooms cannot be read.
    """
    keys = _keys({"rooms": spec, **options}, _ROOM_KEYS, "open_rooms")
    recipe = _recipe(keys)
    return Rooms(rooms_for(recipe), _used(recipe, keys))


def open_clips(spec: str = "foley", **options: Any) -> Clips:
    """Open a set of labelled clips.

    Args:
        spec: what --clips takes: "foley", "folder:DIR", "audioset", "fsd50k:DIR", "esc50:DIR".
        options: the keys of these clips, such as labels_file="labels.csv".

    Raises:
        RecipeError: there is no such set, or an option is not one of clips.
        ClipError: the clips cannot be used.
    """
    keys = _keys({"clips": spec, **options}, _CLIP_KEYS, "open_clips")
    recipe = _recipe(keys)
    return Clips(clips_for(recipe), _used(recipe, keys))


def open_engine(name: str = "auto", sample_rate: int = DEFAULT_SAMPLE_RATE, **options: Any) -> KeyedEngine:
    """Open an acoustic engine.

    Args:
        name: "auto", which takes "geometric", or "geometric", "soundspaces" or "habitat".
        sample_rate: Hz, of RIRs and scenes.
        options: the keys of engines, such as channels="foa", hrtf="KEMAR.sofa", preset="reference".

    Raises:
        RecipeError: an option is not one of engines.
        EngineError: there is no such engine, or it refuses its settings.
        MissingDependencyError: the engine's package is not installed.
    """
    keys = _keys({"engine": engine_taken(name), "sample_rate": sample_rate, **options}, _ENGINE_KEYS, "open_engine")
    recipe = _recipe(keys)
    return KeyedEngine(engine_for(recipe), _used(recipe, keys))


@functools.cache
def default_engine() -> KeyedEngine:
    """Return the engine that scenes by hand use unless another is given."""
    return open_engine()


@functools.cache
def default_clips() -> Clips:
    """Return the clips that scenes by hand use unless others are given."""
    return open_clips()


def _keys(given: Mapping[str, Any], allowed: Sequence[str], where: str) -> dict[str, Any]:
    for name in given:
        if name not in allowed:
            raise RecipeError(f"{where}: there is no option {name!r}; it takes {', '.join(allowed[1:])}")
    return {name: str(value) if hasattr(value, "__fspath__") else value for name, value in given.items()}


def _recipe(keys: Mapping[str, Any]) -> RenderRecipe:
    return with_roots(absolute_paths(build(RenderRecipe, keys, "options")))


def _used(recipe: RenderRecipe, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys as the recipe resolved them: paths absolute, and roots where they were found."""
    roots = {name: getattr(recipe, name) for name in ("mp3d_root", "audioset_root") if getattr(recipe, name)}
    return {name: getattr(recipe, name) for name in keys} | roots
