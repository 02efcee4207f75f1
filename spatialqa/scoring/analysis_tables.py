"""Prints an error analysis as tables."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from spatialqa.core.console import stdout
from spatialqa.scoring.error_analysis import Analysis, Bin, Figure, Overall
from spatialqa.scoring.results import METRICS

_MOST_BINS = 5


def print_analysis(analysis: Analysis) -> None:
    """Print the figures: over all, by what makes questions hard, and E where D is right and where it is wrong."""
    table = _overall_table("", analysis.overall)
    bins = Table("figure", "by", box=None)
    for _ in range(_MOST_BINS):
        bins.add_column("", justify="right")
    for (title, by), group in groupby((*analysis.bins, *analysis.given_place), key=lambda part: (part.title, part.by)):
        bins.add_row(title, by, *(f"{_range(part)}: {_percent(part.figure.value)} ({part.n})" for part in group))
    apart = [("naming", analysis.naming), ("others", analysis.others)] if analysis.classes else []
    for each in (table, *(_overall_table(title, rows) for title, rows in apart), bins):
        Console(width=max(stdout.width, 150), highlight=False).print(each)
    if analysis.classes:
        stdout.print(
            f"naming: questions whose asked labels or answer name {', '.join(analysis.classes)}; others: the rest"
        )
    stdout.print(
        f"{analysis.predictions} on {', '.join(analysis.splits)} of {analysis.root}"
        + (f", control {analysis.control}" if analysis.control else "")
        + f"; 95 % intervals by a bootstrap over {analysis.clusters}s; all in percent, in brackets how many questions"
    )


def _overall_table(title: str, rows: Sequence[Overall]) -> Table:
    table = Table(title, "figure", box=None)
    for column in ("score", "95 %", "best constant", "control", "difference", "95 %", "n"):
        table.add_column(column, justify="right")
    for own in rows:
        table.add_row(
            "reasoning" if own.reasoning else "perception",
            f"{own.title}, {METRICS[own.metric].title}",
            _percent(own.figure.value),
            _interval(own.figure),
            _percent(own.constant),
            _percent(own.control.value) if own.control else "",
            _percent(own.difference.value) if own.difference else "",
            _interval(own.difference) if own.difference else "",
            str(own.n),
        )
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(figure: Figure) -> str:
    return "-" if figure.low is None else f"{_percent(figure.low)} - {_percent(figure.high)}"


def _range(part: Bin) -> str:
    if part.low == part.high:
        return "right" if part.low else "wrong"
    if part.low is None:
        return f"< {part.high:g}"
    return f">= {part.low:g}" if part.high is None else f"{part.low:g} to {part.high:g}"
