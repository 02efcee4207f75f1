"""What other systems lack is taken away here: calls, modules, /proc, symbolic links, UTF-8 on the terminal, Embree."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
# What Windows, macOS and Linux on ARM do not have; a name without a dot is a module that cannot be imported.
MISSING = {
    "control of processes": [
        *(
            "os.fork",
            "os.register_at_fork",
            "os.killpg",
            "os.set_blocking",
            "os.nice",
            "socket.send_fds",
            "select.poll",
        ),
        *("signal.SIGALRM", "signal.setitimer", "signal.SIGHUP"),
    ],
    "locks": ["fcntl"],
    "facts": ["os.sched_getaffinity", "os.getuid", "os.geteuid", "resource", "pwd", "/proc"],
    "files": ["os.memfd_create", "os.pread", "os.mkfifo", "os.symlink", "os.link", "os.posix_fadvise", "newlines"],
    "rays": ["embreex"],
}
# Python runs this file first, in every process.
TAKES_AWAY = """
import builtins, io, os, select, signal, socket, sys

def without_proc(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])

plain_open = io.open

def open_with_other_newlines(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *more, **named):
    if newline is None and "b" not in mode and "r" not in mode:
        newline = "\\r\\n"
    return plain_open(file, mode, buffering, encoding, errors, newline, *more, **named)

for name in os.environ["TAKEN_AWAY"].split(","):
    module, _, attribute = name.rpartition(".")
    if name == "/proc":
        sys.addaudithook(without_proc)
    elif name == "newlines":
        io.open = builtins.open = open_with_other_newlines
    elif module:
        vars(sys.modules[module]).pop(attribute)
    else:
        sys.modules[name] = None
"""
NOT_ON_WINDOWS = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')


def system(folder: Path, missing: list[str], **more: str) -> dict[str, str]:
    """Return the environment of a Python that lacks these things."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TAKES_AWAY)
    paths = [str(folder), str(REPO)]
    present = [name for name in missing if not name.startswith("os.") or hasattr(os, name.removeprefix("os."))]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(paths), "TAKEN_AWAY": ",".join(present)}


def spatialqa(environment: dict[str, str], *arguments: object, cwd: Path | None = None) -> str:
    command = [sys.executable, "-m", "spatialqa", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


@pytest.mark.parametrize("what", [name for name in MISSING if name != "rays"])
def test_scenes_and_questions_are_made_without(what: str, tmp_path: Path) -> None:
    environment = system(tmp_path / "site", MISSING[what])
    out = tmp_path / "out"
    workers = 2 if what == "control of processes" else 0
    spatialqa(environment, "render", out, "--plan-only", "--scenes", 24, "--workers", workers)
    spatialqa(environment, "make-qa", out)
    spatialqa(environment, "validate", out)


def test_a_system_with_nothing_of_it_renders_asks_and_shows(tmp_path: Path) -> None:
    """As on Windows: also a terminal that cannot print every character."""
    everything = [name for names in MISSING.values() for name in names]
    windows = system(tmp_path / "site", everything, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    out = tmp_path / "out"
    recipe = ("--scenes", 20, "--duration-s", 2, "--workers", 2, "--home-kinds", "shoebox")
    spatialqa(windows, "render", out, *recipe, "--group-timeout-s", 100)
    spatialqa(windows, "make-qa", out)
    spatialqa(windows, "preview", out, "--count", 2)
    spatialqa(windows, "preview", out, "--text", "--count", 2)
    assert "2 equal bit for bit" in spatialqa(windows, "validate", out, "--rerender", 2)
    spatialqa(windows, "report", out)
    found = json.loads(spatialqa(windows, "doctor", "--json"))
    assert found["versions"]["embreex"] == "none"
    assert "rays without Embree" in next(
        one["detail"] for one in found["findings"] if one["what"] == "engine geometric"
    )

    written = [path for folder in tmp_path.glob("out*") for path in folder.rglob("*")]
    assert len(written) > 20
    assert not [path for path in written if NOT_ON_WINDOWS.search(path.name)]
    texts = [
        path for path in written if path.suffix in (".json", ".jsonl", ".md", ".html", ".yaml", ".svg", ".js", ".css")
    ]
    assert {path.name for path in texts} >= {"README.md", "run.json", "croissant.json", "index.html"}
    assert not [path for path in texts if b"\r\n" in path.read_bytes()]


# Modules that call what Windows lacks, and what keeps them from being used there.
ON_POSIX_ALONE = {
    "acoustics/habitat/child.py": "runs in the Python of habitat-sim, which exists for Linux and macOS",
    "acoustics/habitat/process.py": "the same",
    "acoustics/soundspaces/engine.py": "the library is for Linux; library_path() refuses others",
    "acoustics/soundspaces/rlr_api.py": "the same",
    "bench/memory.py": "where there is no module resource, Windows is asked",
    "cli/supervisor.py": "does nothing where os.fork is missing",
    "dataset/locking.py": "takes the lock of msvcrt where fcntl is missing",
    "generation/fork_server.py": "can_fork() is false elsewhere, and workers are started fresh",
    "generation/isolation.py": "sets no limit of time where signal.setitimer is missing",
}


def test_no_other_module_calls_what_windows_lacks(tmp_path: Path) -> None:
    """mypy knows which names the standard library has on a system."""
    command = ["-m", "mypy", "--platform", "win32", "--cache-dir", str(tmp_path), "--no-warn-unused-ignores"]
    checked = subprocess.run(
        [sys.executable, *command, "spatialqa"], cwd=REPO, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^spatialqa/(\S+?):\d+: error: Module has no attribute", checked.stdout, re.MULTILINE)
    assert set(found) == set(ON_POSIX_ALONE), checked.stdout


def test_a_checkout_without_symbolic_links_works(tmp_path: Path) -> None:
    """Git on Windows writes links as small text files by default; ours are three names at the top, for readers."""
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    links = sorted(line.split("\t")[1] for line in listed.splitlines() if line.startswith("120000"))
    assert links == ["models", "recipes", "templates"]
    assert [os.readlink(REPO / name) for name in links] == [f"spatialqa/{name}" for name in links]

    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "-c", "core.symlinks=false", str(REPO), str(clone)], check=True)
    assert [(clone / name).read_text() for name in links] == [f"spatialqa/{name}" for name in links]
    there = {**os.environ, "PYTHONPATH": str(clone)}
    spatialqa(there, "render", tmp_path / "out", "--recipe", "demo", "--plan-only", "--scenes", 8, cwd=tmp_path)
    assert "8 scenes" in spatialqa(there, "make-qa", tmp_path / "out", cwd=tmp_path)
    code = "import spatialqa.models.bat.recipe as own; print(own.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=there, capture_output=True, text=True, check=True
    )
    assert Path(ran.stdout.strip()).is_relative_to(clone)
