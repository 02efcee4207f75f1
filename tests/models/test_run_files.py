"""The records of a training run and of a file of answers: what is damaged is one line with an advice that works."""

from pathlib import Path
from typing import Any

import pytest
import torch

from spatialqa.errors import DatasetError
from spatialqa.models.bat.answers_file import claim_answers
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.spatial_ast.losses import parameter_groups
from spatialqa.models.spatial_ast.model import SpatialAST
from spatialqa.models.training.checkpoint import ModelError, load_optimizer
from spatialqa.models.training.run_folder import claim
from tests.fixtures.datasets import written
from tests.fixtures.scenes import scene, source
from tests.models.test_questions_data import encoder_of

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
    assert claim_answers(to, data, AnswerRecipe(), [weights]) == set()
    to.write_text('{"qa_id": "a", "prediction": "b"}\n')
    assert claim_answers(to, data, AnswerRecipe(), [weights]) == {"a"}
    record = tmp_path / "answers.jsonl.run.json"
    record.write_text(text)
    with pytest.raises(DatasetError, match=r"run.json: .*remove answers.jsonl and answers.jsonl.run.json") as caught:
        claim_answers(to, data, AnswerRecipe(), [weights])
    assert "\n" not in str(caught.value)
    to.unlink()
    record.unlink()
    assert claim_answers(to, data, AnswerRecipe(), [weights]) == set()


# --- optimizers of earlier versions -----------------------------------------------------------------------------------


def groups_before(model: SpatialAST, layer_decay: float) -> list[dict[str, Any]]:
    """The groups of earlier versions: the learned tokens and the fusion convolution were in the lowest layer."""
    groups = parameter_groups(model, 0.05, layer_decay)
    own = {id(p) for n, p in model.named_parameters() if n.startswith(("cls_tokens", "conv_downsample"))}
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
    for decays in (True, False):
        moved = [p for p in model.parameters() if id(p) in own and (p.ndim > 1) == decays]
        lowest = min((g for g in groups if (g["weight_decay"] > 0) == decays), key=lambda g: float(g["scale"]))
        lowest["params"] += moved
    return [group for group in groups if group["params"]]


def stepped(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer.step()
    return optimizer


def test_an_optimizer_with_other_parameter_groups_is_refused_in_one_line(tmp_path: Path) -> None:
    model = encoder_of()
    before = stepped(groups_before(model, 0.75)).state_dict()
    now = torch.optim.AdamW(parameter_groups(model, 0.05, 0.75), lr=1e-3)
    with pytest.raises(ModelError, match="last.pt: its optimizer has other parameter groups .*--init") as caught:
        load_optimizer(now, before, tmp_path / "last.pt")
    assert "\n" not in str(caught.value)
    assert not now.state  # nothing was taken over


def test_an_optimizer_with_the_same_groups_is_taken_over(tmp_path: Path) -> None:
    model = encoder_of()
    stored = stepped(parameter_groups(model, 0.05, 0.75)).state_dict()
    now = torch.optim.AdamW(parameter_groups(model, 0.05, 0.75), lr=1e-3)
    load_optimizer(now, stored, tmp_path / "last.pt")
    assert len(now.state) == sum(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda state: state["param_groups"].pop(), r"\(\d+, not \d+\)"),
        (lambda state: state["param_groups"][0].update(scale=9.0), "the scale of group 1 is 9, not "),
        (lambda state: state["state"][0].update(exp_avg=torch.zeros(1, 7)), r"parameter 1 is \(1, 7\), not "),
        (lambda state: state.pop("param_groups"), "cannot be read"),
    ],
)
def test_what_differs_between_two_optimizers_is_said(tmp_path: Path, change: Any, fault: str) -> None:
    model = encoder_of()
    stored = stepped(parameter_groups(model, 0.05, 0.75)).state_dict()
    change(stored)
    now = torch.optim.AdamW(parameter_groups(model, 0.05, 0.75), lr=1e-3)
    with pytest.raises(ModelError, match=fault):
        load_optimizer(now, stored, tmp_path / "last.pt")
