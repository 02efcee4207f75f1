"""Prints the tables of a score report."""

from rich.console import Console
from rich.table import Table

from spatialqa.core.console import stderr, stdout
from spatialqa.scoring.results import METRICS, IdProblems, Metric, ScoreReport, SubtypeScore

# In JSON only: variants that a reader of the table would have to tell apart.
_NOT_SHOWN = frozenset({"map_whole_lexical", "map_whole_sentence", "der_unrounded"})
_WIDTH = 124


def print_score(report: ScoreReport) -> None:
    """Print the figures of every subtype, the paper's table, and on stderr what did not pair up."""
    for what, problems in (
        ("questions have no prediction" + ("" if report.answered_only else " and count as wrong"), report.missing),
        ("qa_ids are repeated; the first prediction counts", report.duplicates),
        (f"qa_ids are not in {report.table} and were left out", report.unknown),
    ):
        if problems.count:
            stderr.print(f"warning: {problems.count} {what}: {_first(problems)}", markup=False)
    if report.other_splits:
        stderr.print(f"{report.other_splits} predictions are of other splits and were left out", markup=False)
    _print(_table_of_subtypes(report.subtypes))
    if report.paper:
        stdout.print("\nas in SpatialSoundQA's table", style="bold")
        _print(_table_of_paper(report.paper))
    stdout.print(
        f"{report.questions} questions of {', '.join(report.splits)} in {report.root}/{report.table}, "
        f"{report.answered} answered; 95 % intervals by a bootstrap over {report.n_clusters} {report.clusters}s",
        markup=False,
    )
    unparsed = sum(score.unparsed for score in report.subtypes)
    if unparsed:
        stdout.print(f"{unparsed} answers could not be read, or not in full; unreadable parts are wrong")
    stdout.print(f"mAP by sentence model: {report.text_model or 'none installed; see docs/scoring.md'}", markup=False)


def _print(table: Table) -> None:
    """Print a table in full, also where rich takes the output to be 80 columns wide."""
    Console(width=max(stdout.width, _WIDTH), highlight=False).print(table)


def _table_of_subtypes(scores: tuple[SubtypeScore, ...]) -> Table:
    table = Table("type", "subtype", "metric", box=None)
    for column in ("score", "95 %", "chance", "n", "missing", "unparsed"):
        table.add_column(column, justify="right")
    for score in scores:
        for row, (name, metric) in enumerate(shown(score)):
            subtype = score.subtype + (" (mcq)" if score.form == "mcq" else "")
            head = (score.type, subtype) if row == 0 else ("", "")
            tail = (str(score.missing), str(score.unparsed)) if row == 0 else ("", "")
            table.add_row(*head, METRICS[name].title, *figures(metric, METRICS[name].unit), str(metric.n), *tail)
    return table


def _table_of_paper(rows: dict[str, Metric]) -> Table:
    table = Table("", box=None)
    for column in ("score", "95 %", "chance", "n"):
        table.add_column(column, justify="right")
    for title, metric in rows.items():
        table.add_row(title, *figures(metric, "%"), str(metric.n))
    return table


def shown(score: SubtypeScore) -> list[tuple[str, Metric]]:
    """Return the metrics of a subtype that the table and the picture show."""
    return [(name, metric) for name, metric in score.metrics.items() if name not in _NOT_SHOWN]


def figures(metric: Metric, unit: str) -> tuple[str, str, str]:
    """Return a metric's value, interval and chance as text: shares in percent, metres, degrees."""
    value, low, high, chance = (_number(x, unit) for x in (metric.value, metric.low, metric.high, metric.chance))
    suffix = "" if unit == "%" else f" {unit}"
    return (value + suffix if value else "-", f"{low} - {high}" if low else "-", chance or "-")


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.2f}" if unit == "m" else f"{value:.1f}"


def _first(problems: IdProblems) -> str:
    return ", ".join(problems.first) + (", ..." if problems.count > len(problems.first) else "")
