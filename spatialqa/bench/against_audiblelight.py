"""Compares the CPU time of a scene with that of AudibleLight, a generator of soundscapes that uses SoundSpaces' engine.

AudibleLight runs in an environment of its own. Both sides have the same mesh, clips, sources per scene, length and
sample rate, and with soundspaces the same rays and bounces. AudibleLight places sources itself, as spatialqa does.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import trimesh

from spatialqa.acoustics.engines import available
from spatialqa.bench.rendering import Figures, Silent
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import RecipeError, UnfinishedError
from spatialqa.generation.inputs import engine_for, rooms_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import prepare_bank, prepare_run, run_record
from spatialqa.generation.runner import make_shards
from spatialqa.generation.shard import ShardMaker

SETTINGS = ((5000, 200), (1000, 60))  # rays and bounces of AudibleLight
_REUSE: dict[str, Any] = {"scenes_per_group": 16, "sources_per_group": 8}
_NO_REUSE: dict[str, Any] = {"scenes_per_group": 1, "sources_per_group": 2}


def bench_against_audiblelight(recipe: RenderRecipe, python: str) -> Figures:
    """Render two-source scenes of one mesh with both programs, all in one run.

    Args:
        recipe: rooms of one mesh file, clips from a folder; says how many scenes.
        python: a Python that has AudibleLight.

    Raises:
        SpatialQAError: the recipe names other rooms or clips, or that Python has no AudibleLight.
    """
    if not recipe.rooms.startswith("mesh:") or not recipe.clips.startswith("folder:"):
        raise RecipeError(
            "--against audiblelight compares scenes of a mesh with clips of a folder: add --rooms mesh:FILE "
            "and --clips folder:DIR"
        )
    _require(python)
    recipe = replace(recipe, sources_per_scene={2: 1}, workers=0)
    rows: list[tuple[str, float, str]] = [("scenes of each", float(recipe.scenes), "")]
    theirs: dict[str, float] = {}
    ours: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="spatialqa-bench-") as name:
        folder = Path(name)
        for rays, depth in SETTINGS:
            for how, cpu_s in _theirs(recipe, python, rays, depth, folder).items():
                theirs[f"AudibleLight, {rays} rays, depth {depth}, {how} Scene"] = cpu_s
        ours["geometric, a listener for 16 scenes"] = _ours(replace(recipe, engine="geometric", **_REUSE), folder / "a")
        ours["geometric, a listener for every scene"] = _ours(
            replace(recipe, engine="geometric", **_NO_REUSE), folder / "b"
        )
        ours["geometric, banked RIRs"] = _banked(replace(recipe, engine="geometric", **_REUSE), folder)
        if next(engine for engine in available() if engine.name == "soundspaces").usable:
            for rays, depth in SETTINGS:
                config = {"indirect_ray_count": rays, "indirect_ray_depth": depth}
                same = replace(recipe, engine="soundspaces", engine_config=config)
                ours[f"soundspaces, {rays} rays, depth {depth}, a listener for 16 scenes"] = _ours(
                    replace(same, **_REUSE), folder / f"c{rays}"
                )
                ours[f"soundspaces, {rays} rays, depth {depth}, a listener for every scene"] = _ours(
                    replace(same, **_NO_REUSE), folder / f"d{rays}"
                )
    rows += [(name, cpu_s, "s a scene") for name, cpu_s in {**theirs, **ours}.items()]
    for rays, _ in SETTINGS:
        fastest = min(cpu_s for name, cpu_s in theirs.items() if name.startswith(f"AudibleLight, {rays} rays"))
        rows += [(f"AudibleLight, {rays} rays / {name}", fastest / cpu_s, "x") for name, cpu_s in ours.items()]
    return Figures("a scene of two sources, CPU time, against AudibleLight", tuple(rows))


def _require(python: str) -> None:
    code = "import importlib.metadata as m; m.version('audiblelight')"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        found = False
    if not found:
        raise RecipeError(
            f"--audiblelight-python {python}: has no AudibleLight; make an environment of its own for it "
            f"(python -m venv al && al/bin/pip install audiblelight embreex) and name its Python"
        )


def _theirs(recipe: RenderRecipe, python: str, rays: int, depth: int, folder: Path) -> Mapping[str, float]:
    """Return the mean CPU time of a scene, by how it was made."""
    room_set = rooms_for(recipe)
    room = room_set.load(room_set.room_ids(1, recipe.seed)[0])
    mesh = folder / "room_unitsmeters.ply"  # without a unit in the name, its reader takes inches
    trimesh.Trimesh(room.vertices, room.faces, process=False).export(mesh)
    root = Path(recipe.clips.removeprefix("folder:")).absolute()
    clips = sorted(str(path) for path in root.rglob("*") if path.suffix.lower() in (".wav", ".flac", ".ogg"))
    job = {
        "mesh": str(mesh),
        "clips": clips,
        "scenes": recipe.scenes,
        "rays": rays,
        "depth": depth,
        "duration_s": recipe.duration_s,
        "sample_rate": recipe.sample_rate,
        "folder": str(folder),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    script = Path(__file__).with_name("audiblelight_loop.py")
    done = subprocess.run(
        [python, str(script), str(folder / "job.json")], capture_output=True, text=True, cwd=folder, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    times = {how: [line["cpu_s"] for line in found if line.get("how") == how] for how in ("new", "kept")}
    if not all(times.values()):
        last = (done.stderr.strip().splitlines() or [next((x["failed"] for x in found if "failed" in x), "no scene")])[
            -1
        ]
        raise UnfinishedError(f"AudibleLight rendered no scene of this mesh: {last}")
    return {how: fmean(values) for how, values in times.items()}


def _ours(recipe: RenderRecipe, root: Path) -> float:
    """Return the CPU time of a scene; the mesh is open, as in a kept Scene, and late imports are not counted."""
    run, plan = prepare_run(recipe, root)
    DatasetFolder(run.root).claim(run_record(run, plan))
    _make(ShardMaker(run, engine_for(recipe)), plan.shards[:1])
    maker = ShardMaker(run, engine_for(recipe))
    maker.open_room(plan.shards[0].groups[0].room_id)
    start = time.process_time()
    scenes = _make(maker, plan.shards)
    return (time.process_time() - start) / scenes


def _make(maker: ShardMaker, shards: Any) -> int:
    try:
        return sum(maker.make(shard).scenes for shard in shards)
    finally:
        maker.close()


def _banked(recipe: RenderRecipe, folder: Path) -> float:
    """Return the CPU time of a scene whose RIRs a bank holds."""
    groups = -(-recipe.scenes // recipe.scenes_per_group)
    run, plan = prepare_bank(recipe, folder / "bank", groups)
    bank = DatasetFolder(run.root)
    with bank.lock(), bank.claimed(run_record(run, plan)):
        make_shards(run, plan, Silent())
    return _ours(
        RenderRecipe(
            rooms=f"bank:{folder / 'bank'}",
            clips=recipe.clips,
            scenes=recipe.scenes,
            scenes_per_group=recipe.scenes_per_group,
            sources_per_scene={2: 1},
            splits=recipe.splits,
            workers=0,
        ),
        folder / "from-bank",
    )
