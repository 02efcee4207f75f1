"""The records of a training run and of a file of answers: what is damaged is one line with an advice that works."""

from pathlib import Path

import pytest

from spatialqa.errors import DatasetError
from spatialqa.models.bat.answer import _claim
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.training.run_folder import claim
from tests.fixtures.datasets import written
from tests.fixtures.scenes import scene, source

OTHERS = ["[]", "null", '"x"', "{", "\x00"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    one = scene(source((1.0, 1.0, 1.0))).to_row() | {"audio": None}
    return written(tmp_path / "data", [one])


@pytest.mark.parametrize("text", OTHERS)
def test_a_training_run_whose_record_is_damaged(data: Path, tmp_path: Path, text: str) -> None:
    claim(tmp_path / "run", [data], {"lr": 0.1})
    (tmp_path / "run" / "run.json").write_text(text)
    with pytest.raises(DatasetError, match="run.json: .*; name another folder with --run") as caught:
        claim(tmp_path / "run", [data], {"lr": 0.1})
    assert "\n" not in str(caught.value)
    claim(tmp_path / "other", [data], {"lr": 0.1})


@pytest.mark.parametrize("text", OTHERS)
def test_answers_whose_record_is_damaged(data: Path, tmp_path: Path, text: str) -> None:
    to, weights = tmp_path / "answers.jsonl", tmp_path / "best.pt"
    weights.touch()
    assert _claim(to, data, AnswerRecipe(), [weights]) == set()
    to.write_text('{"qa_id": "a", "prediction": "b"}\n')
    assert _claim(to, data, AnswerRecipe(), [weights]) == {"a"}
    record = tmp_path / "answers.jsonl.run.json"
    record.write_text(text)
    with pytest.raises(DatasetError, match=r"run.json: .*remove answers.jsonl and answers.jsonl.run.json") as caught:
        _claim(to, data, AnswerRecipe(), [weights])
    assert "\n" not in str(caught.value)
    to.unlink()
    record.unlink()
    assert _claim(to, data, AnswerRecipe(), [weights]) == set()
