"""Small SVG pictures, for the plots of scoring and training."""

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

from spatialqa.errors import DatasetError, RecipeError

BLUE, ORANGE, GREY, INK, RULE = "#2563a8", "#c2570c", "#9aa0a6", "#202124", "#e3e5e8"


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


def write_svg(path: Path, picture: str) -> None:
    """Write a picture.

    Raises:
        RecipeError: the name does not end in .svg.
        DatasetError: the file cannot be written.
    """
    if path.suffix.lower() != ".svg":
        raise RecipeError(f"{path}: the plot is an SVG; give it a name that ends in .svg")
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path}: the plot cannot be written ({error.strerror or error})") from None
