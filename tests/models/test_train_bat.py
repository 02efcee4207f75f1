import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from spatialqa.core.recipe_keys import build
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.bat import train as train_bat
from spatialqa.models.bat.checkpoint import load_bat, save_bat
from spatialqa.models.bat.curriculum import plan_of, warmup_steps
from spatialqa.models.bat.encoder_lm import cut, encoded_part, new_encoder_lm
from spatialqa.models.bat.recipe import BATRecipe, Stage, stages
from spatialqa.models.bat.train import BATTrainer, identity_of, inherited_provenance, own_rows, train
from spatialqa.models.data.provenance import Contamination, TrainingProvenance
from spatialqa.models.training.checkpoint import ModelError, save
from spatialqa.models.training.loop import Plan
from spatialqa.models.training.process import Process, compiled
from spatialqa.models.training.run_folder import Report, claim, read_log
from tests.fixtures.kills import call, kill_when
from tests.fixtures.records import recorded
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
        with pytest.raises(RecipeError, match="is not a stage; write types and epochs"):
            stages(wrong)


def test_keys_are_checked_and_execution_is_no_identity() -> None:
    recipe = build(BATRecipe, {"lora-rank": "4", "encoder": "somewhere", "batch_size": "4"}, "command line")
    assert recipe.shape() == {"lora_rank": 4}
    identity = recipe.identity()
    assert identity["encoder"] == "given"
    assert "run" not in identity
    assert "accumulate" not in identity
    with pytest.raises(RecipeError, match="both controls"):
        BATRecipe(silence=True, ears="same")


def test_a_plan_counts_steps_of_stages_with_a_pass_cut_short() -> None:
    recipe = BATRecipe(curriculum="A:2;A,E:1.5", batch_size=10, warmup_epochs=3.0)
    plan = plan_of(recipe, [made_up(45), made_up(104)])
    assert plan.per_epoch == (4, 10)
    assert plan.steps == (8, 15)
    assert warmup_steps(recipe, plan) == 11  # not 8 + 10: at most half
    assert (plan.total, plan.epochs(0), plan.epochs(1)) == (23, 2, 2)
    assert [plan.batches(1, epoch) for epoch in (0, 1)] == [10, 5]
    assert plan.done(1, 1, 3) == 8 + 10 + 3
    assert warmup_steps(replace(recipe, warmup_epochs=1.0), plan) == 4


def test_after_a_truncated_epoch_what_is_left_are_the_stages_that_follow() -> None:
    plan = Plan(("A", "E", "E"), per_epoch=(10, 100, 100), steps=(15, 30, 40))
    assert [plan.done(0, epoch, 0) for epoch in (0, 1, 2)] == [0, 10, 15]
    assert [plan.total - plan.done(stage, 1, 0) for stage in (1, 2)] == [40, 0]


def test_stages_of_the_same_types_report_the_losses_of_their_own_steps_and_the_time_left(
    small: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, left = tmp_path / "run", []
    report = Report.epoch

    def watched(self: Report, row: dict[str, Any], epochs: int, steps_left: int) -> None:
        left.append(steps_left)
        report(self, row, epochs, steps_left)

    monkeypatch.setattr(Report, "epoch", watched)
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:1;A,B:1.5;A,B:0.5", batch_size=1, run=str(run))
    train([small], recipe)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("AB ")]
    ends = [0, *(int(row["step"]) for row in read_log(run / "validation.csv"))]
    assert len(printed) == len(ends) - 1 == 4
    assert ends[4] - ends[3] < ends[1]  # the last epoch is truncated
    steps = read_log(run / "log.csv")
    for line, begin, end in zip(printed, ends[:-1], ends[1:], strict=True):
        mean = np.mean([row["loss"] for row in steps if begin < row["step"] <= end])
        assert f": loss {mean:.3f}, " in line
    assert left == [ends[-1] - end for end in ends[1:]]
    assert printed[-1].endswith(" 0.0 min left")


def test_a_batch_is_cut_into_parts_that_together_are_all_of_it() -> None:
    batch = made_up(20).read(np.array([3, 10, 9, 4, 2, 18, 11]))  # of the scenes 3, 3, 2, 4, 2, 4, 4
    parts = list(cut(batch, 3))
    assert [len(part.questions) for part in parts] == [3, 2, 2]
    assert torch.equal(torch.cat([part.sound[part.of] for part in parts]), batch.sound[batch.of])
    assert [len(part.sound) for part in parts] == [2, 2, 1]
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
    log = run / "log.csv"
    kill_when(lambda: log.is_file() and log.read_text().count("\n") > 7, call(train, [small], recipe))
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


def test_questions_of_a_scene_are_trained_on_together(small: Path, encoder: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, encoder=str(encoder), questions_per_scene=4, silent_share=0.2, mirror=True)
    heard: list[float] = []

    class Counted(BATTrainer):
        def backward(self, batch: Any) -> Any:
            heard.append(sum(len(part.sound) for part in batch) / sum(len(part.of) for part in batch))
            return super().backward(batch)

    process = Process(0, 1, torch.device("cpu"))
    for each in (1, 4):
        run = replace(recipe, questions_per_scene=each, run=str(tmp_path / f"of {each}"))
        Counted([small], run, process, encoder / "best.pt", Contamination(TrainingProvenance()), 0.0).train()
        assert (np.mean(heard) < 0.6) == (each == 4)
        heard.clear()
    whole = replace(recipe, run=str(tmp_path / "whole"))
    train([small], whole)
    losses = logged(tmp_path / "whole")
    assert float(losses[-1][3]) < float(losses[0][3])
    train([small], replace(recipe, run=str(tmp_path / "stopped"), time_limit_min=0.0))
    train([small], replace(recipe, run=str(tmp_path / "stopped")))
    assert logged(tmp_path / "stopped") == losses
    assert "questions_per_scene" not in replace(recipe, questions_per_scene=1).identity()
    assert recipe.identity()["questions_per_scene"] == 4
    with pytest.raises(RecipeError, match="questions_per_scene and gradient_checkpointing exclude each other"):
        replace(recipe, gradient_checkpointing=True)
    with pytest.raises(RecipeError, match="questions_per_scene and parallel fsdp exclude each other: set only one"):
        replace(recipe, parallel="fsdp")


def test_processes_keep_the_questions_of_a_scene_together() -> None:
    rows = np.arange(10)
    for per_scene, first in ((1, [0, 3, 6, 9]), (4, [0, 1, 2, 3])):
        shares = [own_rows(rows, rank, 3, per_scene) for rank in range(3)]
        assert shares[0].tolist() == first
        assert [len(share) for share in shares] == [4, 3, 3]
        assert sorted(np.concatenate(shares).tolist()) == list(range(10))


def in_two_processes(recipe: BATRecipe, small: Path, script: Path, before: str = "") -> list[str]:
    """Train under torchrun and return what the processes print of themselves.

    A torchrun each: groups that follow one another share a store and may take old keys.
    """
    values = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    script.write_text(
        "import os, pathlib, sys\nimport torch\nfrom torch.distributed import distributed_c10d\n"
        "from torch.distributed.tensor import DTensor\n"
        "from spatialqa.models.bat import train as train_bat\nfrom spatialqa.models.bat.recipe import BATRecipe\n"
        "make, made = train_bat.new_encoder_lm, []\n"
        "say = sys.stdout.write\n"  # a line at once: print's pieces of two processes would mix
        "def keep(*given):\n"
        "    group = distributed_c10d._get_default_group()._get_backend(torch.device('cpu'))\n"
        "    say(f'waits {group.options._timeout.days}\\n')\n"
        "    made.append(make(*given))\n"
        "    say(f'shared {sum(isinstance(p, DTensor) for p in made[0].parameters())}\\n')\n"
        "    return made[0]\n"
        f"train_bat.new_encoder_lm = keep\n{before}"
        f"train_bat.train([pathlib.Path({str(small)!r})], BATRecipe(**{values!r}))\n"
        "held = [*made[0].trained().values(), *made[0].encoder.buffers()]\n"
        "say(f'shares {made[0].bat.can_share:d}\\n')\n"
        "say(f'weights {sum(float(w.detach().double().abs().sum()) for w in held)}\\n')\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, env=environment, timeout=480, capture_output=True, text=True)
    return sorted(done.stdout.splitlines())


def said(lines: list[str], name: str) -> list[float]:
    return [float(line.split()[1]) for line in lines if line.startswith(f"{name} ")]


@pytest.mark.parametrize(
    ("how", "shared"),
    [
        ({}, 0),
        ({"questions_per_scene": 4}, 0),
        ({"lora_rank": 4, "llm_layers": 2, "parallel": "fsdp"}, 18),  # nine tensors in each layer of LLaMA
    ],
)
def test_two_processes_take_the_steps_of_one_and_may_share_out_a_frozen_llm(
    how: dict[str, Any], shared: int, small: Path, encoder: Path, tmp_path: Path
) -> None:
    calm = replace(QUICK, encoder=str(encoder), lora_dropout=0.0, qformer_dropout=0.0, curriculum="A,B:2", **how)
    train([small], replace(calm, run=str(tmp_path / "one")))
    lines = in_two_processes(replace(calm, run=str(tmp_path / "two")), small, tmp_path / "go.py")
    assert said(lines, "shared") == [shared, shared]
    assert said(lines, "shares") == [not shared] * 2  # or they might not go through the layers equally often
    assert said(lines, "waits") == [2, 2]  # days: one may make a cache for as long
    one, two = ([float(row[3]) for row in logged(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-4)
    files = [torch.load(tmp_path / name / "best.pt", weights_only=True)["weights"] for name in ("one", "two")]
    assert files[0].keys() == files[1].keys()  # of tiny all, what is shared out too
    for name, weight in files[0].items():
        torch.testing.assert_close(files[1][name], weight, atol=2e-3, rtol=1e-3)


def test_two_processes_train_an_encoder_and_never_part_ways(small: Path, encoder: Path, tmp_path: Path) -> None:
    disagree = (
        "measure, passes = train_bat.measure, []\n"
        "def unlike(*given):\n"
        "    passes.append(None)\n"
        "    found = measure(*given)\n"
        "    return found if os.environ['RANK'] == '0' else {**found, 'loss': float(len(passes))}\n"
        "train_bat.measure = unlike\n"
    )  # the second process alone would find every pass after the first worse, and end the stage
    recipe = replace(QUICK, encoder=str(encoder), encoder_frozen=False, curriculum="A,B:3;E:1", patience=1)
    lines = in_two_processes(replace(recipe, run=str(tmp_path / "run")), small, tmp_path / "go.py", disagree)
    passes = read_log(tmp_path / "run" / "validation.csv")
    assert [row["stage"] for row in passes] == ["AB", "AB", "AB", "E"]
    assert passes[2]["loss"] < passes[1]["loss"] < passes[0]["loss"]
    first, second = said(lines, "weights")
    assert first == second
    assert changed(tmp_path / "run" / "best.pt", "patch_embed.proj.weight")


def changed(checkpoint: Path, name: str) -> bool:
    """Return whether a tensor of the encoder is another one than before training."""
    _, after = load_bat(checkpoint)
    assert after is not None
    return not torch.equal(after.state_dict()[name], encoder_of().state_dict()[name])


def test_an_encoder_that_is_trained_too_goes_on_with_the_same_losses(
    small: Path, encoder: Path, tmp_path: Path
) -> None:
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:2", encoder_frozen=False, masking=True)
    whole, stopped = (replace(recipe, run=str(tmp_path / name)) for name in ("whole", "stopped"))
    train([small], whole)
    for _ in range(2):
        train([small], replace(stopped, time_limit_min=0.0))
    assert len(logged(tmp_path / "stopped")) == 2
    train([small], stopped)
    assert logged(tmp_path / "stopped") == logged(tmp_path / "whole")
    ends = [torch.load(tmp_path / name / "last.pt", weights_only=True)["trained"] for name in ("whole", "stopped")]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    assert any("running_mean" in name for name in ends[0])
    assert changed(tmp_path / "stopped" / "best.pt", "patch_embed.proj.weight")


def test_a_grounded_run_goes_on_with_the_same_losses_and_knows_the_encoders_classes(
    small: Path, tmp_path: Path
) -> None:
    ears = encoder_of()
    for vector in (ears.head.bias, ears.fc_norm.weight, ears.fc_norm.bias):
        torch.nn.init.normal_(vector)
    vocabulary = ["/m/0bt9lr", "/m/07qrkrw", *(f"sound {k}" for k in range(2, ears.config.n_classes))]
    content = {"model": ears.state_dict(), "config": ears.config.to_dict(), "vocabulary": vocabulary}
    (tmp_path / "ears").mkdir()
    save(tmp_path / "ears" / "best.pt", content | TrainingProvenance().stored())
    recipe = replace(QUICK, encoder=str(tmp_path / "ears"), curriculum="A,B:2", grounded=True)
    train([small], replace(recipe, run=str(tmp_path / "whole")))
    for _ in range(2):
        train([small], replace(recipe, run=str(tmp_path / "stopped"), time_limit_min=0.0))
    train([small], replace(recipe, run=str(tmp_path / "stopped")))
    assert logged(tmp_path / "stopped") == logged(tmp_path / "whole")
    for run in ("whole", "stopped"):
        bat, _ = load_bat(tmp_path / run / "best.pt")
        assert bat.config.names[:3] == ("dog", "meow", "sound 2")
        assert bat.grounding is not None
        assert alike(ears.head.state_dict(), bat.grounding.head.state_dict())
        assert alike(ears.fc_norm.state_dict(), bat.grounding.norm.state_dict())
    plain = replace(recipe, run=str(tmp_path / "plain"), grounded=False, init=str(tmp_path / "whole"))
    with pytest.raises(ModelError, match="language model or classes"):
        train([small], plain)


def test_an_encoder_that_names_no_classes_is_refused_before_there_is_a_run(
    small: Path, encoder: Path, tmp_path: Path
) -> None:
    saved = torch.load(encoder / "best.pt", weights_only=True)
    for name in ("head.weight", "head.bias"):  # 355 would be those of SpatialSoundQA
        saved["model"][name] = saved["model"][name][:354]
    torch.save(saved, tmp_path / "other.pt")
    recipe = replace(QUICK, encoder=str(tmp_path / "other.pt"), run=str(tmp_path / "run"), grounded=True)
    with pytest.raises(RecipeError, match="does not name its classes"):
        train([small], recipe)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModelError, match="classes, 3 with names"):
        new_encoder_lm(recipe, encoder_of(), Process(0, 1, torch.device("cpu")), ("dog", "cat", "bell"))


def test_a_grounded_model_goes_on_with_the_classes_of_the_encoder_that_is_named(tmp_path: Path) -> None:
    one, other = encoder_of(), encoder_of()
    torch.nn.init.normal_(other.head.weight)
    names = tuple(f"sound {k}" for k in range(one.config.n_classes))
    process = Process(0, 1, torch.device("cpu"))
    first = new_encoder_lm(replace(QUICK, grounded=True), one, process, names)
    save_bat(tmp_path / "best.pt", first.bat)
    again = new_encoder_lm(replace(QUICK, grounded=True, init=str(tmp_path)), other, process, names)
    assert again.bat.grounding is not None
    assert torch.equal(again.bat.grounding.head.weight, other.head.weight)
    assert torch.equal(again.bat.encoder_projector.query, first.bat.encoder_projector.query)


@pytest.mark.parametrize(("amp", "attention"), [("bf16", "eager"), ("auto", "sdpa"), ("off", "sdpa")])
def test_bfloat16_on_a_cpu_attends_by_matrix_products(amp: str, attention: str) -> None:
    made = new_encoder_lm(replace(QUICK, amp=amp), encoder_of(), Process(0, 1, torch.device("cpu")))
    assert made.bat.llm.config._attn_implementation == attention
    assert made.bat.encoder_projector.qformer.config._attn_implementation == attention


def test_compiling_without_a_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RecipeError, match=r"^compile: needs a C\+\+ compiler, and no-such-compiler is not found"):
        new_encoder_lm(replace(QUICK, compile=True), encoder_of(), Process(0, 1, torch.device("cpu")))


def test_what_a_killed_compiler_left_is_not_taken_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    for name, content, age_s in (("killed", b"", 3600), ("running", b"", 0), ("whole", b"ELF", 3600)):
        library = tmp_path / "ab" / f"{name}.so"
        library.parent.mkdir(exist_ok=True)
        library.write_bytes(content)
        os.utime(library, (time.time() - age_s,) * 2)
    compiled(torch.nn.Identity(), torch.device("cpu"))
    assert sorted(path.stem for path in tmp_path.rglob("*.so")) == ["running", "whole"]


# --- validation


Weights = dict[str, torch.Tensor]


class Killed(BaseException):
    """As a signal ends a process, so nothing handles it."""


def watched(monkeypatch: pytest.MonkeyPatch, losses: Iterator[float]) -> dict[tuple[int, int], list[Weights]]:
    """Let validation find these losses; return the weights before and after each pass, as training goes on."""
    found: dict[tuple[int, int], list[Weights]] = {}
    run_epoch = BATTrainer._run_epoch

    def held(trainer: BATTrainer) -> Weights:
        return {name.removeprefix("bat."): p.detach().clone() for name, p in trainer.trained.items()}

    def watch(trainer: BATTrainer) -> bool:
        own = found.setdefault((trainer.state.stage, trainer.state.epoch), [held(trainer)])
        went_on = run_epoch(trainer)
        own.append(held(trainer))
        return went_on

    monkeypatch.setattr(BATTrainer, "_run_epoch", watch)
    monkeypatch.setattr(train_bat, "measure", lambda *given: {"loss": next(losses)})
    return found


def alike(one: Weights, other: Weights) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_patience_ends_a_stage_and_the_next_begins_with_its_best_weights(
    small: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:9;A,B,C,D,E:9", run=str(tmp_path / "run"))
    found = watched(monkeypatch, iter([3.0, 2.0, 2.5, 2.1, 5.0, 4.0, 4.5, 4.4]))
    best = train([small], replace(recipe, patience=2))
    assert list(found) == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert alike(found[1, 0][0], found[0, 1][1])
    assert not alike(found[1, 0][0], found[0, 3][1])
    assert alike(torch.load(best, weights_only=True)["weights"], found[1, 1][1])
    losses = [(row["stage"], row["loss"]) for row in read_log(tmp_path / "run" / "validation.csv")]
    assert losses[:4] == [("AB", 3.0), ("AB", 2.0), ("AB", 2.5), ("AB", 2.1)]


def test_without_patience_a_stage_goes_on_from_the_last_weights(
    small: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:2;E:2", run=str(tmp_path / "run"))
    found = watched(monkeypatch, iter([1.0, 2.0, 1.0, 2.0]))
    best = train([small], recipe)
    assert alike(found[1, 0][0], found[0, 1][1])
    assert alike(torch.load(best, weights_only=True)["weights"], found[1, 0][1])


@pytest.mark.parametrize("frozen", [True, False])
def test_a_run_that_is_killed_between_two_stages_has_the_losses_of_one_that_was_not(
    frozen: bool, small: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:5;E:2", patience=1, encoder_frozen=frozen)
    whole, killed = (replace(recipe, run=str(tmp_path / name)) for name in ("whole", "killed"))
    watched(monkeypatch, iter([3.0, 2.0, 2.5, 5.0, 4.0]))
    train([small], whole)
    watched(monkeypatch, iter([3.0, 2.0, 2.5, 5.0, 4.0]))
    save_state, go_back = BATTrainer._save, BATTrainer._return_to_best

    def before_going_back(trainer: BATTrainer) -> None:
        raise Killed

    def before_saving(trainer: BATTrainer) -> None:
        if (trainer.state.stage, trainer.state.batch) == (1, 0):
            raise Killed
        save_state(trainer)

    def after_saving(trainer: BATTrainer) -> None:
        save_state(trainer)
        if (trainer.state.stage, trainer.state.batch) == (1, 0):
            raise Killed

    for name, kill, own in (
        ("_return_to_best", before_going_back, go_back),
        ("_save", before_saving, save_state),
        ("_save", after_saving, save_state),
    ):
        monkeypatch.setattr(BATTrainer, name, kill)
        with pytest.raises(Killed):
            train([small], killed)
        monkeypatch.setattr(BATTrainer, name, own)
    train([small], killed)
    assert logged(tmp_path / "killed") == logged(tmp_path / "whole")
    ends = [torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("whole", "killed")]
    assert alike(ends[0]["weights"], ends[1]["weights"])
    assert alike(ends[0]["encoder"]["model"], ends[1]["encoder"]["model"])


def with_validation(small: Path, root: Path, rows: Callable[[pa.Table], pa.Table]) -> Path:
    """Copy a data set with other questions in its validation split."""
    shutil.copytree(small, root)
    for path in (root / "qa").glob("validation-*"):
        pq.write_table(rows(pq.read_table(path)), path)
    return recorded(root)


def test_a_stage_of_which_validation_asks_nothing_keeps_its_last_weights(
    small: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = with_validation(small, tmp_path / "data", lambda table: table.filter(pc.equal(table["type"], "E")))
    recipe = replace(QUICK, encoder=str(encoder), curriculum="A,B:1", run=str(tmp_path / "run"), patience=1)
    best = train([root], recipe)
    assert "nothing of type A, B is asked in the validation split" in capsys.readouterr().err
    assert best.name == "best.pt"
    assert "loss" not in read_log(tmp_path / "run" / "validation.csv")[0]


def test_validation_questions_that_cannot_be_read_are_no_missing_ones(
    small: Path, encoder: Path, tmp_path: Path
) -> None:
    root = with_validation(small, tmp_path / "data", lambda table: table)
    recipe = replace(QUICK, encoder=str(encoder), run=str(tmp_path / "run"))
    (file,) = (root / "qa").glob("validation-*")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DatasetError, match=file.name):
        train([root], recipe)
    file.unlink()
    with pytest.raises(DatasetError, match="is gone; run make-qa again"):
        train([root], recipe)
    recorded(root)
    with pytest.raises(DatasetError, match="holds no questions of the validation split"):
        train([root], recipe)


def test_every_second_question_is_turned_in_training(small: Path, encoder: Path, tmp_path: Path) -> None:
    calm = replace(QUICK, encoder=str(encoder), lora_dropout=0.0, qformer_dropout=0.0, run=str(tmp_path / "run"))
    calm = replace(calm, batch_size=16, time_limit_min=0.0)
    train([small], calm)
    first = float(logged(tmp_path / "run")[0][3])
    process = Process(0, 1, torch.device("cpu"))
    trainer = BATTrainer([small], calm, process, encoder / "best.pt", Contamination(TrainingProvenance()), 0.0)
    asked = trainer.stages[0]
    rows = asked.batches(calm.batch_size, calm.seed, "0/0")[0]
    turned = asked.flipped(calm.seed, "0/0")
    losses, each = [], []
    for flipped in (turned, None):
        part = encoded_part(trainer.module, asked.read(rows, flipped), process.device)
        with torch.no_grad():
            losses.append(float(trainer.module.bat(part.sound, part.text, part.of)))
            each.append(trainer.module.bat(part.sound, part.text, part.of, each=True))
    trainer.close()
    assert first == pytest.approx(losses[0], rel=1e-6)
    assert first != pytest.approx(losses[1], rel=1e-6)
    change = (each[0] - each[1]).abs()
    assert 0 < turned[rows].sum() < len(rows)
    assert change[~turned[rows]].max() < 1e-5  # rounding
    assert change[turned[rows]].max() > 1e-4


@pytest.mark.parametrize("frozen", [True, False])
def test_a_share_of_the_questions_is_asked_in_silence(small: Path, encoder: Path, tmp_path: Path, frozen: bool) -> None:
    heard = {}
    ways: dict[str, dict[str, Any]] = {"control": {"silence": True}, "all": {"silent_share": 1.0}, "none": {}}
    for name, given in (ways | {"half": {"silent_share": 0.5}}).items():
        recipe = replace(QUICK, encoder=str(encoder), run=str(tmp_path / name), encoder_frozen=frozen, **given)
        process = Process(0, 1, torch.device("cpu"))
        trainer = BATTrainer([small], recipe, process, encoder / "best.pt", Contamination(TrainingProvenance()), 0.0)
        asked = trainer.stages[1]
        chosen = asked.silenced(0, "1/0", recipe.silent_share) if recipe.silent_share else None
        batch = asked.read(np.arange(len(asked)), silenced=chosen)
        heard[name] = batch.sound[batch.of]
        trainer.close()
    assert torch.equal(heard["all"], heard["control"])
    assert chosen is not None
    assert 0 < chosen.sum() < len(chosen)
    for k, silent in enumerate(chosen):
        assert torch.equal(heard["half"][k], heard["control" if silent else "none"][k])
    run = replace(QUICK, encoder=str(encoder), run=str(tmp_path / "run"), curriculum="A,B:1", encoder_frozen=frozen)
    train([small], replace(run, silent_share=1.0))
    train([small], replace(run, silence=True, run=str(tmp_path / "silent")))
    assert logged(tmp_path / "run") == logged(tmp_path / "silent")


def test_a_frozen_encoder_stays_as_it_was(trained: Path) -> None:
    _, after = load_bat(trained / "best.pt")
    assert after is not None
    before = encoder_of().state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.state_dict().items())


def test_silence_is_a_control_and_training_goes_on_from_a_checkpoint(
    small: Path, encoder: Path, trained: Path, tmp_path: Path
) -> None:
    silent = replace(QUICK, encoder=str(encoder), silence=True, init=str(trained), curriculum="A,B:2")
    train([small], replace(silent, run=str(tmp_path / "run")))
    first = float(logged(tmp_path / "run")[0][3])
    assert first < float(logged(trained)[0][3]) - 1.0
    assert torch.load(tmp_path / "run" / "best.pt", weights_only=True)["known"]["silence"]
    assert not (tmp_path / "run" / "cache").exists()
    with pytest.raises(ModelError, match="differs from this recipe in shape, language model or classes"):
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
    from spatialqa.models.spatial_ast.model import PRESETS

    other = encoder_of(replace(PRESETS["tiny"], depth=1))
    save(tmp_path / "other.pt", {"model": other.state_dict(), "config": other.config.to_dict()})
    with pytest.raises(RecipeError, match="render them with --sample-rate 32000"):
        train([small], replace(QUICK, encoder=str(tmp_path / "other.pt"), run=str(tmp_path / "run")))


def test_what_a_run_starts_from_was_trained_on_is_known(encoder: Path, trained: Path, tmp_path: Path) -> None:
    content = torch.load(trained / "best.pt", weights_only=True)
    elsewhere = TrainingProvenance(frozenset({"mp3d/elsewhere"}), frozenset({1, -(2**63)}))
    save(tmp_path / "before.pt", content | {"known": content["known"] | elsewhere.stored()})
    ears = torch.load(encoder / "best.pt", weights_only=True)
    here = TrainingProvenance(frozenset({"mp3d/here"}), frozenset({1, 7}))
    save(tmp_path / "ears.pt", ears | here.stored())
    assert inherited_provenance(QUICK, tmp_path / "ears.pt") == here
    recipe = replace(QUICK, init=str(tmp_path / "before.pt"))
    both = TrainingProvenance(frozenset({"mp3d/elsewhere", "mp3d/here"}), frozenset({-(2**63), 1, 7}))
    assert inherited_provenance(recipe, tmp_path / "ears.pt") == both
    save(tmp_path / "ears.pt", {name: value for name, value in ears.items() if name != "clips"})
    assert inherited_provenance(recipe, tmp_path / "ears.pt").clips is None
    save(tmp_path / "ears.pt", ears | {"clips": [1.5]})
    with pytest.raises(ModelError, match=r"ears\.pt: its clips cannot be what it was trained on"):
        inherited_provenance(QUICK, tmp_path / "ears.pt")
