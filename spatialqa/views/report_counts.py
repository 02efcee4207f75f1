"""Counts of bounded size: histograms with fixed edges, and counters that stop growing."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from spatialqa.core.geometry import FloatArray

_MOST_DISTINCT = 5000


class Histogram:
    """Counts of numbers between fixed edges; what lies beyond them counts in the first or the last bin.

    edges: ascending, one more than there are bins. unit: as a reader sees it. circular: the ends of the range are one
    value, as with azimuths, so that there is no mean.
    """

    def __init__(self, title: str, unit: str, edges: Iterable[float], circular: bool = False) -> None:
        self.title, self.unit, self._circular = title, unit, circular
        self.edges: FloatArray = np.asarray(list(edges), dtype=np.float64)
        self.counts = np.zeros(len(self.edges) - 1, dtype=np.int64)
        self.unknown = 0
        self._sum, self._least, self._most = 0.0, np.inf, -np.inf

    def add(self, values: FloatArray) -> None:
        """Count values; those that are not finite are unknown."""
        known = values[np.isfinite(values)]
        self.unknown += len(values) - len(known)
        if len(known):
            inside = np.clip(known, self.edges[0], self.edges[-1])
            self.counts += np.histogram(inside, self.edges)[0]
            self._sum += float(known.sum())
            self._least, self._most = min(self._least, float(known.min())), max(self._most, float(known.max()))

    def as_json(self) -> dict[str, Any]:
        """Return title, unit, edges, counts, unknown; mean, least and most, which are None where nothing is known."""
        known = int(self.counts.sum())
        return {
            "title": self.title,
            "unit": self.unit,
            "edges": [round(edge, 6) for edge in self.edges.tolist()],
            "counts": self.counts.tolist(),
            "unknown": self.unknown,
            "known": known,
            "mean": self._sum / known if known and not self._circular else None,
            "least": self._least if known else None,
            "most": self._most if known else None,
        }


class Tally:
    """Counts of names. Once there are 5000 different ones, further names are counted together."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.others = 0

    def add(self, name: str, count: int = 1) -> None:
        """Count a name."""
        if name in self._counts or len(self._counts) < _MOST_DISTINCT:
            self._counts[name] += count
        else:
            self.others += count

    @property
    def total(self) -> int:
        """Of all names."""
        return sum(self._counts.values()) + self.others

    @property
    def distinct(self) -> int:
        """How many names there are, up to 5000."""
        return len(self._counts)

    def most_common(self, count: int | None = None) -> list[tuple[str, int]]:
        """Return names and counts, the commonest first, and alike ones by name."""
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:count]


class Sphere:
    """Counts of directions, in cells of 15 by 15 degrees."""

    def __init__(self) -> None:
        self.azimuths, self.elevations = np.arange(-180.0, 181.0, 15.0), np.arange(-90.0, 91.0, 15.0)
        self.counts = np.zeros((len(self.azimuths) - 1, len(self.elevations) - 1), dtype=np.int64)

    def add(self, azimuth_deg: FloatArray, elevation_deg: FloatArray) -> None:
        """Count directions."""
        known = np.isfinite(azimuth_deg) & np.isfinite(elevation_deg)
        found = np.histogram2d(azimuth_deg[known], elevation_deg[known], [self.azimuths, self.elevations])[0]
        self.counts += found.astype(np.int64)

    def as_json(self) -> dict[str, Any]:
        """Return the edges in degrees, azimuth positive to the left, and counts[azimuth][elevation]."""
        return {
            "azimuth_edges_deg": self.azimuths.tolist(),
            "elevation_edges_deg": self.elevations.tolist(),
            "counts": self.counts.tolist(),
        }
