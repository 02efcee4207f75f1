"""The report of a data set: its figures are those of the rows, its charts are those of the figures."""

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner

from spatialqa.audit.leakage import Splits
from spatialqa.audit.report import Attempt, AuditReport, MeasureAudit, SubtypeAudit, Tables, save_audit
from spatialqa.cli.main import cli
from spatialqa.core.files import commit_text
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import Reject, json_lines
from spatialqa.dataset.record_checks import REJECTS
from spatialqa.errors import DatasetError
from spatialqa.qa.recipe import QaRecipe
from spatialqa.views.report_charts import histogram, sphere_chart
from spatialqa.views.report_counts import Histogram, Tally
from spatialqa.views.report_figures import report_figures
from spatialqa.views.report_page import report_html, write_report
from tests.dataset.changing import changed
from tests.fixtures.datasets import hashes, planned, rows_of
from tests.views.pages import SECONDS, dataset_for_pages


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planned(tmp_path_factory.mktemp("report") / "plan", 40, QaRecipe())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_for_pages(tmp_path_factory.mktemp("report") / "data")


def test_every_figure_is_that_of_the_rows(plan: Path) -> None:
    figures = report_figures(plan)
    scenes, asked = rows_of(plan, "scenes"), rows_of(plan, "qa")
    sources = [source for scene in scenes for source in scene["sources"]]
    assert figures["counts"]["scenes"] == 40
    assert figures["counts"]["sources"] == len(sources)
    assert figures["counts"]["hours"] == pytest.approx(40 * 10 / 3600)
    assert figures["counts"]["questions"] == len(asked)
    for split, held in figures["splits"].items():
        assert held["scenes"] == sum(scene["split"] == split for scene in scenes)
        assert held["questions"] == sum(row["split"] == split for row in asked)
    assert figures["classes"] == dict(Counter(source["labels"][0] for source in sources))
    assert figures["rir_reuse"] == {str(n): k for n, k in Counter(s["rir_reuse_count"] for s in scenes).items()}
    sight = Counter({True: "seen", False: "occluded"}[source["line_of_sight"]] for source in sources)
    assert figures["line_of_sight"] == dict(sight)
    for name in ("distance_m", "azimuth_deg", "elevation_deg", "height_m"):
        held = figures["histograms"][name]
        values = np.array([source[name] for source in sources])
        assert (
            held["counts"]
            == np.histogram(np.clip(values, held["edges"][0], held["edges"][-1]), held["edges"])[0].tolist()
        )
        assert (held["least"], held["most"]) == (values.min(), values.max())
        assert held["mean"] == (None if name == "azimuth_deg" else pytest.approx(values.mean()))
    assert figures["histograms"]["rt60_s"]["unknown"] == len(sources)  # it was only planned
    for subtype, held in figures["questions"].items():
        answers = Counter(row["answer"] for row in asked if row["subtype"] == subtype)
        assert (held["count"], held["distinct_answers"]) == (answers.total(), len(answers))
        assert next(iter(held["commonest"].values())) == max(answers.values())


def test_levels_times_and_peaks_are_those_of_rendered_scenes(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)

    def measured(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            for source in row["sources"]:
                source |= {"wet_level_dbfs": [-20.0, -40.0], "rt60_s": 0.55, "drr_db": 3.0}
                source |= {"audible_onset_s": 0.5, "audible_offset_s": 1.5}

    changed(root, "scenes", measured)
    held = report_figures(root)["histograms"]
    assert held["level_db"]["mean"] == pytest.approx(10 * np.log10((1e-2 + 1e-4) / 2))
    assert held["rt60_s"]["mean"] == pytest.approx(0.55)
    assert held["activity"]["mean"] == pytest.approx(100.0 / SECONDS)
    assert held["peak_dbfs"]["known"] == 3
    assert held["peak_dbfs"]["mean"] == pytest.approx(-40.0, abs=0.05)


def test_sources_without_labels_are_counted_too(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)

    def forget(rows: list[dict[str, Any]]) -> None:
        for source in rows[0]["sources"]:
            source |= {"labels": [], "mids": []}

    changed(root, "scenes", forget)
    figures = report_figures(root)
    assert figures["counts"]["sources"] == 5
    assert sum(figures["classes"].values()) == 3


def test_a_direction_to_the_left_is_on_the_left_of_the_map(data: Path) -> None:
    drawn = ElementTree.fromstring(sphere_chart("data", report_figures(data), 0))
    labels = {text.text: float(text.attrib["x"]) for text in drawn.iter("text")}
    level = {text.text: float(text.attrib["y"]) for text in drawn.iter("text")}
    assert labels["left"] < labels["front"] < labels["right"]
    cells = {}
    for group in drawn.iter("g"):
        if (title := group.find("title")) is not None and (path := group.find("path")) is not None:
            corners = np.array(re.findall(r"([\d.]+) ([\d.]+)", path.attrib["d"]), dtype=float)
            cells[str(title.text)] = corners.min(axis=0), corners.max(axis=0)
    assert sum(int(words.rpartition(" ")[2]) for words in cells) == 5
    degree = (labels["right"] - labels["left"]) / 180
    for scene in rows_of(data, "scenes"):
        for source in scene["sources"]:
            x = labels["front"] - degree * source["azimuth_deg"]
            y = (level["90°"] + level["\N{MINUS SIGN}90°"]) / 2 - degree * source["elevation_deg"]
            mine = [
                words
                for words, (low, high) in cells.items()
                if low[0] - 1 <= x <= high[0] + 1 and low[1] - 5 <= y <= high[1] + 5  # a label's height
            ]
            assert mine, source


def test_a_histogram_gathers_what_lies_beyond_its_edges_and_what_is_unknown() -> None:
    held = Histogram("Distance", "m", [0.0, 1.0, 2.0])
    held.add(np.array([-3.0, 0.5, 1.5, 9.0, np.nan]))
    held.add(np.array([]))
    found = held.as_json()
    assert (found["counts"], found["unknown"], found["known"]) == ([2, 2], 1, 4)
    assert (found["mean"], found["least"], found["most"]) == (2.0, -3.0, 9.0)


def test_a_tally_stops_growing() -> None:
    tally = Tally()
    for n in range(7000):
        tally.add(f"name {n}")
    assert (tally.total, tally.distinct, tally.others) == (7000, 5000, 2000)


def test_a_chart_shows_shares_and_leaves_out_empty_ends(plan: Path) -> None:
    figures = report_figures(plan)
    held = figures["histograms"]["distance_m"]
    used = np.flatnonzero(held["counts"])
    _, first, second = lines(histogram("distance_m", [figures, figures]).svg)  # a filled one below
    assert first.tolist() == second.tolist()
    tops = first[1:-1:2, 1]  # an outline: two corners a bin, from the axis and back to it
    assert len(tops) == used[-1] - used[0] + 1
    assert int(np.argmin(tops)) == int(np.argmax(held["counts"])) - used[0]
    assert not lines(histogram("rt60_s", [figures]).svg)


def lines(svg: str) -> list[Any]:
    """Return the corners of what is drawn of data in a chart, (n, 2) each."""
    drawn = [path.attrib for path in ElementTree.fromstring(svg).iter("path")]
    data = [path["d"] for path in drawn if "var(--s" in path["style"] and "--soft" not in path["style"]]
    return [np.array(re.findall(r"([\d.]+) ([\d.]+)", d), dtype=float) for d in data]


def test_a_chart_follows_the_theme_of_the_page_and_is_the_same_each_time(plan: Path) -> None:
    figures = report_figures(plan)
    chart = histogram("azimuth_deg", [figures])
    assert not re.search(r"#[0-9a-f]{6}\b", chart.svg)  # no colour of its own
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.hashsalt": None}):
        assert chart.svg == histogram("azimuth_deg", [figures]).svg
    assert " id=" not in chart.svg.replace('clipPath id="', "")
    drawn = ElementTree.fromstring(chart.svg)
    width, height = map(float, drawn.attrib["viewBox"].split()[2:])
    boxes = []
    for text in drawn.iter("text"):
        half = 0.3 * 10 * len(text.text or "")  # wider than in any common font
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        x = {"middle": x, "end": x - half}[re.findall(r"text-anchor: (\w+)", text.attrib["style"])[0]]
        boxes.append((x - half, y - 8, x + half, y))
    assert all(a >= 0 and b >= 0 and c <= width and d <= height for a, b, c, d in boxes)
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_the_page_and_the_figures_are_written_beside_the_data_set(plan: Path, tmp_path: Path) -> None:
    root = tmp_path / "plan"
    shutil.copytree(plan, root)
    held = hashes(root)
    summary = write_report(root)
    assert summary.index == tmp_path / "plan-report" / "index.html"
    assert json.loads(summary.index.with_name("figures.json").read_text()) == json.loads(
        json.dumps(report_figures(root))
    )
    assert hashes(root) == held
    html = summary.index.read_text(encoding="utf-8")
    assert not re.search(r"https?://", html)
    assert "Not validated here" in html
    with pytest.raises(DatasetError, match="a folder of its own"):
        write_report(root, root / "report")


def test_two_data_sets_are_side_by_side(plan: Path, data: Path, tmp_path: Path) -> None:
    summary = write_report(plan, tmp_path / "page", beside=data)
    both = json.loads(summary.index.with_name("figures.json").read_text())
    assert [one["counts"]["scenes"] for one in both] == [40, 3]
    html = summary.index.read_text(encoding="utf-8")
    assert html.count('class="series s1"') == html.count('class="series s0"')
    with pytest.raises(DatasetError, match="itself"):
        write_report(plan, tmp_path / "other", beside=plan)
    with pytest.raises(DatasetError, match="a folder of its own"):
        write_report(plan, data / "page", beside=data)


def test_audit_validation_and_rejects_are_shown(plan: Path, tmp_path: Path) -> None:
    root = tmp_path / "plan"
    shutil.copytree(plan, root)
    attempt = Attempt("words", "right", 0.625, (0.5, 0.75), 0.2)
    measure = MeasureAudit("answer", 2, 0.5, 0.5, None, (attempt,), {"Yes": 4, "No": 4})
    subtypes = [SubtypeAudit("E", "relative_distance", 8, 8, 3, (measure,))]
    save_audit(root, AuditReport.of("qa", 0, 1000, subtypes, Tables({}, 0, 0, 0, Splits(0, 0, 0, (), ()))))
    folder = DatasetFolder(root)
    (record, *_) = folder.shards()
    lines = json_lines([Reject("draw", "train-00000003", 0, "ClippedSceneError: it peaks at 3 dB")])
    file = commit_text(root, f"{REJECTS}/{record.shard}.jsonl", lines, 1)
    folder.commit_shard(replace(record, files=(*(one for one in record.files if one.path != file.path), file)))
    summary = write_report(root, tmp_path / "page", validate=True)
    (figures,) = summary.figures
    assert figures["clipping"]["draws_rejected"] == 1
    assert figures["audit"]["subtypes"]["relative_distance"]["verdict"] == "inconclusive"
    assert figures["validation"]["checked"]
    html = summary.index.read_text(encoding="utf-8")
    assert "ClippedSceneError" in html
    assert "inconclusive, best 62 %" in html
    assert "Not validated here" not in html


def test_names_are_text_and_never_markup(plan: Path) -> None:
    figures = report_figures(plan)
    evil = "<script>alert(1)</script>"
    figures |= {"dataset": evil, "classes": {evil: 3}, "rejects": {evil: 1}}
    figures["questions"] = {evil: {"type": "X", "count": 1, "distinct_answers": 1, "commonest": {evil: 1}}}
    assert "<script" not in report_html([figures])


def test_the_command_says_where_the_page_is_and_what_is_wrong(plan: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["report", str(plan), "--to", str(tmp_path / "page")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "40 scenes, 0.1 hours" in done.output
    assert str(tmp_path / "page" / "index.html") in done.output
    with pytest.raises(DatasetError, match="holds no questions in 'qa-none'"):
        CliRunner().invoke(cli, ["report", str(plan), "--name", "none"], catch_exceptions=False)
