"""Files for contributors agree with one another and with pyproject.toml."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

REPO = Path(__file__).parents[1]


def project() -> dict[str, Any]:
    own: dict[str, Any] = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return own


def read_yaml(path: str) -> Any:
    return yaml.safe_load((REPO / path).read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors"} <= citation.keys()
    assert (citation["title"], citation["version"]) == (project()["name"], project()["version"])
    assert (citation["license"], citation["keywords"]) == (project()["license"], project()["keywords"])
    assert citation["authors"] == project()["authors"]


@pytest.mark.parametrize(
    ("system", "machine", "has_wheel"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", False),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", True),
        ("win32", "AMD64", True),
        ("win32", "ARM64", False),
    ],
)
def test_embree_is_installed_where_it_has_a_wheel(system: str, machine: str, has_wheel: bool) -> None:
    (embree,) = (own for own in map(Requirement, project()["dependencies"]) if own.name == "embreex")
    assert embree.marker is not None
    assert embree.marker.evaluate({"sys_platform": system, "platform_machine": machine}) == has_wheel


def test_pre_commit_installs_what_the_dev_extra_installs() -> None:
    wanted = project()["optional-dependencies"]["dev"]
    hooks = [hook for repo in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    installed = [package for hook in hooks for package in hook.get("additional_dependencies", [])]
    assert installed
    assert set(installed) <= set(wanted)


def test_workflows_test_every_python_that_we_support() -> None:
    supported = sorted(
        line.rpartition(" ")[2] for line in project()["classifiers"] if re.fullmatch(r".*Python :: 3\.\d+", line)
    )
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    assert jobs["linux"]["strategy"]["matrix"]["python"] == supported
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    named = {word for step in steps for word in re.findall(r"\bmake ([a-z-]+)", step)}
    assert named
    assert named <= targets


def test_issue_forms_have_a_name_and_a_body() -> None:
    forms = sorted((REPO / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
    assert len(forms) == 2
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= content.keys()
        ids = [field["id"] for field in content["body"]]
        assert len(set(ids)) == len(ids)


def test_the_image_installs_the_package_on_a_supported_python() -> None:
    recipe = (REPO / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"pip install --no-cache-dir \.$", recipe, re.MULTILINE)
    bases = re.findall(r"^FROM python:([\d.]+)-slim", recipe, re.MULTILINE)
    assert len(bases) == 2
    assert all(f"Programming Language :: Python :: {base}" in project()["classifiers"] for base in bases)
