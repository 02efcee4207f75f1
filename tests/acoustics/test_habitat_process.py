"""What the habitat child may do wrong - crash, hang, chatter, write rubbish, outlive its parent - and what it costs."""

import ast
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from spatialqa.acoustics.engine import TimedEngine
from spatialqa.acoustics.habitat import child as habitat_child
from spatialqa.acoustics.habitat.process import HabitatProcess, usable_python
from spatialqa.acoustics.habitat.scene_files import write_glb
from spatialqa.core.geometry import Pose
from spatialqa.errors import EngineError
from spatialqa.generation.inputs import engine_for
from spatialqa.generation.recipe import RenderRecipe
from tests.acoustics.habitat_support import children, energy, hall, make_engine, pretend, running, wait_until_gone

LISTENER, SOURCE = Pose((0.5, 1.5, -1.0)), (0.5, 1.5, -3.0)


def test_a_crash_is_an_error_with_what_was_said_and_costs_one_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(monkeypatch, fault="abort")
    with engine.open(hall()) as opened:
        pid = opened.pid
        for _ in range(2):
            with pytest.raises(EngineError, match=r"habitat-sim crashed \(SIGABRT\).*RLR: assertion failed"):
                opened.rirs(LISTENER, [SOURCE])
        assert children(pid) == []  # no zombie of the fork
        assert opened.navigable_points(1, 0).shape == (1, 3)
    assert not running(pid)


def test_a_crash_while_loading_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="ended with SIGABRT while loading the scene.*Assertion failed in loadStage"):
        make_engine(monkeypatch, fault="load-crash")


def test_a_hang_ends_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(monkeypatch, arguments={"timeout_s": 1.5}, fault="hang")
    with engine.open(hall()) as opened:
        pid = opened.pid
        begin = time.monotonic()
        with pytest.raises(EngineError, match=r"took more than 1.5 s simulating the source at .*and was ended"):
            opened.rirs(LISTENER, [SOURCE])
        assert time.monotonic() - begin < 5
        assert not running(pid)
        assert opened.navigable_points(1, 0).shape == (1, 3)  # in another child
        assert running(opened.pid)


def test_the_time_is_that_of_a_group_and_a_recipe_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make_engine(monkeypatch, fault="slow")
    recipe = RenderRecipe(engine="habitat", habitat_python=sys.executable, sample_rate=16000, group_timeout_s=3.0)
    engine = engine_for(recipe)
    assert isinstance(engine, TimedEngine)
    with engine.open(hall()) as opened:
        assert len(opened.rirs(LISTENER, [SOURCE], 0)) == 1  # takes 1 s
        with pytest.raises(EngineError, match=r"took more than 3 s simulating the source at .*and was ended"):
            opened.rirs(LISTENER, [SOURCE] * 5, 0)


def test_what_habitat_prints_breaks_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, noisy = make_engine(monkeypatch), make_engine(monkeypatch, fault="noise")
    with noisy.open(hall()) as opened:
        assert energy(opened.rirs(LISTENER, [SOURCE])[0]) > 0.1
        assert len(opened._process._stderr) <= 8192
    assert quiet.identity == noisy.identity


def test_children_die_with_their_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One while it waits, and one while it simulates in a fork."""
    pretend(monkeypatch, fault="hang")
    write_glb(tmp_path / "hall.glb", hall().vertices, hall().faces)
    script = f"""
        import sys
        from spatialqa.acoustics.habitat.process import HabitatProcess
        idle, busy = HabitatProcess(sys.executable), HabitatProcess(sys.executable)
        busy.ask("start", 60, "starting", settings={{"indirect": True}})
        busy.ask("load", 60, "loading", scene="{tmp_path}/hall.glb", materials=None)
        print(idle.pid, busy.pid, flush=True)
        busy.ask("simulate", 60, "simulating", position=[0, 1, 0], orientation=[1, 0, 0, 0], source=[1, 1, 0],
                 changes={{}}, hrtf=None)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    idle, busy = (int(word) for word in parent.stdout.readline().split())
    end = time.monotonic() + 10
    while not children(busy) and time.monotonic() < end:
        time.sleep(0.02)
    family = [idle, busy, *children(busy)]
    assert len(family) == 3
    assert all(running(pid) for pid in family)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert all(wait_until_gone(pid) for pid in family)


def test_a_forgotten_child_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    process = HabitatProcess(sys.executable)
    pid = process.pid
    assert running(pid)
    del process
    assert not running(pid)


GOOD = habitat_child.frame({"protocol": habitat_child.PROTOCOL})
HUGE = habitat_child.HEAD.pack(habitat_child.MAGIC, 10, 1 << 60)
LONG = habitat_child.HEAD.pack(habitat_child.MAGIC, 1 << 31, 0)
WRONG_SIZE = habitat_child.frame({"protocol": 1, "shape": [2, 3], "dtype": "<f4"}, b"12345678")
WRONG_KIND = habitat_child.frame({"protocol": 1, "shape": [1], "dtype": "O"}, b"12345678")
NEGATIVE = habitat_child.frame({"protocol": 1, "shape": [-1, -2], "dtype": "<f4"}, b"12345678")
NOT_JSON = habitat_child.HEAD.pack(habitat_child.MAGIC, 3, 0) + b"\xff{]"
NOT_A_DICT = habitat_child.HEAD.pack(habitat_child.MAGIC, 2, 0) + b"[]"
DEEP = habitat_child.HEAD.pack(habitat_child.MAGIC, 1 << 20, 0) + b"[" * (1 << 20)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"Traceback, or a greeting", "sent an invalid answer"),
        (b"x", "sent an invalid answer"),
        (HUGE, "sent an invalid answer"),
        (LONG, "sent an invalid answer"),
        (WRONG_SIZE, "sent an invalid answer"),
        (WRONG_KIND, "sent an invalid answer"),
        (NEGATIVE, "sent an invalid answer"),
        (NOT_JSON, "sent an invalid answer"),
        (NOT_A_DICT, "sent an invalid answer"),
        (DEEP, "sent an invalid answer"),
        (GOOD + GOOD, "sent an invalid answer"),
        (habitat_child.frame({"protocol": 99}), "speaks protocol 99, not 1"),
        (GOOD[:7], r"ended with code 3 while starting; it said: goodbye"),
        (b"", r"ended with code 3 while starting; it said: goodbye"),
    ],
    ids=range(14),
)
def test_a_child_that_writes_rubbish_is_refused(tmp_path: Path, said: bytes, says: str) -> None:
    others = children(os.getpid())  # that earlier tests of this process have left
    (tmp_path / "said").write_bytes(said)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/said\necho goodbye >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(EngineError, match=says) as found:
        HabitatProcess(str(program))
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 600
    assert children(os.getpid()) == others


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho python 3 7\n")
    old.chmod(0o755)
    with pytest.raises(EngineError, match="is Python 3.7: the engine habitat needs 3.8"):
        usable_python(str(old))
    assert usable_python(sys.executable) == sys.executable


def test_the_child_needs_only_an_old_python_and_numpy() -> None:
    source = Path(habitat_child.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in imported}
    assert "numpy" in roots
    assert roots <= {"numpy", "__future__"} | sys.stdlib_module_names
    # In 3.8 `dict[str, Any]` and `X | Y` may stand in annotations alone.
    assert not re.search(r"^\w+ = .*(dict|list|tuple|Callable)\[", source, re.MULTILINE)
    assert not [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and not in_annotation(tree, node)
    ]


def in_annotation(tree: ast.AST, wanted: ast.AST) -> bool:
    for node in ast.walk(tree):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if part is not None and wanted in ast.walk(part):
                return True
    return False
