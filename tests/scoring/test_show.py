"""The table and the picture of a score report."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from spatialqa.errors import DatasetError, RecipeError
from spatialqa.scoring.plot import write_plot
from spatialqa.scoring.results import ScoreReport
from spatialqa.scoring.score import score
from spatialqa.scoring.tables import print_score
from tests.scoring.conftest import questions, write_predictions
from tests.scoring.test_score import dealt


@pytest.fixture(scope="module")
def report(data: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoreReport:
    pairs = dealt(questions(data), 3)[:-1]
    path = tmp_path_factory.mktemp("shown") / "of $x$ & y.jsonl"
    write_predictions(path, [*pairs, pairs[0], ("<unknown & [bold]>", "Yes")])
    return score(path, data, text_model="none")


def test_the_table_tells_every_figure_and_stderr_what_did_not_pair_up(
    report: ScoreReport, capsys: pytest.CaptureFixture[str]
) -> None:
    print_score(report)
    out, err = capsys.readouterr()
    for found in report.subtypes:
        assert found.subtype in out
    mean = report.paper["E mean"]
    assert mean.value is not None
    line = next(line for line in out.splitlines() if line.strip().startswith("E mean"))
    assert f"{100 * mean.value:.1f}" in line
    assert "50.0" in line
    assert "1 questions have no prediction and count as wrong" in err
    assert "1 qa_ids are repeated" in err
    assert "<unknown & [bold]>" in err


def test_the_picture_has_a_dot_for_every_share_within_its_frame(report: ScoreReport, tmp_path: Path) -> None:
    path = tmp_path / "score.svg"
    write_plot(report, path)
    root = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    dots = list(root.iter(f"{space}use"))
    texts = [text.text for text in root.iter(f"{space}text")]
    assert f"{100 * (report.paper['B DoA'].value or 0):.1f}" in " ".join(filter(None, texts))
    assert any(str(text).startswith("of $x$ & y.jsonl on qa") for text in texts)  # words, not mathematics
    assert len(dots) == sum(1 for text in texts if text and text.endswith(")") and text[0].isdigit())
    assert len(dots) > 30
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for item in root.iter():
        assert 0 <= float(item.attrib.get("x", 0)) <= width
        assert 0 <= float(item.attrib.get("y", 0)) <= height


def test_where_a_picture_cannot_go(report: ScoreReport, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"ends in \.svg"):
        write_plot(report, tmp_path / "score.png")
    with pytest.raises(DatasetError, match="cannot be written"):
        write_plot(report, tmp_path / "absent" / "score.svg")
