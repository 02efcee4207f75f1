"""Imports run downwards: the layers that pyproject.toml declares hold, and a break of them is noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a tree's pyproject.toml against its package."""
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache"]
    environment = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package and of its contracts, to be changed."""
    shutil.copytree(REPO / "spatialqa", tmp_path / "spatialqa", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(REPO / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_every_module_imports_downwards_and_none_in_a_circle() -> None:
    done = lint_imports(REPO)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/seeds.py", "from spatialqa.cli.main import main", "core is not allowed to import spatialqa.cli"),
        ("rooms/room.py", "from spatialqa.generation.recipe import RenderRecipe", "rooms is not allowed to import"),
        ("clips/clip.py", "from spatialqa.rooms.room import Room", "clips is not allowed to import spatialqa.rooms"),
        ("rooms/mesh/cache.py", "from spatialqa.rooms.mesh.mesh_rooms import MeshRooms", "No cycles are allowed in"),
        ("dataset/validation/text.py", "from spatialqa.qa.fact import Fact", "is not allowed to import spatialqa.qa"),
    ],
)
def test_an_import_against_the_layers_is_noticed(tree: Path, module: str, line: str, broken: str) -> None:
    file = tree / "spatialqa" / module
    file.write_text(file.read_text() + f"\n\ndef _late() -> None:\n    {line}\n")  # a late import counts too
    done = lint_imports(tree)
    assert done.returncode == 1
    assert broken in " ".join(done.stdout.split()), done.stdout


def test_a_new_package_without_a_layer_is_noticed(tree: Path) -> None:
    (tree / "spatialqa" / "attic").mkdir()
    (tree / "spatialqa" / "attic" / "__init__.py").write_text("")
    done = lint_imports(tree)
    assert done.returncode == 1
    assert "attic" in done.stdout
