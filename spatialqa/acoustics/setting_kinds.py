"""Settings of engines: the kinds of their values, and presets with single settings put in."""

import difflib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from spatialqa.errors import EngineError


class Kind(Protocol):
    """What a setting takes; as text it says so: `must be ...`."""

    def accepts(self, value: object) -> bool:
        """Tell whether the setting takes a value."""
        ...


@dataclass(frozen=True)
class Count:
    """A whole number in bounds, or "auto" where that is allowed."""

    lowest: int
    highest: int
    auto: bool = False

    def accepts(self, value: object) -> bool:
        """Tell whether the setting takes a value."""
        if isinstance(value, str):
            return self.auto and value == "auto"
        return type(value) is int and self.lowest <= value <= self.highest

    def __str__(self) -> str:
        return f"a whole number from {self.lowest} to {self.highest}" + (' or "auto"' if self.auto else "")


@dataclass(frozen=True)
class Number:
    """A number in bounds, with its unit."""

    lowest: float
    highest: float
    unit: str

    def accepts(self, value: object) -> bool:
        """Tell whether the setting takes a value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return math.isfinite(value) and self.lowest <= value <= self.highest

    def __str__(self) -> str:
        return f"a number from {self.lowest:g} to {self.highest:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Switch:
    """True or false."""

    def accepts(self, value: object) -> bool:
        """Tell whether the setting takes a value."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    options: tuple[str | int, ...]

    def accepts(self, value: object) -> bool:
        """Tell whether the setting takes a value."""
        return not isinstance(value, bool) and value in self.options

    def __str__(self) -> str:
        return " or ".join(json.dumps(option) for option in self.options)


def resolved(
    engine: str,
    preset: str,
    overrides: Mapping[str, Any] | None,
    presets: Mapping[str, Mapping[str, Any]],
    kinds: Mapping[str, Kind],
) -> dict[str, Any]:
    """Return every setting of a preset with the overrides put in.

    Raises:
        EngineError: the preset or a setting is unknown (the text names the nearest), or a value has the wrong kind.
    """
    if preset not in presets:
        raise EngineError(f"the engine {engine} has no preset {preset!r}: {nearest(preset, presets)}")
    settings = dict(presets[preset])
    for name, value in (overrides or {}).items():
        kind = kinds.get(name)
        if kind is None:
            raise EngineError(f"the engine {engine} has no setting {name!r}: {nearest(name, kinds)}")
        if not kind.accepts(value):
            raise EngineError(f"the {engine} setting {name} must be {kind}, got {value!r}")
        settings[name] = value
    return settings


def as_identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as an engine's identity has them: without `hrtf_lag: keep`, which changes nothing."""
    return {name: value for name, value in settings.items() if (name, value) != ("hrtf_lag", "keep")}


def nearest(name: object, known: Collection[str]) -> str:
    """Return a hint for a name that is not known."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
