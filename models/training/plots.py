"""Plot of a training run: losses against steps, as SVG; Frame maps values to pixels for this and other plots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spatialqa.core.svg import BLUE, GREY, ORANGE, RULE, document, dot, line, text

_MOST_POINTS = 200


@dataclass(frozen=True)
class Frame:
    """A plot's rectangle in the picture and the ranges of its axes."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Return where a value lies on the horizontal axis, pixels."""
        low, high = self.x_range
        return self.left + self.width * (value - low) / ((high - low) or 1.0)

    def y(self, value: float) -> float:
        """Return where a value lies on the vertical axis, pixels."""
        low, high = self.y_range
        return self.top + self.height * (1.0 - (value - low) / ((high - low) or 1.0))

    def drawn(self, title: str) -> Iterator[str]:
        """Yield the title, the two ends and the middle of the vertical axis, and both axes."""
        yield text(self.left, self.top - 8, title, weight="bold")
        low, high = self.y_range
        for value in (low, (low + high) / 2, high):
            yield line(self.left, self.y(value), self.left + self.width, self.y(value), RULE)
            yield text(self.left - 6, self.y(value) + 4, f"{value:.3g}", anchor="end", size=10)
        yield line(self.left, self.top, self.left, self.top + self.height, GREY)


def losses(steps: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the losses of a run against its steps, a plot each.

    Args:
        steps: the rows of log.csv; means of neighbours are drawn, and a line where a stage ends.
        epochs: the rows of validation.csv.
        columns: which losses.
    """
    width, height, across = 300, 150, 3
    parts = [
        text(16, 24, "losses by step", size=15),
        dot(150, 19, BLUE) + text(160, 24, "training"),
        dot(230, 19, ORANGE) + text(240, 24, "validation"),
    ]
    last = max(1.0, float(steps[-1]["step"])) if steps else 1.0
    borders = [float(a["step"]) for a, b in pairwise(steps) if a["stage"] != b["stage"]]
    for k, name in enumerate(columns):
        left, top = 60 + (width + 60) * (k % across), 66 + (height + 66) * (k // across)
        train = _thinned([(float(row["step"]), float(row[name])) for row in steps])
        held = [(float(row["step"]), float(row[name])) for row in epochs if row.get(name) not in (None, "")]
        values = [y for _, y in train + held] or [0.0]
        frame = Frame(left, top, width, height, (0.0, last), (min(values), max(values)))
        parts += frame.drawn(name)
        parts.append(text(left + width, top + height + 16, f"{last:.0f} steps", anchor="end", size=10))
        parts += [line(frame.x(border), top, frame.x(border), top + height, GREY) for border in borders]
        parts.append(_path(frame, train, BLUE))
        parts += [dot(frame.x(x), frame.y(y), ORANGE, 2.5) for x, y in held]
    return document(60 + (width + 60) * across, 66 + (height + 66) * -(-len(columns) // across), parts)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return means of neighbours, so that there are few points."""
    if len(points) <= _MOST_POINTS:
        return points
    return [(float(x), float(y)) for x, y in (np.mean(part, axis=0) for part in np.array_split(points, _MOST_POINTS))]


def _path(frame: Frame, points: Sequence[tuple[float, float]], colour: str) -> str:
    at = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
    return f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
