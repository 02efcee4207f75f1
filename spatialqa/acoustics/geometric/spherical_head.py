"""A rigid sphere as a head (Brown and Duda, IEEE Trans. Speech Audio Process. 6, 1998).

Each ear hears the sound later or earlier by Woodworth's path around the sphere, and darker or brighter by a shelf that
follows the angle between the sound and the ear's axis. It has no pinna and no torso: front and back are alike.
"""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.receiver import Head
from spatialqa.core.geometry import SPEED_OF_SOUND_M_S
from spatialqa.rooms.mesh.rays import sphere_directions

RADIUS_M = 0.0875
_DIRECTIONS = 1024
_TAPS = 64
_LEAST_GAIN = 0.1
_DARKEST_DEG = 150.0

Float64 = npt.NDArray[np.float64]


def spherical_head(sample_rate: int, radius_m: float = RADIUS_M, speed_m_s: float = SPEED_OF_SOUND_M_S) -> Head:
    """Return the head at a sample rate in Hz."""
    directions = sphere_directions(_DIRECTIONS)
    ears = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    angle = np.arccos(np.clip(directions @ ears.T, -1.0, 1.0))  # (D, 2), from the ear's axis
    path = np.where(angle < np.pi / 2, -np.cos(angle), angle - np.pi / 2) * radius_m
    gain = 1.0 + _LEAST_GAIN / 2 + (1.0 - _LEAST_GAIN / 2) * np.cos(angle * 180.0 / _DARKEST_DEG)
    omega = 2 * np.pi * np.fft.rfftfreq(4 * _TAPS, 1.0 / sample_rate)
    corner = 2 * speed_m_s / radius_m
    shelf = (corner + 1j * gain[..., None] * omega) / (corner + 1j * omega)
    magnitude = np.abs(shelf)
    responses = np.fft.irfft(_minimum_phase(magnitude), 4 * _TAPS)[..., :_TAPS]
    fade = np.ones(_TAPS)
    fade[_TAPS // 2 :] = np.cos(np.linspace(0.0, np.pi / 2, _TAPS - _TAPS // 2)) ** 2
    return Head(
        f"sphere-{radius_m:g}m", directions, (responses * fade).astype(np.float32), path / speed_m_s * sample_rate
    )


def _minimum_phase(magnitude: Float64) -> npt.NDArray[np.complex128]:
    """Return spectra of minimum phase with these magnitudes (..., n / 2 + 1)."""
    n = 2 * (magnitude.shape[-1] - 1)
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, 1e-6)), n)
    cepstrum[..., 1 : n // 2] *= 2.0
    cepstrum[..., n // 2 + 1 :] = 0.0
    return np.asarray(np.exp(np.fft.rfft(cepstrum, n)))
