"""Early arrivals: the direct sound, image sources and diffracted sound of a group, as one table."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

DIRECT, THROUGH, MIRRORED, DIFFRACTED = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class Paths:
    """P arrivals. Air absorbs nothing yet, and the pattern of the source is in `gains`.

    source: int32 (P,), index in the group. kind: int32 (P,), DIRECT, THROUGH walls, MIRRORED or DIFFRACTED. length_m:
    float64 (P,), metres from source to listener. directions: float64 (P, 3), unit vectors from the listener to where
    the sound comes from, in the frame of the mesh. gains: float64 (P, B), pressure by octave band, spreading included:
    1 / length_m of a free path.
    """

    source: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int32]
    length_m: Float64
    directions: Float64
    gains: Float64

    def __len__(self) -> int:
        return len(self.source)

    def chosen(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Paths":
        """Return some of the paths, by mask or by index."""
        return Paths(*(getattr(self, f.name)[which] for f in fields(self)))


def joined(parts: list[Paths]) -> Paths:
    """Return the paths of several tables, by source and length."""
    whole = Paths(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Paths)))
    return whole.chosen(np.lexsort((whole.length_m, whole.source)))
