"""doctor prints its findings as they are."""

import importlib.metadata

import pytest

from spatialqa.cli.doctor import findings, print_report
from spatialqa.core.console import stdout


def test_a_missing_package_is_named_with_a_command_that_can_be_copied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = importlib.metadata.version

    def without_sklearn(name: str) -> str:
        if name == "scikit-learn":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_sklearn)
    monkeypatch.setattr(stdout, "width", 600)
    print_report()
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if "scikit-learn" in line)
    assert "pip install 'spatialqa[audit]' to audit" in line
    assert line.startswith("-- ")
    for what, usable, detail in findings():
        found = next(line for line in lines if f" {what} " in line)
        assert found.startswith("ok ") == usable
        assert detail in found
