"""Receivers: what plane waves sound like, by direction."""

import numpy as np
import pytest

from spatialqa.acoustics.geometric.interpolation import neighbour_table
from spatialqa.acoustics.geometric.octahedral import cell_centres, cell_of
from spatialqa.acoustics.geometric.receiver import FRONT, LEAD, binaural, microphones, plane_wave
from spatialqa.acoustics.geometric.spherical_head import spherical_head
from spatialqa.errors import EngineError
from spatialqa.rooms.mesh.rays import sphere_directions

RATE = 32_000


def test_every_octahedral_cell_holds_its_own_centre() -> None:
    centres = cell_centres(16)
    assert [cell_of(centre[0], centre[1], centre[2], 16) for centre in centres] == list(range(256))
    around = sphere_directions(5000)
    nearest = np.array([cell_of(direction[0], direction[1], direction[2], 16) for direction in around])
    assert np.sum(around * centres[nearest], axis=1).min() > np.cos(np.radians(15))


def test_three_neighbours_and_their_weights_point_where_the_sound_comes_from() -> None:
    directions = sphere_directions(500)
    index, weight = neighbour_table(directions, 32)
    assert np.allclose(weight.sum(axis=1), 1.0)
    pointed = np.einsum("ki,kix->kx", weight, directions[index])
    pointed /= np.linalg.norm(pointed, axis=1, keepdims=True)
    assert np.sum(pointed * cell_centres(32), axis=1).min() > np.cos(np.radians(0.01))


def test_directions_in_one_half_space_are_refused() -> None:
    directions = sphere_directions(200)
    with pytest.raises(EngineError, match="one side"):
        neighbour_table(directions[directions[:, 0] > 0.3])
    with pytest.raises(EngineError, match="do not enclose"):
        neighbour_table(directions[:3])


def test_two_ears_are_scaled_to_a_source_in_front_and_hear_its_side() -> None:
    ears = binaural(spherical_head(RATE), RATE)
    ahead, left = plane_wave(ears, FRONT), plane_wave(ears, (-1.0, 0.0, 0.0))
    assert np.sum(np.square(ahead)) / 2 == pytest.approx(1.0, abs=1e-5)
    assert 10 * np.log10(np.sum(left[0] ** 2) / np.sum(left[1] ** 2)) == pytest.approx(13.0, abs=2.0)
    delays = ears.delays[ears.index_table[cell_of(-1.0, 0.0, 0.0, 128)]].mean(axis=0) / RATE
    assert 1e6 * (delays[1] - delays[0]) == pytest.approx(0.0875 / 343 * (np.pi / 2 + 1) * 1e6, rel=0.04)


def test_bands_with_equal_gains_add_up_to_the_response_itself() -> None:
    head = spherical_head(RATE)
    ears = binaural(head, RATE)
    whole = ears.filters.sum(axis=2)
    assert np.abs(whole[..., :LEAD]).max() < 1e-6 * np.abs(whole).max()
    scale = whole[0, 0, LEAD] / head.responses[0, 0, 0]
    assert np.allclose(whole[..., LEAD:], scale * head.responses, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "direction", "expected"),
    [
        ("mono", (0.0, 1.0, 0.0), [1]),
        ("foa", (-1.0, 0.0, 0.0), [1, 1, 0, 0]),
        ("foa", (0.0, 1.0, 0.0), [1, 0, 1, 0]),
        ("foa", (0.0, 0.0, -1.0), [1, 0, 0, 1]),
        ("stereo", (0.0, 0.0, -1.0), [1, 1]),
        ("stereo", (-1.0, 0.0, 0.0), [2, 0]),
    ],
)
def test_microphones_have_the_gains_of_their_patterns(
    channels: str, direction: tuple[float, float, float], expected: list[float]
) -> None:
    heard = plane_wave(microphones(channels, RATE), direction)
    assert np.allclose(heard[:, LEAD], expected, atol=1e-6)
    assert np.allclose(np.delete(heard, LEAD, axis=1), 0.0, atol=1e-6)
