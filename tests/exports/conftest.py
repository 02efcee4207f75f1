"""A data set with all that the released form has no words for: turned heads, onsets, cuts, short scenes."""

from dataclasses import replace
from pathlib import Path

import pytest

from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.conftest import SMALL, render

HARD = replace(
    SMALL,
    scenes=14,
    sample_rate=32000,
    duration_s=1.5,
    onset_max_s=1.0,
    clip_start="random",
    mix="mean",
    scenes_per_shard=8,
    sources_per_scene={1: 0.4, 2: 0.5, 3: 0.1},
)


@pytest.fixture(scope="session")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 scenes of one to three sources in three splits, with RIRs, open questions and multiple choice."""
    root = tmp_path_factory.mktemp("hard") / "data"
    render(HARD, root)
    make_qa(root, QaRecipe(types=("A", "B", "C", "D", "E", "X"), balance=False))
    make_qa(root, QaRecipe(answer_form="mcq", balance=False, name="mcq"))
    return root
