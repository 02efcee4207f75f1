"""Which name of a part speaks: one of the map, its material slot, its own, its parents'; and never the file's."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.part_materials import DEFAULT, MAP, NAME, SLOT, PartMaterial, read_part_materials
from spatialqa.rooms.mesh.parts import MeshPart
from tests.rooms import shapes
from tests.rooms.shapes import Triangles, box, quad

SIZE = (6.0, 3.0, 4.0)
SIDES = {
    "Floor": ("floor", "Carpet"),
    "Ceiling": ("ceiling", "AcousticTile"),
    "Wall_N": ("back", "Brick"),
    "Wall_S": ("front", "Glass"),
    "Wall_W": ("left", "Concrete"),
    "Wall_E": ("right", "Curtain"),
}
EXPECTED = {"carpet": 24.0, "acoustic_tile": 24.0, "brick": 18.0, "glass": 18.0, "concrete": 12.0, "curtain": 12.0}
WHOLE = box((0, 0, 0), SIZE)
FLAT = quad((0, 0, 0), (6, 0, 0), (6, 0, 4), (0, 0, 4))
WALL = quad((0, 0, 0), (6, 0, 0), (6, 3, 0), (0, 3, 0))
CEILING = quad((0, 3, 0), (6, 3, 0), (6, 3, 4), (0, 3, 4))


def side(name: str) -> Triangles:
    return box((0, 0, 0), SIZE, without=tuple(other for other in shapes.SIDES if other != name))


def as_mesh(triangles: Triangles, slot: str | None = None) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
    if slot:
        material = trimesh.visual.material.PBRMaterial(name=slot)
        mesh.visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(mesh.vertices), 2)), material=material)
    return mesh


def write_glb(path: Path) -> Path:
    scene = trimesh.Scene()
    for name, (where, slot) in SIDES.items():
        scene.add_geometry(as_mesh(side(where), slot), node_name=name, geom_name=name)
    scene.export(path)
    return path


def write_obj(path: Path) -> Path:
    lines: list[str] = []
    n = 0
    for name, (where, slot) in SIDES.items():
        lines += [f"o {name}", f"usemtl {slot}"]
        for triangle in side(where):
            lines += [f"v {x} {y} {z}" for x, y, z in triangle]
            lines.append(f"f {n + 1} {n + 2} {n + 3}")
            n += 3
    path.write_text("\n".join(lines) + "\n")
    return path


def areas(parts: tuple[PartMaterial, ...]) -> dict[str, float]:
    found = dict.fromkeys((part.material for part in parts), 0.0)
    for part in parts:
        found[part.material] += part.area_m2
    return found


def part(names: tuple[str, ...], triangles: Triangles = FLAT, slot: str = "") -> MeshPart:
    return MeshPart(names, triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), slot)


def read(path: Path, *parts: MeshPart, up: str = "y", **patterns: str) -> list[tuple[str, str]]:
    found = read_part_materials(path, parts, patterns, "default", up, 1.0)
    return [(one.material, one.why) for one in found.parts]


@pytest.mark.parametrize("suffix", ["glb", "obj"])
def test_the_material_slot_says_what_a_surface_is_made_of(tmp_path: Path, suffix: str) -> None:
    path = (write_glb if suffix == "glb" else write_obj)(tmp_path / f"room.{suffix}")
    parts = MeshRooms(path).parts("room")
    assert areas(parts) == pytest.approx(EXPECTED)
    assert {part.name: part.slot for part in parts} == {name: slot for name, (_, slot) in SIDES.items()}
    assert {part.why for part in parts} == {SLOT}
    room = MeshRooms(path).load("room")
    assert {material.name for material in room.materials} == set(EXPECTED)
    assert not room.warnings


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Floor", "Carpet"), ("carpet", SLOT)),  # the second of them is the slot
        (("BrickWall", "Paint"), ("brick", NAME)),
        (("BrickWall", "Door"), ("brick", NAME)),  # a substance outweighs an object, be it the slot's
        (("Wall_E", "Curtain"), ("curtain", SLOT)),
        (("Cube", "Material.001", "Stone House"), ("rough_concrete", NAME)),
        (("Chair", "Material.001", "Stone House"), ("thick_wood", NAME)),
        (("Cube", "Curtain", "Stone House"), ("curtain", SLOT)),
        (("Cube", "Material.001", "Scene"), ("default", DEFAULT)),
        (("Floor", "Carpet", "patterned"), ("water", MAP)),
    ],
)
def test_a_slot_goes_before_names_and_own_names_before_parents(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert read(tmp_path / "h.obj", part(names, slot=names[1]), patterned="water") == [expected]


@pytest.mark.parametrize("name", ["pool_hall.ply", "bed_room.ply", "stone_church.ply", "tv_room.stl"])
def test_the_name_of_a_file_is_no_material(tmp_path: Path, name: str) -> None:
    as_mesh(WHOLE).export(tmp_path / name)
    room = MeshRooms(tmp_path / name).load(Path(name).stem)
    assert [material.name for material in room.materials] == ["default"]
    assert [text for text in room.warnings if "no material is known for" in text]
    other = MeshRooms(tmp_path / name, default_material="brick").load(Path(name).stem)
    assert [material.name for material in other.materials] == ["brick"]


def test_a_storey_called_floor_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "h.glb"
    assert read(path, part(("floor_1",), WHOLE)) == [("default", DEFAULT)]
    assert read(path, part(("floor_1",), FLAT)) == [("wood_floor", NAME)]
    assert read(path, part(("floor_1",), box((0, -0.3, 0), (6, 0, 4)))) == [("wood_floor", NAME)]  # a slab
    storey = [part(("Mesh_1", "floor_1"), side("left")), part(("Mesh_2", "floor_1"), side("back"))]
    storey += [part(("Mesh_3", "floor_1"), FLAT), part(("Mesh_4", "floor_1"), CEILING)]
    storey += [part(("Oak floor", "floor_1")), part(("Door", "floor_1"), WALL), part(("Floor", "floor_1"))]
    assert read(path, *storey) == [
        *[("default", DEFAULT)] * 4,
        ("thick_wood", NAME),
        ("thick_wood", NAME),
        ("wood_floor", NAME),
    ]
    exported = [part(("Geom3D_1", "Floor")), part(("Geom3D_2", "Walls"), WALL)]  # a group for every thing
    assert read(path, *exported) == [("wood_floor", NAME), ("gypsum_board", NAME)]
    slabs = np.concatenate([box((0, y - 0.3, 0), (6, y, 4)) for y in (0.0, 3.0, 6.0)])
    assert read(path, part(("Floors",), slabs)) == [("wood_floor", NAME)]


def test_a_storey_is_told_in_the_files_own_axes_and_units(tmp_path: Path) -> None:
    path = tmp_path / "h.glb"
    z_up = box((0, 0, 0), (6, 4, 3))
    found = read_part_materials(path, [part(("floor_1",), z_up * 100)], {}, "default", "z", 0.01)
    assert found.parts[0].material == "default"
    assert found.parts[0].area_m2 == pytest.approx(108.0)
    low = read_part_materials(path, [part(("floor_1",), box((0, 0, 0), (6, 4, 0.3)))], {}, "default", "z", 1.0)
    assert low.parts[0].material == "wood_floor"


def test_a_floor_that_stands_hints_at_the_vertical_axis(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    for name, where in (("Floor_A", "back"), ("Wall_1", "left"), ("Wall_2", "right"), ("Wall_3", "floor")):
        scene.add_geometry(as_mesh(side(where)), node_name=name, geom_name=name)
    scene.export(tmp_path / "h.glb")
    (hint,) = [text for text in MeshRooms(tmp_path / "h.glb").load("h").warnings if "upright" in text]
    assert hint == "'Floor_A' stands upright, unlike a floor: check --up (it was y)"
    assert not [text for text in MeshRooms(tmp_path / "h.glb", up="z").load("h").warnings if "upright" in text]
