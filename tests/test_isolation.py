"""A process of its own for suspect groups: how it ends decides, and only an explicit word means that all went well."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spatialqa.errors import EngineError, SpatialQAError
from spatialqa.generation import isolation
from spatialqa.generation.isolation import CrashJournal, simulate_apart
from spatialqa.generation.run import prepare_run
from tests.conftest import SMALL

pytestmark = pytest.mark.soundspaces


def well(run: Any, slot: Any, attempt: int, sender: Any) -> None:
    sender.send("")


def fails(run: Any, slot: Any, attempt: int, sender: Any) -> None:
    sender.send("no path joins them")


def exits(run: Any, slot: Any, attempt: int, sender: Any) -> None:
    os._exit(1)


def crashes(run: Any, slot: Any, attempt: int, sender: Any) -> None:
    os.abort()


def killed(run: Any, slot: Any, attempt: int, sender: Any) -> None:
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
    end: Callable[..., None],
    expected: bool,
    raised: type[Exception] | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "_simulate_once", end)
    _, plan = prepare_run(replace(SMALL, scenes=2, splits="1,0,0"), tmp_path)
    slot = plan.shards[0].groups[0]
    seen = EngineError("seen here") if expected else None
    if raised is None:
        simulate_apart(None, slot, 0, seen)  # type: ignore[arg-type]
    else:
        with pytest.raises(raised, match=message) as caught:
            simulate_apart(None, slot, 0, seen)  # type: ignore[arg-type]
        assert type(caught.value) is raised


def test_a_real_group_comes_through(tmp_path: Path) -> None:
    run, plan = prepare_run(replace(SMALL, scenes=2, splits="1,0,0"), tmp_path)
    simulate_apart(run, plan.shards[0].groups[0], 0)


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
