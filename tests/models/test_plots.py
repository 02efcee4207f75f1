"""Pictures of training."""

import itertools
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from spatialqa.core.charts import GREY
from spatialqa.models.spatial_ast import metrics
from spatialqa.models.spatial_ast.metrics import DISTANCE_EDGES_M, DRR_EDGES_DB, Positions
from spatialqa.models.spatial_ast.plots import evaluation
from spatialqa.models.training.plots import losses


def test_a_line_is_drawn_wherever_a_stage_ends() -> None:
    def upright(stages: str) -> list[float]:
        steps: list[dict[str, Any]] = [{"step": k, "stage": s, "loss": 3.0 - 0.1 * k} for k, s in enumerate(stages)]
        drawn = ET.fromstring(losses(steps, [], ["loss"]))
        paths = [one.attrib for one in drawn.iter("{http://www.w3.org/2000/svg}path") if GREY in one.attrib["style"]]
        ends = [np.array(re.findall(r"([\d.]+) ([\d.]+)", path["d"]), dtype=float) for path in paths]
        assert all(len(end) == 2 and end[0, 0] == end[1, 0] for end in ends)
        return sorted(float(end[0, 0]) for end in ends)

    assert upright("AAAAAAAAAAA") == []
    (middle,) = upright("AAAAAABBBBB")  # 5 of 10 steps, 300 pixels
    assert upright("AAABBBBBCCC") == pytest.approx([middle - 90, middle + 60])


@pytest.mark.parametrize("n", [9, 3000])
def test_no_label_of_an_evaluation_is_cut_or_lies_over_another(n: int) -> None:
    rng = np.random.default_rng(0)
    true = Positions(rng.uniform(-179, 180, n), rng.uniform(-60, 60, n), rng.uniform(0.5, 10, n))
    said = Positions(
        true.azimuth_deg + rng.normal(0, 9, n), true.elevation_deg, true.distance_m + rng.normal(0, 0.3, n)
    )
    columns, drr = metrics.errors(said, true), rng.normal(0, 8, n)
    bins = [metrics.by_bin(columns, *by) for by in ((true.distance_m, DISTANCE_EDGES_M), (drr, DRR_EDGES_DB))]
    svg = ET.fromstring(evaluation("run on data, test", metrics.octant_confusion(said, true).tolist(), *bins))
    boxes = []
    for one in svg.iter("{http://www.w3.org/2000/svg}text"):
        if "rotate(-0 " in one.attrib["transform"]:
            style = dict(part.split(": ") for part in one.attrib["style"].split("; "))
            size = float(style["font-size"].removesuffix("px"))
            width = 0.6 * size * len(one.text or "")  # wider than in any common font
            share = {"start": 0.0, "middle": 0.5, "end": 1.0}[style.get("text-anchor", "start")]
            left = float(one.attrib["x"]) - width * share
            boxes.append((left, float(one.attrib["y"]) - 0.8 * size, left + width, float(one.attrib["y"]), one.text))
    assert len(boxes) > 60
    assert all(box[0] >= 0 and box[2] <= float(svg.attrib["width"]) for box in boxes)
    assert all(box[1] >= 0 and box[3] <= float(svg.attrib["height"]) for box in boxes)
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
    shares = [text for *_, text in boxes if " of " in str(text) and str(text)[0].isdigit()]
    assert bool(shares) == (n < 100)
