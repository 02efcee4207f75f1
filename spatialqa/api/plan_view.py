"""A scene from above, as SVG: walls, the listener and the sources."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import trimesh

from spatialqa.core.geometry import Vec3, rotation_matrix
from spatialqa.core.scene import Scene
from spatialqa.core.svg import BLUE, GREY, INK, ORANGE, document, dot, line, text, write_svg
from spatialqa.rooms.room import Room

_WIDTH = 560.0
_MARGIN = 40.0
_LEGEND_LINE = 18.0
_NOSE_M = 0.5


@dataclass(frozen=True)
class PlanView:
    """A picture as SVG text. A notebook shows it as it is."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write it; raises RecipeError unless the name ends in .svg, DatasetError when it cannot be written."""
        write_svg(Path(path), self.svg)


def plan_view(room: Room, scene: Scene) -> PlanView:
    """Draw a scene from above: what stands at the height of the ears, -z up the page and +x to the right.

    A source that the listener cannot see has a dashed line. Regions other than that of the listener are named.
    """
    x, y, z = scene.listener_position
    walls = _walls(room, y)
    points = np.concatenate([walls.reshape(-1, 2), [[x, z]], [[s.position[0], s.position[2]] for s in scene.sources]])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (_WIDTH - 2 * _MARGIN) / max(float((high - low).max()), 1.0)
    height = float(high[1] - low[1]) * scale + 2 * _MARGIN

    def at(px: float, pz: float) -> tuple[float, float]:
        return _MARGIN + (px - float(low[0])) * scale, _MARGIN + (pz - float(low[1])) * scale

    parts = [line(*at(*a), *at(*b), INK, 1.5) for a, b in walls.tolist()]
    for region in room.regions:
        if region.label and region.floor_y <= y <= region.ceiling_y:
            cx, cz = np.mean(region.polygon, axis=0).tolist()
            parts.append(f'<g fill="{GREY}">{text(*at(cx, cz), region.label, "middle", 11)}</g>')
    legend = height + 4
    for number, source in enumerate(scene.sources, start=1):
        sx, sy = at(source.position[0], source.position[2])
        parts.append(_sight(at(x, z), (sx, sy), bool(source.line_of_sight)))
        parts += [dot(sx, sy, ORANGE, 7), f'<g fill="white">{text(sx, sy + 4, str(number), "middle", 10, "bold")}</g>']
        words = (
            f"{number}  {source.labels[0]}: azimuth {source.azimuth_deg:+.0f}°, "
            f"elevation {source.elevation_deg:+.0f}°, {source.distance_m:.1f} m"
            + ("" if source.line_of_sight else ", occluded")
        )
        parts.append(text(_MARGIN, legend + _LEGEND_LINE * number, words))
    parts += _head(scene, at(x, z), scale)
    bar = at(float(low[0]), float(high[1]))
    parts += [
        line(bar[0], height - 12, bar[0] + scale, height - 12, INK, 2),
        text(bar[0] + scale + 6, height - 8, "1 m", size=11),
    ]
    return PlanView(document(_WIDTH, legend + _LEGEND_LINE * (len(scene.sources) + 1), parts))


def _walls(room: Room, height_y: float) -> npt.NDArray[np.float64]:
    """Return where the surfaces of a room cut a horizontal plane: float64 (n, 2, 2), pairs of (x, z) in metres."""
    mesh = trimesh.Trimesh(room.vertices, room.faces, process=False)
    level = height_y - room.origin[1]
    segments = np.asarray(trimesh.intersections.mesh_plane(mesh, [0.0, 1.0, 0.0], [0.0, level, 0.0]), dtype=np.float64)
    cut: npt.NDArray[np.float64] = segments.reshape(-1, 2, 3)[:, :, [0, 2]] + np.array(room.origin)[[0, 2]]
    return cut


def _head(scene: Scene, at: tuple[float, float], scale: float) -> list[str]:
    nose: Vec3 = tuple((rotation_matrix(scene.listener_orientation) @ [0.0, 0.0, -1.0]).tolist())
    reach = _NOSE_M * scale
    tip = at[0] + nose[0] * reach, at[1] + nose[2] * reach
    return [line(*at, *tip, BLUE, 3), dot(*at, BLUE, 8), dot(*tip, BLUE, 3.5)]


def _sight(start: tuple[float, float], end: tuple[float, float], free: bool) -> str:
    dashes = "" if free else ' stroke-dasharray="5 4"'
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{ORANGE}" '
        f'stroke-width="1.2"{dashes}/>'
    )
