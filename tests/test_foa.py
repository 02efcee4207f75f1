"""A data set of first-order ambisonics, from the recipe to questions, validation, rendering again and WAV files."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spatialqa.cli.preview import show
from spatialqa.core.audio_io import decode_flac
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.qa.ask_options import TYPES
from spatialqa.qa.recipe import QaRecipe
from tests.dataset.changing import changed
from tests.fixtures.datasets import SMALL, dataset


@pytest.fixture(scope="module")
def foa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = replace(SMALL, channels="foa", scenes=8, splits="1,0,0", foley_clips_per_class=4)
    return dataset(tmp_path_factory.mktemp("foa") / "data", recipe, QaRecipe(types=TYPES))


def test_the_data_set_is_valid_and_renders_again_bit_for_bit(foa: Path) -> None:
    report = validate_dataset(foa).with_rerender(rerender_scenes(foa, 8))
    assert report.problems == ()
    assert any("RIRs have 4 channels" in line and "comes from its source" in line for line in report.checked)
    assert any("8 equal bit for bit" in line for line in report.checked)


def test_every_scene_has_four_channels_and_says_so(foa: Path) -> None:
    for path in scene_files(DatasetFolder(foa)):
        for scene, flac in read_audio(path):
            audio, _ = decode_flac(flac)
            assert (scene.channels, scene.hrtf, audio.shape) == ("foa", "none", (4, 32000))
            for source in scene.sources:
                assert len(source.wet_level_dbfs or ()) == 4
    row = next(read_rows(DatasetFolder(foa).tables("groups")[0]))
    assert '"channels": "foa"' in row["engine_config"]


def test_a_wrong_number_of_channels_is_found(foa: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(foa, root)

    def spoil(rows: list[dict[str, Any]]) -> None:
        rows[0]["channels"] = "binaural"
        rows[1]["channels"] = "hoa"
        rows[2]["sources"][0]["wet_level_dbfs"] = [-30.0, -30.0]

    changed(root, "scenes", spoil)
    problems = " ".join(validate_dataset(root).problems)
    assert "audio is (4, 32000) at 16000 Hz, not (2, 32000)" in problems
    assert "its channels are 'hoa', which is none of binaural, foa" in problems
    assert "has 2 levels, and channels is foa" in problems


def test_preview_writes_four_channels(foa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(foa, 1, "train-00000000", 0, tmp_path)
    assert "(W, Y, Z, X)" in " ".join(capsys.readouterr().out.split())
    written, rate = soundfile.read(tmp_path / "train-00000000.wav", always_2d=True)
    _, flac = next(read_audio(scene_files(DatasetFolder(foa))[0]))
    assert rate == 16000
    assert written == pytest.approx(decode_flac(flac)[0].T, abs=1e-7)
    assert np.any(written, axis=0).all()
