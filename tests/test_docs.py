"""Files that the documentation names exist."""

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
PAGES = [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]
NAMED = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|yaml|tsv|md|toml|json))`")
OURS: tuple[str, ...] = (
    "core",
    "rooms",
    "clips",
    "acoustics",
    "banks",
    "dataset",
    "generation",
    "qa",
    "scoring",
    "audit",
    "interop",
)
OURS += ("bench", "cli", "models", "tests", "docs", "recipes", "templates", "spatialqa", "data")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_path_of_ours_that_a_page_names_is_there(page: Path) -> None:
    named = {path for path in NAMED.findall(page.read_text(encoding="utf-8")) if path.split("/")[0] in OURS}
    missing = [path for path in sorted(named) if not any((root / path).exists() for root in (REPO, REPO / "spatialqa"))]
    assert not missing


def test_the_tree_of_the_architecture_page_is_the_tree_on_disk() -> None:
    page = (REPO / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.partition("## The tree")[2].partition("\n## ")[0]
    shown = set(re.findall(r"^ {4}(\w+)/? ", tree, re.MULTILINE)) | set(re.findall(r"^ {6}(\w+)/ ", tree, re.MULTILINE))
    folders = {path.name for path in (REPO / "spatialqa").iterdir() if (path / "__init__.py").is_file()}
    folders |= {path.name for path in (REPO / "spatialqa" / "models").iterdir() if (path / "__init__.py").is_file()}
    assert not folders - shown
    assert shown - folders == {"errors"}  # a module
