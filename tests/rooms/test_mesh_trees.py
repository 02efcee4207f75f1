"""HM3D, Gibson and Replica are read where their makers put things, upright, with their splits and classes."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialqa.errors import RoomError
from spatialqa.rooms.materials import guess_material
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.room import Room, RoomSet
from spatialqa.rooms.scans.hm3d_gibson_replica import GibsonRooms, HM3DRooms, ReplicaRooms
from tests.rooms.mesh_files import FORMATS, LIST, XYZ, ply
from tests.rooms.shapes import Triangles, box
from tests.rooms.test_mesh import as_mesh, material_of

SIZE = (5.0, 2.6, 4.0)  # in the world
Z_UP = box((0, 0, 0), (5.0, 4.0, 2.6))


def write(path: Path, triangles: Triangles = Z_UP) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    as_mesh(triangles).export(path)
    return path


# HM3D


def hm3d(root: Path) -> Path:
    write(root / "train" / "00009-vLpv2VX547B" / "vLpv2VX547B.basis.glb")
    write(root / "val" / "00800-TEEsavR23oF" / "TEEsavR23oF.glb", Z_UP * (2, 2, 1))
    write(root / "val" / "00800-TEEsavR23oF" / "TEEsavR23oF.basis.glb")
    write(root / "val" / "00800-TEEsavR23oF" / "TEEsavR23oF.semantic.glb", Z_UP * 9)
    write(root / "val" / "00801-HaxA7YrQdEC" / "HaxA7YrQdEC.basis.glb")
    write(root / "minival" / "00801-HaxA7YrQdEC" / "HaxA7YrQdEC.basis.glb")
    (root / "val" / "00802-empty").mkdir()
    (root / "hm3d_basis.scene_dataset_config.json").write_text("{}")
    return root


def test_hm3d_houses_and_their_splits(tmp_path: Path) -> None:
    rooms: RoomSet = HM3DRooms(hm3d(tmp_path))
    assert rooms.name == "hm3d"
    assert rooms.room_ids(None, 0) == ["00009-vLpv2VX547B", "00800-TEEsavR23oF", "00801-HaxA7YrQdEC"]
    assert [rooms.official_split(rooms.house_of(room)) for room in rooms.room_ids(None, 0)] == [
        "train",
        "validation",
        "validation",
    ]
    assert rooms.official_split("nothing") is None
    room = rooms.load("00009-vLpv2VX547B")
    assert room.size == pytest.approx(SIZE)
    assert (room.room_set, room.house_id) == ("hm3d", "00009-vLpv2VX547B")
    assert room.scene_path == tmp_path / "train" / "00009-vLpv2VX547B" / "vLpv2VX547B.basis.glb"
    assert [material.name for material in room.materials] == ["default"]
    assert any("they are default" in text for text in room.warnings)


def test_what_habitat_reads_beside_a_house_is_hashed_and_makes_no_other_mesh(tmp_path: Path) -> None:
    write(tmp_path / "hm3d" / "val" / "00800-TEEsavR23oF" / "TEEsavR23oF.basis.glb")
    write(tmp_path / "gibson" / "Allensville.glb")
    cache = MeshCache(tmp_path / "cache")
    sets: list[RoomSet] = [
        HM3DRooms(tmp_path / "hm3d", cache=cache),
        GibsonRooms(tmp_path / "gibson", cache=cache),
    ]
    for rooms in sets:
        (house,) = rooms.room_ids(None, 0)
        path = rooms.load(house).scene_path
        assert path is not None
        hashes = [rooms.content_hash()]
        n_meshes = len(list((tmp_path / "cache" / "meshes").iterdir()))
        for end in (".navmesh", ".house", "_semantic.ply"):
            for content in (b"a", b"b"):
                path.with_name(path.stem + end).write_bytes(content)
                hashes.append(rooms.content_hash())
        assert len(set(hashes)) == len(hashes) == 7
        path.with_name("other.navmesh").write_bytes(b"a")
        assert rooms.content_hash() == hashes[-1]
        rooms.load(house)
        assert len(list((tmp_path / "cache" / "meshes").iterdir())) == n_meshes


def test_hm3d_textures_that_are_not_compressed_are_preferred(tmp_path: Path) -> None:
    rooms = HM3DRooms(hm3d(tmp_path))
    assert rooms.load("00800-TEEsavR23oF").size == pytest.approx((10.0, 2.6, 8.0))


@pytest.mark.parametrize("folder", ["val", "hm3d-val-glb-v0.2", "hm3d-val-habitat-v0.2"])
def test_hm3d_folders_as_the_archives_name_them_and_one_of_them_as_root(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder / "00800-TEEsavR23oF" / "TEEsavR23oF.basis.glb")
    for root in (tmp_path, tmp_path / folder):
        rooms = HM3DRooms(root, default_material="brick")
        assert rooms.room_ids(None, 0) == ["00800-TEEsavR23oF"]
        assert rooms.official_split("00800-TEEsavR23oF") == "validation"
        assert rooms.load("00800-TEEsavR23oF").materials[0].name == "brick"


# Gibson


def test_gibson_houses_as_habitat_and_as_gibson_have_them(tmp_path: Path) -> None:
    write(tmp_path / "Cantwell.glb")
    (tmp_path / "Cantwell.navmesh").write_bytes(b"")
    write(tmp_path / "Adrian" / "mesh_z_up.obj")
    write(tmp_path / "Adrian" / "mesh.obj", Z_UP * 3)
    rooms: RoomSet = GibsonRooms(tmp_path)
    assert rooms.name == "gibson"
    assert rooms.room_ids(None, 0) == ["Adrian", "Cantwell"]
    assert [rooms.load(room).size for room in ("Adrian", "Cantwell")] == [pytest.approx(SIZE)] * 2
    assert rooms.official_split("Adrian") is None


# Replica

CLASSES = {"floor": 3, "ceiling": 5, "wall": 8, "window": 11, "undefined": 12}


def replica(scene: Path, up: str = "z", ids: dict[str, int] = CLASSES, count: int | None = None) -> Path:
    """A room of 5 x 4 x 2.6 m of quads: a floor, a ceiling, three walls, a window, and a face of no object."""
    corners = np.array([[x, y, z] for z in (0, 2.6) for y in (0, 4) for x in (0, 5)], dtype=np.float32)
    quads = [
        ((0, 1, 3, 2), "floor"),
        ((4, 6, 7, 5), "ceiling"),
        ((0, 4, 5, 1), "wall"),
        ((2, 3, 7, 6), "wall"),
        ((0, 2, 6, 4), "window"),
        ((1, 5, 7, 3), ""),
    ]
    if up == "y":
        corners = np.stack([corners[:, 0], corners[:, 2], -corners[:, 1]], axis=1)
    vertices = np.zeros(8, [("p", "<f4", 3), ("normal", "<f4", 3), ("colour", "u1", 3)])
    vertices["p"] = corners
    faces = np.zeros(6, [("n", "u1"), ("corners", "<i4", 4), ("object", "<i4")])
    faces["n"] = 4
    faces["corners"] = [corners for corners, _ in quads]
    faces["object"] = [ids.get(name, -1) for _, name in quads]
    header = ["ply", "format binary_little_endian 1.0", "element vertex 8"]
    header += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    header += [f"element face {count or 6}", "property list uchar int vertex_indices", "property int object_id"]
    content = "\n".join([*header, "end_header\n"]).encode() + vertices.tobytes() + faces.tobytes()
    (scene / "habitat").mkdir(parents=True)
    (scene / "habitat" / "mesh_semantic.ply").write_bytes(content)
    objects = [{"id": k, "class_id": k + 1, "class_name": name} for name, k in ids.items()]
    info = {"classes": [{"id": k + 1, "name": name} for name, k in ids.items()], "objects": objects}
    (scene / "habitat" / "info_semantic.json").write_text(json.dumps(info))
    return scene


def check_replica(room: Room) -> None:
    assert room.size == pytest.approx(SIZE)
    assert len(room.faces) == 12
    for name, at in {
        "floor": (2.5, 0, -2),
        "ceiling": (2.5, 2.6, -2),
        "wall": (2.5, 1.3, 0),
        "window": (0, 1.3, -2),
    }.items():
        assert material_of(room, at) == guess_material(name)
    assert material_of(room, (5, 1.3, -2)) == "default"
    assert any("'(no name)'" in text for text in room.warnings)


def test_replica_classes_are_materials_and_floors_tell_the_axis(tmp_path: Path) -> None:
    replica(tmp_path / "office_0")
    replica(tmp_path / "room_1", up="y")
    write(tmp_path / "room_1" / "mesh.ply", Z_UP * 2)
    write(tmp_path / "hotel_0" / "mesh.ply")
    (tmp_path / "textures").mkdir()
    rooms: RoomSet = ReplicaRooms(tmp_path)
    assert rooms.name == "replica"
    assert rooms.room_ids(None, 0) == ["hotel_0", "office_0", "room_1"]
    check_replica(rooms.load("office_0"))
    check_replica(rooms.load("room_1"))
    plain = rooms.load("hotel_0")
    assert plain.size == pytest.approx(SIZE)
    assert [material.name for material in plain.materials] == ["default"]


def test_replica_polygons_may_have_any_number_of_corners(tmp_path: Path) -> None:
    replica(tmp_path / "office_0")
    quads = ReplicaRooms(tmp_path).load("office_0")
    corners = [(x, y, z) for z in (0, 2.6) for y in (0, 4) for x in (0, 5)]
    rows = [([0, 1, 3], 3), ([0, 3, 2], 3), ([4, 6, 7, 5], 5), ([0, 4, 5, 1], 8), ([2, 3, 7, 6], 8), ([0, 2, 6, 4], 11)]
    faces = ("face", (*LIST, "int object_id"), [*rows, ([1, 5, 7], -1), ([7, 3, 1], -1)])
    ply(tmp_path / "office_0" / "habitat" / "mesh_semantic.ply", FORMATS[1], ("vertex", XYZ, corners), faces)
    mixed = ReplicaRooms(tmp_path).load("office_0")
    check_replica(mixed)
    assert np.bincount(mixed.face_material).tolist() == np.bincount(quads.face_material).tolist()


def test_other_classes_of_a_replica_scene_are_another_room(tmp_path: Path) -> None:
    replica(tmp_path / "office_0")
    rooms = ReplicaRooms(tmp_path, cache=MeshCache(tmp_path / "cache"))
    before = rooms.content_hash(), rooms.load("office_0").sha256
    info = tmp_path / "office_0" / "habitat" / "info_semantic.json"
    info.write_text(info.read_text().replace('"wall"', '"curtain"'))
    assert rooms.content_hash() != before[0]
    assert rooms.load("office_0").sha256 != before[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("info_semantic.json", b"{"),
        ("info_semantic.json", b"[]"),
        ("info_semantic.json", b'{"objects": [{"id": "a"}]}'),
        ("info_semantic.json", b'{"objects": [{"id": 99999999999, "class_name": "wall"}]}'),
        ("info_semantic.json", b'{"objects": [{"id": 1e999, "class_name": "wall"}]}'),
        ("mesh_semantic.ply", b"ply\n"),
        ("mesh_semantic.ply", b""),
    ],
)
def test_damaged_replica_files_are_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    scene = replica(tmp_path / "office_0")
    (scene / "habitat" / name).write_bytes(content)
    with pytest.raises(RoomError, match=name.replace(".", r"\.")) as caught:
        ReplicaRooms(tmp_path).load("office_0")
    assert "\n" not in str(caught.value)


def test_a_replica_mesh_that_is_cut_or_has_huge_object_numbers_is_refused(tmp_path: Path) -> None:
    replica(tmp_path / "cut", count=7)
    replica(tmp_path / "huge", ids={**CLASSES, "wall": 2**30})
    rooms = ReplicaRooms(tmp_path)
    for scene in ("cut", "huge"):
        with pytest.raises(RoomError, match=f"{scene}/habitat/"):
            rooms.load(scene)


# Roots


@pytest.mark.parametrize(
    ("rooms", "looked_for"),
    [
        (HM3DRooms, r"no HM3D root: looked for SPLIT/NNNNN-NAME/NAME\.glb"),
        (GibsonRooms, r"no Gibson root: looked for NAME\.glb or NAME/mesh_z_up\.obj"),
        (ReplicaRooms, r"no Replica root: looked for SCENE/habitat/mesh_semantic\.ply"),
    ],
)
def test_a_root_without_the_layout_says_what_was_looked_for(
    tmp_path: Path, rooms: type[HM3DRooms | GibsonRooms | ReplicaRooms], looked_for: str
) -> None:
    (tmp_path / "notes.txt").write_text("nothing else")
    with pytest.raises(RoomError, match=looked_for) as caught:
        rooms(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RoomError, match="nowhere is no .* root: there is no such folder"):
        rooms(tmp_path / "nowhere")


def test_an_unknown_house_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="no hm3d room '00001-x': the rooms are '00009-vLpv2VX547B'"):
        HM3DRooms(hm3d(tmp_path)).load("00001-x")
