"""The page works in a real browser: Chromium, from a file, without a network. Skipped where there is none."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialqa.generation.recipe import RenderRecipe
from spatialqa.scoring.predictions import read_predictions
from spatialqa.scoring.results import METRICS
from spatialqa.scoring.score import score
from spatialqa.views.preview_page import write_preview
from spatialqa.views.report_page import write_report
from spatialqa.views.room_page import show_room, write_room_page
from spatialqa.views.scene_plot import scene_svg
from spatialqa.views.sound_curves import BANDS, COLUMNS
from tests.fixtures.datasets import rows_of
from tests.views.pages import RATE, SECONDS, dataset_for_pages, scenes

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def watched(page: Any) -> list[str]:
    """Return a list that gathers what a page says that is wrong."""
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser")
    return write_preview(dataset_for_pages(folder / "data"), folder / "page").index.as_uri()


@pytest.fixture
def page(browser: Any, index: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    problems = watched(page)
    page.goto(index)
    page.wait_for_selector("article[data-ready]", state="attached")
    yield page
    assert problems == []
    context.close()


def test_sources_are_painted_on_the_side_that_the_table_says(page: Any) -> None:
    for article in page.locator("article.scene").all():
        article.scroll_into_view_if_needed()
        head = article.locator("svg.plan g.head circle").bounding_box()
        for row in article.locator("tbody tr").all():
            source = row.get_attribute("data-source")
            dot = article.locator(f"svg.plan g.source[data-source='{source}'] circle").bounding_box()
            words = row.locator("td.words").inner_text()
            middle = [box["x"] + box["width"] / 2 for box in (dot, head)]
            assert ("left" in words) == (middle[0] < middle[1])
            level = [box["y"] + box["height"] / 2 for box in (dot, head)]
            assert ("front" in words) == (level[0] < level[1])
            beside = article.locator(f"svg.section g.source[data-source='{source}'] circle").bounding_box()
            ears = article.locator("svg.section g.head circle").bounding_box()
            assert ("above" in words) == (beside["y"] + beside["height"] / 2 < ears["y"] + ears["height"] / 2)


def test_it_plays_what_it_shows(page: Any) -> None:
    seconds = page.evaluate(
        """async () => { const audio = document.querySelector("audio"); audio.muted = true; await audio.play();
        return audio.duration; }"""
    )
    assert seconds == pytest.approx(SECONDS, abs=0.01)
    page.wait_for_function("() => document.querySelector('audio').currentTime > 0.2")
    assert page.locator(".playhead").first.is_visible()


def test_a_question_highlights_its_sources_until_it_is_pressed_again(page: Any) -> None:
    article = page.locator("article.scene").first
    button = article.locator(".question[data-sources='0']").first
    button.click()
    assert article.locator("svg.plan g.source.on").count() == 1
    assert article.locator("svg.plan g.source.on").get_attribute("data-source") == "0"
    assert article.locator("tbody tr.on").count() == 1
    assert button.get_attribute("aria-pressed") == "true"
    page.mouse.move(0, 0)
    assert article.locator("g.source.on").count() == 2  # in both drawings
    page.keyboard.press("Escape")
    assert article.locator("g.source.on").count() == 0


def test_filters_show_what_fits_and_say_how_much(page: Any) -> None:
    def shown() -> int:
        return int(page.locator("article.scene:visible").count())

    assert shown() == 3
    page.select_option("select[name=class]", "Whistle")
    assert (shown(), page.locator("#count").inner_text().split(",")[0]) == (1, "1 scene")
    page.click("button[type=reset]")
    page.wait_for_function("() => document.querySelectorAll('article.scene:not([hidden])').length === 3")
    page.select_option("select[name=class]", "Bark")
    page.select_option("select[name=direction]", "right")
    assert page.locator("article.scene:visible").get_attribute("id") == "test-00000002"
    page.select_option("select[name=direction]", "behind")
    assert shown() == 2
    page.select_option("select[name=sight]", "occluded")  # of the same source: a bark that is occluded
    assert shown() == 0
    assert page.locator("#none").is_visible()
    page.click("button[type=reset]")
    page.select_option("select[name=type]", "E")
    kinds = page.locator(".question:visible").evaluate_all("found => [...new Set(found.map(q => q.dataset.type))]")
    assert kinds == ["E"]


def test_keys_go_through_scenes_and_highlight(page: Any) -> None:
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == "train-00000000"
    page.keyboard.press("2")
    assert page.locator("article.scene").first.locator("svg.plan g.source.on").get_attribute("data-source") == "1"
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == "train-00000001"
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.id") == "train-00000000"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "type"


def test_every_control_has_a_name(page: Any) -> None:
    unnamed = page.locator("button, select, audio, canvas, svg, [role=region]").evaluate_all(
        """found => found.filter(part => !(part.getAttribute("aria-label") || part.labels?.length
        || part.textContent.trim())).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("width", [360, 1280, 2560])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_wider_than_the_window_and_text_has_contrast(page: Any, width: int, theme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratios = page.evaluate(
        """() => {
        const style = getComputedStyle(document.documentElement);
        const light = (name) => { const hex = style.getPropertyValue(name).trim().slice(1);
          const [r, g, b] = [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16) / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const pairs = [["--ink", "--paper"], ["--soft", "--paper"], ["--soft", "--ground"], ["--accent", "--paper"],
          ["--ink", "--mark"], ...[0, 1, 2, 3, 4, 5].flatMap((k) => [[`--s${k}`, "--paper"], [`--s${k}`, "--number"]])];
        return pairs.map(([a, b]) => { const both = [light(a), light(b)];
          return [a, b, (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05)]; });
        }"""
    )
    assert [pair for pair in ratios if pair[2] < 4.5] == []


def test_two_hundred_scenes_load_audio_lazily_and_filter_at_once(browser: Any, tmp_path: Path) -> None:
    index = write_preview(dataset_for_pages(tmp_path / "data", 200), tmp_path / "page", count=200).index
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(index.as_uri())
    page.wait_for_selector("article[data-ready]", state="attached")
    assert page.locator("article.scene").count() == 200
    assert sum(url.endswith((".ogg", ".flac")) for url in asked) < 20
    took = page.evaluate(
        """() => { const select = document.querySelector("select[name=class]"); const times = [];
        for (const value of ["Whistle", "Bark", ""]) { const before = performance.now(); select.value = value;
          select.dispatchEvent(new Event("change", { bubbles: true })); document.body.offsetHeight;
          times.push(performance.now() - before); }
        return Math.max(...times); }"""
    )
    assert took < 100
    page.close()


@pytest.mark.parametrize("kind", ["report", "two reports", "room", "quiz"])
def test_other_pages_load_without_an_error_and_fit_the_window(browser: Any, tmp_path: Path, kind: str) -> None:
    root = dataset_for_pages(tmp_path / "data")
    if kind == "room":
        shown = show_room(RenderRecipe(rooms="procedural"), "home-324489")
        write_room_page(shown, index := tmp_path / "room.html")
    elif kind == "quiz":
        index = write_preview(root, tmp_path / "page", quiz=True).index
    else:
        beside = dataset_for_pages(tmp_path / "other") if kind == "two reports" else None
        index = write_report(root, tmp_path / "page", beside=beside).index
    for width in (360, 1280, 2560):
        page = browser.new_page(viewport={"width": width, "height": 900})
        problems = watched(page)
        page.goto(index.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert problems == []
        page.close()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_for_pages(tmp_path_factory.mktemp("quiz") / "data")


@pytest.fixture
def quiz(browser: Any, asked: Path, tmp_path: Path) -> Iterator[Any]:
    index = write_preview(asked, tmp_path / "page", quiz=True, questions=20).index
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    problems = watched(page)
    page.goto(index.as_uri())
    yield page
    assert problems == []
    page.close()


def answer(page: Any, row: dict[str, Any]) -> None:
    """Fill in the answer of a question, as a person would."""
    if page.locator("input[name=axis0]").count():
        for k, word in enumerate(row["answer_direction"]):
            page.locator(f"input[name=axis{k}][value='{word}']").check()
        page.fill("input[name=metres]", row["answer"].rpartition("; ")[2].removesuffix("m"))
    elif page.locator("input[name=metres]").count():
        page.fill("input[name=metres]", row["answer"].removesuffix("m"))
    elif page.locator("input[type=radio]").count():
        page.locator(f"input[type=radio][value='{row['answer']}']").check()
    else:
        page.fill("input[name=answer]", row["answer"])
    page.click("#submit")


def test_a_quiz_hides_answers_keeps_score_and_saves_what_score_reads(quiz: Any, asked: Path, tmp_path: Path) -> None:
    rows = {row["question"]: row for row in rows_of(asked, "qa")}
    kinds = set()
    quiz.click("#skip")
    while quiz.locator("#asking").is_visible():
        row = rows[quiz.locator("#question").inner_text()]
        kinds.add(row["subtype"])
        assert not quiz.locator("#reveal").is_visible()
        assert quiz.locator("#picture svg").count() == 0 or not quiz.locator("#picture").is_visible()
        answer(quiz, row)
        assert quiz.locator("#verdict").inner_text().startswith("Right.")
        assert row["answer"] in quiz.locator("#verdict").inner_text()
        assert quiz.locator("#picture svg.plan g.source.on").count() == len(set(row["source_indices"]))
        quiz.click("#next")
    assert {"classification", "location", "location_of_class", "relative_distance", "distance_between"} <= kinds
    assert f"{len(rows)} of {len(rows)} right" in quiz.locator("#summary").inner_text()
    with quiz.expect_download() as saved:
        quiz.click("#save")
    assert saved.value.suggested_filename == "answers-headphones-not-checked.jsonl"
    saved.value.save_as(tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert {frozenset(line) for line in lines} == {frozenset(("qa_id", "prediction"))}
    report = score(read_predictions(tmp_path / "answers.jsonl"), asked, "qa", None, "none", 0, False)
    assert report.answered == report.questions == len(rows)
    shares = [
        (scored.subtype, name, metric.value)
        for scored in report.subtypes
        for name, metric in scored.metrics.items()
        if METRICS[name].unit == "%" and not METRICS[name].lower_is_better and metric.value is not None
    ]
    assert len(shares) >= len(report.subtypes)
    assert [share for share in shares if share[2] < 1.0] == []


def test_a_quiz_goes_on_after_a_reload_and_counts_a_wrong_answer(quiz: Any) -> None:
    quiz.click("#skip")
    first = quiz.locator("#question").inner_text()
    quiz.fill("input[name=answer]", "something else")
    quiz.click("#submit")
    assert quiz.locator("#verdict").inner_text().startswith("Wrong.")
    quiz.reload()
    assert "answered 1 of" in quiz.locator("#resume").inner_text()
    quiz.click("#skip")
    assert quiz.locator("#question").inner_text() != first
    assert quiz.locator("#score").inner_text() == "0 of 1 right"


@pytest.mark.parametrize("hears", ["all", "sides alone"])
def test_the_headphone_check_passes_who_hears_it_and_says_who_does_not(quiz: Any, hears: str) -> None:
    quiz.evaluate(
        """() => { const made = Headphones.trials; Headphones.play = async () => {};
        Headphones.trials = () => (window.trials = made()); }"""
    )
    quiz.click("#check")
    for k in range(6):
        quiz.click("#play")
        right = quiz.evaluate(f"window.trials[{k}].right")
        wrong = quiz.evaluate(f"window.trials[{k}].replies.find(reply => reply !== window.trials[{k}].right)")
        quiz.click(f"#replies button:text-is('{right if hears == 'all' or k < 3 else wrong}')")
    if hears == "all":
        assert quiz.locator("#asking").is_visible()
    else:
        assert "3 of 6 right" in quiz.locator("#task").inner_text()
        quiz.click("#replies button:text-is('Continue')")
    quiz.click("#finish")
    assert ("passed" if hears == "all" else "3 of 6 right") in quiz.locator("#summary").inner_text()


def test_the_tones_of_the_headphone_check_are_what_they_are_called(quiz: Any) -> None:
    trials = quiz.evaluate("Headphones.trials()")
    for one in trials[:3]:
        assert one["tones"] == [[1, 0] if one["right"] == "left" else [0, 1]]  # channel 0 is the left ear
    for one in trials[3:]:
        assert one["tones"][one["replies"].index(one["right"])] == [0.5, 0.5]
        assert sorted(one["tones"]) == [[0.5, 0.5], [1, -1], [1, 1]]


def test_a_browser_decodes_the_images_of_a_plot(browser: Any, tmp_path: Path) -> None:
    scene = scenes()[0]
    audio = np.random.default_rng(1).normal(size=(2, int(RATE * SECONDS))).astype(np.float32)
    (tmp_path / "scene.svg").write_text(scene_svg(scene, None, audio))
    page = browser.new_page()
    page.goto((tmp_path / "scene.svg").as_uri())
    sizes = page.evaluate(
        """async () => Promise.all([...document.querySelectorAll("image")].map(async (part) => {
        const image = new Image(); image.src = part.getAttribute("href"); await image.decode();
        return [image.naturalWidth, image.naturalHeight]; }))"""
    )
    assert sizes == [[COLUMNS, BANDS]] * 2
    page.close()
