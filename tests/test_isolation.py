"""A process of its own for suspect groups: how it ends decides, and only an explicit word means that all went well."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from spatialqa.errors import EngineError, SpatialQAError
from spatialqa.generation.isolation import CrashJournal, simulate_apart
from spatialqa.generation.run import prepare_run
from spatialqa.generation.shard import simulate_once
from tests.fixtures.datasets import SMALL

pytestmark = pytest.mark.soundspaces


def well() -> None:
    pass


def fails() -> None:
    raise EngineError("no path joins them")


def exits() -> None:
    os._exit(1)


def crashes() -> None:
    os.abort()


def killed() -> None:
    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("end", "expected", "raised", "message"),
    [
        (well, False, None, ""),
        (well, True, SpatialQAError, "not again in a fresh process"),
        (fails, False, EngineError, "no path joins them"),
        (fails, True, None, ""),
        (exits, False, EngineError, "code 1"),
        (exits, True, None, ""),
        (crashes, False, EngineError, "SIGABRT"),
        (crashes, True, None, ""),
        (killed, False, SpatialQAError, "SIGKILL; run the command again"),
        (killed, True, SpatialQAError, "SIGKILL; run the command again"),
    ],
)
def test_how_the_child_ends_decides(
    end: Callable[[], None], expected: bool, raised: type[Exception] | None, message: str
) -> None:
    seen = EngineError("seen here") if expected else None
    if raised is None:
        simulate_apart(end, "train-g0", seen)
    else:
        with pytest.raises(raised, match=message) as caught:
            simulate_apart(end, "train-g0", seen)
        assert type(caught.value) is raised


def test_a_real_group_comes_through(tmp_path: Path) -> None:
    run, plan = prepare_run(replace(SMALL, scenes=2, splits="1,0,0"), tmp_path)
    slot = plan.shards[0].groups[0]
    simulate_apart(partial(simulate_once, run, slot, 0), slot.group_id)


def test_the_journal_remembers_every_group_that_a_process_ended_in(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "train-0.json"
    first = CrashJournal(path)
    first.enter("g1", 0)
    second = CrashJournal(path)  # the process ended in g1
    assert second.suspects("g1", 0)
    assert not second.suspects("g1", 1)
    second.leave()
    second.enter("g7", 2)
    third = CrashJournal(path)
    assert third.suspects("g1", 0)
    assert third.suspects("g7", 2)
    third.leave()
    assert not CrashJournal(path).suspects("g8", 0)
    third.clear()
    assert not CrashJournal(path).suspects("g1", 0)
    path.write_text("{cut off")
    assert not CrashJournal(path).suspects("g1", 0)
