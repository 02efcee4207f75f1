"""Reports of the audit: records, JSON, and tables on the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from spatialqa.audit.leakage import Splits
from spatialqa.audit.statistics import holm
from spatialqa.core.console import stdout
from spatialqa.core.files import commit_json
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.manifest import write_manifest

SIGNIFICANCE = 0.001
FEWEST_QUESTIONS = 2000

BEATEN, HELD, INCONCLUSIVE = "guessed", "held", "inconclusive"

_LISTED_ANSWERS = 8
_OCTANT_TOLERANCE = 0.01
_LOCK_WAIT_S = 60.0  # for a command that writes into the data set, so that a long audit is not lost
_TABLE_WIDTH = 160  # whole figures, also where the output is not a terminal


@dataclass(frozen=True)
class Attempt:
    """One baseline on one measure.

    guesser: the baseline: "words", "boosting", the context of a prior, or a memory of label pairs. figure: "right" (a
    share) or "error_m" (a mean absolute error).
    value: that share, or those metres. interval: 95 %, of a share. p_value: one-sided, that it beats chance; adjusted
    for all that was tried in an audit as `p_holm`.
    """

    guesser: str
    figure: str
    value: float
    interval: tuple[float, float] | None
    p_value: float
    p_holm: float = 1.0

    @property
    def beats_chance(self) -> bool:
        """Whether chance would do as well less than once in a thousand audits."""
        return self.p_holm < SIGNIFICANCE


@dataclass(frozen=True)
class MeasureAudit:
    """One thing to guess in a subtype.

    majority: what the answer that is commonest in the training folds gets right; None where nothing could be tried.
    chance: the share right by design, None where only `majority` says what blind guessing gets.
    constant_error_m: mean absolute error of the training folds' median distance. histogram: answers in the sample.
    """

    measure: str
    n_guesses: int
    chance: float | None
    majority: float | None
    constant_error_m: float | None
    attempts: tuple[Attempt, ...]
    histogram: dict[str, int]

    @property
    def even_share(self) -> float:
        """What blind guessing would get right if all guesses were as likely."""
        return self.chance if self.chance is not None else 1 / self.n_guesses


@dataclass(frozen=True)
class SubtypeAudit:
    """All measures of a subtype. questions: in the table; sampled: of those, how many were looked at."""

    type: str
    subtype: str
    questions: int
    sampled: int
    houses: int
    measures: tuple[MeasureAudit, ...]

    @property
    def verdict(self) -> str:
        """`guessed`, `held`, or `inconclusive` where there are too few questions to tell."""
        if any(attempt.beats_chance for measure in self.measures for attempt in measure.attempts):
            return BEATEN
        return HELD if self.sampled >= FEWEST_QUESTIONS and self.measures[0].attempts else INCONCLUSIVE


@dataclass(frozen=True)
class Tables:
    """What is counted over the whole table; see sample.Index and leakage.Splits."""

    strings: dict[str, int]
    all_strings: int
    repeated: int
    contradicted: int
    splits: Splits


@dataclass(frozen=True)
class AuditReport:
    """An audit of one table of questions."""

    table: str
    seed: int
    max_questions: int
    subtypes: tuple[SubtypeAudit, ...]
    tables: Tables

    @classmethod
    def of(cls, table: str, seed: int, max_questions: int, subtypes: Sequence[SubtypeAudit], tables: Tables) -> Self:
        """Put an audit together; the p values are adjusted over all its subtypes, measures and baselines."""
        raw = [a.p_value for s in subtypes for m in s.measures for a in m.attempts]
        adjusted = iter(holm(raw))
        return cls(
            table,
            seed,
            max_questions,
            tuple(
                replace(
                    s,
                    measures=tuple(
                        replace(m, attempts=tuple(replace(a, p_holm=next(adjusted)) for a in m.attempts))
                        for m in s.measures
                    ),
                )
                for s in subtypes
            ),
            tables,
        )

    @property
    def failed(self) -> bool:
        """Whether a baseline beats chance in any subtype."""
        return any(s.verdict == BEATEN for s in self.subtypes)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain: dict[str, Any] = asdict(self)
        for subtype, record in zip(self.subtypes, plain["subtypes"], strict=True):
            record["verdict"] = subtype.verdict
        return {"schema_version": "1", "failed": self.failed, "significance": SIGNIFICANCE, **plain}


def save_audit(root: Path, report: AuditReport) -> Path:
    """Write the report into the data set, as _spatialqa/audit.json (audit-NAME.json for the table qa-NAME)."""
    folder = DatasetFolder(root)
    path = folder.meta / f"{report.table.replace('qa', 'audit', 1)}.json"
    with folder.lock(wait_s=_LOCK_WAIT_S):
        folder.mark_stale()
        commit_json(path, report.as_json())
        write_manifest(folder, [path.relative_to(folder.root).as_posix()])
    return path


def print_audit(report: AuditReport) -> None:
    """Print what was guessed and what the table looks like."""
    wide = Console(file=stdout.file, width=max(_TABLE_WIDTH, stdout.width), highlight=False)
    wide.print(_guessing(report))
    for subtype in report.subtypes:
        for measure in subtype.measures:
            stdout.print(f"{subtype.subtype}, {measure.measure}: {_answers(measure)}", markup=False)
    for line in _counts(report):
        stdout.print(line, markup=False)
    for line in _findings(report):
        stdout.print(line, markup=False)
    beaten = [s.subtype for s in report.subtypes if s.verdict == BEATEN]
    open_ones = [s.subtype for s in report.subtypes if s.verdict == INCONCLUSIVE]
    words = [f"answers can be predicted from the text: {', '.join(beaten)}"] if beaten else []
    words += [f"inconclusive: {', '.join(open_ones)}"] if open_ones else []
    stdout.print("; ".join(words) or "no text-only baseline beats chance", style="bold")


def _guessing(report: AuditReport) -> Table:
    table = Table(
        "subtype",
        "guess",
        "questions",
        "chance",
        "majority",
        "words",
        "best other",
        "by",
        "p (Holm)",
        "verdict",
        box=None,
    )
    for subtype in report.subtypes:
        for number, measure in enumerate(subtype.measures):
            figures = sorted({a.figure for a in measure.attempts}, reverse=True) or ["right"]
            for figure in figures:
                table.add_row(
                    "" if number or figure != figures[0] else subtype.subtype,
                    measure.measure if figure == "right" else "mean error",
                    str(subtype.sampled),
                    *_row(measure, [a for a in measure.attempts if a.figure == figure], figure),
                    "" if number or figure != figures[0] else subtype.verdict,
                )
    return table


def _row(measure: MeasureAudit, attempts: Sequence[Attempt], figure: str) -> Iterator[str]:
    if figure == "error_m":
        yield ""
        yield "-" if measure.constant_error_m is None else f"{measure.constant_error_m:.3f} m"
    else:
        yield "-" if measure.measure == "distance" else _percent(measure.even_share)
        yield "-" if measure.majority is None else _percent(measure.majority)
    words = [a for a in attempts if a.guesser == "words"]
    others = sorted((a for a in attempts if a.guesser != "words"), key=lambda a: a.p_value)
    yield _figure(words[0]) if words else "-"
    yield _figure(others[0]) if others else "-"
    yield others[0].guesser if others else "-"
    yield f"{min(a.p_holm for a in attempts):.2g}" if attempts else "-"


def _figure(attempt: Attempt) -> str:
    if attempt.interval is None:
        return f"{attempt.value:.3f} m"
    low, high = attempt.interval
    return f"{_percent(attempt.value)} ({100 * low:.1f}-{100 * high:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _answers(measure: MeasureAudit) -> str:
    total = max(1, sum(measure.histogram.values()))
    shown: Mapping[str, int] = measure.histogram
    rest = ""
    if measure.measure == "distance":
        shown = {name: n for name, n in shown.items() if n}
    elif len(shown) > _LISTED_ANSWERS:
        rest = f", and {len(shown) - _LISTED_ANSWERS} others down to {_percent(min(shown.values()) / total)}"
        shown = dict(list(shown.items())[:_LISTED_ANSWERS])
    return ", ".join(f"{name} {_percent(n / total)}" for name, n in shown.items()) + rest


def _counts(report: AuditReport) -> Iterator[str]:
    tables, splits = report.tables, report.tables.splits
    total = sum(s.questions for s in report.subtypes)
    by_subtype = ", ".join(f"{name} {n}" for name, n in sorted(tables.strings.items()))
    yield f"{total} questions in {tables.all_strings} distinct strings ({by_subtype})"
    yield (
        f"{tables.repeated} questions repeat scene, text and answer of another; {tables.contradicted} have the scene "
        f"and text of another and a different answer"
    )
    yield (
        f"{splits.scenes} scenes, {splits.houses} houses and {splits.clips} clips: {len(splits.shared_houses)} houses "
        f"and {len(splits.shared_clips)} clips are in more than one split"
    )


def _findings(report: AuditReport) -> Iterator[str]:
    """Yield what a maker of questions should look at, worst first."""
    for subtype in report.subtypes:
        for measure in subtype.measures:
            for a in sorted((a for a in measure.attempts if a.beats_chance), key=lambda a: a.p_holm):
                what = _figure(a) if a.interval else f"a mean error of {_figure(a)}"
                yield f"GUESSED  {subtype.subtype}, {measure.measure} by {a.guesser}: {what}, p {a.p_holm:.2g}"
    for subtype in report.subtypes:
        for measure in subtype.measures:
            if measure.measure == "octant" and subtype.sampled >= FEWEST_QUESTIONS:
                total = sum(measure.histogram.values())
                off = {k: n / total for k, n in measure.histogram.items() if abs(n / total - 1 / 8) > _OCTANT_TOLERANCE}
                if off:
                    worst = ", ".join(f"{name} {_percent(share)}" for name, share in off.items())
                    yield f"UNEVEN   {subtype.subtype}: octants more than a point from 12.5 %: {worst}"
    if report.tables.contradicted:
        yield f"CLASH    {report.tables.contradicted} questions have another answer elsewhere; run spatialqa validate"
    if report.tables.splits.leaking:
        names = (*report.tables.splits.shared_houses, *report.tables.splits.shared_clips)
        yield f"LEAK     in more than one split: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
