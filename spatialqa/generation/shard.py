"""Makes one shard: plans its groups, renders its scenes, and commits its files.

A shard is a pure function of the run and its index. What fails every time (a scene that clips, a room without a place,
an engine that crashes or hangs again in a fresh process) is drawn anew and written to the rejects with the reason; what
may not fail again (a clip that has gone, a full disk) fails the shard, so that a later run makes it whole.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import pyarrow as pa

from spatialqa.acoustics.engine import Engine, OpenRoom, TimedEngine, WalkableRoom, engine_errors
from spatialqa.banks.bank_rooms import BankRoom
from spatialqa.clips.prepare import PreparedClips
from spatialqa.core import seeds
from spatialqa.core.audio_io import encode_flac, encode_rir
from spatialqa.core.files import commit_text
from spatialqa.core.scene import ListenerGroup, Scene
from spatialqa.core.stopwatch import Stopwatch
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import EngineName, Reject, ShardRecord, json_lines
from spatialqa.dataset.schema import GROUPS, RIRS, SCENES, SCENES_BY_HAND, with_subject
from spatialqa.errors import (
    ClipError,
    ClipGoneError,
    EngineCrashError,
    EngineError,
    PlacementError,
    RecipeError,
    RoomError,
    SpatialQAError,
)
from spatialqa.generation.audibility import InaudibleError, require_audible
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.isolation import CrashJournal, refuse_deadly, simulate_apart, time_limit
from spatialqa.generation.plan import Planner
from spatialqa.generation.plan_placements import body_warnings
from spatialqa.generation.playback import with_playback
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import ClippedSceneError, RenderedScene, SimulatedGroup, render_scene, simulate
from spatialqa.generation.run import Run
from spatialqa.generation.schedule import GroupSlot, ShardPlan
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.placement.positions import Positions
from spatialqa.rooms.room import Room

GROUP_ATTEMPTS = 8
CRASHED_DRAWS = 3  # of a group in which the engine crashed or hung; it is not drawn again after that
SCENE_ATTEMPTS = 16
NAVMESH_POINTS = 4000


@dataclass(eq=False)
class OpenedRoom:
    """A room with what was built on it; kept while groups of the same room follow each other."""

    room: Room
    placer: Placer | None  # None where a bank or a table has placed listeners and sources
    acoustic: OpenRoom

    @cached_property
    def positions(self) -> Positions:
        """What listeners have of positions that are given."""
        return Positions(self.room)

    @property
    def warnings(self) -> list[str]:
        """What a user should know about this room."""
        placed = self.placer.warnings if self.placer else ()
        return [f"room {self.room.room_id}: {text}" for text in (*self.room.warnings, *placed, *self.acoustic.warnings)]


@dataclass(frozen=True, eq=False)
class MadeGroup:
    """A group that was drawn and simulated (or only planned), and the share of indirect rays that met a surface."""

    group: ListenerGroup
    simulated: SimulatedGroup | None
    ray_efficiency: float | None


@dataclass(eq=False)
class _Content:
    """The rows of a shard while it is made."""

    scenes: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    rirs: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)
    room_sizes_m: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    room_origins_m: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def made(self, what: str) -> int:
        """Return how many scenes or groups there are."""
        return len(self.scenes if what == "scenes" else self.groups)


class ShardMaker:
    """Makes shards of one run in this process, keeping the last room and the recent clips."""

    def __init__(self, run: Run, engine: Engine, watch: Stopwatch | None = None) -> None:
        if engine.identity != run.identity:
            raise EngineError(
                f"the engine here ({engine.identity.name} {engine.identity.sha256[:12]}) differs from the "
                f"one of the run ({run.identity.name} {run.identity.sha256[:12]}): install the same version everywhere"
            )
        self.run = run
        self.engine = engine
        self.planner = Planner(run.recipe, run.recipe_hash, run.identity, run.clips_by_split, run.heads)
        self.prepared = PreparedClips(run.clips, run.recipe.sample_rate, run.recipe.clip_rms_dbfs)
        self.watch = watch or Stopwatch()
        self._opened: OpenedRoom | None = None

    def make(self, shard: ShardPlan, on_made: Callable[[int], None] | None = None) -> ShardRecord:
        """Make and commit a shard; returns its record.

        Args:
            shard: which one.
            on_made: called after every group with its number of scenes, or for a bank with 1.

        Raises:
            SpatialQAError: something failed that may not fail again; nothing of the shard was committed.
        """
        content = _Content()
        journal = CrashJournal(DatasetFolder(self.run.root).meta / "journal" / f"{shard.name}.json")
        for slot in shard.groups:
            before = content.made(self.run.makes)
            self._group(slot, content, journal)
            if on_made:
                on_made(content.made(self.run.makes) - before)
        record = self._commit(shard, content)
        journal.clear()
        return record

    def close(self) -> None:
        """Release the last room."""
        if self._opened is not None:
            self._opened.acoustic.close()
            self._opened = None

    def open_room(self, room_id: str) -> OpenedRoom:
        """Return a room ready for placement and simulation, the current one if it is the same."""
        if self._opened is None or self._opened.room.room_id != room_id:
            self.close()
            with self.watch.stage("room"):
                try:
                    room = self.run.rooms.load(room_id)
                except RoomError as error:
                    raise type(error)(f"room {room_id}: {error}") from error
                with self._time_limit(), engine_errors(f"opening room {room_id}"):
                    acoustic = self.engine.open(room)
                try:
                    given = isinstance(room, BankRoom) or self.run.recipe.placements is not None
                    placer = None if given else placer_for(self.run.recipe, room, acoustic)
                except SpatialQAError:
                    acoustic.close()
                    raise
                self._opened = OpenedRoom(room, placer, acoustic)
        return self._opened

    def draw_group(self, slot: GroupSlot, attempt: int) -> ListenerGroup:
        """Draw one group; raises PlacementError when its room has no valid place."""
        opened = self.open_room(slot.room_id)
        with self.watch.stage("placement"):
            if isinstance(opened.room, BankRoom):
                return self.planner.bank_group(slot, opened.room)
            if slot.placed is not None:
                return self.planner.placed_group(slot, opened.room, opened.positions, attempt)
            assert opened.placer is not None
            return self.planner.group(slot, opened.room, opened.placer, attempt)

    def make_group(self, slot: GroupSlot, attempt: int) -> MadeGroup:
        """Draw one group and simulate it, in this process.

        Raises:
            PlacementError: its room has no valid place.
            EngineError: the engine failed.
        """
        group = self.draw_group(slot, attempt)
        acoustic = self.open_room(slot.room_id).acoustic
        if self.run.recipe.plan_only:
            return MadeGroup(group, None, acoustic.ray_efficiency)
        with self.watch.stage("simulation"), self._time_limit():
            simulated = simulate(group, acoustic, self.run.recipe.sample_rate, self.run.recipe.channels)
        return MadeGroup(group, simulated, acoustic.ray_efficiency)

    def _time_limit(self) -> AbstractContextManager[None]:
        return time_limit(0.0 if isinstance(self.engine, TimedEngine) else self.run.recipe.group_timeout_s)

    def _group_or_error(self, slot: GroupSlot, attempt: int, journal: CrashJournal) -> MadeGroup:
        """Draw and simulate a group, in a fresh process where it is suspect or the engine failed in this one."""
        refuse_deadly(journal, slot.group_id, attempt)
        with journal.holding(slot.group_id, attempt):
            if not journal.suspects(slot.group_id):
                try:
                    return self.make_group(slot, attempt)
                except EngineError:  # what a fresh process says does not depend on what came before
                    self.close()
            return simulate_apart(partial(make_group_once, self.run, slot, attempt), self.run.recipe.group_timeout_s)

    def _drawn(self, slot: GroupSlot, content: _Content, journal: CrashJournal) -> MadeGroup | None:
        """Draw a group until it can be simulated; None, and its scenes rejected, where that fails too often."""
        crashes = 0
        for attempt in range(GROUP_ATTEMPTS):
            try:
                return self._group_or_error(slot, attempt, journal)
            except (PlacementError, EngineError) as error:
                content.rejects.append(Reject.of("group", slot.group_id, attempt, error))
                crashes += isinstance(error, EngineCrashError)
            if crashes == CRASHED_DRAWS:
                break
        content.rejects += [
            Reject("scene", scene_id, None, f"its group {slot.group_id} was rejected") for scene_id in slot.scene_ids
        ]
        return None

    def _group(self, slot: GroupSlot, content: _Content, journal: CrashJournal) -> None:
        """Make the rows of a group and of its scenes."""
        made = self._drawn(slot, content, journal)
        if made is None:
            return
        group, simulated = made.group, made.simulated
        opened = self.open_room(slot.room_id)
        content.warnings.update(dict.fromkeys(opened.warnings))
        if slot.placed is not None:
            content.warnings.update(dict.fromkeys(body_warnings(slot.placed, self.run.recipe.body_radius_m)))
        if opened.room.room_set != "procedural" and not isinstance(opened.room, BankRoom):
            content.room_sizes_m[opened.room.room_id] = _rounded(opened.room.size)
        if opened.room.is_shifted:
            content.room_origins_m[opened.room.room_id] = opened.room.origin
        content.groups.append(group.to_row(self.run.identity, made.ray_efficiency))
        scenes = self.planner.scenes(slot, group)
        if simulated is None:
            content.scenes += [{**scene.to_row(), "audio": None} for scene in scenes]
            return
        if self.run.recipe.save_rirs or self.run.makes == "groups":
            content.rirs += self._rir_rows(simulated)
        for scene in scenes:
            rendered = self._scene(slot, scene, simulated, content)
            if rendered is not None:
                with self.watch.stage("encoding"):
                    flac = encode_flac(rendered.audio, self.run.recipe.sample_rate)
                audio = {"bytes": flac, "path": f"{scene.scene_id}.flac"}
                content.scenes.append({**rendered.scene.to_row(), "audio": audio})

    def _scene(
        self, slot: GroupSlot, scene: Scene, simulated: SimulatedGroup, content: _Content
    ) -> RenderedScene | None:
        """Render a scene, drawing its sounds again when they clip, cannot be read or cannot be heard."""
        for attempt in range(SCENE_ATTEMPTS):
            try:
                with self.watch.stage("clips"):
                    drawn = scene if attempt == 0 else self.planner.redraw(slot, scene, attempt)
                    if drawn is None:
                        break
                    clips = [
                        self.prepared.get(self.planner.sounds.record(drawn.split, source.clip_id))
                        for source in drawn.sources
                    ]
                recipe = self.run.recipe
                with self.watch.stage("convolution"):
                    drawn = with_playback(
                        drawn, clips, recipe.fill, simulated.group.seed if slot.placed is not None else None
                    )
                    rendered = render_scene(drawn, simulated, clips, recipe.mix, recipe.audible_dbfs)
                    if recipe.inaudible == "redraw":
                        require_audible(rendered.scene, by_hand=slot.placed is not None)
                    return rendered
            except ClipGoneError as error:
                raise ClipGoneError(f"scene {scene.scene_id}: {error}") from error
            except (ClippedSceneError, ClipError, InaudibleError) as error:
                content.rejects.append(Reject.of("draw", scene.scene_id, attempt, error))
        tries = "its clips are given" if drawn is None else f"{SCENE_ATTEMPTS} draws failed"
        content.rejects.append(Reject("scene", scene.scene_id, None, tries))
        return None

    def _rir_rows(self, simulated: SimulatedGroup) -> list[dict[str, Any]]:
        group = simulated.group
        return [
            {
                "rir_id": group.rir_id(k),
                "group_id": group.group_id,
                "room_id": group.room_id,
                "room_sha256": group.room_sha256,
                "listener_position": list(group.listener.position),
                "listener_orientation": list(group.listener.orientation),
                "source_position": list(place.position),
                "sample_rate": simulated.sample_rate,
                "n_samples": rir.shape[1],
                "rir": encode_rir(rir),
                "rir_time_zero": str(self.run.identity.config.get("rir_time_zero", self.run.recipe.rir_time_zero)),
                "engine": self.run.identity.name,
                "engine_config_hash": self.run.identity.config_hash,
                "drr_db": simulated.drr_db[k],
                "rt60_s": simulated.rt60_s[k],
                "house_id": group.house_id,
                "hrtf": self.run.identity.hrtf,
                "subject": group.subject,
                "channels": self.run.recipe.channels,
                "line_of_sight": place.line_of_sight,
                "region_id": place.region_id,
                "region_label": place.region_label,
                "source_level_index": place.level_index,
                "level_index": group.level_index,
                "listener_region_id": group.region_id,
                "listener_region_label": group.region_label,
            }
            for k, (place, rir) in enumerate(zip(group.places, simulated.rirs, strict=True))
        ]

    def _commit(self, shard: ShardPlan, content: _Content) -> ShardRecord:
        folder = DatasetFolder(self.run.root)
        with self.watch.stage("writing"):
            content.scenes.sort(key=lambda row: row["scene_id"])
            schema_of_scenes = SCENES_BY_HAND if self.run.recipe.placements else SCENES
            tables = {"scenes": (content.scenes, schema_of_scenes)} if self.run.makes == "scenes" else {}
            tables["groups"] = (content.groups, GROUPS)
            if content.rirs:
                tables["rirs"] = (content.rirs, RIRS)
            if self.run.heads:
                tables = {name: (rows, with_subject(schema)) for name, (rows, schema) in tables.items()}
            files = [
                commit_table(folder.root, f"{name}/{shard.name}.parquet", pa.Table.from_pylist(rows, schema=schema))
                for name, (rows, schema) in tables.items()
            ]
            lines = json_lines(content.rejects)
            files.append(
                commit_text(folder.root, f"_spatialqa/rejects/{shard.name}.jsonl", lines, len(content.rejects))
            )
            record = ShardRecord(
                shard=shard.name,
                split=shard.split,
                fingerprint=self.run.fingerprint_hash,
                scenes=len(content.scenes),
                scenes_planned=shard.n_scenes,
                groups=len(content.groups),
                draws_rejected=sum(reject.kind != "scene" for reject in content.rejects),
                warnings=tuple(content.warnings),
                room_sizes_m=content.room_sizes_m,
                room_origins_m=content.room_origins_m or None,
                engine=EngineName(self.run.identity.name, self.run.identity.sha256),
                files=tuple(files),
            )
            return folder.commit_shard(record)


def make_group_once(run: Run, slot: GroupSlot, attempt: int) -> MadeGroup:
    """Do `ShardMaker.make_group` with an engine and a room that are opened for it."""
    maker = ShardMaker(run, engine_for(run.recipe))
    try:
        return maker.make_group(slot, attempt)
    finally:
        maker.close()


def placer_for(recipe: RenderRecipe, room: Room, acoustic: OpenRoom) -> Placer:
    """Return what places listeners and sources of a recipe in a room; raises SpatialQAError where nothing can."""
    walkable = None
    if recipe.placement == "navmesh":
        if not isinstance(acoustic, WalkableRoom):
            raise RecipeError("placement navmesh needs an engine that knows where one can walk: add --engine habitat")
        seed = seeds.derived_seed(recipe.seed, "navmesh", room.sha256)
        walkable = acoustic.navigable_points(NAVMESH_POINTS, seed)
    return Placer(
        room,
        clearance_m=recipe.clearance_m,
        min_distance_m=recipe.min_distance_m,
        max_distance_m=recipe.max_distance_m,
        source_regions=_source_regions(recipe, room),
        walkable=walkable,
        body_radius_m=recipe.body_radius_m,
        directions=recipe.directions,
        heights="class" if recipe.places_by_class() else "any",
    )


def _source_regions(recipe: RenderRecipe, room: Room) -> str:
    """Return where sources may stand: in the listener's own room of a scanned house, if its rooms are known."""
    if recipe.source_regions != "auto":
        return recipe.source_regions
    return "same" if room.room_set == "mp3d" and room.regions else "any"


def _rounded(size: Iterable[float]) -> tuple[float, float, float]:
    x, y, z = (round(float(extent), 3) for extent in size)
    return (x, y, z)
