"""Channel layouts and the names of their channels."""

from collections.abc import Mapping
from types import MappingProxyType

from spatialqa.errors import DatasetError

DIRECTION_AXES = ("left", "front", "above")  # the positive end of each axis of the head, in the order of SceneView
CHANNEL_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binaural": ("left", "right"),
        "foa": ("W", "Y", "Z", "X"),  # first-order ambisonics as AmbiX has it; see ambisonics.py
        "mono": ("mono",),
        "stereo": ("left", "right"),  # a mid-side pair of coincident microphones
    }
)

_AXES_HEARD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binaural": DIRECTION_AXES,
        "foa": DIRECTION_AXES,
        "mono": (),
        "stereo": ("left",),  # level differences, alike for front and behind, above and below
    }
)


def axes_heard(channels: str) -> tuple[str, ...]:
    """Return along which of DIRECTION_AXES a layout tells where sound comes from.

    Raises:
        DatasetError: the layout is not known.
    """
    if channels not in _AXES_HEARD:
        raise DatasetError(f"channels {channels!r} are not known: known are {', '.join(_AXES_HEARD)}")
    return _AXES_HEARD[channels]
