"""The habitat engine: habitat-sim's AudioSensor, in a child process of the Python that has it.

One child holds one room. Habitat's sensor takes one source at a time, so an RIR here depends on nothing but its own
room, listener and source; each comes from a fresh context, like those of the soundspaces engine, and takes no seed.
"""

import dataclasses
import hashlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spatialqa.acoustics.habitat import check as habitat_check
from spatialqa.acoustics.habitat.process import HOW_TO_GET, HabitatProcess, usable_python
from spatialqa.acoustics.habitat.room import DEPTH, HabitatConfig, HabitatRoom, load, raw_rir
from spatialqa.acoustics.hrtf import usable_hrtf
from spatialqa.acoustics.setting_kinds import as_identity
from spatialqa.acoustics.soundspaces.engine import DEFAULT_HRTF, ENGINE_SPEED_M_S, LISTENER_RADIUS_M
from spatialqa.acoustics.soundspaces.settings import check_sample_rate, resolve
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import EngineError, MissingDependencyError, SpatialQAError
from spatialqa.rooms.materials import Material
from spatialqa.rooms.room import Room

START_TIMEOUT_S = 120.0  # habitat-sim imports in seconds, from a network disk in a minute

# What habitat-sim calls the settings. It may lack those that are not essential; see identity.config["not_offered"].
_NAMES: Mapping[str, str] = {
    "frequency_bands": "frequencyBands",
    "direct_sh_order": "directSHOrder",
    "indirect_sh_order": "indirectSHOrder",
    "direct_ray_count": "directRayCount",
    "indirect_ray_count": "indirectRayCount",
    "indirect_ray_depth": DEPTH,
    "source_ray_count": "sourceRayCount",
    "source_ray_depth": "sourceRayDepth",
    "max_diffraction_order": "maxDiffractionOrder",
    "direct": "direct",
    "indirect": "indirect",
    "diffraction": "diffraction",
    "transmission": "transmission",
    "mesh_simplification": "meshSimplification",
}
_ESSENTIAL = {"sampleRate", "threadCount", "indirectRayCount", DEPTH, "direct", "indirect"}
_DIRECT_ALONE = {"direct": True, "indirect": False, "diffraction": False, "transmission": False, DEPTH: 1}


@dataclasses.dataclass(frozen=True)
class _Build:
    """A habitat-sim that passed the check with one configuration."""

    facts: Mapping[str, Any]
    sound: habitat_check.DirectSound


_checked: dict[tuple[str, str], _Build] = {}  # by Python and configuration: checked once a process


def checked(sample_rate: int, preset: str, overrides: Mapping[str, Any] | None, channels: str) -> dict[str, Any]:
    """Return the settings of the engine habitat; raises EngineError where a rate, setting or layout is not usable."""
    if channels != "binaural":
        raise EngineError(f"the engine habitat gives binaural sound only, not {channels}: use soundspaces")
    try:
        check_sample_rate(sample_rate)
        return resolve(preset, overrides)
    except EngineError as error:  # the settings are the same, the name is not
        raise EngineError(str(error).replace("soundspaces", "habitat")) from None


class HabitatEngine:
    """habitat-sim with audio, with one sample rate, one configuration and one HRTF.

    Settings, presets, calibration, time zero and the cut of the tail are those of SoundSpacesEngine, whose library this
    is. When the engine is made, a child checks the direct sound at known places, since some releases place the source
    wrongly; that also measures the calibration gain.

    Args:
        sample_rate: Hz, 8000 to 48000; with a SOFA file at most the file's own rate.
        preset: "fast" or "reference".
        overrides: settings that replace the preset's; names in soundspaces/settings.py.
        hrtf: a SOFA file instead of the built-in HRTF, where this habitat-sim takes one.
        python: the Python that has habitat-sim; None takes this one if it has it.
        channels: "binaural".
        category_materials: a material for each object category, for scenes with semantics. Without them, and in scenes
            that have none, Habitat gives every surface one material (absorption 0.1).
        timeout_s: for the simulation of one group; 0 is no limit.
        load_timeout_s: for loading one scene, and for its navmesh.
        hrtf_cache: where a SOFA file is kept in the form that the library reads; None takes the default cache.

    Raises:
        MissingDependencyError: there is no habitat-sim, or one built without audio.
        EngineError: no Python, a setting that cannot be used, or a build whose direct sound is wrong.
    """

    def __init__(
        self,
        sample_rate: int,
        preset: str = "fast",
        overrides: Mapping[str, Any] | None = None,
        hrtf: Path | None = None,
        python: str | None = None,
        channels: str = "binaural",
        category_materials: Mapping[str, Material] | None = None,
        timeout_s: float = 300.0,
        load_timeout_s: float = 1800.0,
        hrtf_cache: Path | None = None,
    ) -> None:
        settings = checked(sample_rate, preset, overrides, channels)
        own = None if hrtf is None else usable_hrtf(Path(hrtf).absolute(), sample_rate, "habitat", hrtf_cache)
        label = DEFAULT_HRTF if own is None else own.label
        hrtf = None if own is None else own.path
        materials = dict(sorted((category_materials or {}).items()))
        self.python = usable_python(python) if python else _own_python()
        self.configuration = HabitatConfig(settings, sample_rate, hrtf, materials, timeout_s, load_timeout_s)
        config: dict[str, Any] = {**as_identity(settings), "thread_count": 1, "sample_rate": sample_rate, "hrtf": label}
        config["channels"] = channels
        if own is not None and own.changes:
            config["hrtf_changes"] = list(own.changes)
        config["category_materials_sha256"] = hashlib.sha256(repr(materials).encode()).hexdigest()
        build = self._checked_build(json.dumps(config, sort_keys=True), set(overrides or {}))
        config |= {name: build.facts[name] for name in ("not_offered", "rlr_sha256")}
        self.direct_sound = build.sound
        lag_s = build.sound.lag_ms / 1e3 - LISTENER_RADIUS_M / ENGINE_SPEED_M_S  # after the centre of the head
        self._removed = round(lag_s * sample_rate) if settings["hrtf_lag"] == "remove" else 0
        self._identity = EngineIdentity(
            name="habitat",
            version=build.facts["version"],
            sha256=build.facts["sha256"],
            config=config,
            config_hash=hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16],
            hrtf=label,
            calibration_gain=1 / math.sqrt(build.sound.energy_1m) if settings["calibrated"] else 1.0,
            sample_rate=sample_rate,
            seeded=False,
            hrtf_lag_s=lag_s - self._removed / sample_rate,
        )

    @property
    def identity(self) -> EngineIdentity:
        """What this engine is, to the byte."""
        return self._identity

    @property
    def timeout_s(self) -> float:
        """For the simulation of one group, after which its child is ended; 0 is no limit."""
        return self.configuration.timeout_s

    def open(self, room: Room) -> HabitatRoom:
        """Load a room into a child of its own.

        Raises:
            RoomError: its scene file is not there or is not in the world frame.
            EngineError: habitat-sim failed, or is another than when the engine was made.
        """
        gain = self._identity.calibration_gain
        return HabitatRoom(self._same_build, room, self.configuration, gain, self._removed)

    def _same_build(self) -> HabitatProcess:
        process, facts = self._started()
        if (facts["version"], facts["sha256"]) != (self._identity.version, self._identity.sha256):
            process.close()
            raise EngineError(f"habitat-sim in {self.python} changed while it was in use: start again")
        return process

    def _started(self) -> tuple[HabitatProcess, dict[str, Any]]:
        settings = {_NAMES[name]: value for name, value in self.configuration.settings.items() if name in _NAMES}
        settings |= {"sampleRate": self.configuration.sample_rate, "threadCount": 1, "temporalCoherence": False}
        settings |= {"globalVolume": 1.0, "unitScale": 1.0}
        if settings[DEPTH] == "auto":
            settings[DEPTH] = 1  # until the listener is known
        process = HabitatProcess(self.python)
        try:
            return process, _facts(process, settings)
        except BaseException:
            process.close()
            raise

    def _checked_build(self, configuration: str, overridden: set[str]) -> _Build:
        key = (self.python, configuration)
        if key not in _checked:
            process, facts = self._started()
            try:
                _checked[key] = _Build(facts, self._check(process, facts, overridden))
            finally:
                process.close()
        return _checked[key]

    def _check(
        self, process: HabitatProcess, facts: Mapping[str, Any], overridden: set[str]
    ) -> habitat_check.DirectSound:
        config = self.configuration
        where = f"habitat-sim {facts['version']} in {self.python}"
        wanted = _ESSENTIAL | {_NAMES[name] for name in overridden & _NAMES.keys()}
        if lacking := sorted(wanted.intersection(facts["not_offered"])):
            raise EngineError(f"{where} has no acoustic setting {', '.join(lacking)}: {HOW_TO_GET}")
        if config.hrtf is not None and not facts.get("takes_hrtf"):
            raise EngineError(
                f"{where} takes no HRTF file (its AudioSensor has no setListenerHRTF): leave hrtf out, "
                "or use SoundSpaces' branch RLRAudioPropagationUpdate or the engine soundspaces"
            )
        load(process, habitat_check.check_room(), None, config.load_timeout_s)

        def simulate(listener: Pose, source: Vec3) -> habitat_check.Rir:
            return raw_rir(process, config, listener, source, _DIRECT_ALONE)[0]

        sound = habitat_check.measure(simulate, where, config.sample_rate, ENGINE_SPEED_M_S, LISTENER_RADIUS_M)
        habitat_check.judge(sound, where, ENGINE_SPEED_M_S, config.hrtf is not None)
        if config.hrtf is not None:
            plain = dataclasses.replace(config, hrtf=None)
            own, built_in = (raw_rir(process, c, *habitat_check.FRONT, _DIRECT_ALONE)[0] for c in (config, plain))
            if np.array_equal(own, built_in):
                raise EngineError(f"{where} does not take the HRTF file {config.hrtf}: it sounds like the built-in one")
        return sound


def installed(python: str | None) -> tuple[bool, str]:
    """Tell whether habitat-sim with audio can be had, and its version or what to do; checks nothing that it gives."""
    try:
        path = usable_python(python) if python else _own_python()
        process = HabitatProcess(path)
        try:
            return (
                True,
                f"habitat-sim {_facts(process, {})['version']} in {path}; its direct sound is checked when used",
            )
        finally:
            process.close()
    except SpatialQAError as error:
        return False, str(error)


def _facts(process: HabitatProcess, settings: Mapping[str, Any]) -> dict[str, Any]:
    facts = process.ask("start", START_TIMEOUT_S, "importing habitat-sim", settings=settings).header
    texts = [facts.get("version"), facts.get("sha256")]
    missing = facts.get("not_offered")
    if not all(isinstance(text, str) for text in texts) or not isinstance(missing, list) or "rlr_sha256" not in facts:
        raise EngineError("the habitat process did not report its version of habitat-sim")
    return facts


def _own_python() -> str:
    if os.name == "posix" and importlib.util.find_spec("habitat_sim") is not None:
        return sys.executable
    raise MissingDependencyError(f"the engine habitat needs a Python with habitat-sim: {HOW_TO_GET}")
