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
    magnitude = shadow(angle, frequencies(4 * _TAPS, sample_rate), radius_m, speed_m_s)
    delays = path_m(angle, radius_m) / speed_m_s * sample_rate
    return Head(f"sphere-{radius_m:g}m", directions, short_responses(magnitude, _TAPS), delays)


def frequencies(n: int, sample_rate: int) -> Float64:
    """Return the frequencies of a real FFT of n samples, Hz, float64 (n / 2 + 1,)."""
    return np.arange(n // 2 + 1, dtype=np.float64) * (sample_rate / n)


def path_m(angle: Float64, radius_m: float) -> Float64:
    """Return how much longer the path to an ear is than that to the centre (Woodworth), metres.

    angle: between the sound and the ear's axis, radians.
    """
    return np.where(angle < np.pi / 2, -np.cos(angle), angle - np.pi / 2) * radius_m


def shadow(angle: Float64, frequency_hz: Float64, radius_m: float, speed_m_s: float) -> Float64:
    """Return the gain that the sphere gives an ear, linear, (..., F).

    angle: (...), between the sound and the ear's axis, radians. frequency_hz: (F,).
    """
    gain = 1.0 + _LEAST_GAIN / 2 + (1.0 - _LEAST_GAIN / 2) * np.cos(angle * 180.0 / _DARKEST_DEG)
    omega, corner = 2 * np.pi * frequency_hz, 2 * speed_m_s / radius_m
    return np.asarray(np.abs((corner + 1j * gain[..., None] * omega) / (corner + 1j * omega)))


def short_responses(magnitude: Float64, taps: int) -> npt.NDArray[np.float32]:
    """Return responses of minimum phase, float32 (..., taps), faded out over their second half.

    magnitude: (..., n / 2 + 1), at the frequencies of a real FFT of n samples; n is at least four times taps.
    """
    responses = np.fft.irfft(minimum_phase(magnitude), 2 * (magnitude.shape[-1] - 1))[..., :taps]
    fade = np.ones(taps)
    fade[taps // 2 :] = np.cos(np.linspace(0.0, np.pi / 2, taps - taps // 2)) ** 2
    return np.asarray(responses * fade, dtype=np.float32)


def minimum_phase(magnitude: Float64) -> npt.NDArray[np.complex128]:
    """Return spectra of minimum phase with these magnitudes (..., n / 2 + 1)."""
    n = 2 * (magnitude.shape[-1] - 1)
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, 1e-6)), n)
    cepstrum[..., 1 : n // 2] *= 2.0
    cepstrum[..., n // 2 + 1 :] = 0.0
    return np.asarray(np.exp(np.fft.rfft(cepstrum, n)))
