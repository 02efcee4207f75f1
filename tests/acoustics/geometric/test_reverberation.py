"""The late part: decay, energy, errors, directions, and independence of how it is computed."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.acoustics.geometric import late_energy
from spatialqa.acoustics.geometric.group import TracedGroup
from spatialqa.acoustics.geometric.late_energy import ENERGY_UNIT
from spatialqa.acoustics.rir_metrics import t30
from spatialqa.core.geometry import Pose, Vec3
from tests.acoustics.boxes import box_mesh, eyring_s, joined, material, room, shoebox
from tests.acoustics.geometric.hearing import DRY, LISTENER, SIZE, SOURCES, engine, hear
from tests.acoustics.hearing import RATE, energy, ild_db
from tests.acoustics.particles import hit_times_s, t30_of, t30_of_particles


def decay_s(absorption: float, size: Vec3 = SIZE, seeds: int = 6) -> float:
    scale = np.array(size) / SIZE
    x, y, z = scale * LISTENER.position
    sources = [(float(a), float(b), float(c)) for a, b, c in scale * SOURCES]
    with engine(**DRY).open(shoebox(size, absorption)) as opened:
        here = Pose((float(x), float(y), float(z)))
        times = [t30(rir, RATE, "mono") for seed in range(seeds) for rir in opened.rirs(here, sources, seed)]
    assert None not in times
    return float(np.mean([time for time in times if time is not None]))


@pytest.fixture(scope="module")
def particles() -> npt.NDArray[np.float64]:
    return hit_times_s(SIZE)


@pytest.mark.parametrize("absorption", [0.05, 0.1, 0.2, 0.3])
def test_a_box_decays_as_eyring_says(absorption: float) -> None:
    assert decay_s(absorption) == pytest.approx(eyring_s(SIZE, absorption), rel=0.1)


@pytest.mark.parametrize("absorption", [0.3, 0.4, 0.5])
def test_a_box_of_much_absorption_decays_as_particles_do(absorption: float, particles: npt.NDArray[np.float64]) -> None:
    """Free paths differ in length, so some sound meets walls more seldom than Eyring's mean says (Kuttruff, 1970)."""
    assert decay_s(absorption) == pytest.approx(t30_of_particles(particles, absorption), rel=0.04)


def test_eyring_is_too_short_at_much_absorption_and_kuttruff_knows_by_how_much(
    particles: npt.NDArray[np.float64],
) -> None:
    free = np.diff(particles, axis=0)[3:]
    variance = float(free.var() / free.mean() ** 2)
    assert free.mean() * 343.0 == pytest.approx(4 * np.prod(SIZE) / _surface(SIZE), rel=0.01)
    for absorption in (0.3, 0.5):
        longer = t30_of_particles(particles, absorption) / eyring_s(SIZE, absorption)
        assert longer == pytest.approx(1 / (1 + variance / 2 * np.log(1 - absorption)), abs=0.03)
    assert longer > 1.1


def _surface(size: Vec3) -> float:
    x, y, z = size
    return 2 * (x * y + y * z + z * x)


def late_decay(traced: TracedGroup, from_db: float, to_db: float, step_s: float = 0.0005) -> float:
    """The reverberation time of the late energy at 1 kHz between two levels, the mean of the sources."""
    edges = np.round(traced.edges_s / step_s).astype(int)
    found = []
    for late in traced.late[..., 3].sum(axis=2):
        energy = np.repeat(late / np.maximum(np.diff(edges), 1), np.diff(edges))
        found.append(t30_of(energy, step_s, from_db, to_db))
    return float(np.mean(found))


def test_decays_do_not_depend_on_where_rays_are_given_up() -> None:
    box, levels = shoebox(SIZE, 0.1), [(-5, -25), (-5, -35), (-45, -55)]

    def decays(rays: int, seeds: int) -> npt.NDArray[np.float64]:
        with engine(**DRY, ray_count=rays).open(box) as opened:
            traced = [opened.trace(LISTENER.position, SOURCES, seed) for seed in range(seeds)]
        return np.asarray(np.mean([[late_decay(one, *pair) for pair in levels] for one in traced], axis=0))

    many = decays(20_000, 2)
    assert decays(500, 40)[:2] == pytest.approx(many[:2], rel=0.02)
    assert decays(2000, 20)[2] == pytest.approx(many[2], rel=0.05)  # the last decade of level, of few rays
    assert many[2] == pytest.approx(many[1], rel=0.05)


@pytest.mark.parametrize("size", [(10.0, 3.4, 7.0), (12.0, 2.5, 4.0)])
def test_uneven_boxes_decay_within_15_per_cent_of_eyring(size: Vec3) -> None:
    assert decay_s(0.2, size) == pytest.approx(eyring_s(size, 0.2), rel=0.15)


def test_air_shortens_the_decay() -> None:
    (dry,), (humid,) = (hear(engine(air_absorption=air), shoebox(SIZE, 0.05), SOURCES[:1]) for air in (False, True))
    assert (t30(humid, RATE, "mono") or 0.0) < 0.99 * (t30(dry, RATE, "mono") or 0.0)


def total(traced: TracedGroup) -> float:
    """All energy of all sources in the middle band, early and late."""
    return float(np.sum(traced.paths.gains[:, 3] ** 2) + np.sum(traced.late[..., 3]))


def test_energy_does_not_depend_on_how_it_is_scattered() -> None:
    absorption = 0.2
    surface = 2 * (6 * 3 + 3 * 5 + 6 * 5)
    field = len(SOURCES) * 16 * np.pi * (1 - absorption) / (surface * absorption)
    for scattering in (0.0, 0.3, 1.0):
        box = shoebox(SIZE, absorption, scattering)
        traced = engine(**DRY, ray_count=20_000).open(box).trace(LISTENER.position, SOURCES, 3)
        direct = float(np.sum(1 / traced.distances_m**2))
        assert total(traced) - direct == pytest.approx(field, rel=0.1)


@pytest.mark.parametrize("rule", ["material", "lambert"])
def test_every_rule_of_scattering_keeps_the_energy(rule: str) -> None:
    box = shoebox(SIZE, 0.2, 0.5)
    early, other = (
        engine(**DRY, ray_count=20_000, scattering=name).open(box).trace(LISTENER.position, SOURCES, 3)
        for name in ("early", rule)
    )
    assert total(other) == pytest.approx(total(early), rel=0.06)


def test_errors_fall_as_one_over_the_root_of_the_rays() -> None:
    box = shoebox(SIZE, 0.3, 1.0)

    def spread(rays: int) -> float:
        opened = engine(**DRY, ray_count=rays).open(box)
        traced = [opened.trace(LISTENER.position, SOURCES[:1], seed) for seed in range(24)]
        late = [group.late[0, group.edges_s[1:] > 0.1, :, 3].sum() for group in traced]
        return float(np.std(late) / np.mean(late))

    assert spread(200) / spread(3200) == pytest.approx(4.0, rel=0.5)


def test_energy_does_not_depend_on_the_order_or_the_batches_of_rays() -> None:
    box = shoebox(SIZE, 0.3)
    whole = engine(**DRY).open(box).trace(LISTENER.position, SOURCES, 5)

    trace: Any = late_energy.trace_late

    def in_batches(*arguments: Any) -> tuple[int, int]:
        *head, directions, sources, rules, key, _, late = arguments
        for first in reversed(range(0, len(directions), 77)):
            trace(*head, directions[first : first + 77], sources, rules, key, first, late)
        return 1, 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spatialqa.acoustics.geometric.group.trace_late", in_batches)
        batches = engine(**DRY).open(box).trace(LISTENER.position, SOURCES, 5)
    assert batches.late.tobytes() == whole.late.tobytes()
    assert np.array_equal(whole.late / ENERGY_UNIT, np.round(whole.late / ENERGY_UNIT))


def test_a_source_is_heard_alike_whatever_others_sound() -> None:
    box = shoebox(SIZE, 0.3)
    alone, among = hear(engine(), box, SOURCES[:1])[0], hear(engine(), box, SOURCES)[0]
    assert alone.tobytes() == among.tobytes()


def test_nothing_is_heard_before_the_straight_path() -> None:
    """Fractions of a sample are delayed by filters that begin 16 samples earlier."""
    far = [(5.5, 1.5, 4.5), (5.7, 2.9, 0.2)]
    for channels, lead in (("mono", 17), ("binaural", 17 + 0.0875 / 343 * RATE)):
        for rir, source in zip(hear(engine(channels), shoebox(SIZE, 0.1, 0.9), far), far, strict=True):
            arrival = np.linalg.norm(np.array(source) - LISTENER.position) / 343 * RATE
            early = rir[:, : int(arrival - lead)]
            assert energy(early) < 1e-6 * energy(rir)


def test_two_ears_hear_a_diffuse_field_as_coherent_as_a_sphere_does() -> None:
    """Coherence falls from 1 and is small above 1 kHz; two points 2 x 8.75 cm apart would have sin(kd) / kd."""
    rirs = [
        rir
        for seed in range(6)
        for rir in hear(engine("binaural", **DRY), shoebox((10.0, 4.0, 8.0), 0.1), SOURCES, LISTENER, seed)
    ]
    first = round(0.15 * RATE)
    blocks = [block for rir in rirs for block in np.split(rir[:, first : first + 32 * 512], 32, axis=1)]
    left, right = np.fft.rfft(np.array(blocks) * np.hanning(512), axis=-1).transpose(1, 0, 2)
    cross = np.abs(np.mean(left * np.conj(right), axis=0))
    coherence = cross / np.sqrt(np.mean(np.abs(left) ** 2, axis=0) * np.mean(np.abs(right) ** 2, axis=0))
    frequency = np.fft.rfftfreq(512, 1 / RATE)
    assert coherence[(frequency > 100) & (frequency < 200)].mean() > 0.85
    assert coherence[(frequency > 1500) & (frequency < 8000)].mean() < 0.25


def test_the_late_part_keeps_where_it_comes_from() -> None:
    """Behind an opening at the left of a dead room there is a live one, with the source: it is heard at the left."""
    dead = box_mesh((0.0, 0.0, 0.0), (5.0, 3.0, 5.0))
    live = box_mesh((-5.0, 0.0, 0.0), (0.0, 3.0, 5.0))
    keep = [k for k in range(12) if k not in (4, 5)]
    sides = joined((dead[0], dead[1]), (live[0], live[1]))
    normals_x = [np.ptp(sides[0][face][:, 0]) == 0 and np.allclose(sides[0][face][:, 0], 0.0) for face in sides[1]]
    open_faces = np.array([face for face, shared in zip(sides[1], normals_x, strict=True) if not shared])
    assert len(keep) == 10
    assert len(open_faces) == 20
    coupled = room(
        sides[0],
        open_faces,
        material(0.95),
        material(0.05),
        face_material=np.array([0 if np.mean(sides[0][face][:, 0]) > 0 else 1 for face in open_faces]),
    )
    (rir,) = hear(engine("binaural"), coupled, [(-4.0, 1.5, 0.5)], Pose((2.5, 1.5, 2.5)))
    late = rir[:, round(0.1 * RATE) :]
    assert ild_db(late) > 4
