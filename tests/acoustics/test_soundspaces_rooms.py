"""Whole rooms in the soundspaces engine: reverberation, occlusion, leaks, materials."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from spatialqa.acoustics.rir_metrics import direct_index, drr_db, rt60, t30
from spatialqa.acoustics.soundspaces import rlr_api
from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine
from spatialqa.core.geometry import Pose, Vec3, yaw_quaternion
from spatialqa.errors import EngineError, RoomError
from spatialqa.rooms.mesh.rays import sphere_directions
from spatialqa.rooms.room import Room
from tests.acoustics.boxes import CEILING, box_mesh, eyring_s, joined, material, room, shoebox, without
from tests.acoustics.hearing import RATE, Rir, energy, ild_db

pytestmark = pytest.mark.soundspaces

SIZE: Vec3 = (6.0, 3.0, 5.0)
LISTENER = Pose((2.0, 1.5, 2.0))
SOURCES: list[Vec3] = [(4.6, 1.2, 3.6), (5.1, 1.7, 0.9), (0.8, 0.7, 4.1), (3.4, 2.2, 3.1)]


@pytest.fixture(scope="module")
def engine() -> SoundSpacesEngine:
    return SoundSpacesEngine(RATE)


def hear(
    engine: SoundSpacesEngine, room: Room, sources: Sequence[Vec3] = SOURCES, listener: Pose = LISTENER
) -> list[Rir]:
    with engine.open(room) as opened:
        return opened.rirs(listener, sources)


def test_a_room_far_from_the_origin_is_heard_as_at_the_origin(engine: SoundSpacesEngine) -> None:
    """In float32, rays slip through walls there: the RT60 of a room fell from 0.46 s to 0.20 s at 50 km."""
    near = shoebox(SIZE, 0.2)
    origin: Vec3 = (447_123.0, 52.0, -4_480_766.0)
    far = dataclasses.replace(near, origin=origin)

    def there(point: Vec3) -> Vec3:
        x, y, z = (value + shift for value, shift in zip(point, origin, strict=True))
        return (x, y, z)

    listener: Vec3 = (2.0, 1.5, 2.0)
    sources: list[Vec3] = [(4.5, 1.25, 3.5), (5.0, 1.75, 1.0)]
    fixed = SoundSpacesEngine(RATE, overrides={"indirect_ray_depth": 60})  # else drawn by the room's hash
    here = hear(fixed, near, sources, Pose(listener))
    moved = hear(fixed, far, [there(source) for source in sources], Pose(there(listener)))
    assert [rir.tobytes() for rir in moved] == [rir.tobytes() for rir in here]


def mean_t20(rirs: list[Rir]) -> float:
    times = [rt60(rir, RATE, "binaural") for rir in rirs]
    assert None not in times
    return float(np.mean([time for time in times if time is not None]))


@pytest.mark.parametrize("size", [(6.0, 3.0, 5.0), (3.0, 2.4, 2.6), (10.0, 3.4, 7.0)])
@pytest.mark.parametrize("absorption", [0.08, 0.2, 0.4])
def test_reverberation_follows_eyring(engine: SoundSpacesEngine, size: Vec3, absorption: float) -> None:
    scale = np.array(size) / SIZE
    x, y, z = (float(v) for v in scale * LISTENER.position)
    sources = [(float(a), float(b), float(c)) for a, b, c in scale * SOURCES]
    rirs = hear(engine, shoebox(size, absorption), sources, Pose((x, y, z)))
    assert mean_t20(rirs) == pytest.approx(eyring_s(size, absorption), rel=0.15)


def test_the_automatic_depth_gives_the_reverberation_of_the_reference() -> None:
    fast = mean_t20(hear(SoundSpacesEngine(RATE), shoebox(SIZE, 0.15)))
    reference = mean_t20(hear(SoundSpacesEngine(RATE, "reference"), shoebox(SIZE, 0.15), SOURCES[:2]))
    assert fast == pytest.approx(reference, rel=0.08)


def test_a_depth_that_cuts_the_decay_gives_no_reverberation_time() -> None:
    short = SoundSpacesEngine(RATE, overrides={"indirect_ray_depth": 30})
    assert all(rt60(rir, RATE, "binaural") is None for rir in hear(short, shoebox(SIZE, 0.05)))


def test_direct_to_reverberant_ratio_follows_the_diffuse_field(engine: SoundSpacesEngine) -> None:
    absorption, hall = 0.2, (10.0, 3.4, 7.0)
    listener, distances_m = Pose((4.0, 1.6, 4.5)), (0.7, 1.0, 1.5, 2.2)
    around = [(float(x), float(y), float(z)) for x, y, z in np.array(listener.position) + sphere_directions(60)]
    ahead: list[Vec3] = [(4.0, 1.6, 4.5 - distance) for distance in distances_m]
    direct_only = SoundSpacesEngine(RATE, overrides={"indirect": False})
    ears = [energy(rir) for rir in hear(direct_only, shoebox(hall, absorption), [ahead[1], *around], listener)]
    directivity = ears[0] / np.mean(ears[1:])  # the ears favour no direction of a diffuse field
    room_constant = 255.6 * -np.log(1 - absorption) / (1 - absorption)
    expected = [10 * np.log10(room_constant / (16 * np.pi * r * r) * directivity) for r in distances_m]
    measured = [drr_db(rir, RATE, True, "binaural") for rir in hear(engine, shoebox(hall, absorption), ahead, listener)]
    assert measured == pytest.approx(expected, abs=2.0)  # by up to 1.5 or 1.7, depending on the processor


def test_the_nearer_ear_stays_louder_in_a_room(engine: SoundSpacesEngine) -> None:
    left, right = hear(engine, shoebox(SIZE, 0.3), [(1.0, 1.5, 2.0), (3.0, 1.5, 2.0)])
    assert ild_db(left) > 2
    assert ild_db(right) < -2


def test_turning_listener_and_scene_together_changes_nothing(engine: SoundSpacesEngine) -> None:
    middle = np.array([3.0, 1.5, 2.5])
    turn = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # +90 degrees about y: x to -z
    still = shoebox(SIZE, 0.25)
    turned = dataclasses.replace(still, vertices=((still.vertices - middle) @ turn.T).astype(np.float32))

    def moved(point: Vec3) -> Vec3:
        x, y, z = turn @ (np.array(point) - middle)
        return (float(x), float(y), float(z))

    before = hear(engine, still)
    after = hear(engine, turned, [moved(s) for s in SOURCES], Pose(moved(LISTENER.position), yaw_quaternion(90)))
    for one, other in zip(before, after, strict=True):
        end = direct_index(one, "binaural") + 40
        assert np.abs(one[:, :end] - other[:, :end]).max() < 1e-3 * np.abs(one).max()
        assert 10 * np.log10(energy(one) / energy(other)) == pytest.approx(0, abs=1.0)
    assert mean_t20(before) == pytest.approx(mean_t20(after), rel=0.08)


def test_a_wall_between_makes_the_direct_sound_quieter(engine: SoundSpacesEngine) -> None:
    hall = box_mesh((0.0, 0.0, 0.0), (8.0, 3.0, 6.0))
    wall = box_mesh((3.9, 0.0, 0.0), (4.1, 3.0, 4.5))
    listener, source = Pose((2.0, 1.5, 2.0)), (6.0, 1.5, 2.0)
    (opened,) = hear(engine, room(*hall, material(0.3)), [source], listener)
    (walled,) = hear(engine, room(*joined(hall, wall), material(0.3)), [source], listener)
    direct = slice(0, direct_index(opened, "binaural") + round(0.0025 * RATE))
    assert 10 * np.log10(energy(opened[:, direct]) / max(energy(walled[:, direct]), 1e-30)) > 10
    assert energy(walled) > 0.001 * energy(opened)  # reflections come round the wall


def test_ray_efficiency_tells_a_closed_room_from_an_open_one(engine: SoundSpacesEngine) -> None:
    closed = engine.open(shoebox(SIZE, 0.1))
    assert closed.ray_efficiency is None
    closed.rirs(LISTENER, SOURCES[:1])
    assert closed.ray_efficiency == pytest.approx(1.0, abs=0.01)
    vertices, faces = box_mesh((0.0, 0.0, 0.0), SIZE)
    roofless = engine.open(room(vertices, without(faces, CEILING), material(0.1)))
    roofless.rirs(LISTENER, SOURCES[:1])
    assert roofless.ray_efficiency is not None
    assert roofless.ray_efficiency < 0.5


@pytest.mark.parametrize("index", [0, 1, 10, 11])
def test_every_material_reaches_its_own_faces(engine: SoundSpacesEngine, index: int) -> None:
    materials = [material(0.9 if i == index else 0.1, name="same name") for i in range(12)]
    vertices, faces = box_mesh((0.0, 0.0, 0.0), SIZE)
    dead = hear(engine, room(vertices, faces, *materials, face_material=np.full(12, index)), SOURCES[:1])[0]
    alone = hear(engine, shoebox(SIZE, 0.9), SOURCES[:1])[0]
    assert 10 * np.log10(energy(dead) / energy(alone)) == pytest.approx(0, abs=0.5)
    mixed = np.where(np.arange(12) < 6, index, (index + 1) % 12)
    between = mean_t20(hear(engine, room(vertices, faces, *materials, face_material=mixed)))
    assert between < 0.6 * eyring_s(SIZE, 0.1)


def test_winding_does_not_matter(engine: SoundSpacesEngine) -> None:
    outwards = shoebox(SIZE, 0.3)
    inwards = dataclasses.replace(outwards, faces=np.ascontiguousarray(outwards.faces[:, ::-1]))
    assert mean_t20(hear(engine, outwards)) == pytest.approx(mean_t20(hear(engine, inwards)), rel=0.08)


def test_a_category_without_a_material_is_an_error(engine: SoundSpacesEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatialqa.acoustics.soundspaces.engine._material_database", lambda room: '{"materials": []}')
    with pytest.raises(EngineError, match=r"m00000x.*not found"):
        engine.open(shoebox(SIZE, 0.3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"materials": ()}, "there are 0"),
        ({"faces": np.full((12, 3), 8, dtype=np.int32)}, "name vertices 8 to 8"),
        ({"faces": np.zeros((0, 3), dtype=np.int32)}, "faces of shape"),
        ({"face_material": np.zeros(3, dtype=np.int32)}, "12 faces and 3 face materials"),
        ({"vertices": np.full((8, 3), np.nan, dtype=np.float32)}, "not finite"),
    ],
)
def test_a_room_that_cannot_be_simulated_says_why(
    engine: SoundSpacesEngine, change: dict[str, object], message: str
) -> None:
    broken = dataclasses.replace(shoebox(SIZE, 0.3), **change)  # type: ignore[arg-type]
    with pytest.raises(RoomError, match=message) as error:
        engine.open(broken)
    assert "\n" not in str(error.value)


def test_a_source_that_is_not_heard_is_an_error(engine: SoundSpacesEngine) -> None:
    cell = joined(box_mesh((0.0, 0.0, 0.0), (8.0, 3.0, 6.0)), box_mesh((4.0, 0.5, 2.0), (5.0, 2.5, 3.0)))
    with pytest.raises(EngineError, match=r"silent RIR for the source at \(4.5, 1.5, 2.5\)"):
        hear(engine, room(*cell, material(0.3)), [(4.5, 1.5, 2.5)])


def test_a_source_inside_the_head_is_an_error(engine: SoundSpacesEngine) -> None:
    with pytest.raises(EngineError, match="centre of the listener's head"):
        hear(engine, shoebox(SIZE, 0.3), [(2.0, 1.5, 2.05)])


def test_a_closed_room_says_so(engine: SoundSpacesEngine) -> None:
    opened = engine.open(shoebox(SIZE, 0.3))
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="was closed"):
        opened.rirs(LISTENER, SOURCES)


def test_t30_needs_a_longer_decay_than_t20(engine: SoundSpacesEngine) -> None:
    rir = hear(engine, shoebox(SIZE, 0.2))[0]
    t20 = rt60(rir, RATE, "binaural")
    assert t20 == pytest.approx(t30(rir, RATE, "binaural"), rel=0.1)
    cut = rir[:, : round(0.45 * (t20 or 0) * RATE)]
    assert rt60(cut, RATE, "binaural") is not None or t30(cut, RATE, "binaural") is None


def test_the_library_is_loaded_from_its_package() -> None:
    assert rlr_api.library().path.name == "libRLRAudioPropagation.so"
