"""The same bytes from one worker or two, killed and resumed; crashes and bad clips; Ray and this process."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from spatialqa.clips.foley.clips import FoleyClips
from spatialqa.core.audio_io import decode_flac
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.reading import read_audio, read_scenes, scene_files
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import ClipGoneError, DatasetError
from spatialqa.generation import early_start, runner
from spatialqa.generation.fork_server import Early
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.generation.run import prepare_run, run_record
from spatialqa.generation.runner import render_dataset
from spatialqa.generation.shard import ShardMaker
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import SMALL, Silent, hashes, planned, render, rows_of
from tests.fixtures.kills import REPOSITORY, Started, run_with_kills, spatialqa


def write_recipe(path: Path, recipe: RenderRecipe) -> Path:
    path.write_text(yaml.safe_dump({"render": asdict(recipe)}))
    return path


def render_command(recipe: Path, root: Path) -> list[str]:
    return spatialqa("render", root, "--recipe", recipe)


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_workers_write_the_bytes_of_one_process(
    small: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # of a cluster that nobody asked for
    summary = render(replace(SMALL, workers=workers), tmp_path / "ray")
    assert summary.scenes == 24
    assert hashes(tmp_path / "ray") == hashes(small)
    assert len(hashes(small)) == 7 * 4  # scenes, groups, rirs and rejects of seven shards


def test_a_cluster_that_runs_already_writes_the_same_bytes(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # tokens are for clusters that others can reach
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        recipe = replace(SMALL, workers=None, ray_address=cluster.address)
        render = Started(render_command(write_recipe(tmp_path / "recipe.yaml", recipe), tmp_path / "data"))
        assert render.wait() == 0, render.printed
    finally:
        cluster.shutdown()
    assert hashes(tmp_path / "data") == hashes(small)


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_again_and_again_it_ends_in_the_same_bytes(small: Path, tmp_path: Path, workers: int) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", replace(SMALL, workers=workers))
    root = tmp_path / "data"
    assert run_with_kills(render_command(recipe, root), lambda: len(hashes(root))) >= 1
    assert hashes(root) == hashes(small)
    assert not list(root.rglob(".*.tmp"))
    assert not list((root / "_spatialqa/journal").glob("*"))


@pytest.mark.parametrize(
    ("number", "workers", "said"), [(signal.SIGINT, 0, "interrupted"), (signal.SIGTERM, 2, "stopped by SIGTERM")]
)
def test_a_stop_says_how_to_go_on(tmp_path: Path, number: signal.Signals, workers: int, said: str) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", replace(SMALL, workers=workers))
    render = Started(render_command(recipe, tmp_path / "data"))
    assert render.reaches(lambda: bool(hashes(tmp_path / "data"))), render.printed
    assert render.send(number) == 128 + number
    assert render.printed.strip() == f"spatialqa: {said}; run the same command again to resume"


def test_a_run_that_is_stopped_before_its_first_shard_leaves_no_folder(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", replace(SMALL, scenes=600, scenes_per_shard=300))
    root = tmp_path / "new/data"
    render = Started(render_command(recipe, root))
    assert render.reaches((root / "_spatialqa/run.json").exists), render.printed
    assert render.send(signal.SIGTERM) == 143
    assert not (tmp_path / "new").exists()


def test_a_stop_while_the_folder_is_claimed_gives_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim_and_stop(self: DatasetFolder, run: RunRecord) -> bool:
        began = claim(self, run)
        signal.raise_signal(signal.SIGINT)
        return began

    claim = DatasetFolder.claim
    monkeypatch.setattr(DatasetFolder, "claim", claim_and_stop)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for jobs in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            render(SMALL, tmp_path / "new/data")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not (tmp_path / "new").exists()


def test_resuming_makes_only_what_is_missing(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    for path in (scene_files(DatasetFolder(root))[2], DatasetFolder(root).tables("groups")[4]):
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}
    summary = render(SMALL, root)
    assert summary.shards_resumed == 5
    assert hashes(root) == hashes(small)
    assert sum(path.stat().st_mtime_ns == then for path, then in kept.items()) >= 5 * 3
    assert validate_dataset(root).problems == ()


def test_another_recipe_in_the_same_folder_is_refused(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    with pytest.raises(DatasetError, match=r"recipe\.seed was 0 and is 1"):
        render(replace(SMALL, seed=1), root)
    assert hashes(root) == hashes(small)


def test_workers_do_not_make_another_run(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    assert render(replace(SMALL, workers=1), root).shards_resumed == 7


def test_render_from_a_data_set_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    command = spatialqa("render", tmp_path / "again", "--from", small, "--workers", 0)
    subprocess.run(command, check=True, capture_output=True)
    assert hashes(tmp_path / "again") == hashes(small)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    clips = FoleyClips(3)
    for record in clips.records()[: 3 * 6]:
        target = folder / record.labels[0] / f"{record.clip_id.rpartition('/')[2]}.flac"
        target.parent.mkdir(exist_ok=True)
        raw = clips.load(record)
        soundfile.write(target, raw.audio, raw.sample_rate)
    return folder


def test_a_clip_that_goes_away_fails_the_shard_and_costs_nothing(clip_folder: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, clips=f"folder:{clip_folder}", home_kinds=["shoebox"], splits="1,0,0", scenes=12)
    render(recipe, tmp_path / "whole")
    run, plan = prepare_run(recipe, tmp_path / "data")
    DatasetFolder(run.root).claim(run_record(run, plan))
    clip_folder.rename(tmp_path / "unplugged")  # after the clips were listed
    try:
        with pytest.raises(ClipGoneError, match="^scene train-0000.*cannot be read"):
            ShardMaker(run, engine_for(recipe)).make(plan.shards[0])
    finally:
        (tmp_path / "unplugged").rename(clip_folder)
    assert hashes(run.root) == {}
    render(recipe, run.root)
    assert hashes(run.root) == hashes(tmp_path / "whole")


def test_inputs_may_move_and_the_run_goes_on(clip_folder: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, clips=f"folder:{clip_folder}", splits="1,0,0", scenes=8, save_rirs=False)
    render(recipe, tmp_path / "data")
    DatasetFolder(tmp_path / "data").tables("scenes")[0].unlink()
    before = hashes(tmp_path / "data")
    moved = clip_folder.rename(tmp_path / clip_folder.name)
    try:
        assert render(replace(recipe, clips=f"folder:{moved}"), tmp_path / "data").shards_resumed == 1
        assert hashes(tmp_path / "data") == before
        assert rerender_scenes(tmp_path / "data", 2) == (2, [])
    finally:
        moved.rename(clip_folder)


def test_a_second_render_is_refused_and_harms_nothing(small: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", SMALL)
    other = write_recipe(tmp_path / "other.yaml", replace(SMALL, seed=5))
    root = tmp_path / "data"
    first = Started(render_command(recipe, root))
    assert first.reaches((root / "_spatialqa/run.json").exists), first.printed
    first.process.send_signal(signal.SIGSTOP)  # so that it does not end before the others have started
    try:
        refused = [Started(render_command(path, root)) for path in (recipe, other)]
        assert [second.wait() for second in refused] == [2, 2], [second.printed for second in refused]
    finally:
        first.process.send_signal(signal.SIGCONT)
    assert first.wait() == 0, first.printed
    assert all("another spatialqa command" in second.printed for second in refused)
    assert hashes(root) == hashes(small)


def test_one_make_qa_at_a_time(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    with DatasetFolder(root).lock():
        before = hashes(root)
        refused = Started(spatialqa("make-qa", root))
        assert refused.wait() == 2
        assert "another spatialqa command" in refused.printed
        assert hashes(root) == before
    several = [Started(spatialqa("make-qa", root, "--seed", seed)) for seed in (0, 1, 2)]
    codes = [each.wait() for each in several]
    assert set(codes) <= {0, 2}, [each.printed for each in several]
    assert 0 in codes
    assert not validate_dataset(root).problems


def test_a_refusal_leaves_a_run_without_a_shard_alone(tmp_path: Path) -> None:
    run, plan = prepare_run(SMALL, tmp_path / "data")
    DatasetFolder(run.root).claim(run_record(run, plan))
    with pytest.raises(DatasetError, match=r"recipe\.seed was 0 and is 1"):
        render(replace(SMALL, seed=1), run.root)
    assert DatasetFolder(run.root).exists


def test_make_qa_says_when_the_render_is_unfinished(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "data")
    DatasetFolder(tmp_path / "data").shard_file("train-00001-of-00003").unlink()
    done = subprocess.run(spatialqa("make-qa", tmp_path / "data"), capture_output=True, text=True, check=True)
    assert "1 shards of this data set are not rendered yet" in done.stderr


def test_questions_of_an_unfinished_render_are_not_valid_later(tmp_path: Path) -> None:
    planned(tmp_path / "data", 12, splits="1,0,0", scenes_per_shard=4)
    later = DatasetFolder(tmp_path / "data").shard_file("train-00001-of-00002")
    later.rename(tmp_path / later.name)
    make_qa(tmp_path / "data", QaRecipe())
    (tmp_path / later.name).rename(later)
    assert any("asked of 8 of 12 scenes" in problem for problem in validate_dataset(tmp_path / "data").problems)


def test_scenes_that_clip_are_drawn_again_and_counted(clip_folder: Path, tmp_path: Path) -> None:
    clips = f"folder:{clip_folder}"  # read, not made: many are drawn
    loud = replace(SMALL, clips=clips, gain_db=-6.0, save_rirs=False, scenes=12, splits="1,0,0")
    summary = render(loud, tmp_path / "loud")
    assert summary.draws_rejected > 0
    assert summary.scenes <= 12
    for path in scene_files(DatasetFolder(tmp_path / "loud")):
        assert all(scene.gain_db == -6.0 for scene in read_scenes(path))
    assert validate_dataset(tmp_path / "loud").problems == ()
    with pytest.raises(DatasetError, match=r"not one scene could be rendered.*dBFS"):
        render(replace(loud, gain_db=60.0, scenes=2), tmp_path / "deaf")


FAULTY_ENGINE = """
import ctypes, json, os, signal, sys
from pathlib import Path
import spatialqa.acoustics.geometric.engine as engine

whole = engine.GeometricRoom.rirs
faults = json.loads(os.environ["FAULTS"])
flag = Path(os.environ["FLAG"])

def rirs(self, listener, sources, seed=0):
    fault = faults.get(str(round(sum(listener.position), 6)))
    if fault == "once":
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "hang":
        while True:
            ctypes.PyDLL(None).pause()  # native code that keeps the lock of Python
    elif fault == "exit":
        os._exit(0)
    elif fault is not None and fault.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[fault])
    elif fault is not None:
        raise eval(fault)
    return whole(self, listener, sources, seed)

engine.GeometricRoom.rirs = rirs
"""

# by group: what the engine does whenever it is given the first draw, and what the rejects say of it
FAULTS = {
    "train-g0000000": ("SIGSEGV", "the engine crashed (SIGSEGV) in a process of its own"),
    "train-g0000001": ("hang", "the engine took more than group_timeout_s (4 s) in a process of its own"),
    "train-g0000002": ("once", None),
    "validation-g0000000": ("SIGKILL", "its process was killed every time"),
    "validation-g0000001": ("exit", "the engine ended its process with code 0 in a process of its own"),
    "validation-g0000002": ("MemoryError()", "the engine failed simulating group validation-g0000002: MemoryError:"),
}


@pytest.fixture(scope="module")
def faulty(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Path, str]]:
    """Render in a Python whose engine fails in every way; returns the folder and what was printed, by workers."""
    places = {row["group_id"]: str(round(sum(row["listener_position"]), 6)) for row in rows_of(small, "groups")}

    @cache
    def rendered(workers: int) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp("faulty")
        (folder / "sitecustomize.py").write_text(FAULTY_ENGINE)
        environment = os.environ | {
            "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}",
            "FAULTS": json.dumps({places[group]: fault for group, (fault, _) in FAULTS.items()}),
            "FLAG": str(folder / "crashed"),
        }
        recipe = write_recipe(folder / "recipe.yaml", replace(SMALL, workers=workers, group_timeout_s=4.0))
        command = render_command(recipe, folder / "data")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / "data", done.stdout + done.stderr

    return rendered


def test_whatever_an_engine_does_costs_one_draw_of_its_group(
    small: Path, faulty: Callable[[int], tuple[Path, str]]
) -> None:
    root, printed = faulty(0)
    rejects = {reject.id: (reject.attempt, reject.reason) for reject in DatasetFolder(root).rejects()}
    expected = {group: reason for group, (_, reason) in FAULTS.items() if reason}
    assert rejects.keys() == expected.keys()
    for group, reason in expected.items():
        assert rejects[group][0] == 0
        assert reason in rejects[group][1]
    assert sum(record.scenes for record in DatasetFolder(root).shards()) == 24
    other = {path: sha for path, sha in hashes(small).items() if Path(path).name.startswith(("train-00002", "test"))}
    assert other.items() <= hashes(root).items()
    assert len(other) == 3 * 4
    assert validate_dataset(root).problems == ()
    assert not list((root / "_spatialqa/journal").glob("*"))
    assert "was ended by SIGSEGV while it simulated train-g0000000" in printed
    assert "was ended by SIGALRM while it simulated train-g0000001" in printed
    assert "ended with code 0 while it simulated validation-g0000001" in printed
    assert "Traceback" not in printed


def test_ray_workers_with_the_same_faults_write_the_same_bytes(faulty: Callable[[int], tuple[Path, str]]) -> None:
    root, printed = faulty(2)
    assert hashes(root) == hashes(faulty(0)[0])
    assert "Traceback" not in printed


def test_progress_counts_every_scene(tmp_path: Path) -> None:
    observer = Silent()
    render_dataset(replace(SMALL, save_rirs=False, scenes=8, splits="1,0,0"), tmp_path / "data", observer)
    assert observer.scenes == 8


def test_the_audio_is_there_to_be_heard(small: Path) -> None:
    for path in scene_files(DatasetFolder(small)):
        for scene, flac in read_audio(path):
            audio, _ = decode_flac(flac)
            assert 10 * np.log10(np.mean(audio**2)) > -90, scene.scene_id


def test_workers_use_the_engine_that_was_opened_while_the_run_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held() -> Any:
        return runner._engine

    monkeypatch.setattr(runner, "_engine", None)
    monkeypatch.setattr(runner, "kernels_are_kept", lambda: False)
    recipe = RenderRecipe(scenes=4, engine="auto")
    runner.open_engine_early(recipe, tmp_path)
    assert held() is None  # planning compiles
    monkeypatch.setattr(runner, "kernels_are_kept", lambda: True)
    for other in (replace(recipe, engine="soundspaces"), replace(recipe, rooms=f"bank:{tmp_path}")):
        runner.open_engine_early(other, tmp_path)
        assert held() is None  # they have threads, and are not for forks
    runner.open_engine_early(recipe, tmp_path)
    run, _ = prepare_run(recipe, tmp_path)
    opened = held()
    assert opened[0] == run.recipe
    assert opened[1].identity == run.identity
    runner._prepare(run)
    assert held() is opened
    reference = replace(run, recipe=replace(run.recipe, preset="reference"))
    runner._prepare(reference)
    assert held() is not opened
    assert held()[0] == reference.recipe


@pytest.mark.parametrize(
    ("overrides", "opens"),
    [({}, True), ({"rooms": "bank:b"}, False), ({"plan_only": True}, False), ({"workers": 0}, None)],
)
def test_what_workers_do_while_their_run_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any], opens: bool | None
) -> None:
    orders: list[Early] = []

    def note(early: Early) -> AbstractContextManager[None]:
        orders.append(early)
        return nullcontext()

    monkeypatch.setattr(early_start, "server_started_early", note)
    recipe = RenderRecipe(**{"scenes": 40, "workers": 2, **overrides})
    with early_start.workers_started_early(recipe, tmp_path / "new"):
        assert [early.function is not None for early in orders] == ([] if opens is None else [opens])


def test_shards_are_made_longest_first(small: Path) -> None:
    _, plan = prepare_run(SMALL, small)
    names = list(plan.shards.names())
    wanted = [names[index] for index in plan.shards.longest_first(range(len(names)))]
    records = (small / "_spatialqa/shards").glob("*.json")
    assert [path.stem for path in sorted(records, key=lambda path: path.stat().st_mtime_ns)] == wanted
    assert wanted != names


LOADED = """
import sys
from spatialqa.cli.main import run_here
from spatialqa.generation import early_start

def note(early):
    print("spatialqa.generation.runner" in sys.modules)
    sys.exit(0)

early_start.server_started_early = note
run_here()
"""


def test_the_command_starts_workers_before_its_own_imports(tmp_path: Path) -> None:
    words = ["render", str(tmp_path / "new"), "--scenes", "40", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
