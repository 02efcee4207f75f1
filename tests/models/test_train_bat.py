import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.bat import load_bat
from spatialqa.models.bat_recipe import BATRecipe, Stage, stages
from spatialqa.models.llm import tiny_llm, tiny_tokenizer
from spatialqa.models.run_folder import claim, read_log, save
from spatialqa.models.spatial_ast import ModelError
from spatialqa.models.train_bat import Plan, cut, identity_of, train
from spatialqa.recipe_keys import build
from tests.models.test_questions_data import encoder_of, made_up

QUICK = BATRecipe(
    queries=2,
    qformer_layers=1,
    qformer_width=16,
    qformer_heads=2,
    llm_width=16,
    llm_layers=1,
    llm_heads=2,
    curriculum="A,B:2;A,B,C,D,E:1.5",
    warmup_epochs=0.5,
    batch_size=4,
    lr=0.03,
    threads=1,
    device="cpu",
    checkpoint_s=0.0,
    mirror=True,
    lora_dropout=0.1,
    qformer_dropout=0.1,
)


@pytest.fixture(scope="session")
def trained(small: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run."""
    run = tmp_path_factory.mktemp("bat") / "run"
    train([small], replace(QUICK, encoder=str(encoder), run=str(run)))
    return run


def logged(run: Path) -> list[tuple[str, ...]]:
    with (run / "log.csv").open(newline="") as file:
        return [tuple(row[name] for name in ("step", "stage", "epoch", "loss", "lr")) for row in csv.DictReader(file)]


# --- the recipe


def test_a_curriculum_is_stages_of_types_and_passes() -> None:
    assert stages("A,B:2; A,B,C,D:2;E:0.5") == (
        Stage(("A", "B"), 2.0),
        Stage(("A", "B", "C", "D"), 2.0),
        Stage(("E",), 0.5),
    )
    for wrong in ("", "A,B", "A,Z:1", "A:0", "A:-1", "A:nan", "A,A:1", "A:1;;B:1"):
        with pytest.raises(RecipeError, match="is no stage; write types and passes over them"):
            stages(wrong)


def test_keys_are_checked_and_execution_is_no_identity() -> None:
    recipe = build(BATRecipe, {"lora-rank": "4", "encoder": "somewhere", "batch_size": "4"}, "command line")
    assert recipe.shape() == {"lora_rank": 4}
    identity = recipe.identity()
    assert identity["encoder"] == "given"
    assert "run" not in identity
    assert "accumulate" not in identity
    with pytest.raises(RecipeError, match="two controls"):
        BATRecipe(silence=True, ears="same")


def test_a_plan_counts_steps_of_stages_with_a_pass_cut_short() -> None:
    recipe = BATRecipe(curriculum="A:2;A,E:1.5", batch_size=10, warmup_epochs=3.0)
    plan = Plan.of(recipe, [made_up(45), made_up(104)])
    assert plan.per_epoch == (4, 10)
    assert plan.steps == (8, 15)
    assert plan.warmup == 11  # not 8 + 10: at most half
    assert (plan.total, plan.epochs(0), plan.epochs(1)) == (23, 2, 2)
    assert [plan.batches(1, epoch) for epoch in (0, 1)] == [10, 5]
    assert plan.done(1, 1, 3) == 8 + 10 + 3
    assert Plan.of(replace(recipe, warmup_epochs=1.0), [made_up(45), made_up(104)]).warmup == 4


def test_a_batch_is_cut_into_parts_that_together_are_all_of_it() -> None:
    batch = made_up(20).read(np.arange(7))
    parts = list(cut(batch, 3))
    assert [len(part.questions) for part in parts] == [3, 2, 2]
    assert torch.equal(torch.cat([part.sound for part in parts]), batch.sound)
    assert [a for part in parts for a in part.answers] == batch.answers
    assert len(list(cut(batch, 99))) == 7


# --- runs


def test_a_run_goes_through_its_curriculum_and_leaves_one_file_that_answers(trained: Path, small: Path) -> None:
    rows = read_log(trained / "log.csv")
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert list(dict.fromkeys(row["stage"] for row in rows)) == ["AB", "ABCDE"]
    passes = read_log(trained / "validation.csv")
    assert [(row["stage"], row["epoch"]) for row in passes] == [("AB", 1), ("AB", 2), ("ABCDE", 1), ("ABCDE", 2)]
    assert {"loss_A", "loss_B"} <= passes[0].keys()
    assert "loss_E" not in passes[0]
    assert "loss_E" in passes[2]
    assert np.mean([row["loss"] for row in rows[-3:]]) < rows[0]["loss"] - 1.0
    assert (trained / "loss.svg").read_text().startswith("<svg")
    bat, encoder = load_bat(trained / "best.pt")
    assert bat.config.queries == 2
    assert encoder is not None
    said = bat.generate(torch.zeros(2, 5, 48), ["Where is it?", "Is it near?"], beams=1, max_new_tokens=5)
    assert len(said) == 2


def test_a_run_that_is_killed_and_goes_on_has_the_losses_of_one_that_was_not(
    small: Path, encoder: Path, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    recipe = replace(QUICK, encoder=str(encoder), run=str(run))
    values = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    code = (
        "import sys, pathlib\nfrom spatialqa.models.bat_recipe import BATRecipe\n"
        "from spatialqa.models.train_bat import train\n"
        f"train([pathlib.Path(sys.argv[1])], BATRecipe(**{values!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(small)], env=os.environ | {"OMP_NUM_THREADS": "1"})
    log = run / "log.csv"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if log.is_file() and log.read_text().count("\n") > 7:
            break
        time.sleep(0.002)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 7 <= len(logged(run)) < len(logged(trained))
    train([small], recipe)
    assert logged(run) == logged(trained)
    weights = [torch.load(folder / "best.pt", weights_only=True)["weights"] for folder in (run, trained)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_a_run_stops_when_its_time_is_up_and_goes_on_with_the_same_losses(
    small: Path, encoder: Path, trained: Path, tmp_path: Path
) -> None:
    recipe = replace(QUICK, encoder=str(encoder), run=str(tmp_path / "run"))
    train([small], replace(recipe, time_limit_min=0.0))
    assert len(logged(tmp_path / "run")) == 1
    train([small], recipe)
    assert logged(tmp_path / "run") == logged(trained)


def test_a_batch_in_parts_gives_the_same_steps(small: Path, encoder: Path, tmp_path: Path) -> None:
    calm = replace(QUICK, encoder=str(encoder), lora_dropout=0.0, qformer_dropout=0.0, curriculum="A,B:2")
    train([small], replace(calm, run=str(tmp_path / "whole")))
    train([small], replace(calm, run=str(tmp_path / "parts"), accumulate=3))
    whole, parts = ([float(row[3]) for row in logged(tmp_path / name)] for name in ("whole", "parts"))
    assert parts == pytest.approx(whole, rel=1e-4)


def test_two_processes_take_the_steps_of_one_and_may_share_out_a_frozen_llm(
    small: Path, encoder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    tiny_llm(len(tokenizer), 16, 2, 2).save_pretrained(tmp_path / "llm")
    tokenizer.save_pretrained(tmp_path / "llm")
    calm = replace(QUICK, encoder=str(encoder), lora_dropout=0.0, qformer_dropout=0.0, curriculum="A,B:2")
    recipes = {
        "whole": calm,
        "shared": replace(calm, llm=str(tmp_path / "llm"), lora_rank=4, parallel="fsdp"),
    }
    for name, recipe in recipes.items():
        train([small], replace(recipe, run=str(tmp_path / f"one-{name}")))
    recipes = {name: replace(recipe, run=str(tmp_path / f"two-{name}")) for name, recipe in recipes.items()}
    values = [{f.name: getattr(recipe, f.name) for f in fields(recipe)} for recipe in recipes.values()]
    script = tmp_path / "go.py"
    script.write_text(
        "import pathlib\nimport sys\nfrom spatialqa.models import train_bat\n"
        "from spatialqa.models.bat_recipe import BATRecipe\n"
        "from torch.distributed.tensor import DTensor\nmake = train_bat.new_listener\n"
        "def count(*given):\n"
        "    model = make(*given)\n"
        "    print('shared', sum(isinstance(p, DTensor) for p in model.parameters()), flush=True)\n"
        "    return model\n"
        "train_bat.new_listener = count\n"
        f"values = {values!r}[int(sys.argv[1])]\n"
        f"train_bat.train([pathlib.Path({str(small)!r})], BATRecipe(**values))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    counted = []
    for number in ("0", "1"):  # a torchrun each: groups that follow one another share a store and may take old keys
        done = subprocess.run(
            [*command, number], check=True, env=environment, timeout=240, capture_output=True, text=True
        )
        counted += [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("shared")]
    assert counted == [0, 0, 18, 18]  # nine tensors in each layer of LLaMA
    for name in recipes:
        one, two = ([float(row[3]) for row in logged(tmp_path / f"{n}-{name}")] for n in ("one", "two"))
        assert two == pytest.approx(one, rel=1e-4)
        assert (tmp_path / f"two-{name}" / "best.pt").is_file()


def test_an_encoder_can_be_trained_too(small: Path, encoder: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:2", encoder_frozen=False, run=str(tmp_path / "run"))
    train([small], replace(recipe, time_limit_min=0.0))
    train([small], recipe)
    _, after = load_bat(tmp_path / "run" / "best.pt")
    assert after is not None
    before = encoder_of().state_dict()
    assert not torch.equal(after.state_dict()["patch_embed.proj.weight"], before["patch_embed.proj.weight"])


def test_a_frozen_encoder_stays_as_it_was(trained: Path) -> None:
    _, after = load_bat(trained / "best.pt")
    assert after is not None
    before = encoder_of().state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.state_dict().items())


def test_silence_is_a_control_and_training_goes_on_from_a_checkpoint(
    small: Path, encoder: Path, trained: Path, tmp_path: Path
) -> None:
    silent = replace(QUICK, encoder=str(encoder), silence=True, init=str(trained / "best.pt"), curriculum="A,B:2")
    train([small], replace(silent, run=str(tmp_path / "run")))
    first = float(logged(tmp_path / "run")[0][3])
    assert first < float(logged(trained)[0][3]) - 1.0
    assert torch.load(tmp_path / "run" / "best.pt", weights_only=True)["known"]["silence"]
    assert not (tmp_path / "run" / "cache").exists()
    with pytest.raises(ModelError, match="is of another shape or LLM"):
        train([small], replace(silent, run=str(tmp_path / "other"), queries=4))


# --- what is refused


def test_another_recipe_or_encoder_is_another_run(small: Path, encoder: Path, trained: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, encoder=str(encoder), run=str(trained))
    with pytest.raises(DatasetError, match=r"holds another training run \(recipe.seed was 0 and is 1\)"):
        train([small], replace(recipe, seed=1))
    other = encoder_of()
    other.head.bias.data += 1.0
    save(tmp_path / "other.pt", {"model": other.state_dict(), "config": other.config.to_dict()})
    with pytest.raises(DatasetError, match="holds another training run"):
        claim(trained, [small], identity_of(recipe, [small], tmp_path / "other.pt"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty and no training run"):
        train([small], replace(recipe, run=str(tmp_path / "full")))


def test_a_stage_of_which_nothing_is_asked_is_refused(small: Path, encoder: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, encoder=str(encoder), run=str(tmp_path / "run"), curriculum="A,B:1;X:1")
    with pytest.raises(DatasetError, match="nothing of type X is asked in the train split"):
        train([small], recipe)


def test_an_encoder_must_be_named_and_be_there(small: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="name it with --encoder RUN"):
        train([small], replace(QUICK, run=str(tmp_path / "run")))
    with pytest.raises(ModelError, match="no such file"):
        train([small], replace(QUICK, encoder=str(tmp_path), run=str(tmp_path / "run")))


def test_an_encoder_for_another_rate_is_refused(small: Path, tmp_path: Path) -> None:
    from spatialqa.models.spatial_ast import PRESETS

    other = encoder_of(replace(PRESETS["tiny"], depth=1))
    save(tmp_path / "other.pt", {"model": other.state_dict(), "config": other.config.to_dict()})
    with pytest.raises(RecipeError, match="render them with --sample-rate 32000"):
        train([small], replace(QUICK, encoder=str(tmp_path / "other.pt"), run=str(tmp_path / "run")))
