import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows, read_scenes, scene_files
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.data.on_the_fly import OnTheFlyDataset
from spatialqa.models.data.provenance import TrainingProvenance, find_contamination, refuse_contamination
from spatialqa.models.data.scenes import Batch, SceneDataset
from spatialqa.models.spatial_ast import metrics
from spatialqa.models.spatial_ast.evaluate import evaluate, evaluate_all, judge, read_ground_truth
from spatialqa.models.spatial_ast.inference import hear, refuse_rate
from spatialqa.models.spatial_ast.losses import (
    augment,
    azimuth_target,
    by_class,
    elevation_target,
    losses,
    parameter_groups,
    stage_weights,
)
from spatialqa.models.spatial_ast.metrics import Posterior
from spatialqa.models.spatial_ast.model import PRESETS, Heads, SpatialAST, to_model_azimuth
from spatialqa.models.spatial_ast.recipe import OF_PRESET, TrainRecipe
from spatialqa.models.spatial_ast.train import default_sources, new_model, open_held_out, train, training_text
from spatialqa.models.training.checkpoint import ModelError, read_weights, save
from spatialqa.models.training.loop import learning_rate
from spatialqa.models.training.run_folder import read_log, threads_of
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.listener_view import view
from tests.fixtures.datasets import render
from tests.fixtures.kills import call, kill_when
from tests.models.conftest import ONE_SOURCE

QUICK = TrainRecipe(class_epochs=1, joint_epochs=1, batch_size=8, threads=1, device="cpu", checkpoint_s=0.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def trained(one_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of six steps."""
    run = tmp_path_factory.mktemp("trained") / "run"
    train([one_source], replace(QUICK, run=str(run)))
    return run


def flip_ears(waveform: torch.Tensor) -> torch.Tensor:
    return waveform.flip(1)


def batch_of(n: int, n_classes: int = 5, samples: int = 4000) -> Batch:
    rng = torch.Generator().manual_seed(0)
    return Batch(
        waveform=torch.randn(n, 2, samples, generator=rng),
        scene_id=[f"train-{k:08d}" for k in range(n)],
        scene=torch.arange(n),
        slot=torch.zeros(n, dtype=torch.int64),
        classes=torch.eye(n_classes)[torch.arange(n) % n_classes],
        azimuth_deg=torch.rand(n, generator=rng) * 360 - 180,
        elevation_deg=torch.rand(n, generator=rng) * 100 - 50,
        distance_m=torch.rand(n, generator=rng) * 9 + 0.5,
    )


def logged_losses(run: Path) -> list[tuple[str, ...]]:
    with (run / "log.csv").open(newline="") as file:
        return [tuple(row[name] for name in ("step", "loss", "classes", "azimuth")) for row in csv.DictReader(file)]


# --- the objective


def test_smoothed_targets_lie_around_the_true_angle_and_wrap_where_azimuth_does() -> None:
    azimuth = azimuth_target(torch.tensor([-179.6, 30.0]), 5.0)
    assert torch.equal(azimuth.argmax(1), to_model_azimuth(torch.tensor([-179.6, 30.0])))
    assert azimuth.sum(1).tolist() == pytest.approx([1.0, 1.0])
    left, right = (
        azimuth[0, to_model_azimuth(torch.tensor([175.0]))],
        azimuth[0, to_model_azimuth(torch.tensor([-175.0]))],
    )
    assert 0.7 < float(left / right) < 1.0  # both sides of the back, the nearer one more
    elevation = elevation_target(torch.tensor([90.0]), 5.0)
    assert int(elevation.argmax()) == 179
    assert float(elevation[0, :90].sum()) < 1e-6  # straight up is not straight down
    assert torch.equal(elevation_target(torch.tensor([90.0]), 0.0), torch.tensor([179]))


def test_the_loss_is_the_papers_sum_and_the_class_stage_leaves_positions_alone() -> None:
    recipe, batch = TrainRecipe(), batch_of(4)
    logits = Heads(*(torch.zeros(4, n, requires_grad=True) for n in (5, 21, 360, 180)))
    parts = torch.stack(losses(logits, batch, stage_weights(recipe, "joint")))
    assert parts.tolist() == pytest.approx([np.log(2), np.log(21), np.log(360), np.log(180)], rel=1e-5)
    joint = float((stage_weights(recipe, "joint") * parts.detach()).sum())
    assert joint == pytest.approx(1250 * np.log(2) + np.log(21) + 2 * (np.log(360) + np.log(180)), rel=1e-5)
    (stage_weights(recipe, "class") * parts).sum().backward()
    assert logits.classes.grad is not None
    assert logits.classes.grad.abs().sum() > 0
    for head in logits[1:]:
        assert head.grad is not None
        assert not head.grad.any()


def test_two_sounds_may_be_answered_by_the_slots_in_any_order() -> None:
    batch = batch_of(2)
    batch = replace(
        batch, scene=torch.tensor([0, 0]), slot=torch.tensor([0, 1]), waveform=batch.waveform[:1], scene_id=["a"]
    )
    weights = stage_weights(TrainRecipe(), "joint")
    rng = torch.Generator().manual_seed(1)
    heads = Heads(*(torch.randn(1, 2, n, generator=rng) for n in (5, 21, 360, 180)))
    heads.azimuth[0, 1, to_model_azimuth(batch.azimuth_deg[0])] += 50.0
    heads.azimuth[0, 0, to_model_azimuth(batch.azimuth_deg[1])] += 50.0
    swapped = Heads(*(logits.flip(1) for logits in heads))
    here, there = losses(heads, batch, weights), losses(swapped, batch, weights)
    assert float(here.azimuth) < 1e-3  # not as the sources are numbered
    assert [float(x) for x in here] == pytest.approx([float(x) for x in there])


def test_a_sound_is_placed_by_the_slot_that_answers_for_its_class() -> None:
    batch = batch_of(2)
    batch = replace(
        batch, scene=torch.tensor([0, 0]), slot=torch.tensor([0, 1]), waveform=batch.waveform[:1], scene_id=["a"]
    )
    batch = replace(batch, classes=torch.eye(5)[:2])
    rng = torch.Generator().manual_seed(1)
    heads = Heads(*(torch.randn(1, 2, n, generator=rng) for n in (5, 21, 360, 180)))
    heads.classes[0] = 10.0 * torch.eye(5)[[1, 0]]  # the first slot hears the second sound
    heads.azimuth[0, 0, to_model_azimuth(batch.azimuth_deg[0])] += 50.0  # and where it is is no reason to choose it
    found = by_class(heads, batch)
    for logits, own in zip(heads, found, strict=True):
        assert torch.equal(own, logits[0].flip(0))
    one = Heads(*(logits[:, 0] for logits in heads))
    assert by_class(one, batch) is one


def test_the_learning_rate_rises_straight_and_falls_by_half_a_cosine() -> None:
    rates = [learning_rate(k / 100, 0.1, 1e-3, 1e-6) for k in range(101)]
    assert rates[0] == 0.0
    assert rates[5] == pytest.approx(5e-4)
    assert rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx((1e-3 + 1e-6) / 2)
    assert rates[100] == pytest.approx(1e-6)
    assert learning_rate(0.0, 0.0, 1e-3, 1e-6) == 1e-3


def test_every_trained_tensor_is_in_one_group_and_lower_layers_learn_slower() -> None:
    model = SpatialAST(PRESETS["tiny"])
    groups = parameter_groups(model, 0.05, 0.5)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    of = {id(p): group for group in groups for p in group["params"]}
    depth = PRESETS["tiny"].depth
    assert of[id(model.head.weight)]["scale"] == 1.0
    assert of[id(model.blocks[depth - 1].mlp.fc1.weight)]["scale"] == 0.5
    assert of[id(model.patch_embed.proj.weight)]["scale"] == 0.5 ** (depth + 1)
    assert of[id(model.head.weight)]["weight_decay"] == 0.05
    assert of[id(model.head.bias)]["weight_decay"] == 0.0
    assert of[id(model.cls_tokens)] is of[id(model.head.weight)]  # as the reference code has it, decay too
    paper = SpatialAST(replace(PRESETS["paper"], embed_dim=48, depth=1, heads=3))
    fusion = {id(p) for p in paper.conv_downsample.parameters()}
    assert {g["scale"] for g in parameter_groups(paper, 5e-4, 0.75) for p in g["params"] if id(p) in fusion} == {1.0}


def test_the_paper_preset_has_the_values_of_the_reference_where_ours_are_others() -> None:
    paper, ours = TrainRecipe(preset="paper"), TrainRecipe()
    for name, (reference, other) in OF_PRESET.items():
        assert (getattr(paper, name), getattr(ours, name)) == (reference, other)
        assert getattr(TrainRecipe(preset="paper", **{name: other}), name) == other
    assert not {"head_std", "specaugment"} & ours.identity().keys()  # runs from before these keys go on
    heads = new_model(TrainRecipe(preset="small", head_std=2e-5, specaugment="batch"), 5)
    assert float(heads.azimuth_head.weight.detach().std()) == pytest.approx(2e-5, rel=0.2)
    assert float(heads.blocks[0].mlp.fc1.weight.std()) == pytest.approx(0.02, rel=0.2)
    blanked = heads._blank(torch.ones(4, 1, 400, 128)) == 0
    assert torch.equal(blanked[0], blanked[3])


def test_mirroring_swaps_ears_and_side_together() -> None:
    batch = batch_of(64)
    torch.manual_seed(0)
    seen = augment(batch, TrainRecipe(mirror=True), flip_ears)
    flipped = seen.azimuth_deg != batch.azimuth_deg
    assert 16 < int(flipped.sum()) < 48
    assert torch.equal(seen.azimuth_deg[flipped], -batch.azimuth_deg[flipped])
    assert torch.equal(seen.waveform[flipped], batch.waveform[flipped].flip(1))
    assert torch.equal(seen.waveform[~flipped], batch.waveform[~flipped])


def test_mirroring_a_scene_of_two_sounds_moves_both() -> None:
    batch = replace(batch_of(64), waveform=torch.randn(32, 2, 400), scene=torch.arange(64) // 2)
    torch.manual_seed(0)
    seen = augment(batch, TrainRecipe(mirror=True), flip_ears)
    flipped = (seen.waveform != batch.waveform).flatten(1).any(1)
    assert 8 < int(flipped.sum()) < 24
    assert torch.equal(seen.azimuth_deg, torch.where(flipped.repeat_interleave(2), -1, 1) * batch.azimuth_deg)


def test_shuffled_labels_are_those_of_other_sounds() -> None:
    batch = batch_of(64)
    torch.manual_seed(0)
    seen = augment(batch, TrainRecipe(shuffle_labels=True), flip_ears)
    assert torch.equal(seen.waveform, batch.waveform)
    assert int((seen.azimuth_deg == batch.azimuth_deg).sum()) < 8
    order = [int((batch.azimuth_deg == value).nonzero()) for value in seen.azimuth_deg]
    assert sorted(order) == list(range(64))
    assert torch.equal(seen.classes, batch.classes[order])  # a sound gets all labels of one other sound


# --- runs


def test_a_run_logs_every_step_in_two_stages_and_leaves_its_best_weights(trained: Path, one_source: Path) -> None:
    rows = read_log(trained / "log.csv")
    assert [(row["step"], row["stage"]) for row in rows] == [(k + 1, "class" if k < 3 else "joint") for k in range(6)]
    assert [row["stage"] for row in read_log(trained / "validation.csv")] == ["class", "joint"]
    assert rows[0]["loss"] == pytest.approx(1250 * rows[0]["classes"], rel=1e-5)
    last = rows[-1]
    joint = 1250 * last["classes"] + last["distance"] + 2 * (last["azimuth"] + last["elevation"])
    assert last["loss"] == pytest.approx(joint, rel=1e-5)
    assert (trained / "loss.svg").read_text().startswith("<svg")
    assert rows[2]["classes"] < rows[0]["classes"]


def test_a_run_whose_last_checkpoint_is_none_says_what_to_do(one_source: Path, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    for content, message in ((b"torn", "cannot be read"), ((run / "best.pt").read_bytes(), "has no .*remove it")):
        (run / "last.pt").write_bytes(content)
        with pytest.raises(ModelError, match=f"last.pt: {message}"):
            train([one_source], replace(QUICK, run=str(run)))


def test_a_run_that_is_stopped_by_the_time_limit_goes_on_with_the_same_command(
    one_source: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(QUICK, run=str(tmp_path / "run"), time_limit_min=0.0)
    assert train([one_source], recipe).name == "last.pt"  # there are no best weights within the first pass
    assert "the time limit is reached after step 1" in capsys.readouterr().err
    while len(read_log(tmp_path / "run" / "log.csv")) < 6:
        train([one_source], recipe)
    assert logged_losses(tmp_path / "run") == logged_losses(trained)


def test_a_run_from_the_cache_has_the_losses_of_one_that_decodes(one_source: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, mirror=True)
    train([one_source], replace(recipe, run=str(tmp_path / "decodes")))
    cached = replace(recipe, cache=str(tmp_path / "cache"))
    train([one_source], replace(cached, run=str(tmp_path / "reads")))
    kept = sorted((tmp_path / "cache").iterdir())
    assert [path.name.split("-")[0] for path in kept] == ["train", "validation"]
    decodes, reads = (read_log(tmp_path / name / "log.csv") for name in ("decodes", "reads"))
    assert [row["loss"] for row in reads] == pytest.approx([row["loss"] for row in decodes], rel=2e-3)
    made = [path.stat().st_mtime_ns for path in kept]
    train([one_source], replace(cached, run=str(tmp_path / "reads-again"), seed=1))
    assert [path.stat().st_mtime_ns for path in kept] == made  # other seeds share it
    train([one_source], replace(cached, run=str(tmp_path / "mono"), channels="mono"))
    assert len(list((tmp_path / "cache").iterdir())) == 4  # other features do not


def test_a_run_that_is_killed_and_goes_on_has_the_losses_of_one_that_was_not(
    one_source: Path, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    recipe = replace(QUICK, run=str(run))
    log = run / "log.csv"
    kill_when(lambda: log.is_file() and log.read_text().count("\n") > 3, call(train, [one_source], recipe))
    assert 3 <= len(logged_losses(run)) < 6
    train([one_source], recipe)
    assert logged_losses(run) == logged_losses(trained)
    weights = [torch.load(folder / "best.pt", weights_only=True)["model"] for folder in (run, trained)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_a_run_stops_when_its_time_is_up_and_goes_on_with_the_same_losses(
    one_source: Path, trained: Path, tmp_path: Path
) -> None:
    recipe = replace(QUICK, run=str(tmp_path / "run"))
    train([one_source], replace(recipe, time_limit_min=0.0))
    assert len(logged_losses(tmp_path / "run")) == 1
    train([one_source], replace(recipe, workers=1))  # nor does it matter who decodes
    assert logged_losses(tmp_path / "run") == logged_losses(trained)


def test_a_finished_run_says_so_at_once_and_one_without_an_epoch_too(
    one_source: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train([one_source], replace(QUICK, run=str(tmp_path / "begun"), time_limit_min=0.0))
    assert "no epoch is complete yet, so there are no best weights" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ModelError, match="begun: has not completed its first epoch, .* resumes it"):
        evaluate([one_source], tmp_path / "begun", QUICK, CPU)
    monkeypatch.setattr("spatialqa.models.spatial_ast.train.SpatialASTTrainer", None)  # nothing is opened
    assert train([one_source], replace(QUICK, run=str(trained))) == trained / "best.pt"
    told = " ".join(capsys.readouterr().err.split())
    assert "this training is finished" in told
    assert "training scenes" not in told


def test_before_the_first_step_it_says_what_trains_it_what_that_is_worth_and_how_long_it_takes(
    one_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(QUICK, run=str(tmp_path / "run"), time_limit_min=0.0, joint_epochs=30, threads=None)
    train([one_source], recipe)
    told = " ".join(capsys.readouterr().err.split())
    assert "training scenes: 24 (24 of 1 source). These are too few to learn from" in told
    assert "spatialqa render foley --recipe baseline-tiny" in told
    assert "93 steps, some 0." in told
    assert json.loads((tmp_path / "run" / "run.json").read_text())["threads"] == 1
    train([one_source], replace(QUICK, run=str(tmp_path / "other"), time_limit_min=0.0))
    first = [logged_losses(tmp_path / run)[0] for run in ("run", "other")]
    assert first[0] == first[1]  # trial steps leave nothing


def test_threads_are_those_that_a_run_began_with(tmp_path: Path) -> None:
    assert threads_of(tmp_path, None) == 1
    (tmp_path / "run.json").write_text('{"threads": 3}')
    assert (threads_of(tmp_path, None), threads_of(tmp_path, 2)) == (3, 2)


def test_sources_of_a_model_are_those_of_its_data() -> None:
    assert [default_sources("tiny", counts) for counts in ({1: 9}, {1: 16, 2: 35}, {2: 5}, {3: 5})] == [1, 2, 2, 1]
    assert default_sources("paper", {1: 16, 2: 35}) == 1
    told = training_text({1: 16, 2: 35, 3: 4}, 1)
    assert told.startswith("training scenes: 16 (16 of 1 source); 39 with more sources are left out")
    assert training_text({1: 16000}, 1) == "training scenes: 16,000 (16,000 of 1 source)"


def test_a_stage_ends_when_validation_gets_no_better(one_source: Path, tmp_path: Path) -> None:
    no_loss = replace(QUICK, class_weight=0.0, distance_weight=0.0, azimuth_weight=0.0, elevation_weight=0.0)
    recipe = replace(no_loss, run=str(tmp_path / "run"), class_epochs=0, joint_epochs=9, patience=1)
    train([one_source], recipe)
    assert [row["epoch"] for row in read_log(tmp_path / "run" / "validation.csv")] == [1, 2]


def test_another_seed_is_another_run_and_is_refused_in_its_folder(one_source: Path, trained: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds another training run \(recipe.seed was 0 and is 1\)"):
        train([one_source], replace(QUICK, run=str(trained), seed=1))


def test_a_folder_of_other_things_is_refused(one_source: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty and no training run"):
        train([one_source], replace(QUICK, run=str(tmp_path)))


def test_data_at_another_rate_are_refused(one_source: Path) -> None:
    data = SceneDataset(one_source, "test", ["/m/05tny_"])
    with pytest.raises(RecipeError, match="render them with --sample-rate 44100"):
        refuse_rate(data, SpatialAST(replace(PRESETS["tiny"], sample_rate=44100)))


def test_data_sets_that_hold_out_what_another_trains_on_are_refused(one_source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    render(replace(ONE_SOURCE, splits="1,0,0", plan_only=True), other)  # the same homes, all to train on
    with pytest.raises(DatasetError, match="is in the training split of one and held out in another"):
        refuse_contamination([one_source, other])
    refuse_contamination([one_source])


def test_a_model_of_one_sound_goes_on_with_two(
    one_source: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = tmp_path / "two"
    render(replace(ONE_SOURCE, sources_per_scene={2: 1.0}, scenes=24, save_rirs=False), two)
    contamination = find_contamination([one_source, two])
    assert contamination.scenes
    recipe = replace(QUICK, init=str(trained), max_sources=2, class_epochs=0, run=str(tmp_path / "run"))
    with pytest.raises(DatasetError, match="leave such scenes out of the training with --leaks leave-out"):
        train([one_source, two], recipe)
    best = train([one_source, two], replace(recipe, leaks="leave-out"))
    said = " ".join(capsys.readouterr().err.split())
    assert f"{len(contamination.scenes)} training scenes are left out" in said
    before, after = read_weights(trained / "best.pt"), read_weights(best)
    assert TrainingProvenance.of(after) == contamination.trained_on | TrainingProvenance.of(before)
    assert contamination.trained_on.clips
    assert TrainingProvenance.of(before).clips
    tokens = after["model"]["cls_tokens"].reshape(2, 3, -1)
    assert not torch.equal(tokens[0], tokens[1])
    (row,) = read_log(tmp_path / "run" / "validation.csv")
    assert 0 < row["mae_deg"] < 180


def test_a_model_with_more_slots_begins_with_the_tokens_of_one(trained: Path) -> None:
    one = read_weights(trained / "best.pt")["model"]
    model = new_model(replace(QUICK, init=str(trained), max_sources=2), len(one["head.bias"]))
    assert torch.equal(model.head.weight, one["head.weight"])
    assert torch.equal(model.state_dict()["blocks.0.attn.qkv.weight"], one["blocks.0.attn.qkv.weight"])
    apart = model.cls_tokens.detach().reshape(2, 3, -1) - one["cls_tokens"]
    assert 0.05 < float(apart.std()) < 0.2


def test_a_class_head_is_taken_class_by_class(trained: Path) -> None:
    stored = read_weights(trained / "best.pt")
    known, weight = stored["vocabulary"], stored["model"]["head.weight"]
    others = ["custom:zither", *reversed(known[1:])]
    model = new_model(replace(QUICK, init=str(trained)), len(others), others)
    assert torch.equal(model.head.weight[1:], weight[1:].flip(0))
    assert not torch.equal(model.head.weight[0], weight[0])
    assert torch.equal(model.head.bias[1:], stored["model"]["head.bias"][1:].flip(0))


def test_scenes_that_are_left_out_are_in_no_batch_and_their_clips_are_not_drawn(one_source: Path) -> None:
    for data in (
        SceneDataset(one_source, "train", [], [1, 2]),
        SceneDataset(one_source, "train", [], [1, 2], shuffle=False),
        OnTheFlyDataset(one_source, "train", [], [1, 2], fresh=True),
    ):
        index = data.index
        names = [(index.files[f], str(s)) for f, s in zip(index.file, index.scene_id, strict=True)]
        left_out = set(names[::2]) | {(Path("elsewhere"), names[1][1])}
        assert data.leave_out(left_out) == len(names[::2])
        batches = [k for epoch in (0, 1) for rows in data.batches(4, epoch) for k in rows]
        assert set(batches) == set(range(1, len(names), 2))
        if isinstance(data, OnTheFlyDataset):
            kept = {names[k] for k in range(1, len(names), 2)}
            clips = {
                source["clip_id"]
                for path in index.files
                for row in read_rows(path, ["scene_id", "sources"])
                if (path, row["scene_id"]) in kept
                for source in row["sources"]
            }
            sampler = data._sampler
            assert sampler is not None
            assert {record.clip_id for record in sampler.clips["train"]} == clips
        with pytest.raises(DatasetError, match="nothing is left of the train split"):
            data.leave_out(names)


def test_damage_of_the_validation_split_is_an_error(one_source: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(one_source, broken)
    file = next((broken / "scenes").glob("validation-*"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DatasetError, match=file.name):
        open_held_out([broken], [], QUICK, SpatialAST(PRESETS["tiny"]))


def test_two_processes_train_one_model(one_source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    script = tmp_path / "go.py"
    script.write_text(
        "import pathlib\nfrom spatialqa.models.spatial_ast.recipe import TrainRecipe\n"
        "from spatialqa.models.spatial_ast.train import train\n"
        f"train([pathlib.Path({str(one_source)!r})], TrainRecipe(run={str(run)!r}, class_epochs=1, joint_epochs=1, "
        "batch_size=8, threads=1, device='cpu'))\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "localhost"]
    ended = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(script)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert [row["step"] for row in read_log(run / "log.csv")] == [1, 2, 3, 4, 5, 6]
    assert (run / "best.pt").is_file()


def test_sounds_made_on_the_fly_are_trained_on_and_data_sets_take_turns(one_source: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, run=str(tmp_path / "run"), data="on-the-fly", class_epochs=0)
    other = tmp_path / "other"
    shutil.copytree(one_source, other)
    train([one_source, other], replace(recipe, time_limit_min=0.0))
    train([one_source, other], recipe)
    rows = read_log(tmp_path / "run" / "log.csv")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_weights_start_from_another_checkpoint_where_they_fit(trained: Path) -> None:
    there = torch.load(trained / "best.pt", weights_only=True)["model"]
    model = new_model(replace(QUICK, init=str(trained / "best.pt")), n_classes=3)
    assert torch.equal(model.blocks[0].attn.qkv.weight, there["blocks.0.attn.qkv.weight"])
    assert model.head.weight.shape[0] == 3


def test_a_recipe_chooses_what_the_model_hears_and_how_many_sounds_it_answers_for() -> None:
    assert new_model(QUICK, 7).config == replace(PRESETS["tiny"], n_classes=7)
    mono = new_model(replace(QUICK, channels="mono"), 7).config
    assert (mono.channels, mono.features) == ("mono", "mel")
    heads = new_model(replace(QUICK, max_sources=2, features="mel+ipd"), 7)(torch.randn(1, 2, 32000))
    assert heads.azimuth.shape == (1, 2, 360)
    with pytest.raises(ModelError):
        SpatialAST(replace(PRESETS["tiny"], channels="mono"))


# --- evaluation


def test_the_truth_of_a_split_is_that_of_its_tables(one_source: Path) -> None:
    ids, truth = read_ground_truth(one_source, "test", ["/m/05tny_"])
    assert len(ids) == len(truth.house) == 8
    assert all(scene_id.startswith("test-") for scene_id in ids)
    assert np.isfinite(truth.positions.azimuth_deg).all()


def test_a_model_that_knows_where_everything_is_gets_everything_right(one_source: Path) -> None:
    _, truth = read_ground_truth(one_source, "test", ["/m/05tny_", "/m/07qrkrw"])
    azimuths, elevations, distances = np.arange(-180.0, 180.0), np.arange(-90.0, 90.0), np.arange(21) / 2
    nearest = [
        np.eye(len(axis))[np.abs(axis[None] - values[:, None]).argmin(axis=1)]
        for axis, values in (
            (azimuths, truth.positions.azimuth_deg),
            (elevations, truth.positions.elevation_deg),
            (distances, truth.positions.distance_m),
        )
    ]
    scores = truth.classes.astype(np.float64)
    posterior = Posterior(nearest[0], nearest[1], nearest[2], scores, azimuths, elevations, distances)
    decoders = {"direction": "argmax", "distance": "argmax"}
    report = judge(posterior, truth, "ideal", [one_source], QUICK, decoders)
    figures = report.parts["all"]
    assert figures["mae_deg"].value < 1.0
    assert figures["der"].value == 0.0
    assert figures["octant"].value == 1.0 or figures["above_below"].value < 1.0  # a sound within half a degree of level
    assert sum(map(sum, report.octants)) == report.n["all"] == 8
    assert report.n["line of sight"] + report.n["occluded"] == 8
    scenes = [scene for path in scene_files(DatasetFolder(one_source), "test") for scene in read_scenes(path)]
    margins = [view(scene, AskOptions()).sources[0].octant_margin_deg for scene in scenes]
    assert report.n["asked"] == sum(margin >= 5 for margin in margins) > 0
    assert report.parts["asked"]["octant"].value == 1.0


def test_evaluation_is_the_same_twice_and_written_as_json_and_picture(
    one_source: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first,) = evaluate_all([one_source], [trained], QUICK)
    again = evaluate([one_source], trained / "best.pt", QUICK, CPU)
    assert replace(again, checkpoint=first.checkpoint) == first
    assert first.n_houses_trained_on == 0
    known = evaluate([one_source], trained, replace(QUICK, split="train"), CPU)
    assert known.n_houses_trained_on == known.n_houses > 0
    shown = capsys.readouterr().out
    assert "MAE, degrees" in shown
    assert "left or right, %" in shown
    assert set(metrics.FIGURES) <= set(first.parts["all"])
    assert (trained / "evaluation-test.json").is_file()
    assert "<svg" in (trained / "evaluation-test.svg").read_text()


def test_several_checkpoints_are_shown_as_mean_and_spread(
    one_source: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_all([one_source], [trained, trained], QUICK)
    shown = capsys.readouterr().out
    assert "± 0.0" in shown
    assert "mean and standard deviation of 2 checkpoints" in shown


def test_ears_can_be_swapped_or_made_the_same() -> None:
    waveform = torch.randn(3, 2, 100)
    assert torch.equal(hear(waveform, "both"), waveform)
    assert torch.equal(hear(waveform, "swapped")[:, 0], waveform[:, 1])
    same = hear(waveform, "same")
    assert torch.equal(same[:, 0], same[:, 1])
    assert torch.allclose(same[:, 0], waveform.mean(1))


def test_what_is_no_checkpoint_is_refused_in_one_line(one_source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        evaluate([one_source], tmp_path / "nothing.pt", QUICK, CPU)
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="other.pt: does not hold the weights of a Spatial-AST"):
        evaluate([one_source], tmp_path / "other.pt", QUICK, CPU)


def test_keys_are_checked() -> None:
    with pytest.raises(RecipeError, match="features mel\\+ipd needs two channels"):
        build(TrainRecipe, {"channels": "mono", "features": "mel+ipd"}, "command line")
    with pytest.raises(RecipeError, match="nothing to train"):
        TrainRecipe(class_epochs=0, joint_epochs=0)
    assert build(TrainRecipe, {"batch_size": "32", "layer-decay": "1"}, "command line").batch_size == 32
    assert "workers" not in TrainRecipe().identity()


def test_a_run_that_was_begun_with_other_parameter_groups_says_so(
    one_source: Path, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    content = read_weights(run / "last.pt")
    one = content["optimizer"]["param_groups"].pop()  # as when the last layer shared its group with the lowest
    content["optimizer"]["param_groups"][0]["params"] += one["params"]
    content["state"] |= {"stage": 0, "epoch": 0}
    save(run / "last.pt", content)
    kept = (run / "last.pt").read_bytes()
    with pytest.raises(ModelError, match="last.pt: its optimizer has other parameter groups"):
        train([one_source], replace(QUICK, run=str(run)))
    assert (run / "last.pt").read_bytes() == kept
