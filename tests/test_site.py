"""The site: every page is in its navigation, pages made from the code are complete, figures are what the code draws."""

import dataclasses
import importlib.util
import posixpath
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import spatialqa
from spatialqa.cli.main import cli
from spatialqa.dataset.schema import TABLES
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.qa.recipe import QaRecipe

REPO = Path(__file__).parents[1]
DOCS = REPO / "docs"
MADE = {"index.md", "contributing.md", "changelog.md"}  # from files outside of docs/


def site_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "_site" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = site_module("reference").pages()
    return made


def navigation() -> list[str]:
    config = yaml.safe_load((REPO / "mkdocs.yml").read_text(encoding="utf-8"))

    def leaves(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [leaf for below in (part.values() if isinstance(part, dict) else part) for leaf in leaves(below)]

    return leaves(config["nav"])


def test_every_page_is_in_the_navigation_once(pages: dict[str, str]) -> None:
    files = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(navigation()) == sorted(files | MADE | pages.keys())


def test_reference_pages_have_every_command_key_column_and_name(pages: dict[str, str]) -> None:
    for name in cli.commands:
        assert re.search(rf"^## {name}\b", pages["reference/commands.md"], re.MULTILINE), name
    assert "--gain-db NUMBER" in pages["reference/commands.md"]
    for recipe in (RenderRecipe, QaRecipe):
        for field in dataclasses.fields(recipe):
            assert f"| `{field.name}` |" in pages["reference/recipe-keys.md"]
    for table, schema in TABLES.items():
        section = pages["reference/columns.md"].partition(f"## {table}\n")[2].partition("\n## ")[0]
        assert all(f"| `{column}` |" in section for column in schema.names)
    assert "| `sources[].azimuth_deg` | double |" in pages["reference/columns.md"]
    assert all(f".{name}\n" in pages["reference/python.md"] for name in spatialqa.__all__ if name != "__version__")
    assert "| `unit_scale` | number | 1.0 |" in pages["reference/recipe-keys.md"]


def test_figures_are_those_that_the_code_draws() -> None:
    for name, picture in site_module("figures").figures().items():
        assert (DOCS / "figures" / name).read_text(encoding="utf-8") == picture, "run python docs/_site/figures.py"


def test_links_lead_to_headings() -> None:
    pages = [*REPO.glob("*.md"), *DOCS.rglob("*.md")]
    headings = {path: {_slug(line) for line in _headings(path)} for path in pages}
    for path in pages:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if ":" not in target:
                there = Path(posixpath.normpath(path.parent / target)) if target else path
                assert anchor in headings[there], f"{path.name}: {target}#{anchor}"


def _headings(path: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def _slug(heading: str) -> str:
    words = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
    return re.sub(r"\s", "-", words)


def test_the_workflow_builds_what_make_docs_builds() -> None:
    jobs = yaml.safe_load((REPO / ".github/workflows/docs.yml").read_text(encoding="utf-8"))["jobs"]
    assert any("make docs" in step.get("run", "") for step in jobs["site"]["steps"])
    assert "mkdocs build --strict" in (REPO / "Makefile").read_text(encoding="utf-8")
    extras = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert any(package.startswith("mkdocs-material") for package in extras["docs"])


def test_quick_start_installs_extras_that_there_are() -> None:
    extras = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    page = (DOCS / "quick-start.md").read_text(encoding="utf-8")
    checkout, index = (set(re.findall(rf"`pip install '{name}\[(\w+)\]'`", page)) for name in (r"\.", "spatialqa"))
    assert checkout == index == extras.keys() - {"dev", "docs"}
