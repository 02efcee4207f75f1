"""A data set with thousands of real questions, made without audio: random scenes, and what make-qa asks of them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spatialqa.core.scene import Scene
from spatialqa.qa.ask_options import TYPES
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import Row, shared, written
from tests.fixtures.scenes import random_scenes, with_angles

HOUSES = 60
TEST_SCENES, TRAIN_SCENES = 800, 50
Write = Callable[[Iterable[tuple[str, str]]], Path]


def placed(scene: Scene, split: str, index: int) -> Scene:
    """Return a random scene as a scene of a split and a house."""
    house = f"{split}-{index % HOUSES}"
    return replace(with_angles(scene), scene_id=f"{split}-{index:08d}", split=split, house_id=house, room_id=house)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """850 random scenes and the questions of every type: open in `qa`, with options in `qa-mcq`. Do not change it."""
    rows = [
        {**placed(scene, split, i).to_row(), "audio": None}
        for split, count, seed in (("test", TEST_SCENES, 1), ("train", TRAIN_SCENES, 2))
        for i, scene in enumerate(random_scenes(count, seed, source_counts=(1, 1, 2, 2, 3, 4)))
    ]

    def make(root: Path) -> None:
        written(root, rows)
        make_qa(root, QaRecipe(types=TYPES))
        make_qa(root, QaRecipe(types=TYPES, answer_form="mcq", name="mcq"))

    return shared(tmp_path_factory, "scored", make)


def questions(root: Path, table: str = "qa", split: str = "test") -> list[Row]:
    rows: list[Row] = pq.read_table(root / table / f"{split}-00000-of-00001.parquet").to_pylist()
    return rows


def write_predictions(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps({"qa_id": q, "prediction": p}) + "\n" for q, p in pairs))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write predictions as JSON lines."""

    def written(pairs: Iterable[tuple[str, str]]) -> Path:
        path = tmp_path / "predictions.jsonl"
        write_predictions(path, pairs)
        return path

    return written
