"""Asks the package index whether every dependency has a wheel, without installing anything, and prints a table.

    python -m tests.wheels [EXTRA ...]

Needs uv and a network. Without a name, the dependencies are asked about for every Python that is supported; with names
of extras, those for one Python. What has no wheel is named.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86-64": "x86_64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
    "Windows arm64": "aarch64-pc-windows-msvc",
}
PYTHONS = ("3.11", "3.12", "3.13")
PYTHON_OF_EXTRAS = "3.12"
_NO_WHEEL = re.compile(r"[Ww]heels are required for `([^`]+)`")
_TOO_NEW = re.compile(
    r"Because (?:only )?([A-Za-z0-9_-][A-Za-z0-9_.-]*)(?:[<>=!~{ ].*? )?(?:has|have) no (?:usable )?wheels"
)


def without_wheels(requirements: Sequence[str], platform: str, python: str) -> list[str]:
    """Return the packages of which no version has a wheel; each is left out before what remains is asked about.

    Raises:
        SystemExit: uv failed for another reason.
    """
    missing: list[str] = []
    left = list(requirements)
    while True:
        with tempfile.TemporaryDirectory() as folder:
            asked = Path(folder) / "requirements.txt"
            asked.write_text("\n".join(left), encoding="utf-8")
            options = ["--python-platform", platform, "--python-version", python, "--only-binary", ":all:"]
            command = ["uv", "pip", "install", "--dry-run", *options, "--target", folder, "-r", str(asked)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return missing
        said = " ".join(done.stderr.split())
        found = _NO_WHEEL.search(said) or _TOO_NEW.search(said)
        if not found:
            sys.exit(done.stderr)
        kept = [one for one in left if not re.match(rf"{re.escape(found[1])}(?![\w-])", one, re.IGNORECASE)]
        if kept == left:  # not asked about further
            return [*missing, f"{found[1]} (of another package)"]
        missing.append(found[1])
        left = kept


def main(extras: Sequence[str]) -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    columns = [(f"Python {python}", project["dependencies"], python) for python in PYTHONS]
    if extras:
        optional = project["optional-dependencies"]
        columns = [(extra, optional[extra], PYTHON_OF_EXTRAS) for extra in extras]
    print("| platform | " + " | ".join(title for title, *_ in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, platform in PLATFORMS.items():
        cells = []
        for _, requirements, python in columns:
            missing = without_wheels(requirements, platform, python)
            cells.append("no " + ", ".join(missing) if missing else "yes")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
