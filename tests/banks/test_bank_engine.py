"""What resampling an RIR keeps: the gain of a convolution."""

import numpy as np
import pytest
import soxr
from scipy.signal import oaconvolve

from spatialqa.banks.engine import resample_rir
from spatialqa.core.geometry import Pose
from tests.banks.ears import ear_rir


@pytest.mark.parametrize(("old", "new"), [(44100, 32000), (16000, 32000), (48000, 16000)])
def test_convolution_commutes_with_resampling(old: int, new: int) -> None:
    """A sound through the resampled RIR is the resampled sound through the RIR, as loud and in time."""
    draw = np.random.default_rng(0)
    band = 0.35 * min(old, new)  # clear of both rates' filters
    spectrum = np.fft.rfft(draw.normal(size=old))
    spectrum[np.fft.rfftfreq(old, 1 / old) > band] = 0.0
    dry = np.fft.irfft(spectrum, old)
    rir = ear_rir(Pose((0.0, 0.0, 0.0)), (-1.0, 0.0, -2.0), old)
    there = soxr.resample(oaconvolve(dry[None], rir.astype(np.float64), axes=1).T, old, new, quality="VHQ").T
    here = oaconvolve(soxr.resample(dry, old, new, quality="VHQ")[None], resample_rir(rir, old, new), axes=1)
    middle = slice(new // 4, 3 * new // 4)
    error = here[:, middle] - there[:, middle]
    assert np.sqrt(np.mean(error**2)) < 1e-3 * np.sqrt(np.mean(there[:, middle] ** 2))


def test_the_frequency_response_stays_and_so_a_wide_band_keeps_energy_1_downwards() -> None:
    rir = np.zeros((2, 2000), dtype=np.float32)
    rir[:, 500] = 1.0
    down, up = resample_rir(rir, 48000, 32000), resample_rir(rir, 16000, 32000)
    assert down.dtype == np.float32
    assert down.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    assert up.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    assert (down**2).sum(axis=1) == pytest.approx(1.0, rel=0.1)  # less what the filter takes at the band's edge
    assert (up**2).sum(axis=1) == pytest.approx(0.5, rel=0.1)  # half of the new band holds nothing
    assert resample_rir(rir, 32000, 32000) is rir
