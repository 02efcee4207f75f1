"""Two acoustic engines for the minimal habitat-sim: a direct sound with a tail of noise, and the real library."""

import os
from typing import Any

import numpy as np

from .agent import Quaternion
from .choices import CHOICES
from .scene import Mesh

if CHOICES.rlr:
    from spatialqa.acoustics.habitat.scene_files import material_database
    from spatialqa.acoustics.soundspaces import rlr_api
    from spatialqa.rooms.materials import material

_SPEED_M_S, _RADIUS_M, _EAR_M, _LAG_S = 343.99, 0.1, 0.08, 0.0009


def simple_rir(
    mesh: Mesh,
    config: Any,
    listener: np.ndarray,
    quaternion: np.ndarray,
    source: np.ndarray,
    simulations: int,
) -> np.ndarray:
    """Two ears 16 cm apart with a cardioid each; 1/r; half a second of noise after the direct sound."""
    rate = float(config.sampleRate)
    head = Quaternion(*quaternion).matrix()
    offset = source - listener
    distance = float(np.linalg.norm(offset))
    n = int((distance / _SPEED_M_S + 0.5) * rate)
    time = np.arange(n) / rate
    rir = np.zeros((2, n))
    for ear, side in enumerate((-1.0, 1.0)):
        axis = head @ np.array([side, 0.0, 0.0])
        cosine = float(axis @ offset) / distance
        arrival = (distance - _RADIUS_M - _EAR_M * cosine) / _SPEED_M_S + _LAG_S
        if config.direct and not mesh.blocks(listener, source):
            shape = np.sinc((time - arrival) * rate / 2) * np.exp(-(((time - arrival) * rate / 8) ** 2))
            rir[ear] += (0.7 + 0.3 * cosine) / distance * shape
        if config.indirect:
            tail = np.random.default_rng([simulations, ear]).standard_normal(n) * np.exp(-time * 30) * 0.01
            rir[ear] += np.where(time > arrival + 0.002, tail, 0.0)
    return rir * float(config.globalVolume)


def library_rir(
    mesh: Mesh,
    config: Any,
    listener: np.ndarray,
    quaternion: np.ndarray,
    source: np.ndarray,
    simulations: int,
) -> np.ndarray:
    """RLRAudioPropagation on the mesh, of one material, as habitat-sim calls it."""
    native = rlr_api.library().default_configuration()
    for name in ("direct", "indirect", "diffraction", "transmission"):
        setattr(native, name, getattr(config, name))
    native.indirect_ray_count, native.indirect_ray_depth = config.indirectRayCount, config.indirectRayDepth
    native.sample_rate, native.thread_count = config.sampleRate, config.threadCount
    native.global_volume = config.globalVolume
    x, y, z = (float(v) for v in listener)
    a, b, c = (float(v) for v in source)
    w, i, j, k = (float(v) for v in quaternion)
    database = os.memfd_create("materials")
    os.write(database, material_database({"default": material("default")}).encode())
    vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float32)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.uint32)
    with rlr_api.Context(native) as context:
        context.add_mesh(vertices, [("default", faces)], f"/proc/self/fd/{database}")
        context.add_listener((x, y, z), (w, i, j, k), rlr_api.BINAURAL)
        context.add_source((a, b, c))
        context.simulate()
        return context.impulse_response(0)
