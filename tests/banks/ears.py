"""RIRs of two ears without a head: each hears the source by its own distance, then a decaying tail."""

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import SPEED_OF_SOUND_M_S, Pose, Vec3, to_world

EARS = np.array([[-0.09, 0.0, 0.0], [0.09, 0.0, 0.0]])  # head frame: left, right


def ear_rir(listener: Pose, source: Vec3, sample_rate: int, seed: int = 0, n: int = 4000) -> npt.NDArray[np.float32]:
    """Return float32 (2, n), left then right, from the emission on."""
    draw = np.random.default_rng(seed)
    decay = np.exp(-np.arange(n) / (0.03 * sample_rate))
    rir = 0.01 * draw.normal(size=(2, n)) * decay
    distances = np.linalg.norm(to_world(listener, EARS) - np.asarray(source), axis=1)
    arrivals = np.round(distances / SPEED_OF_SOUND_M_S * sample_rate).astype(int)
    for ear in range(2):
        rir[ear, : arrivals[ear]] = 0.0
        rir[ear, arrivals[ear]] = 1.0 / distances[ear]
    return rir.astype(np.float32)


def lead(rir: npt.NDArray[np.float32]) -> int:
    """Return by how many samples the left ear is ahead of the right."""
    left, right = (int(np.argmax(np.abs(channel))) for channel in rir)
    return right - left
