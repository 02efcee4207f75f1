import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError
from spatialqa.models.bat.questions import (
    POOLED,
    NoQuestionsError,
    Questions,
    QuestionSet,
    encoded,
    encoder_rows,
    in_parts,
    mirrored,
    open_scenes,
    read_questions,
)
from spatialqa.models.data.loading import loader
from spatialqa.models.spatial_ast.model import PRESETS, SpatialAST, SpatialASTConfig
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.models.spatial_ast.train import open_stored
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe

ENCODER = replace(PRESETS["tiny"], embed_dim=48, depth=1, sample_rate=16000, hop=80, max_hz=7500.0)


def encoder_of(config: SpatialASTConfig = ENCODER) -> SpatialAST:
    torch.manual_seed(0)
    return SpatialAST(config).eval()


def made_up(n: int) -> QuestionSet:
    """n questions of five lengths about seven scenes, whose rows say which scene and which way they are."""
    questions = Questions(
        [f"q{k}" for k in range(n)],
        ["AE"[k % 3 == 0] for k in range(n)],
        ["none"] * n,
        [f"Is {'x' * (1 + 20 * (k % 5))} on your left?" for k in range(n)],
        ["left" if k % 2 else "No" for k in range(n)],
        np.arange(n) % 7,
    )
    rows = np.stack([np.arange(7), np.arange(7) + 100], axis=1)[:, :, None, None].astype(np.float16)
    return QuestionSet(questions, rows, np.array([len(text) for text in questions.question]))


# --- the tables


def test_every_question_of_a_split_is_read_with_its_scene(small: Path) -> None:
    scenes = open_scenes([small], "train")
    asked = read_questions(scenes, "qa")
    rows = [row for path in sorted((small / "qa").glob("train-*")) for row in read_rows(path)]
    assert asked.qa_id == [row["qa_id"] for row in rows]
    assert asked.answer == [row["answer"] for row in rows]
    assert scenes.index.scene_id[asked.scene].tolist() == [row["scene_id"] for row in rows]
    assert set(asked.type) == {"A", "B", "C", "D", "E"}


def test_types_are_chosen(small: Path) -> None:
    scenes = open_scenes([small], "train")
    chosen, every = read_questions(scenes, "qa", ["B", "D"]), read_questions(scenes, "qa")
    assert set(chosen.type) == {"B", "D"}
    assert chosen.qa_id == [q for q, kind in zip(every.qa_id, every.type, strict=True) if kind in "BD"]
    rows, length = np.zeros((len(scenes), 1, 1), dtype=np.float16), np.arange(len(every))
    asked = QuestionSet(every, rows, length).of_types(["B", "D"])
    assert asked.questions.qa_id == chosen.qa_id
    assert [every.qa_id[k] for k in asked.length] == chosen.qa_id


def test_scenes_of_two_data_sets_that_share_their_ids_are_told_apart(small: Path) -> None:
    copy = small.with_name("copy")
    if not copy.exists():
        copy.symlink_to(small)
    scenes = open_scenes([small, copy], "test")
    asked = read_questions(scenes, "qa")
    half = len(asked) // 2
    assert asked.qa_id[:half] == asked.qa_id[half:]
    assert (asked.scene[half:] - asked.scene[:half] == len(scenes) // 2).all()


def test_what_is_not_asked_is_said(small: Path) -> None:
    scenes = open_scenes([small], "train")
    with pytest.raises(DatasetError, match=r"in 'qa-other' \(it has qa\); run `spatialqa make-qa"):
        read_questions(scenes, "qa-other")
    with pytest.raises(NoQuestionsError, match="nothing of type X is asked in the train split"):
        read_questions(scenes, "qa", ["X"])


def test_a_rationale_stands_before_its_answer(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    make_qa(root, QaRecipe(name="told", rationale=True, rationale_form="brief"))
    scenes = open_scenes([root], "train")
    plain, told = (read_questions(scenes, "qa-told", rationale=rationale) for rationale in (False, True))
    table = [row for path in sorted((root / "qa-told").glob("train-*")) for row in read_rows(path)]
    assert [in_parts(text)[1] for text in told.answer] == plain.answer == [row["answer"] for row in table]
    before = [text.removesuffix(answer) for text, answer in zip(told.answer, plain.answer, strict=True)]
    assert before == ["" if row["rationale"] is None else f"{row['rationale']} -> " for row in table]
    assert any(before)
    with pytest.raises(DatasetError, match="no question in the train split has a rationale; run `spatialqa make-qa"):
        read_questions(scenes, "qa", rationale=True)
    with pytest.raises(DatasetError, match="no question of type A in the train split has a rationale"):
        read_questions(scenes, "qa", ["A"], rationale=True)


# --- what the encoder makes of scenes


def test_rows_are_the_tokens_of_each_scene_and_of_it_with_the_ears_swapped(small: Path, tmp_path: Path) -> None:
    scenes, encoder = open_scenes([small], "test"), encoder_of()
    rows = encoder_rows(scenes, encoder, tmp_path, {"encoder": "a"}, mirror=True)
    (batch,) = loader(scenes, len(scenes))
    for way, waveform in enumerate((batch.waveform, batch.waveform.flip(1))):
        assert np.allclose(rows[:, way], encoded(encoder, waveform).numpy(), rtol=2e-3, atol=5e-3)
    assert rows.shape[:2] == (len(scenes), 2)
    assert not np.allclose(rows[:, 0], rows[:, 1], atol=5e-3)


def test_maps_of_an_encoder_that_is_trained_give_the_same_tokens(small: Path, tmp_path: Path) -> None:
    scenes, encoder = open_scenes([small], "test"), encoder_of()
    tokens = encoder_rows(scenes, encoder, tmp_path, {"encoder": "a"})[:, 0]
    maps = encoder_rows(scenes, encoder, tmp_path, {"encoder": "a"}, frozen=False)[:, 0]
    assert maps.ndim == 4
    with torch.no_grad():
        again = encoder.forward_tokens(torch.from_numpy(maps.astype(np.float32)))
    assert np.allclose(again.numpy(), tokens, rtol=2e-3, atol=0.02)


def test_maps_are_mirrored_when_they_are_read_as_tokens_are_when_they_are_made(small: Path, tmp_path: Path) -> None:
    scenes, encoder = open_scenes([small], "test"), encoder_of()
    questions = read_questions(scenes, "qa")
    length = np.zeros(len(questions), dtype=np.int64)
    flipped = np.arange(len(questions)) % 2 == 0
    tokens = QuestionSet(questions, encoder_rows(scenes, encoder, tmp_path, {}, mirror=True), length)
    rows = encoder_rows(scenes, encoder, tmp_path, {}, frozen=False, mirror=True)
    maps = QuestionSet(questions, rows, length, encoder.mirrored).of_types(["A", "B", "C", "D", "E"])
    one, other = (asked.read(np.arange(len(questions)), flipped) for asked in (tokens, maps))
    assert one.questions == other.questions
    with torch.no_grad():
        again = encoder.forward_tokens(other.sound)
    largest = float(np.abs(one.sound.numpy()).max())  # maps are stored as float16, and their rounding goes into all
    assert np.allclose(again.numpy(), one.sound.numpy(), rtol=2e-3, atol=largest * 2.0**-11)


def test_maps_are_kept_once_for_both_models(small: Path, tmp_path: Path) -> None:
    encoder = encoder_of()
    open_stored([small], "train", [], range(1, 5), TrainRecipe(cache=str(tmp_path)), encoder)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 1
    rows = encoder_rows(open_scenes([small], "train"), encoder, tmp_path, {}, frozen=False, mirror=True)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    assert rows.shape[1] == 1


def test_controls_hear_less(small: Path, tmp_path: Path) -> None:
    scenes, encoder = open_scenes([small], "test"), encoder_of()
    silent = encoder_rows(scenes, encoder, tmp_path, {}, silence=True, mirror=True)
    assert not list(tmp_path.iterdir())  # no scene is read
    assert (silent == silent[:1, :1]).all()
    same = encoder_rows(scenes, encoder, tmp_path, {}, ears="same", mirror=True)
    assert np.array_equal(same[:, 0], same[:, 1])  # a mean has no sides
    assert not np.array_equal(same[0], same[1])


def test_rows_are_made_once_for_an_encoder(small: Path, tmp_path: Path) -> None:
    scenes = open_scenes([small], "test")
    first = encoder_rows(scenes, encoder_of(), tmp_path, {"encoder": "a"})
    (file,) = tmp_path.glob("*.npy")
    written = file.stat().st_mtime_ns
    assert np.array_equal(encoder_rows(scenes, encoder_of(), tmp_path, {"encoder": "a"}), first)
    assert file.stat().st_mtime_ns == written
    encoder_rows(scenes, encoder_of(), tmp_path, {"encoder": "b"})
    assert len(list(tmp_path.glob("*.npy"))) == 2


# --- batches


def test_an_epoch_asks_everything_at_most_once_in_whole_batches_and_each_differs() -> None:
    asked = made_up(103)
    epochs = [np.concatenate(asked.batches(8, 0, f"0/{k}")) for k in range(3)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == len(epoch) == 96
    assert not np.array_equal(epochs[0], epochs[1])
    assert set(np.concatenate(epochs).tolist()) == set(range(103))  # what an epoch leaves out, another has
    again = asked.batches(8, 0, "0/1")
    assert np.array_equal(np.concatenate(again), epochs[1])
    assert not np.array_equal(np.concatenate(asked.batches(8, 1, "0/1")), epochs[1])
    assert [len(rows) for rows in made_up(3).batches(8, 0, "0/0")] == [3]


def test_questions_of_a_batch_are_of_about_the_same_length_and_batches_come_in_any_order() -> None:
    asked = made_up(4 * POOLED * 8)
    batches = asked.batches(8, 0, "0/0")
    lengths = [{len(asked.questions.question[k]) for k in rows} for rows in batches]
    assert np.mean([len(own) == 1 for own in lengths]) > 0.8
    first = [min(own) for own in lengths]
    assert np.mean(np.diff(first) < 0) > 0.2


def about(n_scenes: int, each: int) -> QuestionSet:
    """As many questions about each of some scenes."""
    asked = made_up(n_scenes * each)
    questions = replace(asked.questions, scene=np.arange(n_scenes * each) % n_scenes)
    rows = np.zeros((n_scenes, 2, 1, 1), dtype=np.float16)
    return QuestionSet(questions, rows, asked.length)


@pytest.mark.parametrize(("per_scene", "most", "least"), [(1, 8.0, 7.0), (2, 4.5, 3.9), (4, 2.5, 1.9)])
def test_questions_of_a_scene_can_share_a_batch(per_scene: int, most: float, least: float) -> None:
    asked = about(500, 8)
    scene = asked.questions.scene
    epochs = [asked.batches(8, 0, f"0/{k}", per_scene) for k in range(2)]
    for batches in epochs:
        assert sorted(np.concatenate(batches).tolist()) == list(range(4000))
        assert least < np.mean([len(set(asked.questions.scene[rows].tolist())) for rows in batches]) < most
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(asked.batches(8, 0, "0/1", per_scene), epochs[1])
    # the scenes of a batch are any, and so are the questions of a scene that are asked together
    if per_scene > 1:
        partners = [
            {frozenset(rows[scene[rows] == k].tolist()) for rows in batches for k in set(scene[rows].tolist())}
            for batches in epochs
        ]
        assert len(partners[0] & partners[1]) < 0.3 * len(partners[0])


def test_questions_of_a_scene_in_a_batch_are_turned_and_silenced_together() -> None:
    asked = about(200, 4)
    scene = asked.questions.scene
    for drawn in (asked.flipped(0, "0/0", 2), asked.silenced(0, "0/0", 0.5, 2)):
        assert all(len(set(drawn[scene == k].tolist())) == 1 for k in range(200))
        assert 0.3 < drawn.mean() < 0.7
    one = asked.flipped(0, "0/0")
    assert np.mean([len(set(one[scene == k].tolist())) == 1 for k in range(200)]) < 0.3


def test_a_sound_is_in_a_batch_once_as_it_is_turned_or_silenced() -> None:
    asked = made_up(30)
    quiet = np.full(asked.rows.shape[2:], 7.0, dtype=np.float16)
    asked = QuestionSet(asked.questions, asked.rows, asked.length, quiet=quiet)
    rows = np.array([8, 2, 1, 9, 15, 16])  # of the scenes 1, 2, 1, 2, 1, 2
    batch = asked.read(rows)
    assert batch.sound[:, 0, 0].tolist() == [1, 2]
    assert batch.of.tolist() == [0, 1, 0, 1, 0, 1]
    flipped, silenced = np.isin(np.arange(30), [1, 16]), np.isin(np.arange(30), [9, 2])
    batch = asked.read(rows, flipped, silenced)
    assert batch.sound[:, 0, 0].tolist() == [1, 7, 101, 102]
    assert batch.of.tolist() == [0, 1, 2, 1, 0, 3]


def test_a_sample_has_as_many_of_each_type_as_there_are() -> None:
    asked = made_up(99)
    assert Counter(asked.sample(40, 0).questions.type) == {"A": 20, "E": 20}
    assert Counter(asked.sample(90, 0).questions.type) == {"A": 57, "E": 33}
    assert asked.sample(40, 0).questions.qa_id == asked.sample(40, 0).questions.qa_id
    assert asked.sample(40, 0).questions.qa_id != asked.sample(40, 1).questions.qa_id
    assert asked.sample(0, 0) is asked


def test_a_batch_has_the_rows_of_its_scenes_and_turned_ones_change_sides() -> None:
    asked = made_up(20)
    rows = np.array([3, 9, 4])
    plain = asked.read(rows)
    assert plain.sound[:, 0, 0].tolist() == [3, 2, 4]
    assert plain.answers == ["left", "left", "No"]
    flipped = np.zeros(20, dtype=np.bool_)
    flipped[[9, 4]] = True
    half = asked.read(rows, flipped)
    assert half.sound[:, 0, 0].tolist() == [3, 102, 104]
    assert half.answers == ["left", "right", "No"]
    assert [text.rsplit(" ", 1)[1] for text in half.questions] == ["left?", "right?", "right?"]
    assert 0.3 < made_up(1000).flipped(0, "0/0").mean() < 0.7


def test_silenced_questions_have_the_row_of_silence_and_keep_their_texts() -> None:
    asked = made_up(20)
    quiet = np.full(asked.rows.shape[2:], 7.0, dtype=np.float16)
    asked = QuestionSet(asked.questions, asked.rows, asked.length, quiet=quiet)
    rows = np.array([9, 4, 0])
    silenced = np.arange(20) == 4
    plain, some = asked.read(rows), asked.of_types(["A", "E"]).read(rows, silenced=silenced)
    assert torch.equal(some.sound[[0, 2]], plain.sound[[0, 2]])
    assert (some.sound[1] == 7.0).all()
    assert (some.questions, some.answers) == (plain.questions, plain.answers)
    both = asked.read(rows, flipped=np.ones(20, dtype=np.bool_), silenced=silenced)
    assert (both.sound[1] == 7.0).all()
    assert both.answers[1] == mirrored(plain.answers[1])
    many = made_up(2000)
    assert 0.03 < many.silenced(0, "0/0", 0.05).mean() < 0.07
    assert not np.array_equal(many.silenced(0, "0/0", 0.5), many.flipped(0, "0/0"))
    assert not np.array_equal(many.silenced(0, "0/0", 0.5), many.silenced(0, "0/1", 0.5))


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("left, front, above; 2.5m", "right, front, above; 2.5m"),
        ("Is it on your right-hand side, or to the left?", "Is it on your left-hand side, or to the right?"),
        ("Is it right that the dog is further to the right than the cat?", None),
        ("What are you hearing right now?", "What are you hearing right now?"),
        ("1 o'clock", "11 o'clock"),
        ("12 o'clock", "12 o'clock"),
        ("6 o'clock", "6 o'clock"),
        ("Yes", "Yes"),
    ],
)
def test_mirroring_changes_sides_and_nothing_else(text: str, swapped: str | None) -> None:
    expected = swapped or "Is it right that the dog is further to the left than the cat?"
    assert mirrored(text) == expected
    assert mirrored(expected) == text
