"""The listener's body: an upright cylinder that no source may be placed in."""

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.rooms.mesh.rays import BoolArray

HEAD_RADIUS_M = 0.1
BODY_RADIUS_M = 0.3  # shoulders are 0.4 to 0.5 m wide; the rest is the clearance of a person


def in_body(offset: FloatArray, radius_m: float) -> BoolArray:
    """Tell which points lie inside the body: bool (n,).

    The body is a cylinder around the vertical through the centre of the head, from the top of the head
    (HEAD_RADIUS_M above the centre) down without end.

    offset: float64 (n, 3), metres from the centre of the head along the axes of the world. radius_m: 0 for no body.
    """
    beside = offset[:, 0] ** 2 + offset[:, 2] ** 2 >= radius_m**2
    inside: BoolArray = ~beside & (offset[:, 1] <= HEAD_RADIUS_M)
    return inside if radius_m > 0 else np.zeros(len(offset), dtype=np.bool_)
