"""Pictures of training."""

import xml.etree.ElementTree as ET
from typing import Any

from spatialqa.models.training.plots import losses


def test_a_line_is_drawn_wherever_a_stage_ends() -> None:
    def upright(stages: str) -> list[float]:
        steps: list[dict[str, Any]] = [{"step": k, "stage": s, "loss": 3.0 - 0.1 * k} for k, s in enumerate(stages)]
        found = ET.fromstring(losses(steps, [], ["loss"])).iter("{http://www.w3.org/2000/svg}line")
        return sorted(float(one.attrib["x1"]) for one in found if one.attrib["x1"] == one.attrib["x2"])

    axis = upright("AAAAAAAAAAA")
    assert len(axis) == 1
    assert upright("AAAAAABBBBB") == [axis[0], axis[0] + 150.0]  # 5 of 10 steps, 300 pixels
    assert upright("AAABBBBBCCC") == [axis[0], axis[0] + 60.0, axis[0] + 210.0]
