"""Measured heads: delays to a fraction of a sample, filters that line up, the file's own sound in its directions."""

from pathlib import Path

import numpy as np
import pytest

from spatialqa.acoustics.geometric.early_synthesis import add_paths
from spatialqa.acoustics.geometric.parametric_head import parametric_head, subject
from spatialqa.acoustics.geometric.receiver import Head, binaural
from spatialqa.acoustics.geometric.sofa_head import arrivals, sofa_head
from spatialqa.acoustics.head_files import SAMPLE_RATE, synthesise, whole_responses
from spatialqa.acoustics.sofa import read_hrtf
from tests.acoustics.hearing import Rir, ild_db, low_frequency_itd_us

BETWEEN = np.random.default_rng(5).normal(size=(60, 3))
BETWEEN /= np.linalg.norm(BETWEEN, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesise(tmp_path_factory.mktemp("head"), 1)[0]


def heard(head: Head, rate: int, directions: np.ndarray) -> list[Rir]:
    """Return plane waves of amplitude 1 from these directions, at the centre of the head at sample 300."""
    receiver, rirs = binaural(head, rate), []
    for direction in directions:
        rir = np.zeros((2, 1024), dtype=np.float32)
        add_paths(receiver, direction[None], np.array([300.0]), np.ones((1, 7), dtype=np.float32), rir)
        rirs.append(rir)
    return rirs


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_delays_are_found_to_a_fraction_of_a_sample(rate: int, file: Path) -> None:
    head = sofa_head(file, rate)
    off = head.delays - parametric_head(rate, subject(0), head.directions).delays
    assert np.abs(off - np.median(off)).max() < 0.2
    assert np.std(off) < 0.07


def test_between_the_directions_of_a_file_cues_are_those_of_the_head(file: Path) -> None:
    """The file has a direction every 5 or 10 degrees; the head in closed form has every direction."""
    measured, true = (
        heard(sofa_head(file, 32_000), 32_000, BETWEEN),
        heard(parametric_head(32_000, subject(0)), 32_000, BETWEEN),
    )
    itd_us = [
        low_frequency_itd_us(a, 32_000) - low_frequency_itd_us(b, 32_000) for a, b in zip(measured, true, strict=True)
    ]
    ild = [ild_db(a) - ild_db(b) for a, b in zip(measured, true, strict=True)]
    assert np.abs(itd_us).max() < 5
    assert np.abs(ild).max() < 0.5


def test_a_direction_of_the_file_sounds_as_the_file_has_it(file: Path) -> None:
    stored, head = read_hrtf(file), sofa_head(file, SAMPLE_RATE)
    again = whole_responses(head, 320, 110)
    original = np.pad(stored.responses(), ((0, 0), (0, 0), (0, 64)))
    for d in (3, 400, 801):
        for ear in (0, 1):
            spectrum, wanted = np.abs(np.fft.rfft(again[d, ear], 512)), np.abs(np.fft.rfft(original[d, ear], 512))
            assert np.abs(20 * np.log10(spectrum[2:213] / wanted[2:213])).max() < 0.5  # 200 Hz to 20 kHz
    itd_us = [
        low_frequency_itd_us(a.astype(np.float32), SAMPLE_RATE)
        - low_frequency_itd_us(b.astype(np.float32), SAMPLE_RATE)
        for a, b in zip(again[::50], original[::50], strict=True)
    ]
    assert np.abs(itd_us).max() < 2


def test_an_ear_that_is_later_by_part_of_a_sample_has_that_delay() -> None:
    head = parametric_head(32_000)
    n = 1024
    spectra = np.fft.rfft(head.responses[::97], n)
    omega = 2 * np.pi * np.arange(n // 2 + 1) / n
    there = arrivals(spectra * np.exp(-1j * omega * 40.0), n)
    for part in (0.1, 0.37, 0.5, 0.93):
        later = arrivals(spectra * np.exp(-1j * omega * (40.0 + part)), n)
        assert np.abs(later - there - part).max() < 0.01
    assert np.abs(there - 40.0).max() < 0.2
