"""The PLY reader: both byte orders and ASCII give the same mesh, and a damaged file one clear line."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import trimesh

from spatialqa.errors import RoomError
from spatialqa.rooms.scans.semantic_ply import read_semantic_ply
from tests.fixtures.matterport import write_procedural_house
from tests.fixtures.matterport_files import Part, write_semantic_ply

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 2, 0], [0, 2, 0.5]], dtype=np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3]])
IDS = [7, -1]
HEADER = """\
ply
format {encoding} 1.0
comment made by hand
element vertex 4
property {real} x
property {real} y
property {real} z
property uchar red
element face {faces}
property list uchar {whole} {corners}
property {whole} object_id
end_header
"""


def ply(
    encoding: str, real: str = "float", whole: str = "int", corners: str = "vertex_indices", faces: int = 2
) -> bytes:
    header = HEADER.format(encoding=encoding, real=real, whole=whole, corners=corners, faces=faces).encode()
    if encoding == "ascii":
        rows = [" ".join(f"{x:g}" for x in point) + " 255" for point in VERTICES]
        rows += [f"3 {a} {b} {c} {k}" for (a, b, c), k in zip(FACES, IDS, strict=True)]
        return header + ("\n".join(rows) + "\n").encode()
    order = "<" if "little" in encoding else ">"
    r, w = {"float": "f4", "double": "f8"}[real], {"int": "i4", "short": "i2", "uint": "u4"}[whole]
    points = np.zeros(4, dtype=[("xyz", order + r, 3), ("red", "u1")])
    points["xyz"] = VERTICES
    triangles = np.zeros(2, dtype=[("n", "u1"), ("corners", order + w, 3), ("object_id", order + w)])
    triangles["n"], triangles["corners"], triangles["object_id"] = 3, FACES, np.array(IDS).astype(order + w)
    return header + points.tobytes() + triangles.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        ply("binary_little_endian"),
        ply("binary_big_endian"),
        ply("ascii"),
        ply("binary_little_endian", real="double", whole="short", corners="vertex_index"),
        ply("binary_big_endian").replace(b"ply\n", b"ply\r\n", 1).replace(b"hand\n", b"hand\r\n", 1),
        ply("ascii", real="double", whole="short"),
    ],
)
def test_every_encoding_gives_the_same_mesh(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    mesh = read_semantic_ply(tmp_path / "a.ply", ("object_id", "face_material"))
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    assert mesh.vertices.tolist() == VERTICES.tolist()
    assert mesh.faces.tolist() == FACES.tolist()
    assert {name: ids.tolist() for name, ids in mesh.values.items()} == {"object_id": IDS}


def test_a_general_reader_sees_the_same_geometry(tmp_path: Path) -> None:
    folder = write_procedural_house(tmp_path, layout="matterport") / "house_segmentations"
    path = folder / f"{folder.parent.name}.ply"
    ours, theirs = read_semantic_ply(path, ("face_segment",)), trimesh.load_mesh(path, process=False)
    assert ours.vertices == pytest.approx(np.asarray(theirs.vertices))
    assert ours.faces.tolist() == theirs.faces.tolist()
    assert ours.values["face_segment"].tolist() == theirs.metadata["_ply_raw"]["face"]["data"]["face_segment"].tolist()


GOOD = ply("binary_little_endian")
TEXT = ply("ascii")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (GOOD[:-1], "is truncated: its header announces 2 rows of 'face' and it holds 1"),
        (GOOD[:-40], "is truncated: its header announces 4 rows of 'vertex' and it holds 3"),
        (GOOD[:60], "the PLY header"),
        (TEXT[: TEXT.rindex(b"3 0 2 3")], "is truncated: its header announces 2 rows of 'face' and it holds 1"),
        (
            TEXT.replace(b"3 0 2 3 -1", b"4 0 1 2 3 -1"),
            "a line has 6 figures where 5 are expected (only triangles are read)",
        ),
        (TEXT.replace(b"1 2 0 255", b"1 two 0 255"), "could not convert"),
        (TEXT.replace(b"3 0 2 3 -1", b"3 0 2 nan -1"), "a face names a vertex that is not there"),
        (TEXT.replace(b"3 0 2 3 -1", b"3 0 2 4 -1"), "a face names a vertex that is not there (4 are)"),
        (TEXT.replace(b"1 2 0 255", b"1 inf 0 255"), "vertices that are not finite numbers"),
        (GOOD.replace(b"ply", b"PNG", 1), "is not a PLY file"),
        (b"", "is not a PLY file"),
        (GOOD.replace(b"1.0", b"2.0", 1), "cannot read the PLY header at b'format binary_little_endian 2.0"),
        (GOOD.replace(b"property float z\n", b"", 1), "the vertices need x, y and z"),
        (GOOD.replace(b"element vertex 4", b"element vertex 99999999999999999999"), "is truncated"),
        (TEXT.replace(b"element face 2", b"element face 99999999999999999999"), "is truncated"),
        (GOOD.replace(b"property list uchar int", b"property int"), "the faces need one list"),
        (GOOD.replace(b"property uchar red", b"property list uchar int red"), "cannot read the element 'vertex'"),
        (
            GOOD.replace(b"element vertex", b"element camera 1\nelement vertex"),
            "the element 'camera' has no properties",
        ),
        (
            TEXT.replace(b"element vertex", b"element camera 1\nelement vertex"),
            "the element 'camera' has no properties",
        ),
        (b"ply\nformat ascii 1.0\nend_header\n", "has no element 'vertex'"),
        (b"ply\n" + b"comment a\n" * 5000, "no end"),
        (b"ply\n" + b"x" * 100_000, "cannot read the PLY header"),
    ],
)
def test_a_damaged_file_is_an_error_in_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(RoomError) as error:
        read_semantic_ply(tmp_path / "a.ply", ("object_id",))
    assert "a.ply" in str(error.value)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_face_with_four_corners_is_named(tmp_path: Path) -> None:
    row = np.zeros(1, dtype=[("n", "u1"), ("corners", "<i4", 4), ("object_id", "<i4")])
    row["n"], row["corners"] = 4, [0, 1, 2, 3]
    (tmp_path / "a.ply").write_bytes(ply("binary_little_endian", faces=3) + row.tobytes())
    with pytest.raises(RoomError, match=r"face 2 is not a triangle \(4 corners\)"):
        read_semantic_ply(tmp_path / "a.ply", ("object_id",))


def test_reading_takes_a_few_times_the_memory_of_the_file(tmp_path: Path) -> None:
    n = 100_000
    corners = np.random.default_rng(0).normal(size=(n, 3, 3))
    write_semantic_ply(tmp_path / "a.ply", [Part("a", "wall", 0, corners)])
    size = (tmp_path / "a.ply").stat().st_size
    tracemalloc.start()
    mesh = read_semantic_ply(tmp_path / "a.ply", ("object_id",))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(mesh.faces) == n
    assert peak < 4 * size
