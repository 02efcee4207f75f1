"""make-qa over a whole data set of planned scenes."""

from pathlib import Path

import pytest

from spatialqa.errors import DatasetError
from spatialqa.qa.fact import NEEDS_TWO_SOURCES
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import planned, rows_of


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planned(tmp_path_factory.mktemp("planned") / "data", 64)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planned(tmp_path_factory.mktemp("alone") / "data", 64, sources_per_scene={1: 1.0})


def test_a_type_that_no_scene_can_serve_is_named(alone: Path) -> None:
    summary = make_qa(alone, QaRecipe(types=("A", "C")))
    assert summary.unasked() == [f"no question of type C: {NEEDS_TWO_SOURCES} (64)"]
    with pytest.raises(DatasetError, match=rf"no question of type C .*64 scenes: {NEEDS_TWO_SOURCES}"):
        make_qa(alone, QaRecipe(types=("C",)))
    assert {row["type"] for row in rows_of(alone, "qa")} == {"A"}  # what an earlier run asked is still there


def test_the_same_questions_every_time_and_other_ones_by_another_seed(two: Path) -> None:
    make_qa(two, QaRecipe(name="one"))
    make_qa(two, QaRecipe(name="again"))
    make_qa(two, QaRecipe(name="other", seed=1))
    assert rows_of(two, "qa-one") == rows_of(two, "qa-again")
    assert rows_of(two, "qa-one") != rows_of(two, "qa-other")


def test_options_and_rationales_reach_the_table(two: Path) -> None:
    make_qa(two, QaRecipe(name="mcq", types=("A", "B", "E"), answer_form="mcq", rationale=True))
    asked = rows_of(two, "qa-mcq")
    letters = {row["answer"][0] for row in asked if row["subtype"] == "classification"}
    assert letters == set("ABCD")
    assert all(row["answer"] in row["choices"] for row in asked if row["choices"])
    assert all(row["rationale"] for row in asked)


def test_balance_can_be_switched_off(two: Path) -> None:
    on = make_qa(two, QaRecipe(name="on"))
    off = make_qa(two, QaRecipe(name="off", balance=False))
    assert not any("balance" in reason for _, reason in off.skipped)
    assert 0.8 * sum(off.questions.values()) < sum(on.questions.values()) <= sum(off.questions.values())
