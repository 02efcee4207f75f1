"""An agent with a state and sensors."""

import copy
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .sensor import AudioSensor


Array = npt.NDArray[np.float64]


class Quaternion:
    """As numpy-quaternion's, which habitat-sim uses: w first."""

    def __init__(self, w: float, x: float, y: float, z: float) -> None:
        if not math.isclose(w * w + x * x + y * y + z * z, 1.0, abs_tol=1e-5):
            raise ValueError("not a rotation")
        self.w, self.x, self.y, self.z = w, x, y, z

    def matrix(self) -> Array:
        imaginary = np.array([self.x, self.y, self.z])
        cross = np.array([[0, -self.z, self.y], [self.z, 0, -self.x], [-self.y, self.x, 0]])
        level = (self.w**2 - imaginary @ imaginary) * np.eye(3)
        return np.asarray(level + 2 * np.outer(imaginary, imaginary) + 2 * self.w * cross)

    def turned(self, vector: object) -> Array:
        return np.asarray(self.matrix() @ np.asarray(vector, dtype=np.float64))


class AgentConfiguration:
    def __init__(self) -> None:
        self.sensor_specifications: list[object] | None = None  # None stands for the default camera


class AgentState:
    def __init__(self) -> None:
        self.position = np.zeros(3, dtype=np.float32)
        self.rotation = Quaternion(math.cos(1.0), 0.0, math.sin(1.0), 0.0)  # habitat-sim draws one
        self.sensor_states: dict[str, object] = {"camera": None}


class Agent:
    def __init__(self, configuration: AgentConfiguration) -> None:
        self._state = AgentState()
        self._sensors: dict[str, AudioSensor] = {}

    def get_state(self) -> AgentState:
        return copy.deepcopy(self._state)

    def set_state(self, state: AgentState, reset_sensors: bool = True) -> None:
        if state.sensor_states:
            raise RuntimeError("the sensors would be moved apart from their agent")
        self._state = copy.deepcopy(state)
