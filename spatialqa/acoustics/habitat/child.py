"""The child process of the habitat engine: runs in the user's habitat-sim Python (3.8 or later) and needs only numpy.

It talks in frames over the pipes it gets as stdin and stdout: magic, header length, payload length, a JSON header, raw
samples. Habitat prints to stdout, so both pipes are moved away before it is imported and what it prints goes to stderr.

Every simulation runs in a fork of this process that holds the loaded scene and makes its own audio sensor. So each has
a fresh context (one that has simulated once answers differently the second time), a crash costs one simulation, and
the sensor's rule that materials can be set but once, `reset` or not, does no harm.

Nothing of spatialqa can be imported here.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import json
import os
import select
import signal
import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

PROTOCOL = 1
MAGIC = b"SQAH"
HEAD = struct.Struct("<4sIQ")
MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES = 4 << 20, 256 << 20
NO_HABITAT, NO_AUDIO, FAILED = "no-habitat", "no-audio", "failed"
SENSOR = "audio_sensor"
_PR_SET_PDEATHSIG = 1


class RefusalError(Exception):
    """Something that the user has to mend; `kind` tells the parent which error to raise."""

    def __init__(self, text: str, kind: str = FAILED) -> None:
        super().__init__(text)
        self.kind = kind


def frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """Return one message as bytes."""
    text = json.dumps(header).encode()
    return HEAD.pack(MAGIC, len(text), len(payload)) + text + payload


def split_head(head: bytes) -> tuple[int, int]:
    """Return the lengths of header and payload; raises ValueError for what is not a head of ours or is too large."""
    magic, header_bytes, payload_bytes = HEAD.unpack(head)
    if magic != MAGIC or header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise ValueError("no frame")
    return header_bytes, payload_bytes


class LoadedScene:
    """A loaded scene and the settings to simulate it with."""

    def __init__(self) -> None:
        self.habitat: Any = None
        self.start_request: dict[str, Any] = {}
        self.simulator: Any = None
        self.materials: int = -1

    def start(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Import habitat-sim and say what this build offers."""
        self.habitat = _habitat()
        self.start_request = request
        sensors = self.habitat.sensor
        config = self._spec_class()().acousticsConfig
        missing = [name for name in request["settings"] if not hasattr(config, name)]
        library = sys.modules.get("habitat_sim._ext.habitat_sim_bindings", self.habitat)
        path = str(library.__file__)
        return {
            "version": str(getattr(self.habitat, "__version__", "unknown")),
            "library": path,
            "sha256": _sha256(path),
            "rlr_sha256": _mapped_sha256("libRLRAudioPropagation"),
            "not_offered": missing,
            "takes_hrtf": hasattr(getattr(sensors, "AudioSensor", None), "setListenerHRTF"),
            "takes_materials": hasattr(getattr(sensors, "AudioSensor", None), "setAudioMaterialsJSON"),
        }, b""

    def load(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Load a scene file, with semantics where a material database is given."""
        habitat, materials = self.habitat, request["materials"]
        settings = habitat.SimulatorConfiguration()
        settings.scene_id = request["scene"]
        settings.enable_physics = False
        settings.create_renderer = False
        settings.load_semantic_mesh = materials is not None
        agent = habitat.agent.AgentConfiguration()
        agent.sensor_specifications = []  # the default is a camera, which needs a renderer
        self.simulator = habitat.Simulator(habitat.Configuration(settings, [agent]))
        if materials is not None:
            self.materials = os.memfd_create("spatialqa-materials")
            with open(self.materials, "w", encoding="utf-8", closefd=False) as file:
                file.write(materials)
        objects = getattr(getattr(self.simulator, "semantic_scene", None), "objects", None)
        return {"bounds": self._bounds(), "semantic_objects": len(objects or [])}, b""

    def _bounds(self) -> list[list[float]] | None:
        """Return the scene's lowest and highest corner in Habitat's frame, or None where this build tells none."""
        try:
            box = self.simulator.get_active_scene_graph().get_root_node().cumulative_bb
            corners = [[float(corner[axis]) for axis in range(3)] for corner in (box.min, box.max)]
        except (AttributeError, TypeError, IndexError):
            return None
        low, high = corners
        return corners if all(low[axis] < high[axis] for axis in range(3)) else None

    def simulate(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the RIR of one source at one listener; meant for a fork, since it can be called once."""
        import numpy as np

        simulator = self.simulator
        simulator.add_sensor(self._spec(request["changes"]), 0)
        agent = simulator.get_agent(0)
        sensor = agent._sensors[SENSOR]
        if self.materials >= 0:
            sensor.setAudioMaterialsJSON(f"/proc/self/fd/{self.materials}")
        if request["hrtf"] is not None:
            sensor.setListenerHRTF(request["hrtf"])
        state = agent.get_state()
        state.position = np.array(request["position"], dtype=np.float32)
        state.rotation = type(state.rotation)(*request["orientation"])
        state.sensor_states = {}
        agent.set_state(state, True)
        sensor.setAudioSourceTransform(np.array(request["source"], dtype=np.float32))
        rir = np.array(simulator.get_sensor_observations()[SENSOR], dtype="<f4", order="C")
        efficiency = float(sensor.getRayEfficiency()) if hasattr(sensor, "getRayEfficiency") else None
        return {"shape": list(rir.shape), "dtype": "<f4", "ray_efficiency": efficiency}, rir.tobytes()

    def navigable(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return random places on the navmesh: the scene's own, or one made with Habitat's defaults."""
        import numpy as np

        pathfinder = self.simulator.pathfinder
        if not pathfinder.is_loaded:
            settings = self.habitat.NavMeshSettings()
            settings.set_defaults()
            if not self.simulator.recompute_navmesh(pathfinder, settings):
                raise RefusalError("habitat-sim finds no floor to walk on")
        pathfinder.seed(request["seed"])
        points = [pathfinder.get_random_navigable_point() for _ in range(request["count"])]
        found = np.array([[float(point[axis]) for axis in range(3)] for point in points], dtype="<f8").reshape(-1, 3)
        return {"shape": list(found.shape), "dtype": "<f8"}, found.tobytes()

    def _spec_class(self) -> Any:
        return getattr(self.habitat, "AudioSensorSpec", None) or self.habitat.sensor.AudioSensorSpec

    def _spec(self, changes: dict[str, Any]) -> Any:
        # The parts are changed where they are: on the SoundSpaces branch a new configuration has no defaults in it.
        spec = self._spec_class()()
        spec.uuid = SENSOR
        spec.position = [0.0, 0.0, 0.0]
        layout = spec.channelLayout
        kind = self.habitat.sensor.RLRAudioPropagationChannelLayoutType.Binaural
        name = next((name for name in ("channelType", "type") if hasattr(layout, name)), None)
        if name is None:
            raise RefusalError("RLRAudioPropagationChannelLayout has neither channelType nor type")
        setattr(layout, name, kind)
        layout.channelCount = 2
        config = spec.acousticsConfig
        for name, value in {**self.start_request["settings"], **changes}.items():
            if hasattr(config, name):
                setattr(config, name, value)
        # On main a key of the configuration, on the SoundSpaces branch of the spec, which takes any name at all.
        for holder in (config, spec):
            if hasattr(holder, "enableMaterials"):
                holder.enableMaterials = self.materials >= 0
        if hasattr(spec, "outputDirectory"):
            spec.outputDirectory = "/nonexistent/"
        return spec


def _habitat() -> Any:
    with contextlib.suppress(ImportError):
        importlib.import_module("quaternion")  # before habitat_sim: some builds crash the other way round
    try:
        habitat: ModuleType = importlib.import_module("habitat_sim")
        importlib.import_module("habitat_sim.sensor")
    except ImportError as error:
        raise RefusalError(str(error), NO_HABITAT) from None
    # A build without audio has these names too, with nothing behind them.
    layouts = getattr(habitat.sensor, "RLRAudioPropagationChannelLayoutType", None)
    if not hasattr(layouts, "Binaural"):
        raise RefusalError(f"habitat-sim {getattr(habitat, '__version__', '')} in {habitat.__file__}", NO_AUDIO)
    return habitat


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _mapped_sha256(name: str) -> str | None:
    """Return the hash of the shared library of this name that the process has loaded, or None."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = sorted({line.split(maxsplit=5)[-1].strip() for line in maps if name in line})
    return _sha256(paths[0]) if paths and os.path.isfile(paths[0]) else None


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends; elsewhere than on Linux the closed pipe must do."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _answer(work: Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]], request: dict[str, Any]) -> bytes:
    try:
        return frame(*work(request))
    except RefusalError as error:
        return frame({"error": str(error), "kind": error.kind})
    except Exception as error:
        return frame({"error": f"{type(error).__name__}: {error}", "kind": FAILED})


def _in_fork(
    requests: int, work: Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]], request: dict[str, Any]
) -> bytes:
    """Return the answer of a fork of this process, or how it ended; end with it when the parent goes away."""
    receiver, sender = os.pipe()
    fork = os.fork()
    if fork == 0:
        _run_fork(receiver, sender, work, request)
    os.close(sender)
    poll = select.poll()
    poll.register(receiver, select.POLLIN)
    poll.register(requests, 0)  # only its end is of interest
    parts: list[bytes] = []
    while True:
        ready = dict(poll.poll())
        if requests in ready:
            os.kill(fork, signal.SIGKILL)
            os._exit(0)
        part = os.read(receiver, 1 << 20)
        if not part:
            break
        parts.append(part)
    os.close(receiver)
    _, status = os.waitpid(fork, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return frame({"error": f"habitat-sim crashed ({name})", "kind": FAILED})
    if status or not parts:
        text = f"habitat-sim ended the process with code {os.WEXITSTATUS(status)}"
        return frame({"error": text, "kind": FAILED})
    return b"".join(parts)


def _run_fork(
    receiver: int, sender: int, work: Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]], request: dict[str, Any]
) -> NoReturn:
    code = 1
    try:
        _die_with_parent()
        os.close(receiver)
        _write(sender, _answer(work, request))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    # The script's folder comes first on the path, and its modules would hide others of the same names.
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    _die_with_parent()
    scene = LoadedScene()
    _write(replies, frame({"protocol": PROTOCOL, "python": sys.version.split()[0]}))
    while True:
        try:
            header_bytes, _ = split_head(_read(requests, HEAD.size))
            request = json.loads(_read(requests, header_bytes))
        except EOFError:
            return
        if request["do"] == "simulate":
            answer = _in_fork(requests, scene.simulate, request)
        else:
            work = {"start": scene.start, "load": scene.load, "navigable": scene.navigable}[request["do"]]
            answer = _answer(work, request)
        try:
            _write(replies, answer)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
