"""Workers on one machine: those that end, that cannot start, that raise, that outlive nothing."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spatialqa.errors import DatasetError, RecipeError
from spatialqa.generation.fork_server import Early, can_fork
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.tasks import CRASHES_PER_SHARD, ReportedProgress
from spatialqa.generation.worker_processes import WorkerError, report_made, server_started_early
from spatialqa.generation.workers import on_workers
from tests.soak import descendants

TWO = RenderRecipe(workers=2)


@dataclass(frozen=True)
class Task:
    """Stands for a shard."""

    name: str


def done(job: Any, tasks: list[Task], heard: list[Any], work: Any) -> list[tuple[str, Any]]:
    return [(task.name, made) for task, made in on_workers(work, job, TWO, tasks, 2, heard.append)]


def report(flag: Path, task: Task) -> Any:
    """Return how nice the worker is; the first task, and `dead` always, ends its process."""
    print("what a library prints")
    if not flag.exists() or task.name == "dead":
        flag.touch()
        os._exit(0)
    return os.nice(0), os.environ["OMP_NUM_THREADS"]


@pytest.fixture(params=["forks", "fresh"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start workers as Linux does, and as other systems do."""
    if request.param == "fresh":
        monkeypatch.setattr("spatialqa.generation.worker_processes.can_fork", lambda: False)


@pytest.mark.usefixtures("either")
def test_what_a_dead_worker_held_is_tried_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[Any] = []
    tasks = [Task("a"), Task("dead"), Task("b")]
    said = rf"shard dead: its worker died {CRASHES_PER_SHARD} times \(ended with code 0\)"
    with pytest.raises(DatasetError, match=said):
        done(tmp_path / "flag", tasks, heard, report)
    assert heard == [(os.nice(0), os.environ.get("OMP_NUM_THREADS", "1"))] * 2
    assert capfd.readouterr() == ("", "")
    assert not [words for _, words in descendants(os.getpid()) if "worker_processes" in words]


def in_parts(flag: Path, task: Task) -> Any:
    """Report five parts; the worker of the first task dies after three."""
    for part in range(5):
        report_made(1)
        if part == 2 and not flag.exists():
            flag.touch()
            os._exit(1)
    return "whole"


def test_progress_counts_what_is_done_of_a_shard_and_nothing_twice(tmp_path: Path) -> None:
    steps: list[int] = []
    count = ReportedProgress(steps.append)
    tasks = [Task("a"), Task("b")]
    for task, _ in on_workers(in_parts, tmp_path / "flag", TWO, tasks, 1, lambda _: None, count.made):
        count.finished(task.name, 5)
    assert sum(steps) == 10
    assert steps[:4] == [1, 1, 1, -3]
    assert steps.count(1) == 13


def fail(job: Any, task: Task) -> Any:
    """Fail as users and as programs do."""
    if task.name == "refused":
        raise RecipeError("the room is not there")
    if task.name == "fault":
        raise ZeroDivisionError("of ours")
    if task.name.isdigit():
        time.sleep(0.05)
    return task.name


@pytest.mark.usefixtures("either")
def test_an_error_is_raised_when_what_was_begun_is_finished() -> None:
    """The other worker may be far ahead of the one that raises, so there is work for half a minute."""
    heard: list[Any] = []
    tasks = [Task("refused"), *(Task(str(number)) for number in range(600))]
    with pytest.raises(RecipeError, match="^shard refused: the room is not there$"):
        done(None, tasks, heard, fail)
    assert heard == [str(number) for number in range(len(heard))]
    assert len(heard) < 600


def test_a_fault_of_the_program_shows_where_it_is() -> None:
    with pytest.raises(WorkerError, match=r"(?s)in fail.*ZeroDivisionError: of ours"):
        done(None, [Task("fault")], [], fail)


class Unloadable:
    """A job that no worker can load."""

    def __reduce__(self) -> Any:
        return __import__, ("no_such_module",)


@pytest.mark.usefixtures("either")
def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(
        DatasetError, match="^a worker cannot start: ModuleNotFoundError: No module named 'no_such_module'$"
    ):
        done(Unloadable(), [Task("a")], [], fail)


def sleep(folder: Path, task: Task) -> Any:
    """Say who works, and work for a long time."""
    (folder / task.name).write_text(str(os.getpid()))
    time.sleep(60)


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from tests.test_worker_processes import sleep, Task, done\n"
        "done(pathlib.Path(sys.argv[1]), [Task('a'), Task('b')], [], sleep)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[1])
    while len(pids := [int(text) for path in tmp_path.iterdir() if (text := path.read_text())]) < 2:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


def kill_the_idle(folder: Path, task: Task) -> Any:
    """Say who works; `b` waits for `a` to end its work and kills it."""
    if task.name == "a":
        (folder / "pid").write_text(str(os.getpid()))
    else:
        until = time.monotonic() + 20
        while not (folder / "pid").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
        time.sleep(0.3)
    return task.name


@pytest.mark.usefixtures("either")
def test_the_death_of_an_idle_worker_costs_nothing(tmp_path: Path) -> None:
    assert done(tmp_path, [Task("a"), Task("b")], [], kill_the_idle) == [("a", "a"), ("b", "b")]


class Job:
    """A job that says in a file which process has loaded it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        with (self.folder / "loaded").open("a") as file:
            file.write(f"{os.getpid()}\n")


prepared: list[Path] = []


def prepare(job: Job) -> None:
    prepared.append(job.folder)


def parent_of(job: Job, task: Task) -> Any:
    """Return who has started the worker and what was prepared, when the other worker is there too."""
    (job.folder / task.name).touch()
    until = time.monotonic() + 20
    while not (job.folder / {"a": "b", "b": "a"}[task.name]).exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    return os.getppid(), list(prepared)


linux = pytest.mark.skipif(not can_fork(), reason="workers are forks on Linux only")


@linux
def test_workers_are_forks_of_one_process_that_has_loaded_the_job(tmp_path: Path) -> None:
    tasks = [Task("a"), Task("b")]
    made: list[Any] = list(on_workers(parent_of, Job(tmp_path), TWO, tasks, 2, lambda _: None, None, prepare))
    servers = {parent for _, (parent, _) in made}
    assert {str(pid) for pid in servers} == set((tmp_path / "loaded").read_text().split())
    assert len(servers) == 1
    assert [ready for _, (_, ready) in made] == [[tmp_path]] * 2


@linux
def test_a_server_can_start_before_its_job_is_known(tmp_path: Path) -> None:
    with server_started_early(Early(("fractions",))):
        below = {pid for pid, words in descendants(os.getpid()) if "worker_processes" in words}
        tasks = [Task("a"), Task("b")]
        made: list[Any] = list(on_workers(parent_of, Job(tmp_path), TWO, tasks, 2, lambda _: None, None, prepare))
    assert {parent for _, (parent, _) in made} == below
    assert len(below) == 1
    with server_started_early(Early(("fractions",))):
        assert [words for _, words in descendants(os.getpid()) if "worker_processes" in words]
    assert not [words for _, words in descendants(os.getpid()) if "worker_processes" in words]


def noted_early(folder: Path, fails: bool) -> None:
    """Note which process calls this, and fail."""
    with (folder / "early").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if fails:
        raise RuntimeError("as the job will")


@linux
@pytest.mark.parametrize("fails", [False, True])
def test_a_server_gets_ready_for_a_job_that_is_being_prepared(tmp_path: Path, fails: bool) -> None:
    tasks = [Task("a"), Task("b")]
    early = Early((__name__, "fractions"), "noted_early", (tmp_path, fails))
    with server_started_early(early), server_started_early(early):
        made: list[Any] = list(on_workers(parent_of, Job(tmp_path), TWO, tasks, 2, lambda _: None, None, prepare))
    assert {str(parent) for _, (parent, _) in made} == set((tmp_path / "early").read_text().split())
    assert (tmp_path / "early").read_text().count("\n") == 1


def slept_early(seconds: float) -> None:
    """Take long."""
    time.sleep(seconds)


@linux
def test_a_server_that_is_not_needed_is_ended_at_once() -> None:
    start = time.monotonic()
    with server_started_early(Early((__name__,), "slept_early", (60.0,))):
        pass
    assert time.monotonic() - start < 30.0


@linux
def test_what_cannot_be_pickled_starts_no_server_early() -> None:
    before = descendants(os.getpid())
    with server_started_early(Early((__name__,), "slept_early", (lambda: 60.0,))):
        assert descendants(os.getpid()) == before


def killed_server(flag: Path, task: Task) -> Any:
    """Kill the server of this worker, once."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return "done"


@linux
def test_a_server_that_is_killed_is_started_again(tmp_path: Path) -> None:
    assert sorted(done(tmp_path / "flag", [Task("a"), Task("b")], [], killed_server)) == [("a", "done"), ("b", "done")]


def loaded(job: Any, task: Task) -> Any:
    """Say whether an array of pyarrow has made it import pandas."""
    import pyarrow as pa

    pa.array([1, 2])
    return "pandas" in sys.modules


@pytest.mark.usefixtures("either")
def test_a_worker_does_not_load_pandas() -> None:
    pytest.importorskip("pandas")
    assert done(None, [Task("a")], [], loaded) == [("a", False)]
