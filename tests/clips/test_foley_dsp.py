"""The building blocks of the foley models against scipy and numpy, which do the same more slowly."""

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft
import scipy.signal

from spatialqa.clips.foley import dsp, kernels
from spatialqa.clips.foley.dsp import RATE
from spatialqa.core import seeds

N = 9_000
Floats = npt.NDArray[np.float64]


def noise(n: int = N) -> Floats:
    return seeds.rng(0, "test", "noise").standard_normal(n)


def resonator(frequency_hz: float, bandwidth_hz: float) -> tuple[list[float], list[float]]:
    r, w = np.exp(-np.pi * bandwidth_hz / RATE), 2.0 * np.pi * frequency_hz / RATE
    return [0.5 * (1.0 - r * r), 0.0, -0.5 * (1.0 - r * r)], [1.0, -2.0 * r * np.cos(w), r * r]


@pytest.mark.parametrize("count", [1, 4, 7])
def test_modes_ring_as_filters_do(count: int) -> None:
    hit = np.zeros(N)
    hit[[5, 4000]] = 1.0, -0.3
    f, t60, level = np.linspace(30.0, 9000.0, count), np.linspace(0.3, 0.005, count), np.linspace(1.0, 0.2, count)
    expected = np.zeros(N)
    for k in range(count):
        r, w = np.exp(-np.log(1000.0) / (t60[k] * RATE)), 2.0 * np.pi * f[k] / RATE
        expected += level[k] * scipy.signal.lfilter([0.0, np.sin(w)], [1.0, -2.0 * r * np.cos(w), r * r], hit)
    y = dsp.modes(hit, f, t60, level)
    np.testing.assert_allclose(y, expected, atol=1e-7)
    np.testing.assert_array_equal(dsp.modes(hit, [5.0, 23_000.0], [0.1, 0.1], [1.0, 1.0]), np.zeros(N))  # unheard


def test_modes_end_where_nothing_is_heard() -> None:
    hit = np.zeros(N)
    hit[0] = 1.0
    y = dsp.modes(hit, [1000.0], [0.01], [1.0])
    assert np.all(y[3000:] == 0.0), "or numbers become so small that processors slow down"
    assert np.abs(y[:50]).max() > 0.5


def test_formants_stand_still_and_glide_as_filters_do() -> None:
    x = noise()
    peaks = [(300.0, 80.0, 0.0), (1200.0, 200.0, -6.0), (4000.0, 900.0, 3.0), (5000.0, 900.0, 3.0), (9000.0, 1e3, 0.0)]
    still, gliding = np.zeros(N), np.zeros(N)
    tracks = [f * np.linspace(0.8, 1.5, N) for f, _, _ in peaks]
    for k, ((f, width, level_db), track) in enumerate(zip(peaks, tracks, strict=True)):
        amplitude = (-1) ** k * dsp.gain(level_db)
        still += amplitude * scipy.signal.lfilter(*resonator(f, width), x)
        state = np.zeros(2)
        for i in range(0, N, RATE // 100):
            part = slice(i, i + RATE // 100)
            y, state = scipy.signal.lfilter(*resonator(track[i], width), x[part], zi=state)
            gliding[part] += amplitude * y
    np.testing.assert_allclose(dsp.formants(x, peaks), still, atol=1e-9)
    found = dsp.gliding_formants(x, tracks, [p[1] for p in peaks], [p[2] for p in peaks])
    np.testing.assert_allclose(found, gliding, atol=1e-9)


def test_butterworth_filters_are_those_of_scipy() -> None:
    x = noise()
    for found, order, cutoff_hz, kind in (
        (dsp.lowpassed(x, 6000.0, 1), 1, 6000.0, "lowpass"),
        (dsp.highpassed(x, 25.0), 2, 25.0, "highpass"),
        (dsp.bandpassed(x, 200.0, 5000.0), 2, (200.0, 5000.0), "bandpass"),
        (dsp.lowpassed(x, 900.0, 6), 6, 900.0, "lowpass"),
    ):
        sections = scipy.signal.butter(order, cutoff_hz, kind, fs=RATE, output="sos")
        np.testing.assert_allclose(found, scipy.signal.sosfilt(sections, x), atol=1e-8)


@pytest.mark.parametrize(("n", "size"), [(N, 300), (60_000, 20_000), (100, 300)])
def test_convolution_is_that_of_scipy(n: int, size: int) -> None:
    x, kernel = noise(n), noise(size) * dsp.decay(size, size / RATE)
    expected = scipy.signal.fftconvolve(x, kernel)[:n]
    np.testing.assert_allclose(dsp.convolved(x, kernel), expected, atol=1e-6 * np.abs(expected).max())


def test_waves_follow_their_frequency() -> None:
    f = 300.0 + 200.0 * dsp.curve(N, [(0, 0), (0.3, 1.0), (1, 0.2)])
    phase = np.cumsum(f) / RATE
    np.testing.assert_allclose(dsp.turn_of(f), phase % 1.0, atol=1e-9)
    np.testing.assert_allclose(dsp.sine(f), np.sin(2.0 * np.pi * phase), atol=1e-7)
    table = noise(65)
    np.testing.assert_allclose(
        dsp.cycled(f, table), np.interp(phase % 1.0, np.linspace(0.0, 1.0, 65), table), atol=1e-8
    )
    values = noise(20)
    np.testing.assert_array_equal(kernels.held(f, RATE, values), values[np.minimum(phase.astype(int), 19)])


def test_curves_are_straight_between_their_points() -> None:
    points = [(0.0, 0.3), (0.1, 1.0), (0.1001, 2.0), (0.65, -1.0), (1.0, 0.0)]
    for n in (1, 2, 777):
        expected = np.interp(np.linspace(0.0, 1.0, n), *np.transpose(points))
        np.testing.assert_allclose(dsp.curve(n, points), expected, atol=1e-9)


def test_tilted_noise_falls_by_its_slope_above_its_corner() -> None:
    n = scipy.fft.next_fast_len(48_000, real=True)
    for slope in (-6.5, -3.0, 1.0):
        x = dsp.tilted_noise(seeds.rng(0, "test", "tilt"), n, slope, 100.0)
        f = np.maximum(np.fft.rfftfreq(n, 1.0 / RATE), 100.0)
        white = np.fft.rfft(seeds.rng(0, "test", "tilt").standard_normal(n))
        expected = np.fft.irfft(white * f ** (slope / 6.0206), n)
        np.testing.assert_allclose(x, expected / np.sqrt(np.mean(expected**2)), atol=1e-5)


@pytest.mark.parametrize("rate_hz", [3.0, 2000.0])
def test_impulses_are_those_of_three_draws_for_every_sample(rate_hz: float) -> None:
    def drawn(few: bool) -> tuple[Floats, list[int]]:
        rng = seeds.rng(0, "test", "impulses")
        rng.integers(0, 10, 3)  # leaves half of a draw for the next integer
        if few:
            x = dsp.poisson_train(rng, 60_000, rate_hz, 40.0)
        else:
            hit = rng.random(60_000) < rate_hz / RATE
            level = 10.0 ** (rng.uniform(-40.0, 0.0, 60_000) / 20.0)
            x = np.where(hit, level * np.where(rng.random(60_000) < 0.5, -1.0, 1.0), 0.0)
        return x, [int(k) for k in rng.integers(0, 1000, 5)]

    (found, after), (expected, after_expected) = drawn(True), drawn(False)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.count_nonzero(found) > 0
    assert after == after_expected


def test_strings_and_pipes_repeat_what_they_were_given() -> None:
    burst, taps = noise(50), np.array([0.2, 0.7, 0.05])
    y = kernels.pluck(burst, taps, 400)
    excitation = np.concatenate((burst, np.zeros(350)))
    loop = np.concatenate(([1.0], np.zeros(49), -taps))
    np.testing.assert_allclose(y, scipy.signal.lfilter([1.0], loop, excitation), atol=1e-12)
    x = noise(400)
    x[:31] = 0.0
    pipe = x.copy()
    kernels.comb(pipe, 30, 0.4)
    loop = np.concatenate(([1.0], np.zeros(29), [0.4, 0.4]))
    np.testing.assert_allclose(pipe, scipy.signal.lfilter([1.0], loop, x), atol=1e-12)


def test_sounds_are_added_where_they_start() -> None:
    out, expected, x = np.zeros(100), np.zeros(100), noise(30)
    starts, levels = np.array([0, 50, 90, 90]), np.array([1.0, -2.0, 0.5, 0.25])
    kernels.scatter(out, x, starts, levels)
    for start, level in zip(starts, levels, strict=True):
        dsp.place(expected, x, int(start), float(level))
    np.testing.assert_allclose(out, expected, atol=1e-15)
