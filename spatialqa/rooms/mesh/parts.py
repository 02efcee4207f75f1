"""The result of every mesh reader: parts, which are faces that share their names."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray

MAX_ELEMENTS = 2**25  # vertices or faces of a file, about 33.6 million: a small file can claim or repeat far more


@dataclass(frozen=True, eq=False)
class MeshPart:
    """Faces that share their names.

    names: from the most telling, as the file has them. vertices: float64 (V, 3). faces: int64 (F, 3). slot: which of
    the names is that of the material in the file, "" where it has none.
    """

    names: tuple[str, ...]
    vertices: FloatArray
    faces: npt.NDArray[np.int64]
    slot: str = ""


def compact(vertices: FloatArray, faces: npt.NDArray[np.int64]) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the vertices that faces use, in their order, and the faces by their new numbers."""
    if 8 * faces.size < len(vertices):
        used, renumbered = np.unique(faces, return_inverse=True)
        return vertices[used], renumbered.reshape(-1, 3)
    taken = np.zeros(len(vertices), dtype=np.bool_)
    taken[faces] = True
    return vertices[taken], (np.cumsum(taken) - 1)[faces]
