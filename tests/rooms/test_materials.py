import csv
from pathlib import Path

import pytest
import yaml

from spatialqa.errors import RoomError
from spatialqa.rooms.materials import (
    PROPERTIES,
    Material,
    guess_material,
    load_materials,
    material,
    parse_materials,
    read_materials,
)

SOUNDSPACES_TABLE = Path(__file__).parents[3] / "shared" / "data" / "materials.tsv"
BANDS = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
HEADER = "material\tproperty\t125_hz\t250_hz"


def test_every_builtin_curve_has_the_six_octave_bands() -> None:
    table = load_materials()
    assert len(table) == 30
    for name, entry in table.items():
        assert entry.name == name == name.lower()
        for quantity in PROPERTIES:
            assert tuple(frequency for frequency, _ in getattr(entry, quantity)) == BANDS


@pytest.mark.skipif(not SOUNDSPACES_TABLE.exists(), reason="the table of SoundSpaces is not here")
def test_the_figures_are_those_of_soundspaces() -> None:
    own = sorted(
        tuple(tuple(v for _, v in getattr(entry, quantity)) for quantity in PROPERTIES)
        for entry in load_materials().values()
    )
    theirs = []
    with SOUNDSPACES_TABLE.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            curves = []
            for quantity in PROPERTIES:
                values = [float(pair.split(":")[1]) for pair in row[quantity].split()]
                curves.append(tuple(values if len(values) == len(BANDS) else values[:1] * len(BANDS)))
            theirs.append(tuple(curves))
    assert own == sorted(theirs)


@pytest.mark.parametrize(
    ("curve", "complaint"),
    [
        (((125.0, 1.2),), "from 0 to 1"),
        (((125.0, -0.1),), "from 0 to 1"),
        (((125.0, float("nan")),), "from 0 to 1"),
        ((), "from 0 to 1"),
        (((250.0, 0.1), (125.0, 0.1)), "rise"),
        (((125.0, 0.1), (125.0, 0.2)), "rise"),
    ],
)
def test_a_curve_out_of_bounds_or_order_is_refused(curve: tuple[tuple[float, float], ...], complaint: str) -> None:
    good = ((125.0, 0.1),)
    with pytest.raises(RoomError, match=rf"odd.*scattering.*{complaint}|odd.*{complaint}.*scattering"):
        Material("odd", good, curve, good)


def test_an_unknown_material_is_answered_with_the_nearest() -> None:
    assert material("heavy_glass") is load_materials()["heavy_glass"]
    with pytest.raises(RoomError, match=r"'Heavy Carpets'.*'heavy_carpet'"):
        material("Heavy Carpets")


def test_a_users_table_adds_and_overrides(tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text(
        f"# my cork\n{HEADER}\ncork\tabsorption\t0.1\t0.2\ncork\tscattering\t0.1\t0.1\ncork\ttransmission\t0\t0\n"
    )
    extra = read_materials(table)
    assert material("cork", extra).absorption == ((125.0, 0.1), (250.0, 0.2))
    assert material("brick", extra) is load_materials()["brick"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "header"),
        ("material\tproperty\tlow\nx\tabsorption\t0.1", "header"),
        (f"{HEADER}\ncork\tabsorption\t0.1", "2 numbers"),
        (f"{HEADER}\ncork\tabsorption\t0.1\tmuch", "2 numbers"),
        (f"{HEADER}\ncork\tcolour\t0.1\t0.1", "property"),
        (f"{HEADER}\ncork\tabsorption\t0.1\t0.1\ncork\tabsorption\t0.1\t0.1", "not given before"),
        (f"{HEADER}\ncork\tabsorption\t0.1\t0.1", "no row for scattering and transmission"),
        (f"{HEADER}\ncork\tabsorption\t7\t0.1\ncork\tscattering\t0\t0\ncork\ttransmission\t0\t0", "from 0 to 1"),
    ],
)
def test_a_faulty_table_is_named_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(RoomError, match=complaint) as caught:
        parse_materials(text, "mine.tsv")
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match=r"nowhere\.tsv"):
        read_materials(tmp_path / "nowhere.tsv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wall", "gypsum_board"),
        ("HouseWallB_01", "gypsum_board"),
        ("brick_wall.003", "brick"),
        ("glass-table", "glass"),
        ("table_lamp", "glass"),
        ("TVCabinet_01", "wood_floor"),
        ("chest_of_drawers", "thick_wood"),
        ("006_residential_ChairA_01", "thick_wood"),
        ("NightStand", "thick_wood"),
        ("bookshelves", "thick_wood"),
        ("FLOOR", "wood_floor"),
        ("carpet floor", "carpet"),
        ("rug2", "heavy_carpet"),
        ("Leaves", "foliage"),
        ("ceiling", "acoustic_tile"),
        ("shower curtain", "curtain"),
        ("curtain rod", "steel"),
        ("SofaC_01", "curtain"),
        ("stable", None),
        ("floortastic", None),
        ("wallet", None),
        ("Material.001", None),
        ("bedroom", None),
        ("", None),
    ],
)
def test_names_speak_word_by_word(name: str, expected: str | None) -> None:
    assert guess_material(name) == expected


@pytest.mark.skipif(not SOUNDSPACES_TABLE.exists(), reason="the table of SoundSpaces is not here")
def test_objects_get_the_material_that_soundspaces_gives_them() -> None:
    by_absorption = {tuple(v for _, v in entry.absorption): name for name, entry in load_materials().items()}
    differing = set()
    with SOUNDSPACES_TABLE.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            curve = tuple(float(pair.split(":")[1]) for pair in row["absorption"].split())
            for label in row["mpcat40_labels"].split():
                if label not in ("default", "piperefrigerator") and guess_material(label) != by_absorption[curve]:
                    differing.add(label)
    assert differing == {"floor", "stair"}


def test_every_word_stands_for_a_known_material() -> None:
    sections = yaml.safe_load((Path(__file__).parents[2] / "spatialqa" / "data" / "material_names.yaml").read_text())
    assert {name for section in sections.values() for name in section} <= set(load_materials())
