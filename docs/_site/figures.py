"""Draws the figures of docs/conventions.md from the code that defines the conventions: python docs/_site/figures.py."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from spatialqa.core.geometry import Pose, Vec3, cartesian, direction, direction_words, rotation_matrix, yaw_quaternion

FOLDER = Path(__file__).parents[1] / "figures"
_RING = 120.0  # pixels
BLUE, ORANGE, GREY, INK, RULE = "#2563a8", "#c2570c", "#9aa0a6", "#202124", "#e3e5e8"


def figures() -> dict[str, str]:
    """Return the SVG of every figure by its file name."""
    return {"azimuth.svg": azimuth(), "elevation.svg": elevation(), "yaw.svg": yaw()}


def azimuth() -> str:
    """Return the head from above, nose up, with azimuths and words around it."""
    cx, cy = 190.0, 195.0

    def place(head: Vec3, scale: float) -> tuple[float, float]:  # to the right is right, ahead is up
        return cx + head[0] * scale, cy + head[2] * scale

    parts = [text(cx, 20, "azimuth_deg, seen from above", "middle", 13, "bold"), _circle(cx, cy, _RING)]
    for degrees in (0, 45, 90, 135, 180, -135, -90, -45):
        at = _point(degrees, 0)
        parts += [
            line(*place(at, _RING - 6), *place(at, _RING + 6), INK),
            _label(*place(at, _RING + 26), f"{degrees:+d}" if degrees else "0"),
        ]
    for degrees in (45, 135, -135, -45):
        side, front, _ = direction_words(np.array(_point(degrees, 0)))
        x, y = place(_point(degrees, 0), _RING * 0.62)
        parts += [text(x, y, side, "middle", 13), text(x, y + 16, front, "middle", 13)]
    parts += [line(*place((-1, 0, 0), _RING), *place((1, 0, 0), _RING), RULE)]
    parts += [line(*place((0, 0, -1), _RING), *place((0, 0, 1), _RING), RULE)]
    parts += list(_head(cx, cy, (0.0, 0.0, -1.0)))
    return document(380, 370, parts)


def elevation() -> str:
    """Return the head from its right side, nose to the right, with elevations and words around it."""
    cx, cy = 190.0, 195.0

    def place(head: Vec3, scale: float) -> tuple[float, float]:  # ahead is to the right, up is up
        return cx - head[2] * scale, cy - head[1] * scale

    parts = [text(cx, 20, "elevation_deg, seen from the right", "middle", 13, "bold"), _circle(cx, cy, _RING)]
    for degrees in (-90, -45, 0, 45, 90):
        for around in (0, 180) if abs(degrees) < 90 else (0,):
            at = _point(around, degrees)
            parts.append(line(*place(at, _RING - 6), *place(at, _RING + 6), INK))
            parts.append(_label(*place(at, _RING + 26), f"{degrees:+d}" if degrees else "0"))
    for around in (0, 180):
        for degrees in (45, -45):
            _, front, height = direction_words(np.array(_point(around, degrees)))
            x, y = place(_point(around, degrees), _RING * 0.62)
            parts += [text(x, y, front, "middle", 13), text(x, y + 16, height, "middle", 13)]
    parts += [line(*place((0, 0, 1), _RING), *place((0, 0, -1), _RING), RULE)]
    parts += [line(*place((0, -1, 0), _RING), *place((0, 1, 0), _RING), RULE)]
    parts += list(_head(cx, cy, (1.0, 0.0, 0.0)))
    return document(380, 370, parts)


def yaw() -> str:
    """Return two listeners at one place in the world, one of them turned to the left, and the azimuths of a source."""
    parts = [text(330, 20, "the world seen from above: yaw turns the head to the left", "middle", 13, "bold")]
    source: Vec3 = (-0.55, 0.0, -0.75)  # relative to the listener, metres
    for cx, yaw_deg in ((170.0, 0.0), (490.0, 60.0)):
        cy = 175.0
        pose = Pose((0.0, 0.0, 0.0), yaw_quaternion(yaw_deg))
        nose = rotation_matrix(pose.orientation) @ np.array([0.0, 0.0, -1.0])
        x, y = cx + source[0] * _RING, cy + source[2] * _RING
        parts += [line(cx, cy, cx + 1.15 * _RING * nose[0], cy + 1.15 * _RING * nose[2], GREY)]
        parts += [line(cx, cy, x, y, ORANGE, 2), dot(x, y, ORANGE, 6)]
        parts += list(_head(cx, cy, (float(nose[0]), 0.0, float(nose[2]))))
        heard = direction(pose, source)
        parts.append(
            text(cx, cy + 90, f"listener_yaw_deg {yaw_deg:.0f}: azimuth_deg {heard.azimuth_deg:+.0f}", "middle", 13)
        )
    x, y = 40.0, 330.0
    parts += [line(x, y, x + 45, y, BLUE, 2), text(x + 50, y + 4, "+x (right)"), line(x, y, x, y - 45, BLUE, 2)]
    parts += [text(x + 6, y - 40, "-z (forward)"), text(x + 150, y + 4, "+y points up, towards you")]
    return document(660, 350, parts)


def _point(azimuth_deg: float, elevation_deg: float) -> Vec3:
    x, y, z = cartesian(azimuth_deg, elevation_deg).tolist()
    return (x, y, z)


def _circle(x: float, y: float, radius: float) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="none" stroke="{GREY}"/>'


def _label(x: float, y: float, words: str) -> str:
    return text(x, y + 4, words, "middle")


def _head(x: float, y: float, nose: Vec3) -> Iterator[str]:
    """Yield a head whose nose points along (nose[0], nose[2]) of the picture."""
    ahead = math.atan2(nose[2], nose[0])
    corners = [
        (x + r * math.cos(ahead + a), y + r * math.sin(ahead + a)) for r, a in ((17, -0.45), (27, 0), (17, 0.45))
    ]
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in corners)
    yield f'<polygon points="{points}" fill="{BLUE}"/>'
    yield dot(x, y, BLUE, 18)


def document(width: float, height: float, parts: Iterable[str]) -> str:
    """Return a whole picture on white, width x height pixels."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{INK}">'
    )
    return "\n".join([head, f'<rect width="{width:g}" height="{height:g}" fill="white"/>', *parts, "</svg>"]) + "\n"


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 12, weight: str = "normal") -> str:
    """Return a line of text whose baseline starts, ends or is centred at (x, y)."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def dot(x: float, y: float, colour: str, radius: float = 4) -> str:
    """Return a filled circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """Return a straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, picture in figures().items():
        (FOLDER / name).write_text(picture, encoding="utf-8")
