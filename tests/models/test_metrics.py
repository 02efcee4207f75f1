from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.core.geometry import direction_words, great_circle_deg
from spatialqa.models.spatial_ast import metrics
from spatialqa.models.spatial_ast.metrics import GroundTruth, Positions, Posterior, constants, decode, errors, figures

AZIMUTHS = np.arange(-180.0, 180.0)
ELEVATIONS = np.arange(-90.0, 90.0)
DISTANCES = np.arange(21) / 2

FloatArray = npt.NDArray[np.float64]


def places(*rows: tuple[float, float, float]) -> Positions:
    azimuth, elevation, distance = np.array(rows, dtype=np.float64).T
    return Positions(azimuth, elevation, distance)


def random_places(n: int, seed: int = 0) -> Positions:
    rng = np.random.default_rng(seed)
    return Positions(rng.uniform(-179, 180, n), rng.uniform(-60, 60, n), rng.uniform(0.5, 10, n))


def posterior(azimuth: dict[float, float], elevation: dict[float, float], distance: dict[float, float]) -> Posterior:
    rows = []
    for axis, shares in ((AZIMUTHS, azimuth), (ELEVATIONS, elevation), (DISTANCES, distance)):
        p = np.zeros((1, len(axis)))
        for value, share in shares.items():
            p[0, int(np.argmin(np.abs(axis - value)))] = share
        rows.append(p)
    return Posterior(rows[0], rows[1], rows[2], np.zeros((1, 3)), AZIMUTHS, ELEVATIONS, DISTANCES)


def truth_at(at: Positions, houses: int = 20) -> GroundTruth:
    n = len(at.azimuth_deg)
    classes = np.zeros((n, 3), dtype=bool)
    classes[np.arange(n), np.arange(n) % 2] = True
    return GroundTruth(at, classes, [f"house-{i % houses}" for i in range(n)], np.zeros(n), np.ones(n, dtype=np.int64))


@given(st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180), st.floats(-89, 89), st.floats(0.5, 10))
def test_errors_agree_with_the_geometry_of_the_product(a: float, b: float, c: float, d: float, metres: float) -> None:
    said, true = places((a, b, metres)), places((c, d, 3.0))
    columns = errors(said, true)
    angle = great_circle_deg(a, b, c, d)
    assert columns["mae_deg"][0] == pytest.approx(angle, abs=1e-6)
    assert columns["er20"][0] == float(columns["mae_deg"][0] > 20)
    assert columns["der"][0] == float(abs(metres - 3.0) > 0.5)
    words = [direction_words(p.vectors()[0]) for p in (said, true)]
    for name, x, y in zip(("left_right", "front_behind", "above_below"), *words, strict=True):
        assert columns[name][0] == float(x == y)
    assert columns["octant"][0] == float(words[0] == words[1])


def test_the_octants_are_named_as_directions_are() -> None:
    at = random_places(200)
    for index, vector in zip(metrics.octants(at), at.vectors(), strict=True):
        assert metrics.OCTANTS[index] == " ".join(direction_words(vector))


def test_confusion_of_octants_has_the_truth_in_rows() -> None:
    table = metrics.octant_confusion(places((-90, 10, 1)), places((90, 10, 1)))
    row, column = np.argwhere(table)[0]
    assert metrics.OCTANTS[row].startswith("left")
    assert metrics.OCTANTS[column].startswith("right")
    assert table.sum() == 1


def test_argmax_and_mean_of_azimuth_across_the_back() -> None:
    p = posterior({175: 0.5, -175: 0.3, 170: 0.2}, {0: 0.9, 10: 0.1}, {2: 1.0})
    assert decode(p, "argmax", "argmax").azimuth_deg[0] == 175
    mean = decode(p, "mean", "mean")
    assert mean.azimuth_deg[0] == pytest.approx(177, abs=1.0)  # not near 0, where a plain mean of the numbers is
    assert mean.elevation_deg[0] == pytest.approx(1.0)


def test_the_median_direction_has_the_least_expected_angle() -> None:
    rng = np.random.default_rng(1)
    p = posterior({60: 0.45, 130: 0.35, -20: 0.2}, {-10: 0.6, 40: 0.4}, {2: 1.0})
    azimuth = rng.choice(AZIMUTHS, 4000, p=p.azimuth[0])
    elevation = rng.choice(ELEVATIONS, 4000, p=p.elevation[0])
    drawn = Positions(azimuth, elevation, np.ones(4000))
    expected = {}
    for name in metrics.DIRECTION_DECODERS:
        said = decode(p, name, "argmax")
        same = Positions(np.full(4000, said.azimuth_deg[0]), np.full(4000, said.elevation_deg[0]), np.ones(4000))
        expected[name] = float(errors(same, drawn)["mae_deg"].mean())
    assert expected["median"] < min(expected["argmax"], expected["mean"])
    assert expected["median"] < constants(drawn)["mae_deg"] + 2.0  # the grid of the median is coarser


def test_the_window_of_distance_has_the_least_expected_error() -> None:
    p = posterior({0: 1.0}, {0: 1.0}, {1.0: 0.3, 3.0: 0.25, 3.5: 0.25, 6.0: 0.2})
    assert decode(p, "argmax", "argmax").distance_m[0] == 1.0
    assert decode(p, "argmax", "window").distance_m[0] == pytest.approx(3.25)
    assert decode(p, "argmax", "mean").distance_m[0] == pytest.approx(0.3 + 0.75 + 0.875 + 1.2)


def test_a_sharp_posterior_decodes_to_its_place_by_every_decoder() -> None:
    p = posterior({-33: 1.0}, {21: 1.0}, {4.0: 1.0})
    for direction in metrics.DIRECTION_DECODERS:
        for distance in metrics.DISTANCE_DECODERS:
            columns = errors(decode(p, direction, distance), places((-33, 21, 4.0)))
            assert columns["mae_deg"][0] < 4.0
            assert columns["der"][0] == 0


def test_no_constant_answer_is_better_than_the_best_constant() -> None:
    true = random_places(300)
    best = constants(true)
    rng = np.random.default_rng(2)
    for _ in range(100):
        az, el, metres = rng.uniform(-180, 180), rng.uniform(-60, 60), rng.uniform(0.5, 10)
        same = Positions(np.full(300, az), np.full(300, el), np.full(300, metres))
        for name, column in errors(same, true).items():
            value = float(column.mean())
            slack = 0.7 if name == "mae_deg" else 0.011 if name == "er20" else 1e-12  # a 4-degree grid of directions
            better = value < best[name] - slack if name in metrics.LOWER_IS_BETTER else value > best[name] + slack
            assert not better, name


def test_the_best_constant_distance_is_the_fullest_metre() -> None:
    at = places((0, 0, 1.0), (0, 0, 3.0), (0, 0, 3.4), (0, 0, 4.0), (0, 0, 9.0))
    assert constants(at)["der"] == pytest.approx(1 - 3 / 5)


def test_the_references_der_counts_classes_and_ours_metres() -> None:
    true = places((0, 0, 1.2), (0, 0, 1.3), (0, 0, 2.0), (0, 0, 12.0))
    said = places((0, 0, 2.0), (0, 0, 2.0), (0, 0, 2.5), (0, 0, 10.0))
    found = errors(said, true)
    assert found["der"].tolist() == [1, 1, 0, 1]
    assert found["der_classes"].tolist() == [1, 0, 0, 0]  # 1.2 m is class 2, 1.3 m is class 3, 12 m is the last one


def test_few_houses_and_few_sounds_give_no_interval_of_no_width() -> None:
    true = random_places(12)
    truth = truth_at(true)
    for houses in (["one"] * 12, [str(k % 3) for k in range(12)]):
        few = replace(truth, house=houses)
        result = figures(errors(true, true), few, np.arange(12))
        low, high = result["left_right"].low, result["left_right"].high
        assert low is not None
        assert high == 1.0
        assert 0.7 < low < 0.8  # Wilson, 12 of 12
    (single,) = (figures(errors(true, true), truth, np.arange(1))[name] for name in ("octant",))
    assert single.low is not None
    assert single.low < 0.25


def test_figures_carry_intervals_over_houses_and_the_constant() -> None:
    true = random_places(400)
    said = Positions(
        true.azimuth_deg, true.elevation_deg, true.distance_m + np.where(np.arange(400) % 4 == 0, 2.0, 0.0)
    )
    result = figures(errors(said, true), truth_at(true), np.arange(400))
    der = result["der"]
    assert der.value == 0.25
    assert der.low is not None
    assert der.high is not None
    assert der.low <= 0.25 <= der.high
    assert der.constant == constants(true)["der"]
    assert result["left_right"].value == 1.0


def test_map_counts_only_classes_of_training_and_its_constant_is_the_share_of_a_class() -> None:
    at = random_places(100)
    truth = truth_at(at)
    perfect = truth.classes.astype(np.float64)
    everything = np.ones(3, dtype=bool)
    rows = np.arange(100)
    scored = metrics.mean_average_precision(perfect, truth, everything, rows)
    assert scored is not None
    figure, n_classes = scored
    assert (figure.value, figure.constant, n_classes) == (1.0, 0.5, 2)  # the third class sounds nowhere
    deaf = metrics.mean_average_precision(np.zeros((100, 3)), truth, everything, rows)
    assert deaf is not None
    assert deaf[0].value == pytest.approx(deaf[0].constant)
    one = metrics.mean_average_precision(perfect, truth, np.array([True, False, False]), rows)
    assert one is not None
    assert one[1] == 1
    assert metrics.mean_average_precision(perfect, truth, np.array([False, False, True]), rows) is None


def test_bins_divide_the_rows_and_judge_each_part_by_itself() -> None:
    true = random_places(200)
    said = Positions(true.azimuth_deg, true.elevation_deg, np.where(true.distance_m < 3, true.distance_m, 0.0))
    bins = metrics.by_bin(errors(said, true), true.distance_m, metrics.DISTANCE_EDGES_M)
    assert sum(int(part["n"] or 0) for part in bins) == 200
    assert [part["der"] for part in bins] == [0, 0, 0, 1, 1, 1]
    assert metrics.by_bin(errors(said, true), np.full(200, np.nan), metrics.DRR_EDGES_DB)[0]["mae_deg"] is None


def test_decoders_are_chosen_by_their_measured_error() -> None:
    rng = np.random.default_rng(3)
    n = 200
    true = Positions(rng.choice([-60.0, 60.0], n), np.zeros(n), np.full(n, 3.0))
    p_azimuth = np.full((n, 360), 1e-6)
    p_azimuth[np.arange(n), (true.azimuth_deg + 180).astype(int)] = 0.6
    p_azimuth[np.arange(n), (180 - true.azimuth_deg).astype(int)] = 0.4  # the mean of the two lies in between
    p_azimuth /= p_azimuth.sum(axis=1, keepdims=True)
    p_elevation = np.eye(180)[[90] * n]
    p_distance = np.zeros((n, 21))
    p_distance[:, [2, 6, 7]] = 0.4, 0.3, 0.3  # the likeliest is wrong, the fullest metre is right
    p = Posterior(p_azimuth, p_elevation, p_distance, np.zeros((n, 1)), AZIMUTHS, ELEVATIONS, DISTANCES)
    direction, distance, measured = metrics.best_decoders(p, true)
    assert direction == "argmax"
    assert distance == "window"
    assert measured["direction argmax"] == 0
    assert measured["direction mean"] > 20
    assert measured["distance argmax"] == 1
