"""OBJ as its specification says: relative numbers, polygons of every shape, any way to space, wrap and end lines."""

import time
from pathlib import Path

import numpy as np
import pytest

from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.obj import read_obj
from spatialqa.rooms.mesh.reading import read_parts
from tests.rooms.mesh_files import alike, area, blocked, case, read, size, soup, volume

# A block of 2 x 3 x 1 m: a floor of two triangles, everything else quadrilaterals.
BLOCK = """\
o block
v 0 0 0
v 2 0 0
v 2 3 0
v 0 3 0
v 0 0 1
v 2 0 1
v 2 3 1
v 0 3 1
usemtl Oak
f 1 4 3
f 1 3 2
f 5 6 7 8
g long side
f 1 2 6 5
f 3 4 8 7
f 1 5 8 4
f 2 3 7 6
"""
AREA, VOLUME = 22.0, 6.0
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def relative(text: str) -> str:
    """Return the text with vertices counted backwards from each face."""
    lines, n = [], 0
    for line in text.splitlines():
        n += line.startswith("v ")
        if line.startswith("f "):
            line = "f " + " ".join(str(int(word) - 1 - n) for word in line.split()[1:])
        lines.append(line)
    return "\n".join(lines) + "\n"


def interleaved(text: str) -> str:
    """Return the text with every face right behind its own four or three vertices, counted backwards."""
    vertices = [line for line in text.splitlines() if line.startswith("v ")]
    lines = []
    for line in text.splitlines():
        if line.startswith("f "):
            corners = [int(word) - 1 for word in line.split()[1:]]
            lines += [vertices[k] for k in corners]
            line = "f " + " ".join(str(k - len(corners)) for k in range(len(corners)))
        if not line.startswith("v "):
            lines.append(line)
    return "\n".join(lines)


def corners(form: str) -> str:
    """Return BLOCK with every corner written as `form`, and as many vt and vn as v."""
    lines = ["vt 0 0"] * 8 + ["vn 0 0 1"] * 8
    for line in BLOCK.splitlines():
        if line.startswith("f "):
            line = "f " + " ".join(form.replace("v", word) for word in line.split()[1:])
        lines.append(line)
    return "\n".join(lines)


WAYS: dict[str, str | bytes] = {
    "relative": relative(BLOCK),
    "interleaved": interleaved(BLOCK),
    "v/vt": corners("v/v"),
    "v//vn": corners("v//v"),
    "v/vt/vn": corners("v/v/v"),
    "v/": corners("v/"),
    "v//": corners("v//"),
    "forms mixed": corners("v/v").replace("f 1/1 4/4 3/3", "f 1 4//4 3/3/3"),
    "relative v/vt/vn": relative(BLOCK).replace("-8", "-8/-1/-1"),
    "tabs": BLOCK.replace(" ", "\t").replace("long\tside", "long side"),
    "many spaces": BLOCK.replace("v ", "v    ").replace("f ", "f \t  ").replace("\n", "  \n"),
    "indented": "".join(f"  \t{line}\n" for line in BLOCK.splitlines()),
    "blank lines": BLOCK.replace("\n", "\n\n \n"),
    "carriage returns and newlines": BLOCK.replace("\n", "\r\n"),
    "carriage returns": BLOCK.replace("\n", "\r"),
    "byte order mark": b"\xef\xbb\xbf" + BLOCK.encode(),
    "UTF-16": BLOCK.encode("utf-16"),
    "no newline at the end": BLOCK.rstrip(),
    "comments": "# v 9 9 9\n   # f 1 2 3\n"
    + BLOCK.replace(" 0\n", " 0 # f 1 2 3\n").replace("f 1 4 3", "f 1 4 3#floor"),
    "a comment that ends in a backslash": "# C:\\scans\\\n" + BLOCK,
    "lines that go on": BLOCK.replace("v 2 3 1", "v 2 \\\n3 \\ \n 1").replace("f 5 6 7 8", "f 5 6\\\n 7\\\r\n 8"),
    "colours": BLOCK.replace("v 2 0 0", "v 2 0 0 0.5 0.5 0.5"),
    "weights": BLOCK.replace(" 0\n", " 0 1.0\n", 4),
    "exponents": BLOCK.replace("v 2 3 1", "v +2.0e0 .3E+1 1e-0"),
    "points and lines": BLOCK + "p 1 2 3\nl 1 2 3\ncurv 0 1 1 2\n",
    "faces without surface": BLOCK + "f 1 2\nf 3\nf\n",
    "other words": "mtllib a.mtl\ns off\nvp 1 2\nfoo 1 2\ngroup 4\nobject\n" + BLOCK,
    "faces first": "".join(sorted(BLOCK.splitlines(keepends=True), key=lambda line: line.startswith("v "))),
    "what no number is behind a vertex": BLOCK.replace("v 2 3 1", "v 2 3 1 red"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_block_is_the_same_block(tmp_path: Path, way: str) -> None:
    plain = read(written(tmp_path / "plain.obj", BLOCK))
    assert (area(plain), volume(plain), size(plain)) == (AREA, VOLUME, [2, 3, 1])
    parts = read_parts(written(tmp_path / "other.obj", WAYS[way]))
    assert alike(soup(parts)) == pytest.approx(alike(plain))
    assert [part.names for part in parts] == [("block", "Oak"), ("long side", "block", "Oak", "long", "side")]


@pytest.mark.parametrize("block_size", [1, 30, 64, 100])
def test_where_the_text_is_cut_into_blocks_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_size: int
) -> None:
    path = written(tmp_path / "h.obj", interleaved(BLOCK))
    whole = read_parts(path)
    monkeypatch.setattr("spatialqa.rooms.mesh.obj._BLOCK", block_size)
    cut = read_parts(path)
    assert [part.names for part in cut] == [part.names for part in whole]
    assert np.array_equal(soup(cut), soup(whole))


def test_names_stand_as_they_are(tmp_path: Path) -> None:
    text = "o Wall #3  of  2\nusemtl  Bücher\tregal \nf 1 2 3\ng\nusemtl\no\nf 1 2 3\no a\nf 1 2 3\n"
    assert [part.names for part in read_parts(written(tmp_path / "h.obj", TRIANGLE + text))] == [
        ("Wall #3  of  2", "Bücher\tregal"),
        (),
        ("a",),
    ]


def test_parts_that_go_on_later_are_one(tmp_path: Path) -> None:
    text = BLOCK + "usemtl Steel\nf 1 2 3\nusemtl Oak\nf 1 2 3\n"
    parts = read_parts(written(tmp_path / "h.obj", text))
    assert [(part.names[0], len(part.faces)) for part in parts] == [("block", 4), ("long side", 9), ("long side", 1)]


# Polygons


def polygon(path: Path, *outline: tuple[float, ...]) -> Path:
    text = "".join("v " + " ".join(map(str, place)) + "\n" for place in outline)
    return written(path, f"{text}f {' '.join(str(k + 1) for k in range(len(outline)))}\n")


NOTCHED: list[tuple[float, ...]] = [(0, 0), (4, 0), (4, 3), (3, 3), (3, 1), (1, 1), (1, 3), (0, 3)]  # 8 m2
SHAPES: dict[str, tuple[list[tuple[float, ...]], float]] = {
    "notched": (NOTCHED, 8),
    "notched, the other way round": (NOTCHED[::-1], 8),
    "corners on a straight edge": ([(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)], 4),
    "a corner twice": ([(0, 0), (2, 0), (2, 0), (2, 2), (0, 2), (0, 2)], 4),
    "the first corner again at the end": ([*NOTCHED, (0, 0)], 8),
    "a spike": ([(0, 0), (2, 0), (5, 0), (2, 0), (2, 2), (0, 2)], 4),
    "an arrow of four corners": ([(0, 0), (2, -1), (1, 0), (2, 1)], 1),
    "an arrow from its barb": ([(2, -1), (1, 0), (2, 1), (0, 0)], 1),
    "a window, joined by a bridge": (
        [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)],
        12,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("far", [0.0, 5000.0])
def test_a_polygon_covers_what_its_outline_encloses(tmp_path: Path, name: str, far: float) -> None:
    outline, expected = SHAPES[name]
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    for first in range(len(outline)):
        flat = np.array([*outline[first:], *outline[:first]], dtype=float)
        places = np.c_[flat, np.zeros(len(flat))] @ turn + far
        triangles = read(polygon(tmp_path / "h.obj", *places.tolist()))
        assert area(triangles) == pytest.approx(expected, rel=1e-6)
        # the way it winds: the sum of what the triangles face is what the outline faces
        a, b, c = triangles.transpose(1, 0, 2)
        facing = np.cross(b - a, c - a).sum(axis=0) / 2
        x, y = flat.T
        signed = float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
        assert facing == pytest.approx(signed * np.cross(turn[0], turn[1]), abs=1e-5)


def test_a_polygon_that_is_not_quite_flat_is_cut_as_seen_from_where_it_is_flattest(tmp_path: Path) -> None:
    lifted = [(x, y, 0.02 * (k % 2)) for k, (x, y) in enumerate(NOTCHED)]
    assert area(read(polygon(tmp_path / "h.obj", *lifted))) == pytest.approx(8, rel=0.02)


def test_polygons_without_surface_and_of_no_numbers_are_left_to_whoever_takes_the_mesh(tmp_path: Path) -> None:
    assert area(read(polygon(tmp_path / "h.obj", (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0)))) == 0
    assert area(read(polygon(tmp_path / "h.obj", *[(1, 1, 1)] * 5))) == 0
    far = read(polygon(tmp_path / "h.obj", (0, 0, 0), (1e200, 0, 0), (1e200, 1e200, 0), (float("nan"), 0, 0)))
    assert len(far) == 2


def test_a_convex_polygon_may_have_any_number_of_corners_and_a_concave_one_a_limit(tmp_path: Path) -> None:
    turn = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    ring = np.c_[np.cos(turn), np.sin(turn), 0 * turn]
    assert area(read(polygon(tmp_path / "h.obj", *ring.tolist()))) == pytest.approx(np.pi, rel=1e-6)
    ring[::2] *= 0.9
    with pytest.raises(RoomError, match=r"h\.obj, line 20,001: .*20,000 corners and is concave: triangulate"):
        read(polygon(tmp_path / "h.obj", *ring.tolist()))


def test_a_door_in_a_wall_of_one_polygon_is_open() -> None:
    flat, control = read(case("obj_concave_polygon_door/flat.obj")), read(case("obj_concave_polygon_door/control.obj"))
    assert area(flat) == pytest.approx(area(control)) == pytest.approx(48 + 60 + 9.9)
    for triangles in (flat, control):
        assert not blocked(triangles, (2.5, 1, 2), (3.5, 1, 2))
        assert blocked(triangles, (2.5, 1, 1), (3.5, 1, 1))
        assert blocked(triangles, (2.5, 2.5, 2), (3.5, 2.5, 2))


def test_an_l_shaped_floor_is_no_larger_than_its_room() -> None:
    parts = read_parts(case("obj_concave_polygon_door/lroom.obj"))
    assert {part.names[0]: area(soup([part])) for part in parts if part.names[0] in ("floor", "ceiling")} == {
        "floor": pytest.approx(27),
        "ceiling": pytest.approx(27),
    }


# Numbers counted backwards


def test_relative_numbers_count_from_the_line_they_stand_in() -> None:
    triangles = read(case("obj_relative_indices/room.obj"))
    assert area(triangles) == pytest.approx(48 + 60 + 9)
    assert blocked(triangles, (2, 1.5, 1), (4, 1.5, 1))
    assert size(read(case("obj_relative_indices/blocks.obj"))) == [6, 3, 4]
    assert area(read(case("obj_relative_indices/blocks.obj"))) == pytest.approx(48 + 60)


# What is wrong with a file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRIANGLE + "f 1 2 4\n", r"line 4: a face names a vertex that is not there \(3 are\)"),
        (TRIANGLE + "f 1 2 3\nf 0 1 2\n", "line 5: a face names a vertex"),
        (TRIANGLE + "f -1 -2 -4\n", "line 4: a face names a vertex"),
        ("v 0 0 0\nv 1 0 0\nf -1 -2 -3\nv 0 1 0\n", "line 3: a face names a vertex"),
        (TRIANGLE + "f 1 2 99999999999999999999\n", "line 4: a face"),
        (TRIANGLE + "f 1 2 3.5\n", "line 4: a face needs the numbers of its vertices and has '1 2 3.5'"),
        (TRIANGLE + "f 1 /2 3\n", "line 4: a face needs"),
        (TRIANGLE + "f a b c\n", "line 4: a face needs"),
        (TRIANGLE + "# a\nv 1 2\n", "line 5: a vertex needs three numbers and has '1 2'"),
        (TRIANGLE + "\n\nv 1,5 2 3\n", "line 6: a vertex needs three numbers and has '1,5 2 3'"),
        (TRIANGLE + "v 0 0 \\\n 0\nv \\\n\\\n nix 1 2\n", "line 6: a vertex needs three numbers and has 'nix 1 2'"),
        ("v \x00 0 0\n", "line 1: a vertex needs"),
        (TRIANGLE + "f 1/\x00 2 9\n", "line 4: a face names"),
        ("v " + "x" * 10**6 + "\n", "line 1: a vertex needs"),
        ("f 1 2 3\n", r"line 1: a face names a vertex that is not there \(0 are\)"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RoomError, match=r"h\.obj, " + message) as caught:
        read_parts(written(tmp_path / "h.obj", text))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_any_byte_may_be_wrong(tmp_path: Path) -> None:
    """Files with bytes changed at random are read or refused in one line, and nothing else happens."""
    rng = np.random.default_rng(0)
    wrong = np.frombuffer(b'0123456789-/.\\# \n\t\rvfogu\0\xff"', dtype=np.uint8)
    texts = [text if isinstance(text, bytes) else text.encode() for text in WAYS.values()]
    refused: list[str] = []
    for k in range(600):
        content = np.frombuffer(texts[k % len(texts)], dtype=np.uint8).copy()
        content[rng.integers(len(content), size=3)] = rng.choice(wrong, size=3)
        try:
            read_obj(written(tmp_path / "h.obj", content.tobytes()))
        except RoomError as error:
            refused.append(str(error))
    assert 100 < len(refused) < 600
    assert not [text for text in refused if "\n" in text]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match=r"h\.obj"):
        read_parts(tmp_path / "h.obj")


def test_a_house_of_146_000_triangles_takes_well_under_a_second(tmp_path: Path) -> None:
    n = 270
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    corner = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel() + 1
    lines = [f"v {a}.25 {b}.5 0.125\n" for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    lines += [f"f {k} {k + 1} {k + n + 2}\nf {k} {k + n + 2} {k + n + 1}\n" for k in corner.tolist()]
    path = written(tmp_path / "h.obj", "".join(lines))
    start = time.process_time()
    (part,) = read_obj(path)
    assert time.process_time() - start < 1.5  # 0.1 to 0.2 s on an idle machine
    assert len(part.faces) == 2 * n * n
    assert area(soup([part])) == pytest.approx(n * n)
