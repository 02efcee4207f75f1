"""The octahedral map of the sphere onto a square, for tables by direction (Cigolle et al., JCGT 2014).

A table has n x n cells. Kernels find the cell of a direction without trigonometry.
"""

import numpy as np
import numpy.typing as npt

from spatialqa.core.compiled import inlined


@inlined
def cell_of(x: float, y: float, z: float, n: int) -> int:
    """Return the index of the cell, row * n + column, that a direction (x, y, z) of any length falls into."""
    scale = 1.0 / (abs(x) + abs(y) + abs(z))
    u, v = x * scale, z * scale
    if y < 0.0:
        u, v = (
            (1.0 - abs(z * scale)) * (1.0 if x >= 0.0 else -1.0),
            (1.0 - abs(x * scale)) * (1.0 if z >= 0.0 else -1.0),
        )
    column = min(n - 1, max(0, int((u + 1.0) * 0.5 * n)))
    row = min(n - 1, max(0, int((v + 1.0) * 0.5 * n)))
    return row * n + column


def cell_centres(n: int) -> npt.NDArray[np.float64]:
    """Return the unit vectors of the centres of all cells, float64 (n * n, 3), in the order of `cell_of`."""
    at = (np.arange(n) + 0.5) / n * 2.0 - 1.0
    v, u = np.meshgrid(at, at, indexing="ij")
    y = 1.0 - np.abs(u) - np.abs(v)
    below = y < 0
    x = np.where(below, (1.0 - np.abs(v)) * np.where(u >= 0, 1.0, -1.0), u)
    z = np.where(below, (1.0 - np.abs(u)) * np.where(v >= 0, 1.0, -1.0), v)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    unit: npt.NDArray[np.float64] = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit
