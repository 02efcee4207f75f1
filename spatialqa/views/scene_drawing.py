"""A scene from above and from behind the listener, as numbers that a template turns into SVG.

Both drawings have the same scale and the same horizontal axis: left of the page is left of the listener. In the plan
the nose points up the page. In the section one looks along the nose, so up is up.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.core.scene import Scene
from spatialqa.rooms.room import Room
from spatialqa.views.listener_frame import ListenerFrame
from spatialqa.views.room_cut import has_surfaces, plan_cut, section_cut

COLOURS = 6  # that the style sheet has for sources; further ones begin again
_WIDTH, _TALLEST = 380.0, 420.0
_MARGIN = 26.0  # for the words at the edges
_SPARE_M = 0.4
_LARGEST_M = 18.0  # of a building that is shown whole
_AROUND_M = 3.0  # what is shown around the scene of a larger one
_MOST_LINES = 4000
_SHORTEST = 0.3  # of a line that is drawn
_LINE_HEIGHT = 15.0
_SHIFTS = (0.0, -15.0, 15.0, -30.0, 30.0)  # of a label, from the height of its source
_BESIDE = 13.0
_LETTER = 6.6
_LONGEST_LABEL = 24
_RINGS_M = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class DrawnSource:
    """A source in a drawing. seen: False where it is occluded, None where that is not known."""

    index: int
    x: float
    y: float
    label: str
    label_x: float
    label_y: float
    anchor: str  # of the label: "start" or "end"
    seen: bool | None

    @property
    def number(self) -> int:
        """As the page calls it: the first is 1."""
        return self.index + 1

    @property
    def colour(self) -> int:
        """Which colour of the style sheet it has."""
        return self.index % COLOURS


@dataclass(frozen=True)
class Ring:
    """A circle around the listener: its radius in the drawing, and in metres."""

    radius: float
    metres: float


@dataclass(frozen=True)
class DrawnRegion:
    """The floor of a part of the building: an SVG path, and its name with its place, where it has one."""

    path: str
    label: str | None
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """A plan or a section, `width` x `height` units; `scale` units are one metre. The listener is at (x, y)."""

    width: float
    height: float
    scale: float
    x: float
    y: float
    walls: str
    regions: tuple[DrawnRegion, ...]
    rings: tuple[Ring, ...]
    sources: tuple[DrawnSource, ...]


@dataclass(frozen=True)
class SceneDrawing:
    """Both drawings of a scene. cropped: whether parts of the building lie outside of them."""

    plan: Drawing
    section: Drawing
    cropped: bool
    outline: bool


@dataclass(frozen=True)
class _Window:
    """What is shown: (low, high) of across, ahead and up, metres."""

    across: tuple[float, float]
    ahead: tuple[float, float]
    up: tuple[float, float]


def draw_scene(scene: Scene, room: Room | None) -> SceneDrawing:
    """Return the drawings of a scene; without a room, or with one that has no surfaces, they show positions alone."""
    frame = ListenerFrame.of(scene.listener)
    places = frame.across_ahead_up([source.position for source in scene.sources]).reshape(-1, 3)
    none = np.zeros((0, 2, 2))
    outline = room is not None and has_surfaces(room)
    plan, section = (plan_cut(room, frame), section_cut(room, frame)) if room is not None and outline else (none, none)
    window, cropped = _window(plan, section, places)
    scale = min(
        (_WIDTH - 2 * _MARGIN) / (window.across[1] - window.across[0]),
        (_TALLEST - 2 * _MARGIN) / (window.ahead[1] - window.ahead[0]),
    )
    left = (_WIDTH - scale * (window.across[1] - window.across[0])) / 2
    x = left - scale * window.across[0]
    drawn = []
    for vertical, (low, high), walls in ((1, window.ahead, plan), (2, window.up, section)):
        y = _MARGIN + scale * high
        rings = tuple(Ring(metres * scale, metres) for metres in _RINGS_M if metres <= 0.75 * max(high, -low))
        drawing = Drawing(
            _WIDTH, 2 * _MARGIN + scale * (high - low), scale, x, y, lines_path(walls, x, y, scale), (), rings, ()
        )
        drawn.append(replace(drawing, sources=_sources(scene, places[:, [0, vertical]], drawing)))
    regions = _regions(room, scene, frame, drawn[0]) if room is not None else ()
    return SceneDrawing(replace(drawn[0], regions=regions), replace(drawn[1], rings=()), cropped, outline)


def _window(plan: FloatArray, section: FloatArray, places: FloatArray) -> tuple[_Window, bool]:
    scene = np.concatenate([np.zeros((1, 3)), places])
    low, high = scene.min(axis=0), scene.max(axis=0)
    near = np.array([[low[k] - _AROUND_M, high[k] + _AROUND_M] for k in range(3)])
    near[2] = low[2] - 2.0, high[2] + 1.5  # the floor, and a ceiling
    cropped = False
    spans = []
    for axis, ends in ((0, plan[..., 0]), (1, plan[..., 1]), (2, section[..., 1])):
        first, last = low[axis] - _SPARE_M, high[axis] + _SPARE_M
        if not ends.size:
            first, last = near[axis].tolist() if axis == 2 else (first - 1.0, last + 1.0)
        else:
            whole = min(first, float(ends.min()) - 0.1), max(last, float(ends.max()) + 0.1)
            first, last = whole
            if last - first > (_LARGEST_M if axis < 2 else 2 * _AROUND_M):
                first, last = max(whole[0], float(near[axis][0])), min(whole[1], float(near[axis][1]))
                cropped = cropped or axis < 2
        spans.append((float(first), float(last)))
    return _Window(*spans), cropped


def lines_path(segments: FloatArray, x: float, y: float, scale: float) -> str:
    """Return lines as an SVG path; what is too short to be seen, or is there twice, is left out."""
    if not len(segments):
        return ""
    ends = np.round(segments * [scale, -scale] + [x, y], 1)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    order = np.argsort(-lengths, kind="stable")[:_MOST_LINES]
    lines: dict[tuple[tuple[float, ...], ...], None] = {}
    for a, b in ends[order[lengths[order] >= _SHORTEST]].tolist():
        lines[tuple(sorted((tuple(a), tuple(b))))] = None
    return "".join(f"M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}" for a, b in lines)


def _sources(scene: Scene, places: FloatArray, drawing: Drawing) -> tuple[DrawnSource, ...]:
    """Return the sources of a drawing, with labels that do not lie on each other where there is room."""
    points = [(drawing.x + drawing.scale * a, drawing.y - drawing.scale * b) for a, b in places.tolist()]
    taken = [(drawing.x - 14, drawing.x + 14, drawing.y), *((x - 10, x + 10, y) for x, y in points)]
    drawn = []
    for k, (source, (x, y)) in enumerate(zip(scene.sources, points, strict=True)):
        label = short_label(source.labels)
        length = _LETTER * len(label)
        outward = ("end", "start") if x < drawing.x else ("start", "end")  # away from the line of sight
        choices = [(anchor, y + down) for down in _SHIFTS for anchor in outward]
        inside = [
            (anchor, level)
            for anchor, level in choices
            if 22 <= _start(x, anchor, length) <= drawing.width - 22 - length and 8 <= level <= drawing.height - 6
        ]
        free = [item for item in inside if _is_free(_start(x, item[0], length), length, item[1], taken)]
        anchor, level = (free or inside or choices)[0]
        start = _start(x, anchor, length)
        taken.append((start, start + length, level))
        label_x = x + _BESIDE if anchor == "start" else x - _BESIDE
        drawn.append(DrawnSource(k, x, y, label, label_x, level + 4, anchor, source.line_of_sight))
    return tuple(drawn)


def _start(x: float, anchor: str, length: float) -> float:
    return x + _BESIDE if anchor == "start" else x - _BESIDE - length


def _is_free(start: float, length: float, level: float, taken: Sequence[tuple[float, float, float]]) -> bool:
    return all(start + length < a or start > b or abs(level - height) >= _LINE_HEIGHT - 1 for a, b, height in taken)


def short_label(labels: Sequence[str]) -> str:
    """Return the first label up to its first comma or parenthesis, cut where it is long."""
    label = re.split(r",| \(", labels[0])[0] if labels else ""
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1].rstrip() + "…"


def _regions(room: Room, scene: Scene, frame: ListenerFrame, plan: Drawing) -> tuple[DrawnRegion, ...]:
    """Return the regions on the storey of the listener."""
    taken = [(plan.x - 16, plan.x + 16, plan.y - 4), (plan.x - 16, plan.x + 16, plan.y + 8)]
    for source in plan.sources:
        start, length = _start(source.x, source.anchor, _LETTER * len(source.label)), _LETTER * len(source.label)
        taken += [(source.x - 12, source.x + 12, source.y), (start, start + length, source.label_y - 4)]
    return drawn_regions(room, frame, plan, taken)


def drawn_regions(
    room: Room, frame: ListenerFrame, plan: Drawing, taken: Sequence[tuple[float, float, float]]
) -> tuple[DrawnRegion, ...]:
    """Return the regions of a room at the height of the frame's origin.

    taken: (first x, last x, y) of what their names may not lie on.
    """
    height = frame.origin[1]
    drawn = []
    for region in room.regions:
        if not region.floor_y <= height <= region.ceiling_y:
            continue
        corners = frame.across_ahead_up([(x, height, z) for x, z in region.polygon])[:, :2]
        points = np.round(corners * [plan.scale, -plan.scale] + [plan.x, plan.y], 1).tolist()
        cx, cy = np.mean(points, axis=0).tolist()
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z"
        length = _LETTER * len(region.label or "")
        inside = length / 2 + 22 < cx < plan.width - length / 2 - 22 and 20 < cy < plan.height - 20
        shown = inside and all(_is_free(cx - length / 2, length, cy + down, taken) for down in (-5.0, 5.0))
        drawn.append(DrawnRegion(path, region.label if shown else None, cx, cy))
    return tuple(drawn)
