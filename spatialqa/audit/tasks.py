"""Prediction targets of the audit: the candidate answers of each question, and which are right."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spatialqa.audit.sample import Sample
from spatialqa.audit.statistics import Floats
from spatialqa.qa.listener_view import AXES

DISTANCE_STEP_M = 0.5
DISTANCE_TOLERANCE_M = 0.5

_WHOLE = 1e-9


@dataclass(frozen=True, eq=False)
class Task:
    """One measure of a subtype.

    measure: "answer" (Yes or No, a choice, a count, anything else as text), "octant", "label" or "distance".
    guesses: K things that can be said. right: (n, K) sparse, 1 where saying it is right.
    learned: (n, K) sparse, what a baseline is shown: `right`, or for distances the bin that a distance is in.
    chance: the share that blind guessing gets right by design, where the answers are even by design, else None.
    offered: whether the guesses are places among the choices of each question ("1" is the first).
    distances_m: (n,), for a distance only; the guesses are then the multiples of 0.5 m, right within 0.5 m.
    """

    measure: str
    guesses: tuple[str, ...]
    right: sparse.csr_matrix = field(repr=False)
    learned: sparse.csr_matrix = field(repr=False)
    chance: float | None = None
    offered: bool = False
    distances_m: Floats | None = field(default=None, repr=False)

    @property
    def grid_m(self) -> Floats:
        """The guesses of a distance task in metres, shape (K,)."""
        return np.arange(len(self.guesses), dtype=np.float64) * DISTANCE_STEP_M

    @property
    def reach(self) -> npt.NDArray[np.float32] | None:
        """How far a distance in bin k (rows) makes guess c (columns) right: evenly spread in its bin, shape (K, K)."""
        if self.distances_m is None:
            return None
        apart = np.abs(np.subtract.outer(np.arange(len(self.guesses)), np.arange(len(self.guesses))))
        return np.select([apart == 0, apart == 1], [1.0, 0.5], 0.0).astype(np.float32)


def tasks_of(sample: Sample) -> list[Task]:
    """Return what there is to guess in a subtype, by the answer columns that all its questions fill.

    Where choices are offered, the guess is which of them is right, first, second and so on; every choice is as likely
    by design. An octant is one guess of eight, a label any of the answer's labels. The only thing that text may tell of
    the others is how common they are, so what counts there is a gain over the best constant guess. That holds of counts
    too where they are offered: scenes seldom have all of the four that the options are.
    """
    if sample.has("answer_count"):
        return [_one_of("answer", [str(count) for count in sample["answer_count"]], None)]
    if sample.has("choices"):
        place = [_place(answer, offered) for answer, offered in zip(sample["answer"], sample["choices"], strict=True)]
        if all(p is not None for p in place):
            chance = float(np.mean([1 / len(offered) for offered in sample["choices"]]))
            if sample.has("answer_bool"):
                return [_one_of("answer", sample["answer"], chance)]
            return [replace(_one_of("answer", place, chance), offered=True)]
    if sample.has("answer_bool"):
        return [_one_of("answer", sample["answer"], 0.5)]
    tasks = []
    if sample.has("answer_direction") and all(len(words) == len(AXES) for words in sample["answer_direction"]):
        tasks.append(_one_of("octant", [", ".join(words) for words in sample["answer_direction"]], None))
    if sample.has("answer_distance_m"):
        tasks.append(_distance(np.asarray(sample["answer_distance_m"], np.float64)))
    if not tasks and sample.has("answer_labels"):
        tasks.append(_any_of("label", sample["answer_labels"]))
    return tasks or [_one_of("answer", sample["answer"], None)]


def _place(answer: str, offered: Sequence[str]) -> str | None:
    return str(offered.index(answer) + 1) if answer in offered else None


def codes_of(values: Sequence[Hashable]) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Return a code for every value and the values by code, in order of first appearance."""
    known: dict[Hashable, int] = {}
    codes = np.fromiter((known.setdefault(value, len(known)) for value in values), np.int64, len(values))
    return codes, list(known)


def _one_of(measure: str, answers: Sequence[Any], chance: float | None) -> Task:
    codes, values = codes_of(answers)
    order = np.argsort([str(value) for value in values], kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    right = _one_hot(rank[codes], len(values))
    return Task(measure, tuple(str(values[i]) for i in order), right, right, chance)


def _any_of(measure: str, answers: Sequence[tuple[str, ...]]) -> Task:
    names = sorted({name for answer in answers for name in answer})
    code = {name: i for i, name in enumerate(names)}
    columns = [sorted({code[name] for name in answer}) for answer in answers]
    starts = np.cumsum([0, *(len(row) for row in columns)])
    flat = np.fromiter((c for row in columns for c in row), np.int64, int(starts[-1]))
    right = sparse.csr_matrix((np.ones(len(flat), np.float32), flat, starts), shape=(len(answers), len(names)))
    return Task(measure, tuple(names), right, right)


def _distance(distances_m: Floats) -> Task:
    steps = distances_m / DISTANCE_STEP_M
    size = int(np.ceil(steps.max() + 1 - _WHOLE)) + 1
    learned = _one_hot(np.rint(steps).astype(np.int64), size)
    lowest = np.ceil((distances_m - DISTANCE_TOLERANCE_M) / DISTANCE_STEP_M - _WHOLE).astype(np.int64)
    highest = np.floor((distances_m + DISTANCE_TOLERANCE_M) / DISTANCE_STEP_M + _WHOLE).astype(np.int64)
    within = [(i, c) for i in range(len(steps)) for c in range(max(0, lowest[i]), highest[i] + 1)]
    rows, columns = np.asarray(within, np.int64).T
    right = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(steps), size))
    guesses = tuple(f"{c * DISTANCE_STEP_M:g}m" for c in range(size))
    return Task("distance", guesses, right, learned, distances_m=distances_m)


def _one_hot(codes: npt.NDArray[np.int64], size: int) -> sparse.csr_matrix:
    n = len(codes)
    return sparse.csr_matrix((np.ones(n, np.float32), codes, np.arange(n + 1)), shape=(n, size))
