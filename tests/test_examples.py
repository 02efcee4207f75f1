"""The scripts and the notebook of examples/ run from top to bottom."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("place_sounds.py", "Bark: azimuth +130 degrees, 1.5 m"),
        ("make_data_set.py", "problems: none"),
        ("train_your_own.py", "epoch 2: loss"),
    ],
)
def test_an_example_runs(name: str, words: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / name), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, (str(EXAMPLES.parent), os.environ.get("PYTHONPATH"))))
    )
    notebook = nbformat.read(EXAMPLES / "first_scene.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # they are made, not kept
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "image/svg+xml" in shown
    assert "is outside the building" in shown
    assert "1 equal bit for bit" in shown
    assert "torch.Size([2, 64000])" in shown
    assert (tmp_path / "scene.wav").stat().st_size > 500_000
