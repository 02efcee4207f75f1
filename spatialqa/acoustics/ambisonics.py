"""First-order ambisonics in the AmbiX convention (Nachbar et al., 2011): ACN order W, Y, Z, X, SN3D, axes of the head.

W is the sound pressure. X, Y and Z are figures of eight that point to the front, the left and above: a plane wave from
azimuth a and elevation e (as in geometry.py) is heard as W * (1, sin a cos e, sin e, cos a cos e). A turn of the head
mixes Y, Z and X and leaves W and the energy of the three together as they are.
"""

import math

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Quaternion, rotation_matrix

Rir = npt.NDArray[np.float32]

_N3D_TO_SN3D = 1 / math.sqrt(3)  # of the three first-order channels
_RLR_AXES = [2, 0, 1]  # where the library has its x, y and z among the three after W
_AMBIX_OF_HEAD = np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])  # Y, Z, X of right, up, back


def from_rlr(rir: Rir, orientation: Quaternion) -> Rir:
    """Return RLRAudioPropagation's first order as AmbiX: float32 (4, n), W, Y, Z, X.

    The library turns nothing with the listener. As measured, its channels are W and the parts along y, z and x of the
    frame in which it was given the mesh, positive for sound that comes from the positive side, N3D.

    Args:
        rir: float32 (4, n), from the library.
        orientation: of the head, head to the library's frame.
    """
    along = rir[1:][_RLR_AXES].astype(np.float64) * _N3D_TO_SN3D
    turn = _AMBIX_OF_HEAD @ rotation_matrix(orientation).T
    turned = np.sum(turn[:, :, None] * along, axis=1)  # not by BLAS, which rounds as its threads and kernels are
    return np.concatenate([rir[:1], turned.astype(np.float32)])
