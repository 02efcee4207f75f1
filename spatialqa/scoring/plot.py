"""Draws a score report as an SVG: one dot a metric with its interval, beside chance."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from spatialqa.errors import DatasetError, RecipeError
from spatialqa.scoring.report import METRICS, Metric, ScoreReport
from spatialqa.scoring.show import figures, shown

_ROW, _LEFT, _WIDTH, _RIGHT, _TOP, _BOTTOM = 20, 330, 420, 160, 62, 44
_BLUE, _ORANGE, _GREY, _INK = "#2563a8", "#c2570c", "#9aa0a6", "#202124"


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
    if path.suffix.lower() != ".svg":
        raise RecipeError(f"{path}: the plot is an SVG; give it a name that ends in .svg")
    try:
        path.write_text(svg(report), encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path}: the plot cannot be written ({error.strerror or error})") from None


def svg(report: ScoreReport) -> str:
    """Return the picture: percent on the x axis; blue dots are better to the right, orange ones (DER) to the left."""
    rows = list(_rows(report))
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _ROW * len(rows) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{_INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(16, 24, f"{Path(report.predictions).name} on {report.table}, {', '.join(report.splits)}", size=15),
        _text(
            16,
            44,
            f"{report.answered} of {report.questions} questions answered; bars: 95 % over {report.n_clusters} "
            f"{report.clusters}s; grey: chance",
        ),
    ]
    bottom = _TOP + _ROW * len(rows)
    for percent in range(0, 101, 25):
        x = _x(percent / 100)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e3e5e8"/>')
        parts.append(_text(x, bottom + 18, f"{percent} %", anchor="middle"))
    for i, row in enumerate(rows):
        parts += _drawn(row, _TOP + _ROW * i + _ROW / 2)
    parts.append(_dot(_LEFT, bottom + 34, _BLUE) + _text(_LEFT + 10, bottom + 38, "higher is better"))
    parts.append(_dot(_LEFT + 130, bottom + 34, _ORANGE) + _text(_LEFT + 140, bottom + 38, "lower is better"))
    return "\n".join([*parts, "</svg>"]) + "\n"


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
        yield _text(16, y + 4, row.title, weight="bold")
        return
    metric, colour = row.metric, _ORANGE if row.lower_is_better else _BLUE
    yield _text(_LEFT - 14, y + 4, row.title, anchor="end")
    if metric.chance is not None:
        x = _x(metric.chance)
        yield f'<line x1="{x:.1f}" y1="{y - 7}" x2="{x:.1f}" y2="{y + 7}" stroke="{_GREY}" stroke-width="2"/>'
    if metric.low is not None and metric.high is not None:
        low, high = _x(metric.low), _x(metric.high)
        yield f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    if metric.value is not None:
        value, interval, _ = figures(metric, "%")
        yield _dot(_x(metric.value), y, colour)
        yield _text(_LEFT + _WIDTH + 14, y + 4, f"{value}  ({interval})" if interval != "-" else value)


def _x(share: float) -> float:
    return _LEFT + _WIDTH * share


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
