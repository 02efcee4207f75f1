"""A process of its own for suspect groups: what it returns or how it ends decides. The journal; errors of engines."""

import errno
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from spatialqa.acoustics.engine import engine_errors
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import EngineCrashError, EngineError, PlacementError, SpatialQAError
from spatialqa.generation import shard
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.isolation import (
    CAREFUL_AFTER,
    MOST_ENDS,
    CrashJournal,
    groups_in_hand,
    refuse_deadly,
    simulate_apart,
    time_limit,
)
from spatialqa.generation.run import prepare_run, run_record
from spatialqa.generation.shard import ShardMaker, make_group_once
from tests.fixtures.datasets import SMALL
from tests.fixtures.ends import breaks, crashes, exits, fails, hangs, killed, leaves, well


@pytest.mark.parametrize(
    ("end", "raised", "message"),
    [
        (fails, PlacementError, "no place"),
        (breaks, EngineError, "IndexError: out of range"),
        (exits, EngineCrashError, "ended its process with code 0"),
        (leaves, EngineCrashError, "ended its process with code 0"),
        (crashes, EngineCrashError, r"crashed \(SIGABRT\)"),
        (hangs, EngineCrashError, r"took more than group_timeout_s \(7 s\)"),
    ],
)
def test_how_the_process_ends_decides(end: Callable[[], None], raised: type[Exception], message: str) -> None:
    with pytest.raises(raised, match=message) as caught:
        simulate_apart(end, 7.0)
    assert type(caught.value) is raised


def test_what_it_returns_comes_back_whatever_it_prints(capfd: pytest.CaptureFixture[str]) -> None:
    assert simulate_apart(well) == "the group"
    assert capfd.readouterr().out == ""


def test_a_process_that_is_killed_is_tried_again_and_then_set_aside(tmp_path: Path) -> None:
    with pytest.raises(EngineCrashError, match="was killed every time"):
        simulate_apart(partial(killed, tmp_path / "tries"))
    assert (tmp_path / "tries").read_text() == "xxx"


def test_a_real_group_comes_back_as_it_is_made_here(tmp_path: Path) -> None:
    run, plan = prepare_run(replace(SMALL, scenes=2, splits="1,0,0"), tmp_path)
    slot = plan.shards[0].groups[0]
    apart = simulate_apart(partial(make_group_once, run, slot, 0))
    here = ShardMaker(run, engine_for(run.recipe)).make_group(slot, 0)
    assert apart.group == here.group
    assert apart.ray_efficiency == here.ray_efficiency
    assert apart.simulated is not None
    assert here.simulated is not None
    assert [rir.tobytes() for rir in apart.simulated.rirs] == [rir.tobytes() for rir in here.simulated.rirs]


ENDED: list[AbstractContextManager[None]] = []


def ended_in(path: Path, group_id: str, attempt: int) -> None:
    """Write what a process leaves that ends in the midst of a draw."""
    ENDED.append(CrashJournal(path).holding(group_id, attempt))
    ENDED[-1].__enter__()  # and nothing leaves it


def test_the_journal_remembers_every_draw_that_a_process_ended_in(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "train-0.json"
    with CrashJournal(path).holding("g0", 0):
        pass
    with pytest.raises(KeyboardInterrupt), CrashJournal(path).holding("g0", 0):
        raise KeyboardInterrupt
    assert not CrashJournal(path).suspects("g0")
    ended_in(path, "g1", 0)
    assert groups_in_hand(path.parent) == ["g1"]
    second = CrashJournal(path)
    assert (second.ends("g1", 0), second.ends("g1", 1)) == (1, 0)
    assert second.suspects("g1")
    assert not second.suspects("g10")
    ended_in(path, "g7", 2)
    third = CrashJournal(path)
    assert [third.ends("g1", 0), third.ends("g7", 2)] == [1, 1]
    with third.holding("g8", 0):
        pass
    assert groups_in_hand(path.parent) == []
    assert CrashJournal(path).suspects("g7")
    assert not CrashJournal(path).suspects("g8")
    third.clear()
    assert not CrashJournal(path).suspects("g1")
    path.write_text("{cut off")
    assert not CrashJournal(path).suspects("g1")
    assert groups_in_hand(path.parent) == []


def test_after_some_crashes_in_a_shard_every_group_is_tried_apart(tmp_path: Path) -> None:
    for number in range(CAREFUL_AFTER):
        assert not CrashJournal(tmp_path / "j.json").suspects("other")
        ended_in(tmp_path / "j.json", f"g{number}", 0)
    assert CrashJournal(tmp_path / "j.json").suspects("other")


def test_a_draw_that_ended_every_process_is_set_aside_across_reruns(tmp_path: Path) -> None:
    """As where a machine kills all processes of a run at once, so that none is left to see it."""
    for _ in range(MOST_ENDS):
        refuse_deadly(CrashJournal(tmp_path / "j.json"), "g1", 0)
        ended_in(tmp_path / "j.json", "g1", 0)
    with pytest.raises(EngineCrashError, match="was killed every time"):
        refuse_deadly(CrashJournal(tmp_path / "j.json"), "g1", 0)
    refuse_deadly(CrashJournal(tmp_path / "j.json"), "g1", 1)


def test_a_group_whose_every_draw_crashes_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(SMALL, scenes=8, splits="1,0,0", scenes_per_shard=8)
    run, plan = prepare_run(recipe, tmp_path / "data")
    DatasetFolder(run.root).claim(run_record(run, plan))
    victim = plan.shards[0].groups[0]
    ended_in(tmp_path / "data/_spatialqa/journal/train-00000-of-00001.json", victim.group_id, 0)
    tries: list[tuple[str, int]] = []

    def crash(simulate: "partial[None]", timeout_s: float) -> None:
        tries.append((simulate.args[1].group_id, simulate.args[2]))
        raise EngineCrashError("the engine crashed (SIGSEGV) in a process of its own")

    monkeypatch.setattr(shard, "simulate_apart", crash)
    record = ShardMaker(run, engine_for(recipe)).make(plan.shards[0])
    assert tries == [(victim.group_id, attempt) for attempt in range(3)]
    assert (record.groups, record.scenes, record.draws_rejected) == (1, 4, 3)
    rejects = list(DatasetFolder(run.root).rejects())
    assert [(reject.kind, reject.id) for reject in rejects] == [
        *[("group", victim.group_id)] * 3,
        *(("scene", scene_id) for scene_id in victim.scene_ids),
    ]
    assert not list((tmp_path / "data/_spatialqa/journal").glob("*"))


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (MemoryError(), EngineError, "the engine failed simulating x: MemoryError:"),
        (OSError("no such device"), EngineError, "OSError: no such device"),
        (ValueError("not a\nnumber"), EngineError, "ValueError: not a number"),
        (SystemExit(0), EngineError, "SystemExit: 0"),
        (ZeroDivisionError(), EngineError, "ZeroDivisionError"),
        (OSError(errno.ENOSPC, "full"), SpatialQAError, "simulating x: OSError: .*full; nothing was lost"),
        (PlacementError("no place"), PlacementError, "^no place$"),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
)
def test_what_an_engine_raises_is_one_line(raised: BaseException, kind: type[BaseException], message: str) -> None:
    with pytest.raises(kind, match=message) as caught, engine_errors("simulating x"):
        raise raised
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


HANGS = """
import ctypes
from spatialqa.generation.isolation import time_limit
with time_limit(0.0), time_limit(0.2):
    pass
with time_limit(0.2):
    while True:
        ctypes.PyDLL(None).pause()  # keeps the lock of Python: no thread could do anything
"""


def test_the_kernel_ends_a_process_whose_native_code_hangs() -> None:
    assert subprocess.run([sys.executable, "-c", HANGS], timeout=60, check=False).returncode == -signal.SIGALRM


def test_a_program_that_uses_sigalrm_itself_keeps_it() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: came.append(number))
    try:
        with time_limit(0.01):
            time.sleep(0.05)
        assert came == []
    finally:
        signal.signal(signal.SIGALRM, before)
