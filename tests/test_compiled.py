"""Compiled kernels are kept beside their package, until one of its modules with kernels changes."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from spatialqa.core import compiled

KERNEL = "from spatialqa.core.compiled import compiled\n\n\n@compiled\ndef scaled(x):\n    return {factor} * x\n"


def kernel(package: Path, factor: int) -> Any:
    """Write a package of one module and return its kernel, as a new process would find it."""
    package.mkdir(exist_ok=True)
    file = package / "loops.py"
    file.write_text(KERNEL.format(factor=factor))
    compiled._folder.cache_clear()
    spec = importlib.util.spec_from_file_location(package.name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.scaled


def folders(package: Path) -> set[str]:
    return {path.name for path in (package / "__pycache__").glob("kernels-*")}


def test_a_change_of_one_package_compiles_its_kernels_again_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # or the change within a second would not be seen
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    assert not compiled.are_kept(one / "loops.py")
    assert (kernel(one, 2)(3.0), kernel(other, 2)(3.0)) == (6.0, 6.0)
    assert compiled.are_kept(one / "loops.py")
    before = folders(one), folders(other)
    again = kernel(one, 2)
    assert again(3.0) == 6.0
    assert sum(again.stats.cache_hits.values()) == 1
    assert kernel(one, 5)(3.0) == 15.0
    unchanged = kernel(other, 2)
    assert unchanged(3.0) == 6.0
    assert sum(unchanged.stats.cache_hits.values()) == 1
    assert len(folders(one) - before[0]) == 1
    assert folders(other) == before[1]
