"""Checks stored RIRs: size, values, and the direction of the direct sound of ambisonic RIRs.

Worked out from the stored samples and positions alone, by code that the RIRs were not made with.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Pose, to_head
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import SpatialQAError

Rir = npt.NDArray[np.float32]

DIRECTION_TOLERANCE_DEG = 5.0
_MAY_BE_OFF = 0.05  # where a surface is so close to the straight path that its reflection comes with the direct sound
_DIRECT_S = 0.00025
_ONSET = 0.1  # of the largest sample


@dataclass(eq=False)
class RirCheck:
    """The check of all files of the `rirs` table of a data set with these channels: left, right or W, Y, Z, X."""

    channels: tuple[str, ...]
    n_rirs: int = 0
    n_direct: int = 0  # ambisonic RIRs with a free line of sight
    n_off: int = 0

    def file_problems(self, path: Path) -> Iterator[str]:
        """Say what is wrong with the RIRs of one file."""
        off, direct = self.n_off, self.n_direct
        for row in read_rows(path, batch_rows=16):
            self.n_rirs += 1
            yield from (f"rirs/{path.name}: {row['rir_id']}: {text}" for text in self._row_problems(row))
        off, direct = self.n_off - off, self.n_direct - direct
        if off > _MAY_BE_OFF * direct:
            yield (
                f"rirs/{path.name}: the direct sound of {off} of {direct} RIRs comes from more than "
                f"{DIRECTION_TOLERANCE_DEG:g} degrees beside its source"
            )

    @property
    def summary(self) -> str:
        """What was checked, in words."""
        text = f"{self.n_rirs} RIRs have {len(self.channels)} channels and their samples"
        if self.n_direct:
            text += (
                f"; the direct sound of {self.n_direct - self.n_off} of {self.n_direct} comes from its source, "
                f"within {DIRECTION_TOLERANCE_DEG:g} degrees"
            )
        return text

    def _row_problems(self, row: dict[str, Any]) -> Iterable[str]:
        n, samples = len(self.channels), row["n_samples"]
        if samples < 1 or len(row["rir"]) != 4 * n * samples:
            yield f"holds {len(row['rir'])} bytes, not {n} channels of {samples} float32 samples"
            return
        rir = np.frombuffer(row["rir"], dtype="<f4").reshape(n, samples)
        if not np.isfinite(rir).all() or not rir.any():
            yield "is silent or not finite"
        elif "W" in self.channels and row["drr_db"] is not None:  # null without line of sight
            self.n_direct += 1
            self.n_off += self._is_off(row, rir)

    def _is_off(self, row: dict[str, Any], rir: Rir) -> bool:
        try:
            listener = Pose(tuple(row["listener_position"]), tuple(row["listener_orientation"]))
        except SpatialQAError:
            return True
        to_right, to_top, to_back = to_head(listener, row["source_position"])
        truth = np.array([-to_back, -to_right, to_top])  # along X, Y, Z
        pressure = rir[self.channels.index("W")].astype(np.float64)
        first = int(np.argmax(np.abs(pressure) >= _ONSET * np.abs(pressure).max()))
        direct = slice(first, first + max(1, round(_DIRECT_S * row["sample_rate"])))
        heard = np.array([pressure[direct] @ rir[self.channels.index(name), direct] for name in "XYZ"])
        angle = math.atan2(float(np.linalg.norm(np.cross(truth, heard))), float(truth @ heard))
        return math.degrees(angle) > DIRECTION_TOLERANCE_DEG
