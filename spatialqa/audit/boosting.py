"""Gradient boosting on what a reader of a question knows: template, labels, asked values, choices and length."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spatialqa.audit.baselines import Fold, alphabetical_order, bare_choices, size_of_choice, sklearn_module
from spatialqa.audit.sample import Sample
from spatialqa.audit.statistics import Floats, Ints
from spatialqa.audit.tasks import Task

_MOST_CATEGORIES = 254  # of a column, of the 255 that scikit-learn allows; the last is for all others
_MOST_CLASSES = 8  # with more answers, the rarer ones are one class; neighbouring distances are one
_ROUNDS = 25
_LEARNING_RATE = 0.2
_LEAVES = 15
_CHUNK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Boosting:
    """Gradient-boosted trees over histograms (scikit-learn's HistGradientBoostingClassifier).

    columns: (n, m) codes of categories, or numbers; -1 where there is no number. categorical: (m,) which are codes.
    """

    columns: Floats = field(repr=False)
    categorical: npt.NDArray[np.bool_]
    name: str = "boosting"

    def scores(self, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.float32]]]:
        """Yield the shares of all answers; those of one class share its probability as they do in the training rows."""
        train, test = fold
        totals = np.asarray(task.learned[train].sum(axis=0), np.float64).ravel()
        classes = _classes(totals, task.distances_m is not None)
        within = totals / np.maximum(np.bincount(classes, weights=totals), 1e-9)[classes]
        shown = task.learned[train].tocoo()  # a question with several right answers is shown once for each
        a_question = len(shown.row) / len(train)
        guesses = np.arange(len(totals))
        fitted = np.unique(classes[shown.col])
        if len(fitted) == 1:
            yield test, guesses, np.tile((within * a_question).astype(np.float32), (len(test), 1))
            return
        model = sklearn_module("ensemble").HistGradientBoostingClassifier(
            max_iter=_ROUNDS,
            learning_rate=_LEARNING_RATE,
            max_leaf_nodes=_LEAVES,
            l2_regularization=1.0,
            categorical_features=self.categorical,
            early_stopping=False,
            random_state=0,
        )
        model.fit(self.columns[train[shown.row]], classes[shown.col])
        for start in range(0, len(test), _CHUNK_ROWS):
            rows = test[start : start + _CHUNK_ROWS]
            by_class = np.zeros((len(rows), int(classes.max()) + 1))
            by_class[:, fitted] = model.predict_proba(self.columns[rows])
            yield rows, guesses, (by_class[:, classes] * within * a_question).astype(np.float32)


def _classes(totals: Floats, ordered: bool) -> Ints:
    """Return the class (guesses,) of every answer: neighbours of about equal number, or the rarest ones together."""
    if len(totals) <= _MOST_CLASSES:
        return np.arange(len(totals))
    if ordered:
        below = np.cumsum(totals) - totals / 2
        return np.asarray(np.minimum(_MOST_CLASSES - 1, (below / totals.sum() * _MOST_CLASSES).astype(np.int64)))
    rank = np.empty(len(totals), np.int64)
    rank[np.argsort(-totals, kind="stable")] = np.arange(len(totals))
    return np.asarray(np.minimum(rank, _MOST_CLASSES - 1))


def boosting(sample: Sample, offered: bool) -> Boosting:
    """Return the baseline for a sample; `offered`: whether the guesses are places among the choices."""
    columns: list[tuple[Floats, bool]] = [
        (_categories(sample["template_id"]), True),
        (np.asarray([len(question) for question in sample["question"]], np.float64), False),
        (_categories(sample["asked_direction"]), True),
        (_numbers(sample["asked_distance_m"]), False),
    ]
    labels = [named or () for named in sample["asked_labels"]]
    columns += [(column, True) for column in _by_place(labels)]
    columns.append((_categories([alphabetical_order(named) for named in labels]), True))
    if offered:
        bare = bare_choices(sample)
        columns += [(column, True) for column in _by_place(bare)]
        sizes = [[size_of_choice(choice)[0] for choice in choices] for choices in bare]
        columns += [
            (_numbers([row[place] if place < len(row) else None for row in sizes]), False)
            for place in range(max(map(len, sizes)))
        ]
    columns = [column for column in columns if np.ptp(column[0]) > 0] or columns[:1]
    return Boosting(np.column_stack([values for values, _ in columns]), np.asarray([code for _, code in columns]))


def _by_place(items: Sequence[Sequence[str]]) -> Iterator[Floats]:
    for place in range(max(map(len, items), default=0)):
        yield _categories([row[place] if place < len(row) else None for row in items])


def _categories(values: Sequence[Hashable | None]) -> Floats:
    """Return codes (n,), the commonest value first; None and rare values share the last one."""
    common = Counter(value for value in values if value is not None).most_common(_MOST_CATEGORIES)
    code = {value: index for index, (value, _) in enumerate(common)}
    return np.asarray([code.get(value, _MOST_CATEGORIES) for value in values], np.float64)


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.asarray([-1.0 if value is None else value for value in values])
