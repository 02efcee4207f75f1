"""Localisation metrics and constant baselines: positions decoded from posteriors, and their errors.

Plain numpy, and angles as everywhere else in spatialqa: azimuth in (-180, 180], positive to the left. A row is one
sound. Every figure is the mean of one column of `errors`, so a subset of the rows (the occluded ones, those at 3 m) is
judged by the same rule as all of them. MAE and ER20 are those of Spatial-AST (arXiv 2402.01591). There are two DERs:
`der` is the share of errors over 0.5 m. `der_classes` is that of the reference code, which rounds both distances to
classes of 0.5 m and counts differences over 1 class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import cartesian
from spatialqa.scoring.intervals import FEWEST_HOUSES, Bootstrap, around, percentiles, wilson
from spatialqa.scoring.mean_ap import average_precisions, mean_over_classes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

DIRECTION_DECODERS = ("argmax", "mean", "median")
DISTANCE_DECODERS = ("argmax", "mean", "window")
FIGURES = ("mae_deg", "er20", "der", "left_right", "front_behind", "above_below", "octant", "der_classes")
LOWER_IS_BETTER = ("mae_deg", "er20", "der", "der_classes")
DECODERS = {"argmax": ("argmax", "argmax"), "mean": ("mean", "mean"), "median": ("median", "window")}
FEWEST_SOUNDS = 30  # with fewer, a share is given as a count
OCTANTS = tuple(
    f"{side} {depth} {height}"
    for side in ("left", "right")
    for depth in ("front", "behind")
    for height in ("above", "below")
)
DISTANCE_EDGES_M = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 10.5)
DRR_EDGES_DB = (-np.inf, -10.0, -5.0, 0.0, 5.0, 10.0, np.inf)

_DER_M, _ER_DEG = 0.5, 20.0
_STEP_M, _LAST_CLASS = 0.5, 20  # of the classes of distance
_CELL_DEG = 6.0
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions of n sounds, true or estimated, relative to the head: three float64 arrays (n,)."""

    azimuth_deg: FloatArray
    elevation_deg: FloatArray
    distance_m: FloatArray

    def vectors(self) -> FloatArray:
        """Return unit vectors in the head frame, float64 (n, 3)."""
        return cartesian(self.azimuth_deg, self.elevation_deg)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth of n sounds; `classes` is bool (n, n_classes), `drr_db` is NaN and `line_of_sight` -1 if unknown."""

    positions: Positions
    classes: BoolArray
    house: Sequence[str]
    drr_db: FloatArray
    line_of_sight: IntArray


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posteriors of n sounds: probabilities over each axis, and the value of every class on the axis.

    azimuth (n, a), elevation (n, e), distance (n, d), each row adding to 1; classes (n, n_classes), any scores.
    """

    azimuth: FloatArray
    elevation: FloatArray
    distance: FloatArray
    classes: FloatArray
    azimuth_deg: FloatArray
    elevation_deg: FloatArray
    distance_m: FloatArray


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval, and that of the best answer that ignores the sound.

    low, high: over houses, or over sounds where there are fewer than FEWEST_HOUSES; None for a single sound.
    """

    value: float
    low: float | None
    high: float | None
    constant: float


def decode(posterior: Posterior, direction: str, distance: str) -> Positions:
    """Return one position for every row.

    direction: `argmax` takes the likeliest azimuth and the likeliest elevation; `mean` the circular mean of azimuth and
    the mean of elevation; `median` the direction with the least expected angle to the truth (the best one for MAE).
    distance: `argmax`; `mean`; `window`, the distance where most probability lies within 0.5 m (the best one for DER).
    """
    azimuth, elevation = {"argmax": _argmax, "mean": _mean, "median": _median}[direction](posterior)
    p, axis = posterior.distance, posterior.distance_m
    if distance == "argmax":
        metres = axis[p.argmax(axis=1)]
    elif distance == "mean":
        metres = p @ axis
    else:
        metres = _window(p, axis)
    return Positions(azimuth, elevation, metres)


def _argmax(posterior: Posterior) -> tuple[FloatArray, FloatArray]:
    return (
        posterior.azimuth_deg[posterior.azimuth.argmax(axis=1)],
        posterior.elevation_deg[posterior.elevation.argmax(axis=1)],
    )


def _mean(posterior: Posterior) -> tuple[FloatArray, FloatArray]:
    turn = np.exp(1j * np.radians(posterior.azimuth_deg))
    return np.degrees(np.angle(posterior.azimuth @ turn)), posterior.elevation @ posterior.elevation_deg


def _median(posterior: Posterior) -> tuple[FloatArray, FloatArray]:
    """Return the cell of a 6-degree grid with the least expected great-circle angle, azimuth and elevation as drawn."""
    cells = [_to_cells(posterior.azimuth_deg, 180.0), _to_cells(posterior.elevation_deg, 90.0)]
    centres = [np.arange(int(n)) * _CELL_DEG + _CELL_DEG / 2 for n in (360 / _CELL_DEG, 180 / _CELL_DEG)]
    azimuth, elevation = np.meshgrid(centres[0] - 180.0, centres[1] - 90.0, indexing="ij")
    grid = cartesian(azimuth.ravel(), elevation.ravel())
    cost = np.degrees(np.arccos(np.clip(grid @ grid.T, -1.0, 1.0)))
    best = np.empty(len(posterior.azimuth), dtype=np.int64)
    for start in range(0, len(best), _CHUNK):
        rows = slice(start, start + _CHUNK)
        pa = _binned(posterior.azimuth[rows], cells[0], len(centres[0]))
        pe = _binned(posterior.elevation[rows], cells[1], len(centres[1]))
        joint = (pa[:, :, None] * pe[:, None, :]).reshape(len(pa), -1)
        best[rows] = (joint @ cost).argmin(axis=1)
    return azimuth.ravel()[best], elevation.ravel()[best]


def _to_cells(axis_deg: FloatArray, offset_deg: float) -> IntArray:
    return np.minimum((axis_deg + offset_deg) // _CELL_DEG, 2 * offset_deg / _CELL_DEG - 1).astype(np.int64)


def _binned(p: FloatArray, cells: IntArray, n: int) -> FloatArray:
    binned: FloatArray = p @ np.eye(n)[cells]
    return binned


def _window(p: FloatArray, axis_m: FloatArray) -> FloatArray:
    """Return where most probability lies within 0.5 m: class k is spread evenly over the step around axis_m[k]."""
    step = float(axis_m[1] - axis_m[0])
    candidates = np.arange(axis_m[0], axis_m[-1] + step / 4, step / 2)
    low = np.maximum(candidates[:, None] - _DER_M, axis_m[None] - step / 2)
    high = np.minimum(candidates[:, None] + _DER_M, axis_m[None] + step / 2)
    share = np.clip(high - low, 0.0, None) / step
    best: FloatArray = candidates[(p @ share.T).argmax(axis=1)]
    return best


def errors(positions: Positions, truth: Positions) -> dict[str, FloatArray]:
    """Return one column a figure, float64 (n,): the angle in degrees, and 1 or 0 for each of the others."""
    a, b = positions.vectors(), truth.vectors()
    angle = np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1)))
    columns = {
        "mae_deg": angle,
        "er20": angle > _ER_DEG,
        "der": np.abs(positions.distance_m - truth.distance_m) > _DER_M,
        **{name: word == true for (name, word), true in zip(_words(a).items(), _words(b).values(), strict=True)},
        "octant": octants(positions) == octants(truth),
        "der_classes": np.abs(_distance_class(positions) - _distance_class(truth)) > 1,
    }
    return {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}


def _distance_class(positions: Positions) -> IntArray:
    return np.clip(np.rint(positions.distance_m / _STEP_M), 0, _LAST_CLASS).astype(np.int64)


def _words(vectors: FloatArray) -> dict[str, BoolArray]:
    """Return left, front and above, bool (n,) each, by the rule of geometry.direction_words."""
    x, y, z = vectors.T
    return {"left_right": x < 0, "front_behind": z < 0, "above_below": y > 0}


def plane_angles_deg(positions: Positions) -> FloatArray:
    """Return how far positions are from the planes where left, front and above change, degrees, float64 (n, 3)."""
    return np.degrees(np.arcsin(np.clip(np.abs(positions.vectors()), 0.0, 1.0)))


def octants(positions: Positions) -> IntArray:
    """Return the index in OCTANTS of every position, int64 (n,)."""
    left, front, above = _words(positions.vectors()).values()
    return np.asarray(4 * ~left + 2 * ~front + ~above, dtype=np.int64)


def octant_confusion(positions: Positions, truth: Positions) -> IntArray:
    """Return int64 (8, 8): how many sounds of the row's octant were put into the column's."""
    table = np.zeros((8, 8), dtype=np.int64)
    np.add.at(table, (octants(truth), octants(positions)), 1)
    return table


def constants(truth: Positions) -> dict[str, float]:
    """Return, figure by figure, the best that one and the same answer to every sound reaches on these very sounds."""
    azimuth, elevation = np.meshgrid(np.arange(-178.0, 181.0, 4.0), np.arange(-88.0, 89.0, 4.0))
    grid, vectors = cartesian(azimuth.ravel(), elevation.ravel()), truth.vectors()
    total, beyond = np.zeros(len(grid)), np.zeros(len(grid))
    for start in range(0, len(vectors), _CHUNK):
        angle = np.degrees(np.arccos(np.clip(grid @ vectors[start : start + _CHUNK].T, -1.0, 1.0)))
        total += angle.sum(axis=1)
        beyond += (angle > _ER_DEG).sum(axis=1)
    n = len(vectors)
    metres = np.sort(truth.distance_m)
    within = np.searchsorted(metres, metres + 2 * _DER_M, side="right") - np.arange(n)
    classes = np.bincount(_distance_class(truth), minlength=_LAST_CLASS + 1)
    common = {name: max(float(word.mean()), 1 - float(word.mean())) for name, word in _words(vectors).items()}
    return {
        "mae_deg": float(total.min() / n),
        "er20": float(beyond.min() / n),
        "der": 1 - float(within.max() / n),
        **common,
        "octant": float(np.bincount(octants(truth), minlength=8).max() / n),
        "der_classes": 1 - float(np.convolve(classes, np.ones(3)).max() / n),
    }


def figures(columns: Mapping[str, FloatArray], truth: GroundTruth, rows: IntArray, seed: int = 0) -> dict[str, Figure]:
    """Return every figure over these rows, with intervals from a bootstrap over clusters, see clusters_of."""
    bootstrap = Bootstrap(clusters_of(truth, rows), seed)
    best = constants(_at(truth.positions, rows))
    result = {}
    for name in FIGURES:
        column = columns[name][rows]
        value, interval = float(column.mean()), None
        if bootstrap.n_clusters > 1:
            interval = percentiles(bootstrap.ratio(np.arange(len(rows)), column, np.ones(len(rows))))
        if name != "mae_deg" and value in (0.0, 1.0):  # no resample differs: one trial a cluster, as in `score`
            interval = wilson(value, bootstrap.n_clusters)
        low, high = interval or (None, None)
        result[name] = Figure(value, low, high, best[name])
    return result


def clusters_of(truth: GroundTruth, rows: IntArray) -> list[str]:
    """Return what each row is resampled with: its house, or itself where there are fewer than FEWEST_HOUSES houses."""
    houses = [truth.house[i] for i in rows]
    return houses if len(set(houses)) >= FEWEST_HOUSES else [str(i) for i in rows]


def _at(positions: Positions, rows: IntArray) -> Positions:
    return Positions(positions.azimuth_deg[rows], positions.elevation_deg[rows], positions.distance_m[rows])


def mean_average_precision(
    scores: FloatArray, truth: GroundTruth, in_training: BoolArray, rows: IntArray, seed: int = 0
) -> tuple[Figure, int] | None:
    """Return mAP over the classes that training has and these rows have, and how many those are; None for no class.

    `constant` is the label prior's: a score that ignores the sound ranks nothing, so a class gets its own share.
    """
    there = np.flatnonzero(in_training & truth.classes[rows].any(axis=0))
    if not len(there):
        return None
    positives = truth.classes[np.ix_(rows, there)]
    bootstrap = Bootstrap(clusters_of(truth, rows), seed)
    weights = np.concatenate([np.ones((1, len(rows))), bootstrap.counts[:, bootstrap.clusters]])
    means = mean_over_classes(average_precisions(scores[np.ix_(rows, there)], positives, weights))
    low, high = (bootstrap.n_clusters > 1 and around(float(means[0]), means[1:])) or (None, None)
    return Figure(float(means[0]), low, high, float(positives.mean(axis=0).mean())), len(there)


def by_bin(
    columns: Mapping[str, FloatArray], values: FloatArray, edges: Sequence[float]
) -> list[dict[str, float | int | None]]:
    """Return, bin by bin, the edges (None where open), how many rows lie within, and the mean of every column."""
    result: list[dict[str, float | int | None]] = []
    for low, high in pairwise(edges):
        rows = np.flatnonzero((values >= low) & (values < high))
        means = {name: float(columns[name][rows].mean()) if len(rows) else None for name in FIGURES}
        ends = {"low": float(low) if np.isfinite(low) else None, "high": float(high) if np.isfinite(high) else None}
        result.append({**ends, "n": len(rows), **means})
    return result


def best_decoders(posterior: Posterior, truth: Positions) -> tuple[str, str, dict[str, float]]:
    """Return the decoder of direction with the least MAE, that of distance with the least DER, and all their errors."""
    measured = {}
    for name in DIRECTION_DECODERS:
        measured[name] = float(errors(decode(posterior, name, "argmax"), truth)["mae_deg"].mean())
    direction = min(DIRECTION_DECODERS, key=measured.__getitem__)
    distances = {}
    for name in DISTANCE_DECODERS:
        distances[name] = float(errors(decode(posterior, "argmax", name), truth)["der"].mean())
    distance = min(DISTANCE_DECODERS, key=distances.__getitem__)
    listed = {f"direction {name}": value for name, value in measured.items()}
    return direction, distance, listed | {f"distance {name}": value for name, value in distances.items()}
