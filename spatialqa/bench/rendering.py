"""Benchmarks rendering: CPU time of the pipeline against the same work done by bare calls in a loop.

The bare loop is what a user would write without this package, for scenes that are already planned: the engine's calls
(of soundspaces, its C calls) with the mesh available, clips read, resampled and scaled, one FFT convolution a source,
FLAC, and nothing else.
"""

import io
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import soundfile
import soxr
from rich.table import Table

from spatialqa.acoustics.engine import Engine, OpenRoom
from spatialqa.acoustics.soundspaces import rlr_api
from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine, SoundSpacesRoom
from spatialqa.bench.memory import peak_memory_gib
from spatialqa.clips.clip import ClipRecord, ClipSet
from spatialqa.core.console import stdout
from spatialqa.core.scene import ListenerGroup, Scene, Source
from spatialqa.core.stopwatch import Stopwatch
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows, read_scenes
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.plan import RunPlan
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import rirs_of
from spatialqa.generation.run import Run, prepare_run, run_record
from spatialqa.generation.runner import render_dataset
from spatialqa.generation.schedule import ShardPlan
from spatialqa.generation.shard import ShardMaker
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe

STAGES = ("room", "placement", "simulation", "clips", "convolution", "encoding", "writing")


@dataclass(frozen=True)
class Figures:
    """What a bench measured: pairs of a name and a number with its unit, in the order of printing."""

    title: str
    rows: tuple[tuple[str, float, str], ...]

    def as_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps({"bench": self.title, **{name: value for name, value, _ in self.rows}})


def bench_render(recipe: RenderRecipe) -> Figures:
    """Render a recipe's training scenes by the pipeline and by bare calls, shard by shard in turn.

    With `workers` of 2 or more it also renders with one and with that many Ray workers and compares wall times.

    Raises:
        SpatialQAError: the recipe cannot be rendered.
    """
    with tempfile.TemporaryDirectory(prefix="spatialqa-bench-") as folder:
        run, plan = prepare_run(recipe, Path(folder) / "pipeline")
        DatasetFolder(run.root).claim(run_record(run, plan))
        ShardMaker(run, engine_for(recipe)).make(plan.shards[0])  # late imports and first touches are not counted
        watch = Stopwatch()
        maker = ShardMaker(run, engine_for(recipe), watch)
        bare = _BareLoop(run, maker.engine)
        ours_s = bare_s = 0.0
        n_rirs = n_scenes = 0
        for shard in plan.shards:
            start = time.process_time()
            record = maker.make(shard)
            ours_s += time.process_time() - start
            n_scenes += record.scenes
            stored = _stored_groups(run, shard)
            n_rirs += sum(len(row["source_positions"]) for row, _ in stored)
            rooms = {row["room_id"]: run.rooms.load(row["room_id"]) for row, _ in stored}
            with_rooms = [(bare.engine.open(rooms[row["room_id"]]), row, scenes) for row, scenes in stored]
            start = time.process_time()
            for room, row, scenes in with_rooms:
                bare.group(room, row, scenes)
            bare_s += time.process_time() - start
            for room, _, _ in with_rooms:
                room.close()
        stages = [(f"share of {name}", watch.cpu_s[name] / ours_s, "") for name in STAGES]
        rows = [
            ("scenes", float(n_scenes), ""),
            ("RIRs", float(n_rirs), ""),
            ("scenes/s of CPU time", n_scenes / ours_s, "1/s"),
            ("RIRs/s of CPU time in simulation", n_rirs / watch.cpu_s["simulation"], "1/s"),
            *stages,
            ("share of everything else", 1.0 - sum(watch.cpu_s[name] for name in STAGES) / ours_s, ""),
            ("CPU time, pipeline / bare calls", ours_s / bare_s, "x"),
            ("the same without opening rooms", (ours_s - watch.cpu_s["room"]) / bare_s, "x"),
            ("peak memory of the process", peak_memory_gib(), "GiB"),
        ]
        if recipe.workers and recipe.workers > 1:
            rows += _bench_workers(recipe, plan, Path(folder))
    return Figures(
        f"render, rooms {recipe.rooms}, clips {recipe.clips}, engine {run.identity.name} {recipe.preset}", tuple(rows)
    )


class _BareLoop:
    """Bare calls: no checks, no truth, no schema."""

    def __init__(self, run: Run, engine: Engine) -> None:
        self.recipe = run.recipe
        self.engine = engine
        self.clips: ClipSet = run.clips
        self.records = {record.clip_id: record for records in run.clips_by_split.values() for record in records}
        self.dry: dict[str, npt.NDArray[np.float32]] = {}

    def group(self, room: OpenRoom, row: dict[str, Any], scenes: Sequence[Scene]) -> None:
        rirs = self._rirs(room, ListenerGroup.from_row(row))
        n = round(self.recipe.duration_s * self.recipe.sample_rate)
        for scene in scenes:
            total = np.zeros((rirs[0].shape[0], n), dtype=np.float32)
            for source in scene.sources:
                rir = rirs[source.place]
                dry, first = self._played(source, n)
                n_out = len(dry) + rir.shape[1] - 1
                n_fft = scipy.fft.next_fast_len(n_out, real=True)
                wet = scipy.fft.irfft(scipy.fft.rfft(dry, n_fft) * scipy.fft.rfft(rir, n_fft), n_fft)
                kept = min(n - first, n_out)
                total[:, first : first + kept] += wet[:, :kept]
            total *= np.float32(10.0 ** (self.recipe.gain_db / 20.0))
            soundfile.write(io.BytesIO(), total.T, self.recipe.sample_rate, format="FLAC", subtype="PCM_24")

    def _played(self, source: Source, n: int) -> tuple[npt.NDArray[np.float32], int]:
        """Return what a source plays, from its first sample to its last, and at which sample of the scene it begins."""
        rate = self.recipe.sample_rate
        clip = self._dry(self.records[source.clip_id])
        end = None if source.clip_end_s is None else round(source.clip_end_s * rate)
        piece = clip[round((source.clip_start_s or 0.0) * rate) : end]
        begins = [round(start * rate) for start in source.starts_s or (source.onset_s,)]
        first = begins[0]
        dry = np.zeros(min(n, begins[-1] + len(piece)) - first, dtype=np.float32)
        for begin in begins:
            part = dry[begin - first :][: len(piece)]
            part += piece[: len(part)]
        return dry, first

    def _rirs(self, room: OpenRoom, group: ListenerGroup) -> Sequence[npt.NDArray[np.float32]]:
        if isinstance(self.engine, SoundSpacesEngine) and isinstance(room, SoundSpacesRoom):
            with rlr_api.Context(self.engine.configuration(room.ray_depth(group.listener.position))) as context:
                room.load(
                    context,
                    group.listener,
                    [place.position for place in group.places],
                    self.engine.ears(group.subject).hrtf,
                )
                context.simulate()
                return [context.impulse_response(k) for k in range(len(group.places))]
        return rirs_of(group, room)

    def _dry(self, record: ClipRecord) -> npt.NDArray[np.float32]:
        if record.clip_id not in self.dry:
            raw = self.clips.load(record)
            audio = raw.audio
            if raw.sample_rate != self.recipe.sample_rate:
                audio = soxr.resample(audio, raw.sample_rate, self.recipe.sample_rate, quality="VHQ")
            scale = 10.0 ** (self.recipe.clip_rms_dbfs / 20.0) / float(np.sqrt(np.mean(audio * audio)))
            self.dry[record.clip_id] = np.asarray(audio * scale, dtype=np.float32)
        return self.dry[record.clip_id]


def _stored_groups(run: Run, shard: ShardPlan) -> list[tuple[dict[str, Any], list[Scene]]]:
    scenes = list(read_scenes(run.root / "scenes" / f"{shard.name}.parquet"))
    rows = read_rows(run.root / "groups" / f"{shard.name}.parquet")
    return [(row, [scene for scene in scenes if scene.group_id == row["group_id"]]) for row in rows]


class Silent:
    """An observer of a run that shows nothing."""

    def started(self, total: int, done: int, workers: int) -> None:
        """Nothing."""

    def advanced(self, scenes: int) -> None:
        """Nothing."""


def _bench_workers(recipe: RenderRecipe, plan: RunPlan, folder: Path) -> list[tuple[str, float, str]]:
    """Render the whole run with one and with several workers; what is compared is wall time, their start included."""
    workers = recipe.workers or 2
    wall_s = {}
    for n in (1, workers):
        start = time.perf_counter()
        render_dataset(replace(recipe, workers=n), folder / f"workers-{n}", Silent())
        wall_s[n] = time.perf_counter() - start
    return [
        ("shards", float(len(plan.shards)), ""),
        (f"wall time, 1 worker / {workers} workers", wall_s[1] / wall_s[workers], "x"),
    ]


def bench_questions(recipe: RenderRecipe) -> Figures:
    """Plan a recipe's scenes without audio and measure the CPU time of a whole `make-qa` over them."""
    with tempfile.TemporaryDirectory(prefix="spatialqa-bench-") as folder:
        root = Path(folder) / "planned"
        render_dataset(replace(recipe, plan_only=True), root, Silent())
        before = peak_memory_gib()
        start = time.process_time()
        summary = make_qa(root, QaRecipe())
        cpu_s = time.process_time() - start
        after = peak_memory_gib()
    n_questions = sum(summary.questions.values())
    rows = (
        ("scenes", float(summary.scenes), ""),
        ("questions", float(n_questions), ""),
        ("questions/s of CPU time", n_questions / cpu_s, "1/s"),
        ("peak memory of the process", after, "GiB"),
        ("of that, added by make-qa", after - before, "GiB"),
    )
    return Figures(f"make-qa, rooms {recipe.rooms}", rows)


def print_figures(figures: Figures, as_json: bool) -> None:
    """Print figures as a table or as JSON."""
    if as_json:
        stdout.print(figures.as_json(), markup=False)
        return
    table = Table(title=figures.title, box=None, show_header=False, title_justify="left")
    for name, value, unit in figures.rows:
        shown = f"{100 * value:.1f} %" if name.startswith("share") else f"{value:.3g} {unit}"
        if value == int(value) and not unit and not name.startswith("share"):
            shown = str(int(value))
        table.add_row(name, shown)
    stdout.print(table)
