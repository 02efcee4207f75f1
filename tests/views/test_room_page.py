"""rooms show: facts of plain rooms are known in closed form, and the page and the command say them."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner

from spatialqa.cli.main import cli
from spatialqa.errors import DatasetError, RoomError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.rooms.materials import load_materials
from spatialqa.rooms.procedural.finishes import eyring_rt60
from spatialqa.views.room_facts import OCTAVES_HZ, room_facts
from spatialqa.views.room_page import ShownRoom, show_room, write_room_page
from tests.views.rooms import box

LOW, HIGH = (0.0, 0.0, 0.0), (6.0, 2.5, 4.0)
VOLUME, AREA = 60.0, 98.0


def test_an_empty_box_has_the_mean_free_path_and_the_reverberation_of_the_textbook() -> None:
    facts = room_facts(box(LOW, HIGH))
    assert facts.size_m == pytest.approx((6.0, 2.5, 4.0))
    assert [(one.name, round(one.area_m2, 3)) for one in facts.materials] == [("gypsum_board", AREA)]
    assert facts.mean_free_path_m == pytest.approx(4 * VOLUME / AREA, rel=0.02)
    absorbed = AREA * np.array(facts.materials[0].absorption)
    assert facts.rt60_s == pytest.approx(eyring_rt60(VOLUME, AREA, absorbed).tolist(), rel=0.03)
    assert facts.openings is not None
    assert facts.openings.share == 0.0


def test_materials_count_by_their_area() -> None:
    room = box(LOW, HIGH)
    floor = np.isclose(room.vertices[room.faces][:, :, 1], 0.0).all(axis=1)
    materials = (*room.materials, load_materials()["heavy_carpet"])
    room = replace(room, materials=materials, face_material=np.asarray(floor, dtype=np.int32))
    facts = room_facts(room)
    assert {one.name: round(one.area_m2, 3) for one in facts.materials} == {"gypsum_board": 74.0, "heavy_carpet": 24.0}
    absorbed = sum(one.area_m2 * np.array(one.absorption) for one in facts.materials)
    assert facts.rt60_s == pytest.approx(eyring_rt60(VOLUME, AREA, absorbed).tolist(), rel=0.06)


def test_a_missing_ceiling_is_an_opening_upwards_and_shortens_the_reverberation() -> None:
    room = box(LOW, HIGH)
    ceiling = np.isclose(room.vertices[room.faces][:, :, 1], 2.5).all(axis=1)
    opened = replace(room, faces=room.faces[~ceiling], face_material=room.face_material[~ceiling])
    facts, closed = room_facts(opened), room_facts(room)
    assert facts.openings is not None
    assert facts.openings.down == 0.0
    assert 0.2 < facts.openings.up < facts.openings.share < 0.5
    assert facts.rt60_s is not None
    assert closed.rt60_s is not None
    assert all(a < b for a, b in zip(facts.rt60_s, closed.rt60_s, strict=True))


def test_listeners_may_stand_inside_and_nowhere_else() -> None:
    facts = room_facts(box(LOW, HIGH))
    assert len(facts.standing) > 100
    assert (facts.standing >= np.array([0.25, 1.0, 0.25])).all()
    assert (facts.standing <= np.array(HIGH) - 0.25).all()


def test_where_nobody_may_stand_the_reason_is_said(tmp_path: Path) -> None:
    room = box(LOW, (6.0, 1.2, 4.0))
    shown = ShownRoom(room, room_facts(room), ())
    assert shown.facts.rt60_s is None
    assert any("none may stand here" in line for line in shown.lines())
    write_room_page(shown, tmp_path / "low.html")
    assert "None may" not in (tmp_path / "low.html").read_text()


def test_the_command_shows_a_home_and_writes_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["rooms", "show", "home-324489"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "8.3 x 9.9 m" in done.output
    assert "kitchen" in done.output
    html = (tmp_path / "home-324489.html").read_text(encoding="utf-8")
    assert html.count('class="walls"') == 2
    assert len(re.findall(r"<td class=.n.>[\d.]+ s</td>", html)) == len(OCTAVES_HZ)
    assert not re.search(r"https?://", html)
    again = CliRunner().invoke(cli, ["rooms", "show", "home-324489"], catch_exceptions=False)
    assert (again.exit_code, again.output) == (0, done.output)


def test_a_mesh_file_is_shown_with_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = trimesh.Scene()
    room = trimesh.creation.box(bounds=[LOW, HIGH])
    room.invert()
    scene.add_geometry(room, geom_name="Wall<b>", node_name="Wall<b>")
    scene.export(tmp_path / "hall.glb")
    done = CliRunner().invoke(cli, ["rooms", "show", "hall.glb", "--to", "page.html"], catch_exceptions=False)
    assert done.exit_code == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h2>Parts</h2>" in html
    assert "Wall&lt;b&gt;" in html
    assert "Wall<b>" not in html


def test_what_is_not_a_page_of_rooms_show_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("mine")
    shown = show_room(RenderRecipe(rooms="procedural"), "home-000003")
    with pytest.raises(DatasetError, match="is not a page of `rooms show`"):
        write_room_page(shown, tmp_path / "mine.html")
    assert (tmp_path / "mine.html").read_text() == "mine"


def test_a_folder_of_meshes_needs_a_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        trimesh.creation.box((5.0, 2.5, 4.0)).export(tmp_path / f"{name}.ply")
    with pytest.raises(RoomError, match="holds 2 rooms"):
        show_room(RenderRecipe(rooms=f"mesh:{tmp_path}"), None)
    assert show_room(RenderRecipe(rooms=f"mesh:{tmp_path}"), "two").room.room_id == "two"
