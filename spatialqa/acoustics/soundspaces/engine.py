"""The soundspaces engine: RLRAudioPropagation behind the engine protocol.

A fresh context serves every call, because a context that has simulated once answers differently the second time; one
thread, because more do not repeat. The library takes no seed: with equal arguments in equal order it gives equal bytes.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics import ambisonics
from spatialqa.acoustics.engine import Closing
from spatialqa.acoustics.head_set import head_set, refuse_no_subject
from spatialqa.acoustics.hrtf import usable_hrtf
from spatialqa.acoustics.hrtf_lag import hrtf_lag_s, later_by
from spatialqa.acoustics.room_check import check_room
from spatialqa.acoustics.setting_kinds import as_identity
from spatialqa.acoustics.soundspaces import rlr_api
from spatialqa.acoustics.soundspaces.ray_depth import DepthEstimator
from spatialqa.acoustics.soundspaces.settings import checked
from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.geometry import IDENTITY, Pose, Quaternion, Vec3, multiply, rotation_matrix, yaw_quaternion
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import EngineError
from spatialqa.rooms.materials import Curve
from spatialqa.rooms.room import Room

DEFAULT_HRTF = "rlr-default"
NO_HRTF = "none"  # of an ambisonic listener
ENGINE_SPEED_M_S = 343.99  # the library's own speed of sound, measured on 1 km of free field
CALIBRATION_M = 1.0  # distance of the frontal source that gain and lag are measured with
LISTENER_RADIUS_M = 0.1  # the library's default: sound arrives when it meets this sphere, not its centre
_AIR_DENSITY_KG_M3 = 1.2
_TAIL_LEFT = 1e-8  # -80 dB
_UNHEARD = 1e-9  # -90 dB; where no path exists the library leaves -110 dB instead of nothing
_OURS = (
    "calibrated",
    "rir_time_zero",
    "hrtf_lag",
    "indirect_ray_depth",
)  # settings that the library does not take as they are

# The library misses some triangles of meshes whose walls lie along its axes, so it gets the whole world turned about
# the vertical, by an angle at which no building stands.
_TURN = yaw_quaternion(17.0)
_TURN_MATRIX = rotation_matrix(_TURN)

Rir = npt.NDArray[np.float32]


class Ears(NamedTuple):
    """The file of an HRTF, None for the built-in one, the gain that calibrates it, and its lag.

    lag_s: what is left of it in the RIRs; None where there are several heads. removed: samples that are taken off.
    """

    hrtf: Path | None
    gain: float
    lag_s: float | None
    removed: int


class SoundSpacesEngine:
    """The engine inside SoundSpaces 2.0, with one sample rate, one configuration and one pair of ears, or none.

    RIRs are calibrated: a frontal free-field source at 1 m has direct energy 1 (0 dB, the mean of both ears, or W) at
    this rate with this HRTF. The gain is measured when the engine is made; `calibrated: false` keeps the library's
    scale.

    `rir_time_zero: emission` (the default) starts the RIR when the source emits; the direct sound comes
    (distance - 0.1 m) / 343.99 m/s later plus the HRTF's own lag. `direct` drops the first
    round((distance - 0.1 m) / 343.99 m/s * sample_rate) samples of every channel, so the HRTF's lag stays. Without one
    a single sample before the direct sound stays in its place, since the library may round the other way.

    `hrtf_lag: remove` shifts every RIR so that the direct sound of a frontal source comes distance / 343.99 m/s after
    its emission, to half a sample. The lag is measured when the engine is made; `identity.hrtf_lag_s` has it.

    The tail is cut where less than 1e-8 (-80 dB) of the RIR's energy, all channels together, is left: too little to
    move a T30, which ends at -35 dB, or to be heard.

    Args:
        sample_rate: Hz, 8000 to 48000; with a SOFA file at most the file's own rate.
        preset: "fast" (1000 rays, as many reflections as the room needs) or "reference" (SoundSpaces' defaults).
        overrides: settings that replace the preset's; names in soundspaces/settings.py.
        hrtf: a SOFA file (SimpleFreeFieldHRIR) instead of the built-in HRTF, or a folder of them: every call then
            names a subject.
        channels: "binaural", or "foa" for first-order ambisonics (AmbiX) in the axes of the head.
        hrtf_cache: where a SOFA file is kept in the form that the library reads; None takes the default cache.

    Raises:
        EngineError: a rate, preset, setting, HRTF or layout that cannot be used, or a library that is not the expected
            one.
        MissingDependencyError: the package is not installed.
    """

    def __init__(
        self,
        sample_rate: int,
        preset: str = "fast",
        overrides: Mapping[str, Any] | None = None,
        hrtf: Path | None = None,
        channels: str = "binaural",
        hrtf_cache: Path | None = None,
    ) -> None:
        self.settings = checked(sample_rate, preset, overrides, hrtf, channels)
        self.sample_rate = sample_rate
        self.channels = channels
        library = rlr_api.library()
        self.heads = head_set(hrtf)
        self._hrtf_cache = hrtf_cache
        self._heads_ready: dict[str, Ears] = {}
        single = hrtf is not None and self.heads is None
        own = usable_hrtf(Path(hrtf).absolute(), sample_rate, "soundspaces", hrtf_cache) if hrtf and single else None
        label = DEFAULT_HRTF if own is None else own.label
        if channels == "foa":
            label = NO_HRTF
        elif self.heads is not None:
            label = self.heads.label
        self._ears = Ears(None, 1.0, None, 0) if self.heads else self._measured(None if own is None else own.path)
        config = {
            **as_identity(self.settings),
            "thread_count": 1,
            "sample_rate": sample_rate,
            "hrtf": label,
            "channels": channels,
        }
        if own is not None and own.changes:
            config["hrtf_changes"] = list(own.changes)
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        self._identity = EngineIdentity(
            name="soundspaces",
            version=library.version,
            sha256=library.sha256,
            config=config,
            config_hash=digest[:16],
            hrtf=label,
            calibration_gain=self._ears.gain,
            sample_rate=sample_rate,
            seeded=False,
            hrtf_lag_s=self._ears.lag_s,
        )

    @property
    def identity(self) -> EngineIdentity:
        """What this engine is, to the byte."""
        return self._identity

    def ears(self, subject: str | None = None) -> "Ears":
        """Return the ears of a subject of its folder, or the only ones for None; raises EngineError without them."""
        if subject is None or self.heads is None:
            return self._ears
        if subject not in self._heads_ready:
            file = self.heads.file(subject).absolute()
            path = usable_hrtf(file, self.sample_rate, "soundspaces", self._hrtf_cache).path
            self._heads_ready[subject] = self._measured(path)
        return self._heads_ready[subject]

    def open(self, room: Room) -> "SoundSpacesRoom":
        """Prepare a room; raises RoomError for a mesh or material that cannot be used, EngineError from the library."""
        return SoundSpacesRoom(self, room)

    def configuration(self, depth: int, **changes: Any) -> rlr_api.ContextConfiguration:
        """Return the library's configuration for this engine, with this many reflections of an indirect ray."""
        configuration = rlr_api.library().default_configuration()
        for name, value in {**self.settings, **changes}.items():
            if name not in _OURS:
                setattr(configuration, name, value)
        configuration.indirect_ray_depth = depth
        configuration.thread_count = 1
        configuration.sample_rate = self.sample_rate
        return configuration

    @property
    def layout(self) -> rlr_api.Layout:
        """The library's layout for these channels."""
        return rlr_api.FIRST_ORDER_AMBISONICS if self.channels == "foa" else rlr_api.BINAURAL

    def _measured(self, hrtf: Path | None) -> "Ears":
        """Return ears with gain and lag, by the direct sound of a frontal source at CALIBRATION_M in free field."""
        with rlr_api.Context(self.configuration(depth=1, direct=True, indirect=False)) as context:
            context.add_listener((0.0, 0.0, 0.0), IDENTITY, self.layout, hrtf)
            context.add_source((0.0, 0.0, -CALIBRATION_M))
            context.simulate()
            rir = context.impulse_response(0)
        if not np.isfinite(rir).all() or not np.any(rir):
            raise EngineError(f"a frontal source at 1 m is silent with the HRTF {hrtf}: it cannot be calibrated")
        gain = self._calibration_gain(rir, hrtf) if self.settings["calibrated"] else 1.0
        lag_s = 0.0 if self.channels == "foa" else hrtf_lag_s(rir, self.sample_rate, CALIBRATION_M, ENGINE_SPEED_M_S)
        removed = round(lag_s * self.sample_rate) if self.settings["hrtf_lag"] == "remove" else 0
        return Ears(hrtf, gain, lag_s - removed / self.sample_rate, removed)

    def _calibration_gain(self, rir: Rir, hrtf: Path | None) -> float:
        heard = (rir[:1] if self.channels == "foa" else rir).astype(np.float64)
        energy = float(np.sum(heard * heard)) / len(heard)
        if not math.isfinite(energy) or energy <= 0:
            raise EngineError(
                f"a frontal source at 1 m has direct energy {energy} with the HRTF {hrtf}: it cannot be calibrated"
            )
        return 1 / math.sqrt(energy)


class SoundSpacesRoom(Closing):
    """A room held for simulation: its faces by material, and a material database that lives in memory."""

    def __init__(self, engine: SoundSpacesEngine, room: Room) -> None:
        check_room(room)
        self._engine = engine
        self._room = room
        self._efficiency: float | None = None
        self._vertices = np.ascontiguousarray(room.vertices @ _TURN_MATRIX.T, dtype=np.float32)
        faces = np.ascontiguousarray(room.faces, dtype=np.uint32)
        used = [int(m) for m in np.unique(room.face_material)]
        self._groups = [(_category(m), np.ascontiguousarray(faces[room.face_material == m])) for m in used]
        self._depth = DepthEstimator(room) if engine.settings["indirect_ray_depth"] == "auto" else None
        self._database = os.memfd_create("spatialqa-materials")
        try:
            os.write(self._database, _material_database(room).encode())
            self._check_materials()
        except BaseException:
            self.close()
            raise

    def _check_materials(self) -> None:
        triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=np.float32)
        face = np.array([[0, 1, 2]], dtype=np.uint32)
        with rlr_api.Context(self._engine.configuration(depth=1)) as context:
            context.add_mesh(triangle, [(category, face) for category, _ in self._groups], self._database_path)

    @property
    def _database_path(self) -> str:
        if self._database < 0:
            raise EngineError(f"the room {self._room.room_id} was closed: open it again")
        return f"/proc/self/fd/{self._database}"

    def ray_depth(self, listener: Vec3) -> int:
        """Return how many reflections an indirect ray makes for a listener at this position."""
        if self._depth is not None:
            return self._depth.depth(listener)
        return int(self._engine.settings["indirect_ray_depth"])

    def rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int = 0) -> list[Rir]:
        """Return one calibrated RIR per source, in order: float32 (channels, n), linear: left, right, or W, Y, Z, X.

        A source's late reverberation depends on the other sources of the call and on their order: repeat a call whole.
        `seed` is not used, the library takes none.

        Raises:
            EngineError: a source lies inside the listener's head, is not heard at all, the library failed, or there
                are several heads.
        """
        refuse_no_subject(self._engine.heads)
        return self._rirs(listener, sources, self._engine.ears())

    def rirs_of_subject(self, listener: Pose, sources: Sequence[Vec3], seed: int, subject: str) -> list[Rir]:
        """Return what `rirs` does, heard by a subject of the folder of heads; raises EngineError for another one."""
        return self._rirs(listener, sources, self._engine.ears(subject))

    def _rirs(self, listener: Pose, sources: Sequence[Vec3], ears: Ears) -> list[Rir]:
        distances = [math.dist(listener.position, source) for source in sources]
        for source, distance in zip(sources, distances, strict=True):
            if not distance > LISTENER_RADIUS_M:
                raise EngineError(
                    f"the source at {source} is {distance:.3g} m from the centre of the listener's head: "
                    f"keep more than {LISTENER_RADIUS_M} m"
                )
        if not sources:
            return []
        with rlr_api.Context(self._engine.configuration(self.ray_depth(listener.position))) as context:
            self.load(context, listener, sources, ears.hrtf)
            context.simulate()
            self._efficiency = context.ray_efficiency
            raw = [context.impulse_response(index) for index in range(len(sources))]
        if self._engine.channels == "foa":
            raw = [ambisonics.from_rlr(rir, _turned_head(listener)) for rir in raw]
        return [self._finished(*parts, ears) for parts in zip(raw, sources, distances, strict=True)]

    def load(self, context: rlr_api.Context, listener: Pose, sources: Sequence[Vec3], hrtf: Path | None = None) -> None:
        """Give a fresh context this room, a listener with its HRTF, and its sources, all shifted and turned alike.

        An ambisonic listener is never turned: the library's channels would stay as they are, and its rays would not.
        """
        context.add_mesh(self._vertices, self._groups, self._database_path)
        engine = self._engine
        orientation = IDENTITY if engine.channels == "foa" else _turned_head(listener)
        context.add_listener(self._inside(listener.position), orientation, engine.layout, hrtf)
        for source in sources:
            context.add_source(self._inside(source))

    def _inside(self, position: Vec3) -> Vec3:
        """Return a world point as the library gets it."""
        return _turned(self._room.from_origin(position))

    def _finished(self, rir: Rir, source: Vec3, distance: float, ears: Ears) -> Rir:
        where = f"for the source at {source}, {distance:.2f} m from the listener, in room {self._room.room_id}"
        delay = round((distance - LISTENER_RADIUS_M) / ENGINE_SPEED_M_S * self._engine.sample_rate)
        if rir.shape[0] != len(CHANNEL_NAMES[self._engine.channels]) or rir.shape[1] <= delay:
            raise EngineError(
                f"the engine soundspaces gave an RIR of shape {rir.shape} {where}: too short for its delay"
            )
        if not np.isfinite(rir).all():
            raise EngineError(f"the engine soundspaces gave an RIR that is not finite {where}: check the room's mesh")
        if float(np.sum(np.square(rir, dtype=np.float64))) < _UNHEARD:
            raise EngineError(f"the engine soundspaces gave a silent RIR {where}: no path joins them, move the source")
        if self._engine.settings["rir_time_zero"] == "direct":
            rir = rir[:, delay if self._engine.channels == "binaural" else max(0, delay - 1) :]
        rir = later_by(rir, -ears.removed)
        return np.ascontiguousarray(_trimmed(rir) * np.float32(ears.gain))

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
        if self._database >= 0:
            os.close(self._database)
            self._database = -1


def _turned(point: Vec3) -> Vec3:
    x, y, z = (float(v) for v in _TURN_MATRIX @ point)
    return (x, y, z)


def _turned_head(listener: Pose) -> Quaternion:
    return multiply(_TURN, listener.orientation)


def _trimmed(rir: Rir) -> Rir:
    energy = np.sum(np.square(rir, dtype=np.float64), axis=0)
    left = np.cumsum(energy[::-1])[::-1]
    return rir[:, : int(np.count_nonzero(left > _TAIL_LEFT * left[0]))]


def _category(material: int) -> str:
    # The library takes the material whose label is found inside the category, so no label may be part of another.
    return f"m{material:05d}x"


def _material_database(room: Room) -> str:
    def pairs(curve: Curve) -> list[float]:
        return [float(number) for point in curve for number in point]

    materials = [
        {
            "name": material.name,
            "labels": [_category(index)],
            "absorption": pairs(material.absorption),
            "scattering": pairs(material.scattering),
            "transmission": pairs(material.transmission),
            # The library refuses a material without these three; what passes a thin shell travels on as in air.
            "damping": [1000.0, 0.0],
            "speed": ENGINE_SPEED_M_S,
            "density": _AIR_DENSITY_KG_M3,
        }
        for index, material in enumerate(room.materials)
    ]
    return json.dumps({"materials": materials})
