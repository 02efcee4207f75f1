"""The frame of every drawing of a scene: seen by the listener, left is left.

A point is given by `across` (metres to the right of the listener), `ahead` (metres in front) and `up` (metres above the
ears). The frame turns with the nose and stays level where the head is tilted, so that floors stay level too.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray, Pose, Vec3, rotation_matrix


@dataclass(frozen=True)
class ListenerFrame:
    """A level frame whose origin is the centre of the head.

    origin: world point, metres. ahead: (x, z) of the unit vector that the nose points along, seen from above.
    """

    origin: Vec3
    ahead: tuple[float, float]

    @classmethod
    def of(cls, listener: Pose) -> Self:
        """Return the frame of a listener. A nose that points straight up or down leaves the top of the head to say."""
        turn = rotation_matrix(listener.orientation)
        for head_vector, sign in (((0.0, 0.0, -1.0), 1.0), ((0.0, 1.0, 0.0), -1.0 if turn[1, 2] < 0 else 1.0)):
            x, _, z = (turn @ head_vector).tolist()
            length = math.hypot(x, z)
            if length > 1e-6:
                return cls(listener.position, (sign * x / length, sign * z / length))
        raise AssertionError("nose and top of a head cannot both be vertical")

    @property
    def right(self) -> tuple[float, float]:
        """(x, z) of the unit vector to the right."""
        return -self.ahead[1], self.ahead[0]

    def across_ahead_up(self, points: npt.ArrayLike) -> FloatArray:
        """Return world points (..., 3) in this frame, float64 (..., 3), metres."""
        offset = np.asarray(points, dtype=np.float64) - np.asarray(self.origin)
        x, y, z = offset[..., 0], offset[..., 1], offset[..., 2]
        across = x * self.right[0] + z * self.right[1]
        ahead = x * self.ahead[0] + z * self.ahead[1]
        return np.stack([across, ahead, y], axis=-1)
