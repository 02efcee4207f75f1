"""Channel layouts and the names of their channels."""

from collections.abc import Mapping
from types import MappingProxyType

CHANNEL_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binaural": ("left", "right"),
        "foa": ("W", "Y", "Z", "X"),  # first-order ambisonics as AmbiX has it; see ambisonics.py
        "mono": ("mono",),
        "stereo": ("left", "right"),  # a mid-side pair of coincident microphones
    }
)
