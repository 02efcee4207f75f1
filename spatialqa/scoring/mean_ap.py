"""Average precision, macro-averaged over classes (BAT, arXiv 2402.01591)."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def average_precisions(scores: FloatArray, truth: BoolArray, weights: FloatArray) -> FloatArray:
    """Return the average precision of every class under every weighting, float64 (weightings, classes).

    Questions of equal score are retrieved together, so that their order in the file plays no part.

    Args:
        scores: (questions, classes), how well each answer fits each class.
        truth: (questions, classes), whether the class sounds; each class in one question or more.
        weights: (weightings, questions), how often each question counts. A class that a weighting leaves without
            a question is NaN there.
    """
    result = np.full((len(weights), scores.shape[1]), np.nan)
    for c in range(scores.shape[1]):
        order = np.argsort(-scores[:, c], kind="stable")
        ranked = scores[order, c]
        positives = np.flatnonzero(truth[order, c])
        # the last question of the same score as each positive: the point at which it has been retrieved
        ends = np.searchsorted(-ranked, -ranked[positives], side="right") - 1
        last = int(ends[-1]) + 1
        drawn = weights[:, order[:last]]
        retrieved = np.cumsum(drawn, axis=1)[:, ends]
        weight = drawn[:, positives]
        hits = np.cumsum(weight, axis=1)[:, np.searchsorted(ends, ends, side="right") - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(retrieved > 0, hits / retrieved, 0.0)
            result[:, c] = (weight * precision).sum(axis=1) / weight.sum(axis=1)
    return result


def mean_over_classes(precisions: FloatArray) -> FloatArray:
    """Return the mean over the classes that exist in each weighting, float64 (weightings,)."""
    there = np.isfinite(precisions)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.where(there, precisions, 0.0).sum(axis=1) / there.sum(axis=1)
    return mean
