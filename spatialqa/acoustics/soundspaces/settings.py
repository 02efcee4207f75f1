"""Settings of the soundspaces engine: names, types, ranges, presets, and their validation."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spatialqa.acoustics.setting_kinds import Choice, Count, Kind, Switch, nearest, resolved
from spatialqa.errors import EngineError

MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 8_000, 48_000
_LAYOUTS = ("binaural", "foa")


# What SoundSpaces 2.0 simulates with. indirect_ray_depth "auto" lets the room decide; see ray_depth.py.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "frequency_bands": Choice((4, 8)),  # the library takes any number for one of these two
        "direct_sh_order": Count(0, 9),
        "indirect_sh_order": Count(0, 3),  # the library crashes at higher orders
        "direct_ray_count": Count(1, 100_000),
        "indirect_ray_count": Count(1, 1_000_000),
        "indirect_ray_depth": Count(1, 2_000, auto=True),
        "source_ray_count": Count(1, 100_000),
        "source_ray_depth": Count(1, 2_000),
        "max_diffraction_order": Count(0, 20),
        "direct": Switch(),
        "indirect": Switch(),
        "diffraction": Switch(),
        "transmission": Switch(),
        "mesh_simplification": Switch(),
        "calibrated": Switch(),
        "rir_time_zero": Choice(("emission", "direct")),
        "hrtf_lag": Choice(("keep", "remove")),
    }
)

_REFERENCE: Mapping[str, Any] = MappingProxyType(
    {
        "frequency_bands": 4,
        "direct_sh_order": 3,
        "indirect_sh_order": 1,
        "direct_ray_count": 500,
        "indirect_ray_count": 5000,
        "indirect_ray_depth": 200,
        "source_ray_count": 200,
        "source_ray_depth": 10,
        "max_diffraction_order": 10,
        "direct": True,
        "indirect": True,
        "diffraction": True,
        "transmission": True,
        "mesh_simplification": False,
        "calibrated": True,
        "rir_time_zero": "emission",
        "hrtf_lag": "keep",
    }
)

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "reference": _REFERENCE,
        "fast": MappingProxyType({**_REFERENCE, "indirect_ray_count": 1000, "indirect_ray_depth": "auto"}),
    }
)


def resolve(preset: str, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return every setting of a preset with the overrides put in.

    Raises:
        EngineError: the preset or a setting is unknown (the text names the nearest), or a value has the wrong kind.
    """
    settings = resolved("soundspaces", preset, overrides, PRESETS, KINDS)
    if not settings["direct"] and not settings["indirect"]:
        raise EngineError("the soundspaces settings direct and indirect are both false: nothing would be heard")
    return settings


def checked(
    sample_rate: int, preset: str, overrides: Mapping[str, Any] | None, hrtf: Path | None, channels: str
) -> dict[str, Any]:
    """Return the settings of the engine soundspaces; raises EngineError for any that is not usable."""
    check_sample_rate(sample_rate)
    settings = resolve(preset, overrides)
    check_channels(channels, settings, hrtf)
    return settings


def check_channels(channels: str, settings: Mapping[str, Any], hrtf: Path | None) -> None:
    """Raise EngineError for a layout that is unknown or that these settings or an HRTF do not go with."""
    if channels not in _LAYOUTS:
        raise EngineError(f"the engine soundspaces has no channels {channels!r}: {nearest(channels, _LAYOUTS)}")
    if channels != "foa":
        return
    if hrtf is not None:
        raise EngineError(f"channels foa has no HRTF: leave {hrtf} out, or render channels binaural")
    for name in ("direct_sh_order", "indirect_sh_order"):
        if settings[name] < 1:
            raise EngineError(f"channels foa needs the soundspaces setting {name} to be 1 or more: at 0 only W sounds")


def check_sample_rate(sample_rate: int) -> None:
    """Raise EngineError for a rate at which the library does not work (above 48 kHz it corrupts its memory)."""
    if type(sample_rate) is not int or not MIN_SAMPLE_RATE_HZ <= sample_rate <= MAX_SAMPLE_RATE_HZ:
        raise EngineError(
            f"the engine soundspaces takes a whole sample rate from {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz, "
            f"got {sample_rate!r}: render at 32000 and resample the result"
        )
