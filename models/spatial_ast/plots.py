"""Plot of an evaluation of Spatial-AST: confusion of octants, and errors against distance and DRR, as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spatialqa.core.svg import BLUE, ORANGE, RULE, document, dot, text
from spatialqa.models.spatial_ast.metrics import LOWER_IS_BETTER, OCTANTS
from spatialqa.models.training.plots import Frame


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
    yield text(left, top - 118, "octants: rows are references, columns are predictions", anchor="middle")
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
