"""What the ears get: levels, delays and spectra of a binaural RIR."""

import numpy as np
import numpy.typing as npt

Rir = npt.NDArray[np.float32]
RATE = 32_000
OCTAVES_HZ = (500.0, 1000.0, 2000.0, 4000.0, 8000.0)


def energy(rir: Rir) -> float:
    return float(np.sum(np.square(rir, dtype=np.float64)))


def ild_db(rir: Rir) -> float:
    """Left over right, broadband."""
    return float(10 * np.log10(energy(rir[0]) / energy(rir[1])))


def low_frequency_itd_us(rir: Rir, rate: int = RATE) -> float:
    """How much earlier the left ear hears 100-500 Hz, microseconds: the slope of the interaural phase."""
    n = 1 << 16
    frequency = np.fft.rfftfreq(n, 1 / rate)
    chosen = (frequency >= 100) & (frequency <= 500)
    left, right = np.fft.rfft(rir.astype(np.float64), n)[:, chosen]
    cross = left * np.conj(right)
    phase = np.unwrap(np.angle(cross))
    weight = np.abs(cross)
    omega = 2 * np.pi * frequency[chosen]
    return float(np.sum(weight * omega * phase) / np.sum(weight * omega * omega)) * 1e6


def octave_levels_db(rir: Rir, rate: int = RATE) -> npt.NDArray[np.float64]:
    """Both ears' energy in the octave bands about 500 Hz to 8 kHz."""
    n = 8192
    frequency = np.fft.rfftfreq(n, 1 / rate)
    power = np.sum(np.abs(np.fft.rfft(rir.astype(np.float64), n)) ** 2, axis=0)
    bands = [(frequency >= c / 2**0.5) & (frequency < c * 2**0.5) for c in OCTAVES_HZ]
    return np.asarray(10 * np.log10([power[band].sum() for band in bands]), dtype=np.float64)
