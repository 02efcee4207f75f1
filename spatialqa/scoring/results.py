"""Results of scoring: metrics with their intervals, by subtype and grouped as in the paper of SpatialSoundQA."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class MetricName(NamedTuple):
    """How a metric is shown. unit: "%" (a share, 0 to 1), "m" or "deg"."""

    title: str
    unit: str = "%"
    lower_is_better: bool = False


METRICS: Mapping[str, MetricName] = {
    "map_lexical": MetricName("mAP, lexical"),
    "map_sentence": MetricName("mAP, sentence model"),
    "map_whole_lexical": MetricName("mAP, lexical, whole answer"),
    "map_whole_sentence": MetricName("mAP, sentence model, whole answer"),
    "precision": MetricName("label precision"),
    "recall": MetricName("label recall"),
    "f1": MetricName("label F1"),
    "exact": MetricName("exact label set"),
    "direction": MetricName("direction, all three words"),
    "left_right": MetricName("left or right"),
    "front_behind": MetricName("front or behind"),
    "above_below": MetricName("above or below"),
    "der": MetricName("DER, > 0.5 m", lower_is_better=True),
    "der_unrounded": MetricName("DER, unrounded truth", lower_is_better=True),
    "distance_error_m": MetricName("mean distance error", "m", True),
    "great_circle_deg": MetricName("mean great-circle error", "deg", True),
    "accuracy": MetricName("accuracy"),
    "within_an_hour": MetricName("within an hour"),
}


@dataclass(frozen=True)
class Metric:
    """One figure. value: a share (0 to 1), metres or degrees; None where nothing could be measured.

    low, high: the 95 % interval. chance: what answers without listening would get. n: how many answers it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    chance: float | None = None


@dataclass(frozen=True)
class SubtypeScore:
    """The figures of one subtype in one answer form ("open" or "mcq").

    missing: questions without a prediction. unparsed: answered questions of which something could not be read;
    unread says what, and how often.
    """

    type: str
    subtype: str
    form: str
    questions: int
    missing: int
    unparsed: int
    unread: dict[str, int]
    metrics: dict[str, Metric]


@dataclass(frozen=True)
class IdProblems:
    """qa_ids that did not pair up: how many, and the first few."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class ScoreReport:
    """All that `score` found. paper: the rows of SpatialSoundQA's table (arXiv 2402.01591), by their names."""

    predictions: str
    root: str
    table: str
    splits: tuple[str, ...]
    questions: int
    answered: int
    answered_only: bool
    missing: IdProblems
    duplicates: IdProblems
    unknown: IdProblems
    other_splits: int
    text_model: str | None
    clusters: str
    n_clusters: int
    seed: int
    subtypes: tuple[SubtypeScore, ...]
    paper: dict[str, Metric]

    def as_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`: shares are 0 to 1, what could not be measured is null."""
        return asdict(self)
