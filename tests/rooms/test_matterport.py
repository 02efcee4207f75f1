"""Matterport3D scenes become rooms: materials by category, regions, splits; a bad root or file is one clear line."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.errors import RoomError
from spatialqa.rooms.materials import load_materials
from spatialqa.rooms.mesh.surface import triangle_areas
from spatialqa.rooms.procedural.homes import ProceduralRooms, draw_home
from spatialqa.rooms.room import Room
from spatialqa.rooms.scans.matterport import Matterport3DRooms
from spatialqa.rooms.scans.matterport_files import find_root, find_scenes
from spatialqa.rooms.scans.matterport_tables import REGION_LABELS, mpcat40_materials, split_of
from tests.fixtures.matterport import (
    HOME,
    TRAIN_SCENE,
    VALIDATION_SCENE,
    procedural_parts,
    small_house_parts,
    write_procedural_house,
    write_scene,
    write_small_house,
)
from tests.fixtures.matterport_files import MPCAT40, Area, Part, write_semantic_ply
from tests.rooms.test_mesh import edited

SHARED = Path(__file__).parents[3] / "shared" / "data"
SMALL_HOUSE = SHARED / "small_house.glb"
needs_small_house = pytest.mark.skipif(not SMALL_HOUSE.exists(), reason="needs small_house.glb")
needs_splits = pytest.mark.skipif(not (SHARED / "mp3d_splits.json").exists(), reason="needs mp3d_splits.json")
needs_materials = pytest.mark.skipif(not (SHARED / "materials.tsv").exists(), reason="needs materials.tsv")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two procedural scenes in Habitat's layout. Read it; do not change it."""
    folder = tmp_path_factory.mktemp("mp3d")
    write_procedural_house(folder)
    write_procedural_house(folder, "2azQ1b91cZZ", "home-000012")
    return folder


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "mp3d"))


def material_by_triangle(room: Room) -> dict[tuple[tuple[float, ...], ...], str]:
    """Name the material of every face, by its corners in order, to a micrometre."""
    corners = np.round(room.vertices[room.faces].astype(np.float64), 5) + 0.0
    return {
        tuple(sorted(tuple(point) for point in face.tolist())): room.materials[material].name
        for face, material in zip(corners, room.face_material, strict=True)
    }


def in_world(triangle: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[tuple[float, ...], ...]:
    points = [(x, z, -y) for x, y, z in np.round(triangle.astype(np.float32).astype(np.float64), 5).tolist()]
    return tuple(sorted(tuple(float(v) + 0.0 for v in point) for point in points))


def check_materials(room: Room, parts: list[Part]) -> dict[str, str]:
    """Hold the material of every face against the table; return the material of each category."""
    found = material_by_triangle(room)
    seen: dict[str, str] = {}
    n_faces = 0
    for part in parts:
        expected = mpcat40_materials()[part.category] if part.category and part.labelled else None
        for triangle in part.triangles:
            key = in_world(triangle)
            if len(set(key)) == 3:  # faces without area are left out
                n_faces += 1
                assert found[key] == (expected or "default"), part
                seen[part.category or "-"] = found[key]
    assert n_faces == len(room.faces)
    return seen


def test_faces_are_of_the_material_of_their_objects_category(root: Path) -> None:
    room = Matterport3DRooms(root).load(TRAIN_SCENE)
    seen = check_materials(room, procedural_parts(draw_home(HOME))[0])
    assert seen == {
        "wall": "gypsum_board", "floor": "carpet", "ceiling": "acoustic_tile", "door": "thick_wood", "window": "glass",
        "board_panel": "thick_wood", "sofa": "curtain", "lighting": "glass", "curtain": "curtain", "picture": "default",
        "counter": "thick_wood", "plant": "foliage", "appliances": "steel", "railing": "steel", "-": "default",
    }  # fmt: skip


@needs_small_house
def test_materials_by_category_of_a_furnished_house(tmp_path: Path) -> None:
    write_small_house(tmp_path, SMALL_HOUSE)
    room = Matterport3DRooms(tmp_path).load(VALIDATION_SCENE)
    assert len(room.faces) > 145_000
    assert room.size == pytest.approx((19.0, 3.0, 11.4), abs=0.01)
    areas = triangle_areas(room.vertices, room.faces)
    share = {
        material.name: float(areas[room.face_material == k].sum() / areas.sum())
        for k, material in enumerate(room.materials)
    }
    parts = small_house_parts(SMALL_HOUSE)
    whole = sum(triangle_areas(p.triangles.reshape(-1, 3), _soup(p)).sum() for p in parts)
    for name, got in share.items():
        categories = {c for c, m in mpcat40_materials().items() if (m or "default") == name}
        own = [p for p in parts if p.category in categories]
        expected = sum(triangle_areas(p.triangles.reshape(-1, 3), _soup(p)).sum() for p in own) / whole
        assert got == pytest.approx(expected, abs=1e-4), name
    assert {"gypsum_board", "carpet", "acoustic_tile", "glass", "thick_wood", "curtain", "steel"} <= share.keys()
    assert [region.label for region in room.regions] == ["bedroom", "lounge", "living room", "kitchen", "balcony"]


def _soup(part: Part) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.arange(3 * len(part.triangles)).reshape(-1, 3)


def test_geometry_is_the_homes_own_in_the_world_frame(root: Path) -> None:
    """The scene's files are z up; turned into the world they are the procedural home again."""
    room, home = Matterport3DRooms(root).load(TRAIN_SCENE), ProceduralRooms().load(HOME)
    triangles = set(material_by_triangle(room))
    assert set(material_by_triangle(home)) <= triangles
    assert room.vertices[:, 1].min() == 0.0
    for mine, own in zip(room.regions[:-1], home.regions, strict=True):
        assert mine.label == own.label
        assert np.array(sorted(mine.polygon)) == pytest.approx(np.array(sorted(own.polygon)))
        assert (mine.floor_y, mine.ceiling_y) == pytest.approx((own.floor_y, own.ceiling_y))


def test_a_corner_that_is_known_turns_into_the_world(tmp_path: Path) -> None:
    triangle = np.array([[[1.0, 2.0, 3.0], [4.0, 2.0, 3.0], [1.0, 7.0, 4.0]]])
    area = Area("b", ((1.0, 2.0), (4.0, 2.0), (4.0, 7.0)), 3.0, 2.5)
    write_scene(tmp_path, "a", [Part("wall", "wall", 0, triangle)], [area], "habitat")
    for geometry in ("semantic", "glb"):
        room = Matterport3DRooms(tmp_path, geometry=geometry).load("a")
        assert sorted(room.vertices.tolist()) == [[1.0, 3.0, -2.0], [1.0, 4.0, -7.0], [4.0, 3.0, -2.0]]
    (region,) = room.regions
    assert region.polygon == ((1.0, -2.0), (4.0, -2.0), (4.0, -7.0))
    assert (region.floor_y, region.ceiling_y, region.region_id) == (3.0, 5.5, "a/0")
    assert region.contains((3.5, 4.0, -4.0))
    assert not region.contains((1.5, 4.0, -6.0))  # outside of the triangle
    assert not region.contains((3.5, 2.9, -4.0))


def test_both_layouts_and_both_geometries_give_the_same_labelled_mesh(root: Path, tmp_path: Path) -> None:
    write_procedural_house(tmp_path, layout="matterport")
    habitat = material_by_triangle(Matterport3DRooms(root).load(TRAIN_SCENE))
    own = Matterport3DRooms(tmp_path).load(TRAIN_SCENE)
    assert material_by_triangle(own) == habitat
    assert own.sha256 == Matterport3DRooms(root).load(TRAIN_SCENE).sha256
    assert own.scene_path is None
    glb = Matterport3DRooms(root, geometry="glb").load(TRAIN_SCENE)
    assert glb.scene_path == root / TRAIN_SCENE / f"{TRAIN_SCENE}.glb"
    other = material_by_triangle(glb)
    assert other.keys() == habitat.keys()
    # where a rug lies on the floor, either may be the nearest
    assert sum(other[key] == name for key, name in habitat.items()) > 0.98 * len(habitat)


def test_segments_without_an_object_are_told_by_their_category(tmp_path: Path) -> None:
    folder = write_procedural_house(tmp_path, layout="matterport") / "house_segmentations"
    whole = material_by_triangle(Matterport3DRooms(tmp_path).load(TRAIN_SCENE))
    house = folder / f"{TRAIN_SCENE}.house"
    lines = house.read_text().splitlines()
    head = lines[1].split()
    head[7] = "0"
    lines = [" ".join(head) if k == 1 else line for k, line in enumerate(lines) if not line.startswith("E")]
    house.write_text("\n".join(lines))
    assert material_by_triangle(Matterport3DRooms(tmp_path).load(TRAIN_SCENE)) == whole


def test_a_region_without_a_surface_has_the_prism_of_its_box(tmp_path: Path) -> None:
    parts, areas = procedural_parts(draw_home(HOME))
    boxed = [Area(a.letter, a.outline, a.floor_z, a.height, surface=k != 1) for k, a in enumerate(areas)]
    write_scene(tmp_path, "boxed", parts, boxed, "habitat")
    regions = Matterport3DRooms(tmp_path).load("boxed").regions
    assert len(regions) == len(areas)
    (x0, y0), (x1, y1) = np.min(areas[1].outline, axis=0), np.max(areas[1].outline, axis=0)
    assert set(regions[1].polygon) == {(x0, -y0), (x1, -y0), (x1, -y1), (x0, -y1)}
    assert (regions[1].floor_y, regions[1].ceiling_y) == (0.0, areas[1].height)


def test_a_region_of_unknown_height_reaches_to_the_top_of_its_box(copy: Path) -> None:
    house = copy / TRAIN_SCENE / f"{TRAIN_SCENE}.house"
    lines = [line.split() for line in house.read_text().splitlines()]
    for tokens in lines:
        if tokens[0] == "R":
            tokens[15] = "0"
    house.write_text("\n".join(" ".join(tokens) for tokens in lines))
    areas = procedural_parts(draw_home(HOME))[1]
    regions = Matterport3DRooms(copy).load(TRAIN_SCENE).regions
    assert [region.ceiling_y for region in regions] == pytest.approx([area.height for area in areas])


def test_outdoors_and_junk_are_left_out_unless_asked_otherwise(tmp_path: Path) -> None:
    letters = [*REGION_LABELS, "-", "Q"]
    wall = Part("wall", "wall", 0, np.array([[[0.0, 0, 0], [9, 0, 0], [9, 9, 3]]]))
    square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    areas = [Area(letter, tuple((x + k, y) for x, y in square), 0.0, 2.5) for k, letter in enumerate(letters)]
    write_scene(tmp_path, "a", [wall], areas, "habitat")
    regions = dict(zip(letters, Matterport3DRooms(tmp_path).load("a").regions, strict=True))
    assert {letter for letter, region in regions.items() if not region.usable} == {"p", "x", "y", "Z", "-", "Q"}
    assert regions["a"].label == "bathroom"
    assert regions["-"].label is None
    assert [region.level_index for region in regions.values()] == [0] * len(letters)
    chosen = Matterport3DRooms(tmp_path, exclude_regions=["bathroom"]).load("a").regions
    assert [region.label for region in chosen if not region.usable] == ["bathroom"]
    with pytest.raises(RoomError, match="no region label 'bathrom': did you mean 'bathroom'"):
        Matterport3DRooms(tmp_path, exclude_regions=["bathrom"])


@needs_splits
@pytest.mark.parametrize(("lists", "theirs", "sizes"), [("official", "matterport3d", (61, 11, 18)),
                                                        ("soundspaces", "soundspaces", (59, 11, 15))])  # fmt: skip
def test_splits_are_the_published_ones(lists: str, theirs: str, sizes: tuple[int, int, int]) -> None:
    published = json.loads((SHARED / "mp3d_splits.json").read_text())[theirs]
    ours = split_of(lists)
    for split, key, size in zip(("train", "validation", "test"), ("train", "val", "test"), sizes, strict=True):
        assert {scene for scene, own in ours.items() if own == split} == set(published[key])
        assert len(published[key]) == size


def test_splits_of_a_house_follow_the_lists(root: Path) -> None:
    def splits(lists: str) -> list[str | None]:
        rooms = Matterport3DRooms(root, splits=lists)
        return [
            rooms.official_split(rooms.house_of(room)) for room in (TRAIN_SCENE, "2azQ1b91cZZ", "RPmz2sHmrrY", "my")
        ]

    assert splits("official") == ["train", "validation", "test", None]
    assert splits("soundspaces") == ["train", "validation", None, None]
    assert splits("random") == [None] * 4
    with pytest.raises(RoomError, match="no split lists 'offical': choose official, soundspaces, random"):
        splits("offical")


@needs_materials
def test_every_class_has_the_material_that_soundspaces_gives_it() -> None:
    rows = [line.split("\t") for line in (SHARED / "materials.tsv").read_text().splitlines()[1:]]
    curves = {row[0]: [float(pair.split(":")[1]) for pair in row[1].split()] for row in rows}
    theirs = {label: row[0] for row in rows if len(row) > 4 for label in row[4].split()}
    assert list(mpcat40_materials()) == list(MPCAT40)
    for category, name in mpcat40_materials().items():
        assert (name is None) == (category not in theirs), category
        if name is not None:
            ours = [value for _, value in load_materials()[name].absorption]
            assert ours == curves[theirs[category]], category


def test_ids_are_all_scenes_or_some_by_seed(root: Path) -> None:
    rooms = Matterport3DRooms(root)
    assert rooms.name == "mp3d"
    assert list(rooms.room_ids(None, 0)) == [TRAIN_SCENE, "2azQ1b91cZZ"] == list(rooms.room_ids(7, 3))
    assert {tuple(rooms.room_ids(1, seed)) for seed in range(20)} == {(TRAIN_SCENE,), ("2azQ1b91cZZ",)}
    assert rooms.room_ids(1, 5) == rooms.room_ids(1, 5)


def test_the_content_hash_follows_every_file_and_option(copy: Path) -> None:
    def content_hash(**options: object) -> str:
        return Matterport3DRooms(copy, **options).content_hash()  # type: ignore[arg-type]

    before = content_hash()
    assert content_hash() == before
    assert content_hash(splits="random") == before  # says nothing of how a room is loaded
    variants = [
        content_hash(default_material="concrete"),
        content_hash(exclude_regions=()),
        content_hash(geometry="glb"),
        content_hash(target_faces=None),
        content_hash(target_faces=1000),
    ]
    house = copy / TRAIN_SCENE / f"{TRAIN_SCENE}.house"
    house.write_text(house.read_text().replace("sofa", "door"))
    variants.append(content_hash())
    ply = copy / TRAIN_SCENE / f"{TRAIN_SCENE}_semantic.ply"
    ply.write_bytes(ply.read_bytes()[:-4] + bytes(4))
    variants.append(content_hash())
    folder = copy / TRAIN_SCENE  # the habitat engine reads what soundspaces does not
    glb = folder / f"{TRAIN_SCENE}.glb"
    glb.write_bytes(glb.read_bytes()[:-4] + b"\x01\x02\x03\x04")
    variants.append(content_hash())
    for content in (b"a", b"b"):
        (folder / f"{TRAIN_SCENE}.navmesh").write_bytes(content)
        variants.append(content_hash())
    assert len({before, *variants}) == len(variants) + 1


def test_what_only_habitat_reads_is_hashed_beside_the_makers_own_layout(tmp_path: Path) -> None:
    folder = write_procedural_house(tmp_path, layout="matterport")
    hashes = [Matterport3DRooms(tmp_path).content_hash()]
    for name in (".glb", ".navmesh", ".house"):
        (folder / f"{TRAIN_SCENE}{name}").write_bytes(b"what")
        hashes.append(Matterport3DRooms(tmp_path).content_hash())
    assert len(set(hashes)) == len(hashes)


def test_a_cached_mesh_goes_with_the_class_that_has_each_material_and_with_the_reader(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = Matterport3DRooms(copy, cache=tmp_path / "cache")

    def cached() -> set[str]:
        rooms.load(TRAIN_SCENE)
        return {path.name for path in (tmp_path / "cache" / "meshes").iterdir()}

    first, before = cached(), rooms.content_hash()
    assert cached() == first
    swapped = dict(mpcat40_materials())
    swapped["wall"], swapped["floor"] = swapped["floor"], swapped["wall"]  # the set of materials is the same
    with monkeypatch.context() as other:
        for module in ("matterport", "matterport_mesh"):
            other.setattr(f"spatialqa.rooms.scans.{module}.mpcat40_materials", lambda: swapped)
        second = cached()
        assert rooms.content_hash() != before
    assert len(second - first) == 1
    monkeypatch.setattr("spatialqa.rooms.scans.matterport.reader_versions", lambda: "other readers")
    assert len(cached() - second) == 1
    assert rooms.content_hash() == before  # says what is rendered, not by which library it was read


def test_a_compressed_glb_is_refused(copy: Path) -> None:
    glb = copy / TRAIN_SCENE / f"{TRAIN_SCENE}.glb"
    edited(glb, {name: ["EXT_meshopt_compression"] for name in ("extensionsUsed", "extensionsRequired")})
    with pytest.raises(RoomError, match=r"\.glb is compressed by EXT_meshopt_compression.*decompress"):
        Matterport3DRooms(copy, geometry="glb").load(TRAIN_SCENE)
    Matterport3DRooms(copy).load(TRAIN_SCENE)  # of the PLY


def test_a_cached_mesh_is_the_same_room_and_its_ply_is_not_read_again(copy: Path, tmp_path: Path) -> None:
    ply = copy / TRAIN_SCENE / f"{TRAIN_SCENE}_semantic.ply"
    for path in (ply, ply.with_name(f"{TRAIN_SCENE}.house")):
        os.utime(path, (1.6e9, 1.6e9))  # a file that was written just now is hashed every time
    first = Matterport3DRooms(copy, cache=tmp_path / "cache", default_material="brick").load(TRAIN_SCENE)
    ply.write_bytes(bytes(ply.stat().st_size))
    os.utime(ply, (1.6e9, 1.6e9))
    again = Matterport3DRooms(copy, cache=tmp_path / "cache", default_material="brick").load(TRAIN_SCENE)
    assert again.sha256 == first.sha256
    assert again.warnings == first.warnings
    other = Matterport3DRooms(copy, cache=tmp_path / "cache").load(TRAIN_SCENE)  # the cached mesh knows no default
    assert "brick" in {m.name for m in first.materials} - {m.name for m in other.materials}
    os.utime(ply, (1.7e9, 1.7e9))
    with pytest.raises(RoomError, match="is not a PLY file"):
        Matterport3DRooms(copy, cache=tmp_path / "cache").load(TRAIN_SCENE)


def test_a_large_house_is_simplified_and_says_so(tmp_path: Path) -> None:
    """A room of 4 x 4 x 3 m in triangles of 10 cm: floor and walls stay what they are made of, at their places."""
    write_scene(tmp_path, "a", _fine_box(40, 30), [Area("b", ((0, 0), (4, 0), (4, 4), (0, 4)), 0.0, 3.0)], "habitat")
    whole = Matterport3DRooms(tmp_path, target_faces=None).load("a")
    room = Matterport3DRooms(tmp_path, target_faces=2000).load("a")
    assert len(whole.faces) == 16_000
    assert whole.warnings == ()
    assert len(room.faces) <= 2000
    assert any("simplified from 16,000 to" in warning for warning in room.warnings)
    for mesh in (whole, room):
        area = triangle_areas(mesh.vertices, mesh.faces)
        by_name = {m.name: float(area[mesh.face_material == k].sum()) for k, m in enumerate(mesh.materials)}
        assert by_name == pytest.approx({"carpet": 16.0, "acoustic_tile": 16.0, "gypsum_board": 48.0}, rel=1e-3)


def _fine_box(n: int, n_up: int) -> list[Part]:
    def grid(u: list[float], v: list[float], rows: int, origin: list[float]) -> npt.NDArray[np.float64]:
        """Return the triangles of a rectangle at `origin` with n x rows cells, spanned by u and v."""
        i, j = (index.reshape(-1, 1) for index in np.meshgrid(np.arange(n), np.arange(rows)))

        def corner(a: int, b: int) -> npt.NDArray[np.float64]:
            point: npt.NDArray[np.float64] = np.array(origin) + (i + a) / n * np.array(u) + (j + b) / rows * np.array(v)
            return point

        return np.concatenate(
            [
                np.stack([corner(0, 0), corner(1, 0), corner(1, 1)], axis=1),
                np.stack([corner(0, 0), corner(1, 1), corner(0, 1)], axis=1),
            ]
        )

    x, y, up = [4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 3.0]
    walls = [grid(x, up, n_up, [0, 0, 0]), grid(x, up, n_up, [0, 4, 0]), grid(y, up, n_up, [0, 0, 0])]
    return [
        Part("floor", "floor", 0, grid(x, y, n, [0, 0, 0])),
        Part("ceiling", "ceiling", 0, grid(x, y, n, [0, 0, 3])),
        Part("wall", "wall", 0, np.concatenate([*walls, grid(y, up, n_up, [4, 0, 0])])),
    ]


def test_what_has_no_category_is_told_by_its_share_of_the_surface(tmp_path: Path) -> None:
    wall = np.array([[[0.0, 0, 0], [4, 0, 0], [4, 0, 3]], [[0, 0, 0], [4, 0, 3], [0, 0, 3]]])
    parts = [
        Part("wall", "wall", 0, wall),
        Part("-", None, 0, wall + np.array([0, 1, 0])),
        Part(
            "thing", "objects", 0, wall + np.array([0, 2, 0])
        ),  # a class without a material of its own is known all the same
        Part("-", None, -1, wall + np.array([0, 3, 0]), labelled=False),
    ]
    write_scene(tmp_path, "a", parts, [Area("b", ((0, 0), (4, 0), (4, 4)), 0.0, 3.0)], "habitat")
    room = Matterport3DRooms(tmp_path, default_material="concrete").load("a")
    assert room.warnings == ("50.0% of the surface of a has no category: its material is 'concrete'",)
    assert sorted(m.name for m in room.materials) == ["concrete", "gypsum_board"]


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / TRAIN_SCENE / f"{TRAIN_SCENE}{name}").unlink()


def test_a_scene_without_annotations_is_of_the_default_material_and_says_so(copy: Path) -> None:
    remove(copy, "_semantic.ply")
    room = Matterport3DRooms(copy, default_material="concrete").load(TRAIN_SCENE)
    assert [m.name for m in room.materials] == ["concrete"]
    assert room.warnings == (f"{TRAIN_SCENE} has no semantic PLY: every surface is concrete",)
    assert len(room.regions) == 4
    remove(copy, ".house")
    room = Matterport3DRooms(copy).load(TRAIN_SCENE)
    assert room.regions == ()
    assert room.warnings[0] == f"{TRAIN_SCENE} has no .house file, so there are no regions"
    assert "no semantic PLY: every surface is default" in room.warnings[1]


def test_a_semantic_mesh_without_its_house_file_says_so(copy: Path) -> None:
    remove(copy, ".house", ".glb")
    room = Matterport3DRooms(copy).load(TRAIN_SCENE)
    assert "has no .house file: every surface is default" in room.warnings[1]
    assert len(room.faces) == 602
    assert room.scene_path is None


@pytest.mark.parametrize("nesting", [".", "v1/scans", "scans", "v1/tasks/mp3d", "mp3d"])
@pytest.mark.parametrize("doubled", [False, True])
def test_a_root_may_keep_the_paths_of_the_download(tmp_path: Path, nesting: str, doubled: bool) -> None:
    folder = tmp_path / nesting
    written = write_procedural_house(folder / TRAIN_SCENE if doubled else folder, layout="matterport")
    files = find_scenes(tmp_path)[TRAIN_SCENE]
    assert files.own_layout
    assert files.ply == written / "house_segmentations" / f"{TRAIN_SCENE}.ply"


def test_the_root_is_looked_for_in_three_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPATIALQA_MP3D_ROOT", raising=False)
    with pytest.raises(RoomError) as error:
        find_root(None)
    for said in (
        "--mp3d-root (not given)",
        "$SPATIALQA_MP3D_ROOT (not set)",
        "data/scene_datasets/mp3d",
        "terms of use",
    ):
        assert said in str(error.value)
    default = tmp_path / "data" / "scene_datasets" / "mp3d"
    default.mkdir(parents=True)
    assert find_root(None) == default  # absolute, for other folders and machines
    monkeypatch.setenv("SPATIALQA_MP3D_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(RoomError, match=r"\$SPATIALQA_MP3D_ROOT \(.*elsewhere\)"):
        find_root(None)
    (tmp_path / "elsewhere").mkdir()
    assert find_root(Path("elsewhere")) == tmp_path / "elsewhere"
    assert find_root(None) == tmp_path / "elsewhere"
    assert find_root(default) == default
    with pytest.raises(RoomError, match=r"looked at --mp3d-root \(nowhere\):"):
        find_root(Path("nowhere"))


def _cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / f"{TRAIN_SCENE}{name}"
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    return damage


def _other_scan(folder: Path) -> None:
    shutil.copy(folder.parent / "2azQ1b91cZZ" / "2azQ1b91cZZ.house", folder / f"{TRAIN_SCENE}.house")


def _no_ids(folder: Path) -> None:
    path = folder / f"{TRAIN_SCENE}_semantic.ply"
    path.write_bytes(path.read_bytes().replace(b"int object_id", b"int whatever_"))


def _empty(folder: Path) -> None:
    write_semantic_ply(
        folder / f"{TRAIN_SCENE}_semantic.ply",
        [Part("wall", "wall", 0, np.zeros((0, 3, 3))), Part("a", "wall", 0, FLAT)],
    )


FLAT = np.zeros((1, 3, 3))


@pytest.mark.parametrize(
    ("damage", "geometry", "why"),
    [
        (_cut("_semantic.ply", 0.9), "semantic", "_semantic.ply is truncated: its header announces 602 rows of 'face'"),
        (_cut("_semantic.ply", 0.01), "semantic", "_semantic.ply"),
        (_cut(".glb", 0.5), "glb", "cannot read the mesh .*glb: .*; the file may be damaged"),
        (_cut(".glb", 0.0), "glb", "cannot read the mesh .*glb: .*; the file may be damaged"),
        (_cut(".house", 0.9), "semantic", r"\.house"),
        (_other_scan, "semantic", "has faces of object .* objects: they are not of one scan"),
        (_no_ids, "semantic", "the faces have no 'object_id'"),
        (_empty, "semantic", "holds only faces without area"),
    ],
)
def test_a_damaged_scene_is_an_error_in_one_line(
    copy: Path, damage: Callable[[Path], None], geometry: str, why: str
) -> None:
    damage(copy / TRAIN_SCENE)
    with pytest.raises(RoomError, match=why) as error:
        Matterport3DRooms(copy, geometry=geometry).load(TRAIN_SCENE)
    assert "\n" not in str(error.value)
    assert TRAIN_SCENE in str(error.value)


def test_a_root_without_scenes_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "something").mkdir()
    with pytest.raises(RoomError, match=r"holds no Matterport3D scene: looked for <scene>/<scene>.glb, .*v1/scans"):
        Matterport3DRooms(tmp_path)


def test_a_house_file_without_its_mesh_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc/abc.house").write_text("")
    with pytest.raises(RoomError, match=r"has abc/abc\.house, but not the mesh of this scene: copy abc\.glb or"):
        Matterport3DRooms(tmp_path)


def test_a_list_of_scenes_keeps_to_them(root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "scenes.txt"
    listed.write_text("# mine\n2azQ1b91cZZ  # a small one\n\n")
    rooms = Matterport3DRooms(root, scenes_list=listed)
    assert list(rooms.room_ids(None, 0)) == ["2azQ1b91cZZ"]
    with pytest.raises(RoomError, match="no Matterport3D scene '17DRP5sb8fy' among the 1"):
        rooms.load(TRAIN_SCENE)
    for text, why in [
        ("2azQ1b91cZz\n", "line 1: there is no scene '2azQ1b91cZz' of Matterport3D: did you mean '2azQ1b91cZZ'"),
        ("\n1LXtFkjw3qL\n", "line 2: the scene '1LXtFkjw3qL' of Matterport3D is not among the 2"),
        ("# nothing\n", "names none"),
    ]:
        listed.write_text(text)
        with pytest.raises(RoomError, match=why):
            Matterport3DRooms(root, scenes_list=listed)
    with pytest.raises(RoomError, match="cannot read the list of scenes"):
        Matterport3DRooms(root, scenes_list=tmp_path / "none.txt")


def test_options_with_values_that_cannot_be_used_are_errors(root: Path) -> None:
    with pytest.raises(RoomError, match="no geometry 'ply' of Matterport3D: choose semantic or glb"):
        Matterport3DRooms(root, geometry="ply")
    with pytest.raises(RoomError, match="no material 'concret': did you mean 'concrete'"):
        Matterport3DRooms(root, default_material="concret")
