"""The audit: do text-only baselines beat chance on the questions of a data set?"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spatialqa.audit.baselines import (
    Baseline,
    Fold,
    Scores,
    WordRegression,
    constant,
    cross_validated,
    house_folds,
    priors,
    word_features,
)
from spatialqa.audit.boosting import boosting
from spatialqa.audit.leakage import read_splits
from spatialqa.audit.memory import memories
from spatialqa.audit.report import Attempt, AuditReport, MeasureAudit, SubtypeAudit, Tables
from spatialqa.audit.sample import Sample, index_questions, read_sample
from spatialqa.audit.statistics import Floats, Ints, gain_p_value, share_interval
from spatialqa.audit.tasks import Task, tasks_of
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import RecipeError

MAX_QUESTIONS = 100_000


def audit_dataset(
    root: Path,
    table: str = "qa",
    max_questions: int = MAX_QUESTIONS,
    seed: int = 0,
    on_subtype: Callable[[str, int, int], None] | None = None,
) -> AuditReport:
    """Try to guess the answers of a table of questions from their text alone.

    Args:
        root: the data set.
        table: `qa` or `qa-NAME`.
        max_questions: how many questions of each subtype are looked at; which ones follows from the seed and their ids.
        seed: chooses the sample; nothing else is drawn.
        on_subtype: called with (subtype, how many are done, how many there are) before each subtype.

    Raises:
        DatasetError: the folder is not a data set of ours, or has no such table, or the two do not fit.
        MissingDependencyError: scikit-learn is not installed.
        RecipeError: max_questions or seed cannot be used.
    """
    check_sampling(max_questions, seed)
    folder = DatasetFolder(root)
    folder.read_run()
    splits, houses = read_splits(folder)
    index = index_questions(folder, table, max_questions, seed)
    audited = []
    for done, kind in enumerate(index.rows):
        if on_subtype:
            on_subtype(kind[1], done, len(index.rows))
        audited.append(audit_sample(read_sample(folder, table, kind, index, houses, seed)))
    tables = Tables(index.strings, index.all_strings, index.repeated, index.contradicted, splits)
    return AuditReport.of(table, seed, max_questions, audited, tables)


def check_sampling(max_questions: int, seed: int) -> None:
    """Raise RecipeError where the two cannot choose a sample."""
    if max_questions < 1 or seed < 0:
        raise RecipeError(f"max_questions must be 1 or more and seed 0 or more, got {max_questions} and {seed}")


def audit_sample(sample: Sample) -> SubtypeAudit:
    """Try every baseline on every measure of one subtype."""
    folds = house_folds(sample.houses)
    features = word_features(sample) if folds else None
    measures = []
    for task in tasks_of(sample):
        attempts: list[Attempt] = []
        majority, baseline_m = None, None
        if folds and features is not None:
            blind = cross_validated(constant(len(sample)), task, folds)
            majority = float(np.mean(_hits(task, blind.guess)))
            if blind.middle_m is not None:
                baseline_m = float(np.mean(_misses_m(task, blind.middle_m)))
            baselines: Sequence[Baseline] = [
                WordRegression(features),
                *priors(sample, task),
                boosting(sample, task.offered),
                *memories(sample, task),
            ]
            for baseline in baselines:
                attempts += _attempts(baseline, task, folds, blind, sample.houses)
        measures.append(
            MeasureAudit(
                measure=task.measure,
                n_guesses=len(task.guesses),
                chance=task.chance,
                majority=majority,
                constant_error_m=baseline_m,
                attempts=tuple(attempts),
                histogram=_histogram(task),
            )
        )
    return SubtypeAudit(
        type=sample.type,
        subtype=sample.subtype,
        questions=sample.total,
        sampled=len(sample),
        houses=len(np.unique(sample.houses)),
        measures=tuple(measures),
    )


def _attempts(baseline: Baseline, task: Task, folds: Sequence[Fold], blind: Scores, houses: Ints) -> list[Attempt]:
    guesses = cross_validated(baseline, task, folds)
    hits = _hits(task, guesses.guess)
    if task.chance is not None:
        p_value = gain_p_value(hits - task.chance, houses)
    else:
        over_constant = gain_p_value(hits - _hits(task, blind.guess), houses)
        p_value = max(over_constant, gain_p_value(hits - _coincidence(task, guesses.guess, folds), houses))
    interval = share_interval(hits, houses)
    attempts = [Attempt(baseline.name, "right", float(np.mean(hits)), interval, p_value)]
    if guesses.middle_m is not None and blind.middle_m is not None:
        miss = _misses_m(task, guesses.middle_m)
        over_constant = gain_p_value(_misses_m(task, blind.middle_m) - miss, houses)
        p_value = max(over_constant, gain_p_value(_coincident_miss_m(task, guesses.middle_m, folds) - miss, houses))
        attempts.append(Attempt(baseline.name, "error_m", float(np.mean(miss)), None, p_value))
    return attempts


def _hits(task: Task, guess: Ints) -> Floats:
    return np.asarray(task.right[np.arange(len(guess)), guess], np.float64).ravel()


def _misses_m(task: Task, middle_m: Floats) -> Floats:
    assert task.distances_m is not None
    return np.abs(middle_m - task.distances_m)


def _coincidence(task: Task, guess: Ints, folds: Sequence[Fold]) -> Floats:
    """Return how often each guess is right for the questions of its fold, whichever question it was made for."""
    expected = np.zeros(len(guess))
    for _, test in folds:
        expected[test] = np.asarray(task.right[test].mean(axis=0), np.float64).ravel()[guess[test]]
    return expected


def _coincident_miss_m(task: Task, middle_m: Floats, folds: Sequence[Fold]) -> Floats:
    assert task.distances_m is not None
    expected = np.zeros(len(middle_m))
    for _, test in folds:
        said, inverse = np.unique(middle_m[test], return_inverse=True)
        means = np.asarray([np.mean(np.abs(value - task.distances_m[test])) for value in said])
        expected[test] = means[inverse]
    return expected


def _histogram(task: Task) -> dict[str, int]:
    counts = np.asarray(task.learned.sum(axis=0)).ravel().astype(int)
    named = dict(zip(task.guesses, counts.tolist(), strict=True))
    return named if task.distances_m is not None else dict(Counter(named).most_common())
