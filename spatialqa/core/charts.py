"""Charts by matplotlib, as SVG, and images as PNG: the same data give the same bytes, and text stays text.

Colours are those of the light theme of pages (`views/page/style.css`). `inline_svg` names them as the page does, so
that a chart in a page follows its theme. matplotlib is imported where a chart is drawn.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from spatialqa.errors import DatasetError, RecipeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, RULE, BLUE, ORANGE = "#1d2025", "#5a616c", "#d9dce1", "#0b62a8", "#b84400"
GREY = "#9aa0a6"
_VARIABLES = {INK: "--ink", SOFT: "--soft", RULE: "--rule", BLUE: "--s0", ORANGE: "--s1"}
_DPI = 72.0  # of the SVG backend: a point is a pixel
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 10.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 6.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 10.5,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.color": SOFT,
    "xtick.labelsize": 10.0,
    "xtick.major.pad": 7.0,
    "xtick.major.size": 0.0,
    "ytick.color": SOFT,
    "ytick.labelsize": 10.0,
    "ytick.major.size": 0.0,
}
_TOOLTIP = "title: "
_LINES = 'stroke-linejoin="round" stroke-linecap="butt"'


@contextmanager
def chart(width: float, height: float, name: str = "chart") -> Iterator["Figure"]:
    """Give a figure to draw in, width x height pixels; `svg` or `inline_svg` turn it into text before the block ends.

    Args:
        width, height: pixels.
        name: two charts of one page need different names, which their internal references are made from.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user changes nothing
        style: Any = {**_STYLE, "svg.hashsalt": name}
        matplotlib.rcParams.update(style)
        yield Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)


def axes_at(figure: "Figure", left: float, top: float, width: float, height: float) -> Any:
    """Add axes whose frame is this rectangle, pixels from the upper left corner of the figure; return them."""
    whole = figure.bbox
    shares = (left / whole.width, 1 - (top + height) / whole.height, width / whole.width, height / whole.height)
    return figure.add_axes(shares)


def heading(figure: "Figure", words: str, left: float = 16.0, baseline: float = 24.0, size: float = 15.0) -> None:
    """Write a line of text; left, baseline and size in pixels from the upper left corner of the figure."""
    figure.text(left / figure.bbox.width, 1 - baseline / figure.bbox.height, words, fontsize=size)


def key(figure: "Figure", left: float, middle: float, colour: str, words: str) -> None:
    """Explain a colour: a dot and words, whose middle lies this many pixels from the left and from the top."""
    x, y = left / figure.bbox.width, 1 - middle / figure.bbox.height
    figure.text(x, y, "\N{BLACK CIRCLE}", color=colour, va="center_baseline", ha="center")
    figure.text(x + 10 / figure.bbox.width, y, words, va="center_baseline")


def tooltip(artist: Any, words: str) -> None:
    """Let a viewer show words where the pointer rests on an artist."""
    artist.set_gid(_TOOLTIP + words)


def svg(figure: "Figure") -> str:
    """Return a picture on white that stands alone."""
    return re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', _drawn(figure, "white"), count=2) + "\n"


def inline_svg(figure: "Figure", label: str) -> str:
    """Return a picture without ground for an HTML page, as wide as its place, in the colours and the font of the page.

    Args:
        figure: the chart.
        label: what a screen reader says.
    """
    text = re.sub(r"font-family: [^;\"]*; ?", "", _drawn(figure, "none"))
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    head = f'<svg viewBox="0 0 {figure.bbox.width:g} {figure.bbox.height:g}" role="img" aria-label={quoteattr(label)}'
    return f"{head} {_LINES}>{text[text.index('>') + 1 :]}"


def _drawn(figure: "Figure", ground: str) -> str:
    held = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(held, format="svg", facecolor=ground, metadata=nothing)
    text = held.getvalue()
    text = text[text.index("<svg") :].rstrip().replace("<svg", f"<svg {_LINES}", 1)
    text = re.sub(
        r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL
    )  # it is of all elements
    text = re.sub(rf"<g id=([\"']){_TOOLTIP}(.*?)\1>", r"<g><title>\2</title>", text)
    return re.sub(r'\s*<g id="[^"]*"/>', "", re.sub(r'<g id="[^"]*">', "<g>", text))  # ids of a page are its own


def encode_png(levels: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8]) -> bytes:
    """Return an image as a PNG file.

    Args:
        levels: uint8 (height, width), rows from the top.
        colours: uint8 (256, 3), red, green and blue of each level.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.image import imsave

    held = BytesIO()
    shown: Any = {"cmap": ListedColormap(colours / 255.0), "vmin": 0, "vmax": 255, "metadata": {"Software": None}}
    imsave(held, levels, format="png", **shown)
    return held.getvalue()


def write_svg(path: Path, picture: str) -> None:
    """Write a picture.

    Raises:
        RecipeError: the name does not end in .svg.
        DatasetError: the file cannot be written.
    """
    if path.suffix.lower() != ".svg":
        raise RecipeError(f"{path}: the plot is an SVG; give it a name that ends in .svg")
    try:
        path.write_bytes(picture.encode())
    except OSError as error:
        raise DatasetError(f"{path}: the plot cannot be written ({error.strerror or error})") from None
