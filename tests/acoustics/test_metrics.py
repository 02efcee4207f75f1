"""Metrics against responses whose answer is known."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.acoustics.rir_metrics import direct_index, drr_db, rt60, t30

RATE = 32_000
Rir = npt.NDArray[np.float32]


def decay(time_s: float, length_s: float, noise_db: float | None = None, seed: int = 0) -> Rir:
    """A direct sound and an exponential tail of noise, both ears, on a noise floor relative to the tail's start."""
    random = np.random.default_rng(seed)
    n = round(length_s * RATE)
    tail = random.standard_normal((2, n)) * np.exp(-3 * np.log(10) * np.arange(n) / RATE / time_s)
    if noise_db is not None:
        tail += 10 ** (noise_db / 20) * random.standard_normal((2, n))
    tail[:, 0] = 3.0
    return np.concatenate([np.zeros((2, 100)), tail], axis=1).astype(np.float32)


@pytest.mark.parametrize("time_s", [0.2, 0.5, 1.2, 3.0])
def test_an_exponential_decay_gives_its_time(time_s: float) -> None:
    rirs = [decay(time_s, 1.3 * time_s, seed=seed) for seed in range(4)]
    assert np.mean([rt60(rir, RATE, "binaural") or 0 for rir in rirs]) == pytest.approx(time_s, rel=0.05)
    assert np.mean([t30(rir, RATE, "binaural") or 0 for rir in rirs]) == pytest.approx(time_s, rel=0.05)


@pytest.mark.parametrize("noise_db", [-60, -45, -38])
def test_a_noise_floor_does_not_lengthen_the_decay(noise_db: float) -> None:
    assert rt60(decay(0.6, 1.5, noise_db), RATE, "binaural") == pytest.approx(0.6, rel=0.1)


def test_a_cut_tail_does_not_shorten_the_decay() -> None:
    assert rt60(decay(1.0, 0.6), RATE, "binaural") == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("rir", [decay(1.0, 0.35), decay(1.0, 2.0, -20), decay(1.0, 0.02), decay(0.5, 0.001)])
def test_a_range_under_25_db_gives_none(rir: Rir) -> None:
    assert rt60(rir, RATE, "binaural") is None
    assert t30(rir, RATE, "binaural") is None


def test_a_decay_that_fades_out_early_gives_none() -> None:
    rir = decay(3.0, 1.4)
    fade_from = round(0.8 * RATE)
    rir[:, fade_from:] *= 10 ** (-np.arange(rir.shape[1] - fade_from) / RATE * 100 / 20)
    assert rt60(rir, RATE, "binaural") is None


def at_ratio(time_s: float, ratio_db: float, length_s: float = 1.2, gap_s: float = 0.004) -> Rir:
    """Two ears' direct sound, 2 ms long, and a tail of noise that begins `gap_s` after it, `ratio_db` below it."""
    random = np.random.default_rng(7)
    n = round(length_s * RATE)
    tail = random.standard_normal((2, n)) * 10 ** (-3 * np.arange(n) / RATE / time_s)
    tail[:, : round(gap_s * RATE)] = 0.0
    direct = np.zeros((2, n))
    direct[:, :64] = 0.05 * random.standard_normal((2, 64))
    direct[0, 0], direct[1, 8] = 1.0, 0.6
    tail *= np.sqrt((direct**2).sum() / (tail**2).sum() * 10 ** (-ratio_db / 10))
    return np.pad(direct + tail, ((0, 0), (20, 0))).astype(np.float32)


@pytest.mark.parametrize("ratio_db", [-5.0, 5.0, 10.0, 20.0, 26.0, 32.0, 50.0])
@pytest.mark.parametrize("time_s", [0.2, 0.4, 1.0])
def test_a_strong_direct_sound_is_not_taken_for_the_decay(time_s: float, ratio_db: float) -> None:
    rir = at_ratio(time_s, ratio_db)
    assert drr_db(rir, RATE, True, "binaural") == pytest.approx(ratio_db, abs=0.01)
    assert rt60(rir, RATE, "binaural") == pytest.approx(time_s, rel=0.06)
    assert t30(rir, RATE, "binaural") == pytest.approx(time_s, rel=0.06)


def test_the_time_hardly_depends_on_the_distance() -> None:
    times = [rt60(at_ratio(0.4, ratio_db), RATE, "binaural") for ratio_db in range(-5, 35)]
    assert max(t or 9 for t in times) < 1.1 * min(t or 0 for t in times)


@pytest.mark.parametrize("rir", [at_ratio(0.4, 70.0), at_ratio(0.4, 20.0, 0.04), at_ratio(0.2, 20.0)[:, :100]])
def test_a_tail_too_low_or_too_short_gives_none(rir: Rir) -> None:
    assert rt60(rir, RATE, "binaural") is None
    assert t30(rir, RATE, "binaural") is None


_MEASURE = """
import hashlib, sys, numpy as np
from spatialqa.acoustics.ambisonics import from_rlr
from spatialqa.acoustics.rir_metrics import drr_db, rt60, t30
rir = np.load(sys.argv[1])
foa = from_rlr(np.concatenate([rir, rir[:, ::-1]]), (0.8, 0.36, 0.48, 0.0))
measured = rt60(rir, 48_000, "binaural"), t30(rir, 48_000, "binaural"), drr_db(rir, 48_000, True, "binaural")
print(*measured, hashlib.sha256(foa.tobytes()).hexdigest())
"""


def test_no_number_depends_on_the_threads_or_the_kernels_of_blas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "rir.npy")
    np.save(path, decay(3.0, 5.0))
    running = []
    for threads, kernels in (("1", "Nehalem"), ("2", "Haswell"), ("4", "Haswell")):
        environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "OPENBLAS_CORETYPE": kernels}
        command = [sys.executable, "-c", _MEASURE, path]
        running.append(subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True))
    monkeypatch.setattr(sys, "argv", ["here", path])
    exec(_MEASURE, {})
    here = capsys.readouterr().out
    assert here.count(" ") == 3
    assert "None" not in here
    assert [process.communicate()[0] for process in running] == [here] * 3


def test_the_band_is_500_hz_to_2_khz() -> None:
    n = RATE
    time = np.arange(n) / RATE
    low = np.exp(-6.9 * time / 2.0) * np.sin(2 * np.pi * 80 * time)
    middle = np.exp(-6.9 * time / 0.3) * np.random.default_rng(1).standard_normal(n)
    assert rt60(np.stack([middle + 0.1 * low] * 2), RATE, "binaural") == pytest.approx(0.3, rel=0.1)


def test_scale_and_delay_change_nothing() -> None:
    rir = decay(0.5, 0.7)
    later = np.pad(rir * np.float32(1e-3), ((0, 0), (700, 0)))
    assert rt60(later, RATE, "binaural") == pytest.approx(rt60(rir, RATE, "binaural"), rel=1e-3)
    assert drr_db(later, RATE, True, "binaural") == pytest.approx(drr_db(rir, RATE, True, "binaural"), abs=1e-3)
    assert direct_index(later, "binaural") == direct_index(rir, "binaural") + 700


def test_of_ambisonics_w_alone_counts() -> None:
    pressure = decay(0.5, 0.7)[:1]
    figures_of_eight = 3 * decay(0.9, 0.7, seed=1)[[0, 1, 0]]
    figures_of_eight[:, 40] = 5.0  # earlier than anything in W
    rir = np.concatenate([pressure, figures_of_eight])
    assert rt60(rir, RATE, "foa") == rt60(pressure, RATE, "mono")
    assert t30(rir, RATE, "foa") == t30(pressure, RATE, "mono")
    assert drr_db(rir, RATE, True, "foa") == drr_db(pressure, RATE, True, "mono")
    assert direct_index(rir, "foa") == direct_index(pressure, "mono") == 100


def test_an_rir_that_has_not_the_channels_of_its_layout_is_refused() -> None:
    rir = decay(0.5, 0.7)
    for wrong in (rir[:1], rir[0], np.concatenate([rir, rir])):
        with pytest.raises(ValueError, match=r"is not binaural, \(2, n\)"):
            direct_index(wrong, "binaural")
    with pytest.raises(ValueError, match=r"is not foa, \(4, n\)"):
        rt60(rir, RATE, "foa")


def test_the_direct_sound_is_the_first_within_20_db_of_the_largest() -> None:
    rir = np.zeros((2, 500), dtype=np.float32)
    rir[0, 90], rir[1, 100], rir[0, 300] = 0.05, 0.2, 1.0
    assert direct_index(rir, "binaural") == 100


def test_a_silent_rir_has_no_direct_sound() -> None:
    with pytest.raises(ValueError, match="silent"):
        direct_index(np.zeros((2, 10), dtype=np.float32), "binaural")


@pytest.mark.parametrize("ratio_db", [-12.0, 0.0, 9.0])
def test_the_ratio_of_two_pulses(ratio_db: float) -> None:
    rir = np.zeros((2, 4000), dtype=np.float32)
    rir[:, 200] = 0.6
    rir[1, 200 + round(0.0024 * RATE)] = 0.8  # a late ear is direct sound still
    rir[0, 200 + round(0.004 * RATE)] = np.sqrt((2 * 0.36 + 0.64) / 10 ** (ratio_db / 10))
    assert drr_db(rir, RATE, True, "binaural") == pytest.approx(ratio_db, abs=1e-4)


def test_no_ratio_without_line_of_sight_or_without_a_room() -> None:
    assert drr_db(decay(0.5, 0.7), RATE, False, "binaural") is None
    anechoic = np.zeros((2, 100), dtype=np.float32)
    anechoic[:, 20] = 1
    assert drr_db(anechoic, RATE, True, "binaural") is None
