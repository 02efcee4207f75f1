"""The README's code is run, and every command it shows is one that the command line takes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from spatialqa.cli.main import cli
from spatialqa.rooms.materials import material

REPO = Path(__file__).parents[1]
PAGES = [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands() -> list[tuple[str, str]]:
    lines = [(page.name, line) for page in PAGES for block in blocks(page, "bash") for line in block.splitlines()]
    return [(page, line.strip()) for page, line in lines if line.strip().startswith("spatialqa ")]


@pytest.mark.parametrize("code", blocks(REPO / "README.md", "python"), ids=lambda code: code.split()[1])
def test_python_of_the_readme_runs(code: str, small: Path, tmp_path: Path) -> None:
    (tmp_path / "spatialqa-out").symlink_to(small)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_shown_is_one_we_have(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words, resilient_parsing=False)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_materials_of_the_readme_exist() -> None:
    (block,) = blocks(REPO / "README.md", "yaml")
    for name in yaml.safe_load(block).values():
        assert material(name).name == name


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    shown = "\n".join(block for page in PAGES for block in blocks(page, "bash"))
    assert set(re.findall(r"^make ([\w-]+)", shown, re.MULTILINE)) <= targets
    assert "make test" in (REPO / ".ci/run").read_text()
