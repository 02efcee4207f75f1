"""The same surface in any format is the same triangles, and what independent readers make of it."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.rooms.gltf_files import File
from tests.rooms.mesh_files import FORMATS, LIST, XYZ, Triangles, alike, area, ply, read, size, volume

FLOAT32 = st.floats(-100, 100, width=32)
PLACES = st.lists(st.tuples(FLOAT32, FLOAT32, FLOAT32), min_size=3, max_size=12)


@st.composite
def meshes(draw: st.DrawFn) -> tuple[list[tuple[float, float, float]], list[list[int]]]:
    """Return places, and triangles of three different ones each."""
    places = draw(PLACES)
    corner = st.lists(st.integers(0, len(places) - 1), min_size=3, max_size=3, unique=True)
    return places, draw(st.lists(corner, min_size=1, max_size=12))


def obj(path: Path, places: Any, faces: Any, relative: bool = False) -> Path:
    lines = ["v " + " ".join(repr(float(x)) for x in place) for place in places]
    lines += ["f " + " ".join(str(k - len(places) if relative else k + 1) for k in face) for face in faces]
    path.write_text("\n".join(lines))
    return path


def glb(path: Path, places: Any, faces: Any) -> Path:
    file = File()
    primitive = {"attributes": {"POSITION": file.accessor(places)}, "indices": file.accessor(np.ravel(faces), "u2")}
    file.node(mesh=file.mesh(primitive))
    return file.save(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mesh=meshes())
def test_triangles_are_the_same_in_every_format(tmp_path: Path, mesh: tuple[Any, Any]) -> None:
    places, faces = mesh
    expected = np.array(places, dtype=float)[np.array(faces)]
    files = [
        obj(tmp_path / "a.obj", *mesh),
        obj(tmp_path / "r.obj", *mesh, relative=True),
        glb(tmp_path / "a.glb", *mesh),
    ]
    elements = (("vertex", XYZ, places), ("face", LIST, [(face,) for face in faces]))
    files += [ply(tmp_path / f"{form}.ply", form, *elements) for form in FORMATS]
    strip = [k for face in faces for k in (*face, -1)]
    strips = (elements[0], ("tristrips", ("list int int vertex_indices",), [(strip,)]))
    files.append(ply(tmp_path / "strips.ply", FORMATS[1], *strips))
    for path in files:
        found = read(path)
        assert found.shape == expected.shape, path.name
        assert np.array_equal(found, expected), path.name


@st.composite
def outlines(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], float]:
    """Return the corners (n, 3) of a polygon that sees all its corners from a point inside, and its area."""
    steps = draw(st.lists(st.floats(0.2, 1.0), min_size=3, max_size=16))
    radii = np.array(draw(st.lists(st.floats(0.1, 10.0), min_size=len(steps), max_size=len(steps))))
    assume(max(steps) < 0.45 * sum(steps))
    turn = 2 * np.pi * np.cumsum(steps) / sum(steps)
    x, y = radii * np.cos(turn), radii * np.sin(turn)
    # corners on the straight edges between them as well
    flat = np.stack([x, y, 0 * x], axis=1)
    flat = np.stack([flat, (flat + np.roll(flat, -1, axis=0)) / 2], axis=1).reshape(-1, 3)
    frame = np.linalg.qr(np.random.default_rng(draw(st.integers(0, 99))).normal(size=(3, 3)))[0]
    steps_at = np.diff(np.append(turn, turn[0] + 2 * np.pi))
    enclosed = float((radii * np.roll(radii, -1) * np.sin(steps_at)).sum() / 2)
    return flat @ frame + draw(st.floats(-50, 50)), enclosed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outline=outlines(), first=st.integers(0, 31))
def test_a_polygon_is_cut_the_same_in_obj_and_ply_and_keeps_its_area(
    tmp_path: Path, outline: tuple[Any, float], first: int
) -> None:
    places, enclosed = outline
    corners = np.roll(np.arange(len(places)), first).tolist()
    found = read(obj(tmp_path / "a.obj", places, [corners]))
    doubles = tuple(f"double {axis}" for axis in "xyz")
    for form in FORMATS:
        path = ply(tmp_path / "a.ply", form, ("vertex", doubles, places.tolist()), ("face", LIST, [(corners,)]))
        assert np.array_equal(read(path), found)
    assert area(found) == pytest.approx(enclosed, rel=1e-6)


# Independent readers


def house() -> trimesh.Scene:
    """A scene of closed bodies, moved and turned, in a tree of nodes."""
    made = trimesh.Scene()
    turned = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])
    moved = trimesh.transformations.translation_matrix([3, -2, 5])
    made.add_geometry(trimesh.creation.box((6, 3, 4)), node_name="room", geom_name="room", transform=moved)
    made.add_geometry(
        trimesh.creation.icosphere(2, 0.7),
        node_name="lamp",
        geom_name="lamp",
        parent_node_name="room",
        transform=turned,
    )
    made.add_geometry(
        trimesh.creation.cylinder(0.2, 1.5), node_name="leg", geom_name="leg", parent_node_name="lamp", transform=moved
    )
    return made


def check_as(triangles: Triangles, other: Triangles) -> None:
    assert len(triangles) == len(other)
    assert area(triangles) == pytest.approx(area(other), rel=1e-5)
    assert volume(triangles) == pytest.approx(volume(other), rel=1e-4)
    assert size(triangles) == pytest.approx(size(other), rel=1e-5)
    assert alike(triangles) == pytest.approx(alike(other), abs=1e-4)


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply", "ascii.ply", "stl"])
def test_what_trimesh_gets_right_is_the_same_here(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"h.{suffix}"
    if suffix == "glb":
        house().export(path)
    else:
        more = {"encoding": "ascii"} if suffix == "ascii.ply" else {}
        house().to_mesh().export(path, **more)
    theirs = trimesh.load_scene(str(path), process=False).to_mesh()
    check_as(read(path), np.asarray(theirs.triangles, dtype=float))


def by_assimp(path: Path) -> Triangles:
    """Return the triangles of a file without a tree of nodes, by another library."""
    try:
        assimp: Any = import_module("assimp_py")
    except ImportError:
        pytest.skip("assimp_py is not installed")
    scene = assimp.import_file(str(path), assimp.Process_Triangulate)
    found = []
    for mesh in scene.meshes:
        places = np.array(mesh.vertices, dtype=float).reshape(-1, 3)  # a copy: the scene frees its own
        found.append(places[np.array(mesh.indices).reshape(-1, 3)])
    return np.concatenate(found)


NOTCHED = [(0, 0, 0), (4, 0, 0), (4, 3, 0), (3, 3, 0), (3, 1, 0), (1, 1, 0), (1, 3, 0), (0, 3, 0)]


def test_what_assimp_gets_right_is_the_same_here(tmp_path: Path) -> None:
    prism = [(x, y, z) for z in (0, 2) for x, y, _ in NOTCHED]
    n = len(NOTCHED)
    faces = [list(range(n))[::-1], list(range(n, 2 * n))]
    faces += [[k, (k + 1) % n, n + (k + 1) % n, n + k] for k in range(n)]
    for path in (obj(tmp_path / "a.obj", prism, faces), obj(tmp_path / "r.obj", prism, faces, relative=True)):
        ours, theirs = read(path), by_assimp(path)
        assert volume(ours) == pytest.approx(16) == volume(theirs)
        assert area(ours) == pytest.approx(area(theirs))
        assert size(ours) == size(theirs)
    mixed = [(face,) for face in faces]
    for form in FORMATS:
        path = ply(tmp_path / "a.ply", form, ("vertex", XYZ, prism), ("face", LIST, mixed))
        ours, theirs = read(path), by_assimp(path)
        assert volume(ours) == pytest.approx(16) == volume(theirs)
        assert area(ours) == pytest.approx(area(theirs))


def test_assimp_and_we_agree_on_strips_fans_and_sparse_accessors(tmp_path: Path) -> None:
    file = File()
    corners = [(x, y, z) for z in (0, 1) for y in (0, 2) for x in (0, 3)]
    sides = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    where = file.view(np.array([4, 5, 6, 7], dtype="<u2").tobytes())
    values = file.view(np.array([(x, y, 4) for x, y, _ in corners[4:]], dtype="<f4").tobytes())
    raised = file.accessor(
        corners,
        sparse={"count": 4, "indices": {"bufferView": where, "componentType": 5123}, "values": {"bufferView": values}},
    )
    file.json["accessors"][raised] |= {"min": [0, 0, 0], "max": [3, 2, 4]}
    parts = [{"attributes": {"POSITION": raised}, "mode": 6, "indices": file.accessor(q, "u2")} for q in sides[:3]]
    parts += [
        {"attributes": {"POSITION": raised}, "mode": 5, "indices": file.accessor([q[0], q[1], q[3], q[2]], "u2")}
        for q in sides[3:]
    ]
    file.node(mesh=file.mesh(*parts))
    path = file.save(tmp_path / "h.glb", scene=0, scenes=[{"nodes": [0]}])
    ours, theirs = read(path), by_assimp(path)
    assert volume(ours) == pytest.approx(24) == volume(theirs)
    assert alike(ours) == pytest.approx(alike(theirs))
