"""glTF 2.0 as its specification says, on files that are written here byte by byte."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.errors import RoomError
from spatialqa.rooms.materials import guess_material
from spatialqa.rooms.mesh.gltf import read_gltf
from spatialqa.rooms.mesh.gltf_data import buffers
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.reading import read_parts
from tests.rooms.gltf_files import COMPONENTS, FACES, SQUARE, File, glb
from tests.rooms.mesh_files import Triangles, alike, area, blocked, case, read, size, soup, volume


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "h.glb"


def middle(triangles: Triangles) -> list[float]:
    corners = triangles.reshape(-1, 3)
    return [float(x) for x in (corners.min(axis=0) + corners.max(axis=0)) / 2]


def facing(triangles: Triangles) -> list[float]:
    """Return the sum of the triangles' areas along their normals."""
    a, b, c = triangles.transpose(1, 0, 2)
    return [round(float(x), 6) for x in np.cross(b - a, c - a).sum(axis=0) / 2]


# The cases that this reader was written for


def test_a_mesh_stands_at_every_instance_of_a_node() -> None:
    parts = read_parts(case("glb_gpu_instancing/hall.glb"))
    (cases,) = [part for part in parts if part.names[0] == "bookcases"]
    assert len(cases.faces) == 144
    assert area(soup([cases])) == pytest.approx(12 * 2 * (2 * 2.2 + 0.4 * 2.2 + 2 * 0.4), rel=1e-5)
    corners = soup([cases]).reshape(-1, 3)
    assert corners.min(axis=0) == pytest.approx([-5.5, 0, -3])
    assert corners.max(axis=0) == pytest.approx([5.5, 2.2, 2.4])


def test_hidden_nodes_are_not_there() -> None:
    triangles = read(case("glb_hidden_nodes/room.glb"))
    assert size(triangles) == [6, 3, 4]
    assert not blocked(triangles, (-2, 1.5, 0.5), (2, 1.5, 0.5))


def test_a_mesh_of_several_primitives_is_the_same_room_at_every_reading() -> None:
    house, control = (case(f"glb_multi_primitive_random/{name}.glb") for name in ("house", "control"))
    rooms = [MeshRooms(house).load("house") for _ in range(3)]
    assert len({room.sha256 for room in rooms}) == 1
    names = [part.names for part in read_parts(house)]
    materials = ["Carpet", "AcousticTile", "Brick", "Glass", "Concrete", "Curtain"]
    assert names == [("House", material) for material in materials]
    assert alike(read(house)) == pytest.approx(alike(read(control)))
    assert {material.name for material in rooms[0].materials} == {guess_material(name) for name in materials}


def test_normalised_integers_are_fractions() -> None:
    assert size(read(case("glb_normalized_quantization/room.glb"))) == pytest.approx([6, 3, 4], abs=2e-4)
    assert MeshRooms(case("glb_normalized_quantization/room.glb")).load("room").warnings == ()


@pytest.mark.parametrize("name", ["room", "zero"])
def test_sparse_values_take_the_place_of_others(name: str) -> None:
    triangles = read(case(f"glb_sparse_accessor/{name}.glb"))
    assert size(triangles) == [6, 3, 4]
    assert area(triangles) == pytest.approx(48 + 60)


# Primitives


@pytest.mark.parametrize(
    ("mode", "order"),
    [
        (4, [0, 1, 2, 0, 2, 3]),
        (4, [0, 1, 2, 0, 2, 3, 1, 2]),
        (5, [0, 1, 3, 2]),
        (5, [0, 0, 0, 1, 3, 2, 2]),
        (6, [0, 1, 2, 3]),
        (None, [1, 2, 0, 2, 3, 0]),
    ],
)
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "", "shared"])
def test_lists_strips_and_fans_of_triangles(
    file: File, path: Path, mode: int | None, order: list[int], kind: str
) -> None:
    places = [SQUARE[k] for k in order] if kind == "" else SQUARE + [(9, 9, 9)] * (99 if kind == "shared" else 0)
    primitive: dict[str, Any] = {"attributes": {"POSITION": file.accessor(places)}}
    if kind:
        primitive["indices"] = file.accessor(order, "u1" if kind == "shared" else kind)
    if mode is not None:
        primitive["mode"] = mode
    file.node(mesh=file.mesh(primitive))
    triangles = read(file.save(path))
    assert (area(triangles), facing(triangles)) == (4, [0, 0, 4])


def test_points_and_lines_have_no_surface_and_neither_has_a_primitive_without_places(file: File, path: Path) -> None:
    places = file.accessor(SQUARE)
    modes = [{"attributes": {"POSITION": places}, "mode": mode} for mode in range(4)]
    short = [{"attributes": {"POSITION": file.accessor(SQUARE[:2])}, "mode": mode} for mode in (4, 5, 6)]
    file.node(mesh=file.mesh(*modes, *short, {"attributes": {"NORMAL": places}}))
    assert read_parts(file.save(path)) == []


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "f4"])
@pytest.mark.parametrize("stride", [0, 4])
def test_positions_of_every_kind_and_with_other_data_between_them(
    file: File, path: Path, kind: str, stride: int
) -> None:
    rows = [np.array(place, dtype="<" + kind).tobytes() for place in SQUARE]
    gap = b"\x7f" * stride
    view = file.view(b"\x7f" * 8 + gap.join(rows), **({"byteStride": len(rows[0]) + stride} if stride else {}))
    entry = {"bufferView": view, "byteOffset": 8, "componentType": COMPONENTS[kind], "count": 4, "type": "VEC3"}
    file.node(mesh=file.mesh({"attributes": {"POSITION": file.add("accessors", **entry)}, "mode": 6}))
    assert area(read(file.save(path))) == 4


@pytest.mark.parametrize(("kind", "top"), [("i1", 127), ("u1", 255), ("i2", 32767), ("u2", 65535)])
def test_normalised_integers_reach_from_minus_one_to_one(file: File, path: Path, kind: str, top: int) -> None:
    low = -top - 1 if kind[0] == "i" else 0  # one below the range, which is -1 as well
    places = [(low, 0, 0), (top, 0, 0), (top, top, 0), (low, top, 0)]
    primitive = {"attributes": {"POSITION": file.accessor(places, kind, normalized=True)}, "mode": 6}
    file.node(mesh=file.mesh(primitive))
    assert size(read(file.save(path, extensionsRequired=["KHR_mesh_quantization"]))) == [2 if low else 1, 1, 0]


def test_sparse_accessors_with_and_without_a_view_below(file: File, path: Path) -> None:
    def sparse(changes: dict[int, Any], kind: str = "f4", index: str = "u2") -> dict[str, Any]:
        where = file.view(np.array(list(changes), dtype="<" + index).tobytes())
        values = file.view(np.array(list(changes.values()), dtype="<" + kind).tobytes())
        return {
            "count": len(changes),
            "indices": {"bufferView": where, "componentType": COMPONENTS[index]},
            "values": {"bufferView": values},
        }

    lifted = file.accessor(SQUARE, sparse=sparse({1: (4, 0, 0), 2: (4, 2, 0)}))
    entry = {"componentType": 5126, "count": 4, "type": "VEC3"}
    zeros = file.add("accessors", **entry, sparse=sparse({k: SQUARE[k] for k in (1, 2, 3)}, index="u1"))
    order = file.add(
        "accessors",
        componentType=5123,
        count=6,
        type="SCALAR",
        sparse=sparse(dict(zip(range(1, 6), FACES[1:], strict=True)), "u2", "u4"),
    )
    quantised = file.accessor(
        [(0, 0, 0)] * 4, "u1", normalized=True, sparse=sparse({1: (255, 0, 0), 2: (255, 255, 0)}, "u1")
    )
    for k, positions in enumerate((lifted, zeros, quantised)):
        file.node(name=f"n{k}", mesh=file.mesh({"attributes": {"POSITION": positions}, "indices": order}))
    assert [area(soup([part])) for part in read_parts(file.save(path))] == [8, 4, 0.5]


def test_morph_targets_stand_at_the_weights_of_the_node_or_else_of_the_mesh(file: File, path: Path) -> None:
    targets = [{"POSITION": file.accessor([(0, 0, d)] * 4)} for d in (1, 10)] + [{"NORMAL": 0}]
    primitive = {"attributes": {"POSITION": file.accessor(SQUARE)}, "mode": 6, "targets": targets}
    weighted, plain = file.mesh(primitive, weights=[0.5, 0, 0]), file.mesh(primitive)
    shown: list[dict[str, Any]] = [{"mesh": weighted}, {"mesh": weighted, "weights": [1, 0.5, 1]}, {"mesh": plain}]
    for k, more in enumerate(shown):
        file.node(name=f"n{k}", **more)
    assert [middle(soup([part]))[2] for part in read_parts(file.save(path))] == [0.5, 6, 0]


def test_skinned_vertices_stand_where_their_joints_are(file: File, path: Path) -> None:
    shift = np.eye(4)
    shift[2, 3] = -5
    skin = {
        "joints": [1, 2],
        "inverseBindMatrices": file.accessor([shift.T.ravel(), np.eye(4).ravel()]),
    }
    attributes = {
        "POSITION": file.accessor(SQUARE),
        "JOINTS_0": file.accessor([(0, 1, 0, 0)] * 4, "u1"),
        "WEIGHTS_0": file.accessor([(255, 0, 0, 0)] * 2 + [(0, 255, 0, 0)] * 2, "u1", normalized=True),
    }
    mesh = file.mesh({"attributes": attributes, "mode": 6})
    file.node(mesh=mesh, skin=0, translation=[70, 70, 70])
    file.node(translation=[0, 0, 6], children=[2])
    file.node(translation=[0, 1, -6])
    triangles = read(file.save(path, skins=[skin]))
    assert triangles.reshape(-1, 3).max(axis=0) == pytest.approx([2, 3, 1])
    assert triangles.reshape(-1, 3).min(axis=0) == pytest.approx([0, 0, 0])


# Nodes


def test_nodes_move_what_is_below_them_by_matrix_or_by_parts(file: File, path: Path) -> None:
    square = file.square()
    half = 2**-0.5
    file.node(name="top", translation=[10, 0, 0], rotation=[0, half, 0, half], scale=[2, 2, 2], children=[1, 2])
    file.node(name="a", mesh=square, translation=[0, 5, 0])
    file.node(name="b", mesh=square, matrix=[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 7, 0, 1], children=[3])
    file.node(name="c", mesh=square, scale=[1, 1, -1])
    a, b, c = read_parts(file.save(path))
    assert [part.names for part in (a, b, c)] == [("a", "top"), ("b", "top"), ("c", "b", "top")]
    # turned by 90 degrees about y, x points to -z
    assert middle(soup([a])) == pytest.approx([10, 12, -2])
    assert middle(soup([b])) == middle(soup([c])) == pytest.approx([10, 16, -2])
    assert facing(soup([a])) == pytest.approx([16, 0, 0])


def test_one_mesh_may_stand_in_many_places_with_names_of_its_own(file: File, path: Path) -> None:
    square = file.square(name="chair")
    file.json["meshes"][square]["primitives"][0]["material"] = file.add("materials", name="Oak")
    for k in (3, 1, 2):
        file.node(name=f"seat {k}", mesh=square, translation=[k, 0, 0])
    file.node(mesh=square)
    names = [part.names for part in read_parts(file.save(path))]
    assert names == [("chair", "Oak"), *((f"seat {k}", "chair", "Oak") for k in (1, 2, 3))]


def test_instances_with_every_attribute_and_below_a_node(file: File, path: Path) -> None:
    half = 2**-0.5
    attributes = {
        "TRANSLATION": file.accessor([(1, 0, 0), (0, 0, 8)]),
        "ROTATION": file.accessor(
            [(0, 0, 0, 127), (0, round(half * 127), 0, round(half * 127))], "i1", normalized=True
        ),
        "SCALE": file.accessor([(1, 1, 1), (2, 2, 2)]),
    }
    node = {"mesh": file.square(), "scale": [3, 3, 3], "children": [1]}
    file.node(**node, extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    file.node(name="below", mesh=0)
    both, below = read_parts(file.save(path, extensionsRequired=["EXT_mesh_gpu_instancing"]))
    triangles = soup([both])
    assert len(triangles) == 4
    assert middle(triangles[:2]) == pytest.approx([6, 3, 0])
    assert middle(triangles[2:]) == pytest.approx([0, 6, 18])
    assert middle(soup([below])) == pytest.approx([3, 3, 0])


def test_hidden_nodes_hide_what_is_below_them(file: File, path: Path) -> None:
    def hide(shown: bool) -> dict[str, Any]:
        return {"KHR_node_visibility": {"visible": shown}}

    square = file.square()
    file.node(name="shown", mesh=square, extensions=hide(True))
    file.node(name="hidden", mesh=square, extensions=hide(False), children=[2])
    file.node(name="below", mesh=square, extensions=hide(True))
    file.save(path, extensionsUsed=["KHR_node_visibility"], extensionsRequired=["KHR_node_visibility"])
    assert [part.names for part in read_parts(path)] == [("shown",)]


@pytest.mark.parametrize(
    ("scenes", "names"),
    [
        ({"scene": 1, "scenes": [{"nodes": [0]}, {"nodes": [1]}]}, ["b", "c"]),
        ({"scenes": [{"nodes": [0]}, {"nodes": [1]}]}, ["a"]),
        ({}, ["a", "b", "c"]),
        ({"scene": 0, "scenes": [{}]}, []),
    ],
)
def test_the_default_scene_or_the_first_or_all_nodes(
    file: File, path: Path, scenes: dict[str, Any], names: list[str]
) -> None:
    square = file.square()
    for name, more in (("a", {}), ("b", {"children": [2]}), ("c", {})):
        file.node(name=name, mesh=square, **more)
    assert [part.names[0] for part in read_parts(file.save(path, **scenes))] == names


def test_a_deep_tree_of_nodes_is_read(file: File, path: Path) -> None:
    for k in range(5000):
        file.node(children=[k + 1], translation=[0, 0, 1])
    file.node(mesh=file.square())
    assert middle(read(file.save(path)))[2] == 5000


# Files and buffers


def test_a_gltf_with_its_data_inside_or_beside_it(file: File, tmp_path: Path) -> None:
    file.node(mesh=file.square())
    inside = file.save(tmp_path / "inside.gltf")
    assert area(read(inside)) == 4
    assert list(buffers(inside)) == []
    content = bytes(file.content)
    (tmp_path / "sub folder").mkdir()
    (tmp_path / "sub folder" / "räum 100%.bin").write_bytes(content)
    plain = "data:," + "".join(f"%{byte:02x}" for byte in content)
    spelled = [
        "sub%20folder/r%C3%A4um%20100%25.bin",
        "sub folder/räum 100%.bin",
        "./x/../sub%20folder/räum 100%25.bin",
        plain,
    ]
    for uri in spelled:
        outside = file.save(tmp_path / "outside.gltf", buffers=[{"byteLength": len(content), "uri": uri}])
        assert area(read(outside)) == 4
        assert list(buffers(outside)) == ([] if uri == plain else [content])


def test_a_glb_may_have_buffers_beside_it_and_they_count_for_its_hash(file: File, path: Path) -> None:
    file.node(mesh=file.square())
    (path.parent / "b.bin").write_bytes(bytes(file.content))
    file.save(path, buffers=[{"byteLength": len(file.content), "uri": "b.bin"}])
    assert area(read(path)) == 4
    before = MeshRooms(path).content_hash()
    (path.parent / "b.bin").write_bytes(bytes(len(file.content)))
    assert MeshRooms(path).content_hash() != before


def test_what_a_file_is_shows_in_its_first_bytes(file: File, path: Path) -> None:
    file.node(mesh=file.square())
    content = file.save(path).read_bytes()
    text = json.dumps(file.json).encode()
    text += b" " * (-len(text) % 4)
    (path.parent / "g.gltf").write_bytes(content)
    (path.parent / "more.glb").write_bytes(
        glb((b"JSON", text), (b"BIN\0", bytes(file.content)), (b"MORE", b"whatever"), (b"BIN\0", b"1234")) + b"tail"
    )
    (path.parent / "bom.gltf").write_bytes(b"\xef\xbb\xbf" + File().save(path.parent / "e.gltf").read_bytes())
    assert area(read(path.parent / "g.gltf")) == area(read(path.parent / "more.glb")) == 4
    assert read_parts(path.parent / "bom.gltf") == []


@pytest.mark.parametrize(
    "uri",
    [
        "../b.bin",
        "a/../../b.bin",
        "%2e%2e/b.bin",
        "/etc/hostname",
        "file:///etc/hostname",
        "http://localhost/b.bin",
        "C:\\b",
    ],
)
def test_buffers_outside_the_folder_are_never_read(file: File, path: Path, uri: str) -> None:
    file.node(mesh=file.square())
    file.save(path, buffers=[{"byteLength": len(file.content), "uri": uri}])
    (path.parent / "b.bin").write_bytes(bytes(file.content))
    inner = path.parent / "inner"
    inner.mkdir()
    with pytest.raises(RoomError, match=r"h\.glb refers to .*: only files in its own folder are read"):
        read_parts(path.rename(inner / "h.glb"))
    assert list(buffers(inner / "h.glb")) == [b""]


def test_a_missing_buffer_is_named(file: File, path: Path) -> None:
    file.node(mesh=file.square())
    with pytest.raises(RoomError, match=r"h\.glb needs 'b%20c\.bin' in its folder"):
        read_parts(file.save(path, buffers=[{"byteLength": 9, "uri": "b%20c.bin"}]))


# Extensions and versions


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ({"extensionsRequired": ["EXT_new_shape"]}, "requires the glTF extension EXT_new_shape, which is not read"),
        ({"extensionsRequired": ["KHR_texture_transform", "A\nB"]}, "requires the glTF extension A B"),
        ({"extensionsRequired": ["KHR_meshopt_compression"]}, "KHR_meshopt_compression.*export it without compression"),
        ({"asset": {"version": "1.0"}}, r"version '1\.0', and 2\.0 is read: convert"),
        ({"asset": {"version": 2}}, "version 2, and"),
    ],
)
def test_what_is_required_and_not_read_is_refused_by_name(
    file: File, path: Path, top: dict[str, Any], message: str
) -> None:
    file.node(mesh=file.square())
    with pytest.raises(RoomError, match=r"h\.glb .*" + message) as caught:
        read_parts(file.save(path, **top))
    assert "\n" not in str(caught.value)


def test_extensions_that_are_only_seen_or_only_used_do_not_matter(file: File, path: Path) -> None:
    file.node(mesh=file.square())
    seen = [
        "KHR_texture_transform",
        "KHR_materials_unlit",
        "KHR_texture_basisu",
        "EXT_texture_webp",
        "KHR_lights_punctual",
    ]
    file.save(path, extensionsUsed=[*seen, "EXT_new_shape", "KHR_draco_mesh_compression"], extensionsRequired=seen)
    assert area(read(path)) == 4


def test_draco_beside_plain_data_is_passed_over_and_without_it_refused(
    file: File, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    file.node(mesh=file.square())
    primitive = file.json["meshes"][0]["primitives"][0]
    primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    assert area(read(file.save(path))) == 4
    for k in (0, 1):
        del file.json["accessors"][k]["bufferView"]
    with pytest.raises(RoomError, match=r"h\.glb is compressed by Draco: pip install DracoPy, or export it without"):
        read_parts(file.save(path))


# Damage


def broken(change: Callable[[File], object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = File()
        file.node(mesh=file.square())
        change(file)
        file.save(path)

    return write


def at(*keys: Any, value: Any) -> Callable[[Path], None]:
    """Return how to write a file with another value somewhere in its JSON."""

    def change(file: File) -> None:
        place: Any = file.json
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return broken(change)


POSITION, INDICES = 0, 1
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a node below itself": (at("nodes", 0, "children", value=[0]), ""),
    "a node below two": (
        broken(lambda f: f.json.update(nodes=[{"children": [2]}, {"children": [2]}, {"mesh": 0}])),
        "node 2 below two others",
    ),
    "a ring of nodes": (
        broken(lambda f: f.json.update(nodes=[{"children": [1]}, {"children": [0]}], scenes=[{"nodes": [0]}])),
        "node 0 below two others or below itself",
    ),
    "no such node": (at("nodes", 0, "children", value=[7]), "refers to 7 of its 1 nodes"),
    "no such mesh": (at("nodes", 0, "mesh", value=-1), "refers to -1 of its 1 meshes"),
    "a mesh by name": (at("nodes", 0, "mesh", value="x" * 999), "refers to 'xxx"),
    "no such scene": (at("scene", value=3), "refers to 3 of its 0 scenes"),
    "no such accessor": (
        at("meshes", 0, "primitives", 0, "attributes", "POSITION", value=9),
        "refers to 9 of its 2 accessors",
    ),
    "no such view": (at("accessors", 0, "bufferView", value=5), "refers to 5 of its 2 bufferViews"),
    "no such buffer": (at("bufferViews", 0, "buffer", value=1), "refers to 1 of its 1 buffers"),
    "no such material": (at("meshes", 0, "primitives", 0, "material", value=0), "refers to 0 of its 0 materials"),
    "a mode": (at("meshes", 0, "primitives", 0, "mode", value=7), "unknown mode 7 in primitive 0 of mesh 0"),
    "positions as text": (at("accessors", 0, "type", value="SCALAR"), "type 'SCALAR' in accessor 0"),
    "floats as indices": (at("accessors", 1, "componentType", value=5126), "indices in accessor 1"),
    "an unknown component": (at("accessors", 0, "componentType", value=5124), "component type 5124 in accessor 0"),
    "a larger count": (at("accessors", 0, "count", value=5), "48 bytes in buffer view 0, where accessor 0 needs 60"),
    "a huge count": (at("accessors", 0, "count", value=10**9), "1,000,000,000 elements in accessor 0"),
    "a huge count of zeros": (
        at("accessors", 0, value={"componentType": 5126, "count": 10**12, "type": "VEC3"}),
        "elements in accessor 0",
    ),
    "a negative count": (at("accessors", 0, "count", value=-4), "-4 for 'count' in accessor 0"),
    "half a count": (at("accessors", 0, "count", value=3.5), "3.5 for 'count'"),
    "a stride of nothing": (at("bufferViews", 0, "byteStride", value=0), "12 bytes every 0 bytes"),
    "a huge stride": (at("bufferViews", 0, "byteStride", value=2**70), "where accessor 0 needs"),
    "a view beyond its buffer": (at("bufferViews", 0, "byteLength", value=999), "buffer view 0 ends at 999"),
    "a buffer that is truncated": (
        broken(lambda f: f.json.update(buffers=[{"byteLength": 4096}])),
        "60 of 4,096 bytes of buffer 0",
    ),
    "a buffer without contents": (
        broken(
            lambda f: f.json.update(
                buffers=[{"byteLength": 0}, {"byteLength": 60}], bufferViews=[{"buffer": 1, "byteLength": 60}] * 2
            )
        ),
        "buffer 1 without contents",
    ),
    "base64 that is none": (
        broken(lambda f: f.json.update(buffers=[{"byteLength": 60, "uri": "data:;base64,????"}])),
        "buffer 0 in base64",
    ),
    "an index past the end": (
        broken(lambda f: f.content.__setitem__(slice(48, 50), b"\x09\x00")),
        "names vertex 9 in primitive 0 of mesh 0, which has 4",
    ),
    "the index that restarts": (
        broken(lambda f: f.content.__setitem__(slice(48, 50), b"\xff\xff")),
        "names vertex 65,535",
    ),
    "a matrix of words": (at("nodes", 0, "matrix", value=["a"] * 16), "16 numbers for 'matrix' in node 0"),
    "a short rotation": (at("nodes", 0, "rotation", value=[0, 0, 1]), "4 numbers for 'rotation' in node 0"),
    "a huge number": (at("nodes", 0, "scale", value=[10**400, 1, 1]), "too large"),
    "nodes as an object": (at("nodes", value={"0": {}}), "something else than a list under 'nodes'"),
    "a node as a number": (at("nodes", value=[3]), "no readable entry 0 in nodes"),
    "attributes as a list": (
        at("meshes", 0, "primitives", 0, "attributes", value=[]),
        "something else than an object under 'attributes'",
    ),
    "weights as words": (at("nodes", 0, "weights", value=["a"]), "weights that are not numbers"),
    "a sparse index past the end": (
        at(
            "accessors",
            0,
            "sparse",
            value={
                "count": 1,
                "indices": {"bufferView": 1, "byteOffset": 2, "componentType": 5125},
                "values": {"bufferView": 0},
            },
        ),
        "changes element",
    ),
    "more sparse values than bytes": (
        at(
            "accessors",
            0,
            "sparse",
            value={"count": 99, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 0}},
        ),
        "the sparse accessor 0 needs",
    ),
    "instances in different numbers": (
        at("nodes", 0, "extensions", value={"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0, "SCALE": 1}}}),
        "instances in different numbers, or more than 1,048,576, at node 0",
    ),
    "more instances than memory": (
        broken(
            lambda f: (
                f.add("accessors", componentType=5126, count=2**25, type="VEC3"),
                f.json["nodes"][0].update(extensions={"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 2}}}),
            )
        ),
        "instances in different numbers, or more than 1,048,576, at node 0",
    ),
    "more primitives than memory": (
        broken(
            lambda f: (
                f.add("accessors", componentType=5126, count=2**15, type="VEC3"),
                f.json.update(meshes=[{"primitives": [{"attributes": {"POSITION": 2}}] * 2000}]),
            )
        ),
        "33,554,432 vertices or faces",
    ),
    "a meshopt buffer without its data": (
        broken(
            lambda f: f.json.update(
                buffers=[{"byteLength": 0}, {"byteLength": 60}],
                bufferViews=[{"buffer": 1, "byteLength": 60, "extensions": {"EXT_meshopt_compression": {}}}] * 2,
            )
        ),
        "compressed by EXT_meshopt_compression, which cannot be read",
    ),
    "more repetitions than memory": (
        broken(
            lambda f: (
                f.add("accessors", componentType=5126, count=2**15, type="VEC3"),
                f.json.update(meshes=[{"primitives": [{"attributes": {"POSITION": 2}}]}], nodes=[{"mesh": 0}] * 1100),
            )
        ),
        "33,554,432 vertices or faces",
    ),
    "a skin without joints": (
        broken(
            lambda f: (
                f.json["nodes"][0].update(skin=0),
                f.json["meshes"][0]["primitives"][0]["attributes"].update(JOINTS_0=0),
                f.json.update(skins=[{}]),
            )
        ),
        "skin 0 with a joint",
    ),
    "an empty file": (lambda path: path.write_bytes(b""), "JSON"),
    "a head alone": (lambda path: path.write_bytes(b"glTF\2\0\0\0"), "truncated"),
    "glTF 1": (lambda path: path.write_bytes(glb((b"JSON", b"{}  "), version=1)), "version 1, and 2 is read"),
    "no JSON chunk": (lambda path: path.write_bytes(glb((b"BIN\0", b"1234"))), "no JSON chunk"),
    "a chunk that is truncated": (
        lambda path: path.write_bytes(glb((b"JSON", b"{}  " * 9))[:-4]) and None,
        "truncated",
    ),
    "JSON nested without end": (lambda path: path.write_bytes(b"[" * 10**6), "JSON"),
    "a list at the top": (lambda path: path.write_bytes(b"[]"), "no JSON object"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_that_names_the_file_and_the_place(path: Path, name: str) -> None:
    write, message = DAMAGE[name]
    write(path)
    if name == "a node below itself":  # then no node is at the top, and nothing is shown
        assert read_parts(path) == []
        return
    with pytest.raises(RoomError, match=message) as caught:
        read_parts(path)
    text = str(caught.value)
    assert "h.glb" in text
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))


def test_any_byte_may_be_wrong(file: File, path: Path) -> None:
    """Files with bytes changed at random are read or refused in one line, and nothing else happens."""
    file.node(mesh=file.square(name="m"), translation=[1, 2, 3], children=[1])
    file.node(mesh=0, extensions={"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}})
    whole = np.frombuffer(file.save(path).read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(0)
    refused: list[str] = []
    for _ in range(300):
        content: npt.NDArray[np.uint8] = whole.copy()
        content[rng.integers(len(whole), size=2)] = rng.integers(256, size=2)
        path.write_bytes(content.tobytes()[: None if rng.random() < 0.8 else int(rng.integers(len(whole)))])
        try:
            read_gltf(path)
        except RoomError as error:
            refused.append(str(error))
    assert 50 < len(refused) < 300
    assert not [text for text in refused if "\n" in text]


def test_a_closed_surface_keeps_its_volume_whatever_the_mode(file: File, path: Path) -> None:
    corners = [(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    sides = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    places = file.accessor(corners)
    fans = [{"attributes": {"POSITION": places}, "mode": 6, "indices": file.accessor(q, "u1")} for q in sides[:3]]
    strips = [
        {"attributes": {"POSITION": places}, "mode": 5, "indices": file.accessor([q[0], q[1], q[3], q[2]], "u1")}
        for q in sides[3:]
    ]
    file.node(mesh=file.mesh(*fans, *strips), scale=[3, 2, 1])
    triangles = read(file.save(path))
    assert volume(triangles) == pytest.approx(6)
    assert area(triangles) == pytest.approx(22)


def test_draco_is_decoded_where_its_library_is_installed(file: File, path: Path) -> None:
    draco = pytest.importorskip("DracoPy")
    content = draco.encode(np.array(SQUARE, dtype="f4"), np.array(FACES, dtype="u4").reshape(-1, 3))
    view = file.view(content)
    entry = {"componentType": 5126, "count": 4, "type": "VEC3"}
    compressed = {"KHR_draco_mesh_compression": {"bufferView": view, "attributes": {"POSITION": 0}}}
    primitive = {"attributes": {"POSITION": file.add("accessors", **entry)}, "extensions": compressed}
    file.node(mesh=file.mesh(primitive), scale=[2, 2, 2])
    file.save(path, extensionsUsed=list(compressed), extensionsRequired=list(compressed))
    assert area(read(path)) == pytest.approx(16, rel=1e-3)
    path.write_bytes(path.read_bytes().replace(b"DRACO", b"OCARD"))
    with pytest.raises(RoomError, match=r"h\.glb.*Draco data in primitive 0 of mesh 0"):
        read_parts(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_beside_a_file_is_not_opened(file: File, path: Path) -> None:
    file.node(mesh=file.square())
    os.mkfifo(path.parent / "b.bin")
    file.save(path, buffers=[{"byteLength": 9, "uri": "b.bin"}])
    with pytest.raises(RoomError, match="there is no such file"):
        read_parts(path)
    assert list(buffers(path)) == [b""]
