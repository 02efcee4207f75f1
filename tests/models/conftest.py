"""Scenes and checkpoints that several tests of models read."""

from pathlib import Path

import pytest
import torch

from spatialqa.generation.recipe import RenderRecipe
from spatialqa.models.bat.checkpoint import pack
from spatialqa.models.bat.config import BATConfig
from spatialqa.models.bat.model import BAT
from spatialqa.models.data.provenance import TrainingProvenance
from spatialqa.models.training.checkpoint import save
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import dataset, shared
from tests.models.test_questions_data import encoder_of

ONE_SOURCE = RenderRecipe(
    scenes=40,
    splits="0.6,0.2,0.2",
    duration_s=1.0,
    sources_per_scene={1: 1.0},
    scenes_per_group=4,
    sources_per_group=4,
    scenes_per_shard=12,
    home_kinds=["shoebox"],
    foley_clips_per_class=10,
    engine_config={"ray_count": 200},
    save_rirs=True,
    workers=0,
)


@pytest.fixture(scope="session")
def one_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 scenes of a second, 24 of them to train on, and their questions. Read it; do not change it."""
    return shared(tmp_path_factory, "one-source", lambda root: dataset(root, ONE_SOURCE, QaRecipe()))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of an encoder with its first weights."""
    run = tmp_path_factory.mktemp("encoder")
    model = encoder_of()
    save(
        run / "best.pt",
        {"model": model.state_dict(), "config": model.config.to_dict(), **TrainingProvenance().stored()},
    )
    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose answers say nothing, but depend on what it hears."""
    run = tmp_path_factory.mktemp("bat-model")
    torch.manual_seed(1)
    bat = BAT(
        BATConfig(
            llm="tiny",
            queries=2,
            qformer_layers=1,
            qformer_width=16,
            qformer_heads=2,
            encoder_width=48,
            lora_rank=0,
            llm_width=16,
            llm_layers=1,
            llm_heads=2,
        )
    )
    with torch.no_grad():  # small first weights would repeat the prompt's last word whatever is heard
        for layer in (bat.encoder_projector.linear, *bat.llm.model.layers[0].modules()):
            if isinstance(layer, torch.nn.Linear):
                layer.weight *= 50.0
    known = {**TrainingProvenance().stored(), "n_samples": 32000, "ears": "both", "silence": False}
    save(run / "best.pt", pack(bat, encoder_of()) | {"known": known})
    return run
