"""Rays on the tree of boxes against Embree, and where no mesh may let one through."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.rooms.mesh.bvh import RayTree
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.rays import RayCaster, sphere_directions
from spatialqa.rooms.procedural.homes import ProceduralRooms

HOUSE = Path(__file__).parents[3] / "shared/data/small_house.glb"
COUNT = 50_000

Float32 = npt.NDArray[np.float32]


def random_rays(vertices: npt.NDArray[Any], count: int = COUNT) -> tuple[Float32, Float32]:
    rng = np.random.default_rng(5)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    along = rng.standard_normal((count, 3))
    along /= np.linalg.norm(along, axis=1)[:, None]
    return rng.uniform(low, high, (count, 3)).astype(np.float32), along.astype(np.float32)


@pytest.mark.parametrize(
    "room_id",
    [
        "home-121834",
        "home-000000",
        pytest.param("small_house", marks=pytest.mark.skipif(not HOUSE.is_file(), reason="needs the shared house")),
    ],
)
def test_rays_end_where_those_of_embree_end(room_id: str) -> None:
    pytest.importorskip("embreex")
    room = (
        MeshRooms(HOUSE, up="z", simplify_faces=None).load(room_id)
        if room_id == "small_house"
        else ProceduralRooms().load(room_id)
    )
    tree, caster = RayTree(room.vertices, room.faces), RayCaster(room.vertices, room.faces)
    middle = (room.vertices.min(axis=0) + room.vertices.max(axis=0)) / 2
    origins, along = random_rays(room.vertices)
    faces, distances = tree.first_hits(origins, along)
    known, known_faces = caster.distances(origins, along), caster.faces(origins, along)
    assert np.array_equal(np.isfinite(distances), np.isfinite(known))
    met = np.isfinite(distances)
    assert met.mean() > 0.9
    size = float(np.abs(room.vertices - middle).max())
    assert np.abs(distances[met] - known[met]).max() < 4e-6 * size
    same = faces == known_faces
    assert same.mean() > 0.995  # the others are faces in one place
    assert np.array_equal(tree.blocked(origins, 2 * along), caster.blocked(origins, origins + 2 * along))


def sphere(rings: int = 24) -> tuple[Float32, npt.NDArray[np.int32]]:
    """A closed sphere of radius 1 with many thin triangles at its poles."""
    polar, turn = np.linspace(0, np.pi, rings + 1)[1:-1], np.linspace(0, 2 * np.pi, 2 * rings + 1)[:-1]
    ring = [(np.sin(p) * np.cos(t), np.cos(p), np.sin(p) * np.sin(t)) for p in polar for t in turn]
    n, last = 2 * rings, len(ring) + 1
    faces = []
    for k in range(n):
        faces.append((0, 1 + k, 1 + (k + 1) % n))
        faces.append((last, last - 1 - k, last - 1 - (k + 1) % n))
        for row in range(rings - 2):
            a, b = 1 + row * n + k, 1 + row * n + (k + 1) % n
            faces += [(a, b, a + n), (b, b + n, a + n)]
    return np.array([(0, 1, 0), *ring, (0, -1, 0)], dtype=np.float32), np.array(faces, dtype=np.int32)


def test_no_ray_leaves_a_closed_mesh_by_a_corner_or_an_edge() -> None:
    vertices, faces = sphere()
    tree = RayTree(vertices, faces)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    rng = np.random.default_rng(1)
    share = rng.uniform(0, 1, (len(edges), 1))
    targets = np.concatenate(
        [vertices[edges[:, 0]] * (1 - share) + vertices[edges[:, 1]] * share, np.repeat(vertices, 3, axis=0)]
    )
    for scale in (0.0, 0.5):
        origins = (scale * rng.uniform(-1, 1, targets.shape)).astype(np.float32)
        along = (targets - origins).astype(np.float32)
        found, distances = tree.first_hits(origins, along)
        assert (found >= 0).all()
        assert distances == pytest.approx(np.ones(len(targets)), abs=2e-3)
        assert tree.blocked(origins, np.float32(1.01) * along).all()


def test_a_ray_reaches_as_far_as_its_direction_is_long() -> None:
    wall = np.array([(2, -1, -1), (2, 3, -1), (2, -1, 3)], dtype=np.float32)
    tree = RayTree(wall, np.array([(0, 1, 2)]))
    origin = np.zeros((4, 3), dtype=np.float32)
    along = np.array([(1, 0, 0), (1.9, 0, 0), (2, 0, 0), (-2, 0, 0)], dtype=np.float32)
    assert tree.blocked(origin, along).tolist() == [False, False, True, False]
    assert tree.distances(origin, along) == pytest.approx([2.0, 2 / 1.9, 1.0, np.inf])
    in_the_plane = np.array([(2, -5, 0)], dtype=np.float32), np.array([(0, 1, 0)], dtype=np.float32)
    assert tree.faces(*in_the_plane).tolist() == [-1]


def test_meshes_that_cannot_be_parted_and_no_mesh_at_all() -> None:
    corner = np.array([(2, -1, -1), (2, 3, -1), (2, -1, 3)], dtype=np.float32)
    ray = np.zeros((1, 3), dtype=np.float32), np.array([(1, 0, 0)], dtype=np.float32)
    for count in (0, 1, 5, 3000):
        found, distance = RayTree(corner, np.tile([[0, 1, 2]], (count, 1))).first_hits(*ray)
        assert (found.tolist(), distance.tolist()) == (([0], [2.0]) if count else ([-1], [np.inf]))
    flat = np.array([(2, 0, 0), (2, 0, 0), (2, 0, 0)], dtype=np.float32)  # a triangle without an area
    assert RayTree(flat, np.array([(0, 1, 2)])).faces(*ray).tolist() == [-1]


def test_faces_of_very_different_sizes_are_found() -> None:
    """Each split cuts one face off, so the tree is as deep as it may be."""
    size = 2.0 ** -np.arange(60)
    corners = np.array([(2, -1, -1), (2, 3, -1), (2, -1, 3)])
    vertices = np.concatenate([corners * s for s in size]).astype(np.float32)
    tree = RayTree(vertices, np.arange(180).reshape(60, 3))
    directions = sphere_directions(2000).astype(np.float32)
    origins = np.zeros_like(directions)
    found, distances = tree.first_hits(origins, directions)
    ahead = np.isfinite(distances)
    assert ahead.mean() > 0.05
    smallest = 2 * size[-1] / directions[ahead, 0]
    assert distances[ahead] == pytest.approx(smallest, rel=1e-5)
    assert (found[ahead] == 59).all()


def test_equal_meshes_give_equal_trees() -> None:
    room = ProceduralRooms().load("home-121834")
    one, other = (RayTree(room.vertices, room.faces)._record for _ in range(2))
    assert one.tobytes() == other.tobytes()
