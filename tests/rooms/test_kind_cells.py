"""The distances at which one listener's sources are drawn: even within every half metre that the listener has whole."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spatialqa.rooms.placement.kind_cells import KindCells

N_POINTS = 20_000
NO_LIMIT_M = 10.0


def drawn(
    reach_m: tuple[float, float], farthest_m: float = NO_LIMIT_M, gap_m: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Return 2,000 distances from a listener who has points in this shell, but for a gap."""
    rng = np.random.default_rng(0)
    away = rng.uniform(*reach_m, N_POINTS)
    away = away[(away < gap_m[0]) | (away >= gap_m[1])]
    offset = rng.normal(size=(len(away), 3))
    offset *= (away / np.linalg.norm(offset, axis=1))[:, None]
    kinds = {"anywhere": (-NO_LIMIT_M, NO_LIMIT_M)}
    cells = KindCells(np.arange(len(away)), offset, offset, offset[:, 1], kinds, (0.5, farthest_m))
    return away[[cells.draw(["anywhere"], {"anywhere": 0.5}, rng)[0] for _ in range(2000)]]


def test_distances_are_even_within_half_metres_and_end_with_the_last_whole_one() -> None:
    found = drawn((0.5, 3.3))
    assert 2.9 < found.max() <= 3.0
    counts = np.histogram(found, np.linspace(0.5, 3.0, 26))[0]
    assert abs(counts - 80).max() < 5 * np.sqrt(80)
    first, last = counts.reshape(5, 5).sum(axis=0)[[0, 4]]
    assert abs(first - last) < 4 * np.sqrt(800)


def test_a_half_metre_with_a_gap_is_left_out() -> None:
    found = drawn((0.5, 3.0), gap_m=(1.3, 1.4))
    assert not ((found >= 1.0) & (found < 1.5)).any()
    assert ((found >= 1.5) & (found < 1.6)).any()


@pytest.mark.parametrize("farthest", [2.8, 2.75, 0.7])
def test_a_half_metre_that_the_recipe_cuts_short_counts_as_whole(farthest: float) -> None:
    found = drawn((0.5, farthest), farthest)
    assert found.max() > farthest - 0.05


def test_where_whole_half_metres_are_used_up_other_places_are_taken() -> None:
    away = np.arange(0.5, 1.4, 0.01)
    offset = np.stack([away, np.zeros_like(away), np.zeros_like(away)], axis=1)
    cells = KindCells(np.arange(len(away)), offset, offset, offset[:, 1], {"anywhere": (-1.0, 1.0)}, (0.5, 10.0))
    for seed in range(20):
        first, second = cells.draw(["anywhere"] * 2, {"anywhere": 0.5}, np.random.default_rng(seed))
        assert away[first] < 1.0
        assert abs(away[first] - away[second]) >= 0.3


def test_all_steps_count_where_no_half_metre_is_whole() -> None:
    found = drawn((0.6, 0.95))
    assert found.min() < 0.65
    assert found.max() > 0.9
