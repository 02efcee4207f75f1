"""The engine behind the protocol: identity, bytes, yaws, layouts, and what it refuses."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from spatialqa.acoustics.engines import available, check_engine, open_engine
from spatialqa.acoustics.geometric.engine import GeometricEngine
from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.geometry import Pose, Vec3, yaw_quaternion
from spatialqa.errors import EngineError, RoomError
from tests.acoustics.boxes import box_mesh, joined, material, room, shoebox
from tests.acoustics.geometric.hearing import LISTENER, SIZE, SOURCES, engine, hear
from tests.acoustics.hearing import RATE

BOX = shoebox(SIZE, 0.3)


def test_equal_arguments_give_equal_bytes_and_the_seed_matters() -> None:
    first, again, other = (hear(engine("binaural"), BOX, seed=seed) for seed in (7, 7, 8))
    assert [rir.tobytes() for rir in first] == [rir.tobytes() for rir in again]
    assert first[0].tobytes() != other[0].tobytes()


@pytest.mark.parametrize("channels", CHANNEL_NAMES)
def test_every_layout_has_its_channels(channels: str) -> None:
    for rir in hear(engine(channels), BOX):
        assert rir.shape[0] == len(CHANNEL_NAMES[channels])
        assert rir.dtype == np.float32


def test_the_lag_of_the_head_is_stated_and_can_be_removed() -> None:
    ahead: list[Vec3] = [(2.5, 1.5, 1.5)]
    kept, prompt = (GeometricEngine(RATE, overrides={"hrtf_lag": lag}) for lag in ("keep", "remove"))
    lag_s, rest_s = kept.identity.hrtf_lag_s, prompt.identity.hrtf_lag_s
    assert lag_s is not None
    assert rest_s is not None
    assert abs(lag_s) < 1e-4
    assert abs(rest_s) <= 0.5 / RATE
    removed = round(lag_s * RATE)
    assert removed >= 1
    (late,), (early,) = (hear(own, BOX, ahead) for own in (kept, prompt))
    n = min(late.shape[1] - removed, early.shape[1])  # the tails are cut by energies that differ in the last digit
    assert np.array_equal(late[:, removed : removed + n], early[:, :n])
    assert n > 0.9 * early.shape[1]
    assert GeometricEngine(RATE, channels="foa").identity.hrtf_lag_s == 0.0


def test_one_trace_serves_several_heads() -> None:
    opened = engine("binaural").open(BOX)
    traced = opened.trace(LISTENER.position, SOURCES, 3)
    for yaw in (0.0, 90.0, -130.0):
        turned = Pose(LISTENER.position, yaw_quaternion(yaw))
        alone = opened.rirs(turned, SOURCES, 3)
        shared = opened.decode(traced, turned.orientation, SOURCES)
        assert [rir.tobytes() for rir in alone] == [rir.tobytes() for rir in shared]


def test_a_room_far_from_the_origin_is_heard_as_at_the_origin() -> None:
    origin: Vec3 = (447_123.0, 52.0, -4_480_766.0)
    far = dataclasses.replace(BOX, origin=origin)

    def there(point: Vec3) -> Vec3:
        x, y, z = (value + shift for value, shift in zip(point, origin, strict=True))
        return (x, y, z)

    exact = [(4.5, 1.25, 3.5), (5.0, 1.75, 1.0)]
    here = hear(engine(), BOX, exact)
    moved = hear(engine(), far, [there(source) for source in exact], Pose(there(LISTENER.position)))
    assert [rir.tobytes() for rir in moved] == [rir.tobytes() for rir in here]


def test_winding_does_not_matter() -> None:
    inwards = dataclasses.replace(BOX, faces=np.ascontiguousarray(BOX.faces[:, ::-1]))
    for one, other in zip(hear(engine(), BOX), hear(engine(), inwards), strict=True):
        assert np.allclose(one, other, atol=1e-3 * np.abs(one).max())


def test_the_identity_holds_every_setting() -> None:
    identity = engine("foa", specular_order=2).identity
    assert identity.name == "geometric"
    assert identity.seeded
    assert identity.config["specular_order"] == 2
    assert identity.config["channels"] == "foa"
    assert identity.config_hash != engine("foa").identity.config_hash
    assert identity.hrtf == "none"
    assert len(identity.sha256) == 64


def test_it_is_opened_by_name() -> None:
    assert open_engine("geometric", 16_000, channels="mono").identity.name == "geometric"
    assert next(found for found in available() if found.name == "geometric").usable
    check_engine("geometric", 16_000, channels="stereo")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate": 4000}, "whole sample rate from 8000"),
        ({"preset": "quick"}, "no preset 'quick'"),
        ({"overrides": {"ray_counts": 3}}, "no setting 'ray_counts': did you mean 'ray_count'"),
        ({"overrides": {"ray_count": 0}}, "ray_count must be a whole number from 16"),
        ({"overrides": {"speed_of_sound_m_s": 3.0}}, "from 250 to 450 m/s"),
        ({"overrides": {"scattering": "none"}}, "scattering must be"),
        ({"overrides": {"direct": False, "indirect": False}}, "nothing would be heard"),
        ({"channels": "quad"}, "no channels 'quad'"),
    ],
)
def test_settings_that_cannot_be_used_say_why(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message) as error:
        GeometricEngine(**{"sample_rate": RATE, **change})
    assert "\n" not in str(error.value)


def test_rooms_and_places_that_cannot_be_used_say_why() -> None:
    with pytest.raises(RoomError, match="there are 0"):
        hear(engine(), dataclasses.replace(BOX, materials=()))
    with pytest.raises(EngineError, match="centre of the listener's head"):
        hear(engine(), BOX, [(2.0, 1.5, 2.05)])
    cell = joined(box_mesh((0.0, 0.0, 0.0), (8.0, 3.0, 6.0)), box_mesh((4.0, 0.5, 2.0), (5.0, 2.5, 3.0)))
    with pytest.raises(EngineError, match=r"silent RIR for the source at \(4.5, 1.5, 2.5\)"):
        hear(engine(), room(*cell, material(0.3)), [(4.5, 1.5, 2.5)])
    opened = engine().open(BOX)
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="was closed"):
        opened.rirs(LISTENER, SOURCES)


def test_ray_efficiency_tells_a_closed_room_from_an_open_one() -> None:
    opened = engine().open(BOX)
    assert opened.ray_efficiency is None
    opened.rirs(LISTENER, SOURCES[:1])
    assert opened.ray_efficiency == pytest.approx(1.0, abs=0.001)
    vertices, faces = box_mesh((0.0, 0.0, 0.0), SIZE)
    roofless = engine().open(room(vertices, np.delete(faces, [2, 3], axis=0), material(0.1)))
    roofless.rirs(LISTENER, SOURCES[:1])
    assert roofless.ray_efficiency is not None
    assert roofless.ray_efficiency < 0.85
