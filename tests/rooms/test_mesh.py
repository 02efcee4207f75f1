"""Mesh files of every kind become the same room, and what is wrong with one is said in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.mesh_rooms import FileRooms, MeshRooms
from spatialqa.rooms.room import Room
from tests.rooms.shapes import Triangles, box

HOUSE = Path(__file__).parents[3] / "shared" / "data" / "small_house.glb"
SIZE = (5.0, 2.6, 4.0)
SHELL = box((0, 0, 0), SIZE)


def as_mesh(triangles: Triangles) -> trimesh.Trimesh:
    return trimesh.Trimesh(
        triangles.reshape(-1, 3), np.arange(triangles.shape[0] * 3).reshape(-1, 3), process=False, validate=False
    )


def scene(**objects: Triangles) -> trimesh.Scene:
    made = trimesh.Scene()
    for name, triangles in objects.items():
        made.add_geometry(as_mesh(triangles), node_name=name, geom_name=name)
    return made


def write(path: Path, triangles: Triangles = SHELL) -> Path:
    as_mesh(triangles).export(path)
    return path


def load(path: Path, **options: object) -> Room:
    return MeshRooms(path, **options).load(path.stem)  # type: ignore[arg-type]


def material_of(room: Room, at: tuple[float, float, float]) -> str:
    """Name the material of the face whose centre is nearest to a point."""
    centres = room.vertices[room.faces].mean(axis=1)
    nearest = int(np.argmin(np.linalg.norm(centres - np.array(at), axis=1)))
    return room.materials[int(room.face_material[nearest])].name


OBJ = """\
o table
v 0 0 0
v 5 0 0
v 5 0 4
v 0 0 4
v 0 2.6 0
v 5 2.6 0
v 5 2.6 4
v 0 2.6 4
g legs
usemtl Oak
f 1 2 3 4
g top
usemtl Unheard
f 5 6 7 8
o shell
usemtl plaster
f 1 2 6 5
f 4 3 7 8
usemtl Unheard
f 1 4 8 5
usemtl plaster
f 2 3 7 6
"""


@pytest.mark.parametrize("suffix", ["glb", "gltf", "obj", "ply", "stl"])
def test_every_file_type_gives_the_same_room(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"house.{suffix}"
    if suffix == "gltf":
        for name, content in trimesh.exchange.gltf.export_gltf(trimesh.Scene(as_mesh(SHELL))).items():
            (tmp_path / name.replace("model.gltf", "house.gltf")).write_bytes(content)
    else:
        write(path)
    room = load(path)
    assert room.size == pytest.approx(SIZE, abs=1e-5)
    assert room.faces.shape == (12, 3)
    found = np.sort(room.vertices[room.faces].mean(axis=1), axis=0)
    assert found == pytest.approx(np.sort(SHELL.mean(axis=1), axis=0), abs=1e-5)
    assert (room.room_id, room.house_id, room.room_set) == ("house", "house", "mesh")
    assert [str(a.dtype) for a in (room.vertices, room.faces, room.face_material)] == ["float32", "int32", "int32"]


def test_loading_twice_gives_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "h.glb"
    scene(b=SHELL, a=box((1, 0, 1), (2, 1, 2)), c=box((3, 0, 1), (4, 1, 2))).export(path)
    assert load(path).sha256 == load(path).sha256


def test_up_z_turns_the_house_upright(tmp_path: Path) -> None:
    corner_block = np.concatenate([box((0, 0, 0), (5, 4, 2.6)), box((0, 3, 0), (1, 4, 1))])  # z-up, at high y
    room = load(write(tmp_path / "h.ply", corner_block), up="z")
    assert room.size == pytest.approx(SIZE)
    block = room.vertices[room.faces[12:]].reshape(-1, 3)
    assert block.min(axis=0) == pytest.approx([0, 0, -4])
    assert block.max(axis=0) == pytest.approx([1, 1, -3])


def test_the_unit_scale_is_metres_per_unit_and_nothing_else_scales(tmp_path: Path) -> None:
    path = write(tmp_path / "h.stl", SHELL * 100)
    assert load(path, unit_scale=0.01).size == pytest.approx(SIZE)
    assert load(path, unit_scale=0.02).size == pytest.approx([2 * x for x in SIZE])


def test_transforms_of_the_scene_are_applied(tmp_path: Path) -> None:
    made = scene(shell=SHELL)
    moved = trimesh.transformations.translation_matrix([3, 0.5, 1])
    made.add_geometry(as_mesh(box((0, 0, 0), (0.4, 0.4, 0.4))), node_name="lamp", geom_name="lamp", transform=moved)
    made.export(tmp_path / "h.glb")
    room = load(tmp_path / "h.glb")
    lamp = room.vertices[room.faces][(room.vertices[room.faces].max(axis=1) - [3.4, 0.9, 1.4] <= 1e-5).all(axis=1)]
    inner = lamp[(lamp.min(axis=1) >= np.array([3, 0.5, 1]) - 1e-5).all(axis=1)]
    assert len(inner) == 12


# Materials


def test_names_speak_of_materials_and_the_rest_is_listed(tmp_path: Path) -> None:
    scene(BrickWall=SHELL, xq7=box((1, 0, 1), (2, 1, 2))).export(tmp_path / "h.glb")
    room = load(tmp_path / "h.glb")
    assert material_of(room, (5, 1.3, 2)) == "brick"
    assert material_of(room, (2, 0.5, 1.5)) == "default"
    assert any("'xq7'" in text and "default" in text for text in room.warnings)
    assert not any("BrickWall" in text for text in room.warnings)
    other = load(tmp_path / "h.glb", default_material="steel")
    assert material_of(other, (2, 0.5, 1.5)) == "steel"


def test_the_map_goes_before_guessing_and_its_first_match_wins(tmp_path: Path) -> None:
    scene(BrickWall=SHELL, Chair_01=box((1, 0, 1), (2, 1, 2)), Chair_02=box((3, 0, 1), (4, 1, 2))).export(
        tmp_path / "h.glb"
    )
    (tmp_path / "map.yaml").write_text("chair_02: glass\nCHAIR_*: steel\nbrickwall: carpet\nsofa*: curtain\n")
    room = load(tmp_path / "h.glb", material_map=tmp_path / "map.yaml")
    assert material_of(room, (5, 1.3, 2)) == "carpet"
    assert material_of(room, (1.5, 1, 1.5)) == "steel"
    assert material_of(room, (3.5, 1, 1.5)) == "glass"
    assert [text for text in room.warnings if "'sofa*'" in text]
    assert not [text for text in room.warnings if "chair" in text.lower()]


def test_obj_objects_groups_and_materials_are_names_without_a_material_file(tmp_path: Path) -> None:
    path = tmp_path / "h.obj"
    path.write_text(OBJ)
    (tmp_path / "map.yaml").write_text("legs: steel\nunheard: glass\n")
    room = load(path, material_map=tmp_path / "map.yaml")
    assert room.size == pytest.approx(SIZE)
    assert len(room.faces) == 12
    assert material_of(room, (3, 0, 2)) == "steel"
    assert material_of(room, (3, 2.6, 2)) == "glass"
    assert material_of(room, (0, 1.3, 2)) == "glass"
    assert material_of(room, (5, 1.3, 2)) == "plaster_on_brick"
    plain = load(path)
    assert material_of(plain, (3, 0, 2)) == "thick_wood"


def test_gltf_materials_are_names(tmp_path: Path) -> None:
    mesh = as_mesh(SHELL)
    mesh.visual = trimesh.visual.TextureVisuals(material=trimesh.visual.material.PBRMaterial(name="red bricks"))
    trimesh.Scene(mesh).export(tmp_path / "h.glb")
    assert [material.name for material in load(tmp_path / "h.glb").materials] == ["brick"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("wall: glas\n", "entry 'wall': .*'glass'"),
        ("[1, 2]\n", "pattern: material"),
        ("a: b: c\n", "the material map .* not readable as YAML: line 1"),
        ("", "pattern: material"),
    ],
)
def test_a_bad_map_is_one_line(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "map.yaml").write_text(content)
    with pytest.raises(RoomError, match=text) as caught:
        MeshRooms(write(tmp_path / "h.ply"), material_map=tmp_path / "map.yaml")
    assert "\n" not in str(caught.value)


def test_an_unknown_default_material_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="'carpet'"):
        MeshRooms(write(tmp_path / "h.ply"), default_material="carpett")


# What can be wrong with a file


def test_a_leaky_mesh_warns_and_a_closed_one_does_not(tmp_path: Path) -> None:
    closed = load(write(tmp_path / "closed.ply"))
    assert not [text for text in closed.warnings if "leaky" in text or "closed space" in text]
    roofless = load(write(tmp_path / "roofless.ply", box((0, 0, 0), SIZE, without=("ceiling",))))
    assert [text for text in roofless.warnings if "leaky" in text and "%" in text]
    floor_only = box((0, 0, 0), SIZE, without=("ceiling", "left", "right", "front", "back"))
    pole = box((1, 0, 1), (1.1, 2.6, 1.1))
    open_air = load(write(tmp_path / "open.ply", np.concatenate([floor_only, pole])))
    assert [text for text in open_air.warnings if "no closed space" in text]


def test_an_inside_out_mesh_is_the_same_room(tmp_path: Path) -> None:
    turned = load(write(tmp_path / "turned.ply", SHELL[:, ::-1]))
    assert not [text for text in turned.warnings if "leaky" in text or "closed space" in text]


def test_degenerate_faces_are_dropped_with_a_count(tmp_path: Path) -> None:
    flat = np.array([[[1, 1, 1], [1, 1, 1], [2, 2, 2]], [[1, 1, 1], [2, 2, 2], [3, 3, 3]]], dtype=float)
    room = load(write(tmp_path / "h.ply", np.concatenate([flat, SHELL])))
    assert len(room.faces) == len(room.face_material) == 12
    assert any(text.startswith("2 of 14 faces have no area") for text in room.warnings)


def test_stray_vertices_do_not_count_for_the_size(tmp_path: Path) -> None:
    mesh = as_mesh(SHELL)
    stray = trimesh.Trimesh(np.vstack([mesh.vertices, [[900, 900, 900]]]), mesh.faces, process=False)
    stray.export(tmp_path / "h.ply")
    assert load(tmp_path / "h.ply").size == pytest.approx(SIZE)


@pytest.mark.parametrize(
    ("factor", "options", "text"),
    [
        (1000.0, {}, r"5000 x 4000 m and 2600 m high.*--unit-scale"),
        (0.1, {}, r"0.5 x 0.4 m and 0.26 m high.*--unit-scale"),
        (1.0, {"unit_scale": 0.01}, r"0.05 x 0.04 m.*0.01 for cm"),
        (0.3, {"up": "z"}, r"--up \(it was z\)"),
    ],
)
def test_a_size_no_building_has_is_an_error(
    tmp_path: Path, factor: float, options: dict[str, object], text: str
) -> None:
    with pytest.raises(RoomError, match=text) as caught:
        load(write(tmp_path / "h.stl", SHELL * factor * (1, 1, 0.5 if "up" in options else 1)), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("height", "says"),
    [(1.7, "lower"), (1.9, None), (59.0, None), (61.0, "higher"), (260.0, "higher")],
)
def test_a_height_that_is_not_usual_is_warned_of(tmp_path: Path, height: float, says: str | None) -> None:
    room = load(write(tmp_path / "h.stl", box((0, 0, 0), (420.0, height, 360.0))))
    found = [text for text in room.warnings if "--unit-scale" in text]
    assert len(found) == (says is not None)
    if says:
        assert f"420 x 360 m and {height:g} m high, {says} than buildings are" in found[0]
        assert "(it was 1; 0.01 for cm" in found[0]


def test_damaged_files_are_errors_that_name_the_file(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.glb").read_bytes()
    damaged = {
        "cut.glb": whole[: len(whole) // 2],
        "empty.glb": b"",
        "empty.stl": b"",
        "text.ply": b"hello\nthere\n",
        "cut.ply": write(tmp_path / "whole.ply").read_bytes()[:-100],
        "noise.stl": bytes(range(256)) * 2,
        "points.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\n",
        "index.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n",
        "empty.obj": b"",
        "json.gltf": b"{}",
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RoomError, match=name.replace(".", r"\.")) as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value), name


def test_vertices_that_are_not_numbers_are_an_error(tmp_path: Path) -> None:
    triangles = SHELL.copy()
    triangles[3, 1, 2] = np.nan
    with pytest.raises(RoomError, match="not finite"):
        load(write(tmp_path / "h.ply", triangles))


# Files and folders


def test_a_folder_is_one_house_a_file(tmp_path: Path) -> None:
    for name in ("c.ply", "a.STL", "b.obj"):
        write(tmp_path / name.lower()).rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a mesh")
    rooms = MeshRooms(tmp_path)
    assert rooms.room_ids(None, 0) == ["a", "b", "c"]
    assert rooms.room_ids(9, 0) == ["a", "b", "c"]
    drawn = {tuple(rooms.room_ids(2, seed)) for seed in range(20)}
    assert all(len(set(ids)) == 2 for ids in drawn)
    assert len(drawn) > 2
    assert rooms.room_ids(2, 3) == rooms.room_ids(2, 3)
    assert rooms.house_of("b") == "b"
    assert rooms.load("a").size == pytest.approx(SIZE)
    with pytest.raises(RoomError, match="no mesh room 'd': the rooms are 'a', 'b', 'c'"):
        rooms.load("d")


def test_paths_that_cannot_be_rooms_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="there is no mesh file or folder"):
        MeshRooms(tmp_path / "nowhere.glb")
    with pytest.raises(RoomError, match="holds no mesh file"):
        MeshRooms(tmp_path)
    (tmp_path / "x.fbx").write_bytes(b"x")
    with pytest.raises(RoomError, match=r"the file types are \.glb"):
        MeshRooms(tmp_path / "x.fbx")
    write(tmp_path / "h.ply")
    write(tmp_path / "h.stl")
    with pytest.raises(RoomError, match=r"h\.ply and h\.stl .* same stem"):
        MeshRooms(tmp_path)
    with pytest.raises(RoomError, match="up must be y or z"):
        MeshRooms(tmp_path / "h.ply", up="x")
    with pytest.raises(RoomError, match="positive number"):
        MeshRooms(tmp_path / "h.ply", unit_scale=0.0)


# The hash that a resumed run compares


def test_the_order_of_the_material_map_is_hashed(tmp_path: Path) -> None:
    path = tmp_path / "h.glb"
    scene(BrickWall=SHELL).export(path)
    found = []
    for order in (("brick*: carpet", "bri*all: glass"), ("bri*all: glass", "brick*: carpet")):
        (tmp_path / "map.yaml").write_text("\n".join(order))
        rooms = MeshRooms(path, material_map=tmp_path / "map.yaml")
        found.append((rooms.load("h").materials[0].name, rooms.content_hash()))
    assert [name for name, _ in found] == ["carpet", "glass"]
    assert found[0][1] != found[1][1]


def test_the_buffers_beside_a_gltf_are_hashed(tmp_path: Path) -> None:
    def hash_of(triangles: Triangles) -> str:
        for name, content in trimesh.exchange.gltf.export_gltf(trimesh.Scene(as_mesh(triangles))).items():
            (tmp_path / name.replace("model.gltf", "house.gltf")).write_bytes(content)
        return MeshRooms(tmp_path).content_hash()

    moved = SHELL.copy()
    moved[moved == 2.6] = 2.7
    swapped = SHELL.copy()
    swapped[[0, 5]] = swapped[[5, 0]]  # other bytes in the buffer, the same bounds in the .gltf
    first = hash_of(SHELL)
    text = (tmp_path / "house.gltf").read_bytes()
    second = hash_of(swapped)
    assert (tmp_path / "house.gltf").read_bytes() == text
    assert len({first, second, hash_of(moved)}) == 3
    assert hash_of(SHELL) == first
    for buffer in tmp_path.glob("*.bin"):
        buffer.unlink()
    assert MeshRooms(tmp_path).content_hash() != first  # that it is missing is for `load` to say
    with pytest.raises(RoomError, match=r"house\.gltf"):
        MeshRooms(tmp_path).load("house")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"buffers": 3}', b'{"buffers": [{"uri": 4}, 5]}', b"\xff\xfe"]
)
def test_a_damaged_gltf_has_a_hash_and_does_not_load(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "h.gltf").write_bytes(content)
    assert len(MeshRooms(tmp_path).content_hash()) == 64
    with pytest.raises(RoomError, match=r"h\.gltf"):
        load(tmp_path / "h.gltf")


def test_the_material_file_of_an_obj_changes_neither_room_nor_hash(tmp_path: Path) -> None:
    (tmp_path / "h.obj").write_text("mtllib h.mtl\n" + OBJ)
    before = MeshRooms(tmp_path).content_hash(), load(tmp_path / "h.obj").sha256
    (tmp_path / "h.mtl").write_text("newmtl Oak\nKd 1 0 0\nnewmtl steel\nKd 0 1 0\n")
    assert (MeshRooms(tmp_path).content_hash(), load(tmp_path / "h.obj").sha256) == before


# Simplified and cached


def fine_box(path: Path) -> Path:
    points, faces = trimesh.remesh.subdivide_to_size(
        SHELL.reshape(-1, 3), np.arange(len(SHELL) * 3).reshape(-1, 3), max_edge=0.25
    )
    trimesh.Trimesh(points, faces, process=False).export(path)
    return path


def test_large_meshes_are_simplified_with_a_warning_and_small_ones_are_not(tmp_path: Path) -> None:
    path = fine_box(tmp_path / "h.glb")
    whole = load(path, simplify_faces=None)
    assert len(whole.faces) > 4000
    assert load(path).sha256 == load(path, simplify_faces=len(whole.faces)).sha256 == whole.sha256
    small = load(path, simplify_faces=300)
    assert len(small.faces) <= 300
    assert small.size == pytest.approx(SIZE, abs=1e-5)
    assert any(text.startswith(f"simplified from {len(whole.faces):,} to") for text in small.warnings)
    assert not [text for text in small.warnings if "leaky" in text]


def test_a_cached_room_is_the_same_and_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.glb"
    scene(BrickWall=SHELL, xq7=box((1, 0, 1), (2, 1, 2))).export(path)
    cache = MeshCache(tmp_path / "cache")
    first = load(path, cache=cache)
    assert first.sha256 == load(path).sha256
    monkeypatch.setattr(FileRooms, "read", lambda *_: pytest.fail("the file was read again"))
    again = load(path, cache=MeshCache(tmp_path / "cache"))
    assert (again.sha256, again.materials, again.warnings) == (first.sha256, first.materials, first.warnings)
    assert again.scene_path == path


def test_a_cached_room_goes_with_its_file_and_with_how_it_is_read(tmp_path: Path) -> None:
    path, cache = fine_box(tmp_path / "h.glb"), MeshCache(tmp_path / "cache")
    (tmp_path / "map.yaml").write_text("'*': brick\n")
    options: list[dict[str, object]] = [
        {},
        {"unit_scale": 2.0},
        {"up": "z"},
        {"default_material": "steel"},
        {"material_map": tmp_path / "map.yaml"},
        {"simplify_faces": 300},
        {"simplify_faces": 200},
    ]
    for _ in range(2):
        for chosen in options:
            assert load(path, cache=cache, **chosen).sha256 == load(path, **chosen).sha256
    assert len({MeshRooms(path, **chosen).content_hash() for chosen in options}) == len(options)  # type: ignore[arg-type]
    write(path, SHELL * 2)
    assert load(path, cache=cache).size == pytest.approx([2 * x for x in SIZE])


# Compressed glTF


def edited(path: Path, changes: dict[str, object]) -> Path:
    """The GLB with other entries in its JSON."""
    content = path.read_bytes()
    length = int.from_bytes(content[12:16], "little")
    text = json.dumps({**json.loads(content[20 : 20 + length]), **changes}).encode()
    text += b" " * (-len(text) % 4)
    rest = content[20 + length :]
    head = content[:8] + (20 + len(text) + len(rest)).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    path.write_bytes(head + content[16:20] + text + rest)
    return path


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        ("KHR_draco_mesh_compression", r"h\.glb is compressed by Draco: pip install DracoPy"),
        ("EXT_meshopt_compression", r"h\.glb is compressed by EXT_meshopt_compression.*decompress"),
    ],
)
def test_compression_that_cannot_be_undone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str, text: str
) -> None:
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    path = edited(write(tmp_path / "h.glb"), {"extensionsUsed": [extension], "extensionsRequired": [extension]})
    with pytest.raises(RoomError, match=text) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_textures_in_a_form_unknown_to_us_do_not_matter(tmp_path: Path) -> None:
    mesh = as_mesh(SHELL)
    mesh.visual = trimesh.visual.TextureVisuals(material=trimesh.visual.material.PBRMaterial(name="red bricks"))
    trimesh.Scene(mesh).export(tmp_path / "h.glb")
    basis = "KHR_texture_basisu"
    path = edited(
        tmp_path / "h.glb",
        {
            "extensionsUsed": [basis],
            "extensionsRequired": [basis],
            "images": [{"mimeType": "image/ktx2", "bufferView": 0}],
            "textures": [{"extensions": {basis: {"source": 0}}}],
        },
    )
    room = load(path)
    assert room.size == pytest.approx(SIZE, abs=1e-5)
    assert [material.name for material in room.materials] == ["brick"]


@pytest.mark.skipif(not HOUSE.exists(), reason="small_house.glb is not here")
def test_small_house_reads_as_its_card_says() -> None:
    room = load(HOUSE, up="z")
    assert room.size == pytest.approx((19.0, 3.0, 11.4), abs=0.01)
    assert len(room.faces) == 145_823
    assert {"wood_floor", "glass", "carpet"} <= {material.name for material in room.materials}
    assert not [text for text in room.warnings if "leaky" in text]
