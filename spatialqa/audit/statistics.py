"""The statistics of the audit: clustered one-sided tests, Holm's correction, Wilson intervals.

Questions about one house share its rooms, its listeners and often whole scenes, so they are not independent draws.
Every variance here is therefore that of sums over houses (Liang & Zeger 1986, with the small-sample factor
H / (H - 1)).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# How guessing by the other folds' noise multiplies the variance of a sum over five folds: 1.96 in simulation,
# for one context as for thirty. Not counted, p values of 0.001 come up to 13 times as often as they should.
CROSS_VALIDATION = 2.0


def clustered_variance(values: Floats, clusters: Ints) -> float:
    """Return the variance of the mean of `values` (n,) when only different clusters (n,) are independent.

    One cluster tells nothing of it, and the answer is infinite.
    """
    codes = np.unique(clusters, return_inverse=True)[1]
    number = int(codes.max()) + 1
    if number < 2:
        return float("inf")
    sums = np.bincount(codes, weights=values - values.mean(), minlength=number)
    return float(number / (number - 1) * np.sum(sums**2) / len(values) ** 2)


def gain_p_value(gains: Floats, clusters: Ints) -> float:
    """Return the one-sided p value of a mean gain (n,) above zero: Student's t with (clusters - 1) degrees of freedom.

    The variance is never taken below that of independent gains around zero, so that neither a baseline that is always
    right nor a handful of houses that agree by chance makes the test sure of too much. It is doubled because the folds
    of a cross-validation teach one another: see CROSS_VALIDATION.
    """
    mean = float(np.mean(gains))
    number = len(np.unique(clusters))
    if mean <= 0 or number < 2:
        return 1.0
    independent = float(np.sum(gains**2)) / len(gains) ** 2
    error = np.sqrt(CROSS_VALIDATION * max(clustered_variance(gains, clusters), independent))
    return float(stats.t.sf(mean / error, number - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979), in the order given."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(np.asarray(p_values), kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def wilson(share: float, size: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval (1927) of a share seen in `size` independent trials; `size` need not be whole."""
    if size <= 0:
        return 0.0, 1.0
    z = float(stats.norm.isf((1 - confidence) / 2))
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def share_interval(hits: Floats, clusters: Ints, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of the mean of `hits` (n,) of 0 and 1, at the effective number of questions.

    That number is n over the design effect, the clustered variance over the binomial one, where that is above 1.
    """
    share = float(np.mean(hits))
    binomial = share * (1 - share) / len(hits)
    effect = clustered_variance(hits, clusters) / binomial if binomial > 0 else 1.0
    return wilson(share, len(hits) / max(1.0, effect) if np.isfinite(effect) else 1.0, confidence)
