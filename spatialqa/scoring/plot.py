"""Draws a score report as an SVG: one dot per metric with its interval, beside chance."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spatialqa.core.charts import BLUE, GREY, INK, ORANGE, axes_at, chart, heading, key, svg, write_svg
from spatialqa.scoring.results import METRICS, Metric, ScoreReport
from spatialqa.scoring.tables import figures, shown

_ROW, _LEFT, _WIDTH, _RIGHT, _TOP, _BOTTOM = 20, 330, 420, 160, 62, 44  # pixels
_DOT = 50.0  # its area


class _Row(NamedTuple):
    title: str
    metric: Metric | None  # None: a heading
    lower_is_better: bool = False


def write_plot(report: ScoreReport, path: Path) -> None:
    """Write the shares of a report (accuracies, mAP, DER) as an SVG picture.

    Raises:
        RecipeError: the name does not end in .svg.
        DatasetError: the file cannot be written.
    """
    write_svg(path, picture(report))


def picture(report: ScoreReport) -> str:
    """Return the picture: percent on the x axis; blue dots are better to the right, orange ones (DER) to the left."""
    rows = list(_rows(report))
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _ROW * len(rows) + _BOTTOM
    with chart(width, height) as figure:
        title = f"{Path(report.predictions).name} on {report.table}, {', '.join(report.splits)}"
        heading(figure, title)
        answered = (
            f"{report.answered} of {report.questions} questions answered; bars: 95 % over {report.n_clusters} "
            f"{report.clusters}s; grey: chance"
        )
        heading(figure, answered, baseline=44, size=12)
        axes = axes_at(figure, _LEFT, _TOP, _WIDTH, _ROW * len(rows))
        axes.set_xlim(0, 100)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xticks(range(0, 101, 25), [f"{percent} %" for percent in range(0, 101, 25)])
        axes.grid(visible=False, axis="y")
        for spine in axes.spines.values():
            spine.set_visible(False)
        _draw(axes, rows)
        key(figure, _LEFT, height - 10, BLUE, "higher is better")
        key(figure, _LEFT + 130, height - 10, ORANGE, "lower is better")
        return svg(figure)


def _rows(report: ScoreReport) -> Iterator[_Row]:
    for score in report.subtypes:
        form = " (multiple choice)" if score.form == "mcq" else ""
        yield _Row(f"{score.type}  {score.subtype}{form}", None)
        for name, metric in shown(score):
            if METRICS[name].unit == "%" and metric.value is not None:
                yield _Row(METRICS[name].title, metric, METRICS[name].lower_is_better)
    if report.paper:
        yield _Row("as in SpatialSoundQA's table", None)
        for title, metric in report.paper.items():
            yield _Row(title, metric, title.endswith("DER"))


def _draw(axes: Any, rows: Sequence[_Row]) -> None:
    """Draw the rows, one below the other at y = 0, 1, ...; x is per cent."""
    at_height = axes.get_yaxis_transform()
    labels = {y: row.title for y, row in enumerate(rows) if row.metric is not None}
    axes.set_yticks(list(labels), list(labels.values()))
    axes.tick_params(axis="y", pad=14, labelcolor=INK, labelsize=12)
    for y, row in enumerate(rows):
        metric, colour = row.metric, ORANGE if row.lower_is_better else BLUE
        if metric is None:
            place = (16 - _LEFT) / _WIDTH, y
            axes.text(*place, row.title, weight="bold", fontsize=12, va="center_baseline", transform=at_height)
            continue
        if metric.chance is not None:
            axes.vlines(100 * metric.chance, y - 0.35, y + 0.35, color=GREY, linewidth=2)
        if metric.low is not None and metric.high is not None:
            axes.hlines(y, 100 * metric.low, 100 * metric.high, color=colour, linewidth=2)
        if metric.value is not None:
            value, interval, _ = figures(metric, "%")
            axes.scatter(100 * metric.value, y, s=_DOT, color=colour, linewidths=0, clip_on=False, zorder=3)
            said = f"{value}  ({interval})" if interval != "-" else value
            axes.text(1 + 14 / _WIDTH, y, said, fontsize=12, va="center_baseline", transform=at_height)
