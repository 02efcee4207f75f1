"""The three kinds of random draws that procedural homes use.

All take Generator.random alone, the stream that numpy is least likely to change, since a home's id means it forever.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


def draw_length(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a length from low to high, on the 1 cm grid."""
    return round(low + (high - low) * rng.random(), 2)


def pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    """Return one of the options, each as likely."""
    return options[int(rng.random() * len(options))]


def chance(rng: np.random.Generator, likelihood: float) -> bool:
    """Return True as often as likelihood, 0 to 1, says."""
    return bool(rng.random() < likelihood)
