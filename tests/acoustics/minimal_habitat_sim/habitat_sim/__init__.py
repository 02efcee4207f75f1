"""As much of habitat-sim's Python interface as an audio simulation calls, over numpy alone; for tests.

Written from habitat-sim's documentation and the calls known to work, in both spellings of its audio interface. The
environment variable MINIMAL_HABITAT_SIM holds JSON: see choices.py.
"""

import os
import sys

import numpy as np

from . import agent as agent
from . import sensor as sensor
from ._ext import habitat_sim_bindings as habitat_sim_bindings
from .agent import Agent
from .agent import AgentConfiguration as AgentConfiguration
from .choices import CHOICES
from .scene import Mesh, read_glb

__version__ = CHOICES.version

if CHOICES.fault == "no-import":
    raise ImportError("libGL.so.1: cannot open shared object file")
if CHOICES.fault == "noise":
    print("Renderer: none" * 1000, flush=True)
    os.write(1, b"a line of C++ on stdout\n" * 50_000)
    os.write(2, b"a line of C++ on stderr\n" * 50_000)
if CHOICES.audio:
    from .sensor import AudioSensorSpec as AudioSensorSpec


class SimulatorConfiguration:
    def __init__(self) -> None:
        self.scene_id = ""
        self.enable_physics = True
        self.create_renderer = True
        self.load_semantic_mesh = True


class Configuration:
    def __init__(self, sim_cfg: SimulatorConfiguration, agents: list[AgentConfiguration]) -> None:
        self.sim_cfg, self.agents = sim_cfg, agents


class NavMeshSettings:
    def __init__(self) -> None:
        self.agent_radius = 0.0

    def set_defaults(self) -> None:
        self.agent_radius = 0.1


class PathFinder:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._rng = np.random.default_rng()
        self.is_loaded = False
        self.radius = 0.0

    def seed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def get_random_navigable_point(self) -> np.ndarray:
        if not self.is_loaded or CHOICES.fault == "no-floor":
            return np.full(3, np.nan, dtype=np.float32)
        low, high = self._mesh.bounds
        point = self._rng.uniform(low + self.radius, high - self.radius)
        point[1] = low[1]
        return np.asarray(point, dtype=np.float32)


class _Range:
    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.min, self.max = low, high


class _Node:
    def __init__(self, mesh: Mesh) -> None:
        self.cumulative_bb = _Range(*mesh.bounds)

    def get_root_node(self) -> "_Node":
        return self


class _SemanticScene:
    def __init__(self, objects: int) -> None:
        self.objects = [object()] * objects


class Simulator:
    def __init__(self, config: Configuration) -> None:
        settings = config.sim_cfg
        if settings.create_renderer or any(a.sensor_specifications is None for a in config.agents):
            raise RuntimeError("no display: the renderer cannot be created")
        if CHOICES.fault == "load-crash":
            print("Assertion failed in loadStage", file=sys.stderr, flush=True)
            os.abort()
        self.mesh = read_glb(settings.scene_id)
        house = os.path.splitext(settings.scene_id)[0] + ".house"
        self.semantic = settings.load_semantic_mesh and os.path.exists(house)
        self.semantic_scene = _SemanticScene(2 if os.path.exists(house) else 0)
        self.pathfinder = PathFinder(self.mesh)
        self._agents = [Agent(a) for a in config.agents]

    def get_agent(self, agent_id: int) -> Agent:
        return self._agents[agent_id]

    def get_active_scene_graph(self) -> _Node:
        return _Node(self.mesh)

    def recompute_navmesh(self, pathfinder: PathFinder, settings: NavMeshSettings) -> bool:
        pathfinder.radius = settings.agent_radius
        pathfinder.is_loaded = True
        return True

    def add_sensor(self, spec: "sensor.AudioSensorSpec", agent_id: int | None = None) -> None:
        agent = self.get_agent(agent_id or 0)
        if spec.uuid in agent._sensors:
            raise RuntimeError(f"a sensor {spec.uuid} is there")
        agent._sensors[spec.uuid] = sensor.AudioSensor(spec)

    def get_sensor_observations(self) -> dict[str, object]:
        agent = self.get_agent(0)
        state = agent.get_state()
        found: dict[str, object] = {}
        for name, one in agent._sensors.items():
            position = state.position + state.rotation.turned(one.spec.position)
            quaternion = [state.rotation.w, state.rotation.x, state.rotation.y, state.rotation.z]
            one.setAudioListenerTransform(position, np.array(quaternion))
            one.runSimulation(self)
            found[name] = one.getIR()
        return found
