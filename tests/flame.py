"""Draws a flame graph of a CPU profile of py-spy as an SVG.

    py-spy record --subprocesses --format raw --rate 200 --output render.txt -- spatialqa render OUT --workers 0
    python -m tests.flame render.txt render.svg "TITLE" [FUNCTION]

FUNCTION is where the graph starts; by default at the first function of each stack. A box is a function, as wide as its
share of the samples; what it calls is above it. Boxes of less than half a per cent are left out.
"""

import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

LEAST_SHARE = 0.005
MOST_DEPTH = 22
INCHES = (12.0, 6.5)
CHARACTERS_PER_INCH = 15.0
COLOURS = ("#9ecae1", "#a1d99b", "#fdd0a2", "#dadaeb", "#fdae9b", "#c7e9c0")


@dataclass
class Box:
    """A function as one of its callers has called it. samples: its own and those of what it calls."""

    samples: int = 0
    calls: dict[str, "Box"] = field(default_factory=dict)


def read(path: Path, start: str = "") -> Box:
    """Return the tree of a file of folded stacks, of what is called from the function `start` if one is named."""
    root = Box()
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame.partition(" (")[0] + _module(frame) for frame in stack.split(";")]
        if start:
            first = next((k for k, frame in enumerate(frames) if frame.startswith(f"{start} ")), None)
            if first is None:
                continue
            frames = frames[first:]
        box = root
        box.samples += int(count)
        for frame in frames[:MOST_DEPTH]:
            box = box.calls.setdefault(frame, Box())
            box.samples += int(count)
    return root


def _module(frame: str) -> str:
    """Return the file of a frame, " file.py", or nothing."""
    inside = frame.partition(" (")[2].rstrip(")").partition(":")[0]
    return f" {inside.rpartition('/')[2]}" if inside else ""


def draw(root: Box, title: str, target: Path) -> None:
    """Write the graph of a tree."""
    mpl.rcParams.update({"svg.hashsalt": "spatialqa", "svg.fonttype": "none"})
    figure = Figure(figsize=INCHES)
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.92))
    axes.set_axis_off()
    axes.set_xlim(0.0, 1.0)
    deepest = _draw(axes, root, 0.0, 0, root.samples)
    axes.set_ylim(0.0, deepest + 1.0)
    axes.set_title(f"{title} ({root.samples:,} samples)", loc="left", fontsize=11)
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})


def _draw(axes: "mpl.axes.Axes", box: Box, left: float, depth: int, total: int) -> int:
    """Draw what a box calls from `left` on; returns the greatest depth drawn."""
    deepest = depth
    for name, call in sorted(box.calls.items(), key=lambda item: -item[1].samples):
        width = call.samples / total
        if width < LEAST_SHARE:
            break
        module = name.rpartition(" ")[2]
        colour = COLOURS[zlib.crc32(module.encode()) % len(COLOURS)]
        axes.add_patch(Rectangle((left, depth), width, 0.94, facecolor=colour, edgecolor="white", linewidth=0.5))
        room = int(width * INCHES[0] * CHARACTERS_PER_INCH)
        label = f"{name.rpartition(' ')[0] or name} {100 * width:.0f} %"
        if room >= 6:
            axes.text(left + 0.002, depth + 0.46, label[:room], fontsize=7, va="center", clip_on=True)
        deepest = max(deepest, _draw(axes, call, left, depth + 1, total))
        left += width
    return deepest


if __name__ == "__main__":
    source, picture, heading, *start_at = sys.argv[1:]
    draw(read(Path(source), *start_at), heading, Path(picture))
