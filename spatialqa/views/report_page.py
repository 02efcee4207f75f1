"""The page of `spatialqa report`: the figures of one data set, or of two side by side."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.errors import DatasetError
from spatialqa.generation.validate import validate_with_inputs
from spatialqa.views.page_folder import PageFolder, place_beside
from spatialqa.views.report_charts import Figures, histogram, sphere_chart
from spatialqa.views.report_figures import Progress, report_figures
from spatialqa.views.templating import asset, environment

_MOST_CLASSES = 40
_PLACES = ("distance_m", "azimuth_deg", "elevation_deg", "height_m")
_ACOUSTICS = ("rt60_s", "drr_db", "level_db", "peak_dbfs")
_TIMES = ("onset_s", "activity")


@dataclass(frozen=True)
class ReportSummary:
    """Where the page and the figures are."""

    index: Path
    figures: tuple[Figures, ...]

    def lines(self) -> list[str]:
        """Return what the command prints."""
        said = [
            f"{one['dataset']}: {one['counts']['scenes']:,} scenes, {one['counts']['hours']:.1f} hours, "
            f"{one['counts']['questions']:,} questions"
            for one in self.figures
        ]
        return [*said, f"page: {self.index}; figures: {self.index.with_name('figures.json')}"]


def write_report(
    root: Path,
    to: Path | None = None,
    *,
    beside: Path | None = None,
    table: str = "qa",
    validate: bool = False,
    progress: Callable[[], Progress] | None = None,
) -> ReportSummary:
    """Write the page and figures.json into a folder of its own. Nothing is written in a data set.

    Args:
        root: the data set.
        to: the folder; by default beside the data set, its name with -report.
        beside: another data set, shown beside it.
        table: of the questions, "qa" or "qa-NAME".
        validate: also validate the data sets, as `spatialqa validate --rerender 0` does.
        progress: makes the observer of each data set.

    Raises:
        DatasetError: there is no such data set or table, or the folder holds something else.
    """
    roots = [root] if beside is None else [root, beside]
    page = PageFolder(to or place_beside(root, "report"), root)
    if beside is not None:
        PageFolder(page.place, beside)  # it may not lie in that one either
        if beside.resolve() == root.resolve():
            raise DatasetError(f"{beside}: is the data set itself; --beside names another one")
    figures = []
    for one in roots:
        figures.append(report_figures(one, table, progress() if progress else None))
        if validate:
            report = validate_with_inputs(one, 0)
            figures[-1]["validation"] = {
                name: list(getattr(report, name)) for name in ("checked", "not_checked", "warnings", "problems")
            }
    with page.whole({"page": "report", "datasets": [str(one) for one in roots]}):
        page.write("index.html", report_html(figures))
        page.write("figures.json", json.dumps(figures if beside else figures[0], indent=1, ensure_ascii=False) + "\n")
        page.write("style.css", asset("style.css"))
    return ReportSummary(page.place / "index.html", tuple(figures))


def report_html(sets: Sequence[dict[str, Any]]) -> str:
    """Return the page of one or two data sets."""
    names = [one["dataset"] for one in sets]
    if len(set(names)) < len(names):
        names = [f"{name} ({k})" for k, name in enumerate(names, start=1)]
    subtypes = sorted({(held["type"], subtype) for one in sets for subtype, held in one["questions"].items()})
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            sets=list(zip(names, sets, strict=True)),
            places=[histogram(name, sets) for name in _PLACES],
            acoustics=[histogram(name, sets) for name in _ACOUSTICS],
            times=[histogram(name, sets) for name in _TIMES],
            spheres=[(name, sphere_chart(name, one, k)) for k, (name, one) in enumerate(zip(names, sets, strict=True))],
            classes=_classes(sets),
            more_classes=max(0, len({label for one in sets for label in one["classes"]}) - _MOST_CLASSES),
            splits=list(dict.fromkeys(split for one in sets for split in one["splits"])),
            subtypes=subtypes,
        )
    )


def _classes(sets: Sequence[Figures]) -> list[tuple[str, list[float]]]:
    """Return the commonest classes with their share of the sources of each data set, per cent."""
    totals = [max(sum(one["classes"].values()), 1) for one in sets]
    shares = {
        label: [100.0 * one["classes"].get(label, 0) / total for one, total in zip(sets, totals, strict=True)]
        for label in dict.fromkeys(label for one in sets for label in one["classes"])
    }
    return sorted(shares.items(), key=lambda item: (-sum(item[1]), item[0]))[:_MOST_CLASSES]
