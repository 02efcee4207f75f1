"""Answers one split with the best text-only baseline, fitted on the train split.

For every thing that is to be guessed in a subtype, all baselines of the audit and the constant are cross-validated by
house within the train split, by the figure that `score` gives it; the best is fitted on the whole of it and answers.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spatialqa.audit.audit import MAX_QUESTIONS, check_sampling
from spatialqa.audit.baselines import Baseline, Fold, WordRegression, constant, house_folds, priors, word_features
from spatialqa.audit.leakage import read_splits
from spatialqa.audit.sample import Sample, index_questions, read_sample
from spatialqa.audit.statistics import Ints
from spatialqa.audit.tasks import DISTANCE_STEP_M, Task, tasks_of
from spatialqa.core.files import commit_text
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.qa.answer_text import labels_answer
from spatialqa.scoring.grade import DER_THRESHOLD_M
from spatialqa.scoring.references import answer_kinds

TRAIN, TEST = "train", "test"

# All that a baseline is given of the questions that it answers.
_ASKED = ("question", "template_id", "asked_labels", "asked_direction", "asked_distance_m", "choices")
_LEAST_SHARES = np.geomspace(1e-4, 1.0, 2000)


class ChosenBaseline(NamedTuple):
    """Which baseline answers one thing, and what it was chosen by.

    figure: "right", "within 0.5 m" or "F1". value: that figure in cross-validation over the houses of the train split.
    constant: what the best answer that is always the same reaches there. guesser: the name of the baseline.
    """

    subtype: str
    measure: str
    guesser: str
    figure: str
    value: float
    constant: float


@dataclass(frozen=True)
class TextAnswers:
    """What was written: how many answers of which split, from how many train questions, and by which baselines."""

    to: Path
    root: Path
    split: str
    answers: int
    learned: int
    choices: tuple[ChosenBaseline, ...]

    def lines(self) -> list[str]:
        """Return it in words."""
        chosen = [
            f"{c.subtype}, {c.measure} by {c.guesser}: {100 * c.value:.1f} % {c.figure} over the houses of {TRAIN}"
            f" (constant {100 * c.constant:.1f} %)"
            for c in self.choices
        ]
        return [
            *chosen,
            f"{self.answers} answers to {self.split} in {self.to}, from the words of {self.learned} questions of "
            f"{TRAIN}; next: spatialqa score {self.to} {self.root}",
        ]


def answer_from_text(
    root: Path,
    to: Path,
    table: str = "qa",
    split: str = TEST,
    max_questions: int = MAX_QUESTIONS,
    seed: int = 0,
    on_subtype: Callable[[int, int], None] | None = None,
) -> TextAnswers:
    """Answer all questions of a split from their text alone, as JSON lines with qa_id and prediction for `score`.

    Args:
        root: the data set.
        to: the file; it appears when it is whole.
        table: `qa` or `qa-NAME`.
        split: what is answered; never what is learned from, the train split.
        max_questions: how many train questions of each subtype are learned from, chosen as the audit does.
        seed: chooses them; nothing else is drawn.
        on_subtype: called with (how many subtypes are done, how many there are) before each.

    Raises:
        DatasetError: the file exists, the folder is not a spatialqa data set, lacks the table or one of the two splits,
            or train asks nothing of a subtype.
        MissingDependencyError: scikit-learn is not installed.
        RecipeError: the split, max_questions or seed cannot be used.
    """
    check_sampling(max_questions, seed)
    if split == TRAIN:
        raise RecipeError(f"the baseline learns the answers of {TRAIN}: let it answer another split")
    if to.exists():
        raise DatasetError(f"{to}: exists already, and is not overwritten; name another file, or remove it")
    folder = DatasetFolder(root)
    folder.read_run()
    known = index_questions(folder, table, max_questions, seed, TRAIN)
    asked = index_questions(folder, table, sys.maxsize, seed, split)
    if strange := [kind[1] for kind in asked.rows if kind not in known.rows]:
        raise DatasetError(
            f"{root / table}: {split} asks questions of {', '.join(strange)}, and {TRAIN} has none to learn from; ask "
            f"about more scenes, or only what both splits have"
        )
    houses, kinds = read_splits(folder)[1], answer_kinds(folder, table)
    said: dict[str, str] = {}
    choices: list[ChosenBaseline] = []
    learned = 0
    for done, kind in enumerate(asked.rows):
        if on_subtype:
            on_subtype(done, len(asked.rows))
        train = read_sample(folder, table, kind, known, houses, seed, TRAIN)
        test = read_sample(folder, table, kind, asked, houses, seed, split)
        chosen, answers = answer_by_baselines(train, test, kinds.get(kind[1], ""))
        said |= zip(test["qa_id"], answers, strict=True)
        choices += chosen
        learned += len(train)
    files = [path for path in folder.tables(table) if split_of(path) == split]
    order = dict.fromkeys(row["qa_id"] for path in files for row in read_rows(path, ["qa_id"], batch_rows=8192))
    rows = ({"qa_id": qa_id, "prediction": said[qa_id]} for qa_id in order)
    commit_text(to.parent, to.name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return TextAnswers(to, root, split, len(order), learned, tuple(choices))


def answer_by_baselines(train: Sample, test: Sample, of_kind: str) -> tuple[list[ChosenBaseline], list[str]]:
    """Return what was chosen, and an answer to every question of `test`, of which only the text is looked at.

    of_kind: the kind of the answers (see spatialqa.qa.subtype).
    """
    texts = Sample(
        train.type,
        train.subtype,
        len(train) + len(test),
        {name: [*train[name], *test[name]] for name in _ASKED},
        np.concatenate([train.houses, test.houses]),
    )
    rows = np.arange(len(texts))
    whole: Fold = (rows[: len(train)], rows[len(train) :])
    folds = house_folds(train.houses) or house_folds(whole[0])
    features = word_features(texts, len(train))
    choices: list[ChosenBaseline] = []
    parts: list[list[str]] = []
    for task in map(_as_scored, tasks_of(train)):
        if task.offered and not texts.has("choices"):
            raise DatasetError(f"a question of {train.subtype} offers no choices where others do; run make-qa again")
        baselines: list[Baseline] = [constant(len(texts)), WordRegression(features), *priors(texts, task)]
        several = task.measure == "label" and of_kind == "labels"
        figure = "F1" if several else "right" if task.distances_m is None else f"within {DER_THRESHOLD_M:g} m"
        trials = [(_trial_of_sets if several else _trial)(baseline, task, folds) for baseline in baselines]
        best = int(np.argmax([value for value, _ in trials]))  # of equals the first, the simplest
        value, least = trials[best]
        choices.append(ChosenBaseline(train.subtype, task.measure, baselines[best].name, figure, value, trials[0][0]))
        if several:
            parts.append(_sets(baselines[best], task, whole, least))
        else:
            guess = _guess(baselines[best], task, whole)[whole[1]]
            parts.append(_texts(task, guess, test))
    return choices, ["; ".join(each) for each in zip(*parts, strict=True)]


def _as_scored(task: Task) -> Task:
    """Return a task whose distances are right as in DER, which is against the true distance in half metres."""
    if task.distances_m is None:
        return task
    return replace(task, right=(task.learned @ sparse.csr_matrix(_within(len(task.guesses)))).tocsr())


def _within(size: int) -> npt.NDArray[np.float32]:
    """Return which of this many distances in half metres are right (columns) for which (rows)."""
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    return (apart * DISTANCE_STEP_M <= DER_THRESHOLD_M).astype(np.float32)


# --- one guess a question -------------------------------------------------------------------------------------------


def _guess(baseline: Baseline, task: Task, *folds: Fold) -> Ints:
    """Return the guess that is most likely to be right, for all rows that the folds try; 0 elsewhere."""
    guess = np.zeros(1 + max(int(test.max()) for _, test in folds), np.int64)
    within = None if task.distances_m is None else _within(len(task.guesses))
    for fold in folds:
        for rows, columns, shares in baseline.scores(task, fold):
            if within is None:
                guess[rows] = columns[np.argmax(shares, axis=1)]
            else:
                guess[rows] = np.argmax(shares @ within[columns], axis=1)
    return guess


def _trial(baseline: Baseline, task: Task, folds: Sequence[Fold]) -> tuple[float, int]:
    """Return the share that a baseline gets right in cross-validation; 0 where there is nothing to try it on."""
    if not folds:
        return 0.0, 0
    guess = _guess(baseline, task, *folds)
    return float(np.mean(task.right[np.arange(len(guess)), guess])), 0


def _texts(task: Task, guess: Ints, test: Sample) -> list[str]:
    """Return guesses in words."""
    if not task.offered:
        return [task.guesses[g] for g in guess]
    places = [int(task.guesses[g]) for g in guess]
    return [offered[min(place, len(offered)) - 1] for place, offered in zip(places, test["choices"], strict=True)]


# --- a set of labels a question -------------------------------------------------------------------------------------
# The F1 over all questions is greatest for all labels whose share is above some bound (Lipton et al. 2014), at least
# half the F1 that is reached; it is sought where it is greatest in cross-validation.


def _levels(baseline: Baseline, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield (rows, labels, how many of the least shares each label reaches (rows, labels))."""
    for rows, columns, shares in baseline.scores(task, fold):
        yield rows, columns, np.searchsorted(_LEAST_SHARES, shares, side="right")


def _trial_of_sets(baseline: Baseline, task: Task, folds: Sequence[Fold]) -> tuple[float, int]:
    """Return the greatest F1 in cross-validation, and how many of the least shares a label must reach for it."""
    given, hits = np.zeros((2, len(_LEAST_SHARES) + 1))
    for fold in folds:
        for rows, columns, levels in _levels(baseline, task, fold):
            given += np.bincount(levels.ravel(), minlength=len(given))
            hits += np.bincount(levels[task.right[rows][:, columns].toarray() > 0], minlength=len(hits))
    given, hits = np.cumsum(given[::-1])[::-1], np.cumsum(hits[::-1])[::-1]
    f1 = 2 * hits[1:] / (given[1:] + task.right.sum())
    return float(f1.max()), 1 + int(np.argmax(f1))


def _sets(baseline: Baseline, task: Task, fold: Fold, least: int) -> list[str]:
    """Return an answer for every row that the fold tries: all labels that reach the least share, or the likeliest."""
    first = len(fold[0])
    answers = [""] * len(fold[1])
    for rows, columns, levels in _levels(baseline, task, fold):
        for row, own in zip(rows, levels, strict=True):
            wanted = columns[own >= min(least, own.max())]
            answers[row - first] = labels_answer(task.guesses[c] for c in wanted)
    return answers
