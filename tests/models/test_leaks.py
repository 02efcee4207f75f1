import json
from dataclasses import replace
from pathlib import Path

import pytest

from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_rows, scene_files
from spatialqa.errors import DatasetError
from spatialqa.models.bat.answer import answer
from spatialqa.models.bat.curriculum import without
from spatialqa.models.bat.questions import open_scenes, read_questions
from spatialqa.models.bat.train import train
from spatialqa.models.data.provenance import (
    TrainingProvenance,
    clip_number,
    contamination_of,
    find_contamination,
    refuse_contamination,
)
from spatialqa.models.training.checkpoint import BEST, ModelError, read_weights, save
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import SMALL, render
from tests.models.test_answer import GREEDY, lines
from tests.models.test_train_bat import QUICK


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of the same homes and clips as `small`, and others, all of them to train on."""
    root = tmp_path_factory.mktemp("more") / "data"
    render(replace(SMALL, scenes=32, splits="1,0,0", save_rirs=False), root)
    make_qa(root, QaRecipe())
    return root


def houses(root: Path, *splits: str) -> set[str]:
    files = [path for path in scene_files(DatasetFolder(root)) if split_of(path) in splits]
    return {f"{row['room_set']}/{row['house_id']}" for path in files for row in read_rows(path)}


def clips(root: Path, *splits: str) -> set[str]:
    files = [path for path in scene_files(DatasetFolder(root)) if split_of(path) in splits]
    return {source["clip_sha256"] for path in files for row in read_rows(path) for source in row["sources"]}


def test_the_scenes_that_leak_are_those_whose_house_or_clip_is_held_out(small: Path, more: Path) -> None:
    contamination = find_contamination([small, more])
    held_out = houses(small, "validation", "test"), clips(small, "validation", "test")
    expected = {
        (path, row["scene_id"])
        for path in scene_files(DatasetFolder(more))
        for row in read_rows(path)
        if f"{row['room_set']}/{row['house_id']}" in held_out[0]
        or held_out[1] & {source["clip_sha256"] for source in row["sources"]}
    }
    assert contamination.scenes == expected
    assert 0 < len(expected) < 32
    assert not held_out[0].intersection(contamination.trained_on.houses)
    assert contamination.trained_on.houses <= houses(small, "train") | houses(more, "train")
    assert contamination.trained_on.clips is not None
    assert not contamination.trained_on.clips.intersection(map(clip_number, held_out[1]))
    assert contamination.trained_on.clips <= set(map(clip_number, clips(small, "train") | clips(more, "train")))
    with pytest.raises(DatasetError, match="is in the training split of one and held out in another"):
        refuse_contamination([small, more])
    own = refuse_contamination([small])
    assert own == TrainingProvenance(
        frozenset(houses(small, "train")), frozenset(map(clip_number, clips(small, "train")))
    )
    assert TrainingProvenance.of(own.stored()) == own


def test_what_leaks_is_left_out_of_training(
    small: Path, more: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(
        QUICK, encoder=str(encoder), curriculum="A,B,C,D,E:0.2", leaks="leave-out", run=str(tmp_path / "r")
    )
    with pytest.raises(DatasetError, match="--leaks leave-out"):
        train([small, more], replace(recipe, leaks="refuse"))
    best = train([small, more], recipe)
    known = set(read_weights(best)["known"]["houses"])
    assert known
    assert not known & houses(small, "validation", "test")
    left_out = find_contamination([small, more]).scenes
    assert f"{len(left_out)} training scenes with " in " ".join(capsys.readouterr().err.split())


def test_a_data_set_is_named_once(small: Path) -> None:
    with pytest.raises(DatasetError, match="is named twice; name each data set once"):
        contamination_of([small, small.parent / "." / small.name], "refuse")


def test_nothing_but_leaks_is_an_error(small: Path) -> None:
    scenes = open_scenes([small], "train")
    index = scenes.index
    every = {(index.files[file], scene) for file, scene in zip(index.file, index.scene_id.tolist(), strict=True)}
    questions = read_questions(scenes, "qa")
    with pytest.raises(DatasetError, match="nothing is left to train on"):
        without(questions, scenes, every)
    first = min(every)
    left = without(questions, scenes, {first})
    assert 0 < len(left) < len(questions)
    assert first[1] not in {scenes.index.scene_id[k] for k in left.scene}


def with_provenance(model: Path, provenance: TrainingProvenance, to: Path) -> Path:
    """Write the file of a model that says that it was trained on these."""
    content = read_weights(model / BEST)
    save(to, content | {"known": content["known"] | provenance.stored()})
    return to


def test_only_what_is_unseen_is_asked_about(small: Path, model: Path, tmp_path: Path) -> None:
    files = [path for path in scene_files(DatasetFolder(small)) if split_of(path) == "test"]
    rows = [row for path in files for row in read_rows(path)]
    asked = {row["qa_id"]: row["scene_id"] for path in (small / "qa").glob("test-*") for row in read_rows(path)}
    a_house = min(houses(small, "test"))
    a_clip = min(source["clip_sha256"] for row in rows for source in row["sources"])
    unseen = replace(GREEDY, unseen=True)
    for name, provenance in (
        ("house", TrainingProvenance(frozenset({a_house}))),
        ("clip", TrainingProvenance(clips=frozenset({clip_number(a_clip)}))),
    ):
        to = tmp_path / f"{name}.jsonl"
        answer(small, with_provenance(model, provenance, tmp_path / f"{name}.pt"), to, unseen)
        seen = {
            row["scene_id"]
            for row in rows
            if (f"{row['room_set']}/{row['house_id']}" == a_house and name == "house")
            or (a_clip in {source["clip_sha256"] for source in row["sources"]} and name == "clip")
        }
        wanted = {qa_id for qa_id, scene in asked.items() if scene not in seen}
        assert lines(to).keys() == wanted
        assert 0 < len(wanted) < len(asked)
        assert json.loads((tmp_path / f"{name}.jsonl.run.json").read_text())["recipe"]["unseen"] is True
    every = with_provenance(model, TrainingProvenance(frozenset(houses(small, "test"))), tmp_path / "all.pt")
    with pytest.raises(DatasetError, match="every scene that is asked about in the test split"):
        answer(small, every, tmp_path / "none.jsonl", unseen)
    unsaid = with_provenance(model, TrainingProvenance(clips=None), tmp_path / "unsaid.pt")
    with pytest.raises(ModelError, match="does not say on which houses and clips"):
        answer(small, unsaid, tmp_path / "none.jsonl", unseen)
    assert not (tmp_path / "none.jsonl").exists()
