"""Pictures of training and of evaluation, as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spatialqa.core.svg import BLUE, GREY, ORANGE, RULE, document, dot, line, text
from spatialqa.models.spatial_ast.metrics import LOWER_IS_BETTER, OCTANTS

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


def losses(steps: Sequence[Mapping[str, Any]], passes: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the losses of a run against its steps, a plot each.

    Args:
        steps: the rows of log.csv; means of neighbours are drawn, and a line where a stage ends.
        passes: the rows of validation.csv.
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
        held = [(float(row["step"]), float(row[name])) for row in passes if row.get(name) not in (None, "")]
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


def evaluation(
    title: str,
    octants: Sequence[Sequence[int]],
    by_distance: Sequence[Mapping[str, Any]],
    by_drr: Sequence[Mapping[str, Any]],
) -> str:
    """Return the confusion of octants, and angle, distance error and front/behind against distance and against DRR."""
    parts = [text(16, 24, title, size=15), *_confusion(octants, 170, 170)]
    for k, (rows, axis, unit) in enumerate(((by_distance, "distance", "m"), (by_drr, "DRR", "dB"))):
        for j, (name, words, scale) in enumerate(
            (
                ("mae_deg", "mean angle, degrees", 1.0),
                ("der", "DER, %", 100.0),
                ("front_behind", "front or behind, %", 100.0),
            )
        ):
            parts += _bins(rows, name, f"{words}, by {axis}", unit, scale, 600 + 340 * k, 70 + 170 * j)
    return document(1280, 600, parts)


def _confusion(octants: Sequence[Sequence[int]], left: float, top: float) -> Iterator[str]:
    size = 42
    yield text(left, top - 118, "octants: rows where sounds are, columns where they were put", anchor="middle")
    for i, row in enumerate(octants):
        total = sum(row) or 1
        yield text(left - 8, top + size * i + size / 2 + 4, f"{OCTANTS[i]} ({sum(row)})", anchor="end", size=10)
        x = left + size * i + size / 2
        yield (
            f'<text x="{x:.1f}" y="{top - 8:.1f}" font-size="10" transform="rotate(-50 {x:.1f} {top - 8:.1f})">'
            f"{OCTANTS[i]}</text>"
        )
        for j, count in enumerate(row):
            share = count / total
            at = f'x="{left + size * j:.1f}" y="{top + size * i:.1f}" width="{size}" height="{size}"'
            yield f'<rect {at} fill="{BLUE}" fill-opacity="{share:.3f}" stroke="{RULE}"/>'
            if count:
                yield text(
                    left + size * j + size / 2, top + size * i + size / 2 + 4, f"{100 * share:.0f}", "middle", 10
                )


def _bins(
    rows: Sequence[Mapping[str, Any]], name: str, title: str, unit: str, scale: float, left: float, top: float
) -> Iterator[str]:
    there = [(k, scale * float(row[name])) for k, row in enumerate(rows) if row[name] is not None]
    high = 100.0 if scale == 100.0 or max([value for _, value in there] + [0.0]) < 80.0 else 180.0
    frame = Frame(left, top, 280, 100, (-0.5, len(rows) - 0.5), (0.0, high))
    yield from frame.drawn(title)
    for k, value in there:
        colour = ORANGE if name in LOWER_IS_BETTER else BLUE
        yield dot(frame.x(k), frame.y(value), colour)
        yield text(frame.x(k), frame.y(value) - 7, f"{value:.0f}", "middle", 10)
    for k, row in enumerate(rows):
        yield text(frame.x(k), top + 116, _range(row, unit), "middle", 9)
        yield text(frame.x(k), top + 128, f"n {row['n']}", "middle", 9)


def _range(row: Mapping[str, Any], unit: str) -> str:
    low, high = row["low"], row["high"]
    if low is None:
        return f"< {high:g} {unit}"
    return f"> {low:g} {unit}" if high is None else f"{low:g} to {high:g} {unit}"
