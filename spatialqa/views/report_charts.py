"""Charts of a report: histograms of one or two data sets, and the sphere of directions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialqa.core.charts import BLUE, ORANGE, RULE, SOFT, axes_at, chart, inline_svg, tooltip
from spatialqa.views.templating import minus

_WIDTH, _HEIGHT = 360.0, 172.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 22.0, 10.0, 26.0  # margins, pixels
_SPHERE_WIDTH = _WIDTH - _LEFT - _RIGHT
_MOST_TICKS = 6
_COLOURS = (BLUE, ORANGE)  # of the first data set and the second
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Chart:
    """A chart for a page. svg: the picture. facts: one text for each data set."""

    title: str
    svg: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A cell of the sphere.

    azimuths_deg, elevations_deg: its edges. density: 0 to 1, the densest is 1. words: what it holds.
    """

    azimuths_deg: tuple[float, float]
    elevations_deg: tuple[float, float]
    density: float
    words: str


def histogram(name: str, sets: Sequence[Figures]) -> Chart:
    """Return the chart of a histogram of one or two data sets, without the empty bins at its ends."""
    held = [figures["histograms"][name] for figures in sets]
    edges = held[0]["edges"]
    counts = np.array([one["counts"] for one in held], dtype=np.float64)
    used = np.flatnonzero(counts.sum(axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, len(edges) - 1)
    shares = 100.0 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    title, facts = f"{held[0]['title']} ({held[0]['unit']})", tuple(_facts(one) for one in held)
    drawn = _histogram(name, f"{title}: {'; '.join(facts)}", edges[first : last + 1], shares[:, first:last])
    return Chart(title, drawn, facts)


def _histogram(name: str, label: str, edges: Sequence[float], shares: Any) -> str:
    top = _nice(float(shares.max()) if shares.size else 0.0)
    with chart(_WIDTH, _HEIGHT, name) as figure:
        axes = axes_at(figure, _LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
        for own, colour, fill, dashes in zip(shares, _COLOURS, (0.22, 0.0), ("-", (0, (4, 2))), strict=False):
            if not own.any():  # nothing is known: no line, or it would say zero
                continue
            if fill:
                axes.stairs(own, edges, color=colour, fill=True, alpha=fill)
            axes.stairs(own, edges, color=colour, linewidth=1.6, linestyle=dashes)
        step = max(1, -(-(len(edges) - 1) // _MOST_TICKS))
        axes.set_xticks(edges[::step], [minus(f"{value:g}") for value in edges[::step]])
        axes.set_yticks([0.0, top / 2, top], [f"{share:g} %" for share in (0.0, top / 2, top)])
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0.0, top)
        axes.grid(visible=False, axis="x")
        axes.spines["left"].set_visible(False)
        return inline_svg(figure, label)


def _facts(one: Mapping[str, Any]) -> str:
    if not one["known"]:
        return "not known"
    unit = one["unit"]
    space = "" if unit == "°" else " "
    mean = "" if one["mean"] is None else f"mean {one['mean']:.2f}{space}{unit}, "
    said = minus(f"{mean}{one['least']:.2f} to {one['most']:.2f}{space}{unit}")
    return said + (f"; unknown for {one['unknown']:,}" if one["unknown"] else "")


def _nice(share: float) -> float:
    """Return a round share, in per cent, that is not below this one."""
    return next((top for top in (2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0) if share <= top), 100.0)


def sphere_chart(name: str, figures: Figures, which: int) -> str:
    """Return the map of directions: front in the middle, left of the listener to the left.

    Args:
        name: of the data set.
        figures: its figures.
        which: 0 for the first data set of a page, 1 for the second.
    """
    from matplotlib.patches import Rectangle

    with chart(_WIDTH, _SPHERE_WIDTH / 2 + _TOP + _BOTTOM, f"sphere {which}") as figure:
        axes = axes_at(figure, _LEFT, _TOP, _SPHERE_WIDTH, _SPHERE_WIDTH / 2)  # a degree is as wide as high
        for cell in sphere(figures):
            (right, left), (low, high) = cell.azimuths_deg, cell.elevations_deg
            drawn = Rectangle(
                (-left, low), left - right, high - low, facecolor=_COLOURS[which], alpha=cell.density, linewidth=0
            )
            tooltip(drawn, cell.words)
            axes.add_patch(drawn)
        axes.set_xticks([-180, -90, 0, 90, 180], ["behind", "left", "front", "right", "behind"])
        axes.set_yticks([-90, 0, 90], ["\N{MINUS SIGN}90°", "0°", "90°"])
        axes.set_xlim(-180, 180)
        axes.set_ylim(-90, 90)
        axes.grid(color=SOFT, alpha=0.35)
        axes.set_axisbelow(False)
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(RULE)
        return inline_svg(figure, f"Map of directions of {name}")


def sphere(figures: Figures) -> list[Cell]:
    """Return the cells of the map of directions that hold something; density is by solid angle."""
    held = figures["sphere"]
    azimuths, elevations = held["azimuth_edges_deg"], held["elevation_edges_deg"]
    counts = np.array(held["counts"], dtype=np.float64)
    area = np.diff(np.sin(np.radians(elevations)))[None, :] * np.diff(azimuths)[:, None]
    density = counts / area
    density /= max(float(density.max()), 1e-12)
    cells = []
    for k, n in np.argwhere(counts).tolist():
        (right, left), (low, high) = azimuths[k : k + 2], elevations[n : n + 2]
        words = f"azimuth {right:g} to {left:g}°, elevation {low:g} to {high:g}°: {int(counts[k, n]):,}"
        cells.append(Cell((right, left), (low, high), round(float(density[k, n]), 3), minus(words)))
    return cells
