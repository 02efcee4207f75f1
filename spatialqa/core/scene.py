"""The frozen records of the pipeline, and their conversion to rows of `scenes` and `groups`.

`plan` makes a Scene whose measured fields are None; `render` returns it with them filled in; `ask` reads it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Self

from spatialqa.core.geometry import Pose, Quaternion, Vec3, direction


def rir_id(group_id: str, place: int) -> str:
    """Return the id of the RIR from a place of a group to its listener."""
    return f"{group_id}/{place}"


def place_index(rir_id: str) -> int:
    """Return which place of its group an RIR belongs to: the inverse of `rir_id`."""
    return int(rir_id.rpartition("/")[2])


def _vec3(values: Any) -> Vec3:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def _quaternion(values: Any) -> Quaternion:
    w, x, y, z = (float(v) for v in values)
    return (w, x, y, z)


def _plain(value: Any) -> Any:
    """Return the value with tuples as lists and sources as mappings, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return {name: _plain(getattr(value, name)) for name in _names(Source)} if isinstance(value, Source) else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


# fields of a source that came later: a data set may lack them
_LATER = frozenset(
    ("level_index", "starts_s", "clip_end_s", "start_share", "audible_onset_s", "audible_offset_s", "height_m")
)


@dataclass(frozen=True)
class Source:
    """One sound in a scene: which clip, where it is for the listener, and what was measured of it."""

    clip_id: str
    clip_sha256: str | None  # None until a synthesised clip has been made
    clip_start_s: float | None  # None until the shard maker has found where the clip sounds
    native_sample_rate: int | None
    licence: str | None
    labels: tuple[str, ...]
    mids: tuple[str | None, ...]  # None for a custom label
    position: Vec3  # world, metres
    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    region_id: str | None
    region_label: str | None
    onset_s: float
    line_of_sight: bool | None  # None where a bank does not know
    rir_id: str
    offset_s: float | None = None
    dry_level_dbfs: float | None = None
    wet_level_dbfs: tuple[float, ...] | None = None  # one per channel, before gain
    drr_db: float | None = None
    rt60_s: float | None = None
    level_index: int | None = None  # the storey of its region
    starts_s: tuple[float, ...] | None = None  # when each play of the clip begins; None until it is known
    clip_end_s: float | None = None  # where in the clip a play ends; None: at the end of the clip
    start_share: float | None = None  # drawn for clip_start active: which stretch of the clip to play
    audible_onset_s: float | None = None
    audible_offset_s: float | None = None
    height_m: float | None = None  # above the floor of the storey; None where it is not known

    @property
    def inaudible(self) -> bool:
        """Whether it was rendered and never reached the gate of audibility."""
        return self.starts_s is not None and self.offset_s is not None and self.audible_onset_s is None

    @property
    def place(self) -> int:
        """Which place of its group it sounds at."""
        return place_index(self.rir_id)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read one item of the `sources` column; unknown keys are ignored."""
        values: dict[str, Any] = {name: row.get(name) if name in _LATER else row[name] for name in _names(Source)}
        values["labels"] = tuple(row["labels"])
        values["mids"] = tuple(row["mids"])
        values["position"] = _vec3(row["position"])
        wet = row["wet_level_dbfs"]
        values["wet_level_dbfs"] = None if wet is None else tuple(float(x) for x in wet)
        starts = values["starts_s"]
        values["starts_s"] = None if starts is None else tuple(float(x) for x in starts)
        return cls(**values)


@dataclass(frozen=True)
class Scene:
    """One row of `scenes`, without its audio."""

    scene_id: str
    split: str
    sample_rate: int
    duration_s: float
    channels: str
    room_set: str
    room_id: str
    house_id: str
    region_id: str | None  # the listener's
    region_label: str | None
    level_index: int | None
    group_id: str
    engine: str
    engine_config_hash: str
    hrtf: str
    rir_time_zero: str
    listener_position: Vec3
    listener_orientation: Quaternion
    gain_db: float
    rir_reuse_count: int
    sources: tuple[Source, ...]
    seed: int
    recipe_hash: str
    scene: str | None = None  # its name in a table of placements; None of a drawn scene
    subject: str | None = None  # whose head it is, of a folder of HRTF files; None where there is one head

    @property
    def listener(self) -> Pose:
        """The listener's head."""
        return Pose(self.listener_position, self.listener_orientation)

    def to_row(self) -> dict[str, Any]:
        """Return the plain form: dicts, lists and scalars, keyed by column name."""
        row = {name: _plain(getattr(self, name)) for name in _names(Scene)}
        for name in ("scene", "subject"):  # tables of other runs have no such column
            if row[name] is None:
                del row[name]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of `scenes`; columns that a Scene does not hold (audio) are ignored."""
        optional = ("scene", "subject")  # columns of scenes by hand, and of runs with several heads
        values: dict[str, Any] = {name: row.get(name) if name in optional else row[name] for name in _names(Scene)}
        values["listener_position"] = _vec3(row["listener_position"])
        values["listener_orientation"] = _quaternion(row["listener_orientation"])
        values["sources"] = tuple(Source.from_row(source) for source in row["sources"])
        return cls(**values)


@dataclass(frozen=True)
class EngineIdentity:
    """Everything that must be the same for an engine to give the same RIRs again; stored with the data set."""

    name: str
    version: str
    sha256: str  # of the engine's library
    config: dict[str, Any] = field(default_factory=dict)  # every setting, resolved
    config_hash: str = ""  # first 16 hex digits of the sha256 of config as sorted JSON
    hrtf: str = "-"  # "rlr-default", or file name and content hash
    calibration_gain: float = 1.0  # linear factor already applied to the RIRs; 1 where each head has its own
    sample_rate: int = 0
    seeded: bool = True  # whether the engine takes a seed
    hrtf_lag_s: float | None = (
        None  # of direct sound after distance / speed of sound, in these RIRs; None: not measured
    )


@dataclass(frozen=True)
class Place:
    """A point where a source may sound, as one listener has it."""

    position: Vec3  # world, metres
    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    line_of_sight: bool | None  # None where it is not known
    region_id: str | None = None
    region_label: str | None = None
    level_index: int | None = None
    bank_rir: str | None = None  # what the bank that it was taken from calls its RIR
    height_m: float | None = None  # above the floor of the storey; None where it is not known
    kind: str | None = None  # of things that may be there; None for any


@dataclass(frozen=True)
class ListenerGroup:
    """The unit of simulation: one listener pose and its ordered source places in one room."""

    group_id: str
    split: str
    room_set: str
    room_id: str
    room_sha256: str
    house_id: str | None  # None where it was read from a row without its scenes
    listener: Pose
    places: tuple[Place, ...]
    seed: int
    region_id: str | None = None
    region_label: str | None = None
    level_index: int | None = None
    subject: str | None = None  # whose head it is, of a folder of HRTF files

    def rir_id(self, place: int) -> str:
        """Return the id of the RIR from a place to the listener."""
        return rir_id(self.group_id, place)

    def to_row(self, engine: EngineIdentity, ray_efficiency: float | None) -> dict[str, Any]:
        """Return its row of `groups`, simulated by this engine."""
        return {
            "group_id": self.group_id,
            "split": self.split,
            "room_set": self.room_set,
            "room_id": self.room_id,
            "room_sha256": self.room_sha256,
            "listener_position": list(self.listener.position),
            "listener_orientation": list(self.listener.orientation),
            "source_positions": [list(place.position) for place in self.places],
            "engine": engine.name,
            "engine_config": json.dumps(engine.config, sort_keys=True),
            "engine_sha256": engine.sha256,
            "sample_rate": engine.sample_rate,
            "seed": self.seed,
            "ray_efficiency": ray_efficiency,
            "bank_rirs": [place.bank_rir for place in self.places] if self.places[0].bank_rir else None,
            "subject": self.subject,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], scenes: Iterable[Scene] = ()) -> Self:
        """Read a row of `groups`.

        House, regions and lines of sight are not in the row: they are taken from `scenes` of this group, and are None
        where none of them knows.
        """
        listener = Pose(_vec3(row["listener_position"]), _quaternion(row["listener_orientation"]))
        scenes = list(scenes)
        sounding = {source.place: source for scene in scenes for source in scene.sources}
        names = row["bank_rirs"] if row.get("bank_rirs") else [None] * len(row["source_positions"])
        places = []
        for k, (values, bank_rir) in enumerate(zip(row["source_positions"], names, strict=True)):
            position, source = _vec3(values), sounding.get(k)
            places.append(
                Place(
                    position,
                    *direction(listener, position),
                    line_of_sight=source.line_of_sight if source else None,
                    region_id=source.region_id if source else None,
                    region_label=source.region_label if source else None,
                    level_index=source.level_index if source else None,
                    bank_rir=bank_rir,
                    height_m=source.height_m if source else None,
                )
            )
        scene = scenes[0] if scenes else None
        return cls(
            group_id=row["group_id"],
            split=row["split"],
            room_set=row["room_set"],
            room_id=row["room_id"],
            room_sha256=row["room_sha256"],
            house_id=scene.house_id if scene else None,
            listener=listener,
            places=tuple(places),
            seed=row["seed"],
            region_id=scene.region_id if scene else None,
            region_label=scene.region_label if scene else None,
            level_index=scene.level_index if scene else None,
            subject=row.get("subject"),
        )
