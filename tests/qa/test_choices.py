"""Four options: one of them right, the others wrong, and nothing in them that tells which."""

import itertools
from collections import Counter

import numpy as np
import pytest

from spatialqa.core.ontology import ontology
from spatialqa.core.scene import Scene
from spatialqa.qa.answer_text import rounded_m
from spatialqa.qa.ask import DataSetView, ask, survey
from spatialqa.qa.ask_options import TYPES, AskOptions
from spatialqa.qa.balance import Balance, Survey
from spatialqa.qa.distractors import LETTERS, branch_of, pool_from
from spatialqa.qa.fact import TOO_FEW_OPTIONS
from spatialqa.qa.listener_view import AXES
from spatialqa.qa.option_sets import Sound
from spatialqa.qa.question import Question
from spatialqa.qa.templating.templates import bundled_templates
from tests.fixtures.scenes import heard_at, random_scenes
from tests.qa import rederive

MCQ = AskOptions(types=TYPES, answer_form="mcq")
WITH_OPTIONS = {
    "classification", "location", "classification_at_location", "location_of_class", "distance_between",
    "source_at_direction", "clock", "count", "closest", "farthest",
}  # fmt: skip


@pytest.fixture(scope="module")
def asked() -> list[tuple[Scene, Question]]:
    scenes = list(random_scenes(1500, seed=13, source_counts=(1, 1, 2, 2, 3)))
    counts = Survey()
    for scene in scenes:
        survey(scene, MCQ, counts, Balance())
    data_set = DataSetView(pool=pool_from(counts))
    return [(scene, q) for scene in scenes for q in ask(scene, MCQ, bundled_templates(), data_set).questions]


def contents(question: Question) -> list[str]:
    assert question.choices is not None
    return [choice.partition(". ")[2] for choice in question.choices]


def test_the_form_of_questions_and_answers(asked: list[tuple[Scene, Question]]) -> None:
    assert {q.subtype for _, q in asked} >= WITH_OPTIONS
    for scene, q in asked:
        if q.subtype not in WITH_OPTIONS:
            assert q.answer == rederive.answer(scene, q.to_row())
            assert "\n" not in q.question
            continue
        assert q.choices is not None
        assert q.question.split("\n")[1:] == list(q.choices)
        assert [choice[:3] for choice in q.choices] == [f"{letter}. " for letter in LETTERS]
        assert len(set(contents(q))) == 4
        assert q.answer in q.choices
        assert q.answer.partition(". ")[2] == rederive.answer(scene, q.to_row())


def test_wrong_options_are_wrong(asked: list[tuple[Scene, Question]]) -> None:
    for scene, q in asked:
        if q.subtype in ("location", "location_of_class", "distance_between"):
            truth = rounded_m(q.answer_distance_m or 0)
            metres = sorted({float(text.rpartition("; ")[2].removesuffix("m")) for text in contents(q)})
            assert truth in metres
            assert min(b - a for a, b in itertools.pairwise(metres)) >= 1.0
        if q.subtype in ("classification_at_location", "source_at_direction", "closest", "farthest"):
            for text in contents(q):
                if text != q.answer.partition(". ")[2]:
                    here = scene.sources[q.source_indices[0]]
                    assert not any(rederive.fits(label, here) for label in text.split("; "))


def test_the_other_sounds_of_the_scene_are_options(asked: list[tuple[Scene, Question]]) -> None:
    for scene, q in asked:
        if q.subtype == "classification_at_location" and len(scene.sources) == 2:
            other = scene.sources[1 - q.source_indices[0]]
            one = scene.sources[q.source_indices[0]]
            if not any(rederive.fits(label.lower(), one) for label in other.labels):
                assert rederive.label_text(other.labels) in contents(q)


@pytest.mark.parametrize("subtype", sorted(WITH_OPTIONS))
def test_letters_are_even(subtype: str, asked: list[tuple[Scene, Question]]) -> None:
    letters = Counter(q.answer[0] for _, q in asked if q.subtype == subtype)
    n = letters.total()
    assert n > 100
    assert sum((letters[x] - n / 4) ** 2 / (n / 4) for x in LETTERS) < 21.1  # chi-square, 3 degrees: p = 1e-4


def test_the_truth_shares_no_more_with_the_others_than_they_do(asked: list[tuple[Scene, Question]]) -> None:
    for _, q in asked:
        if q.subtype in ("location", "location_of_class"):
            parts = [text.split("; ") for text in contents(q)]
            shared = [sum(a == b for other in parts for a, b in zip(own, other, strict=True)) for own in parts]
            assert len(set(shared)) == 1


def test_the_place_that_is_most_often_right_is_not_a_better_guess() -> None:
    """What is above is near, in these scenes: neither an octant nor a distance tells alone, and both together might."""
    counts = Survey()
    for octant in itertools.product(*AXES):
        for steps in range(2, 18):
            near = 4 if octant[2] == "above" else 10
            counts.places["location"][octant, steps] = float(np.exp(-(((steps - near) / 4) ** 2)))
    pool = pool_from(counts)
    places = counts.places["location"]
    values, weights = list(places), np.array(list(places.values()))
    rng = np.random.default_rng(0)
    right: Counter[object] = Counter()
    for k in rng.choice(len(values), 40_000, p=weights / weights.sum()):
        four = pool.located("location", values[k], rng)
        if four is not None:
            right["best"] += max(four, key=lambda place: places[place]) == values[k]
            right["all"] += 1
    assert right["all"] > 39_000
    assert abs(right["best"] / right["all"] - 0.25) < 0.01  # 4.6 standard deviations


def test_a_sound_of_a_small_branch_is_an_option_as_often_as_an_answer() -> None:
    """It takes options from elsewhere; if none took it in turn, it would be the answer whenever it is shown."""
    names = ["Dog", "Cat", "Horse", "Pig", "Goat", "Frog", "Duck", "Car", "Bicycle", "Train", "Helicopter", "Silence"]
    names += ["White noise", "Speech", "Laughter", "Wind", "Rain"]
    nodes = [ontology().by_name(name) for name in names]
    counts = Survey()
    for node in nodes:
        counts.sounds["classification"][Sound((node.name.lower(),), (node.mid,), (node.name.lower(),))] = 1.0
    pool, sounds, rng = pool_from(counts), list(counts.sounds["classification"]), np.random.default_rng(0)
    right: Counter[Sound] = Counter()
    shown: Counter[Sound] = Counter()
    for k in rng.integers(len(sounds), size=20_000):
        found = pool.sounds_beside("classification", [sounds[k]], rng, near=True)
        assert found is not None
        right[sounds[k]] += 1
        shown.update([sounds[k], *found])
    animals = {sound for sound in sounds if branch_of(sound.mids) == branch_of(sounds[0].mids)}
    assert len(animals) == 7
    for sound in sounds:
        assert abs(right[sound] / shown[sound] - 0.25) < 4.5 * (0.25 * 0.75 / shown[sound]) ** 0.5, sound.labels
    found = pool.sounds_beside("classification", [sounds[0]], rng, near=True)
    assert set(found or ()) <= animals


def test_without_other_sounds_there_are_no_four_options() -> None:
    found = ask(heard_at(((1, 1, 1), ["Dog"])), AskOptions(types=("A", "B"), answer_form="mcq"), bundled_templates())
    assert not found.questions
    assert {skip.reason for skip in found.skipped} == {TOO_FEW_OPTIONS}
