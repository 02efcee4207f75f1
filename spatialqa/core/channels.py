"""Channel layouts: the channels of `binaural` and `foa`."""

from collections.abc import Mapping
from types import MappingProxyType

CHANNEL_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binaural": ("left", "right"),
        "foa": ("W", "Y", "Z", "X"),  # first-order ambisonics as AmbiX has it; see ambisonics.py
    }
)
