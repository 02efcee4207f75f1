"""Draws a score report as an SVG: one dot per metric with its interval, beside chance."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spatialqa.core.svg import BLUE, GREY, ORANGE, RULE, document, dot, line, text, write_svg
from spatialqa.scoring.results import METRICS, Metric, ScoreReport
from spatialqa.scoring.tables import figures, shown

_ROW, _LEFT, _WIDTH, _RIGHT, _TOP, _BOTTOM = 20, 330, 420, 160, 62, 44


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
    write_svg(path, svg(report))


def svg(report: ScoreReport) -> str:
    """Return the picture: percent on the x axis; blue dots are better to the right, orange ones (DER) to the left."""
    rows = list(_rows(report))
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _ROW * len(rows) + _BOTTOM
    parts = [
        text(16, 24, f"{Path(report.predictions).name} on {report.table}, {', '.join(report.splits)}", size=15),
        text(
            16,
            44,
            f"{report.answered} of {report.questions} questions answered; bars: 95 % over {report.n_clusters} "
            f"{report.clusters}s; grey: chance",
        ),
    ]
    bottom = _TOP + _ROW * len(rows)
    for percent in range(0, 101, 25):
        x = _x(percent / 100)
        parts.append(line(x, _TOP, x, bottom, RULE))
        parts.append(text(x, bottom + 18, f"{percent} %", anchor="middle"))
    for i, row in enumerate(rows):
        parts += _drawn(row, _TOP + _ROW * i + _ROW / 2)
    parts.append(dot(_LEFT, bottom + 34, BLUE) + text(_LEFT + 10, bottom + 38, "higher is better"))
    parts.append(dot(_LEFT + 130, bottom + 34, ORANGE) + text(_LEFT + 140, bottom + 38, "lower is better"))
    return document(width, height, parts)


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


def _drawn(row: _Row, y: float) -> Iterator[str]:
    if row.metric is None:
        yield text(16, y + 4, row.title, weight="bold")
        return
    metric, colour = row.metric, ORANGE if row.lower_is_better else BLUE
    yield text(_LEFT - 14, y + 4, row.title, anchor="end")
    if metric.chance is not None:
        x = _x(metric.chance)
        yield line(x, y - 7, x, y + 7, GREY, 2)
    if metric.low is not None and metric.high is not None:
        low, high = _x(metric.low), _x(metric.high)
        yield line(low, y, high, y, colour, 2)
    if metric.value is not None:
        value, interval, _ = figures(metric, "%")
        yield dot(_x(metric.value), y, colour)
        yield text(_LEFT + _WIDTH + 14, y + 4, f"{value}  ({interval})" if interval != "-" else value)


def _x(share: float) -> float:
    return _LEFT + _WIDTH * share
