"""Error analysis: errors by perception and reasoning, by angle between sources, by distance and by masking.

    analysis = analyse(Path("preds.jsonl"), Path("OUT"), control=Path("silent.jsonl"))
    print_analysis(analysis)                  # analysis_tables.py

Answers are measured as `spatialqa score` does. Every figure has its 95 % interval over houses and stands beside what
the best single answer reaches; with a control (the same model with silence to hear, say) there is the paired difference
too. Questions with lettered options are left out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import great_circle_deg
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_scenes, scene_files
from spatialqa.errors import DatasetError
from spatialqa.qa.answer_text import DISTANCE_STEP_M, rounded_m
from spatialqa.qa.named_classes import NamedClasses
from spatialqa.scoring.grade import DER_THRESHOLD_M, Grade, grade
from spatialqa.scoring.intervals import FEWEST_HOUSES, Bootstrap, FloatArray, IntArray, percentiles, wilson
from spatialqa.scoring.parsing.class_names import Names, parts
from spatialqa.scoring.predictions import Predictions, read_predictions
from spatialqa.scoring.references import Reference, read_references, read_scene_references

_E_DIRECTION, _E_DISTANCE = ("relative_direction", "both_on_side"), ("relative_distance",)
FIGURES: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {  # title: metric, and what it is a mean over
    "A labels": ("f1", (("classification",),)),
    "B direction": ("direction", (("location",),)),
    "B distance": ("der", (("location",),)),
    "C labels": ("f1", (("classification_at_location",),)),
    "D direction": ("direction", (("location_of_class",),)),
    "D distance": ("der", (("location_of_class",),)),
    "E direction": ("accuracy", (_E_DIRECTION,)),
    "E distance": ("accuracy", (_E_DISTANCE,)),
    "E mean": ("accuracy", (_E_DIRECTION, _E_DISTANCE)),
    "E distance between": ("der", (("distance_between",),)),
    "E which source": ("accuracy", (("source_at_direction",),)),
    "E which word": ("accuracy", (("direction_word",),)),
}
PERCEPTION = ("A labels", "B direction", "B distance", "C labels", "D direction", "D distance")
ANGLE_EDGES_DEG = (30.0, 60.0, 90.0, 135.0)
DISTANCE_EDGES_M = (1.0, 2.0, 3.0, 5.0)
LEVEL_EDGES_DB = (-9.0, -3.0, 3.0, 9.0)
APART_EDGES_M = (1.0, 2.0)


class Figure(NamedTuple):
    """A figure with its 95 % interval; None where nothing is measured, or where too few houses are."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Overall:
    """One figure over all its questions.

    reasoning: whether the answer relates sources to each other. constant: what the best single answer gets. control:
    what the other file gets, with the paired difference to it.
    """

    title: str
    metric: str
    reasoning: bool
    n: int
    figure: Figure
    constant: float | None
    control: Figure | None
    difference: Figure | None


@dataclass(frozen=True)
class Bin:
    """One figure over the questions of which a quantity lies from `low` to `high`; None is no bound."""

    title: str
    metric: str
    by: str
    low: float | None
    high: float | None
    n: int
    figure: Figure


@dataclass(frozen=True)
class Analysis:
    """What was found.

    given_place: E, apart for pairs of sources whose places, as D asks, are answered right or not. classes: those whose
    questions are apart, in `naming`; all other questions are in `others`.
    """

    predictions: str
    control: str | None
    root: str
    splits: tuple[str, ...]
    clusters: str
    overall: tuple[Overall, ...]
    bins: tuple[Bin, ...]
    given_place: tuple[Bin, ...]
    classes: tuple[str, ...] = ()
    naming: tuple[Overall, ...] = ()
    others: tuple[Overall, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the plain form; shares are 0 to 1."""
        return asdict(self)


class Difficulty(NamedTuple):
    """What makes a question hard; None where it does not apply.

    angle_deg: between the two sources asked about, else from the one asked about to the nearest other. distance_m: of
    the farthest asked about. level_db: of the quietest asked about over all others together, each at its better ear,
    which is where it stands out most.
    apart_m: between the distances of two asked about.
    """

    angle_deg: float | None
    distance_m: float | None
    level_db: float | None
    apart_m: float | None


_BINS: tuple[tuple[str, Callable[[Difficulty], float | None], tuple[float, ...]], ...] = (
    ("angle, deg", lambda facts: facts.angle_deg, ANGLE_EDGES_DEG),
    ("distance, m", lambda facts: facts.distance_m, DISTANCE_EDGES_M),
    ("level, dB", lambda facts: facts.level_db, LEVEL_EDGES_DB),
    ("apart, m", lambda facts: facts.apart_m, APART_EDGES_M),
)


def analyse(
    predictions: Path | Predictions,
    root: Path,
    table: str = "qa",
    split: str | None = None,
    control: Path | None = None,
    seed: int = 0,
    answered_only: bool = False,
    classes: Sequence[str] = (),
) -> Analysis:
    """Measure predictions against the questions of a data set by what makes questions hard.

    Args:
        predictions: JSON lines or Parquet, as `score` reads them; what is not answered is wrong.
        root: the data set. table: its questions.
        split: which split; None takes every split in which there is a prediction.
        control: predictions for the same questions that the figures are compared with, pair by pair.
        seed: of the bootstrap.
        answered_only: leave out questions without a prediction, which else count as wrong.
        classes: labels in lower case; questions whose asked labels or answer name one of them are also measured apart.

    Raises:
        DatasetError: the predictions, the questions or the scenes cannot be read, or nothing pairs up, or no question
            names one of the classes.
    """
    given = read_predictions(predictions).by_id
    every = [truth for truth in read_references(root, table) if not truth.multiple_choice]
    splits = {truth.split for truth in every if truth.qa_id in given and split in (None, truth.split)}
    asked = [truth for truth in every if truth.split in splits and (truth.qa_id in given or not answered_only)]
    if not asked:
        raise DatasetError(
            f"{predictions}: answers no open question of {root}/{table}; name the data set that it belongs to"
        )
    ids = {truth.scene_id for truth in asked}
    files = [path for name in sorted(splits) for path in scene_files(DatasetFolder(root), name)]
    scenes = {scene.scene_id: scene for path in files for scene in read_scenes(path) if scene.scene_id in ids}
    if missing := ids - scenes.keys():
        raise DatasetError(f"{root}: lacks the scene {min(missing)} that it asks about; render it again")
    beside = read_predictions(control).by_id if control else {}
    if control and (lacking := [t.qa_id for t in asked if t.qa_id in given and t.qa_id not in beside]):
        raise DatasetError(
            f"{control}: does not answer {len(lacking)} of the questions that {predictions} answers, {min(lacking)} "
            f"among them: a control must answer the same questions"
        )
    measured = _Measured(root, asked, scenes, splits, seed)
    grades = measured.grades(given)
    other = measured.grades(beside) if control else None
    names = NamedClasses(classes)
    is_naming = np.array([bool(classes) and names.in_labels((*t.asked_labels, *t.answer_labels)) for t in asked])
    if classes and not is_naming.any():
        raise DatasetError(f"{root}/{table}: no question that was answered names {', '.join(classes)}")
    return Analysis(
        str(predictions),
        str(control) if control else None,
        str(root),
        tuple(sorted(splits)),
        measured.clusters,
        tuple(measured.overall(grades, other)),
        tuple(measured.bins(grades)),
        tuple(measured.given_place(grades)),
        tuple(classes),
        tuple(measured.overall(grades, other, is_naming)) if classes else (),
        tuple(measured.overall(grades, other, ~is_naming)) if classes else (),
    )


def facts_of(truth: Reference, scene: Scene) -> Difficulty:
    """Return what makes a question about a scene hard."""
    named = [scene.sources[k] for k in truth.source_indices]
    others = [source for k, source in enumerate(scene.sources) if k not in truth.source_indices]
    if not named:
        return Difficulty(None, None, None, None)
    pairs = [(a, b) for a in named for b in others] if len(named) == 1 else [(named[0], named[1])]
    angles = [great_circle_deg(a.azimuth_deg, a.elevation_deg, b.azimuth_deg, b.elevation_deg) for a, b in pairs]
    levels = [level for k in truth.source_indices if (level := _over_others_db(scene, k)) is not None]
    distances = [source.distance_m for source in named]
    return Difficulty(
        min(angles, default=None),
        max(distances),
        min(levels, default=None),
        abs(distances[0] - distances[1]) if len(named) == 2 else None,
    )


def _over_others_db(scene: Scene, index: int) -> float | None:
    """Return the level of a source over all others together at its better ear; None where no ear has both."""
    wet = [source.wet_level_dbfs for source in scene.sources]
    if None in wet:
        return None
    power = 10.0 ** (np.array(wet, dtype=np.float64) / 10.0)  # of sources and ears
    own, rest = power[index], np.delete(power, index, axis=0).sum(0)
    both = (own > 0) & (rest > 0)
    return float(10.0 * np.log10(own[both] / rest[both]).max()) if both.any() else None


class _Measured:
    """Questions with their scenes, and how answers to them are summed up."""

    def __init__(
        self, root: Path, asked: Sequence[Reference], scenes: dict[str, Scene], splits: set[str], seed: int
    ) -> None:
        self.asked = asked
        self.truths = read_scene_references(root, set(scenes), splits)
        self.names = Names(label for scene in scenes.values() for source in scene.sources for label in source.labels)
        self.facts = [facts_of(truth, scenes[truth.scene_id]) for truth in asked]
        houses = [f"{scenes[truth.scene_id].room_set}/{scenes[truth.scene_id].house_id}" for truth in asked]
        self.clusters = "house" if len(set(houses)) >= FEWEST_HOUSES else "scene"
        own = houses if self.clusters == "house" else [truth.scene_id for truth in asked]
        self.bootstrap = Bootstrap(own, seed)
        self.rows: dict[str, list[IntArray]] = {
            title: [np.array([k for k, t in enumerate(asked) if t.subtype in own], dtype=np.int64) for own in means]
            for title, (_, means) in FIGURES.items()
        }

    def grades(self, given: dict[str, str]) -> list[Grade]:
        return [
            grade(truth, self.truths.get(truth.scene_id), given.get(truth.qa_id, ""), self.names)
            for truth in self.asked
        ]

    def overall(
        self, grades: Sequence[Grade], other: Sequence[Grade] | None, chosen: npt.NDArray[np.bool_] | None = None
    ) -> Iterable[Overall]:
        """Yield the figures over all questions, or over the chosen ones: bool (questions,)."""
        for title, (metric, _) in FIGURES.items():
            means = [rows if chosen is None else rows[chosen[rows]] for rows in self.rows[title]]
            n = sum(map(len, means))
            if not all(map(len, means)):
                continue
            value, replicates = self._mean(metric, means, grades)
            constants = [self._constant(metric, rows) for rows in means]
            control = difference = None
            if other is not None:
                there, replicates_there = self._mean(metric, means, other)
                control = self._figure(metric, means, other)
                apart = None if value is None or there is None else value - there
                difference = _figure(apart, replicates - replicates_there)
            yield Overall(
                title,
                metric,
                title not in PERCEPTION,
                n,
                self._figure(metric, means, grades),
                None if None in constants else float(np.mean([c for c in constants if c is not None])),
                control,
                difference,
            )

    def bins(self, grades: Sequence[Grade]) -> Iterable[Bin]:
        for title, (metric, means) in FIGURES.items():
            if len(means) > 1:
                continue
            rows = self.rows[title][0]
            for by, quantity, edges in _BINS:
                known = [(row, value) for row in rows if (value := quantity(self.facts[row])) is not None]
                if not known:
                    continue
                place = np.digitize([value for _, value in known], edges)
                for k in range(len(edges) + 1):
                    own = np.array([row for (row, _), at in zip(known, place, strict=True) if at == k], dtype=np.int64)
                    low, high = (edges[k - 1] if k else None), (edges[k] if k < len(edges) else None)
                    if len(own):
                        figure = self._figure(metric, [own], grades)
                        yield Bin(title, metric, by, low, high, len(own), figure)

    def given_place(self, grades: Sequence[Grade]) -> Iterable[Bin]:
        """Yield E by whether all that D asks about the same sources was right: what perception costs reasoning."""
        right: dict[tuple[str, int], float] = {}
        for truth, own in zip(self.asked, grades, strict=True):
            if truth.subtype == "location_of_class":
                for source in truth.source_indices:
                    key = truth.scene_id, source
                    right[key] = min(right.get(key, 1.0), own.parts["direction"].above)
        placed = [
            min((right[t.scene_id, k] for k in t.source_indices if (t.scene_id, k) in right), default=None)
            for t in self.asked
        ]
        for title, (metric, means) in FIGURES.items():
            if not title.startswith("E") or len(means) > 1:
                continue
            rows = self.rows[title][0]
            for wanted in (0.0, 1.0):
                chosen = np.array([row for row in rows if placed[row] == wanted], dtype=np.int64)
                if len(chosen):
                    figure = self._figure(metric, [chosen], grades)
                    yield Bin(title, metric, "D of its sources", wanted, wanted, len(chosen), figure)

    def _mean(self, metric: str, means: Sequence[IntArray], grades: Sequence[Grade]) -> tuple[float | None, FloatArray]:
        """Return the mean of ratios, and its replicates."""
        values, replicates = [], []
        for rows in means:
            pairs = [grades[row].parts.get(metric, (0.0, 0.0)) for row in rows]
            above, below = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
            values.append(float(above.sum() / below.sum()) if below.sum() > 0 else None)
            replicates.append(self.bootstrap.ratio(rows, above, below))
        value = None if None in values else float(np.mean([v for v in values if v is not None]))
        return value, np.mean(replicates, axis=0)

    def _figure(self, metric: str, means: Sequence[IntArray], grades: Sequence[Grade]) -> Figure:
        value, replicates = self._mean(metric, means, grades)
        if value in (0.0, 1.0):  # no redraw differs, as in `score`
            return Figure(value, *wilson(value, self.bootstrap.n_clusters_of(np.concatenate(means))))
        return _figure(value, replicates)

    def _constant(self, metric: str, rows: IntArray) -> float | None:
        asked = [self.asked[row] for row in rows]
        if metric == "f1":
            return _best_labels([truth.answer_labels or tuple(parts(truth.answer)) for truth in asked])
        if metric == "direction":
            return _most_frequent(truth.answer_direction for truth in asked)
        if metric == "der":
            return _best_distance([t.answer_distance_m for t in asked if t.answer_distance_m is not None])
        return _most_frequent(truth.answer.lower() for truth in asked)


def _figure(value: float | None, replicates: FloatArray) -> Figure:
    return Figure(value, *(percentiles(replicates) or (None, None))) if value is not None else Figure(None)


def _most_frequent(answers: Iterable[Any]) -> float:
    counts = Counter(answers)
    return max(counts.values()) / sum(counts.values())


def _best_labels(labels: Sequence[Sequence[str]]) -> float:
    """Return the F1 of the set of labels that reaches most when it is given every time."""
    counts = sorted(Counter(label for own in labels for label in own).values(), reverse=True)
    hits, given = np.cumsum(counts), len(labels) * np.arange(1, len(counts) + 1)
    return float((2 * hits / (given + sum(counts))).max())


def _best_distance(distances_m: Sequence[float]) -> float | None:
    """Return the least share of distances that one distance misses, given every time."""
    if not distances_m:
        return None
    steps: npt.NDArray[np.int64] = np.array([round(rounded_m(d) / DISTANCE_STEP_M) for d in distances_m])
    reach = round(DER_THRESHOLD_M / DISTANCE_STEP_M)
    near = [np.mean(np.abs(steps - step) <= reach) for step in range(steps.max() + 1)]
    return float(1.0 - max(near))
