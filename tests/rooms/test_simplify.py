"""Large meshes become small ones: within the bound, closed, with their materials, the same every time."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import trimesh

from spatialqa.errors import MissingDependencyError
from spatialqa.rooms.mesh.rays import RayCaster, ray_efficiency
from spatialqa.rooms.mesh.simplify import LabelledMesh, PreparedMesh, preparation, prepare_mesh
from spatialqa.rooms.mesh.surface import face_normals, nearest_faces, surface_distances, surface_points, triangle_areas
from tests.rooms.shapes import Triangles, box

SIZE = (5.0, 2.6, 4.0)
FLOOR, WALL, CEILING = 0, 1, 2


def refined(triangles: Triangles, longest_m: float) -> LabelledMesh:
    """A mesh without long edges; what lies level on the ground is floor, on top ceiling, the rest wall."""
    faces = np.arange(len(triangles) * 3).reshape(-1, 3)
    points, faces = trimesh.remesh.subdivide_to_size(triangles.reshape(-1, 3), faces, max_edge=longest_m)
    low, high = points[faces, 1].min(axis=1), points[faces, 1].max(axis=1)
    top = points[:, 1].max()
    material = np.where(high < 1e-6, FLOOR, np.where(low > top - 1e-6, CEILING, WALL))
    return LabelledMesh(points.astype(np.float32), faces.astype(np.int32), material.astype(np.int32))


def noisy(mesh: LabelledMesh, amount_m: float) -> LabelledMesh:
    """The mesh with a smooth displacement of at most about `amount_m` along each axis."""
    points = mesh.vertices.astype(np.float64)
    waves = np.array([[9.0, 4.0, 7.0], [5.0, 11.0, 3.0], [6.0, 2.0, 10.0]])
    moved = points + amount_m * np.sin(points @ waves.T)
    return replace(mesh, vertices=moved.astype(np.float32))


def sphere(radius_m: float) -> LabelledMesh:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=radius_m)
    return LabelledMesh(
        ball.vertices.astype(np.float32), ball.faces.astype(np.int32), np.zeros(len(ball.faces), np.int32)
    )


ROOM = noisy(refined(box((0, 0, 0), SIZE), 0.16), 0.004)


def area_by_material(mesh: LabelledMesh) -> npt.NDArray[np.float64]:
    area: npt.NDArray[np.float64] = np.bincount(
        mesh.face_material, triangle_areas(mesh.vertices, mesh.faces), minlength=3
    ).astype(np.float64)
    return area


def digest(mesh: PreparedMesh) -> str:
    return hashlib.sha256(mesh.vertices.tobytes() + mesh.faces.tobytes() + mesh.face_material.tobytes()).hexdigest()


def efficiency(mesh: LabelledMesh) -> float:
    low, high = mesh.vertices.min(axis=0).astype(np.float64), mesh.vertices.max(axis=0).astype(np.float64)
    return ray_efficiency(RayCaster(mesh.vertices, mesh.faces), low, high)


def test_a_mesh_under_the_target_keeps_its_bytes() -> None:
    for target in (None, len(ROOM.faces), 10**9):
        same = prepare_mesh(ROOM, target)
        assert same.vertices.tobytes() == ROOM.vertices.tobytes()
        assert same.faces.tobytes() == ROOM.faces.tobytes()
        assert same.face_material.tobytes() == ROOM.face_material.tobytes()
        assert not same.simplified
        assert (same.error_m, same.notes()) == (0.0, [])


def test_faces_without_area_and_stray_vertices_go_from_every_mesh() -> None:
    stray = np.array([[900, 900, 900], [1, 1, 1]], np.float32)
    vertices = np.concatenate([stray, ROOM.vertices])
    faces = np.concatenate([[[1, 1, 5], [2, 2, 2]], ROOM.faces + 2]).astype(np.int32)
    mesh = prepare_mesh(LabelledMesh(vertices, faces, np.r_[7, 7, ROOM.face_material].astype(np.int32)), None)
    assert digest(mesh) == digest(prepare_mesh(ROOM, None))
    assert mesh.notes() == [f"2 of {len(faces):,} faces have no area and were left out"]


def test_a_noisy_room_reaches_the_target_within_the_bound() -> None:
    small = prepare_mesh(ROOM, 600, max_error_m=0.05)
    assert len(ROOM.faces) > 5_000
    assert 550 <= len(small.faces) <= 600
    assert [str(a.dtype) for a in (small.vertices, small.faces, small.face_material)] == ["float32", "int32", "int32"]
    assert 0.0005 < small.error_m <= 0.05
    assert small.lost_share == 0.0
    assert small.notes() == [
        f"simplified from {len(ROOM.faces):,} to {len(small.faces):,} faces; no surface moved by more than "
        f"{1000 * small.error_m:.0f} mm"
    ]


def test_vertices_are_those_of_the_original() -> None:
    small = prepare_mesh(ROOM, 600)
    assert {row.tobytes() for row in small.vertices} <= {row.tobytes() for row in ROOM.vertices}


def sagitta_m(mesh: LabelledMesh, radius_m: float) -> float:
    """How far the faces of a ball lie under the sphere, at most."""
    return float(radius_m - np.linalg.norm(mesh.vertices[mesh.faces].mean(axis=1), axis=1).min())


def test_the_error_of_a_sphere_is_what_geometry_says() -> None:
    ball = sphere(3.0)
    small = prepare_mesh(ball, 1000)
    assert len(small.faces) <= 1000
    assert sagitta_m(small, 3.0) - sagitta_m(ball, 3.0) <= small.error_m <= 1.2 * sagitta_m(small, 3.0)
    assert 0.01 < small.error_m <= 0.05


def test_a_bound_that_is_tight_stops_early_and_says_so() -> None:
    small = prepare_mesh(sphere(3.0), 200, max_error_m=0.02)
    assert sagitta_m(small, 3.0) - sagitta_m(sphere(3.0), 3.0) <= small.error_m <= 0.02
    assert 600 < len(small.faces) < 4000
    assert "the target of 200 lies beyond the bound of 20 mm" in small.notes()[0]


def test_a_bound_that_cannot_be_met_at_all_keeps_every_face() -> None:
    small = prepare_mesh(sphere(3.0), 200, max_error_m=1e-9)
    assert len(small.faces) == 5_120
    assert small.error_m < 1e-4


def test_a_closed_room_stays_closed() -> None:
    small = prepare_mesh(ROOM, 500)
    edges = np.sort(small.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    places = np.unique(small.vertices, axis=0, return_inverse=True)[1]
    uses = np.unique(np.sort(places[edges], axis=1), axis=0, return_counts=True)[1]
    assert (uses == 2).all()
    assert efficiency(small) == efficiency(ROOM) == 1.0


def test_materials_keep_to_their_side() -> None:
    small = prepare_mesh(ROOM, 500)
    assert area_by_material(small) == pytest.approx(area_by_material(ROOM), rel=0.02)
    there, face = surface_points(small.vertices, small.faces, 20_000)
    _, nearest = nearest_faces(there, ROOM.vertices, ROOM.faces)
    assert (small.face_material[face] != ROOM.face_material[nearest]).mean() < 0.002


def test_a_border_within_a_wall_stays_where_it_was() -> None:
    wall = refined(box((0, 0, 0), SIZE), 0.2)
    middle = wall.vertices[wall.faces].mean(axis=1)
    picture = (np.abs(middle[:, 0] - 2.5) < 0.8) & (np.abs(middle[:, 1] - 1.3) < 0.5) & (middle[:, 2] < 1e-6)
    mesh = replace(wall, face_material=np.where(picture, 2, 1).astype(np.int32))
    small = prepare_mesh(mesh, 600)
    there, face = surface_points(small.vertices, small.faces, 20_000)
    _, nearest = nearest_faces(there, mesh.vertices, mesh.faces)
    assert (small.face_material[face] != mesh.face_material[nearest]).mean() < 0.001
    assert area_by_material(small)[2] == pytest.approx(area_by_material(mesh)[2], rel=0.01)


def test_a_sheet_modelled_on_both_sides_is_not_eaten_from_its_rim() -> None:
    shell = refined(box((0, 0, 0), SIZE), 0.2)
    under = shell.faces[shell.face_material == CEILING][:, ::-1]
    mesh = LabelledMesh(
        shell.vertices,
        np.concatenate([shell.faces, under]).astype(np.int32),
        np.r_[shell.face_material, np.full(len(under), CEILING)].astype(np.int32),
    )
    small = prepare_mesh(mesh, 400)
    assert area_by_material(small)[CEILING] == pytest.approx(SIZE[0] * SIZE[2], rel=1e-4)
    assert efficiency(small) == 1.0


def test_a_soup_of_triangles_is_welded_first() -> None:
    soup = LabelledMesh(
        ROOM.vertices[ROOM.faces].reshape(-1, 3),
        np.arange(len(ROOM.faces) * 3, dtype=np.int32).reshape(-1, 3),
        ROOM.face_material,
    )
    small = prepare_mesh(soup, 600)
    assert len(small.faces) <= 600
    assert efficiency(small) == 1.0


SCRIPT = "from tests.rooms.test_simplify import *; print(digest(prepare_mesh(ROOM, 600)))"


def test_the_same_mesh_gives_the_same_bytes_in_any_process() -> None:
    here = digest(prepare_mesh(ROOM, 600))
    there = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.strip()
    assert there == here


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meshoptimizer", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'spatialqa\[meshes\]'.*--simplify off") as caught:
        prepare_mesh(ROOM, 600)
    assert "\n" not in str(caught.value)
    assert len(prepare_mesh(ROOM, None).faces) == len(ROOM.faces)


def test_what_was_asked_for_is_in_the_key() -> None:
    keys = {preparation(None), preparation(100), preparation(200), preparation(200, 0.01)}
    assert len(keys) == 4
    assert "meshoptimizer 0" in preparation(100)


# Distances


def test_distances_to_a_box_are_those_of_its_slabs() -> None:
    mesh = refined(box((0, 0, 0), SIZE), 0.1)
    size = np.array(SIZE)
    p = np.random.default_rng(0).uniform(-1.0, size + 1.0, (500, 3))
    outside = np.maximum(np.maximum(-p, p - size), 0.0)
    inside = np.minimum(p, size - p).min(axis=1)
    expected = np.where((outside > 0).any(axis=1), np.linalg.norm(outside, axis=1), inside)
    found, face = nearest_faces(p, mesh.vertices, mesh.faces)
    assert (found >= expected - 1e-6).all()
    assert found == pytest.approx(expected, abs=1e-3)
    nearest = mesh.vertices[mesh.faces[face]].mean(axis=1)
    assert (np.linalg.norm(nearest - p, axis=1) < found + 0.1).all()


def test_a_surface_is_nowhere_from_itself() -> None:
    mesh = refined(box((0, 0, 0), SIZE), 0.5)
    points, face = surface_points(mesh.vertices, mesh.faces, 5000)
    normals = face_normals(mesh.vertices, mesh.faces[face])
    assert surface_distances(points, normals, mesh.vertices, mesh.faces).max() < 1e-5
    lifted = surface_distances(points + 0.02 * normals, normals, mesh.vertices, mesh.faces)
    assert lifted.max() == pytest.approx(0.02, abs=1e-5)
    assert np.median(lifted) == pytest.approx(0.02, abs=1e-5)


def test_points_are_spread_by_area() -> None:
    mesh = refined(box((0, 0, 0), SIZE), 0.5)
    _, face = surface_points(mesh.vertices, mesh.faces, 10_000)
    area = area_by_material(mesh)
    assert np.bincount(mesh.face_material[face]) / 10_000 == pytest.approx(area / area.sum(), abs=0.002)
