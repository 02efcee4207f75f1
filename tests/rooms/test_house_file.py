"""A .house file is read as it is described, and what is wrong with one is said with its line."""

from pathlib import Path

import numpy as np
import pytest

from spatialqa.errors import RoomError
from spatialqa.rooms.procedural.homes import draw_home
from spatialqa.rooms.scans.house_file import (
    Category,
    House,
    HouseObject,
    HouseRegion,
    HouseSurface,
    Level,
    Segment,
    read_house_file,
)
from tests.fixtures.matterport import HOME, procedural_parts, write_procedural_house

# Written by hand from the format's description, with everything that may occur.
HOUSE = """\
ASCII 1.1
H  Abc  house  1 1 3 1 2 2 2 2 2  1  0 0 0 0 0 -1 -2 0  3 4 2.5  0 0 0 0 0
L  0  2  -  1 1 0  -1 -2 0  3 4 2.5  0 0 0 0 0
R  0 0  0 0  b  1 1 0.5  -1 -2 0.25  3 4 2.5  2.25  0 0 0 0
R  1 -1  0 0  -  2 2 1  1e1 11 0  12.5 13 2  0  0 0 0 0
P  0 0  1  -  0 0 0  1 1 1  0 0 0 0
R  1 0  1  door  0 0 0  1 1 1  0 0 0 0
S  0 0  0  -  1 1 0  0.1 0 0.99  -1 -2 0  3 4 0  0 0 0 0 0
V  2 0  -  -1 -2 0  0 0 1  0 0 0
V  0 0  -  3 -2 0  0 0 1  0 0 0
V  1 0  -  3 4 0.125  0 0 1  0 0 0
P  0123456789abcdef  0 0  0  1 1 1.5  0 0 0 0 0
I  0 0   0123456789abcdef  0 0  1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1  1 0 0 0 1 0 0 0 1  1280 1024  1 1 1  0 0 0 0 0
C  0  58 dining#chair  3 chair  0 0 0 0 0
C  1  7 wall  1 wall  0 0 0 0 0
O  0 0 1  1 1 1  1 0 0  0 1 0  2 3 1  0 0 0 0 0 0 0 0
O  1 -1 -1  1 1 1  1 0 0  0 1 0  0.5 0.5 0.5  0 0 0 0 0 0 0 0
E  0 0 1000007  12.5  1 1 1  -1 -2 0  3 4 2.5  0 0 0 0 0
E  1 -1 8  0.25  1 1 1  0 0 0  1 1 1  0 0 0 0 0
"""


def write(path: Path, text: str = HOUSE) -> Path:
    path.write_text(text)
    return path


def test_every_field_is_where_the_description_has_it(tmp_path: Path) -> None:
    assert read_house_file(write(tmp_path / "Abc.house")) == House(
        name="Abc",
        levels=(Level(0, None),),
        regions=(
            HouseRegion(0, 0, "b", (1.0, 1.0, 0.5), (-1.0, -2.0, 0.25), (3.0, 4.0, 2.5), 2.25),
            HouseRegion(1, -1, None, (2.0, 2.0, 1.0), (10.0, 11.0, 0.0), (12.5, 13.0, 2.0), 0.0),
        ),
        surfaces=(HouseSurface(0, 0, (0.1, 0.0, 0.99), ((-1.0, -2.0, 0.0), (3.0, -2.0, 0.0), (3.0, 4.0, 0.125))),),
        categories=(Category(0, 58, "dining chair", 3, "chair"), Category(1, 7, "wall", 1, "wall")),
        objects=(HouseObject(0, 0, 1), HouseObject(1, -1, -1)),
        segments=(Segment(1000007, 0), Segment(8, -1)),
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    parts, areas = procedural_parts(draw_home(HOME))
    folder = write_procedural_house(tmp_path)
    house = read_house_file(folder / f"{folder.name}.house")
    assert house.name == folder.name
    assert [region.label for region in house.regions] == [area.letter for area in areas]
    assert [region.height for region in house.regions] == pytest.approx([area.height for area in areas])
    for surface, area in zip(house.surfaces, areas, strict=True):
        assert np.array(surface.corners)[:, :2] == pytest.approx(np.array(area.outline))
    named = [
        (None, None)
        if item.category_index < 0
        else (house.categories[item.category_index].mapping_name, house.categories[item.category_index].mpcat40_name)
        for item in house.objects
    ]
    listed = [part for part in parts if part.labelled]
    assert named == [(part.name, part.category) if part.category else (None, None) for part in listed]
    assert [item.region_index for item in house.objects] == [part.region for part in listed]
    assert sorted(segment.object_index for segment in house.segments) == list(range(len(listed)))
    assert len({segment.segment_id for segment in house.segments}) == len(listed)


@pytest.mark.parametrize(
    ("kind", "what"),
    [("L", "levels"), ("R  1 -1", "regions"), ("P  0 0", "portals"), ("R  1 0  1", "portals"), ("S", "surfaces"),
     ("V", "vertices"), ("P  0123", "panoramas"), ("I", "images"), ("C  1", "categories"), ("O  1", "objects"),
     ("E", "segments")],
)  # fmt: skip
def test_a_wrong_count_is_an_error(tmp_path: Path, kind: str, what: str) -> None:
    lines = HOUSE.splitlines(keepends=True)
    lines.remove([line for line in lines if line.startswith(kind)][-1])
    with pytest.raises(
        RoomError, match=rf"Abc.house: the H line counts \d {what} and the file has \d: it was truncated"
    ):
        read_house_file(write(tmp_path / "Abc.house", "".join(lines)))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("ASCII 1.1", "ASCII 1.0", "begins with 'ASCII 1.0'"),
        ("ASCII 1.1", "\x93\x00\x01", "begins with "),
        ("H  Abc", "Q  Abc", "line 2: there is no kind of line 'Q'"),
        ("L  0  2  -", "L  0  2  -  -", "line 3: a line L has 18 fields, and this one 19"),
        ("P  0 0  1  -  0", "P  0 0  1  -  - 0", "line 6: a line P has 15 or 13 fields, and this one 16"),
        ("O  0 0 1", "O  7 0 1", "line 16: index 7 where 0 is next"),
        ("O  0 0 1", "O  0 0 9", "a line O refers to category 9, and there are 2"),
        ("O  0 0 1", "O  0 0 -2", "a line O refers to category -2"),
        ("E  0 0 ", "E  0 2 ", "a line E refers to object 2, and there are 2"),
        ("V  2 0", "V  2 5", "a line V refers to surface 5, and there are 1"),
        ("S  0 0", "S  0 two", "line 8: 'two' is not a whole number"),
        ("2.25  0", "nan  0", "line 4: 'nan' is not a finite number"),
        ("H  Abc  house  1 1", "H  Abc  house  1 one", "line 2: 'one' is not a whole number"),
        ("L  0  2  -  1 1 0  -1 -2 0  3 4 2.5  0 0 0 0 0", HOUSE.splitlines()[1], "line 3: a second H line"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in HOUSE
    with pytest.raises(RoomError) as error:
        read_house_file(write(tmp_path / "Abc.house", HOUSE.replace(old, new, 1)))
    assert "Abc.house" in str(error.value)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_ends_in_the_middle_of_a_line_is_an_error(tmp_path: Path) -> None:
    for end in (10, 300, 600, len(HOUSE) - 12):
        with pytest.raises(RoomError, match=r"Abc.house"):
            read_house_file(write(tmp_path / "Abc.house", HOUSE[:end]))


def test_a_file_without_its_first_lines_and_a_missing_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="has no H line"):
        read_house_file(write(tmp_path / "Abc.house", "ASCII 1.1\n"))
    with pytest.raises(RoomError, match="line 2: the first line must be the H line"):
        read_house_file(write(tmp_path / "Abc.house", "ASCII 1.1\n" + "".join(HOUSE.splitlines(True)[2:])))
    with pytest.raises(RoomError, match="cannot read .*none.house: No such file"):
        read_house_file(tmp_path / "none.house")
