"""HRTF files in every form that AES69 allows sound alike, and those that no engine can use are refused."""

import sys
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.acoustics.engines import open_engine
from spatialqa.acoustics.hrtf import usable_hrtf
from spatialqa.acoustics.sofa import read_hrtf
from spatialqa.core.geometry import Pose, Vec3, cartesian
from spatialqa.errors import EngineError, MissingDependencyError
from tests.acoustics.boxes import box_mesh, material, room
from tests.acoustics.hearing import ild_db, low_frequency_itd_us

Array = npt.NDArray[np.float64]
RATE, TAPS, LATEST = 32_000, 256, 60
SPHERICAL = {"Type": "spherical", "Units": "degree, degree, metre"}
CARTESIAN = {"Type": "cartesian", "Units": "metre"}
EARS = np.array([[0.0, 0.09, 0.0], [0.0, -0.09, 0.0]])


def sphere() -> Array:
    """Directions every 15 degrees: azimuth and elevation in degrees, distance in metres, float64 (M, 3)."""
    rings = [(azimuth, elevation) for elevation in range(-75, 90, 15) for azimuth in range(0, 360, 15)]
    return np.array([(a, e, 1.5) for a, e in [*rings, (0, 90)]], dtype=np.float64)


def arrivals_and_gains() -> tuple[Array, Array]:
    """When and how loud each direction is heard left and right, whole samples and linear: a sphere, 0.7 ms of ITD."""
    azimuth, elevation, _ = np.radians(sphere()).T
    lateral = np.arcsin(np.sin(azimuth) * np.cos(elevation))
    itd = 0.0875 / 343 * (lateral + np.sin(lateral)) * RATE
    arrival = np.round(np.stack([LATEST - itd / 2, LATEST + itd / 2], axis=1))
    return arrival, 10 ** (np.stack([lateral, -lateral], axis=1) / (np.pi / 2) * 5 / 20)


def head(aligned: bool = False) -> Array:
    arrival, gain = arrivals_and_gains()
    responses = np.zeros((*arrival.shape, TAPS))
    at = np.full_like(arrival, 4) if aligned else arrival
    np.put_along_axis(responses, at.astype(np.int64)[..., None], gain[..., None], axis=2)
    return responses


def write(
    path: Path,
    responses: Array,
    places: Array,
    about: dict[str, str] | None = None,
    receivers: Array = EARS,
    receivers_are: dict[str, str] | None = None,
    delay: Array | None = None,
    view: tuple[float, float, float] = (1.0, 0.0, 0.0),
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Path:
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        names = {"Conventions": "SOFA", "Version": "1.0", "SOFAConventions": "SimpleFreeFieldHRIR", "DataType": "FIR"}
        names |= {"SOFAConventionsVersion": "1.0", "RoomType": "free field", "DateCreated": "2026-01-01 00:00:00"}
        others = ("Title", "APIName", "APIVersion", "AuthorContact", "Organization", "License", "ListenerShortName")
        for name, text in {**names, **dict.fromkeys(others, "a sphere")}.items():  # libmysofa refuses files of few
            file.setncattr(name, text)
        delay = np.zeros((1, 2)) if delay is None else delay
        count, _, taps = responses.shape
        for name, size in {"I": 1, "C": 3, "R": 2, "E": 1, "N": taps, "M": count, "S": 1}.items():
            file.createDimension(name, size)

        def put(name: str, values: Any, letters: str, about: dict[str, str]) -> None:
            variable = file.createVariable(name, "f8", tuple(letters))
            variable[:] = values
            variable.setncatts(about)

        put("ListenerPosition", [at], "IC", CARTESIAN)
        put("ListenerView", [view], "IC", CARTESIAN)
        put("ListenerUp", [(0.0, 0.0, 1.0)], "IC", {})
        put("ReceiverPosition", receivers[:, :, None], "RCI", receivers_are or CARTESIAN)
        put("EmitterPosition", np.zeros((1, 3, 1)), "ECI", CARTESIAN)
        put("SourcePosition", places, "MC", about or SPHERICAL)
        put("Data.IR", responses, "MRN", {})
        put("Data.SamplingRate", [RATE], "I", {"Units": "hertz"})
        put("Data.Delay", delay, "IR" if len(delay) == 1 else "MR", {})
    return path


def sofa_cartesian(places: Array) -> Array:
    azimuth, elevation, distance = np.radians(places[:, 0]), np.radians(places[:, 1]), places[:, 2:]
    unit = [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
    return np.asarray(np.stack(unit, axis=1) * distance, dtype=np.float64)


def plain(folder: Path) -> Path:
    return write(folder / "plain.sofa", head(), sphere())


def other_form(form: str, folder: Path) -> Path:
    path, places = folder / f"{form}.sofa", sphere()
    polar_ears = np.array([[270.0, 0.0, 0.09], [90.0, 0.0, 0.09]])
    delay = arrivals_and_gains()[0] - 4
    radians = {"Type": "spherical", "Units": "radian, radian, metre"}
    match form:
        case "right ear first":
            return write(path, head()[:, ::-1], places, receivers=EARS[::-1])
        case "right ear first, spherical":
            return write(path, head()[:, ::-1], places, receivers=polar_ears, receivers_are=SPHERICAL)
        case "cartesian":
            return write(path, head(), sofa_cartesian(places), CARTESIAN)
        case "centimetres":
            return write(path, head(), 100 * sofa_cartesian(places), {**CARTESIAN, "Units": "centimeter"})
        case "radians":
            return write(path, head(), np.stack([*np.radians(places[:, :2]).T, places[:, 2]], axis=1), radians)
        case "a delay for each response":
            return write(path, head(aligned=True), places, delay=delay)
        case "one delay for each ear":
            early = np.roll(head(), -5, axis=2)
            early[:, 1] = np.roll(early[:, 1], -4, axis=1)
            return write(path, early, places, delay=np.array([[5.0, 9.0]]))
        case "all at once":
            right_first = head(aligned=True)[:, ::-1]
            return write(path, right_first, sofa_cartesian(places), CARTESIAN, EARS[::-1], None, delay[:, ::-1])
        case "listener looks left, off the origin":
            x, y, z = sofa_cartesian(places).T
            there = np.stack([1.0 - y, x, z], axis=1)
            return write(path, head(), there, CARTESIAN, view=(0.0, 1.0, 0.0), at=(1.0, 0.0, 0.0))
    raise AssertionError(form)


FORMS = (
    "right ear first",
    "right ear first, spherical",
    "cartesian",
    "centimetres",
    "radians",
    "a delay for each response",
    "one delay for each ear",
    "all at once",
    "listener looks left, off the origin",
)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_brought_into_the_plain_one(form: str, tmp_path: Path) -> None:
    path = other_form(form, tmp_path)
    used = usable_hrtf(path, RATE, "soundspaces", tmp_path / "cache")
    assert used.changes
    assert used.label == f"{path.name}:{read_hrtf(path).sha256[:16]}"
    assert used.path.is_relative_to(tmp_path / "cache")
    again = read_hrtf(used.path)
    assert again.unlike == ()
    assert np.array_equal(again.directions, sphere())
    assert np.array_equal(again.responses(), head())
    before = used.path.stat().st_mtime_ns
    assert usable_hrtf(path, RATE, "soundspaces", tmp_path / "cache") == used
    assert used.path.stat().st_mtime_ns == before


def test_a_plain_file_goes_to_the_engine_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plain(tmp_path)
    monkeypatch.setitem(sys.modules, "netCDF4", None)  # not needed
    used = usable_hrtf(path, RATE, "soundspaces", tmp_path / "cache")
    assert (used.path, used.changes) == (path, ())
    assert not (tmp_path / "cache").exists()


@pytest.mark.soundspaces
def test_every_form_sounds_as_the_plain_one(tmp_path: Path) -> None:
    hall = room(*box_mesh((-20.0, -20.0, -20.0), (20.0, 20.0, 20.0)), material(0.99))
    places: list[Vec3] = []
    for azimuth, elevation in ((90, 0), (-40, 30), (160, -20)):
        x, y, z = cartesian(azimuth, elevation, 1.0)
        places.append((float(x), float(y), float(z)))

    def heard(path: Path) -> list[Any]:
        settings = {"indirect": False}
        engine = open_engine("soundspaces", RATE, "fast", settings, path, cache=tmp_path / "cache")
        assert engine.identity.hrtf.startswith(f"{path.name}:")
        with engine.open(hall) as opened:
            return list(opened.rirs(Pose((0.0, 0.0, 0.0)), places, 0))

    expected = heard(plain(tmp_path))
    assert ild_db(expected[0]) > 5
    assert low_frequency_itd_us(expected[0], RATE) > 500
    for form in FORMS:
        for rir, wanted in zip(heard(other_form(form, tmp_path)), expected, strict=True):
            assert np.array_equal(rir, wanted), form


def test_a_delay_of_a_part_of_a_sample_moves_the_phase(tmp_path: Path) -> None:
    frequency = np.fft.rfftfreq(512)[1:200]
    pulse = np.zeros((len(sphere()), 2, TAPS))
    pulse[:, :, 100:108] = np.hanning(10)[1:-1]
    path = write(tmp_path / "part.sofa", pulse, sphere(), delay=np.array([[0.0, 3.25]]))
    left, right = np.fft.rfft(read_hrtf(path).responses()[7], 512)[:, 1:200]
    strong = np.abs(left) > 0.1 * np.abs(left).max()
    turned = np.unwrap(np.angle(left / right)[strong])
    assert turned == pytest.approx(2 * np.pi * frequency[strong] * 3.25, abs=1e-3)


@pytest.mark.parametrize(
    ("places", "why"),
    [
        ([(a, 0.0, 1.5) for a in range(0, 360, 15)], "24 directions all have an elevation of 0 degrees"),
        ([(a, 30.0, 1.5) for a in range(0, 360, 15)], "all have an elevation of 30 degrees"),
        ([(0.0, e, 1.5) for e in range(-75, 90, 15)], "all lie in one plane"),
    ],
)
@pytest.mark.parametrize("is_cartesian", [False, True])
def test_a_set_without_a_sphere_is_refused(
    places: list[tuple[float, float, float]], why: str, is_cartesian: bool, tmp_path: Path
) -> None:
    points = np.array(places)
    where = (sofa_cartesian(points), CARTESIAN) if is_cartesian else (points, SPHERICAL)
    path = write(tmp_path / "flat.sofa", np.ones((len(places), 2, 8)), *where)
    with pytest.raises(EngineError, match=f"flat.sofa cannot be used.*{why}.*give a set measured on a sphere"):
        usable_hrtf(path, RATE, "soundspaces", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"delay": np.array([[-1.0, 0.0]])}, "Data.Delay is not between 0 samples and 1 s"),
        ({"delay": np.array([[np.nan, 0.0]])}, "Data.Delay is not between"),
        ({"about": {"Type": "spherical", "Units": "degree, degree, foot"}}, "degree, degree, foot"),
        ({"about": {"Type": "interaural-polar", "Units": "degree"}}, "SourcePosition is interaural-polar"),
        ({"view": (0.0, 0.0, 1.0)}, "ListenerView and ListenerUp are parallel"),
    ],
)
def test_what_cannot_be_read_is_named(arguments: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "odd.sofa", head(), sphere(), **arguments)
    with pytest.raises(EngineError, match=f"odd.sofa cannot be read as SOFA.*{why}") as error:
        usable_hrtf(path, RATE, "soundspaces", tmp_path)
    assert "\n" not in str(error.value)


def test_without_netcdf4_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = other_form("right ear first", tmp_path)
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with pytest.raises(MissingDependencyError, match="right ear first.*pip install netCDF4") as error:
        usable_hrtf(path, RATE, "soundspaces", tmp_path / "cache")
    assert "\n" not in str(error.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = other_form("right ear first", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="plain form of the HRTF file .* cannot be written.*SPATIALQA_CACHE"):
        usable_hrtf(path, RATE, "soundspaces", tmp_path / "file" / "cache")
