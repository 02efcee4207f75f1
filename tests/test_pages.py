"""Pages that lead through a task are run from top to bottom, with few short scenes; other blocks are accounted for."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import soundfile

import spatialqa as sqa
from spatialqa.cli.main import cli
from spatialqa.core.recipe_keys import build
from spatialqa.generation.inputs import clips_for
from spatialqa.generation.recipe import RenderRecipe

REPO = Path(__file__).parents[1]
DOCS = REPO / "docs"
WALKS = ["quick-start.md", "tour.md", *sorted(f"how-to/{path.name}" for path in (DOCS / "how-to").glob("*.md"))]
_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<kind>\w+)\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
OUTSIDE = {"README.md", "CONTRIBUTING.md"}  # of docs/; other tests run their Python blocks
PYTHON_ALONE = ("labels.md", "scoring.md")  # walked, but for their commands
# tests/test_readme.py parses their commands; tests/acoustics/geometric and tests/models run the like
CHECKED_ALONE = {"engines.md", "models.md", "model-results.md"}
RUN_BY_OTHER_TESTS = {  # Python blocks
    "README.md": "tests/test_readme.py",
    "python.md": "tests/test_api.py",
}
_CHEAP = ("--duration-s", "1", "--workers", "0", "--sample-rate", "16000")
_WITH_AUDIO = ("tour.md", "how-to/score-llm.md", "labels.md")  # elsewhere commands plan: others test what they render
_SCENES = {"tour.md": "24"}  # elsewhere four are enough


class Block(NamedTuple):
    """A fenced block: its language, its code, and the comment above it."""

    kind: str
    code: str
    mark: str


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["kind"], textwrap.dedent(match["code"]), match["mark"] or "") for match in found]


def put_clips() -> None:
    recipe = build(RenderRecipe, {"foley_clips_per_class": 4, "classes": ["Bark", "Knock", "Meow", "Cough"]}, "a test")
    clips = clips_for(recipe)
    for record in clips.records():
        raw = clips.load(record)
        path = Path("clips") / record.labels[0] / f"{record.clip_id.replace('/', '-')}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, raw.audio, raw.sample_rate)


def put_house() -> None:
    import trimesh

    box = trimesh.creation.box((6, 5, 2.8))
    trimesh.Scene({"floor": box}).export("house.glb")


def put_data(out: str, *more: str) -> Callable[[], None]:
    def put() -> None:
        run(["render", out, *more])
        run(["make-qa", out])

    return put


def put_predictions() -> None:
    put_data("spatialqa-out", "--splits", "0,0,1")()
    rows = sqa.load_dataset("spatialqa-out").questions("test").to_pylist()
    lines = [json.dumps({"qa_id": row["qa_id"], "prediction": row["answer"]}) for row in rows]
    Path("predictions.jsonl").write_text("\n".join(lines), encoding="utf-8")


PUT: dict[str, Callable[[], None]] = {
    "tour.md": put_clips,
    "how-to/own-rooms.md": put_house,
    "how-to/own-clips.md": put_clips,
    "how-to/wording.md": put_data("out/demo"),
    "how-to/hub.md": lambda: run(["render", "out/demo"], "2", audio=True),
    "labels.md": lambda: run(["render", "out"], audio=True),
    "scoring.md": put_predictions,
}


def run(words: list[str], scenes: str = "4", audio: bool = False) -> None:
    """Run a command of ours in this process, with few and short scenes; it must end with code 0."""
    if words[0] == "render":
        words = [*words, *_CHEAP, *(() if audio else ("--plan-only",))]
        if "--placements" not in words:
            words += ["--scenes", scenes, "--sources-per-group", "2"]
            words += [] if {"--clips", "--from"} & {*words} else ["--foley-clips-per-class", "5"]
            words += [] if "--rooms" in words else ["--home-kinds", "shoebox"]
        words += [] if "--engine" in words else ["--engine", "geometric"]
    if words[0] == "audit":
        words = [*words, "--max-questions", "20"]
    code: Any = 0
    try:
        cli.main(words, standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    assert not code, words


def run_block(block: Block, names: dict[str, Any], page: str) -> None:
    if block.kind == "python":
        exec(block.code, names)
    elif block.kind == "yaml":
        Path("materials.yaml").write_text(block.code, encoding="utf-8")
    elif block.mark.startswith("save as: "):
        Path(block.mark.removeprefix("save as: ")).write_text(block.code, encoding="utf-8")
    else:
        assert block.kind == "bash", block
        for line in block.code.splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "python":
                environment = {**os.environ, "PYTHONPATH": str(REPO)}
                subprocess.run([sys.executable, *words[1:]], check=True, env=environment)
            else:
                assert words[0] == "spatialqa", line
                run(words[1:], _SCENES.get(page, "4"), page in _WITH_AUDIO)


@pytest.mark.soundspaces
@pytest.mark.parametrize("page", [*WALKS, *PYTHON_ALONE, *sorted(OUTSIDE)])
def test_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PUT.get(page, lambda: None)()
    names: dict[str, Any] = {}
    kinds = {"python"} if page in PYTHON_ALONE else {"bash"} if page in OUTSIDE else None
    for block in blocks((REPO if page in OUTSIDE else DOCS) / page):
        if not block.mark.startswith("not run: ") and (kinds is None or block.kind in kinds):
            run_block(block, names, page)


def test_every_block_is_run_or_says_why_not() -> None:
    for path in (*REPO.glob("*.md"), *DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else path.name
        for block in blocks(path):
            assert not block.mark or re.match(r"(not run|save as): \S", block.mark), f"{page}: {block.mark}"
            if block.kind == "python":
                assert page in {*WALKS, *PYTHON_ALONE, *RUN_BY_OTHER_TESTS}, page
            elif block.kind == "bash":
                assert block.mark or page in {*WALKS, *OUTSIDE, *CHECKED_ALONE}, f"{page}: {block.code}"


def test_marks_name_tests_that_there_are() -> None:
    for path in (*REPO.glob("*.md"), *DOCS.rglob("*.md")):
        for block in blocks(path):
            for named in re.findall(r"\b(?:tests|docs)/[\w./-]+", block.mark):
                assert (REPO / named).exists(), f"{path.name}: {named}"
