"""Data sets that several tests read; each is rendered once a test run by the real engine."""

from pathlib import Path

import pytest

from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import SMALL, dataset, shared


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 short scenes in seven shards and three splits, with RIRs and questions. Read it; do not change it."""
    return shared(tmp_path_factory, "small", lambda root: dataset(root, SMALL, QaRecipe()))
