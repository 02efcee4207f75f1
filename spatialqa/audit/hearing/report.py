"""The report of a hearing check: plain data, tables on the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from spatialqa.audit.hearing.directions import Directions
from spatialqa.audit.hearing.recognition import Recognition, Share
from spatialqa.core.console import stdout


@dataclass(frozen=True)
class HearingReport:
    """What was checked; a part is None where it was not asked for or the data set has no two ears."""

    recognition: Recognition | None
    directions: Directions | None

    @property
    def failed(self) -> bool:
        """Whether the ears point elsewhere than the labels."""
        return self.directions is not None and self.directions.failed

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {"schema_version": "1", "failed": self.failed, **asdict(self)}


def print_hearing(report: HearingReport) -> None:
    """Print the tables and one line that says how the check ended."""
    wide = Console(file=stdout.file, width=max(120, stdout.width), highlight=False)
    if report.recognition:
        for table in _recognition(report.recognition):
            wide.print(table)
        if report.recognition.unknown:
            wide.print(f"the tagger has no class for: {', '.join(report.recognition.unknown)}", markup=False)
    for line in _directions(report.directions, wide) if report.directions else ():
        wide.print(line, markup=False)


def _recognition(found: Recognition) -> Iterator[Table]:
    parts: Sequence[tuple[str, Iterable[Share]]] = (
        ("class", found.classes),
        ("distance", found.distances),
        ("line of sight", found.sights),
        (f"among the first {found.first}", [found.all]),
    )
    for heading, shares in parts:
        if shares and found.all.sounds:
            table = Table(heading, "sounds", *found.stages, box=None)
            for share in shares:
                table.add_row(share.name, str(share.sounds), *(_percent(share, stage) for stage in found.stages))
            yield table


def _percent(share: Share, stage: str) -> str:
    return f"{100 * share.named.get(stage, 0) / share.sounds:.0f} %"


def _directions(found: Directions, console: Console) -> Iterator[str]:
    table = Table("azimuth", "sources", "sign by time", "sign by level", "lateral error", box=None)
    for sector in found.sectors:
        table.add_row(
            f"{sector.azimuth_deg:+.0f}",
            str(sector.sources),
            f"{sector.time_right} of {sector.signs}" if sector.signs else "-",
            f"{sector.level_right} of {sector.signs}" if sector.signs else "-",
            f"{sector.lateral_error_deg:.1f} deg",
        )
    console.print(table)
    yield from (f"WRONG    {line}" for line in found.examples)
    error = "-" if found.lateral_error_deg is None else f"{found.lateral_error_deg:.1f} degrees"
    yield (
        f"{found.sources} sources in line of sight, by {found.measured}: of {found.signs} signs, {found.time_wrong} "
        f"are wrong by time, {found.level_wrong} by level, {found.wrong} by both; median lateral error {error}"
    )
    if found.failed:
        yield "the ears point to another side than the labels: channels may be swapped"
