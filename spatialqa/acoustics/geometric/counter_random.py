"""Random numbers by counter: a pure function of a key and of what the number is for.

No state is carried from one draw to the next, so results do not depend on order, on batches or on threads. The mixing
function is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

import numpy as np

from spatialqa.core.compiled import inlined

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / 2**32


@inlined
def mixed(key: np.uint64, counter: int) -> np.uint64:
    """Return 64 bits for a counter, a whole number of 0 or more; use them as the key of a further counter."""
    z = key + (np.uint64(counter) + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return np.uint64(z ^ (z >> np.uint64(31)))


@inlined
def two_uniforms(bits: np.uint64) -> tuple[float, float]:
    """Return two independent numbers in [0, 1) of 64 bits."""
    return float(bits >> np.uint64(32)) * _UNIT, float(bits & np.uint64(0xFFFFFFFF)) * _UNIT


def subkey(key: np.uint64, counter: int) -> np.uint64:
    """Return `mixed` as kernels take keys: from Python its result is an int, whose size would choose another kernel."""
    return np.uint64(mixed(np.uint64(key), counter))
