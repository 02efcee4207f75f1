"""A miniature of everything by the commands that a user types, from no data to an answer about a recording.

The recipes are the documented ones with fewer scenes and passes. What is asked is whether every stage hands on to the
next one and whether the models learn at all; how well they hear is docs/models.md's.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from spatialqa.dataset.reading import read_rows
from spatialqa.models.training.run_folder import read_log

FEW = ["--scenes", "80", "--workers", "0", "--engine-config", "indirect_ray_count=200"]
EARS = ["train-baseline", "single", "--recipe", "baseline-tiny", "--threads", "1", "--run", "ears"]
EARS += ["--class-epochs", "2", "--joint-epochs", "5", "--batch-size", "16"]
BAT = ["train-baseline", "single", "pairs", "--recipe", "bat-tiny", "--encoder", "ears", "--threads", "1"]
BAT += ["--run", "bat", "--curriculum", "A,B:2;A,B,C,D:2;A,B,C,D,E:2", "--batch-size", "8"]
ANSWER = ["--recipe", "bat-tiny", "--model", "bat", "--threads", "1"]
GREEDY = ["--model", "bat", "--beams", "1", "--max-new-tokens", "40", "--threads", "1"]


def spatialqa(folder: Path, *words: str) -> str:
    """Run a command in a folder and return what it wrote to stdout."""
    program = Path(sys.executable).with_name("spatialqa")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [program, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all stages but the last were run, one after the other. Add to it; change nothing."""
    folder = tmp_path_factory.mktemp("stages")
    # half of the places for half of the sounds: only then do both sets need equally many homes and hold out the same
    spatialqa(folder, "render", "single", "--recipe", "baseline-tiny", "--sources-per-group", "4", *FEW)
    spatialqa(folder, "render", "pairs", "--recipe", "bat-tiny", *FEW)
    for data in ("single", "pairs"):
        spatialqa(folder, "make-qa", data, "--recipe", "bat-tiny")
    spatialqa(folder, *EARS)
    spatialqa(folder, *BAT)
    for data in ("single", "pairs"):
        spatialqa(folder, "answer", data, "--to", f"{data}.jsonl", *ANSWER)
    spatialqa(folder, "answer", "pairs", "--to", "silent.jsonl", "--silence", *ANSWER)
    return folder


def asked(data: Path, split: str = "test") -> list[dict[str, Any]]:
    return [row for path in sorted((data / "qa").glob(f"{split}-*")) for row in read_rows(path)]


def answers(file: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({row["qa_id"] for row in rows}) == len(rows)
    return {row["qa_id"]: row["prediction"] for row in rows}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(("data", "sources", "types"), [("single", 1, {"A", "B"}), ("pairs", 2, {"C", "D", "E"})])
def test_each_set_has_three_splits_with_its_own_questions(made: Path, data: str, sources: int, types: set[str]) -> None:
    for split in ("train", "validation", "test"):
        scenes = [row for path in (made / data / "scenes").glob(f"{split}-*") for row in read_rows(path)]
        assert {len(row["sources"]) for row in scenes} == {sources}
        assert {row["type"] for row in asked(made / data, split)} == types


def test_the_encoder_learns(made: Path) -> None:
    rows = read_log(made / "ears/log.csv")
    for stage, before in (("class", 2), ("joint", 3)):
        losses = [float(row["loss"]) for row in rows if row["stage"] == stage]
        assert len(losses) > before
        assert fmean(losses[-before:]) < 0.85 * fmean(losses[:before]), losses
    assert {"best.pt", "last.pt", "loss.svg", "run.json", "validation.csv"} <= contents(made / "ears").keys()


def test_bat_learns_what_each_stage_of_its_curriculum_asks(made: Path) -> None:
    rows = read_log(made / "bat/log.csv")
    assert list(dict.fromkeys(row["stage"] for row in rows)) == ["AB", "ABCD", "ABCDE"]
    losses = [float(row["loss"]) for row in rows]
    assert fmean(losses[-20:]) < 0.4 * fmean(losses[:5]), losses
    validated = read_log(made / "bat/validation.csv")
    for row in validated:
        assert {name for name in row if name.startswith("loss_")} == {f"loss_{kind}" for kind in row["stage"]}
    assert {"best.pt", "last.pt", "loss.svg", "run.json"} <= contents(made / "bat").keys()


@pytest.mark.parametrize(("run", "command"), [("ears", EARS), ("bat", BAT)])
def test_a_training_that_is_over_changes_nothing_when_it_is_begun_again(
    made: Path, run: str, command: list[str]
) -> None:
    before = contents(made / run)
    spatialqa(made, *command)
    assert contents(made / run) == before


@pytest.mark.parametrize(("data", "types"), [("single", {"A", "B"}), ("pairs", {"C", "D", "E"})])
def test_every_test_question_is_answered_once_and_scored(made: Path, data: str, types: set[str]) -> None:
    said = answers(made / f"{data}.jsonl")
    assert said.keys() == {row["qa_id"] for row in asked(made / data)}
    control = ("--analyse", "--control", "silent.jsonl") if data == "pairs" else ()
    spatialqa(made, "score", f"{data}.jsonl", data, "--text-model", "none", "--json", f"{data}.json", *control)
    report = json.loads((made / f"{data}.json").read_text())
    assert {score["type"] for score in report["subtypes"]} == types
    assert report["answered"] == report["questions"] == len(said)
    assert not any(report[problem]["count"] for problem in ("missing", "unknown", "duplicates"))
    assert ("analysis" in report) == bool(control)


def test_bat_has_learned_how_answers_look_and_where_they_end(made: Path) -> None:
    said = answers(made / "pairs.jsonl")
    of_reasoning = [said[row["qa_id"]] for row in asked(made / "pairs") if row["subtype"] == "relative_direction"]
    assert of_reasoning
    assert sum(text in ("Yes", "No") for text in of_reasoning) > 0.6 * len(of_reasoning)
    of_place = [said[row["qa_id"]] for row in asked(made / "pairs") if row["type"] == "D"]
    place = re.compile(r"(left|right), (front|behind), (above|below); \d+(\.5)?m")
    assert sum(place.fullmatch(text) is not None for text in of_place) > 0.8 * len(of_place)


def test_answering_again_adds_nothing(made: Path) -> None:
    before = (made / "pairs.jsonl").read_bytes()
    printed = spatialqa(made, "answer", "pairs", "--to", "pairs.jsonl", *ANSWER)
    assert (made / "pairs.jsonl").read_bytes() == before
    assert f"{len(before.splitlines())} of them from before" in printed


def test_a_recording_gets_the_answer_that_its_scene_got_and_silence_is_the_same_in_all(made: Path) -> None:
    of_scene = {row["scene_id"]: row for row in asked(made / "pairs") if row["type"] == "D"}
    first, *others = rows = list(of_scene.values())[:4]
    agree = []
    for row in rows:
        spatialqa(made, "preview", "pairs", "--scene", row["scene_id"], "--wav", "wav")
        heard = spatialqa(made, "listen", f"wav/{row['scene_id']}.wav", row["question"], *GREEDY)
        assert heard.strip()
        agree.append(heard == answers(made / "pairs.jsonl")[row["qa_id"]] + "\n")
    assert all(agree)
    silent = spatialqa(made, "listen", f"wav/{first['scene_id']}.wav", others[-1]["question"], "--silence", *GREEDY)
    assert silent == answers(made / "silent.jsonl")[others[-1]["qa_id"]] + "\n"
