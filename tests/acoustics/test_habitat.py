"""The habitat engine in front of a minimal habitat-sim: the real child script, and a simulator of numpy behind it."""

import dataclasses
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import trimesh

from spatialqa.acoustics.engine import Engine, OpenRoom
from spatialqa.acoustics.habitat.engine import HabitatEngine, installed
from spatialqa.acoustics.habitat.scene_files import material_database, write_glb
from spatialqa.acoustics.rir_metrics import direct_index, rt60
from spatialqa.acoustics.soundspaces import rlr_api
from spatialqa.acoustics.soundspaces.engine import ENGINE_SPEED_M_S, LISTENER_RADIUS_M, SoundSpacesEngine
from spatialqa.core.geometry import Pose, Vec3, yaw_quaternion
from spatialqa.errors import EngineError, MissingDependencyError, PlacementError, RoomError
from spatialqa.rooms.materials import material
from spatialqa.rooms.room import Room
from spatialqa.rooms.scans.matterport_tables import mpcat40_materials
from tests.acoustics.boxes import room
from tests.acoustics.habitat_support import MINIMAL, children, energy, hall, lines, make_engine, pretend
from tests.acoustics.hearing import ild_db

LISTENER = Pose((0.5, 1.5, -1.0))
RATE = 16_000
CHILD = "habitat/child.py"  # in the command line of a child process
FEW_RAYS = {"overrides": {"indirect_ray_count": 400}}
DIRECT = {"overrides": {"indirect": False, "indirect_ray_depth": 10}}


@pytest.mark.parametrize("api", ["main", "soundspaces"])
def test_both_spellings_render(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: str) -> None:
    record = tmp_path / "record"
    engine = make_engine(monkeypatch, api=api, record=str(record))
    with engine.open(hall()) as opened:
        record.unlink()
        left, right = opened.rirs(LISTENER, [(-0.5, 1.5, -1.0), (1.5, 1.5, -1.0)])
        assert opened.ray_efficiency == (0.75 if api == "soundspaces" else None)
    assert left.dtype == np.float32
    assert ild_db(left) > 3
    assert ild_db(right) < -3
    seen = lines(record)
    assert len(seen) == 2
    assert seen[0]["listener"] == pytest.approx(LISTENER.position)
    config = seen[0]["config"]
    assert (config["sampleRate"], config["threadCount"], config["globalVolume"]) == (16_000, 1, 1.0)
    assert config["indirectRayCount"] == engine.identity.config["indirect_ray_count"] == 1000
    assert 20 <= config["indirectRayDepth"] < 200  # for the room, from "auto"
    assert config.get("enableMaterials", False) is False
    assert ("enableMaterials" in seen[0]["spec"]) == (api == "soundspaces")
    assert ("outputDirectory" in seen[0]["spec"]) == (api == "main")
    assert engine.identity.config["not_offered"] == (["directRayCount"] if api == "main" else [])
    assert children_of_this_process_are_gone()


def children_of_this_process_are_gone() -> bool:
    return not [pid for pid in children(os.getpid()) if CHILD in Path(f"/proc/{pid}/cmdline").read_text()]


def test_identity_says_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(monkeypatch, version="0.2.3")
    identity = engine.identity
    bindings = MINIMAL / "habitat_sim" / "_ext" / "habitat_sim_bindings.py"
    assert (identity.name, identity.version, identity.seeded) == ("habitat", "0.2.3", False)
    assert identity.sha256 == hashlib.sha256(bindings.read_bytes()).hexdigest()
    other = make_engine(monkeypatch, arguments={"preset": "reference"}, version="0.2.3")
    assert other.identity.config_hash != identity.config_hash
    assert other.identity.config["indirect_ray_depth"] == 200
    json.dumps(identity.config)


def test_direct_sound_is_calibrated_and_follows_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(monkeypatch, arguments=DIRECT)
    x, y, z = LISTENER.position
    with engine.open(hall()) as opened:
        near, far = opened.rirs(LISTENER, [(x, y, z - 1.0), (x, y, z - 3.0)])
        turned = opened.rirs(Pose(LISTENER.position, yaw_quaternion(90)), [(x, y, z - 1.0)])[0]
    assert energy(near) / 2 == pytest.approx(1.0, rel=1e-3)
    assert energy(far) / 2 == pytest.approx(1 / 9, rel=0.01)
    assert direct_index(far, "binaural") - direct_index(near, "binaural") == pytest.approx(
        2 / ENGINE_SPEED_M_S * 16_000, abs=1.5
    )
    assert ild_db(turned) < -3


def test_time_zero_and_raw_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (0.5, 1.5, -3.0)
    rirs = []
    lags = []
    for own in ({}, {"rir_time_zero": "direct"}, {"calibrated": False}, {"hrtf_lag": "remove"}):
        engine = make_engine(monkeypatch, arguments={"overrides": {**DIRECT["overrides"], **own}})
        with engine.open(hall()) as opened:
            rirs.append(opened.rirs(LISTENER, [source])[0])
        lags.append(engine.identity.hrtf_lag_s or 0.0)
    emission, direct, raw, prompt = rirs
    delay = round((2.0 - LISTENER_RADIUS_M) / ENGINE_SPEED_M_S * 16_000)
    assert np.array_equal(emission[:, delay:], direct)
    assert lags[0] > 0.0003
    assert abs(lags[3]) <= 0.5 / 16_000
    assert np.array_equal(emission[:, round(lags[0] * 16_000) :], prompt)
    assert energy(emission) / energy(raw) == pytest.approx(1.0438**2, rel=0.05)
    assert not np.array_equal(emission, raw)


def test_the_same_call_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[Vec3] = [(0.5, 1.5, -3.0), (2.0, 1.0, -1.0)]
    engine = make_engine(monkeypatch)
    with engine.open(hall()) as opened:
        first, second = opened.rirs(LISTENER, sources), opened.rirs(LISTENER, sources[::-1])[::-1]
    with make_engine(monkeypatch).open(hall()) as again:
        third = again.rirs(LISTENER, sources)
    for one, two, three in zip(first, second, third, strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("misplaced", "is not heard"),  # as habitat-sim 0.3.1 to 0.3.4 do it
        ("mute", "is not heard"),
        ("late", "ms late"),
        ("level", "the level falls by -?0.0 dB"),
        ("swapped", "in the left ear"),
        ("unturned", "turned head"),
    ],
)
def test_a_build_whose_direct_sound_is_wrong_is_refused(monkeypatch: pytest.MonkeyPatch, fault: str, says: str) -> None:
    with pytest.raises(
        EngineError, match=f"habitat-sim 0.3.3 .* is refused.*{says}.*RLRAudioPropagationUpdate"
    ) as found:
        make_engine(monkeypatch, fault=fault, version="0.3.3")
    assert "\n" not in str(found.value)
    assert children_of_this_process_are_gone()


def test_a_build_is_checked_once_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "record"
    make_engine(monkeypatch, record=str(record))
    assert len(lines(record)) == 4
    HabitatEngine(16_000, python=sys.executable)
    assert len(lines(record)) == 4
    HabitatEngine(24_000, python=sys.executable)
    assert len(lines(record)) == 8


def test_a_build_that_changes_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(monkeypatch)
    monkeypatch.setenv("MINIMAL_HABITAT_SIM", json.dumps({"version": "0.3.0"}))
    with pytest.raises(EngineError, match="changed while it was in use"):
        engine.open(hall())


@pytest.mark.parametrize(
    ("fault", "says"), [("shape", r"shape \(\d+, 2\)"), ("nan", "not finite"), ("early", "before its straight path")]
)
def test_what_is_no_rir_is_refused(monkeypatch: pytest.MonkeyPatch, fault: str, says: str) -> None:
    with make_engine(monkeypatch, fault=fault).open(hall()) as opened, pytest.raises(EngineError, match=says):
        opened.rirs(LISTENER, [(0.5, 1.5, -4.9)])


def test_places_without_sound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with make_engine(monkeypatch, arguments=DIRECT).open(hall()) as opened:
        with pytest.raises(EngineError, match="silent RIR.*no path"):
            opened.rirs(LISTENER, [(0.5, 1.5, -8.0)])
        with pytest.raises(EngineError, match="0.05 m from the centre"):
            opened.rirs(LISTENER, [(0.55, 1.5, -1.0)])


def test_a_room_far_from_the_origin_is_given_about_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = make_engine(monkeypatch, arguments=DIRECT)
    near = hall()
    far = dataclasses.replace(near, origin=(447_123.0, 52.0, -4_480_766.0), scene_path=tmp_path / "far.glb")
    write_glb(tmp_path / "far.glb", near.vertices, near.faces)
    (tmp_path / "far.navmesh").touch()  # Habitat's layout, but its coordinates would be float32

    def there(point: Vec3) -> Vec3:
        x, y, z = (value + shift for value, shift in zip(point, far.origin, strict=True))
        return (x, y, z)

    source: Vec3 = (2.0, 1.0, -3.0)
    with engine.open(near) as opened:
        here, floor = opened.rirs(LISTENER, [source])[0], opened.navigable_points(5, 1)
    with engine.open(far) as opened:
        head = dataclasses.replace(LISTENER, position=there(LISTENER.position))
        assert opened.rirs(head, [there(source)])[0].tobytes() == here.tobytes()
        assert (opened.navigable_points(5, 1) == floor + far.origin).all()
    assert children_of_this_process_are_gone()


def test_files_in_habitats_layout_are_read_and_others_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = make_engine(monkeypatch, arguments=DIRECT)
    plain = hall()
    x, y, z = plain.vertices.T
    for name, columns in (("z_up.glb", (x, -z, y)), ("y_up.glb", (x, y, z))):
        mesh = trimesh.Trimesh(np.stack(columns, axis=1), plain.faces, process=False)
        (tmp_path / name).write_bytes(mesh.export(file_type="glb"))
    source: Vec3 = (2.0, 1.0, -3.0)

    def heard(scene: Room) -> bytes:
        with engine.open(scene) as opened:
            return opened.rirs(LISTENER, [source])[0].tobytes()

    written = heard(plain)
    (tmp_path / "z_up.navmesh").touch()
    assert heard(at(plain, tmp_path / "z_up.glb")) == written
    assert heard(at(plain, tmp_path / "y_up.glb")) == written  # of its mesh, since nothing says that it is Habitat's
    (tmp_path / "y_up.navmesh").touch()
    with pytest.raises(RoomError, match="z-up"):
        engine.open(at(plain, tmp_path / "y_up.glb"))
    for name in ("broken.glb", "broken.navmesh"):
        (tmp_path / name).write_bytes(b"glTF")
    with pytest.raises(EngineError, match="failed loading the scene broken.glb"):
        engine.open(at(plain, tmp_path / "broken.glb"))
    assert children_of_this_process_are_gone()


def at(plain: Room, path: Path) -> Room:
    return dataclasses.replace(plain, scene_path=path)


def test_written_scenes_do_not_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with make_engine(monkeypatch).open(hall()):
        assert list(tmp_path.iterdir()) == []


def test_materials_go_to_scenes_with_semantics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "record"
    plain = hall()
    scene = tmp_path / "house.glb"
    write_glb(scene, plain.vertices, plain.faces)
    materials = {"Wall": material("gypsum_board"), "floor": material("carpet")}
    for api in ("main", "soundspaces"):
        engine = make_engine(monkeypatch, arguments={"category_materials": materials}, api=api, record=str(record))
        with engine.open(at(plain, scene)) as opened:
            assert "no object categories" in opened.warnings[0]
        for name in ("house.house", "house_semantic.ply"):
            (tmp_path / name).touch()
        with engine.open(at(plain, scene)) as opened:
            assert opened.warnings == ()
            opened.rirs(LISTENER, [(0.5, 1.5, -3.0)] * 2)
        for seen in lines(record)[-2:]:
            database = json.loads(seen["materials"])["materials"]
            assert [entry["labels"] for entry in database] == [["wall"], ["floor"]]
            wanted = [value for point in materials["floor"].absorption for value in point]
            assert database[1]["absorption"] == wanted
            assert seen["config"].get("enableMaterials", True) is True
        for name in ("house.house", "house_semantic.ply"):
            (tmp_path / name).unlink()


def test_a_crash_over_materials_says_how_to_leave_them_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_glb(tmp_path / "house.glb", hall().vertices, hall().faces)
    for name in ("house.house", "house_semantic.ply"):
        (tmp_path / name).touch()
    arguments = {"category_materials": {"wall": material("gypsum_board")}}
    engine = make_engine(monkeypatch, arguments=arguments, fault="abort")
    crash = pytest.raises(EngineError, match="SIGABRT.*set habitat_materials to false")
    with engine.open(at(hall(), tmp_path / "house.glb")) as opened, crash:
        opened.rirs(LISTENER, [(0.5, 1.5, -3.0)])


@pytest.mark.soundspaces
def test_the_library_knows_every_category_of_matterport3d() -> None:
    categories = {name: material(known or "default") for name, known in mpcat40_materials().items()}
    triangle = np.eye(3, dtype=np.float32), [(name, np.array([[0, 1, 2]], dtype=np.uint32)) for name in categories]
    database = os.memfd_create("materials")
    os.write(database, material_database(categories).encode())
    with rlr_api.Context(rlr_api.library().default_configuration()) as context:
        context.add_mesh(*triangle, f"/proc/self/fd/{database}")  # raises for a category without a material
    os.close(database)


def test_navmesh_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with make_engine(monkeypatch).open(hall()) as opened:
        points = opened.navigable_points(50, 3)
        assert points.shape == (50, 3)
        assert points.dtype == np.float64
        assert (points[:, 1] == 0.0).all()
        assert (points.min(axis=0) >= (-3, 0, -5)).all()
        assert (points.max(axis=0) <= (5, 3, 1)).all()
        assert np.array_equal(points, opened.navigable_points(50, 3))
        assert not np.array_equal(points, opened.navigable_points(50, 2**40 + 4))
    floorless = make_engine(monkeypatch, fault="no-floor")
    with floorless.open(hall()) as opened, pytest.raises(PlacementError, match="no place on Habitat's navmesh"):
        opened.navigable_points(2, 0)


def test_an_hrtf_file_goes_to_builds_that_take_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kemar: Path
) -> None:
    record = tmp_path / "record"
    engine = make_engine(monkeypatch, arguments={"hrtf": kemar}, record=str(record))
    assert engine.identity.hrtf.startswith("MIT_KEMAR")
    with engine.open(hall()) as opened:
        opened.rirs(LISTENER, [(0.5, 1.5, -3.0)])
    assert lines(record)[-1]["hrtf"] == str(kemar)
    swapped = tmp_path / "right_first.sofa"
    shutil.copy(kemar, swapped)
    with h5py.File(swapped, "r+") as file:
        file["ReceiverPosition"][:, 1] *= -1
    arguments = {"hrtf": swapped, "hrtf_cache": tmp_path / "cache"}
    with make_engine(monkeypatch, arguments=arguments, record=str(record)).open(hall()) as opened:
        opened.rirs(LISTENER, [(0.5, 1.5, -3.0)])
    assert Path(lines(record)[-1]["hrtf"]).is_relative_to(tmp_path / "cache")
    with pytest.raises(EngineError, match="has no setListenerHRTF"):
        make_engine(monkeypatch, arguments={"hrtf": kemar}, api="main")
    with pytest.raises(EngineError, match="does not take the HRTF file"):
        make_engine(monkeypatch, arguments={"hrtf": kemar}, fault="deaf-to-hrtf")
    with pytest.raises(EngineError, match="44100 Hz and the engine habitat cannot raise"):
        make_engine(monkeypatch, rate=48_000, arguments={"hrtf": kemar})


def test_settings_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="has no acoustic setting threadCount"):
        make_engine(monkeypatch, fault="no-threads")
    with pytest.raises(EngineError, match="has no acoustic setting directRayCount"):
        make_engine(monkeypatch, arguments={"overrides": {"direct_ray_count": 100}}, api="main")
    with pytest.raises(EngineError, match="the engine habitat has no setting 'rays'"):
        make_engine(monkeypatch, arguments={"overrides": {"rays": 1}})
    with pytest.raises(EngineError, match="binaural sound only"):
        make_engine(monkeypatch, arguments={"channels": "foa"})


def test_a_python_without_habitat_sim_or_audio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, audio=False)
    with pytest.raises(MissingDependencyError, match="built without audio.*--habitat-python"):
        HabitatEngine(16_000, python=sys.executable)
    pretend(monkeypatch, fault="no-import")
    with pytest.raises(MissingDependencyError, match="cannot import it .libGL.so.1.*--habitat-python"):
        HabitatEngine(16_000, python=sys.executable)
    monkeypatch.delenv("PYTHONPATH")
    with pytest.raises(MissingDependencyError, match="No module named 'habitat_sim'.*--habitat-python"):
        HabitatEngine(16_000, python=sys.executable)
    with pytest.raises(MissingDependencyError, match="needs a Python with habitat-sim.*--habitat-python") as found:
        HabitatEngine(16_000)
    assert installed(None) == (False, str(found.value))
    with pytest.raises(EngineError, match="there is no such program"):
        HabitatEngine(16_000, python=str(tmp_path / "python"))
    for program in ("/bin/true", "/bin/cat"):
        with pytest.raises(EngineError, match=f"{program} is not a Python"):
            HabitatEngine(16_000, python=program)
    pretend(monkeypatch, version="0.2.2")
    usable, detail = installed(sys.executable)
    assert usable
    assert "habitat-sim 0.2.2" in detail


@pytest.mark.soundspaces
def test_the_library_sounds_alike_through_habitat_and_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way through: our GLB in Habitat's axes, the child, a fork for each source, calibration."""
    habitats = make_engine(monkeypatch, rate=RATE, arguments=FEW_RAYS, rlr=True)
    plain = hall()
    box = room(plain.vertices, plain.faces, material("default"))
    listener = Pose((0.5, 1.5, -1.0), yaw_quaternion(-40))
    sources: list[Vec3] = [(2.0, 1.0, -3.5), (-2.0, 2.2, 0.0)]
    directly = SoundSpacesEngine(RATE, overrides=FEW_RAYS["overrides"])
    assert habitats.identity.calibration_gain == pytest.approx(directly.identity.calibration_gain, rel=2e-3)
    assert 0.5 < habitats.direct_sound.lag_ms < 1.5
    with habitats.open(box) as one, directly.open(box) as two:
        for source, there, here in zip(sources, one.rirs(listener, sources), two.rirs(listener, sources), strict=True):
            start = direct_index(here, "binaural")
            assert direct_index(there, "binaural") == pytest.approx(start, abs=1)
            early = slice(start - 10, start + 40)  # before the first reflection
            assert np.corrcoef(there[:, early].ravel(), here[:, early].ravel())[0, 1] > 0.999, source
            assert energy(there[:, early]) == pytest.approx(energy(here[:, early]), rel=0.02)
            assert energy(there) == pytest.approx(energy(here), rel=0.15)
            decays = rt60(there, RATE, "binaural"), rt60(here, RATE, "binaural")
            assert decays[0] is not None
            assert decays[0] == pytest.approx(decays[1], rel=0.1)


def test_the_engine_is_one_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Engine = make_engine(monkeypatch)
    opened: OpenRoom = engine.open(hall())
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="was closed"):
        opened.rirs(LISTENER, [(0.5, 1.5, -3.0)], 0)
