"""The page of `spatialqa rooms show`: one HTML file with plan, section and facts of a building."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spatialqa.core.files import commit_text
from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.errors import DatasetError, RoomError
from spatialqa.generation.inputs import rooms_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.part_materials import PartMaterial
from spatialqa.rooms.room import Room
from spatialqa.views.listener_frame import ListenerFrame
from spatialqa.views.room_cut import has_surfaces, plan_cut, section_cut
from spatialqa.views.room_facts import OCTAVES_HZ, RoomFacts, room_facts
from spatialqa.views.scene_drawing import Drawing, drawn_regions, lines_path
from spatialqa.views.templating import asset, environment

_WIDTH, _MARGIN, _TALLEST = 460.0, 30.0, 480.0
_CELL_M = 0.2  # of the grid on which standing room is drawn
_GENERATOR = '<meta name="generator" content="spatialqa rooms show">'


@dataclass(frozen=True, eq=False)
class ShownRoom:
    """A building with its facts. parts: of the mesh file that it was read from; none of other rooms."""

    room: Room
    facts: RoomFacts
    parts: Sequence[PartMaterial]

    def lines(self) -> list[str]:
        """Return what the command prints."""
        facts = self.facts
        x, y, z = facts.size_m
        said = [f"{self.room.room_id}: {x:.1f} x {z:.1f} m, {y:.1f} m high, {len(self.room.faces):,} triangles"]
        said += [f"warning: {warning}" for warning in self.room.warnings]
        if regions := [region.label or region.region_id for region in self.room.regions]:
            said.append(f"regions: {', '.join(regions)}")
        said.append("materials: " + ", ".join(f"{one.name} {one.area_m2:.1f} m2" for one in facts.materials))
        if facts.rt60_s:
            times = ", ".join(f"{_hertz(hz)} {s:.2f} s" for hz, s in zip(OCTAVES_HZ, facts.rt60_s, strict=True))
            said.append(f"expected RT60 (Eyring): {times}")
        if facts.openings:
            said.append(self.openings())
        said.append(self.standing())
        return said

    def openings(self) -> str:
        """Say how open the building is."""
        openings = self.facts.openings
        if openings is None:
            return "openings: not known, since no listener may stand in it"
        if openings.share < 0.0005:
            return "openings: none; every ray from inside meets a surface"
        return (
            f"openings: {100 * openings.share:.1f} % of the rays from inside leave the building "
            f"(upwards {100 * openings.up:.1f}, level {100 * openings.level:.1f}, downwards {100 * openings.down:.1f})"
        )

    def standing(self) -> str:
        """Say how much room there is for listeners."""
        if self.facts.why_none_stand:
            return f"listeners: none may stand here: {self.facts.why_none_stand}"
        cells = np.unique(np.round(self.facts.standing / _CELL_M).astype(np.int64)[:, [0, 2]], axis=0)
        return f"listeners: may stand on about {len(cells) * _CELL_M**2:.0f} m2"


def show_room(recipe: RenderRecipe, room_id: str | None) -> ShownRoom:
    """Open a building and compute its facts.

    Args:
        recipe: names the room set.
        room_id: in it; None for the only one.

    Raises:
        RoomError: there is no such room, or it has no surfaces, or an id is needed.
        RecipeError: there is no such room set.
    """
    rooms = rooms_for(recipe)
    if room_id is None:
        ids = list(rooms.room_ids(None, 0)) if rooms.finite else []
        if len(ids) != 1:
            some = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
            raise RoomError(
                f"{recipe.rooms}: holds {len(ids)} rooms ({some}); name one: "
                f"spatialqa rooms show {ids[0] if ids else 'ID'} --rooms {recipe.rooms}"
            )
        (room_id,) = ids
    room = rooms.load(room_id)
    if not has_surfaces(room):
        raise RoomError(f"{recipe.rooms}: its rooms have no surfaces, only RIRs; there is nothing to show")
    parts = rooms.parts(room_id) if isinstance(rooms, MeshRooms) and recipe.rooms.startswith("mesh:") else ()
    return ShownRoom(room, room_facts(room), parts)


def write_room_page(shown: ShownRoom, path: Path) -> None:
    """Write the page of a building, whole or not at all; an older page in its place is replaced, nothing else.

    Raises:
        DatasetError: the file is something else, or cannot be written.
    """
    if path.exists():
        head = path.read_bytes()[:2000] if path.is_file() else b""
        if _GENERATOR.encode() not in head:
            raise DatasetError(f"{path}: is not a page of `rooms show`; choose another file with --to")
    plan, section = _drawings(shown.room, shown.facts.standing)
    html = (
        environment()
        .get_template("room.html.j2")
        .render(
            shown=shown,
            room=shown.room,
            facts=shown.facts,
            octaves=[_hertz(hz) for hz in OCTAVES_HZ],
            plan=plan,
            section=section,
            dots=_dots(plan, shown.facts.standing),
            style=asset("style.css"),
            generator=_GENERATOR,
        )
    )
    commit_text(path.parent, path.name, html)


def _drawings(room: Room, standing: FloatArray) -> tuple[Drawing, Drawing]:
    """Return plan and section, in the axes of the world: +x to the right, -z up the plan."""
    low, high = room.bounds
    origin = _through(standing, low, high)
    frame = ListenerFrame(origin, (0.0, -1.0))
    (left, _, front), (right, _, back) = low - origin, high - origin
    bottom, top = float(low[1] - origin[1]), float(high[1] - origin[1])
    scale = min((_WIDTH - 2 * _MARGIN) / max(right - left, 1.0), (_TALLEST - 2 * _MARGIN) / max(back - front, 1.0))
    x = (_WIDTH - scale * (right - left)) / 2 - scale * left
    drawn = []
    for walls, above, below in ((plan_cut(room, frame), -front, -back), (section_cut(room, frame), top, bottom)):
        y = _MARGIN + scale * above
        height = 2 * _MARGIN + scale * (above - below)
        path = lines_path(walls, x, y, scale)
        drawn.append(Drawing(_WIDTH, float(height), float(scale), float(x), float(y), path, (), (), ()))
    plan, section = drawn
    return replace(plan, regions=drawn_regions(room, frame, plan, ())), section


def _through(standing: FloatArray, low: FloatArray, high: FloatArray) -> Vec3:
    """Return the point through which both cuts go: at the height of ears, where there is most room to stand along x."""
    if not len(standing):
        x, y, z = ((low + high) / 2).tolist()
        return (x, y, z)
    rows, index = np.unique(np.round(standing[:, 2] / _CELL_M).astype(np.int64), return_inverse=True)
    widest = int(np.argmax(np.bincount(index)))
    x = float(np.median(standing[index == widest, 0]))
    return (x, float(np.median(standing[:, 1])), float(rows[widest] * _CELL_M))


def _dots(plan: Drawing, standing: FloatArray) -> str:
    """Return an SVG path of small squares where listeners may stand on the storey of the plan."""
    if not len(standing):
        return ""
    middle = np.median(standing, axis=0)
    level = standing[np.abs(standing[:, 1] - middle[1]) < 1.5]
    cells = np.unique(np.round(level[:, [0, 2]] / _CELL_M).astype(np.int64), axis=0) * _CELL_M
    x0, _, z0 = _through(standing, middle, middle)
    points = np.round((cells - [x0, z0]) * plan.scale + [plan.x, plan.y], 1)
    return "".join(f"M{x:g} {y:g}h0" for x, y in points.tolist())


def _hertz(hz: float) -> str:
    return f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz:g} Hz"
