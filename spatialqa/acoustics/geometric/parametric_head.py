"""A head in closed form, with a family of shapes: sphere, pinnae and torso; it needs no measured data.

The sphere gives time and level differences between the ears. The pinnae tell front from back and above from below, the
torso above from below, each by a gain in dB that is a smooth function of direction and frequency:

- The concha resonates near 4 kHz, more for sound from the side that the pinna faces.
- The pinna shadows sound from behind, above about 3 kHz.
- A notch moves from 6 kHz (below) up to 10 kHz (above); sound from behind has almost none.
- Sound from above is brighter around 8 kHz; sound from behind is stronger around 1 kHz.
- The shoulder reflects sound from above, which makes a comb; the torso shadows sound from below, above about 1 kHz.

These cues follow published descriptions: the structural model of Brown and Duda (1998), the directional bands of
Blauert, the notches of Hebrank and Wright (1974), the torso of Algazi and others (2002). Sizes and strengths are our
choice, within the range of measured ears. No listening test has compared this head with a measured one.
"""

from dataclasses import dataclass

import numpy as np

from spatialqa.acoustics.geometric.receiver import Head
from spatialqa.acoustics.geometric.spherical_head import RADIUS_M, Float64, frequencies, path_m, shadow, short_responses
from spatialqa.core import seeds
from spatialqa.core.geometry import SPEED_OF_SOUND_M_S
from spatialqa.rooms.mesh.rays import sphere_directions

_DIRECTIONS = 1024
_TAPS = 128
_PINNA_AZIMUTH_DEG, _PINNA_ELEVATION_DEG = 25.0, 10.0  # where a pinna faces, from the front to its side


@dataclass(frozen=True)
class HeadShape:
    """The sizes of a head.

    radius_m: of the sphere. ear_azimuth_deg: of the ear canals, from the front. pinna_size: divides the frequencies of
    the pinna's cues. pinna_strength: multiplies them, in dB. shoulder_m: from the ears down to the shoulders.
    """

    radius_m: float = RADIUS_M
    ear_azimuth_deg: float = 100.0
    pinna_size: float = 1.0
    pinna_strength: float = 1.0
    shoulder_m: float = 0.17

    @property
    def label(self) -> str:
        """Its name in data sets, which tells it from other shapes."""
        return (
            f"parametric-1-r{1000 * self.radius_m:.2f}-e{self.ear_azimuth_deg:.1f}-s{self.pinna_size:.3f}"
            f"-d{self.pinna_strength:.3f}-t{1000 * self.shoulder_m:.1f}"
        )


AVERAGE = HeadShape()


def subject(number: int, seed: int = 0) -> HeadShape:
    """Return the shape of a subject: the same for the same number and seed, sizes spread as those of adults are."""
    rng = seeds.rng(seed, "head", str(number))
    radius, ear, size, strength, shoulder = rng.normal(size=5).clip(-2.0, 2.0)
    return HeadShape(
        radius_m=round(RADIUS_M * (1.0 + 0.045 * radius), 5),
        ear_azimuth_deg=round(100.0 + 3.0 * ear, 1),
        pinna_size=round(float(np.exp(0.09 * size)), 3),
        pinna_strength=round(float(np.exp(0.15 * strength)), 3),
        shoulder_m=round(0.17 * (1.0 + 0.1 * shoulder), 4),
    )


def parametric_head(
    sample_rate: int,
    shape: HeadShape = AVERAGE,
    directions: Float64 | None = None,
    speed_m_s: float = SPEED_OF_SOUND_M_S,
) -> Head:
    """Return a head at a sample rate in Hz.

    directions: float64 (D, 3), unit vectors in the frame of the head (+x right, +y up, -z nose); by default 1024,
    evenly around it.
    """
    if directions is None:
        directions = sphere_directions(_DIRECTIONS)
    ears = np.array([_toward(side, shape.ear_azimuth_deg, 0.0) for side in (-1.0, 1.0)])
    pinnae = np.array([_toward(side, _PINNA_AZIMUTH_DEG, _PINNA_ELEVATION_DEG) for side in (-1.0, 1.0)])
    angle = np.arccos(np.clip(directions @ ears.T, -1.0, 1.0))
    frequency = frequencies(4 * _TAPS, sample_rate)
    octave = np.log2(np.maximum(frequency, 20.0) / 1000.0)  # above 1 kHz
    up, back = directions[:, 1, None, None], directions[:, 2, None, None]
    facing = (directions @ pinnae.T)[..., None]
    gain_db = shape.pinna_strength * _pinna_db(octave + np.log2(shape.pinna_size), facing, up, back)
    gain_db = gain_db + _torso_shadow_db(octave, up)
    magnitude = shadow(angle, frequency, shape.radius_m, speed_m_s) * 10.0 ** (gain_db / 20.0)
    magnitude = magnitude * _shoulder(frequency, up, shape.shoulder_m, speed_m_s)
    delays = path_m(angle, shape.radius_m) / speed_m_s * sample_rate
    return Head(shape.label, directions, short_responses(magnitude, _TAPS), delays)


def _toward(side: float, azimuth_deg: float, elevation_deg: float) -> Float64:
    """Return the unit vector at an azimuth from the front towards a side, -1 left or 1 right."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    level = np.cos(elevation)
    return np.array([side * level * np.sin(azimuth), np.sin(elevation), -level * np.cos(azimuth)])


def _pinna_db(octave: Float64, facing: Float64, up: Float64, back: Float64) -> Float64:
    """Return the gain of a pinna, dB.

    octave: (F,), octaves above 1 kHz for a pinna of size 1. facing: (D, 2, 1), cosine of the angle to where the pinna
    faces. up, back: (D, 1, 1), the direction's components.
    """
    resonance = (6.0 + 3.0 * facing) * _bump(octave, 2.07, 0.6)
    behind = -11.0 * ((1.0 - facing) / 2.0) ** 2 * _above(octave, 1.5, 0.35)
    notch = -12.0 * ((1.0 + facing) / 2.0) * _bump(octave, 2.95 + 0.45 * up, 0.16)
    brighter = 5.0 * up * _bump(octave, 3.0, 0.45)
    fuller = 2.5 * np.maximum(back, 0.0) * _bump(octave, 0.15, 0.5)
    return resonance + behind + notch + brighter + fuller


def _torso_shadow_db(octave: Float64, up: Float64) -> Float64:
    return -6.0 * np.maximum(-up, 0.0) * _above(octave, 0.3, 0.5)


def _shoulder(frequency_hz: Float64, up: Float64, shoulder_m: float, speed_m_s: float) -> Float64:
    """Return the gain of a sound and its reflection by the shoulder, linear."""
    later_s = 2.0 * shoulder_m * np.maximum(up, 0.0) / speed_m_s
    strength = 0.3 * np.maximum(up, 0.0)
    return np.asarray(np.abs(1.0 + strength * np.exp(-2j * np.pi * frequency_hz * later_s)))


def _bump(octave: Float64, centre: Float64 | float, width: float) -> Float64:
    return np.asarray(np.exp(-0.5 * ((octave - centre) / width) ** 2))


def _above(octave: Float64, corner: float, width: float) -> Float64:
    return np.asarray(1.0 / (1.0 + np.exp(-(octave - corner) / width)))
