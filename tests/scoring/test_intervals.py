import numpy as np
import pytest

from spatialqa.scoring.intervals import Bootstrap, percentiles, wilson


def test_the_interval_covers_the_truth_95_times_in_100_where_questions_hang_together() -> None:
    rng = np.random.default_rng(5)
    houses, per_house, trials = 40, 25, 150
    names = [str(i) for i in np.repeat(np.arange(houses), per_house)]
    rows = np.arange(len(names))
    one = np.ones(len(names))
    clustered = Bootstrap(names, 0)
    alone = Bootstrap([str(i) for i in rows], 0)
    covered = {"clustered": 0, "alone": 0}
    for _ in range(trials):
        skill = np.repeat(rng.beta(3, 2, houses), per_house)  # a house is easy or hard, with mean 0.6
        right = (rng.random(len(names)) < skill).astype(float)
        for name, bootstrap in (("clustered", clustered), ("alone", alone)):
            interval = percentiles(bootstrap.ratio(rows, right, one))
            assert interval is not None
            covered[name] += interval[0] <= 0.6 <= interval[1]
    assert 0.88 <= covered["clustered"] / trials <= 0.99
    assert covered["alone"] / trials < 0.8  # what taking each question for itself would have claimed


def test_a_seed_names_the_draws() -> None:
    names = ["a", "b", "c", "a"]
    assert (Bootstrap(names, 1).counts == Bootstrap(names, 1).counts).all()
    assert (Bootstrap(names, 1).counts != Bootstrap(names, 2).counts).any()
    assert Bootstrap(names, 1).counts.sum(axis=1) == pytest.approx(3)


def test_wilson_against_a_published_value() -> None:
    # Newcombe (Statistics in Medicine 1998), table I: 81 of 263, and 0 of 20
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1.0, 20)[1] == 1.0


def test_no_percentiles_of_what_mostly_does_not_exist() -> None:
    assert percentiles(np.array([0.1, np.nan, np.nan])) is None
