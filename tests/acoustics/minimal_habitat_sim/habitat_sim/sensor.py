"""The audio sensor in both spellings: of main (channelType), and of the SoundSpaces branch (type)."""

import enum
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .choices import CHOICES
from .sound import library_rir, simple_rir

if TYPE_CHECKING:
    from . import Simulator

_simulations = 0  # in this process: a library whose random state lives on answers differently the next time

_DEFAULTS: dict[str, Any] = {
    "sampleRate": 44100.0,
    "frequencyBands": 4,
    "directSHOrder": 3,
    "indirectSHOrder": 1,
    "threadCount": 1,
    "unitScale": 1.0,
    "globalVolume": 0.25,
    "indirectRayCount": 5000,
    "indirectRayDepth": 200,
    "sourceRayCount": 200,
    "sourceRayDepth": 10,
    "maxDiffractionOrder": 10,
    "direct": True,
    "indirect": True,
    "diffraction": True,
    "transmission": False,
    "meshSimplification": False,
    "temporalCoherence": False,
}
if CHOICES.api == "main":
    _DEFAULTS |= {"enableMaterials": True, "writeIrToFile": False, "dumpWaveFiles": False}
else:
    _DEFAULTS |= {"directRayCount": 500, "maxIRLength": 4.0}
if CHOICES.fault == "no-threads":
    del _DEFAULTS["threadCount"]


class RLRAudioPropagationConfiguration:
    """Takes the names that it has and no others. On the SoundSpaces branch a new one is zero throughout."""

    __slots__ = (*_DEFAULTS,)

    def __init__(self) -> None:
        for name, value in _DEFAULTS.items():
            setattr(self, name, value if CHOICES.api == "main" else type(value)(0))


if CHOICES.audio:

    class RLRAudioPropagationChannelLayoutType(enum.Enum):
        Mono = 1
        Binaural = 2


class RLRAudioPropagationChannelLayout:
    __slots__ = ("channelCount", "channelType" if CHOICES.api == "main" else "type")

    def __init__(self) -> None:
        self.channelCount = 0
        setattr(self, self.__slots__[1], None)


class AudioSensorSpec:
    """Takes any name, as habitat-sim's does."""

    def __init__(self) -> None:
        self.uuid = "audio"
        self.position: object = [0.0, 1.5, 0.0]
        self.acousticsConfig = RLRAudioPropagationConfiguration()
        for name, value in _DEFAULTS.items():
            setattr(self.acousticsConfig, name, value)
        self.channelLayout = RLRAudioPropagationChannelLayout()
        if CHOICES.api == "main":
            self.outputDirectory = ""
        else:
            self.enableMaterials = False


class AudioSensor:
    def __init__(self, spec: AudioSensorSpec) -> None:
        layout = getattr(spec.channelLayout, "channelType" if CHOICES.api == "main" else "type", None)
        if layout is not RLRAudioPropagationChannelLayoutType.Binaural or spec.channelLayout.channelCount != 2:
            raise RuntimeError("no layout")
        self.spec = spec
        self._source: np.ndarray | None = None
        self._listener = self._quaternion = np.zeros(3)
        self._materials = ""
        self._hrtf = ""
        self._ir: np.ndarray | None = None

    def setAudioSourceTransform(self, position: np.ndarray) -> None:  # noqa: N802
        x, y, z = (float(v) for v in position)
        self._source = np.array([y, z, 0.0] if CHOICES.fault == "misplaced" else [x, y, z])

    def setAudioListenerTransform(self, position: np.ndarray, quaternion: np.ndarray) -> None:  # noqa: N802
        self._listener, self._quaternion = position, quaternion
        if CHOICES.fault == "unturned":
            self._quaternion = np.array([1.0, 0.0, 0.0, 0.0])

    def setAudioMaterialsJSON(self, path: str) -> None:  # noqa: N802
        self._materials = path

    def runSimulation(self, simulator: "Simulator") -> None:  # noqa: N802
        global _simulations
        _simulations += 1
        assert self._source is not None
        config: Any = self.spec.acousticsConfig
        indirect = bool(config.indirect)
        self._record(simulator)
        if indirect and CHOICES.fault == "abort":
            print("RLR: assertion failed in Simulate", file=sys.stderr, flush=True)
            os.abort()
        if indirect and CHOICES.fault == "slow":
            time.sleep(1.0)
        if indirect and CHOICES.fault == "hang":
            while True:
                time.sleep(1)
        if CHOICES.fault == "noise":
            os.write(1, b"CreateContext: Context created\n" * 10_000)
            os.write(2, b"Using default material\n" * 10_000)
        render = library_rir if CHOICES.rlr else simple_rir
        rir = render(simulator.mesh, config, self._listener, self._quaternion, self._source, _simulations)
        if CHOICES.fault == "mute":
            rir = np.zeros_like(rir)
        elif CHOICES.fault == "late":
            rir = np.pad(rir, ((0, 0), (150, 0)))
        elif CHOICES.fault == "level":
            rir = rir * np.linalg.norm(self._source - self._listener)
        elif CHOICES.fault == "swapped":
            rir = rir[::-1]
        elif indirect and CHOICES.fault == "early":
            rir = rir[:, 200:]
        elif indirect and CHOICES.fault == "shape":
            rir = rir.T
        elif indirect and CHOICES.fault == "nan":
            rir[1, 500] = np.nan
        elif self._hrtf:
            rir = rir * 0.5
        self._ir = rir

    def getIR(self) -> list[list[float]]:  # noqa: N802
        assert self._ir is not None
        return [[float(v) for v in channel] for channel in self._ir]

    def _record(self, simulator: "Simulator") -> None:
        if not CHOICES.record:
            return
        config = self.spec.acousticsConfig
        holder: Any = config if CHOICES.api == "main" else self.spec
        materials = ""
        if holder.enableMaterials and simulator.semantic and self._materials:
            with open(self._materials, encoding="utf-8") as file:
                materials = file.read()
        line = {
            "config": {name: getattr(config, name) for name in _DEFAULTS},
            "spec": sorted(vars(self.spec)),
            "listener": [float(v) for v in self._listener],
            "materials": materials,
            "hrtf": self._hrtf,
        }
        with open(CHOICES.record, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if CHOICES.api == "soundspaces":

    def _set_listener_hrtf(self: AudioSensor, path: str) -> None:
        if CHOICES.fault != "deaf-to-hrtf":
            self._hrtf = path

    def _get_ray_efficiency(self: AudioSensor) -> float:
        return 0.75

    AudioSensor.setListenerHRTF = _set_listener_hrtf  # type: ignore[attr-defined]
    AudioSensor.getRayEfficiency = _get_ray_efficiency  # type: ignore[attr-defined]
