"""Mean average precision of free-form answers as retrieval of classes, with its confidence interval."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spatialqa.scoring.intervals import Bootstrap, IntArray, around
from spatialqa.scoring.mean_ap import average_precisions, mean_over_classes
from spatialqa.scoring.parsing.class_names import Names, parts
from spatialqa.scoring.parsing.normalise import affirmed, plain
from spatialqa.scoring.similarity import FloatArray, Similarity

# A replicate costs a pass over every class; 200 place a percentile well enough.
_REPLICATES = 200
_NOTHING = -1.0  # the cosine of an answer that says nothing: below every other


class MeanAP(NamedTuple):
    """Mean average precision of a set of answers, 0 to 1, with its 95 % interval and what chance would give."""

    value: float
    interval: tuple[float, float] | None
    chance: float
    n_classes: int


def mean_ap(
    answers: Sequence[str],
    truth: Sequence[Sequence[str]],
    names: Names,
    similarity: Similarity,
    bootstrap: Bootstrap,
    rows: IntArray,
    whole: bool = False,
) -> MeanAP:
    """Return the macro mAP of answers over the classes that occur in the truth.

    An answer's score for a class is the highest cosine of its parts: what "; " separates, and the class names found in
    it. With `whole` it is the cosine of the answer as one text, as SpatialSoundQA's paper has it.

    Args:
        answers: raw answers. truth: the labels of each question, lower case.
        names: the names of classes that may occur. similarity: what compares texts.
        bootstrap: the replicates. rows: int64 (answers,), where each question stands in the bootstrap.
        whole: see above.
    """
    classes = sorted({label for labels in truth for label in labels})
    column = {label: c for c, label in enumerate(classes)}
    sounds: npt.NDArray[np.bool_] = np.zeros((len(truth), len(classes)), dtype=np.bool_)
    for i, labels in enumerate(truth):
        sounds[i, [column[label] for label in labels]] = True
    texts = [[plain(a)] if whole and plain(a) else [] if whole else _texts(a, names) for a in answers]
    scores = _scores(texts, classes, similarity)
    weights = np.concatenate([np.ones((1, len(rows))), bootstrap.counts[:_REPLICATES, bootstrap.clusters[rows]]])
    means = mean_over_classes(average_precisions(scores, sounds, weights))
    value = float(means[0])
    interval = around(value, means[1:]) if bootstrap.n_clusters_of(rows) > 1 else None
    return MeanAP(value, interval, _chance(sounds), len(classes))


def _chance(sounds: npt.NDArray[np.bool_]) -> float:
    """Return the expected mean average precision of a random order of the questions.

    The question at rank k has a class of p among n questions with the chance p/n, and then each of the k - 1 before it
    with (p - 1)/(n - 1).
    """
    n, positives = len(sounds), sounds.sum(axis=0)
    harmonic = (1 / np.arange(1, n + 1)).sum()
    others = (positives - 1) / max(n - 1, 1)
    return float(((harmonic + others * (n - harmonic)) / n).mean())


def _texts(answer: str, names: Names) -> list[str]:
    texts: dict[str, None] = {}
    for part in parts(answer):
        if part in names.all:
            texts[part] = None
        else:
            said = affirmed(plain(part)).strip()
            texts.update(dict.fromkeys([said, *names.within(said)]))
    return [text for text in texts if any(letter.isalnum() for letter in text)]


def _scores(texts: Sequence[Sequence[str]], classes: Sequence[str], similarity: Similarity) -> FloatArray:
    known = {text: i for i, text in enumerate(dict.fromkeys(text for several in texts for text in several))}
    scores = np.full((len(texts), len(classes)), _NOTHING)
    if known:
        cosines = similarity.cosines(list(known), classes)
        for i, several in enumerate(texts):
            if several:
                scores[i] = cosines[[known[text] for text in several]].max(axis=0)
    return scores
