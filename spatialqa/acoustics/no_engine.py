"""The engine of plan-only runs: it opens any room and simulates nothing."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.engine import Closing
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import EngineError
from spatialqa.rooms.room import Room


class NoEngine:
    """Stands where an engine would, so that planning needs none."""

    def __init__(self, sample_rate: int) -> None:
        self._identity = EngineIdentity("none", "0", "0" * 64, {}, "0" * 16, "none", 1.0, sample_rate, True)

    @property
    def identity(self) -> EngineIdentity:
        """An identity that no engine has."""
        return self._identity

    def open(self, room: Room) -> "NoRoom":
        """Return a room in which nothing sounds."""
        return NoRoom()


class NoRoom(Closing):
    """A room in which nothing sounds."""

    ray_efficiency: float | None = None
    warnings: tuple[str, ...] = ()

    def rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int) -> list[npt.NDArray[np.float32]]:
        """Raise EngineError: there is nothing to simulate with."""
        raise EngineError("this run only plans; render without --plan-only to simulate")

    def close(self) -> None:
        """Do nothing."""
