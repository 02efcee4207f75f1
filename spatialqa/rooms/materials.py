"""Acoustic materials: absorption, scattering and transmission against frequency."""

from dataclasses import dataclass

Curve = tuple[tuple[float, float], ...]  # ((frequency_hz, value in [0, 1]), ...), by rising frequency


@dataclass(frozen=True)
class Material:
    """One surface material. Each curve gives the fraction of the incident energy at its octave-band centres."""

    name: str
    absorption: Curve
    scattering: Curve
    transmission: Curve
