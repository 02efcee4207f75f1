"""Plot of an evaluation of Spatial-AST: confusion of octants, and errors against distance and DRR, as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spatialqa.core.svg import BLUE, GREY, INK, ORANGE, RULE, document, dot, text
from spatialqa.models.spatial_ast.metrics import FEWEST_SOUNDS, LOWER_IS_BETTER, OCTANTS
from spatialqa.models.training.plots import Frame


def evaluation(
    title: str,
    octants: Sequence[Sequence[int]],
    by_distance: Sequence[Mapping[str, Any]],
    by_drr: Sequence[Mapping[str, Any]],
) -> str:
    """Return the confusion of octants, and angle, distance error and front/behind against distance and against DRR.

    Of fewer than FEWEST_SOUNDS sounds, counts stand in the place of percentages.
    """
    parts = [text(16, 24, title, size=15), *_confusion(octants, 170, 170)]
    for k, (rows, axis, unit) in enumerate(((by_distance, "distance", "m"), (by_drr, "DRR", "dB"))):
        for j, (name, words, scale) in enumerate(
            (
                ("mae_deg", "mean angle, degrees", 1.0),
                ("der", "DER over 0.5 m, %", 100.0),
                ("front_behind", "front or behind, %", 100.0),
            )
        ):
            parts += _bins(rows, name, f"{words}, by {axis} in {unit}", scale, 610 + 440 * k, 80 + 190 * j)
    return document(1450, 640, parts)


def _confusion(octants: Sequence[Sequence[int]], left: float, top: float) -> Iterator[str]:
    size = 42
    yield text(16, 50, "octants: rows are references, columns are predictions; % of a row")
    for i, row in enumerate(octants):
        total = sum(row) or 1
        yield text(left - 8, top + size * i + size / 2 + 4, f"{OCTANTS[i]}, n {sum(row)}", anchor="end", size=10)
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
                shown = f"{100 * share:.0f}" if total >= FEWEST_SOUNDS else f"{count} of {total}"
                at_middle = left + size * j + size / 2, top + size * i + size / 2 + 4
                colour = "white" if share > 0.75 else INK
                yield f'<g fill="{colour}">{text(*at_middle, shown, "middle", 10)}</g>'


def _bins(
    rows: Sequence[Mapping[str, Any]], name: str, title: str, scale: float, left: float, top: float
) -> Iterator[str]:
    there = [(k, scale * float(row[name]), int(row["n"])) for k, row in enumerate(rows) if row[name] is not None]
    high = 100.0 if scale == 100.0 or max([value for _, value, _ in there] + [0.0]) < 80.0 else 180.0
    frame = Frame(left, top, 380, 110, (-0.5, len(rows) - 0.5), (0.0, high))
    yield from frame.drawn(title)
    for k, value, n in there:
        few = n < FEWEST_SOUNDS
        colour = GREY if few else ORANGE if name in LOWER_IS_BETTER else BLUE
        y = frame.y(value)
        shown = f"{value / scale * n:.0f} of {n}" if few and scale == 100.0 else f"{value:.0f}"
        yield dot(frame.x(k), y, colour)
        yield text(frame.x(k), y - 7 if y - 18 > top else y + 15, shown, "middle", 10)
    for k, row in enumerate(rows):
        yield text(frame.x(k), top + 128, _range(row), "middle", 9)
        yield text(frame.x(k), top + 141, f"n {row['n']}", "middle", 9)


def _range(row: Mapping[str, Any]) -> str:
    low, high = row["low"], row["high"]
    if low is None:
        return f"below {high:g}"
    return f"over {low:g}" if high is None else f"{low:g} to {high:g}"
