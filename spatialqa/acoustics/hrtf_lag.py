"""How late an HRTF makes the direct sound, and RIRs without that."""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.rir_metrics import direct_index


def hrtf_lag_s(frontal: npt.ArrayLike, sample_rate: int, distance_m: float, speed_m_s: float) -> float:
    """Return how much later than distance / speed the direct sound of a frontal source comes, in seconds.

    The arrival is that of `direct_index`: the first sample within 20 dB of the largest.

    Args:
        frontal: RIR of a source ahead in free field, (2, n), from its emission on.
        sample_rate: Hz.
        distance_m, speed_m_s: from the source to the centre of the head, and of sound.
    """
    return direct_index(frontal, "binaural") / sample_rate - distance_m / speed_m_s


def later_by(rir: npt.NDArray[np.float32], samples: int) -> npt.NDArray[np.float32]:
    """Return an RIR (channels, n), later by a number of samples; where that is negative, earlier."""
    return rir[:, -samples:] if samples < 0 else np.pad(rir, ((0, 0), (samples, 0)))
