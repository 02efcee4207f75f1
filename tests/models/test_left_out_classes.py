"""Classes that a training never named: which questions and scenes are left out, what is stored, and how they score."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spatialqa.core.ontology import ontology
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.bat import curriculum
from spatialqa.models.bat.questions import QuestionSet, open_scenes, read_questions
from spatialqa.models.bat.recipe import BATRecipe
from spatialqa.models.bat.train import train as train_bat
from spatialqa.models.data.provenance import scenes_with
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.models.spatial_ast.train import SpatialASTTrainer
from spatialqa.models.spatial_ast.train import train as train_encoder
from spatialqa.models.training.checkpoint import read_weights
from spatialqa.qa.named_classes import NamedClasses, read_classes
from spatialqa.qa.spoken_name import bare_name
from spatialqa.scoring.analysis_tables import print_analysis
from spatialqa.scoring.error_analysis import analyse
from tests.models.test_train_bat import QUICK as QUICK_BAT
from tests.models.test_train_spatial_ast import QUICK as QUICK_ENCODER


def rows_of(root: Path, table: str, split: str) -> list[dict[str, object]]:
    return [row for path in DatasetFolder(root).tables(table) if path.name.startswith(split) for row in read_rows(path)]


def asked_most(root: Path) -> str:
    """The label that most training questions about several sources name."""
    named = Counter(label for row in rows_of(root, "qa", "train") for label in row["asked_labels"] or ())  # type: ignore[attr-defined]
    return str(named.most_common(1)[0][0])


def names_it(text: str, label: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text.lower()) for form in (label, bare_name(label)))


# --- which classes, and where they are named


def test_classes_are_read_from_a_list_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("# held out\nDog\n\nviolin fiddle\n/m/07pp_mv\nmy own thing\n")
    expected = ("alarm", "dog", "my own thing", "violin, fiddle")
    assert read_classes([str(file)]) == expected
    assert read_classes(["my own thing", "violin_and_fiddle", "dog", "Alarm", "DOG"]) == expected
    assert read_classes(()) == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["Acordion"], "'Acordion' is not a class of AudioSet; did you mean 'Accordion'"),
        (["there/is/none.txt"], "none.txt: cannot be read as a list of classes"),
        (["none.txt"], "none.txt: cannot be read as a list of classes"),
    ],
)
def test_what_names_no_class_is_refused_in_one_line(given: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        read_classes(given)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("# nothing\n")
    with pytest.raises(RecipeError, match="names no class"):
        read_classes([str(tmp_path / "none.txt")])


def test_a_text_names_a_class_by_its_label_or_its_words() -> None:
    named = NamedClasses(["dog", "bark", "violin, fiddle"])
    assert named.in_text("Where is the sound of a dog barking?") == ["dog", "bark"]
    assert named.in_text("A dogsled, and a hotdog.") == []
    assert named.in_text("violin, fiddle; bark") == ["bark", "violin, fiddle"]
    assert named.in_text("Do you hear a violin on your left?") == ["violin, fiddle"]
    assert named.in_labels(["bark"])
    assert not named.in_labels(["meow", "hotdog"])
    found, counts = named.named(["bark", "rain", "a dog"])
    assert found == [True, False, True]
    assert counts == {"dog": 1, "bark": 1, "violin, fiddle": 0}


# --- BAT: questions


def test_bat_trains_and_validates_on_no_question_that_names_one(
    small: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    label = asked_most(small)
    sets: list[QuestionSet] = []

    def kept(*args: Any) -> QuestionSet:
        sets.append(QuestionSet(*args))
        return sets[-1]

    monkeypatch.setattr(curriculum, "QuestionSet", kept)
    recipe = replace(QUICK_BAT, encoder=str(encoder), run=str(tmp_path / "run"), leave_out_classes=(label,))
    best = train_bat([small], recipe)
    trained_on, validated_on = sets
    for split, used in (("train", trained_on), ("validation", validated_on)):
        every = read_questions(open_scenes([small], split), "qa", sorted(set(used.questions.type) | {"A", "B", "E"}))
        rows = zip(every.qa_id, every.question, every.answer, strict=True)
        texts = {qa_id: f"{question}\n{answer}" for qa_id, question, answer in rows}
        naming = {q for q, text in texts.items() if names_it(text, label)}
        assert not naming & set(used.questions.qa_id)
        assert {q for q in texts if q not in naming} <= set(used.questions.qa_id)
        if split == "train":
            assert naming
    said = " ".join(capsys.readouterr().err.split())
    assert f"name a class that is left out ({label}: " in said
    assert f"was trained without leaving out {label}, and may know" in said  # the encoder heard them
    assert read_weights(best)["known"]["left_out_classes"] == [label]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["leave_out_classes"] == [label]
    for changed in ((), (label, "zither")):
        with pytest.raises(DatasetError, match="holds another training run .*leave_out_classes"):
            train_bat([small], replace(recipe, leave_out_classes=changed))
    file = tmp_path / "classes.txt"
    file.write_text(f"{label.upper()}\n")
    assert train_bat([small], replace(recipe, leave_out_classes=(str(file),))) == best  # the same run: it is finished


def test_bat_without_the_key_is_as_before() -> None:
    assert "leave_out_classes" not in BATRecipe().identity()
    assert "leave_out_classes" not in TrainRecipe().identity()
    given = build(BATRecipe, {"leave_out_classes": "dog,bark"}, "test")
    assert given.identity()["leave_out_classes"] == ["bark", "dog"]


def test_a_class_that_no_question_names_is_refused(small: Path, encoder: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK_BAT, encoder=str(encoder), run=str(tmp_path / "run"), leave_out_classes=("no such thing",))
    with pytest.raises(RecipeError, match="no training question names no such thing"):
        train_bat([small], recipe)
    assert not (tmp_path / "run" / "last.pt").exists()


# --- Spatial-AST: scenes


def test_the_encoder_hears_no_scene_in_which_one_sounds(
    one_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = rows_of(one_source, "scenes", "train")
    label = Counter(row["sources"][0]["labels"][0] for row in scenes).most_common(1)[0][0]  # type: ignore[index]
    mid = ontology().by_name(str(label)).mid
    trainers: list[SpatialASTTrainer] = []
    original = SpatialASTTrainer.train

    def kept(self: SpatialASTTrainer) -> Path:
        trainers.append(self)
        return original(self)

    monkeypatch.setattr(SpatialASTTrainer, "train", kept)
    recipe = replace(QUICK_ENCODER, run=str(tmp_path / "run"), leave_out_classes=(str(label),))
    best = train_encoder([one_source], recipe)
    (trainer,) = trainers
    assert trainer.held_out is not None
    expected = scenes_with([one_source], [str(label).lower()])
    assert expected
    for data, split in ((trainer.data[0], "train"), (trainer.held_out.data, "validation")):
        index = data.index
        used = {str(index.scene_id[k]) for k in data.used}
        without = {
            str(row["scene_id"])
            for row in rows_of(one_source, "scenes", split)
            if not any(label in source["labels"] for source in row["sources"])  # type: ignore[attr-defined]
        }
        assert used == without
    assert len(trainer.held_out.truth.azimuth_deg) == len(trainer.held_out.data.used)
    content = read_weights(best)
    assert mid not in content["vocabulary"]
    assert content["left_out_classes"] == [str(label).lower()]
    with pytest.raises(DatasetError, match="holds another training run"):
        train_encoder([one_source], replace(recipe, leave_out_classes=()))
    with pytest.raises(RecipeError, match="sounds in no scene"):
        train_encoder([one_source], replace(recipe, leave_out_classes=("no such thing",), run=str(tmp_path / "b")))


# --- scoring


def test_questions_about_classes_are_analysed_apart(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers that are right, but for questions that name the class: their figures are all that is wrong."""
    label = asked_most(small)
    path = tmp_path / "answers.jsonl"
    named = NamedClasses([label])
    with path.open("w") as file:
        for row in rows_of(small, "qa", "train"):
            about = named.in_labels([*(row["asked_labels"] or ()), *(row["answer_labels"] or ())])  # type: ignore[misc]
            file.write(json.dumps({"qa_id": row["qa_id"], "prediction": "no idea" if about else row["answer"]}) + "\n")
    analysis = analyse(path, small, classes=[label])
    assert analysis.classes == (label,)
    assert analysis.naming
    for own in analysis.naming:
        assert own.figure.value == (1.0 if own.metric == "der" else 0.0)
    for own in analysis.others:
        assert own.figure.value == (0.0 if own.metric == "der" else 1.0)
    overall = {own.title: own.n for own in analysis.overall if own.title != "E mean"}
    parts = Counter({own.title: own.n for own in analysis.naming if own.title != "E mean"})
    parts.update({own.title: own.n for own in analysis.others if own.title != "E mean"})
    assert dict(parts) == overall
    print_analysis(analysis)
    assert f"answer name {label}; others: the rest" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(DatasetError, match="names zither"):
        analyse(path, small, classes=["zither"])
    assert analyse(path, small).naming == ()
