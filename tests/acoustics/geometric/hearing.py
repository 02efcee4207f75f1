"""Small helpers for the tests of the geometric engine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.engine import GeometricEngine
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.rooms.room import Room
from tests.acoustics.boxes import box_mesh, material, room
from tests.acoustics.hearing import RATE, Rir

SIZE: Vec3 = (6.0, 3.0, 5.0)
LISTENER = Pose((2.0, 1.5, 2.0))
SOURCES: list[Vec3] = [(4.6, 1.2, 3.6), (5.1, 1.7, 0.9), (0.8, 0.7, 4.1), (3.4, 2.2, 3.1)]
DRY: dict[str, Any] = {"air_absorption": False}
FREE: dict[str, Any] = {**DRY, "indirect": False}


def engine(channels: str = "mono", rate: int = RATE, preset: str = "fast", **settings: Any) -> GeometricEngine:
    return GeometricEngine(rate, preset, settings, channels=channels)


def hear(
    engine: GeometricEngine, room: Room, sources: Sequence[Vec3] = SOURCES, listener: Pose = LISTENER, seed: int = 1
) -> list[Rir]:
    with engine.open(room) as opened:
        return opened.rirs(listener, sources, seed)


def hall(absorption: float = 0.3, side: float = 2000.0) -> Room:
    """A box so large that none of its walls is heard in time."""
    return room(*box_mesh((-side, -side, -side), (side, side, side)), material(absorption))


def band_energies(rir: Rir, rate: int = RATE) -> npt.NDArray[np.float64]:
    """Energy in the octaves about 125 Hz to 8 kHz."""
    power = np.abs(np.fft.rfft(rir.astype(np.float64), 1 << 17)) ** 2
    frequency = np.fft.rfftfreq(1 << 17, 1 / rate)
    centres = 125.0 * 2.0 ** np.arange(7)
    return np.array([power[..., (frequency > c / 2**0.5) & (frequency < c * 2**0.5)].sum() for c in centres])
