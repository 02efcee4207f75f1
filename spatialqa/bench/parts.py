"""Benchmarks parts of the pipeline by themselves: homes, foley clips, planning, questions, the start of a command."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from spatialqa.acoustics.no_engine import NoEngine
from spatialqa.bench.memory import peak_memory_gib
from spatialqa.bench.rendering import Figures, Silent
from spatialqa.clips.foley.clips import CLASSES, synthesise
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.generation.inputs import rooms_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.runner import render_dataset
from spatialqa.generation.shard import placer_for
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe

_HOMES = 40
_CLIPS_PER_CLASS = 6


def bench_parts(recipe: RenderRecipe) -> Figures:
    """Measure the CPU time of each part.

    Args:
        recipe: its number of scenes is planned, in procedural homes, and asked about.

    Raises:
        SpatialQAError: the recipe cannot be planned.
    """
    planned = replace(recipe, rooms="procedural", plan_only=True, workers=0)
    with tempfile.TemporaryDirectory(prefix="spatialqa-bench-") as name:
        root = Path(name) / "planned"
        render_dataset(replace(planned, scenes=64), Path(name) / "first", Silent())  # late imports, compiled kernels
        make_qa(Path(name) / "first", QaRecipe())
        validate_dataset(Path(name) / "first")
        plan_s = _cpu_s(lambda: render_dataset(planned, root, Silent()))
        before_gib = peak_memory_gib()
        questions: dict[str, int] = {}
        asked_s = _cpu_s(lambda: questions.update(make_qa(root, QaRecipe()).questions))
        checked_s = _cpu_s(lambda: validate_dataset(root))
        count = sum(questions.values())
        rows = (
            ("opening a home, places surveyed", 1000 * _home_s(planned), "ms"),
            ("a foley clip, mean over the default classes", 1000 * _foley_s(), "ms"),
            ("scenes planned without audio", float(planned.scenes), ""),
            ("planning, scenes/s of CPU time", planned.scenes / plan_s, "1/s"),
            ("peak memory of the process, planned", before_gib, "GiB"),
            ("questions", float(count), ""),
            ("make-qa, questions/s of CPU time", count / asked_s, "1/s"),
            ("validate without rooms, questions/s of CPU time", count / checked_s, "1/s"),
            ("render of 1 scene, the whole command", _command_s(Path(name) / "one"), "s"),
            ("the same with --plan-only", _command_s(Path(name) / "plan", "--plan-only"), "s"),
            ("spatialqa --version", _command_s(None), "s"),
        )
    return Figures("parts of the pipeline, CPU time", rows)


def _cpu_s(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _home_s(recipe: RenderRecipe) -> float:
    """Return what opening a procedural home costs in the mean: it is drawn, and surveyed for places."""
    rooms = rooms_for(recipe)
    acoustic = NoEngine(recipe.sample_rate)
    ids = rooms.room_ids(_HOMES, recipe.seed)

    def open_all() -> None:
        for room_id in ids:
            room = rooms.load(room_id)
            placer_for(recipe, room, acoustic.open(room))

    return _cpu_s(open_all) / len(ids)


def _foley_s() -> float:
    default = [sound.slug for sound in CLASSES if sound.default]
    for slug in default:
        synthesise(f"foley/{slug}/{0:06d}")  # kernels are compiled

    def make_all() -> None:
        for slug in default:
            for index in range(1, 1 + _CLIPS_PER_CLASS):
                synthesise(f"foley/{slug}/{index:06d}")

    return _cpu_s(make_all) / (_CLIPS_PER_CLASS * len(default))


def _command_s(out: Path | None, *options: str) -> float:
    """Return the CPU time of a command of its own, its child processes included: the least of three."""
    command = [sys.executable, "-m", "spatialqa"]
    times = []
    for k in range(3):
        whole = (
            [*command, "render", f"{out}-{k}", "--scenes", "1", "--workers", "0", *options]
            if out
            else [*command, "--version"]
        )
        before = os.times()
        subprocess.run(whole, capture_output=True, check=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(times)
