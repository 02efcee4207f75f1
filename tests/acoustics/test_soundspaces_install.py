"""The engine's library is installed without a compiler."""

import hashlib
from pathlib import Path

import pytest

from spatialqa.acoustics.soundspaces import install, rlr_api
from spatialqa.errors import EngineError, MissingDependencyError

pytestmark = pytest.mark.soundspaces


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("no_compiler")
def test_it_is_the_library_of_the_compiled_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlr_api.install_command() == "python -m spatialqa.acoustics.soundspaces.install"
    assert install.main(["--target", str(tmp_path / "here")]) == 0
    assert "CC BY-NC 4.0" in capsys.readouterr().out
    (library,) = (tmp_path / "here").rglob(rlr_api.LIBRARY)
    compiled = rlr_api.library_path()
    assert library.relative_to(tmp_path / "here").parts == compiled.parts[-len(install._LIBRARY.split("/")) :]
    assert hashlib.sha256(library.read_bytes()).digest() == hashlib.sha256(compiled.read_bytes()).digest()
    (licence,) = (tmp_path / "here").rglob("LICENSE")
    assert "Attribution-NonCommercial 4.0" in licence.read_text()


@pytest.mark.usefixtures("no_compiler")
def test_another_source_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(install, "SHA256", "0" * 64)
    with pytest.raises(MissingDependencyError, match="pip download of rlr-audio-propagation failed: "):
        install.install()
    assert install.main([]) == 2
    assert "DO NOT MATCH" in capsys.readouterr().err


def test_other_platforms_are_refused_and_a_compiler_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rlr_api.install_command() == rlr_api.PIP_COMMAND
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(EngineError, match="exists for Linux on x86-64 only"):
        install.install()
