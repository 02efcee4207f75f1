"""The head in closed form: cues of a sphere, of pinnae and of a torso, for a family of shapes."""

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.acoustics.geometric.parametric_head import AVERAGE, HeadShape, parametric_head, subject
from spatialqa.acoustics.geometric.receiver import Head
from spatialqa.core.geometry import cartesian
from spatialqa.rooms.mesh.rays import sphere_directions

SHAPES = [AVERAGE, *(subject(number) for number in range(20))]
OCTAVES_HZ = (1000.0, 2000.0, 4000.0, 8000.0)


def octave_levels(head: Head, rate: int) -> npt.NDArray[np.float64]:
    """Return the mean level of both ears by direction and octave, dB, (D, octaves)."""
    frequency = np.fft.rfftfreq(4096, 1.0 / rate)
    power = np.square(np.abs(np.fft.rfft(head.responses, 4096))).mean(axis=1)
    bands = [(frequency >= c / np.sqrt(2)) & (frequency < c * np.sqrt(2)) for c in OCTAVES_HZ]
    return np.stack([10 * np.log10(power[:, band].mean(axis=1)) for band in bands], axis=1)


@pytest.mark.parametrize("rate", [32_000, 48_000])
def test_front_and_back_and_above_and_below_differ_by_3_db(rate: int) -> None:
    where = cartesian(np.array([0.0, 180.0, 0.0, 0.0, 45.0, 135.0]), np.array([0.0, 0.0, 30.0, -30.0, 0.0, 0.0]))
    for shape in SHAPES:
        level = octave_levels(parametric_head(rate, shape, where), rate)[:, 1:]  # octaves wholly above 1 kHz
        for one, other in ((0, 1), (2, 3), (4, 5)):
            assert np.abs(level[one] - level[other]).max() >= 3.0, (shape.label, one, other)


def test_the_ears_are_mirrored_and_the_nearer_one_hears_first_and_loudest() -> None:
    azimuth = np.array([90.0, -90.0, 30.0, -30.0])
    for shape in SHAPES[:4]:
        head = parametric_head(32_000, shape, cartesian(azimuth, np.array([0.0, 0.0, 20.0, 20.0])))
        for left, right in ((0, 1), (2, 3)):
            assert np.allclose(head.responses[left], head.responses[right, ::-1], atol=1e-6)
            assert np.allclose(head.delays[left], head.delays[right, ::-1])
            energy = np.square(head.responses[left]).sum(axis=-1)
            assert energy[0] > 1.4 * energy[1]
            assert head.delays[left, 0] < head.delays[left, 1]


def test_a_larger_head_has_larger_time_differences() -> None:
    side = cartesian(np.array([90.0]), np.array([0.0]))
    later = [np.ptp(parametric_head(48_000, HeadShape(radius_m=radius), side).delays) for radius in (0.08, 0.095)]
    assert later[1] / later[0] == pytest.approx(0.095 / 0.08, rel=1e-6)


def test_responses_are_smooth_in_direction_and_have_no_gap() -> None:
    """Neighbours of an even grid of 1024 directions, about 6 degrees apart, differ by less than 3 dB in any octave."""
    directions = sphere_directions(1024)
    level = octave_levels(parametric_head(32_000, AVERAGE), 32_000)
    nearest = np.argsort(-(directions @ directions.T), axis=1)[:, 1]
    assert np.abs(level - level[nearest]).max() < 3.0
    assert np.isfinite(level).all()


def test_subjects_are_themselves_and_differ() -> None:
    assert len({shape.label for shape in SHAPES}) == len(SHAPES)
    assert subject(7) == subject(7)
    assert subject(7) != subject(7, seed=1)
    radii = [subject(number).radius_m for number in range(200)]
    assert 0.079 < min(radii) < max(radii) < 0.096
    assert np.mean(radii) == pytest.approx(0.0875, abs=0.001)
