"""The parent of a command hands signals on, and kills a child that does not hear them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatialqa.cli import supervisor
from spatialqa.cli.main import run_here

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
HEARS = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(1, flush=True); signal.pause()"
)


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[bytes]"]:
    """A child that is ready for signals."""
    process = subprocess.Popen([sys.executable, "-c", request.param], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(1)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("child", [HEARS], indirect=True)
def test_a_signal_reaches_the_child(child: "subprocess.Popen[bytes]") -> None:
    with supervisor._relaying(child.pid) as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # as `timeout` sends it, twice at once
        assert child.wait() == 7
    assert stop == [signal.SIGTERM] * 2


@pytest.mark.parametrize("child", [DEAF], indirect=True)
def test_a_child_that_does_not_hear_is_killed(
    child: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_S", 0.2)
    with supervisor._relaying(child.pid):
        signal.raise_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("child", [DEAF], indirect=True)
def test_a_second_signal_kills(child: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "AGAIN_S", 0.1)
    with supervisor._relaying(child.pid):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.2)
        signal.raise_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGKILL


def test_a_program_that_runs_a_command_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    monkeypatch.setattr(sys, "argv", ["spatialqa", "validate", "/nowhere", "--rerender", "1"])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        run_here()
    assert caught.value.code == 2
    assert signal.getsignal(signal.SIGTERM) == before


SUPERVISED = """
import os, signal, sys, time
from pathlib import Path
from spatialqa.cli import supervisor
from spatialqa.core.files import commit_json

supervisor.available = True
out = Path(sys.argv[1])
supervisor.supervise(out)
starts = len(list(out.glob("start*")))
(out / f"start{starts}").touch()
if sys.argv[2] == "engine":
    commit_json(out / "_spatialqa/journal/s.json", {"ended": {}, "current": "g7#0"})
if sys.argv[2] == "waits":
    print(os.getpid(), flush=True)
    time.sleep(60)
if starts < int(sys.argv[3]):
    os._exit(0)
supervisor.finished(3)
"""


def supervised(out: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", SUPERVISED, str(out), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_child_that_an_engine_ends_is_started_again(tmp_path: Path) -> None:
    done = supervised(tmp_path, "engine", 2)
    assert done.returncode == 3
    assert done.stderr.count("ended with code 0 while it simulated g7; continuing") == 2
    assert done.stderr.count("\n") == 2


def test_it_is_not_started_again_without_end(tmp_path: Path) -> None:
    done = supervised(tmp_path, "engine", 1000)
    assert done.returncode == 1
    assert len(list(tmp_path.glob("start*"))) == supervisor.MOST_STARTS
    assert "again and again, in g7" in done.stderr.splitlines()[-1]


def test_an_end_outside_of_an_engine_is_no_end_that_is_well(tmp_path: Path) -> None:
    done = supervised(tmp_path, "nothing", 1)
    assert done.returncode == 1
    assert "ended with code 0 before the command was done; run the same command again" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path), "waits", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} goes on")


AS_IT_FORKS = """
import os, signal, sys, time
from pathlib import Path
from spatialqa.cli import supervisor
from spatialqa.core.interrupts import stop_on_signals

fork = os.fork

def forked():
    pid = fork()
    if pid:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(pid, signal.SIGKILL if sys.argv[2] == "dead" else signal.SIGCONT)
    return pid

os.fork = forked
stop_on_signals()
supervisor.available = True
try:
    supervisor.supervise(Path(sys.argv[1]))
    time.sleep(60)
except KeyboardInterrupt:
    Path(sys.argv[1], "stopped").touch()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("child", ["lives", "dead"])
def test_a_signal_that_comes_as_it_forks_is_handed_on(tmp_path: Path, child: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_IT_FORKS, str(tmp_path), child],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "spatialqa: stopped by SIGTERM; run the same command again to resume\n"
    assert (tmp_path / "stopped").exists() == (child == "lives")
