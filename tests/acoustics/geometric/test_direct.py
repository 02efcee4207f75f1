"""The straight path: delay, level, direction, air, walls, patterns of sources, edges."""

import numpy as np
import pytest

from spatialqa.acoustics.geometric.bands import BANDS_HZ, air_absorption
from spatialqa.acoustics.rir_metrics import direct_index
from spatialqa.core.geometry import Pose, cartesian, great_circle_deg, spherical, to_world, yaw_quaternion
from tests.acoustics.boxes import box_mesh, joined, material, room
from tests.acoustics.geometric.hearing import DRY, FREE, band_energies, engine, hall, hear
from tests.acoustics.hearing import RATE, energy, ild_db, low_frequency_itd_us

HERE = Pose((0.0, 0.0, 0.0))


@pytest.mark.parametrize("rate", [16_000, 32_000, 48_000])
def test_delay_and_level_follow_the_distance(rate: int) -> None:
    distances = [0.5, 1.0, 2.0, 7.0, 20.0, 100.0]
    rirs = hear(engine(rate=rate, **FREE), hall(), [(0.0, 0.0, -d) for d in distances], HERE)
    for rir, distance in zip(rirs, distances, strict=True):
        assert int(np.argmax(np.abs(rir[0]))) == pytest.approx(distance / 343 * rate, abs=0.51)
        assert energy(rir) == pytest.approx(1 / distance**2, rel=0.06)


def test_the_speed_of_sound_is_a_setting() -> None:
    (rir,) = hear(engine(**FREE, speed_of_sound_m_s=331.0), hall(), [(0.0, 0.0, -50.0)], HERE)
    assert int(np.argmax(np.abs(rir[0]))) == round(50 / 331 * RATE)


def test_two_ears_are_calibrated_at_any_rate() -> None:
    for rate in (16_000, 44_100):
        (rir,) = hear(engine("binaural", rate, **FREE), hall(), [(0.0, 0.0, -1.0)], HERE)
        assert energy(rir) / 2 == pytest.approx(1.0, rel=0.06)


def test_the_direct_rir_begins_shortly_before_the_direct_sound() -> None:
    for channels in ("mono", "binaural"):
        (rir,) = hear(engine(channels, rir_time_zero="direct", **FREE), hall(), [(3.0, 0.0, -20.0)], HERE)
        assert 0 <= direct_index(rir, channels) <= 0.1 / 343 * RATE + 2


@pytest.mark.parametrize("rate", [16_000, 32_000])
def test_nothing_sounds_before_it_can_arrive(rate: int) -> None:
    source = (-9.0, 0.3, -2.0)
    for channels in ("mono", "binaural"):
        (rir,) = hear(engine(channels, rate, indirect=False), hall(), [source], HERE)
        begins = float(np.argmax(np.abs(rir).max(axis=0) > 0)) / rate
        assert (np.linalg.norm(source) - 0.1) / 343 - 0.0005 < begins < np.linalg.norm(source) / 343


def test_the_intensity_of_ambisonics_points_to_the_source() -> None:
    rng = np.random.default_rng(4)
    azimuth, elevation = rng.uniform(-180, 180, 30), rng.uniform(-80, 80, 30)
    listener = Pose((1.0, 2.0, 3.0), yaw_quaternion(77.0))
    sources = [tuple(point) for point in to_world(listener, cartesian(azimuth, elevation, 2.0))]
    for rir, a, e in zip(hear(engine("foa", **FREE), hall(), sources, listener), azimuth, elevation, strict=True):
        w, y, z, x = rir.astype(np.float64)
        points = np.array([-np.sum(w * y), np.sum(w * z), -np.sum(w * x)])  # right, up, back of the head
        heard = spherical(points)
        assert great_circle_deg(float(heard[0]), float(heard[1]), a, e) < 1.0
        assert np.sum(y * y + z * z + x * x) == pytest.approx(np.sum(w * w), rel=1e-3)  # SN3D


def test_ears_hear_the_side_of_the_source() -> None:
    left, right, turned = hear(
        engine("binaural", **FREE), hall(), [(-2.0, 0.0, 0.0), (2.0, 0.0, 0.0), (0.0, 0.0, -2.0)], HERE
    )
    assert ild_db(left) > 8
    assert ild_db(right) < -8
    assert low_frequency_itd_us(left) == pytest.approx(-low_frequency_itd_us(right), rel=0.02)
    assert 500 < low_frequency_itd_us(left) < 900
    assert abs(ild_db(turned)) < 0.5


def test_air_absorbs_as_iso_9613_1_says() -> None:
    # dB per km at 20 degrees, 50 % and 101.325 kPa, from table 1 of the standard
    assert air_absorption([1000.0, 4000.0]) * 4342.9 == pytest.approx([4.66, 29.0], rel=0.05)
    distance = 200.0
    dry, humid = (
        hear(engine(indirect=False, air_absorption=air), hall(), [(0.0, 0.0, -distance)], HERE)[0]
        for air in (False, True)
    )
    lost = 10 * np.log10(band_energies(dry) / band_energies(humid))
    assert lost[:6] == pytest.approx(air_absorption(BANDS_HZ[:6]) * 4.3429 * distance, rel=0.35, abs=0.35)


@pytest.mark.parametrize("thickness", [0.0, 0.1])
def test_a_wall_lets_through_what_its_material_does(thickness: float) -> None:
    far = 30.0
    wall = box_mesh((-far, -far, -1.0 - thickness), (far, far, -1.0))
    if not thickness:
        wall = (wall[0], wall[1][:0])
        corners = np.array([(-far, -far, -1), (far, -far, -1), (far, far, -1), (-far, far, -1)], dtype=np.float32)
        wall = (corners, np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32))
    walled = room(*joined(box_mesh((-far, -far, -far), (far, far, far)), wall), material(0.5, 0.3, 0.04))
    (through,) = hear(engine(**FREE, diffraction=False), walled, [(0.3, 0.2, -2.0)], HERE)
    (free,) = hear(engine(**FREE), hall(), [(0.3, 0.2, -2.0)], HERE)
    assert energy(through) / energy(free) == pytest.approx(0.04, rel=1e-3)


def test_sources_face_the_listener_or_elsewhere() -> None:
    behind = (0.0, 0.0, -2.0)
    (omni,) = hear(engine(**FREE), hall(), [behind], HERE)
    for pattern in ("cardioid", "talker"):
        (facing,) = hear(engine(**FREE, directivity=pattern), hall(), [behind], HERE)
        assert np.allclose(facing, omni, atol=1e-6)
    talker = engine(**FREE, directivity="talker", facing="random")
    turned = [band_energies(hear(talker, hall(), [behind], HERE, seed)[0]) for seed in range(12)]
    lost = 10 * np.log10(band_energies(omni) / np.array(turned))
    assert lost[:, 5].max() > 6
    assert lost[:, 5].max() > 2 * lost[:, 1].max()  # a voice is directed at high frequencies


def test_an_edge_hides_more_the_deeper_the_shadow_and_the_higher_the_frequency() -> None:
    far = 40.0
    screen = np.array([(-far, -far, -2), (far, -far, -2), (far, 0, -2), (-far, 0, -2)], dtype=np.float32)
    walled = room(
        *joined(box_mesh((-far, -far, -far), (far, far, far)), (screen, np.array([(0, 1, 2), (0, 2, 3)], np.int32))),
        material(0.5),
    )
    heights = [-0.2, -1.0, -1.9]
    sources = [(0.3, height, -4.0) for height in heights]
    rirs = hear(engine(**FREE, transmission=False), walled, sources, Pose((0.0, -0.5, 0.0)))
    bands = []
    for rir, source in zip(rirs, sources, strict=True):
        straight = np.linalg.norm(np.array(source) - (0.0, -0.5, 0.0))
        top = np.array([0.15, 0.0, -2.0])
        around = np.linalg.norm(top - (0.0, -0.5, 0.0)) + np.linalg.norm(np.array(source) - top)
        assert direct_index(rir, "mono") / RATE * 343 == pytest.approx(around, abs=0.1)  # its bands ring before it
        x = np.sqrt(4 * np.pi * (around - straight) * np.array(BANDS_HZ) / 343)
        expected = 5 + 20 * np.log10(x / np.tanh(x)) + 20 * np.log10(around)
        free = hear(engine(**FREE), hall(), [(0.0, 0.0, -1.0)], HERE)[0]
        lost = 10 * np.log10(band_energies(free) / band_energies(rir))
        assert lost[2:6] == pytest.approx(expected[2:6], abs=3.5)
        bands.append(lost)
    assert (np.diff(np.array(bands)[:, 2:6], axis=0) > 0).all()
    assert (np.diff(bands[1][1:6]) > 0).all()


def test_what_is_heard_one_way_is_heard_the_other_way() -> None:
    small = room(*box_mesh((0.0, 0.0, 0.0), (6.0, 3.0, 5.0)), material(0.3, 0.0))
    here, there = (1.2, 1.1, 0.9), (4.4, 1.9, 3.7)
    specular = engine(**DRY, scattering="early", max_length_s=0.1)
    (one,), (other,) = (hear(specular, small, [b], Pose(a)) for a, b in ((here, there), (there, here)))
    n = round(0.012 * RATE) + 300
    assert np.allclose(one[:, :n], other[:, :n], atol=0.02 * np.abs(one).max())
