"""The checks may share no code with what they check."""

import ast
from pathlib import Path

import pytest

import spatialqa.dataset

CHECKS = sorted(Path(spatialqa.dataset.__path__[0]).glob("validate_*.py"))
SHARED = {
    "spatialqa.dataset.folder",
    "spatialqa.dataset.reading",
    "spatialqa.dataset.schema",
    "spatialqa.errors",
    "spatialqa.core.geometry",
    "spatialqa.core.ontology",
    "spatialqa.core.scene",
}


@pytest.mark.parametrize("path", [*CHECKS, CHECKS[0].with_name("truth.py")], ids=lambda path: path.stem)
def test_answers_are_checked_with_nothing_of_what_makes_them(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
    ours = {name for name in imported if name and name.startswith("spatialqa")}
    own = {f"spatialqa.dataset.{other.stem}" for other in [*CHECKS, path.with_name("truth.py")]}
    assert all(
        name == "spatialqa.dataset" or any(f"{name}.".startswith(f"{ok}.") for ok in SHARED | own) for name in ours
    )
    assert not any(
        name.startswith(("spatialqa.qa", "spatialqa.qa.make", "spatialqa.generation.recipe")) for name in ours
    )
