"""The engine's rays without Embree: the same record of a ray, and RIRs that differ only by chance."""

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.acoustics.geometric import embree
from spatialqa.acoustics.geometric.embree import MISS, EmbreeMesh, Rays, TreeMesh, first_hit, is_blocked, ray_buffer
from spatialqa.acoustics.geometric.engine import GeometricEngine
from spatialqa.acoustics.rir_metrics import t30
from spatialqa.core.compiled import compiled
from spatialqa.errors import EngineError
from spatialqa.rooms.mesh import ray_library
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.rooms.room import Room
from tests.acoustics.geometric.hearing import hear
from tests.acoustics.hearing import RATE, Rir

Array = npt.NDArray[np.float64]


@compiled
def cast(rays: Rays, origins: Array, directions: Array, reach: float, found: Array) -> None:
    """Write the face, the distance, and whether anything is in reach, of each ray."""
    ray = ray_buffer()
    for k in range(len(origins)):
        x, y, z = origins[k]
        u, v, w = directions[k]
        face = first_hit(rays, ray, x, y, z, u, v, w, reach)
        found[k, 0] = face
        found[k, 1] = reach if face == MISS else ray.values[8]
        found[k, 2] = is_blocked(rays, ray, x, y, z, u, v, w, reach)


def room() -> Room:
    return ProceduralRooms().load("home-121834")


def test_a_kernel_cannot_tell_the_tree_from_embree() -> None:
    pytest.importorskip("embreex")
    home = room()
    low, high = home.vertices.min(axis=0), home.vertices.max(axis=0)
    rng = np.random.default_rng(2)
    directions = rng.standard_normal((20_000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    origins = rng.uniform(low, high, directions.shape)
    answers = []
    for mesh in (EmbreeMesh(home.vertices, home.faces), TreeMesh(home.vertices, home.faces)):
        answers.append(np.empty((len(origins), 3)))
        cast(mesh.rays, origins, directions, 3.0, answers[-1])
        mesh.close()
        mesh.close()
        with pytest.raises(EngineError, match="was closed"):
            _ = mesh.rays
    by_embree, by_tree = answers
    assert (by_embree[:, 0] == by_tree[:, 0]).mean() > 0.995  # the others are faces in one place
    assert np.array_equal(by_embree[:, 0] == MISS, by_tree[:, 0] == MISS)
    assert np.abs(by_embree[:, 1] - by_tree[:, 1]).max() < 1e-5
    assert np.array_equal(by_embree[:, 2], by_tree[:, 2])
    assert 0.2 < by_tree[:, 2].mean() < 0.9


def level_db(rir: Rir) -> npt.NDArray[np.float64]:
    return np.asarray(10 * np.log10(np.square(rir.astype(np.float64)).sum(axis=1)))


def test_rirs_differ_from_those_with_embree_by_less_than_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("embreex")
    home = room()
    placer, rng = Placer(home), np.random.default_rng(1)
    listener = placer.listener(rng)
    sources = [place.position for place in placer.sources(listener, 8, rng)]
    own = GeometricEngine(RATE)
    by_embree, chance = (hear(own, home, sources, listener, seed) for seed in (1, 2))
    monkeypatch.setattr(embree, "has_embree", lambda: False)
    by_tree, again = (hear(own, home, sources, listener, 1) for _ in range(2))
    assert [rir.tobytes() for rir in by_tree] == [rir.tobytes() for rir in again]

    def largest(rirs: list[Rir]) -> float:
        return max(float(np.abs(level_db(a) - level_db(b)).max()) for a, b in zip(by_embree, rirs, strict=True))

    assert largest(by_tree) < 0.1 < largest(chance)
    times = [[t30(rir, RATE, "binaural") for rir in rirs] for rirs in (by_embree, by_tree)]
    ratios = [b / a for a, b in zip(*times, strict=True) if a is not None and b is not None]
    assert len(ratios) >= 4
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02)


def test_the_identity_tells_which_library_casts_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("embreex")
    with_embree = ray_library.identity()
    assert with_embree == f"embreex {ray_library.embree_version()}\n".encode()
    monkeypatch.setattr(ray_library, "embree_version", lambda: ray_library.NO_EMBREE)
    assert not ray_library.has_embree()
    assert b"def tree_of" in ray_library.identity()
