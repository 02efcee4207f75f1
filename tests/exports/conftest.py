"""A data set with all that the released form has no words for: turned heads, onsets, cuts, short scenes."""

from dataclasses import replace
from pathlib import Path

import pytest

from spatialqa.qa.ask_options import TYPES
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import SMALL, dataset, shared

HARD = replace(
    SMALL,
    scenes=14,
    sample_rate=32000,
    duration_s=1.5,
    onset_max_s=1.0,
    clip_start="active",
    mix="mean",
    scenes_per_shard=8,
    sources_per_scene={1: 0.4, 2: 0.5, 3: 0.1},
)


@pytest.fixture(scope="session")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 scenes of one to three sources in three splits, with RIRs, open questions and multiple choice."""
    asked = (
        QaRecipe(types=TYPES, balance=False),
        QaRecipe(answer_form="mcq", balance=False, name="mcq"),
    )
    return shared(tmp_path_factory, "hard", lambda root: dataset(root, HARD, *asked))
