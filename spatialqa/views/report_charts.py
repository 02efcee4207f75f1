"""Charts of a report as numbers that a template turns into SVG: histograms of one or two data sets, and the sphere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialqa.views.templating import minus

WIDTH, HEIGHT = 360.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 10.0, 10.0, 22.0
_MOST_TICKS = 6
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A histogram: shares in per cent. paths: one outline a data set, the first to be filled. facts: one text each."""

    title: str
    paths: tuple[str, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    facts: tuple[str, ...]
    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True)
class Cell:
    """A cell of the sphere: its place in the drawing, how dense it is (0 to 1), and what it holds."""

    x: float
    y: float
    width: float
    height: float
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
    return _chart(
        f"{held[0]['title']} ({held[0]['unit']})",
        edges[first : last + 1],
        shares[:, first:last],
        tuple(_facts(one) for one in held),
    )


def _chart(title: str, edges: Sequence[float], shares: Any, facts: tuple[str, ...]) -> Chart:
    top = _nice(float(shares.max()) if shares.size else 0.0)
    low, high = edges[0], edges[-1]

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    def y(share: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share / top

    paths = []
    for own in shares.tolist():
        if not any(own):  # nothing is known: no line, or it would say zero
            paths.append("")
            continue
        steps = [f"L{x(a):.1f} {y(s):.1f}H{x(b):.1f}" for a, b, s in zip(edges, edges[1:], own, strict=False)]
        paths.append(f"M{x(low):.1f} {y(0):.1f}{''.join(steps)}L{x(high):.1f} {y(0):.1f}")
    step = max(1, -(-(len(edges) - 1) // _MOST_TICKS))
    x_ticks = tuple(Tick(x(value), minus(f"{value:g}")) for value in edges[::step])
    y_ticks = tuple(Tick(y(share), f"{share:g} %") for share in (0.0, top / 2, top))
    return Chart(title, tuple(paths), x_ticks, y_ticks, facts)


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


def sphere(figures: Figures) -> list[Cell]:
    """Return the cells of the map of directions: front in the middle, left of the listener to the left.

    Density is by solid angle, 1 for the densest cell.
    """
    held = figures["sphere"]
    azimuths, elevations = np.array(held["azimuth_edges_deg"]), np.array(held["elevation_edges_deg"])
    counts = np.array(held["counts"], dtype=np.float64)
    area = np.diff(np.sin(np.radians(elevations)))[None, :] * np.diff(azimuths)[:, None]
    density = counts / area
    density /= max(float(density.max()), 1e-12)
    cells = []
    for k in range(len(azimuths) - 1):
        for n in range(len(elevations) - 1):
            if counts[k, n]:
                cells.append(
                    Cell(
                        180.0 - float(azimuths[k + 1]),
                        90.0 - float(elevations[n + 1]),
                        float(azimuths[k + 1] - azimuths[k]),
                        float(elevations[n + 1] - elevations[n]),
                        round(float(density[k, n]), 3),
                        minus(
                            f"azimuth {azimuths[k]:g} to {azimuths[k + 1]:g}°, elevation {elevations[n]:g} to "
                            f"{elevations[n + 1]:g}°: {int(counts[k, n]):,}"
                        ),
                    )
                )
    return cells
