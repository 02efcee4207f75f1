"""Settings of the geometric engine: names, types, ranges, presets, and their validation."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spatialqa.acoustics.setting_kinds import Choice, Count, Kind, Number, Switch, nearest, resolved
from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.errors import EngineError

MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 8_000, 96_000
MOST_REFLECTIONS = 6  # of image sources

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "ray_count": Count(16, 10_000_000),  # of the late part
        "specular_ray_count": Count(16, 10_000_000),  # that propose image sources
        "specular_order": Count(0, MOST_REFLECTIONS),
        "scattering": Choice(("early", "material", "lambert")),
        "direct": Switch(),
        "indirect": Switch(),
        "diffraction": Switch(),
        "transmission": Switch(),
        "air_absorption": Switch(),
        "temperature_c": Number(-20.0, 50.0, "degrees Celsius"),
        "humidity_percent": Number(1.0, 100.0, "per cent"),
        "speed_of_sound_m_s": Number(250.0, 450.0, "m/s"),
        "directivity": Choice(("omnidirectional", "cardioid", "talker")),
        "facing": Choice(("listener", "random")),
        "max_length_s": Number(0.1, 30.0, "s"),
        "calibrated": Switch(),
        "rir_time_zero": Choice(("emission", "direct")),
        "hrtf_lag": Choice(("keep", "remove")),
    }
)

_FAST: Mapping[str, Any] = MappingProxyType(
    {
        "ray_count": 2000,
        "specular_ray_count": 4000,
        "specular_order": 3,
        "scattering": "early",
        "direct": True,
        "indirect": True,
        "diffraction": True,
        "transmission": True,
        "air_absorption": True,
        "temperature_c": 20.0,
        "humidity_percent": 50.0,
        "speed_of_sound_m_s": 343.0,
        "directivity": "omnidirectional",
        "facing": "listener",
        "max_length_s": 5.0,
        "calibrated": True,
        "rir_time_zero": "emission",
        "hrtf_lag": "keep",
    }
)

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "fast": _FAST,
        "reference": MappingProxyType({**_FAST, "ray_count": 20_000, "specular_ray_count": 20_000}),
    }
)


def checked(
    sample_rate: int, preset: str, overrides: Mapping[str, Any] | None, hrtf: Path | None, channels: str
) -> dict[str, Any]:
    """Return the settings of the engine geometric; raises EngineError for any that is not usable."""
    if type(sample_rate) is not int or not MIN_SAMPLE_RATE_HZ <= sample_rate <= MAX_SAMPLE_RATE_HZ:
        raise EngineError(
            f"the engine geometric takes a whole sample rate from {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz, "
            f"got {sample_rate!r}: render at 32000 and resample the result"
        )
    settings = resolved("geometric", preset, overrides, PRESETS, KINDS)
    if not settings["direct"] and not settings["indirect"]:
        raise EngineError("the geometric settings direct and indirect are both false: nothing would be heard")
    if channels not in CHANNEL_NAMES:
        raise EngineError(f"the engine geometric has no channels {channels!r}: {nearest(channels, CHANNEL_NAMES)}")
    if channels != "binaural" and hrtf is not None:
        raise EngineError(f"channels {channels} has no HRTF: leave {hrtf} out, or render channels binaural")
    return settings
