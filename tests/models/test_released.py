"""Files as the reference code writes them, from the command line: encoders, AudioMAE's weights, BAT's."""

import argparse
import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from spatialqa.cli.main import cli
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.bat.answerer import Answerer
from spatialqa.models.bat.checkpoint import load_released
from spatialqa.models.bat.config import BATConfig
from spatialqa.models.bat.llm import tiny_llm, tiny_tokenizer
from spatialqa.models.bat.model import BAT
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.data.scene_index import paper_vocabulary
from spatialqa.models.spatial_ast.checkpoint import load_checkpoint, read_encoder, start_from
from spatialqa.models.spatial_ast.model import PRESETS, SpatialAST
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.models.spatial_ast.train import train
from spatialqa.models.training.checkpoint import ModelError, read_weights

ENCODER = replace(PRESETS["paper"], embed_dim=64, depth=2, heads=1)
ARGS = argparse.Namespace(
    batch_size=64, blr=1e-3, output_dir="./outputs", clip_grad=None, dist_eval=True, betas=(0.9, 0.95)
)
CPU = ("--device", "cpu", "--threads", "1")


def as_saved(model: dict[str, Any]) -> dict[str, Any]:
    """Return what the reference's save_model puts into a file."""
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = torch.optim.AdamW([weight], lr=1e-3)
    weight.sum().backward()
    optimizer.step()
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000}
    return {"model": model, "optimizer": optimizer.state_dict(), "epoch": 47, "scaler": scaler, "args": ARGS}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder with the paper's 355 classes."""
    file = tmp_path_factory.mktemp("released") / "finetuned.pth"
    torch.manual_seed(3)
    torch.save(as_saved(SpatialAST(ENCODER).state_dict()), file)
    return file


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model as a user has one on disk."""
    folder, tokenizer = tmp_path_factory.mktemp("llm"), tiny_tokenizer()
    torch.manual_seed(4)
    tiny_llm(len(tokenizer), 32, 2, 2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def released_bat(llm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What SLAM-LLM writes of a small BAT: an OrderedDict of what is trained, by its names in the whole model."""
    file = tmp_path_factory.mktemp("bat") / "model.pt"
    torch.manual_seed(5)
    config = BATConfig(llm=str(llm), queries=3, qformer_layers=2, qformer_width=64, qformer_heads=1, encoder_width=64)
    model = BAT(config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # zeros until it is trained
            torch.nn.init.normal_(weight)
    torch.save(OrderedDict((name, p.detach()) for name, p in model.named_parameters() if p.requires_grad), file)
    return file


def spatialqa(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


# --- Spatial-AST


def test_an_encoder_in_the_released_layout_is_evaluated(one_source: Path, released: Path) -> None:
    trained = read_encoder(released)
    assert trained.model.config == ENCODER
    assert list(trained.vocabulary) == paper_vocabulary()
    shown = spatialqa("train-baseline", one_source, "--evaluate", released, *CPU)
    assert "MAE, degrees" in shown
    figures = json.loads((released.parent / "finetuned-evaluation-test.json").read_text())
    assert (figures["direction_decoder"], figures["distance_decoder"]) == ("argmax", "argmax")
    assert figures["n_houses_trained_on"] is None
    assert figures["n"]["all"] > 0


def test_other_types_than_a_namespace_are_refused_by_name(tmp_path: Path) -> None:
    for thing, name in (
        (np.dtype("float32"), "numpy.dtype"),
        (Path("a"), "pathlib"),
        (Sneaky(), "test_released.Sneaky"),
    ):
        torch.save({"model": {}, "args": argparse.Namespace(what=thing)}, tmp_path / "other.pth")
        with pytest.raises(ModelError, match=f"other.pth: cannot be read as weights .*{name}.*could run code"):
            read_weights(tmp_path / "other.pth")


class Sneaky(argparse.Namespace):
    """A namespace, but not exactly one."""


def test_a_file_of_another_model_or_of_unknown_classes_is_refused(tmp_path: Path) -> None:
    torch.save(as_saved(SpatialAST(replace(ENCODER, n_classes=50)).state_dict()), tmp_path / "few.pth")
    assert load_checkpoint(tmp_path / "few.pth").config.n_classes == 50
    with pytest.raises(ModelError, match="few.pth: does not name its classes and has not the 355"):
        read_encoder(tmp_path / "few.pth")
    torch.save(as_saved({"encoder.weight": torch.zeros(2)}), tmp_path / "other.pth")
    with pytest.raises(ModelError, match="other.pth: does not hold the weights of a Spatial-AST"):
        read_encoder(tmp_path / "other.pth")


def test_init_says_what_was_loaded_and_what_was_not(
    one_source: Path, released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    donor = SpatialAST(replace(PRESETS["tiny"], depth=4))
    mae = {name: value for name, value in donor.state_dict().items() if name.startswith("blocks.")}
    mae |= {"cls_token": torch.zeros(1, 1, 192), "decoder_blocks.0.norm1.weight": torch.zeros(512)}
    torch.save(as_saved(mae), tmp_path / "pretrained.pth")
    recipe = TrainRecipe(
        run=str(tmp_path / "run"), init=str(tmp_path / "pretrained.pth"), time_limit_min=0.0, device="cpu"
    )
    train([one_source], recipe)
    told = " ".join(capsys.readouterr().err.split())
    assert "pretrained.pth: 48 tensors are loaded: blocks (48); not loaded, with first weights: " in told
    assert "cls_tokens" in told
    assert "in the file and not used: cls_token, decoder_blocks" in told
    with pytest.raises(DatasetError, match="holds another training run .*init"):
        train([one_source], replace(recipe, init=str(released)))
    loaded = start_from(SpatialAST(replace(ENCODER, n_classes=2)), released, paper_vocabulary()[:2])
    assert (loaded.kept, loaded.unused) == ((), ())


# --- BAT


def test_a_bat_in_the_released_layout_answers(
    one_source: Path, released: Path, released_bat: Path, llm: Path, tmp_path: Path
) -> None:
    parts = ("--model", released_bat, "--encoder", released, "--llm", llm, *CPU, "--beams", 1, "--max-new-tokens", 4)
    spatialqa("answer", one_source, "--to", tmp_path / "answers.jsonl", "--limit", 2, *parts)
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) >= 2
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).standard_normal((32000, 2)) * 0.1, 32000)
    assert "10 s that the model was trained with" in spatialqa("listen", tmp_path / "a.wav", "Where is it?", *parts)
    again = spatialqa("answer", one_source, "--to", tmp_path / "answers.jsonl", "--limit", 2, *parts)
    assert "of them from before" in again


def test_the_sizes_of_a_released_bat_are_those_of_its_tensors(released_bat: Path, llm: Path) -> None:
    with pytest.raises(ModelError, match="llm"):
        load_released(released_bat)  # the paper's language model is not here
    recipe = AnswerRecipe(device="cpu", threads=1, llm=str(llm))
    with pytest.raises(RecipeError, match="has no encoder: name a Spatial-AST with --encoder"):
        Answerer(released_bat, recipe)


def test_another_encoder_than_the_one_it_was_trained_with_is_refused(
    released_bat: Path, llm: Path, model: Path, tmp_path: Path
) -> None:
    torch.save(as_saved(SpatialAST(replace(ENCODER, embed_dim=128, heads=2)).state_dict()), tmp_path / "wide.pth")
    recipe = AnswerRecipe(device="cpu", threads=1, llm=str(llm), encoder=str(tmp_path / "wide.pth"))
    with pytest.raises(ModelError, match="tokens have 128 values, and .* takes 64"):
        Answerer(released_bat, recipe)
    with pytest.raises(RecipeError, match="leave out --encoder"):
        Answerer(model, replace(recipe, llm=None))
