"""Folders of HRTF files: synthetic heads are read back as they were made, the measured one comes out of its package."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from spatialqa.acoustics.geometric.parametric_head import parametric_head, subject
from spatialqa.acoustics.head_files import SAMPLE_RATE, fetch_debian, synthesise, whole_responses
from spatialqa.acoustics.sofa import read_hrtf
from spatialqa.cli.main import cli
from spatialqa.core.geometry import cartesian
from spatialqa.errors import EngineError

pytest.importorskip("netCDF4")


def test_a_synthetic_head_is_read_back_in_the_plain_form(tmp_path: Path) -> None:
    first, second = synthesise(tmp_path / "heads", 2)
    file = read_hrtf(first)
    assert (file.unlike, file.sample_rate_hz) == ((), SAMPLE_RATE)
    assert first.read_bytes() != second.read_bytes()
    azimuth, elevation = file.directions[:, 0], file.directions[:, 1]
    signed = np.where(azimuth > 180.0, azimuth - 360.0, azimuth)
    head = parametric_head(SAMPLE_RATE, subject(0), cartesian(signed, elevation))
    assert np.allclose(file.responses(), whole_responses(head, 256, 96), atol=1e-12)
    left = int(np.flatnonzero((azimuth == 90.0) & (elevation == 0.0))[0])
    energy = np.square(file.responses()[left]).sum(axis=-1)
    assert energy[0] > 4 * energy[1]  # 90 degrees is the left


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    once, again = (synthesise(tmp_path / name, 1, seed=5)[0] for name in ("a", "b"))
    assert once.read_bytes() == again.read_bytes()
    assert once.read_bytes() != synthesise(tmp_path / "c", 1, seed=6)[0].read_bytes()


def test_delays_are_in_the_responses() -> None:
    head = parametric_head(SAMPLE_RATE, subject(3), cartesian(np.array([0.0, 90.0]), np.array([0.0, 0.0])))
    whole = whole_responses(head, 256, 96)
    frequency = np.fft.rfftfreq(4096, 1.0 / SAMPLE_RATE)
    low = (frequency > 200) & (frequency < 1000)
    spectra = np.fft.rfft(whole[1], 4096)[:, low]
    bare = np.fft.rfft(head.responses[1], 4096)[:, low]
    turned = np.unwrap(np.angle(spectra / bare))
    slope = np.polyfit(2 * np.pi * frequency[low] / SAMPLE_RATE, turned.T, 1)[0]
    assert -slope == pytest.approx(head.delays[1] + 96, abs=0.01)


def test_the_commands_say_where_the_files_are(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["hrtf", "synth", str(tmp_path / "heads"), "--subjects", "1"])
    assert done.output.splitlines()[0] == f"heads in {tmp_path / 'heads'}: 1"
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="name another folder"):
        synthesise(tmp_path / "file/below", 1)


@pytest.mark.skipif(not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="no Debian tools")
def test_the_measured_head_comes_out_of_its_package(tmp_path: Path) -> None:
    try:
        path = fetch_debian(tmp_path)
    except EngineError as error:
        if "cannot download" in str(error):
            pytest.skip(str(error))
        raise
    file = read_hrtf(path)
    assert (len(file.directions), file.taps, file.sample_rate_hz) == (710, 512, 44_100)
    assert (tmp_path / "CREDITS.txt").read_text().startswith("MIT KEMAR")
