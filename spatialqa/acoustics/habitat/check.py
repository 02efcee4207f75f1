"""Checks a habitat-sim build: direct sound at positions with known delay, level and side.

habitat-sim 0.3.1 to 0.3.4 hand the source's coordinates on from the second one, so what they simulate is another
place. Nothing says so: the RIR is there, only its direct sound is missing or late. The check needs no other build to
compare with, only geometry.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.rir_metrics import direct_index
from spatialqa.core.geometry import IDENTITY, Pose, Vec3, yaw_quaternion
from spatialqa.errors import EngineError
from spatialqa.rooms.materials import material
from spatialqa.rooms.room import Room

Rir = npt.NDArray[np.float32]
Simulate = Callable[[Pose, Vec3], Rir]

ADVICE = (
    "habitat-sim 0.3.1 to 0.3.4 are known to misplace the source: "
    "use SoundSpaces' branch RLRAudioPropagationUpdate (docs/habitat.md)"
)
# No two coordinates are alike, so that no exchange of axes goes unnoticed.
FRONT: tuple[Pose, Vec3] = (Pose((0.7, 1.6, -0.4), IDENTITY), (0.7, 1.6, -1.4))
_NEAR_M, _FAR_M, _SIDE_M = 1.0, 3.0, 1.5
_UNHEARD = 1e-9

# The HRTF's own lag to the first arrival: 0.5-1.5 ms measured with the built-in one; a SOFA file may start with more.
_LAG_S = (-0.0002, 0.003)
_SOFA_LAG_S = (-0.0002, 0.010)
_STEP_TOLERANCE_S = 0.00015  # 5 cm between the two distances; the HRTF's lag and the listener's radius cancel
_LEVEL_TOLERANCE_DB = 1.0  # of 9.54 dB by 1/r; the air takes 0.2 dB, 0.15 m of wrong distance at 1 m gives 1.2 dB
_SIDE_DB = 2.0  # the ears differ by 11.5 dB at 90 degrees


@dataclass(frozen=True)
class DirectSound:
    """What the check measured. energy_1m: direct energy of a frontal source at 1 m, mean of both ears, engine scale."""

    energy_1m: float
    lag_ms: float  # of the first arrival after (distance - listener radius) / speed
    step_ms: float  # from 1 m to 3 m
    level_step_db: float
    left_ild_db: float
    turned_ild_db: float


def check_room() -> Room:
    """Return the room of the check, 12 x 3.5 x 9 m; with its height taken for a width the sources are outside."""
    low, high = (-6.0, 0.0, -7.0), (6.0, 3.5, 2.0)
    corners = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    quads = [(0, 1, 5, 4), (2, 3, 7, 6), (0, 1, 3, 2), (4, 5, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    faces = np.array([triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))], dtype=np.int32)
    return Room(
        "check",
        "direct-sound",
        "direct-sound",
        np.array(corners, dtype=np.float32),
        faces,
        np.zeros(len(faces), dtype=np.int32),
        (material("default"),),
    )


def measure(simulate: Simulate, where: str, sample_rate: int, speed_m_s: float, radius_m: float) -> DirectSound:
    """Simulate direct sounds alone at known places.

    Args:
        simulate: gives the RIR, float32 (2, n), of a source at a listener in `check_room`.
        where: names the build, for errors.
        sample_rate: Hz.
        speed_m_s, radius_m: the engine's speed of sound, and its listener's radius.

    Raises:
        EngineError: a source in plain sight is not heard.
    """
    listener, front = FRONT
    x, y, z = listener.position

    def heard(what: str, listener: Pose, source: Vec3) -> Rir:
        rir = simulate(listener, source)
        if not _energy(rir) > _UNHEARD:
            raise EngineError(
                f"{where} is refused, its direct sound is missing: a source {what} is not heard; {ADVICE}"
            )
        return rir

    near = heard(f"{_NEAR_M:g} m ahead", listener, front)
    far = heard(f"{_FAR_M:g} m ahead", listener, (x, y, z - _FAR_M))
    left = heard(f"{_SIDE_M:g} m to the left", listener, (x - _SIDE_M, y, z))
    turned = heard("to the right of a turned head", Pose(listener.position, yaw_quaternion(90.0)), (x, y, z - _SIDE_M))
    arrival = direct_index(near, "binaural") / sample_rate
    return DirectSound(
        energy_1m=_energy(near) / 2,
        lag_ms=1e3 * (arrival - (_NEAR_M - radius_m) / speed_m_s),
        step_ms=1e3 * (direct_index(far, "binaural") / sample_rate - arrival),
        level_step_db=10 * math.log10(_energy(near) / _energy(far)),
        left_ild_db=_ild_db(left),
        turned_ild_db=_ild_db(turned),
    )


def judge(found: DirectSound, where: str, speed_m_s: float, own_hrtf: bool) -> None:
    """Refuse a build whose direct sound geometry rules out.

    Args:
        found: what `measure` gave.
        where: names the build, for errors.
        speed_m_s: the engine's speed of sound.
        own_hrtf: the ears are those of a SOFA file.

    Raises:
        EngineError: says what is wrong, and what to use instead.
    """
    wrong = _fault(found, speed_m_s, own_hrtf)
    if wrong is not None:
        raise EngineError(f"{where} is refused, its direct sound is wrong: {wrong}; {ADVICE}")


def _fault(found: DirectSound, speed_m_s: float, own_hrtf: bool) -> str | None:
    low, high = _SOFA_LAG_S if own_hrtf else _LAG_S
    step_ms = 1e3 * (_FAR_M - _NEAR_M) / speed_m_s
    level_db = 20 * math.log10(_FAR_M / _NEAR_M)
    way = f"from {_NEAR_M:g} to {_FAR_M:g} m ahead"
    if not 1e3 * low <= found.lag_ms <= 1e3 * high:
        late = "late" if found.lag_ms > 0 else "early"
        return f"a source {_NEAR_M:g} m ahead is heard {abs(found.lag_ms):.2f} ms {late}"
    if abs(found.step_ms - step_ms) > 1e3 * _STEP_TOLERANCE_S:
        return f"{way} the sound comes {found.step_ms:.2f} ms later, not {step_ms:.2f} ms"
    if abs(found.level_step_db - level_db) > _LEVEL_TOLERANCE_DB:
        return f"{way} the level falls by {found.level_step_db:.1f} dB, not by the {level_db:.1f} dB of 1/r"
    if found.left_ild_db < _SIDE_DB:
        return f"a source on the left is {found.left_ild_db:.1f} dB louder in the left ear"
    if found.turned_ild_db > -_SIDE_DB:
        return f"a source right of a turned head is {found.turned_ild_db:.1f} dB louder in the left ear"
    return None


def _energy(rir: Rir) -> float:
    return float(np.sum(np.square(rir, dtype=np.float64)))


def _ild_db(rir: Rir) -> float:
    left, right = (max(_energy(ear), 1e-30) for ear in rir)
    return 10 * math.log10(left / right)
