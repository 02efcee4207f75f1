"""The checks may share no code with what they check."""

import ast
from pathlib import Path

import pytest

import spatialqa.dataset.validation

# dataset.py runs the checks over a whole data set, files.py knows nothing of rows; the others are the checks
CHECKS = sorted(
    path
    for path in Path(spatialqa.dataset.validation.__path__[0]).glob("*.py")
    if path.name not in ("__init__.py", "dataset.py", "files.py")
)
SHARED = {
    "spatialqa.dataset.folder",
    "spatialqa.dataset.json_records",
    "spatialqa.dataset.reading",
    "spatialqa.dataset.schema",
    "spatialqa.errors",
    "spatialqa.core.geometry",
    "spatialqa.core.ontology",
    "spatialqa.core.scene",
}


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: path.stem)
def test_answers_are_checked_with_nothing_of_what_makes_them(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
    ours = {name for name in imported if name and name.startswith("spatialqa")}
    own = {f"spatialqa.dataset.validation.{other.stem}" for other in CHECKS}
    folders = ("spatialqa.core", "spatialqa.dataset", "spatialqa.dataset.validation")
    assert all(name in folders or any(f"{name}.".startswith(f"{ok}.") for ok in SHARED | own) for name in ours)
    assert not any(name.startswith(("spatialqa.qa", "spatialqa.generation")) for name in ours)
