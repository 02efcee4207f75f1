"""The geometric engine behind the engine protocol."""

import functools
import hashlib
import importlib.metadata
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import spatialqa
from spatialqa.acoustics.engine import Closing
from spatialqa.acoustics.geometric.ears import EarsSource
from spatialqa.acoustics.geometric.embree import check_library, mesh_of_rays
from spatialqa.acoustics.geometric.group import LISTENER_RADIUS_M, TracedGroup, positions_in, trace_group
from spatialqa.acoustics.geometric.late_synthesis import heard_samples
from spatialqa.acoustics.geometric.settings import checked
from spatialqa.acoustics.geometric.surfaces import surfaces_of
from spatialqa.acoustics.geometric.time_bins import time_bins
from spatialqa.acoustics.head_set import refuse_no_subject
from spatialqa.acoustics.hrtf_lag import later_by
from spatialqa.acoustics.room_check import check_room
from spatialqa.acoustics.setting_kinds import as_identity
from spatialqa.core.geometry import Pose, Quaternion, Vec3
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import EngineError
from spatialqa.rooms.mesh import ray_library
from spatialqa.rooms.room import Room

_TAIL_LEFT = 1e-8  # -80 dB
_UNHEARD = 1e-9  # -90 dB
_NUMERIC_LIBRARIES = ("numba", "llvmlite", "numpy", "scipy")

Rir = npt.NDArray[np.float32]


class GeometricEngine:
    """The geometric engine with one sample rate, one configuration and one head or set of microphones.

    RIRs are calibrated: a frontal free-field source at 1 m has direct energy 1 (0 dB, the mean of both ears, or W) at
    any rate. `calibrated: false` leaves a pressure of 1 / (4 pi r), the free field of a source of volume velocity.

    `rir_time_zero: emission` (the default) starts the RIR when the source emits; the direct sound reaches the centre of
    the head distance / speed later. `direct` drops the first (distance - 0.1 m) / speed of it, rounded down.

    `hrtf_lag: remove` shifts every RIR by what is left of the HRTF's lag, to half a sample; the delay that all
    responses of a SOFA file share is never part of it.

    Nothing sounds more than 0.4 ms before the straight path can reach an ear. The tail is cut where less than 1e-8
    (-80 dB) of the RIR's energy, all channels together, is left.

    Args:
        sample_rate: Hz, 8000 to 96000.
        preset: "fast" (2000 rays for the late part) or "reference" (20,000).
        overrides: settings that replace the preset's; names in geometric/settings.py.
        hrtf: a SOFA file instead of the built-in head, or a folder of them: every call then names a subject.
        channels: "binaural", "foa" (AmbiX, axes of the head), "mono" or "stereo" (a mid-side pair).

    Raises:
        EngineError: a rate, preset, setting, HRTF or layout that cannot be used.
        EngineError: the library of rays cannot be loaded.
    """

    def __init__(
        self,
        sample_rate: int,
        preset: str = "fast",
        overrides: Mapping[str, Any] | None = None,
        hrtf: Path | None = None,
        channels: str = "binaural",
    ) -> None:
        self.settings = checked(sample_rate, preset, overrides, hrtf, channels)
        check_library()
        self.sample_rate = sample_rate
        self.channels = channels
        self.ears = EarsSource(sample_rate, hrtf, channels, self.settings["speed_of_sound_m_s"])
        self.gain = 1.0 if self.settings["calibrated"] else 1.0 / (4.0 * math.pi)
        lag = self.ears.lag
        self.bins = time_bins(self.settings["max_length_s"])
        config = {
            **as_identity(self.settings),
            "sample_rate": sample_rate,
            "hrtf": self.ears.label,
            "channels": channels,
        }
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        self._identity = EngineIdentity(
            name="geometric",
            version=spatialqa.__version__,
            sha256=_own_sha256(),
            config=config,
            config_hash=digest[:16],
            hrtf=self.ears.label,
            calibration_gain=self.gain,
            sample_rate=sample_rate,
            seeded=True,
            hrtf_lag_s=None if lag is None else (lag - self.removed(lag)) / sample_rate,
        )

    @property
    def identity(self) -> EngineIdentity:
        """What this engine is, to the byte."""
        return self._identity

    def removed(self, lag: float) -> int:
        """Return how many samples every RIR of ears with this lag, in samples, is shifted by."""
        return round(lag) if self.settings["hrtf_lag"] == "remove" else 0

    def open(self, room: Room) -> "GeometricRoom":
        """Prepare a room; raises RoomError for a mesh or material that cannot be used."""
        return GeometricRoom(self, room)


class GeometricRoom(Closing):
    """A room held for simulation."""

    def __init__(self, engine: GeometricEngine, room: Room) -> None:
        check_room(room)
        self._engine = engine
        self._room = room
        self._efficiency: float | None = None
        self._last: tuple[tuple[Vec3, tuple[Vec3, ...], int], TracedGroup] | None = None  # for other heads there
        # Embree computes in float32: about the middle of the mesh the rounding is least
        vertices = np.asarray(room.vertices, dtype=np.float64)
        self._middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        centred = np.ascontiguousarray(vertices - self._middle, dtype=np.float32)
        self._surfaces = surfaces_of(room, centred)
        self._mesh = mesh_of_rays(centred, room.faces)

    def rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int = 0) -> list[Rir]:
        """Return one calibrated RIR per source, in order: float32 (channels, n), linear.

        The last trace is kept: another head at the same position, with the same sources and seed, costs a decoding.

        Raises:
            EngineError: a source lies inside the listener's head, or is not heard at all, or there are several heads.
        """
        refuse_no_subject(self._engine.ears.heads)
        return self._rirs(listener, sources, seed, None)

    def rirs_of_subject(self, listener: Pose, sources: Sequence[Vec3], seed: int, subject: str) -> list[Rir]:
        """Return what `rirs` does, heard by a subject of the folder of heads; raises EngineError for another one."""
        return self._rirs(listener, sources, seed, subject)

    def _rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int, subject: str | None) -> list[Rir]:
        if not sources:
            return []
        what = (listener.position, tuple(sources), seed)
        if self._last is None or self._last[0] != what:
            self._last = what, self.trace(*what)
        return self.decode(self._last[1], listener.orientation, sources, subject)

    def trace(self, listener: Vec3, sources: Sequence[Vec3], seed: int = 0) -> TracedGroup:
        """Return what reaches a listener's position from sources (world, metres), for any head to decode.

        Raises:
            EngineError: a source lies inside the listener's head, or the room was closed.
        """
        for source in sources:
            distance = math.dist(listener, source)
            if not distance > LISTENER_RADIUS_M:
                raise EngineError(
                    f"the source at {source} is {distance:.3g} m from the centre of the listener's head: "
                    f"keep more than {LISTENER_RADIUS_M} m"
                )
        try:
            rays = self._mesh.rays
        except EngineError:
            raise EngineError(f"the room {self._room.room_id} was closed: open it again") from None
        here, *there = positions_in([listener, *sources], self._room.origin, self._middle)
        engine = self._engine
        traced = trace_group(rays, self._surfaces, here, np.array(there), engine.settings, engine.bins, seed)
        self._efficiency = traced.efficiency
        return traced

    def decode(
        self, traced: TracedGroup, orientation: Quaternion, sources: Sequence[Vec3], subject: str | None = None
    ) -> list[Rir]:
        """Return what a head of this orientation (head to world) hears of a traced group: float32 (channels, n) each.

        Args:
            traced: of `trace`.
            orientation: of the head.
            sources: the positions that were traced, for messages.
            subject: whose head it is, of a folder of heads.

        Raises:
            EngineError: a source is not heard at all, or there is no such subject.
        """
        engine = self._engine
        ears = engine.ears.of(subject)
        emission = engine.settings["rir_time_zero"] == "emission"
        raw = traced.rirs(orientation, ears.receiver, ears.carriers, engine.sample_rate, emission)
        removed = engine.removed(ears.lag)
        return [self._finished(rir, source, removed) for rir, source in zip(raw, sources, strict=True)]

    def _finished(self, rir: Rir, source: Vec3, removed: int) -> Rir:
        energy, length = heard_samples(rir, _TAIL_LEFT)
        if not energy > _UNHEARD:
            raise EngineError(
                f"the engine geometric gave a silent RIR for the source at {source} in room {self._room.room_id}: "
                "no path joins them, move the source"
            )
        rir = later_by(rir, -removed)
        heard = rir[:, :length]
        return np.ascontiguousarray(heard * np.float32(self._engine.gain))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing: the room itself says what there is to know."""
        return ()

    @property
    def ray_efficiency(self) -> float | None:
        """The share of indirect rays that met a surface in the last call, about 1 in a closed room; None before it."""
        return self._efficiency

    def close(self) -> None:
        """Release the room; closing twice is fine."""
        self._last = None
        self._mesh.close()


@functools.cache
def _own_sha256() -> str:
    """Return the hash of everything that computes RIRs: this package's modules, and versions of numeric libraries."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(ray_library.identity())
    for name in _NUMERIC_LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()
