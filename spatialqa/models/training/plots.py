"""Plot of a training run: losses against steps, as SVG."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from spatialqa.core.charts import BLUE, GREY, ORANGE, axes_at, chart, heading, key, svg

_MOST_POINTS = 200
_WIDTH, _HEIGHT, _GAP, _ACROSS = 300, 150, 66, 3  # of each plot and between them, pixels; plots in a row


def losses(steps: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the losses of a run against its steps, a plot each.

    Args:
        steps: the rows of log.csv; means of neighbours are drawn, and a line where a stage ends.
        epochs: the rows of validation.csv.
        columns: which losses.
    """
    last = max(1.0, float(steps[-1]["step"])) if steps else 1.0
    borders = [float(a["step"]) for a, b in pairwise(steps) if a["stage"] != b["stage"]]
    lines = -(-len(columns) // _ACROSS)
    with chart(_GAP + (_WIDTH + _GAP) * _ACROSS, _GAP + (_HEIGHT + _GAP) * lines) as figure:
        heading(figure, "losses by step")
        key(figure, 150, 19, BLUE, "training")
        key(figure, 240, 19, ORANGE, "validation")
        for k, name in enumerate(columns):
            left, top = _GAP + (_WIDTH + _GAP) * (k % _ACROSS), _GAP + (_HEIGHT + _GAP) * (k // _ACROSS)
            axes = axes_at(figure, left, top, _WIDTH, _HEIGHT)
            axes.set_title(name)
            axes.set_xlim(0.0, last)
            axes.set_xticks([0.0, last], ["0", f"{last:.0f} steps"])
            axes.locator_params(axis="y", nbins=4)
            axes.grid(visible=False, axis="x")
            for border in borders:
                axes.axvline(border, color=GREY, linewidth=1)
            train = _thinned([(float(row["step"]), float(row[name])) for row in steps])
            held = [(float(row["step"]), float(row[name])) for row in epochs if row.get(name) not in (None, "")]
            axes.plot(*_columns(train), color=BLUE, linewidth=1.5)
            axes.scatter(*_columns(held), s=25, color=ORANGE, linewidths=0, zorder=3)
        return svg(figure)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return means of neighbours, so that there are few points."""
    if len(points) <= _MOST_POINTS:
        return points
    return [(float(x), float(y)) for x, y in (np.mean(part, axis=0) for part in np.array_split(points, _MOST_POINTS))]
