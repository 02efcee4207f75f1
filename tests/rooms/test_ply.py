"""PLY as its specification says: both byte orders and ASCII, every type, polygons, strips, and whatever lies beside."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.ply import TYPES, read_ply
from spatialqa.rooms.mesh.reading import read_parts
from tests.rooms.mesh_files import FORMATS, LIST, XYZ, Element, Row, alike, area, case, ply, read, size, volume

CORNERS = [(x, y, z) for z in (0, 1) for y in (0, 3) for x in (0, 2)]  # of a block of 2 x 3 x 1 m
SIDES = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
MIXED = [*SIDES[:3], *([side[k] for k in half] for side in SIDES[3:] for half in ((0, 1, 2), (2, 3, 0)))]
AREA, VOLUME = 22.0, 6.0
NOTCHED = [(0, 0, 0), (4, 0, 0), (4, 3, 0), (3, 3, 0), (3, 1, 0), (1, 1, 0), (1, 3, 0), (0, 3, 0)]  # 8 m2

POINTS: Element = ("vertex", XYZ, CORNERS)


def faces(polygons: Sequence[Row]) -> list[Row]:
    return [(polygon,) for polygon in polygons]


def check_block(path: Path) -> None:
    triangles = read(path)
    assert (area(triangles), volume(triangles), size(triangles)) == (AREA, VOLUME, [2, 3, 1])


@pytest.mark.parametrize("name", ["mixed_ascii", "mixed_le", "mixed_be", "strips"])
def test_polygons_of_different_sizes_and_strips_are_a_room(name: str) -> None:
    triangles = read(case(f"ply_mixed_polygons/{name}.ply"))
    assert size(triangles) == [6, 3, 4]
    assert area(triangles) == pytest.approx(48 + 60)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("polygons", [SIDES, MIXED, MIXED[::-1]], ids=["alike", "mixed", "mixed, backwards"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["newline", "both", "carriage return"])
def test_polygons_in_every_form(tmp_path: Path, form: str, polygons: Sequence[Row], end: str) -> None:
    check_block(ply(tmp_path / "h.ply", form, POINTS, ("face", LIST, faces(polygons)), end=end))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("counted", [name for name, kind in TYPES.items() if kind[0] != "f"])
def test_every_type_of_count_index_and_coordinate(tmp_path: Path, form: str, counted: str) -> None:
    for kind in TYPES:
        xyz = tuple(f"{kind} {axis}" for axis in "xyz")
        indices = "int" if kind in ("float", "double", "float32", "float64") else kind
        properties = (f"list {counted} {indices} vertex_index",)
        check_block(ply(tmp_path / "h.ply", form, ("vertex", xyz, CORNERS), ("face", properties, faces(MIXED))))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("polygons", [SIDES, MIXED], ids=["alike", "mixed"])
def test_other_elements_and_properties_anywhere_are_passed_over(
    tmp_path: Path, form: str, polygons: Sequence[Row]
) -> None:
    vertex = ("uchar red", "double z", "list uchar short tags", "float x", "int16 q", "float y", "list int float more")
    vertices = [(255, z, [1] * k, x, -k, y, [0.5] * (k % 2)) for k, (x, y, z) in enumerate(CORNERS)]
    face = ("int segment", "list uchar float texcoord", "list uchar uint vertex_indices", "uchar flags")
    rows = [(-k, [0.25] * len(polygon) * 2, polygon, k) for k, polygon in enumerate(polygons)]
    other = ("camera", ("float view_px", "list uchar int list"), [(1.5, [1, 2]), (2.5, [])])
    edge = ("edge", ("int vertex1", "int vertex2"), [(0, 1), (1, 2)])
    elements: list[Element] = [
        other,
        ("vertex", vertex, vertices),
        ("nothing", (), []),
        edge,
        ("face", face, rows),
        other,
    ]
    check_block(ply(tmp_path / "h.ply", form, *elements))
    first = ply(tmp_path / "first.ply", form, ("face", face, rows), ("vertex", vertex, vertices))
    check_block(first)


@pytest.mark.parametrize("form", FORMATS)
def test_concave_polygons_cover_what_their_outline_encloses(tmp_path: Path, form: str) -> None:
    polygons: list[Row] = [list(range(8)), [0, 1, 2], list(range(8))[::-1], [0, 1], [], [3]]
    path = ply(tmp_path / "h.ply", form, ("vertex", XYZ, NOTCHED), ("face", LIST, faces(polygons)))
    assert area(read(path)) == pytest.approx(8 + 6 + 8)


@pytest.mark.parametrize("form", FORMATS)
def test_strips_end_at_minus_one_and_with_their_row(tmp_path: Path, form: str) -> None:
    strips = [[side[0], side[1], side[3], side[2], -1] for side in SIDES]
    rows: list[Row] = [(strips[0] + strips[1] + [-1, 5, -1, 4, 4, -1],), (strips[2][:-1],), ([],)]
    rows.append(([-1, strips[3][0]] + strips[3] + strips[4] + strips[5],))
    rows[3][0][1] = -1
    elements = (POINTS, ("tristrips", ("list int int vertex_indices",), rows))
    check_block(ply(tmp_path / "h.ply", form, *elements))
    # faces and strips together
    both = (*elements[:1], ("face", LIST, faces(SIDES[:3])), ("tristrips", ("list int int vertex_indices",), rows[3:]))
    check_block(ply(tmp_path / "b.ply", form, *both))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "elements",
    [(), (POINTS,), (POINTS, ("face", LIST, [])), (("face", LIST, []),), (POINTS, ("face", ("int a",), [(1,)]))],
    ids=["nothing", "points", "no face", "neither", "faces without corners"],
)
def test_a_file_without_faces_has_no_surface(tmp_path: Path, form: str, elements: Sequence[Element]) -> None:
    assert read_parts(ply(tmp_path / "h.ply", form, *elements)) == []


def test_the_rows_of_ascii_may_be_spaced_and_broken_anyhow(tmp_path: Path) -> None:
    path = ply(tmp_path / "h.ply", "ascii", POINTS, ("face", LIST, faces(MIXED)))
    head, rows = path.read_bytes().split(b"end_header\n")
    for other in (
        rows.replace(b" ", b"\n"),
        rows.replace(b"\n", b"\t \r\n\n"),
        rows.replace(b"\n", b" "),
        rows + b"\n\n1 2",
    ):
        path.write_bytes(head + b"end_header\n" + other)
        check_block(path)


def test_a_newline_may_be_the_first_byte_of_the_rows(tmp_path: Path) -> None:
    """Where the header's lines end in carriage returns alone, it is no end of a line."""
    vertices = [(struct.unpack("<f", b"\x0a\x00\x00\x00")[0], 0, 0), (1, 0, 0), (0, 1, 0)]
    elements = (("vertex", XYZ, vertices), ("face", LIST, faces([[0, 1, 2]])))
    path = ply(tmp_path / "h.ply", "binary_little_endian", *elements, end="\r")
    assert area(read(path)) == 0.5


def test_headers_as_others_write_them(tmp_path: Path) -> None:
    path = ply(tmp_path / "h.ply", "ascii", POINTS, ("face", LIST, faces(MIXED)), comment="")
    text = path.read_text()
    path.write_text(text.replace("ply\nformat ascii 1.0\n", "ply  \ncomment élan\n  format   ascii\t1.0 \n"))
    check_block(path)


# What is wrong with a file


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("corner", [8, -1, 2**31 - 1])
@pytest.mark.parametrize("polygons", [SIDES, MIXED])
def test_a_vertex_that_is_not_there_is_named(tmp_path: Path, form: str, corner: int, polygons: list[list[int]]) -> None:
    wrong = [*polygons[:-1], [*polygons[-1][:-1], corner]]
    path = ply(tmp_path / "h.ply", form, POINTS, ("face", LIST, faces(wrong)))
    with pytest.raises(RoomError, match=rf"h\.ply: a face names vertex {corner}(\.0)?, and there are 8 from 0 on"):
        read_parts(path)
    strip = (POINTS, ("tristrips", LIST, [([0, 1, 2, 8 if corner == -1 else corner],)]))
    with pytest.raises(RoomError, match=r"h\.ply: a triangle strip names vertex"):
        read_parts(ply(path, form, *strip))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("polygons", [SIDES, MIXED])
def test_a_file_that_is_cut_short_says_so_wherever_it_is_cut(
    tmp_path: Path, form: str, polygons: Sequence[Row]
) -> None:
    whole = ply(tmp_path / "h.ply", form, POINTS, ("face", LIST, faces(polygons))).read_bytes()
    start = whole.index(b"end_header\n") + len(b"end_header\n")
    for end in range(start, len(whole) - 1, 3):
        (tmp_path / "h.ply").write_bytes(whole[:end])
        with pytest.raises(RoomError, match=r"h\.ply.*(truncated|names vertex)") as caught:
            read_parts(tmp_path / "h.ply")
        assert "\n" not in str(caught.value)


HEAD = "ply\nformat binary_little_endian 1.0\n"
ASCII = "ply\nformat ascii 1.0\n"
VERTEX = "element vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
FACE = ASCII + VERTEX + "element face 1\nproperty list int int vertex_index\nend_header\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a PLY file"),
        ("plyx\n", "is not a PLY file"),
        ("ply\nformat ascii 2.0\nend_header\n", "no format that is known"),
        ("ply\nelement vertex 1\nend_header\n", "no format that is known"),
        (HEAD + VERTEX, "the header has no end"),
        (HEAD + "element vertex x\nend_header\n", "cannot read the PLY header at 'element vertex x'"),
        (HEAD + "element vertex -1\nend_header\n", "cannot read the PLY header"),
        (HEAD + "property float x\nend_header\n", "cannot read the PLY header at 'property float x'"),
        (HEAD + "element vertex 1\nproperty half x\nend_header\n", "at 'property half x'"),
        (HEAD + "element face 1\nproperty list float int vertex_indices\nend_header\n", "is a float, not an integer"),
        (HEAD + "element vertex 1\nproperty float x\nend_header\n1234", "the vertices have no 'y', only x"),
        (HEAD + VERTEX.replace("1", "9" * 18) + "end_header\n", r"announces 999,.* rows of 'vertex'.* at most 0"),
        (HEAD + "element face 9999999\nproperty list int int vertex_indices\nend_header\n" + "\0" * 8, "at most 2"),
        (
            HEAD + "element face 2\nproperty list int int vertex_indices\nend_header\n" + "\0\0\0\0\x7f\x7f\x7f\x7f",
            "rows of 'face' and it holds 1;",
        ),
        (
            HEAD + "element face 2\nproperty list char int vertex_indices\nend_header\n\x01\0\0\0\0\x80",
            "face 1 has a list of -128 numbers",
        ),
        (ASCII + VERTEX + "end_header\n0 zero 0\n", "'zero', word 2 of its rows, is not a number"),
        (
            FACE + "0 0 0 2.5 0 0\n",
            "face 0 has a list of -1 numbers",
        ),
        (
            FACE + "0 0 0 3 0 0.5 0\n",
            "a face has the vertex 0.5, which is not an integer",
        ),
        (ASCII + "comment x\n" * 200_000 + "end_header\n", "the header has no end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "h.ply").write_bytes(text.encode("latin-1"))
    with pytest.raises(RoomError, match=r"h\.ply.*" + message) as caught:
        read_parts(tmp_path / "h.ply")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_any_byte_may_be_wrong(tmp_path: Path) -> None:
    """Files with bytes changed at random are read or refused in one line, and nothing else happens."""
    rng = np.random.default_rng(0)
    refused: list[str] = []
    for form in FORMATS:
        path = ply(tmp_path / "h.ply", form, POINTS, ("face", LIST, faces(MIXED)))
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(150):
            content = whole.copy()
            content[rng.integers(len(whole), size=2)] = rng.integers(256, size=2)
            path.write_bytes(content.tobytes())
            try:
                read_ply(path)
            except RoomError as error:
                refused.append(str(error))
    assert 50 < len(refused) < 450
    assert not [text for text in refused if "\n" in text]


def test_the_same_faces_in_any_form_are_the_same_triangles(tmp_path: Path) -> None:
    elements = (POINTS, ("face", LIST, faces(MIXED)))
    found = [alike(read(ply(tmp_path / "h.ply", form, *elements))) for form in FORMATS]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
