"""Text-only baselines: they see the text of a question and never its scene, and are cross-validated by house."""

import importlib
import re
import warnings
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spatialqa.audit.sample import Sample
from spatialqa.audit.statistics import Floats, Ints
from spatialqa.audit.tasks import Task, codes_of
from spatialqa.errors import MissingDependencyError

Fold = tuple[Ints, Ints]  # row numbers to fit on, row numbers to try on

FOLDS = 5

_PRIOR_WEIGHT = 10.0  # questions; a rarer context than this is trusted less than the whole
_MAX_CLASSES = 32  # of a regression; the commonest, beyond distances
_MIN_ROWS = 10  # a word pair that is in fewer questions teaches nothing
# Over the number of questions, scikit-learn's C, the variance that weights are expected to have: n questions can only
# show weights beyond some standard errors, of order 1 / sqrt(n), and the rest is noise. Tried between 30 and 1000.
_INVERSE_PENALTY = 150.0
_MOST_ROUNDS = 30
_CHUNK_ROWS = 4096


_LETTER = re.compile(r"^[A-Z][.)] ")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_WORD = re.compile(r"[\w.'-]+")


class Baseline(Protocol):
    """Something that learns from some rows of a task and guesses others."""

    @property
    def name(self) -> str:
        """What it goes by."""

    def scores(self, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.float32]]]:
        """Yield (rows to try, guesses as columns of `learned`, their shares (rows, guesses)) in parts.

        A share is how likely the guess is to be right; the shares of a question add up to how many are right of it, on
        average. Where choices are offered only their order counts.
        """


@dataclass(frozen=True, eq=False)
class Scores:
    """guess: (n,) the guess that is most often right. middle_m: (n,) the median distance; None without distances."""

    guess: Ints
    middle_m: Floats | None


def house_folds(houses: Ints) -> list[Fold]:
    """Return at most five folds of about equal size; a house is never on both sides of one. Empty with one house."""
    model_selection = sklearn_module("model_selection")
    number = min(FOLDS, len(np.unique(houses)))
    if number < 2:
        return []
    return list(model_selection.GroupKFold(number).split(houses, groups=houses))


def cross_validated(baseline: Baseline, task: Task, folds: Sequence[Fold]) -> Scores:
    """Guess every question by what the other folds taught."""
    n = len(folds[0][0]) + len(folds[0][1])
    guess = np.zeros(n, np.int64)
    middle = None if task.distances_m is None else np.zeros(n)
    for fold in folds:
        for rows, columns, shares in baseline.scores(task, fold):
            if task.reach is None:
                guess[rows] = columns[np.argmax(shares, axis=1)]
            else:
                guess[rows] = np.argmax(shares @ task.reach[columns], axis=1)
            if middle is not None:
                cumulated = np.cumsum(shares, axis=1)
                below = cumulated < cumulated[:, -1:] / 2
                middle[rows] = task.grid_m[columns[np.sum(below, axis=1)]]
    return Scores(guess, middle)


@dataclass(frozen=True, eq=False)
class Prior:
    """Says what was commonest among the questions that agree in one thing, such as the asked label.

    name: that thing. context: (n,) its code for every question. Rare contexts back off to the global prior.
    """

    name: str
    context: Ints

    def scores(self, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.float32]]]:
        """Yield the smoothed shares among the training questions of each context."""
        train, test = fold
        number = int(self.context.max()) + 1
        member = sparse.csr_matrix(
            (np.ones(len(train), np.float32), (self.context[train], np.arange(len(train)))), shape=(number, len(train))
        )
        counts = (member @ task.learned[train]).tocsr()
        sizes = np.bincount(self.context[train], minlength=number).astype(np.float32)
        overall = np.asarray(task.learned[train].mean(axis=0), np.float32).ravel()
        columns = np.arange(len(task.guesses))
        order = test[np.argsort(self.context[test], kind="stable")]
        for start in range(0, len(order), _CHUNK_ROWS):
            rows = order[start : start + _CHUNK_ROWS]
            contexts, inverse = np.unique(self.context[rows], return_inverse=True)
            shares = (counts[contexts].toarray() + _PRIOR_WEIGHT * overall) / (sizes[contexts, None] + _PRIOR_WEIGHT)
            yield rows, columns, shares[inverse]


@dataclass(frozen=True, eq=False)
class OptionPrior:
    """Says the offered choice that is most often right where such a one is offered, whichever its place.

    name: what such a one means. keys: for every question the keys of its choices; equal keys are alike.
    """

    name: str
    keys: Sequence[Sequence[Hashable]]

    def scores(self, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.float32]]]:
        """Yield for every place among the choices how often its like was right, once offered."""
        train, test = fold
        lengths = np.fromiter((len(offered) for offered in self.keys), np.int64, len(self.keys))
        widest = int(lengths.max())
        codes, known = codes_of([key for offered in self.keys for key in offered])
        table = np.full((len(self.keys), widest), len(known))
        table[np.arange(widest) < lengths[:, None]] = codes
        place = np.asarray([int(guess) - 1 for guess in task.guesses])
        answered = place[np.asarray(task.right.argmax(axis=1)).ravel()]
        offered = np.bincount(table[train].ravel(), minlength=len(known) + 1)
        right = np.bincount(table[train, answered[train]], minlength=len(known) + 1)
        rate = ((right + _PRIOR_WEIGHT / widest) / (offered + _PRIOR_WEIGHT)).astype(np.float32)
        rate[len(known)] = -1.0  # where a question has fewer choices than others
        yield test, np.arange(len(place)), rate[table[test]][:, place]


@dataclass(frozen=True, eq=False)
class WordRegression:
    """Logistic regression over the words of the question, multinomial, with an L2 penalty.

    features: (n, m) sparse, 0 and 1. With many different answers it knows the commonest only.
    """

    features: sparse.csr_matrix
    name: str = "words"

    def scores(self, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.float32]]]:
        """Yield the shares of the answers that it knows."""
        train, test = fold
        totals = np.asarray(task.learned[train].sum(axis=0)).ravel()
        known = np.flatnonzero(totals)
        if task.distances_m is None and len(known) > _MAX_CLASSES:
            known = np.sort(np.argsort(-totals, kind="stable")[:_MAX_CLASSES])
        shown = task.learned[train][:, known].tocoo()  # a question with several right answers is shown once for each
        a_question = np.float32(len(shown.row) / len(train))
        if len(known) == 1:
            yield test, known, np.full((len(test), 1), a_question, np.float32)
            return
        model = sklearn_module("linear_model").LogisticRegression(
            C=_INVERSE_PENALTY / len(train), max_iter=_MOST_ROUNDS, tol=1e-3
        )
        with warnings.catch_warnings():  # a regression that has not quite converged guesses all the same
            warnings.simplefilter("ignore", sklearn_module("exceptions").ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # small data sets
            model.fit(self.features[train[shown.row]], shown.col)
        yield test, known, model.predict_proba(self.features[test]).astype(np.float32) * a_question


def word_features(sample: Sample, learned: int | None = None) -> sparse.csr_matrix:
    """Return (n, m) sparse zeros and ones: words, pairs of words, template, labels and choices by place, length.

    Labels and choices count by place as a whole, and by which of them stands first in the alphabet; the length is the
    number of words and, in steps of eight, of characters.

    learned: only what is in this many questions, the first ones, is a feature; None takes all.
    """
    learned = len(sample) if learned is None else learned
    text = sklearn_module("feature_extraction.text")
    structure = [" ".join(row) for row in zip(*_marks(sample), strict=True)]
    parts = []
    for texts, pattern, longest in ((sample["question"], r"[^\s?.!,;:\"]+", 2), (structure, r"\S+", 1)):
        vectorizer = text.CountVectorizer(
            ngram_range=(1, longest), token_pattern=pattern, binary=True, min_df=_MIN_ROWS, dtype=np.float32
        )
        try:
            known = vectorizer.fit_transform(texts[:learned])
        except ValueError:  # what scikit-learn raises when no word is frequent enough
            continue
        parts.append(sparse.vstack([known, vectorizer.transform(texts[learned:])], "csr"))
    if not parts:
        return sparse.csr_matrix((len(sample), 1), dtype=np.float32)
    return sparse.hstack(parts, "csr")


def _marks(sample: Sample) -> Iterator[list[str]]:
    """Yield kinds of tokens, one for every question, that a reader of the text could write down."""
    questions = sample["question"]
    yield [f"template={template_id}" for template_id in sample["template_id"]]
    yield [f"words={len(q.split())}" for q in questions]
    yield [f"characters={len(q) // 8}" for q in questions]
    for column in ("asked_labels", "choices"):
        if sample.has(column):
            yield [
                " ".join(f"{column}:{i}={item.replace(' ', '_')}" for i, item in enumerate(items))
                for items in sample[column]
            ]
            yield [f"{column}:order={alphabetical_order(items)}" for items in sample[column]]


def bare_choices(sample: Sample) -> list[tuple[str, ...]]:
    """Return the choices of every question without their letters."""
    return [tuple(_LETTER.sub("", choice) for choice in choices) for choices in sample["choices"]]


def alphabetical_order(items: Sequence[str]) -> str:
    """Return the places of items in alphabetical order, as digits."""
    return "".join(str(i) for i in sorted(range(len(items)), key=items.__getitem__))


def priors(sample: Sample, task: Task) -> list[Prior | OptionPrior]:
    """Return a prior for everything that sorts the questions of a subtype and is to be read off their text.

    Without any context it is the commonest answer: tried where answers are even by design, else it is what the others
    must beat.
    """
    contexts: dict[str, Sequence[Any]] = {"nothing": [0] * len(sample)} if task.chance is not None else {}
    contexts["template"] = sample["template_id"]
    contexts["length"] = [len(question) for question in sample["question"]]
    contexts["text"] = sample["question"]
    clue, words = ("choices", sample["choices"]) if task.offered else ("direction", sample["asked_direction"])
    if task.offered or sample.has("asked_direction"):
        contexts[clue] = words
        contexts[f"template and {clue}"] = list(zip(sample["template_id"], words, strict=True))
    if sample.has("asked_distance_m"):
        contexts["place"] = list(zip(sample["asked_direction"], sample["asked_distance_m"], strict=True))
    if sample.has("asked_labels"):
        labels = sample["asked_labels"]
        contexts["first label"] = [named[0] for named in labels]
        contexts[f"first label and {clue}"] = [(named[0], w) for named, w in zip(labels, words, strict=True)]
        contexts["last label"] = [(len(named), named[-1]) for named in labels]
        contexts["labels"] = labels
        contexts[f"labels and {clue}"] = list(zip(labels, words, strict=True))
        contexts["order of labels"] = [(alphabetical_order(named), w) for named, w in zip(labels, words, strict=True)]
    made: list[Prior | OptionPrior] = []
    if task.offered:
        bare = bare_choices(sample)
        made.append(OptionPrior("option", bare))
        made.append(
            OptionPrior("size of option", [_ranks([size_of_choice(choice) for choice in offered]) for offered in bare])
        )
        made.append(OptionPrior("likeness of options", [_ranks(_shared_words(offered)) for offered in bare]))
    seen: set[bytes] = set()
    for name, values in contexts.items():
        codes = codes_of(values)[0]
        same = codes.tobytes()
        if same not in seen and (name == "nothing" or codes.max() > 0):
            seen.add(same)
            made.append(Prior(name, codes))
    return made


def _ranks(values: Sequence[Any]) -> tuple[int, ...]:
    order = sorted(set(values))
    return tuple(order.index(value) for value in values)


def size_of_choice(choice: str) -> tuple[float, int, str]:
    """Return what sorts choices by their first number, then by length."""
    number = _NUMBER.search(choice)
    return float(number[0]) if number else 0.0, len(choice), choice


def _shared_words(choices: Sequence[str]) -> list[int]:
    """Return how many words of each choice the others have: distractors made from the answer give it away."""
    words = [set(_WORD.findall(choice.lower())) for choice in choices]
    return [sum(len(own & other) for other in words) - len(own) for own in words]


def constant(n: int) -> Prior:
    """Return the baseline that always says what was commonest where it was fitted."""
    return Prior("constant", np.zeros(n, np.int64))


def sklearn_module(module: str) -> Any:
    """Import a module of scikit-learn, an optional package."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "sklearn":
            raise
        raise MissingDependencyError(
            "the audit needs the package scikit-learn: pip install 'spatialqa[audit]'"
        ) from None
