"""Several heads at a listener position: listener groups that share all but their yaw, decoded from one trace."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialqa.acoustics.geometric.group import trace_group
from spatialqa.core.geometry import Pose, yaw_quaternion
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows, read_scenes, scene_files
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import prepare_bank
from tests.acoustics.boxes import shoebox
from tests.acoustics.geometric.hearing import LISTENER, SIZE, SOURCES, engine
from tests.fixtures.datasets import planned


def yaw_deg(orientation: list[float]) -> float:
    return float(np.degrees(2 * np.arctan2(orientation[2], orientation[0])) % 360.0)


@pytest.mark.parametrize("heights", ["any", "class"])
def test_groups_at_one_position_differ_by_their_yaw_alone(heights: str, tmp_path: Path) -> None:
    root = planned(tmp_path / "out", 100, yaws_per_group=4, scenes_per_group=4, heights=heights, directions="even")
    at: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for path in DatasetFolder(root).tables("groups"):
        for row in read_rows(path):
            at[row["split"], tuple(row["listener_position"])].append(row)
    assert {split: {len(rows) for (of, _), rows in at.items() if of == split} for split, _ in at} == {
        "train": {4},
        "validation": {1},
        "test": {1},
    }
    for (split, _), rows in at.items():
        if split != "train":
            continue
        assert len({str((row["source_positions"], row["seed"], row["room_id"])) for row in rows}) == 1
        first, *others = [yaw_deg(row["listener_orientation"]) for row in rows]
        assert [(yaw - first) % 360.0 for yaw in others] == pytest.approx([90.0, 180.0, 270.0], abs=1e-6)
        assert len({row["group_id"] for row in rows}) == 4
    report = validate_dataset(root)  # computes directions again, for each head
    assert report.problems == ()
    turned = [s for path in scene_files(DatasetFolder(root)) for s in read_scenes(path) if s.split == "train"]
    sides = [source.azimuth_deg > 0 for scene in turned for source in scene.sources]
    assert 0.35 < np.mean(sides) < 0.65


def test_one_yaw_is_what_a_recipe_had_before(tmp_path: Path) -> None:
    assert "yaws_per_group" not in RenderRecipe().identity()
    assert RenderRecipe(yaws_per_group=2).identity()["yaws_per_group"] == 2
    with pytest.raises(RecipeError, match="yaws_per_group turns the head, and yaw is 30"):
        RenderRecipe(yaws_per_group=2, yaw="30")
    with pytest.raises(RecipeError, match="yaws_per_group has an effect on scenes only"):
        prepare_bank(RenderRecipe(yaws_per_group=2), tmp_path, 4)
    with pytest.raises(RecipeError, match="yaws_per_group has no effect with placements"):
        replace(RenderRecipe(placements="table.csv"), yaws_per_group=2)


def test_heads_at_one_position_are_decoded_from_one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = [Pose(LISTENER.position, yaw_quaternion(yaw)) for yaw in (0.0, 90.0, 180.0, 270.0)]
    box, hearing = shoebox(SIZE, 0.4), engine("foa")
    apart = []
    for head in heads:
        with hearing.open(box) as opened:
            apart.append(opened.rirs(head, SOURCES, 5))
    traces = []

    def counted(*arguments: Any) -> Any:
        traces.append(arguments)
        return trace_group(*arguments)

    monkeypatch.setattr("spatialqa.acoustics.geometric.engine.trace_group", counted)
    with hearing.open(box) as opened:
        together = [opened.rirs(head, SOURCES, 5) for head in heads]
        assert len(traces) == 1
        opened.rirs(heads[0], SOURCES, 6)
        opened.rirs(heads[0], SOURCES[:2], 6)
        opened.rirs(Pose((2.1, 1.5, 2.0)), SOURCES[:2], 6)
        assert len(traces) == 4
    for here, there in zip(together, apart, strict=True):
        assert [rir.tobytes() for rir in here] == [rir.tobytes() for rir in there]
    assert together[0][0].tobytes() != together[1][0].tobytes()
