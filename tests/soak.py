"""Disturbs renders at random and compares every file with that of an undisturbed run. No part of `make test`.

    python -m tests.soak [--rounds 50] [--seed 0] [--minutes 60] [--log FILE]

A round renders a small data set and asks questions of it: in one process, with two workers, or on a Ray cluster of two
nodes on this machine. At random moments it kills the command, its child process, a worker or a raylet, stops
the command by SIGTERM or SIGINT, or fills the disk. Whenever the command has ended before it was done, the same command
is started again. Every start of the command, each disturbance and the result are in the log.

The disk is a file system in memory, which only root may mount; without it no disk is filled, and the log says so. The
exit code is 1 where a round did not end in the same bytes.
"""

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from spatialqa.generation.recipe import RenderRecipe
from tests.fixtures.datasets import SMALL
from tests.fixtures.kills import Started, spatialqa

RECIPE = replace(SMALL, scenes=48)
MODES = ("process", "workers", "cluster")
MOST_STARTS = 40  # of one command in a round
LONGEST_S = 120.0  # of one start, beside five times what an undisturbed run takes; more is a hang
DISK_BYTES = 128 << 20
COMPARED = ("scenes", "groups", "rirs", "qa", "README.md", "croissant.json", "_spatialqa/shards", "_spatialqa/rejects")
CLEAN_ENDS = (0, 1, 2, 3, 130, 143, -signal.SIGKILL)
BEFORE_IT_BEGAN = (-signal.SIGINT, -signal.SIGTERM)  # while Python itself started


def contents(root: Path) -> dict[str, str]:
    """Return the sha256 of every file that must not depend on what happened, by path."""
    found = {}
    for name in COMPARED:
        for path in [root / name, *(root / name).rglob("*")]:
            if path.is_file():
                found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return the processes below a process, with their command lines, without the `ps` that lists them."""
    found = []
    with subprocess.Popen(["ps", "-ww", "-eo", "pid=,ppid=,args="], stdout=subprocess.PIPE, text=True) as ps:
        listed = ps.communicate()[0]
    children: dict[int, list[tuple[int, str]]] = {}
    for line in listed.splitlines():
        own, parent, command = line.split(None, 2)
        if int(own) != ps.pid:
            children.setdefault(int(parent), []).append((int(own), command))
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [own for own, _ in below]
    return found


@dataclass
class Soak:
    """One soak: where it works, what it does, what came of it."""

    folder: Path
    rng: random.Random
    log: Callable[[str], None]
    recipe: RenderRecipe = RECIPE
    can_fill: bool = False
    asks: bool = True  # whether questions are asked as well
    cluster: Any = None
    second_node: Any = None
    expected: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def prepare(self) -> float:
        """Render what every round must end in, undisturbed in one process; returns the seconds it took.

        It is rendered twice: the first time, kernels may be compiled.
        """
        for name in ("first", "undisturbed"):
            start = time.monotonic()
            root = self.folder / name / "data"  # the card names the last folder
            for command in self._commands("process", root):
                started = Started(command)
                assert started.wait() == 0, started.printed
            took_s = time.monotonic() - start
        self.expected = contents(root)
        return took_s

    def round(self, mode: str, typical_s: float, disturbances: list[str]) -> str:
        """Do one round; returns "" or what is wrong with its end."""
        root = self.folder / "disturbed/data"
        shutil.rmtree(root.parent, ignore_errors=True)
        left = list(disturbances)
        for command in self._commands(mode, root):
            for _ in range(MOST_STARTS):
                code, printed = self._start(command, root, left, typical_s)
                if code == 0:
                    break
                early = code in BEFORE_IT_BEGAN and "spatialqa/" not in printed
                if not early and (code not in CLEAN_ENDS or "Traceback" in printed):
                    return f"{command[3]} ended with {code}: {printed.strip()[-300:]}"
            else:
                return f"{command[3]} did not end in {MOST_STARTS} starts"
        found = contents(root)
        if found != self.expected:
            different = sorted(p for p in {*found, *self.expected} if found.get(p) != self.expected.get(p))
            return f"{len(different)} files differ: {', '.join(different[:4])}"
        strays = [path.name for path in root.rglob(".*")] + [p.name for p in (root / "_spatialqa/journal").glob("*")]
        return f"left behind: {', '.join(strays[:4])}" if strays else ""

    def _commands(self, mode: str, root: Path) -> list[list[str]]:
        workers = {"process": 0, "workers": 2, "cluster": None}[mode]
        address = self.cluster.address if mode == "cluster" else None
        path = self.folder / f"{mode}.yaml"
        path.write_text(yaml.safe_dump({"render": asdict(replace(self.recipe, workers=workers, ray_address=address))}))
        return [spatialqa("render", root, "--recipe", path), spatialqa("make-qa", root)][: 1 + self.asks]

    def _start(self, command: list[str], root: Path, left: list[str], typical_s: float) -> tuple[int, str]:
        """Start a command, disturb it at random moments until it ends; returns its exit code and what it printed."""
        started = Started(command)
        moment = time.monotonic() + self.rng.uniform(0.0, typical_s)
        deadline = time.monotonic() + LONGEST_S + 5 * typical_s
        with contextlib.ExitStack() as until_end:
            while started.process.poll() is None:
                if left and time.monotonic() >= moment:
                    what = left.pop(0)
                    hit = self._disturb(what, started, until_end)
                    self.done[what] += hit
                    self.log(f"    {command[3]}: {what}{'' if hit else ' (nothing to hit)'}")
                    moment = time.monotonic() + self.rng.uniform(0.0, typical_s)
                if time.monotonic() > deadline:
                    started.process.kill()
                    return 99, f"it hung: {started.printed}"
                time.sleep(0.01)
        self.log(f"    {command[3]}: ended with {started.wait()} {' '.join(started.printed.split())[-160:]}")
        return started.wait(), started.printed

    def _disturb(self, what: str, started: Started, until_end: contextlib.ExitStack) -> bool:
        """Do one thing to a command that runs; returns whether there was anything to do it to."""
        pid = started.process.pid
        if what in ("SIGKILL", "SIGTERM", "SIGINT"):
            started.process.send_signal(signal.Signals[what])
            return True
        if what == "full disk":
            filler = self.folder / "filler"
            until_end.callback(filler.unlink, missing_ok=True)
            with contextlib.suppress(OSError), filler.open("wb") as stream:
                while True:
                    stream.write(b"\0" * (1 << 16))
            return True
        if what == "raylet" and self.cluster is not None:
            self.cluster.remove_node(self.second_node, allow_graceful=False)
            self.second_node = self.cluster.add_node(num_cpus=1)
            return True
        below = descendants(os.getpid() if what == "worker" and self.cluster else pid)
        chosen = {
            "child": [own for own, command in below if "-m spatialqa " in command],
            "worker": [
                own
                for own, command in below
                if "import worker_processes" in command or (command.startswith("ray::") and "Agent" not in command)
            ],
            "raylet": [own for own, command in below if command.split()[0].endswith("/raylet")],
        }[what]
        if not chosen:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.rng.choice(chosen), signal.SIGKILL)
        return True

    def disturbances(self, mode: str) -> list[str]:
        """Draw what is done in a round, in order."""
        kinds = ["SIGKILL", "SIGTERM", "SIGINT", "child"] + ["full disk"] * self.can_fill
        if mode != "process":
            kinds += ["worker", "worker"]
        if mode == "cluster":
            kinds += ["raylet", "raylet"]
        return [self.rng.choice(kinds) for _ in range(self.rng.randint(1, 4))]


@contextlib.contextmanager
def small_disk() -> Iterator[tuple[Path, bool]]:
    """Give a folder, and whether it is a small disk that can be filled."""
    with tempfile.TemporaryDirectory(prefix="spatialqa-soak-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", name]
        mounted = shutil.which("mount") is not None and subprocess.run(mount, capture_output=True).returncode == 0
        try:
            yield Path(name), mounted
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", name], check=False)


@contextlib.contextmanager
def two_nodes(second: bool = True) -> Iterator[tuple[Any, Any]]:
    """Run a Ray cluster of two nodes of one CPU each on this machine, or of one; gives it and the second node."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_AUTH_MODE"] = "disabled"  # tokens are for clusters that others can reach
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield cluster, cluster.add_node(num_cpus=1) if second else None
    finally:
        cluster.shutdown()


def soak(
    rounds: int,
    seed: int,
    minutes: float,
    log: Callable[[str], None],
    modes: tuple[str, ...] = MODES,
    recipe: RenderRecipe = RECIPE,
) -> int:
    """Do rounds until there are enough or the time is up; returns how many did not end in the same bytes."""
    begin = time.monotonic()
    wrong = number = 0
    with contextlib.ExitStack() as stack:
        folder, can_fill = stack.enter_context(small_disk())
        work = Soak(folder, random.Random(seed), log, recipe, can_fill)
        typical_s = work.prepare()
        log(f"seed {seed}; undisturbed: {typical_s:.0f} s, {len(work.expected)} files{'' if can_fill else '; no disk'}")
        while number < rounds and time.monotonic() - begin < 60 * minutes:
            mode = modes[number % len(modes)]
            number += 1
            start = time.monotonic()
            planned = work.disturbances(mode)
            with two_nodes() if mode == "cluster" else contextlib.nullcontext((None, None)) as nodes:
                work.cluster, work.second_node = nodes
                problem = work.round(mode, typical_s, planned)
            wrong += bool(problem)
            log(f"round {number} {mode}: {', '.join(planned)}: {problem or 'equal'} ({time.monotonic() - start:.0f} s)")
    counts = ", ".join(f"{what} {n}" for what, n in sorted(work.done.items()))
    log(f"{number} rounds in {(time.monotonic() - begin) / 60:.0f} min, {wrong} of them wrong; {counts}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="no round begins later than this")
    parser.add_argument("--log", type=Path, default=Path("soak.log"))
    given = parser.parse_args()
    with given.log.open("w", encoding="utf-8") as stream:

        def log(line: str) -> None:
            for to in (stream, sys.stdout):
                print(line, file=to, flush=True)

        sys.exit(soak(given.rounds, given.seed, given.minutes, log) > 0)


if __name__ == "__main__":
    main()
