"""So many questions of each type, one scene for each."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spatialqa.core.scene import Scene
from spatialqa.errors import RecipeError
from spatialqa.qa.make import make_qa
from spatialqa.qa.quota import Quota
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import planned
from tests.fixtures.scenes import random_scenes

ALL_ASKABLE = QaRecipe(balance=False, direction_margin_deg=0.0, relation_margin_deg=0.0, distance_margin_m=0.0)


def scenes(split: str, one: int, two: int) -> list[Scene]:
    made = [*random_scenes(one, seed=1, source_counts=(1,)), *random_scenes(two, seed=2, source_counts=(2,))]
    return [replace(scene, split=split, scene_id=f"{split}-{k}") for k, scene in enumerate(made)]


def test_counts_are_exact_and_spread_over_the_scenes() -> None:
    train = scenes("train", 400, 400)
    quota = Quota({"A": 100, "B": 150, "E": 300}, {("train", False): 400, ("train", True): 400}, 0)
    asked: Counter[str] = Counter()
    early = 0
    for k, scene in enumerate(train):
        subtypes = quota.subtypes(scene)
        if subtypes:
            kind = {"classification": "A", "location": "B"}.get(subtypes[0], "E")
            quota.asked("train", kind)
            asked[kind] += 1
            early += k < 200
    assert asked == {"A": 100, "B": 150, "E": 300}
    assert not quota.unmet()
    assert 95 < early < 155  # of 250 in the 400 scenes with one source


def test_other_splits_follow_in_proportion_and_what_is_wanting_is_told() -> None:
    quota = Quota({"A": 100, "C": 50}, {("train", False): 200, ("test", False): 20, ("train", True): 30}, 0)
    assert +quota.left == {("train", "A"): 100, ("test", "A"): 10, ("train", "C"): 50}
    for scene in scenes("train", 200, 30):
        if quota.subtypes(scene):
            quota.asked("train", "A" if len(scene.sources) == 1 else "C")
    assert quota.unmet() == {"A": 10, "C": 20}  # the test scenes are still to come


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"type_counts": {"X": 3}}, "type_counts names X"),
        ({"type_counts": {"A": 3}, "types": ("B",)}, "type_counts names A"),
        ({"type_counts": {"A": -3}}, "at least 0"),
        ({"type_counts": {"A": 3}, "questions_per_subtype": 2}, "one question"),
    ],
)
def test_counts_that_cannot_be(changes: dict[str, object], text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        QaRecipe(**changes)  # type: ignore[arg-type]


def test_a_data_set_has_the_counts_of_its_recipe(tmp_path: Path) -> None:
    planned(tmp_path, 120, splits="1,0,0", scenes_per_shard=64)
    wanted = {"A": 10, "B": 12, "C": 8, "D": 9, "E": 20}
    summary = make_qa(tmp_path, replace(ALL_ASKABLE, type_counts=wanted))
    rows = pq.read_table(tmp_path / "qa", columns=["type", "scene_id"]).to_pylist()
    assert Counter(row["type"] for row in rows) == wanted
    assert len({row["scene_id"] for row in rows}) == sum(wanted.values())
    assert not summary.unasked()
    greedy = make_qa(tmp_path, replace(ALL_ASKABLE, type_counts={"E": 1000}))
    assert "more questions of type E than the scenes serve" in greedy.unasked()[0]
