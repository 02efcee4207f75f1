"""Data sets that several tests read; each is rendered once a session by the real engine."""

from pathlib import Path

import pytest

from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.runner import RunSummary, render_dataset
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe

SMALL = RenderRecipe(
    scenes=24,
    splits="0.5,0.25,0.25",
    duration_s=2.0,
    sample_rate=16000,
    scenes_per_group=4,
    sources_per_group=4,
    scenes_per_shard=4,
    home_kinds=["shoebox"],
    save_rirs=True,
    gain_db=-23.3,  # not a number that float32 holds exactly
    workers=0,
)


class Silent:
    """An observer that only counts."""

    def __init__(self) -> None:
        self.scenes = 0

    def started(self, total: int, done: int, workers: int) -> None:
        self.scenes = done

    def advanced(self, scenes: int) -> None:
        self.scenes += scenes


def render(recipe: RenderRecipe, root: Path) -> RunSummary:
    return render_dataset(recipe, root, Silent())


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 short scenes in seven shards and three splits, with RIRs and questions. Read it; do not change it."""
    root = tmp_path_factory.mktemp("small") / "data"
    render(SMALL, root)
    make_qa(root, QaRecipe())
    return root
