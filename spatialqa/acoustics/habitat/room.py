"""A room in a child process of habitat-sim: RIRs, and points on its navmesh."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.engine import Closing
from spatialqa.acoustics.habitat.process import HabitatProcess
from spatialqa.acoustics.habitat.scene_files import check_bounds, has_semantics, material_database, scene_file
from spatialqa.acoustics.hrtf_lag import later_by
from spatialqa.acoustics.soundspaces.engine import ENGINE_SPEED_M_S, LISTENER_RADIUS_M
from spatialqa.acoustics.soundspaces.ray_depth import DepthEstimator
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.errors import EngineError, PlacementError
from spatialqa.rooms.materials import Material, material
from spatialqa.rooms.room import Room

MAX_IR_S = 60.0
_NO_LIMIT_S = 1e6
DEPTH = "indirectRayDepth"  # habitat-sim's name of it
_LEAVE_MATERIALS_OUT = (
    "habitat-sim is known to crash on the object categories of some scenes: "
    "if all of this room's sources fail, set habitat_materials to false"
)
_TAIL_LEFT = 1e-8  # -80 dB
_UNHEARD = 1e-9  # -90 dB
_EARLY_S = 0.001  # sound that comes before the straight path by more than this is not where its label says

Rir = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class HabitatConfig:
    """How to simulate. settings: those of soundspaces/settings.py, resolved. Timeouts: for a group, for a scene."""

    settings: Mapping[str, Any]
    sample_rate: int
    hrtf: Path | None
    category_materials: Mapping[str, Material]
    timeout_s: float
    load_timeout_s: float


def load(process: HabitatProcess, room: Room, database: str | None, timeout_s: float) -> int:
    """Load a room's scene into a child; returns the number of its objects with categories.

    Args:
        process: a started child.
        room: what to load.
        database: the material database, for a scene with semantics; None loads no semantics.
        timeout_s: for the whole load.

    Raises:
        RoomError: the scene file is not there, or lies elsewhere than the room in the world frame.
        EngineError: Habitat does not load it.
    """
    with scene_file(room) as path:
        what = f"loading the scene {path.name}"
        loaded = process.ask("load", timeout_s, what, scene=str(path), materials=database).header
    check_bounds(room, loaded.get("bounds"))
    return int(loaded.get("semantic_objects") or 0)


def raw_rir(
    process: HabitatProcess,
    config: HabitatConfig,
    listener: Pose,
    source: Vec3,
    changes: Mapping[str, Any],
    deadline: float | None = None,
) -> tuple[Rir, float | None]:
    """Simulate one source.

    Args:
        process: a child with a loaded scene.
        config: how to simulate.
        listener, source: in the frame of the scene that the child has loaded.
        changes: acoustic settings by habitat-sim's names, instead of those that the child was started with.
        deadline: of the group that the source is one of, on the clock of time.monotonic; None takes the timeout.

    Returns the RIR at the library's own scale, float32 (2, n), and the ray efficiency where this habitat-sim tells it.
    Raises EngineError where the child fails or what it gives is not a binaural RIR.
    """
    reply = process.ask(
        "simulate",
        config.timeout_s or _NO_LIMIT_S,
        f"simulating the source at {source}",
        deadline,
        position=list(listener.position),
        orientation=list(listener.orientation),
        source=list(source),
        changes=dict(changes),
        hrtf=None if config.hrtf is None else str(config.hrtf),
    )
    rir = reply.samples
    if rir is None or rir.dtype != np.float32 or rir.ndim != 2 or rir.shape[0] != 2 or not rir.shape[1]:
        shape = None if rir is None else rir.shape
        raise EngineError(f"the engine habitat gave an RIR of shape {shape} for the source at {source}, not (2, n)")
    if rir.shape[1] > MAX_IR_S * config.sample_rate:
        raise EngineError(f"the engine habitat gave an RIR of {rir.shape[1] / config.sample_rate:.0f} s")
    if not np.isfinite(rir).all():
        raise EngineError(f"the engine habitat gave an RIR that is not finite for the source at {source}")
    efficiency = reply.header.get("ray_efficiency")
    return rir, float(efficiency) if isinstance(efficiency, float) else None


class HabitatRoom(Closing):
    """A room in a child process of its own. warnings: what a user should know about its sound.

    A child that had to be ended fails its call alone: the next one starts another.

    Args:
        start: gives a started child, which the room ends.
        room: what to load into it.
        config: how to simulate.
        gain: the calibration gain.
        removed: samples of the HRTF's lag to take from the start of every RIR.

    Raises as `start` and `load` do.
    """

    def __init__(
        self, start: Callable[[], HabitatProcess], room: Room, config: HabitatConfig, gain: float, removed: int = 0
    ) -> None:
        self._start, self._room, self._config, self._gain, self._removed = start, room, config, gain, removed
        self._efficiency: float | None = None
        self._closed = False
        semantic = room.scene_path is not None and not room.is_shifted and has_semantics(room.scene_path)
        categories = config.category_materials
        self._database = material_database(categories) if semantic and categories else None
        self._process, objects = self._loaded()
        with_materials = self._database is not None and objects > 0
        self.warnings: tuple[str, ...] = ()
        if not with_materials:
            self.warnings = ("Habitat finds no object categories for it: every surface has Habitat's default material",)
        self._depth: DepthEstimator | None = None
        if config.settings["indirect_ray_depth"] == "auto":
            self._depth = DepthEstimator(room if with_materials else _of_default_material(room))

    def _loaded(self) -> tuple[HabitatProcess, int]:
        process = self._start()
        try:
            return process, load(process, self._room, self._database, self._config.load_timeout_s)
        except BaseException:
            process.close()
            raise

    def _living(self) -> HabitatProcess:
        if self._closed:
            raise EngineError(f"the room {self._room.room_id} was closed: open it again")
        if self._process.ended:
            self._process, _ = self._loaded()
        return self._process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int = 0) -> list[Rir]:
        """Return one calibrated RIR per source, in order: float32 (2, n), linear, left then right.

        `seed` is not used, the library takes none.

        Raises:
            EngineError: a source lies inside the listener's head, is not heard or too early, or the child failed.
        """
        changes = {} if self._depth is None else {DEPTH: self._depth.depth(listener.position)}
        here = dataclasses.replace(listener, position=self._room.from_origin(listener.position))
        finished = []
        deadline = time.monotonic() + (self._config.timeout_s or _NO_LIMIT_S)
        for source in sources:
            distance = math.dist(listener.position, source)
            if not distance > LISTENER_RADIUS_M:
                raise EngineError(
                    f"the source at {source} is {distance:.3g} m from the centre of the listener's head: "
                    f"keep more than {LISTENER_RADIUS_M} m"
                )
            try:
                there = self._room.from_origin(source)
                rir, self._efficiency = raw_rir(self._living(), self._config, here, there, changes, deadline)
            except EngineError as error:
                if self._database is None or "crashed" not in str(error):
                    raise
                raise EngineError(f"{error}; {_LEAVE_MATERIALS_OUT}") from None
            finished.append(self._finished(rir, source, distance))
        return finished

    def _finished(self, rir: Rir, source: Vec3, distance: float) -> Rir:
        where = f"for the source at {source}, {distance:.2f} m from the listener, in room {self._room.room_id}"
        rate = self._config.sample_rate
        delay = round((distance - LISTENER_RADIUS_M) / ENGINE_SPEED_M_S * rate)
        energy = np.sum(np.square(rir, dtype=np.float64), axis=0)
        if rir.shape[1] <= delay or energy.sum() < _UNHEARD:
            raise EngineError(f"the engine habitat gave a silent RIR {where}: no path joins them, move the source")
        before = max(0, delay - round(_EARLY_S * rate))
        if energy[:before].max(initial=0.0) > 1e-2 * energy.max():
            raise EngineError(f"the engine habitat gave sound that comes before its straight path {where}")
        left = np.cumsum(energy[::-1])[::-1]
        end = int(np.count_nonzero(left > _TAIL_LEFT * left[0]))
        start = delay if self._config.settings["rir_time_zero"] == "direct" else 0
        return np.ascontiguousarray(later_by(rir[:, start:end], -self._removed) * np.float32(self._gain))

    def navigable_points(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return random places on the floor where Habitat lets an agent walk: float64 (count, 3), metres, world frame.

        The navmesh is the one beside the scene file where there is one, else made with Habitat's defaults for an agent.

        Raises:
            PlacementError: Habitat finds no such place.
            EngineError: the child failed.
        """
        what = "drawing places on the navmesh"
        reply = self._living().ask("navigable", self._config.load_timeout_s, what, count=count, seed=seed % 2**32)
        points = reply.samples
        if points is None or points.dtype != np.float64 or points.shape != (count, 3):
            raise EngineError(f"the engine habitat gave no {count} places on the navmesh of room {self._room.room_id}")
        if not np.isfinite(points).all():
            raise PlacementError(f"room {self._room.room_id} has no place on Habitat's navmesh")
        return points.astype(np.float64) + self._room.origin

    @property
    def ray_efficiency(self) -> float | None:
        """The share of indirect rays that met a surface in the last call; None where this habitat-sim tells none."""
        return self._efficiency

    def close(self) -> None:
        """End the child; closing twice is fine."""
        self._closed = True
        self._process.close()


def _of_default_material(room: Room) -> Room:
    """Return the room as Habitat hears it where it knows no materials."""
    return dataclasses.replace(
        room, materials=(material("default"),), face_material=np.zeros(len(room.faces), dtype=np.int32)
    )
