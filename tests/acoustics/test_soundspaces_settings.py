"""What the soundspaces engine accepts, what it refuses, and what it says of itself."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spatialqa.acoustics.engines import available, open_engine
from spatialqa.acoustics.soundspaces import rlr_api
from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine
from spatialqa.acoustics.soundspaces.settings import PRESETS, resolve
from spatialqa.errors import EngineError, MissingDependencyError


@pytest.mark.parametrize("rate", [7_999, 48_001, 64_000, 96_000, 0, -1, 32_000.0, True, "32000"])
def test_a_rate_outside_8_to_48_khz_is_refused_before_the_library_is_touched(
    rate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rlr_api, "library", lambda: pytest.fail("the library was called"))
    with pytest.raises(EngineError, match="sample rate from 8000 to 48000 Hz") as error:
        SoundSpacesEngine(rate)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"indirect_ray_cout": 5}, "did you mean 'indirect_ray_count'"),
        ({"thread_count": 2}, "no setting 'thread_count'"),
        ({"indirect_ray_count": 0}, "indirect_ray_count must be a whole number from 1"),
        ({"indirect_ray_count": 1000.0}, "must be a whole number"),
        ({"indirect_ray_count": "auto"}, "must be a whole number"),
        ({"indirect_ray_count": True}, "must be a whole number"),
        ({"indirect_ray_depth": "deep"}, "or \"auto\", got 'deep'"),
        ({"indirect_sh_order": 4}, "from 0 to 3"),
        ({"frequency_bands": 6}, "frequency_bands must be 4 or 8"),
        ({"diffraction": 1}, "diffraction must be true or false"),
        ({"rir_time_zero": "peak"}, 'must be "emission" or "direct"'),
        ({"direct": False, "indirect": False}, "nothing would be heard"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        resolve("fast", overrides)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(EngineError, match="did you mean 'reference'"):
        resolve("referense", None)


def test_overrides_replace_the_preset_and_leave_it_as_it_was() -> None:
    assert resolve("fast", {"indirect_ray_count": 7})["indirect_ray_count"] == 7
    assert PRESETS["fast"]["indirect_ray_count"] == 1000
    assert (PRESETS["reference"]["indirect_ray_count"], PRESETS["reference"]["indirect_ray_depth"]) == (5000, 200)


@pytest.mark.soundspaces
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_the_identity_holds_everything_that_shapes_the_sound(rate: int) -> None:
    identity = SoundSpacesEngine(rate, "reference", {"diffraction": False}).identity
    assert identity.name == "soundspaces"
    assert identity.sample_rate == identity.config["sample_rate"] == rate
    assert identity.config["diffraction"] is False
    assert len(identity.sha256) == 64
    assert identity.version == "0.0.1"
    assert identity.hrtf == "rlr-default"
    assert not identity.seeded
    hashes = {
        SoundSpacesEngine(rate, preset, overrides).identity.config_hash
        for preset in PRESETS
        for overrides in ({}, {"calibrated": False}, {"rir_time_zero": "direct"}, {"diffraction": False})
    }
    assert len(hashes) == 8
    assert identity.config_hash in hashes


@pytest.mark.soundspaces
def test_the_presets_are_the_library_defaults_but_for_rays_and_depth() -> None:
    defaults = rlr_api.library().default_configuration()
    for name, value in PRESETS["reference"].items():
        if name not in ("calibrated", "rir_time_zero", "hrtf_lag"):
            assert getattr(defaults, name) == value


def test_a_missing_package_names_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'spatialqa\[soundspaces\]'"):
        rlr_api.library_path()


def test_another_platform_is_told_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(EngineError, match=r"Linux on x86-64 only.*aarch64.*use the engine geometric"):
        rlr_api.library_path()


@pytest.mark.soundspaces
def test_engines_are_opened_by_name() -> None:
    assert open_engine("soundspaces", 16_000).identity.name == "soundspaces"
    assert open_engine("auto", 16_000).identity.name == "geometric"
    assert open_engine("geometric", 16_000).identity == open_engine("auto", 16_000).identity
    with pytest.raises(MissingDependencyError, match="--habitat-python"):
        open_engine("habitat", 16_000)
    assert open_engine("soundspaces", 16_000, channels="foa").identity.config["channels"] == "foa"
    with pytest.raises(EngineError, match="no engine 'sounspaces'"):
        open_engine("sounspaces", 16_000)
    assert [(engine.name, engine.usable) for engine in available()] == [
        ("geometric", True),
        ("soundspaces", True),
        ("habitat", False),
    ]


def write_sofa(path: Path, rate: float = 44_100.0, ears: int = 2, convention: str = "SimpleFreeFieldHRIR") -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["SOFAConventions"] = np.bytes_(convention)
        file["Data.IR"] = np.zeros((6, ears, 32))
        file["Data.SamplingRate"] = np.array([rate])
        file["SourcePosition"] = np.array([[azimuth, azimuth % 120 - 60, 1.0] for azimuth in range(0, 360, 60)])
    return path


@pytest.mark.soundspaces
def test_an_hrtf_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.sofa"
    garbage.write_bytes(b"no HDF5" * 100)
    for path, message in [
        (tmp_path / "absent.sofa", "absent.sofa cannot be read as SOFA"),
        (garbage, "garbage.sofa cannot be read as SOFA"),
        (write_sofa(tmp_path / "mono.sofa", ears=1), "1 ears"),
        (write_sofa(tmp_path / "room.sofa", convention="SingleRoomDRIR"), "holds SingleRoomDRIR"),
        # This one is sound for our reader and not for the library, which says so on stderr and returns success.
        (write_sofa(tmp_path / "bare.sofa"), "does not take the HRTF file .*bare.sofa"),
    ]:
        with pytest.raises(EngineError, match=message) as error:
            SoundSpacesEngine(32_000, hrtf=path)
        assert "\n" not in str(error.value)


@pytest.mark.soundspaces
def test_an_hrtf_below_the_sample_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"44100 Hz.*cannot raise it to 48000 Hz"):
        SoundSpacesEngine(48_000, hrtf=write_sofa(tmp_path / "low.sofa"))
