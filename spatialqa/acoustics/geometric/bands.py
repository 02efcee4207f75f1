"""Octave bands, curves of materials at their centres, and the absorption of air."""

import math

import numpy as np
import numpy.typing as npt

from spatialqa.rooms.materials import Curve

BANDS_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
BAND_COUNT = len(BANDS_HZ)

_REFERENCE_PRESSURE_KPA = 101.325
_REFERENCE_TEMPERATURE_K = 293.15
_TRIPLE_POINT_K = 273.16
_ZERO_CELSIUS_K = 273.15

Array = npt.NDArray[np.float64]


def at_bands(curve: Curve) -> Array:
    """Return a curve's values at BANDS_HZ, float64 (B,): linear in log frequency and constant beyond its ends."""
    known_hz, values = zip(*curve, strict=True)
    return np.asarray(np.interp(np.log(BANDS_HZ), np.log(known_hz), values), dtype=np.float64)


def air_absorption(
    frequencies_hz: npt.ArrayLike = BANDS_HZ,
    temperature_c: float = 20.0,
    humidity_percent: float = 50.0,
    pressure_kpa: float = _REFERENCE_PRESSURE_KPA,
) -> Array:
    """Return the attenuation of sound energy in air by ISO 9613-1, float64 (n,), nepers of energy per metre.

    After x metres exp(-value * x) of the energy is left; times 4.343 it is dB per metre.

    Args:
        frequencies_hz: (n,), Hz.
        temperature_c: degrees Celsius.
        humidity_percent: relative humidity.
        pressure_kpa: of the atmosphere.
    """
    f = np.asarray(frequencies_hz, dtype=np.float64)
    kelvin = temperature_c + _ZERO_CELSIUS_K
    warmth = kelvin / _REFERENCE_TEMPERATURE_K
    pressure = pressure_kpa / _REFERENCE_PRESSURE_KPA
    saturation = 10.0 ** (-6.8346 * (_TRIPLE_POINT_K / kelvin) ** 1.261 + 4.6151)
    vapour = humidity_percent * saturation / pressure  # molar concentration of water, per cent
    oxygen_hz = pressure * (24.0 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour))
    nitrogen_hz = pressure / math.sqrt(warmth) * (9.0 + 280.0 * vapour * math.exp(-4.170 * (warmth ** (-1 / 3) - 1.0)))
    classical = 1.84e-11 / pressure * math.sqrt(warmth)
    oxygen = 0.01275 * math.exp(-2239.1 / kelvin) / (oxygen_hz + f * f / oxygen_hz)
    nitrogen = 0.1068 * math.exp(-3352.0 / kelvin) / (nitrogen_hz + f * f / nitrogen_hz)
    db_per_m = 8.686 * f * f * (classical + warmth**-2.5 * (oxygen + nitrogen))
    return np.asarray(db_per_m * math.log(10.0) / 10.0, dtype=np.float64)


def band_masks(n_fft: int, sample_rate: int) -> Array:
    """Return how much of each frequency of a real FFT belongs to each band: float64 (B, n_fft // 2 + 1), sums of 1.

    Between two centres a frequency belongs to both, by its logarithm: a gain per band is then interpolated linearly in
    log frequency. Beyond the outer centres it belongs to the outer band alone.
    """
    frequency = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    place = np.interp(np.log(np.maximum(frequency, 1.0)), np.log(BANDS_HZ), np.arange(BAND_COUNT))
    return np.asarray(np.clip(1.0 - np.abs(place[None] - np.arange(BAND_COUNT)[:, None]), 0.0, 1.0))
