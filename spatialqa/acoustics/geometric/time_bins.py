"""Time bins of the late part: narrow at first, wider in proportion to time as the decay smooths out."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.late_energy import TIME_STEP_S

_NARROWEST_STEPS = 4  # 2 ms
_GROWTH = 0.05  # of the time since the emission: 0.05 of an RT60 is 3 dB


class TimeBins(NamedTuple):
    """T bins. edges_s: float64 (T + 1,), seconds since the emission. of_step: int32 (n,), the bin of each time step."""

    edges_s: npt.NDArray[np.float64]
    of_step: npt.NDArray[np.int32]


def time_bins(longest_s: float) -> TimeBins:
    """Return bins from the emission to `longest_s` seconds after it."""
    last = round(longest_s / TIME_STEP_S)
    edges = [0]
    while edges[-1] < last:
        edges.append(min(last, edges[-1] + max(_NARROWEST_STEPS, int(_GROWTH * edges[-1]))))
    of_step = np.searchsorted(np.array(edges[1:]), np.arange(last), side="right").astype(np.int32)
    return TimeBins(np.array(edges) * TIME_STEP_S, of_step)
