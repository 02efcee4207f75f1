"""What a stranger installs: the wheel built from the sdist, in a clean environment, renders and asks."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the tracked files and the wheel from the sdist, as `python -m build` does by default."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(REPO)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_package_and_every_table(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=REPO, check=True, capture_output=True, text=True).stdout.split()
    wanted = {name for name in tracked if name.startswith("spatialqa/")}
    assert wanted <= names, sorted(wanted - names)
    assert not [name for name in names if name.startswith(("tests/", "recipes/", "templates/", "models/"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_recipes_and_templates(wheel: Path) -> None:
    (sdist,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getnames()
    assert any(name.endswith("/spatialqa/recipes/demo.yaml") for name in members)
    assert any(name.endswith("/spatialqa/templates/a.yaml") for name in members)


def test_the_wheel_renders_and_asks_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    command: list[str] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        str(wheel),
    ]
    # a path of ours would show pip the checkout, which it would take for an installed package
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, env=own)
    spatialqa = str(tmp_path / "venv/bin/spatialqa")

    def run(*arguments: str, said: str = "") -> str:
        done = subprocess.run(
            [spatialqa, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, env=own
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stderr
        return done.stdout

    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True, env=own)
    installed = listed.stdout.split()
    assert not {"torch", "pandas", "datasets"} & set(installed)
    render = ("render", "out", "--recipe", "demo", "--scenes", "16", "--workers", "0")
    assert "shards: 3" in run(*render, said="compiled once")
    assert "questions about 16 scenes" in run("make-qa", "out", "--types", "A,B,C,D")
    assert "2 equal bit for bit" in run("validate", "out", "--rerender", "2")
