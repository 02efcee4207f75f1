"""The page of preview: what it says and draws is what the tables hold; nothing of a data set becomes markup."""

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spatialqa.core.files import commit_text
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import Reject, json_lines
from spatialqa.dataset.record_checks import REJECTS
from spatialqa.errors import DatasetError
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from spatialqa.views.page_folder import MARKER
from spatialqa.views.preview_page import write_preview
from spatialqa.views.templating import minus
from tests.dataset.changing import changed
from tests.fixtures.datasets import hashes, planned, rows_of, scenes_of
from tests.views.drawn import azimuth_deg, read_svg
from tests.views.pages import RATE, SECONDS, dataset_for_pages


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_for_pages(tmp_path_factory.mktemp("views") / "data")


def page_of(root: Path, to: Path, **options: Any) -> str:
    return write_preview(root, to, **options).index.read_text(encoding="utf-8")


def articles(html: str) -> dict[str, str]:
    """Return the part of the page about each scene."""
    parts = re.findall(r'<article class="scene" id="([^"]+)".*?</article>', html, re.DOTALL)
    return dict(zip(parts, re.findall(r"<article.*?</article>", html, re.DOTALL), strict=True))


def scene_data(page: Path, scene_id: str) -> dict[str, Any]:
    """Return what the page loads of a scene."""
    text = (page / "scenes" / f"{scene_id}.js").read_text()
    found: dict[str, Any] = json.loads(text.removeprefix("spatialqaScene(").removesuffix(");\n"))
    return found


def test_it_lies_beside_the_data_set_and_changes_nothing_in_it(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    held = hashes(root)
    summary = write_preview(root)
    assert summary.index == tmp_path / "data-preview" / "index.html"
    assert (summary.scenes, hashes(root)) == (3, held)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    size = sum(path.stat().st_size for path in summary.index.parent.rglob("*") if path.is_file())
    assert summary.total_bytes == size - (tmp_path / "data-preview" / MARKER).stat().st_size


def test_every_source_on_the_page_is_drawn_and_listed_as_its_row_says(data: Path, tmp_path: Path) -> None:
    found = articles(page_of(data, tmp_path / "page"))
    assert list(found) == [scene.scene_id for scene in scenes_of(data)]
    for scene in scenes_of(data):
        svgs = re.findall(r"<svg.*?</svg>", found[scene.scene_id], re.DOTALL)
        plan = read_svg(svgs[0])
        rows = re.findall(r"<tr data-source.*?</tr>", found[scene.scene_id], re.DOTALL)
        for k, source in enumerate(scene.sources):
            assert azimuth_deg(*plan.sources[k]) == pytest.approx(source.azimuth_deg, abs=0.7)
            side = "left" if source.azimuth_deg > 0 else "right"
            assert side in rows[k]
            assert minus(f"{source.azimuth_deg:+.0f}°") in rows[k]
            assert (plan.sources[k][0] < 0) == (side == "left")
            assert f"{source.distance_m:.2f} m" in rows[k]


def test_every_question_is_there_with_its_answer_and_its_sources(data: Path, tmp_path: Path) -> None:
    found = articles(page_of(data, tmp_path / "page"))
    asked = rows_of(data, "qa")
    assert len(asked) > 5
    for row in asked:
        buttons = re.findall(r"<button[^>]*class=\"question\".*?</button>", found[row["scene_id"]], re.DOTALL)
        (mine,) = [button for button in buttons if row["question"] in unescape(button)][:1]
        assert f'<b class="answer">{row["answer"]}</b>' in unescape(mine)
        assert f'data-sources="{" ".join(map(str, row["source_indices"]))}"' in mine


def test_the_audio_is_that_of_the_scene_raised_by_one_gain(data: Path, tmp_path: Path) -> None:
    html = page_of(data, tmp_path / "page")
    (gain_db,) = map(int, re.findall(r"raised by the same (\d+) dB", html))
    assert gain_db == 39  # 0.01 to 1 dB below full scale
    for scene in scenes_of(data):
        audio, rate = soundfile.read(tmp_path / "page" / "scenes" / f"{scene.scene_id}.flac")
        assert (rate, audio.shape) == (RATE, (int(SECONDS * RATE), 2))
        assert np.abs(audio).max(axis=0) == pytest.approx(0.01 * 10 ** (gain_db / 20) * np.array([1, 0.5]), rel=1e-2)


def test_scenes_split_questions_and_names_are_chosen(data: Path, tmp_path: Path) -> None:
    assert list(articles(page_of(data, tmp_path / "a", split="test"))) == ["test-00000002"]
    assert list(articles(page_of(data, tmp_path / "b", scene_id="train-00000001"))) == ["train-00000001"]
    assert len(articles(page_of(data, tmp_path / "c", count=2))) == 2
    assert page_of(data, tmp_path / "d", questions=1).count('class="question"') == 3
    with pytest.raises(DatasetError, match="has no scene 'test-00000009'"):
        write_preview(data, tmp_path / "e", scene_id="test-00000009")
    with pytest.raises(DatasetError, match="holds no questions in 'qa-none'; it holds qa"):
        write_preview(data, tmp_path / "e", table="qa-none")
    assert not (tmp_path / "e").exists()


def test_a_scene_whose_room_is_gone_says_so_and_shows_positions(data: Path, tmp_path: Path) -> None:
    html = page_of(data, tmp_path / "page")
    assert html.count("No outline: ") == 3
    assert "3 scenes without an outline" in html
    assert 'class="walls"' not in html


def test_a_planned_data_set_has_outlines_and_says_that_there_is_no_audio(tmp_path: Path) -> None:
    root = planned(tmp_path / "data", 4, QaRecipe(), splits="1,0,0")
    html = page_of(root, tmp_path / "page")
    assert html.count("has no audio here") == 4
    assert html.count('class="walls"') == 8
    assert "No outline" not in html
    assert "<audio" not in html


def test_a_room_that_has_changed_since_gets_no_outline(tmp_path: Path) -> None:
    root = planned(tmp_path / "data", 4, splits="1,0,0")

    def other(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["room_sha256"] = "0" * 64

    changed(root, "groups", other)
    html = page_of(root, tmp_path / "page")
    assert "has changed since it was rendered" in html
    assert 'class="walls"' not in html


def test_what_a_data_set_holds_is_text_and_never_markup(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    evil = "</script><script>alert(1)</script>\"'&"

    def spoil(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["region_label"] = evil
            for source in row["sources"]:
                source["labels"] = [evil]

    def ask(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["question"] = row["answer"] = row["rationale"] = row["subtype"] = evil

    changed(root, "scenes", spoil)
    changed(root, "qa", ask)
    html = page_of(root, tmp_path / "page")
    assert "<script>alert" not in html
    assert html.count("<script") == html.count("</script>") == 3


def test_an_id_that_leads_elsewhere_writes_nothing(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "er" / "data"
    shutil.copytree(data, root)

    def spoil(rows: list[dict[str, Any]]) -> None:
        rows[0]["scene_id"] = "train-../../../x"

    changed(root, "scenes", spoil)
    with pytest.raises(DatasetError, match="cannot name a file"):
        write_preview(root, tmp_path / "deep" / "page")
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"er"}


def test_rejected_draws_are_listed_with_their_reasons(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    assert "rejected draws" not in page_of(root, tmp_path / "page")
    folder = DatasetFolder(root)
    (record, *_) = folder.shards()
    reject = Reject("draw", "train-00000003", 0, "ClippedSceneError: it clips <here>")
    file = commit_text(root, f"{REJECTS}/{record.shard}.jsonl", json_lines([reject]), 1)
    folder.commit_shard(replace(record, files=(*record.files, file)))
    html = page_of(root, tmp_path / "page")
    assert "1 rejected draw" in html
    assert "train-00000003" in html
    assert "it clips &lt;here&gt;" in html


def test_what_is_not_known_is_a_dash(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)

    def forget(rows: list[dict[str, Any]]) -> None:  # as in questions that were imported
        for row in rows:
            row["audio"] = None
            for source in row["sources"]:
                source |= {"labels": [], "mids": [], "onset_s": None, "starts_s": None, "line_of_sight": None}

    changed(root, "scenes", forget)  # those of train
    html = page_of(root, tmp_path / "page")
    assert "3 of 3 scenes" in html
    assert html.count("has no audio here") == 2
    assert 'class="sounds">\N{EN DASH}</td>' in html
    assert [source["starts"] for source in scene_data(tmp_path / "page", "train-00000000")["sources"]] == [[], []]


def test_the_page_needs_no_network(data: Path, tmp_path: Path) -> None:
    write_preview(data, tmp_path / "page")
    for path in (tmp_path / "page").rglob("*"):
        if path.suffix in (".html", ".js", ".css"):
            assert not re.search(r"https?://(?!www\.w3\.org/)", path.read_text(encoding="utf-8")), path


def test_curves_of_a_scene_are_stored_with_its_onsets(data: Path, tmp_path: Path) -> None:
    write_preview(data, tmp_path / "page")
    held = scene_data(tmp_path / "page", "train-00000000")
    assert [source["starts"] for source in held["sources"]] == [[0.0], [0.5]]
    assert held["decays"] == []
    assert {"waveform", "spectrogram"} <= set(held)


def test_a_quiz_asks_one_question_of_each_scene_and_lets_subtypes_take_turns(data: Path, tmp_path: Path) -> None:
    html = page_of(data, tmp_path / "page", quiz=True)
    found = re.search(r'id="questions">(.*?)</script>', html)
    assert found
    asked = json.loads(found[1])
    subtypes = {row["qa_id"]: row["subtype"] for row in rows_of(data, "qa")}
    assert len({subtypes[one["qa_id"]] for one in asked}) == len(asked) == 3
    assert 'class="questions"' not in html
    assert {path.suffix for path in (tmp_path / "page" / "scenes").iterdir()} == {".flac"}


def test_a_quiz_without_questions_or_audio_is_refused(tmp_path: Path) -> None:
    root = planned(tmp_path / "data", 4, splits="1,0,0")
    with pytest.raises(DatasetError, match="has no questions about these scenes"):
        write_preview(root, tmp_path / "page", quiz=True)
    make_qa(root, QaRecipe())
    with pytest.raises(DatasetError, match="has no audio"):
        write_preview(root, tmp_path / "page", quiz=True)
    assert not (tmp_path / "page").exists()
