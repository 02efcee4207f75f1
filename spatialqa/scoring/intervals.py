"""Confidence intervals for questions that are not independent: a bootstrap over houses or scenes.

Questions about one scene share its sound, and scenes of one house share its rooms, so their errors go together; an
interval that took every question for an independent trial would be too narrow. Whole clusters are drawn with
replacement (Field & Welsh 2007); an interval is the middle 95 % of what is then measured, or its spread.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spatialqa.core import seeds

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REPLICATES = 1000
FEWEST_HOUSES = 10
_MOST_CLUSTERS = 10_000
_Z95 = 1.959964


class Bootstrap:
    """How often each cluster is drawn in each replicate.

    clusters: int64 (questions,), the cluster of each question, 0 to n_clusters - 1.
    counts: float64 (REPLICATES, n_clusters). More than 10,000 clusters are merged, some with others, which changes no
    expectation and bounds the memory.
    """

    def __init__(self, cluster_names: Sequence[str], seed: int) -> None:
        names = {name: i for i, name in enumerate(dict.fromkeys(cluster_names))}
        clusters = np.array([names[name] for name in cluster_names], dtype=np.int64)
        self.clusters: IntArray = clusters % _MOST_CLUSTERS
        self.n_clusters = min(len(names), _MOST_CLUSTERS)
        rng = seeds.rng(seed, "score", "bootstrap")
        self.counts: FloatArray = np.array(
            [
                np.bincount(rng.integers(self.n_clusters, size=self.n_clusters), minlength=self.n_clusters)
                for _ in range(REPLICATES)
            ],
            dtype=np.float64,
        )

    def ratio(self, rows: IntArray, above: FloatArray, below: FloatArray) -> FloatArray:
        """Return sum(above) / sum(below) in every replicate, float64 (REPLICATES,), NaN where nothing is below.

        rows: the questions to which the values of `above` and `below` belong.
        """
        sums = [
            np.bincount(self.clusters[rows], weights=values, minlength=self.n_clusters) for values in (above, below)
        ]
        drawn = self.counts @ np.stack(sums, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: FloatArray = drawn[:, 0] / drawn[:, 1]
        return np.where(np.isfinite(ratio), ratio, np.nan)

    def n_clusters_of(self, rows: IntArray) -> int:
        """Return how many clusters these questions come from."""
        return len(np.unique(self.clusters[rows]))


def percentiles(replicates: FloatArray) -> tuple[float, float] | None:
    """Return the middle 95 % of the replicates, or None where fewer than half of them exist."""
    there = replicates[np.isfinite(replicates)]
    if len(there) < len(replicates) / 2:
        return None
    low, high = np.percentile(there, (2.5, 97.5))
    return float(low), float(high)


def around(value: float, replicates: FloatArray) -> tuple[float, float] | None:
    """Return the 95 % interval of a share from the spread of its replicates alone.

    For metrics whose replicates lie to one side: average precision grows when a question is drawn twice.
    """
    there = replicates[np.isfinite(replicates)]
    if len(there) < len(replicates) / 2:
        return None
    half = _Z95 * float(there.std(ddof=1))
    return max(0.0, value - half), min(1.0, value + half)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n independent trials (Wilson 1927)."""
    z2 = _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return 0.0 if share == 0 else middle - half, 1.0 if share == 1 else middle + half
