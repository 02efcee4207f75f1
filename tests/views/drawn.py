"""Reads the drawings of a page back into metres."""

import math
import re
from typing import NamedTuple
from xml.etree import ElementTree

from spatialqa.core.scene import Scene
from spatialqa.rooms.room import Room
from spatialqa.views.scene_drawing import draw_scene
from spatialqa.views.templating import environment


class Svg(NamedTuple):
    """Positions in an SVG: of sources by index, and of the ends of walls, metres right of and above the listener."""

    sources: dict[int, tuple[float, float]]
    walls: list[tuple[float, float]]


def read_svg(text: str) -> Svg:
    """Return what a drawing shows, by the circles and paths that a browser paints."""
    svg = ElementTree.fromstring(re.sub(r"\sxmlns=\"[^\"]*\"", "", text))
    head = next(g for g in svg.iter("g") if g.get("class") == "head")
    x0, y0 = (float(value) for value in re.findall(r"-?[\d.]+", head.get("transform", "")))
    scale = float(svg.get("data-scale", "nan"))

    def metres(x: float, y: float) -> tuple[float, float]:
        return (x - x0) / scale, (y0 - y) / scale

    sources = {}
    for group in svg.iter("g"):
        if "source" in (group.get("class") or "").split():
            circle = next(group.iter("circle"))
            sources[int(group.get("data-source", "-1"))] = metres(
                float(circle.get("cx", "")), float(circle.get("cy", ""))
            )
    walls = []
    for path in svg.iter("path"):
        if path.get("class") == "walls":
            numbers = [float(value) for value in re.findall(r"-?[\d.]+", path.get("d", ""))]
            walls = [metres(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    return Svg(sources, walls)


def drawn(scene: Scene, room: Room | None = None) -> tuple[Svg, Svg]:
    """Return the plan and the section of a scene as a browser paints them."""
    drawing = draw_scene(scene, room)
    macro = environment().get_template("room.svg.j2").make_module().drawing  # type: ignore[attr-defined]
    plan, section = macro(drawing.plan, "plan", "a"), macro(drawing.section, "section", "b")
    return read_svg(str(plan)), read_svg(str(section))


def azimuth_deg(across: float, ahead: float) -> float:
    """Return the angle from straight up the page, positive to its left."""
    return math.degrees(math.atan2(-across, ahead))
