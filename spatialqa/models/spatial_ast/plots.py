"""Plot of an evaluation of Spatial-AST: confusion of octants, and errors against distance and DRR, as SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spatialqa.core.charts import BLUE, GREY, INK, ORANGE, RULE, axes_at, chart, heading, svg
from spatialqa.models.spatial_ast.metrics import FEWEST_SOUNDS, LOWER_IS_BETTER, OCTANTS


def evaluation(
    title: str,
    octants: Sequence[Sequence[int]],
    by_distance: Sequence[Mapping[str, Any]],
    by_drr: Sequence[Mapping[str, Any]],
) -> str:
    """Return the confusion of octants, and angle, distance error and front/behind against distance and against DRR.

    Of fewer than FEWEST_SOUNDS sounds, counts stand in the place of percentages.
    """
    with chart(1450, 640) as figure:
        heading(figure, title)
        _confusion(figure, octants)
        for k, (rows, axis, unit) in enumerate(((by_distance, "distance", "m"), (by_drr, "DRR", "dB"))):
            for j, (name, words, scale) in enumerate(
                (
                    ("mae_deg", "mean angle, degrees", 1.0),
                    ("der", "DER over 0.5 m, %", 100.0),
                    ("front_behind", "front or behind, %", 100.0),
                )
            ):
                axes = axes_at(figure, 610 + 440 * k, 80 + 190 * j, 380, 110)
                axes.set_title(f"{words}, by {axis} in {unit}", pad=9)
                _bins(axes, rows, name, scale)
        return svg(figure)


def _confusion(figure: Any, octants: Sequence[Sequence[int]]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.array(octants)
    totals = np.maximum(counts.sum(axis=1), 1)
    shares = counts / totals[:, None]
    heading(figure, "octants: rows are references, columns are predictions; % of a row", baseline=50, size=12)
    side = 42 * len(counts)
    axes = axes_at(figure, 170, 170, side, side)
    colours = LinearSegmentedColormap.from_list("shares", ["white", BLUE])
    axes.pcolormesh(shares, cmap=colours, vmin=0.0, vmax=1.0, edgecolors=RULE, linewidth=1)
    axes.set_ylim(len(counts), 0)
    axes.xaxis.tick_top()
    at = np.arange(len(counts)) + 0.5
    axes.set_xticks(at, OCTANTS, rotation=50, ha="left", rotation_mode="anchor")
    axes.set_yticks(at, [f"{name}, n {row.sum()}" for name, row in zip(OCTANTS, counts, strict=True)])
    axes.grid(visible=False)
    for i, j in np.argwhere(counts).tolist():
        many = totals[i] >= FEWEST_SOUNDS
        shown = f"{100 * shares[i, j]:.0f}" if many else f"{counts[i, j]} of {totals[i]}"
        colour = "white" if shares[i, j] > 0.6 else INK
        axes.text(j + 0.5, i + 0.5, shown, ha="center", va="center_baseline", fontsize=10, color=colour)


def _bins(axes: Any, rows: Sequence[Mapping[str, Any]], name: str, scale: float) -> None:
    there = [(k, scale * float(row[name]), int(row["n"])) for k, row in enumerate(rows) if row[name] is not None]
    high = 100.0 if scale == 100.0 or max([value for _, value, _ in there] + [0.0]) < 80.0 else 180.0
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_ylim(0.0, high)
    axes.set_xticks(range(len(rows)), [f"{_range(row)}\nn {row['n']}" for row in rows], fontsize=9)
    axes.set_yticks([0.0, high / 2, high])
    axes.grid(visible=False, axis="x")
    for k, value, n in there:
        few = n < FEWEST_SOUNDS
        colour = GREY if few else ORANGE if name in LOWER_IS_BETTER else BLUE
        shown = f"{value / scale * n:.0f} of {n}" if few and scale == 100.0 else f"{value:.0f}"
        axes.scatter(k, value, s=64, color=colour, linewidths=0, zorder=3, clip_on=False)
        below = value > 0.83 * high  # above, there is the title
        place: dict[str, Any] = {"xytext": (0, -7 if below else 7), "va": "top" if below else "bottom"}
        axes.annotate(shown, (k, value), textcoords="offset points", ha="center", fontsize=10, **place)


def _range(row: Mapping[str, Any]) -> str:
    low, high = row["low"], row["high"]
    if low is None:
        return f"below {high:g}"
    return f"over {low:g}" if high is None else f"{low:g} to {high:g}"
