"""A biased world is evened out over the data set, a fair or a small one is left alone."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

import pytest

from spatialqa.core.scene import Scene
from spatialqa.qa.ask import DataSetView, ask, survey
from spatialqa.qa.ask_options import TYPES, AskOptions
from spatialqa.qa.balance import Balance, Survey, preference_from
from spatialqa.qa.balance_fit import balance_from
from spatialqa.qa.fact import TO_BALANCE
from spatialqa.qa.question import Question
from spatialqa.qa.templating.templates import bundled_templates
from tests.fixtures.scenes import heard_at, random_scenes

CLASSES = ("Dog", "Bell", "Banjo", "Rain", "Cough", "Thunder")


def counted(scenes: Iterable[Scene], options: AskOptions, balance: Balance | None = None) -> Survey:
    counts = Survey()
    for scene in scenes:
        survey(scene, options, counts, balance or Balance())
    return counts


def balanced(scenes: Sequence[Scene], options: AskOptions) -> tuple[list[Question], Counter[tuple[str, str]]]:
    preferring = preference_from(counted(scenes, options))
    balance = balance_from(counted(scenes, options, preferring), preferring.preference)
    questions: list[Question] = []
    skipped: Counter[tuple[str, str]] = Counter()
    for scene in scenes:
        found = ask(scene, options, bundled_templates(), DataSetView(balance))
        questions += found.questions
        skipped.update((skip.subtype, skip.reason) for skip in found.skipped)
    return questions, skipped


def biased_scenes(count: int, seed: int) -> list[Scene]:
    """Return scenes in which seven sounds in ten are below, dogs are always near, and rain lies left of others."""
    draw = random.Random(seed)
    scenes = []
    for index in range(count):
        things = []
        for label in draw.sample(CLASSES, draw.choice((1, 2, 2))):
            far = 1.0 if label == "Dog" else draw.uniform(1.0, 3.0)
            across = -abs(draw.gauss(0, 2)) if label == "Rain" and draw.random() < 0.8 else draw.gauss(0, 2)
            up = (1.0 if draw.random() < 0.3 else -1.0) * draw.uniform(0.4, 1.2)
            things.append(((far * across, up, far * draw.gauss(0, 2)), [label]))
        scenes.append(heard_at(*things, scene_id=f"train-{index:08d}"))
    return scenes


@pytest.fixture(scope="module")
def evened() -> tuple[list[Question], Counter[tuple[str, str]]]:
    return balanced(biased_scenes(4000, seed=1), AskOptions())


@pytest.fixture(scope="module")
def as_drawn() -> list[Question]:
    return [q for s in biased_scenes(4000, seed=1) for q in ask(s, AskOptions(), bundled_templates()).questions]


def octants(questions: Iterable[Question], subtype: str) -> list[float]:
    counts = Counter(q.answer_direction for q in questions if q.subtype == subtype)
    return [n / counts.total() for n in counts.values()]


@pytest.mark.parametrize("subtype", ["location", "location_of_class"])
def test_octants_become_even(subtype: str, evened: tuple[list[Question], object], as_drawn: list[Question]) -> None:
    assert max(octants(as_drawn, subtype)) > 0.16
    after = octants(evened[0], subtype)
    assert len(after) == 8
    assert max(abs(share - 1 / 8) for share in after) < 0.035  # 3 standard errors of the smaller subtype


def yes_by_label(questions: Iterable[Question], subtype: str, first: str, word: str) -> tuple[float, int]:
    answers = [
        q.answer_bool
        for q in questions
        if q.subtype == subtype and (q.asked_labels or ("",))[0] == first and q.asked_direction == (word,)
    ]
    return sum(map(bool, answers)) / len(answers), len(answers)


@pytest.mark.parametrize(
    ("subtype", "label", "word"), [("relative_distance", "dog", "closer"), ("relative_direction", "rain", "left")]
)
def test_a_class_no_longer_tells_the_answer(
    subtype: str, label: str, word: str, evened: tuple[list[Question], object], as_drawn: list[Question]
) -> None:
    before, _ = yes_by_label(as_drawn, subtype, label, word)
    after, n = yes_by_label(evened[0], subtype, label, word)
    assert before > 0.65
    assert abs(after - 0.5) < 4 * 0.5 / n**0.5


def test_distance_no_longer_depends_on_the_label(
    evened: tuple[list[Question], object], as_drawn: list[Question]
) -> None:
    def near_by_label(questions: Iterable[Question]) -> float:
        asked = [q for q in questions if q.subtype == "location_of_class" and q.answer_distance_m is not None]
        near = [(q.answer_distance_m or 0) < 2.5 for q in asked]
        dogs = [is_near for q, is_near in zip(asked, near, strict=True) if q.asked_labels == ("dog",)]
        return sum(dogs) / len(dogs) - sum(near) / len(near)

    assert near_by_label(as_drawn) > 0.15
    assert abs(near_by_label(evened[0])) < 0.6 * near_by_label(as_drawn)


def test_what_was_left_out_is_counted(evened: tuple[list[Question], Counter[tuple[str, str]]]) -> None:
    questions, skipped = evened
    left_out = sum(n for (_, reason), n in skipped.items() if reason == TO_BALANCE)
    assert 0.03 < left_out / (left_out + len(questions)) < 0.4
    assert not skipped["classification", TO_BALANCE]


def test_a_small_data_set_keeps_its_questions() -> None:
    scenes = biased_scenes(40, seed=2)
    plain = sum(len(ask(scene, AskOptions(), bundled_templates()).questions) for scene in scenes)
    questions, _ = balanced(scenes, AskOptions())
    assert len(questions) > 0.85 * plain


def test_a_fair_data_set_loses_little() -> None:
    scenes = list(random_scenes(1500, seed=4))
    questions, skipped = balanced(scenes, AskOptions())
    left_out = sum(n for (_, reason), n in skipped.items() if reason == TO_BALANCE)
    assert left_out < 0.1 * len(questions)


def test_balance_does_not_depend_on_the_order_of_scenes() -> None:
    scenes, options = biased_scenes(300, seed=3), AskOptions(types=TYPES)
    shuffled = random.Random(0).sample(scenes, len(scenes))
    one, _ = balanced(scenes, options)
    other, _ = balanced(shuffled, options)
    assert {q.qa_id: q for q in one} == {q.qa_id: q for q in other}


def test_rare_distances_are_preferred_where_there_is_a_choice() -> None:
    options = AskOptions(types=("D",))
    scenes = list(random_scenes(1500, seed=6, source_counts=(2,)))

    def spread(questions: Iterable[Question]) -> float:
        steps = Counter(round(2 * (q.answer_distance_m or 0)) for q in questions)
        return max(steps.values()) / steps.total()

    plain = [q for scene in scenes for q in ask(scene, options, bundled_templates()).questions]
    preference = preference_from(counted(scenes, options))
    chosen = [q for s in scenes for q in ask(s, options, bundled_templates(), DataSetView(preference)).questions]
    assert len(chosen) == len(plain)
    assert spread(chosen) < spread(plain)


def shared_rooms(count: int, seed: int) -> list[Scene]:
    """Return scenes of two sounds, eight in ten in one room; a dog and a cough always are, rain is less often."""
    draw = random.Random(seed)
    scenes = []
    for index in range(count):
        labels = draw.sample(CLASSES, 2)
        alike = 1.0 if set(labels) == {"Dog", "Cough"} else 0.6 if "Rain" in labels else 0.8
        regions = ("hall", "hall" if draw.random() < alike else "kitchen")
        places = [(draw.gauss(0, 2), draw.gauss(0, 1), draw.gauss(0, 2)) for _ in labels]
        sounds = [(place, [label]) for place, label in zip(places, labels, strict=True)]
        scenes.append(heard_at(*sounds, regions=regions, scene_id=f"train-{index:08d}"))
    return scenes


@pytest.fixture(scope="module")
def in_rooms() -> tuple[list[Question], Counter[tuple[str, str]]]:
    return balanced(shared_rooms(4000, seed=8), AskOptions(types=("X",)))


def yes_shares(questions: Iterable[Question], known: Callable[[Question], Hashable]) -> dict[Hashable, tuple[int, int]]:
    """Return (Yes, all) of region by what is known of a question."""
    counts: dict[Hashable, tuple[int, int]] = {}
    for q in questions:
        if q.subtype == "region":
            yes, n = counts.get(known(q), (0, 0))
            counts[known(q)] = (yes + bool(q.answer_bool), n + 1)
    return counts


def test_a_bias_that_word_and_labels_show_alike_is_removed_once(
    in_rooms: tuple[list[Question], Counter[tuple[str, str]]],
) -> None:
    """The likelier answer is the same for a word as for any label of it; thinned by each, it would become the rarer."""
    for yes, n in yes_shares(in_rooms[0], lambda q: q.asked_direction).values():
        assert n > 400
        assert abs(yes / n - 0.5) < 4 * 0.5 / n**0.5
    for yes, n in yes_shares(in_rooms[0], lambda q: (q.asked_direction, (q.asked_labels or ())[0])).values():
        assert abs(yes / n - 0.5) < 4 * 0.5 / n**0.5


def test_no_more_is_left_out_than_it_takes(in_rooms: tuple[list[Question], Counter[tuple[str, str]]]) -> None:
    questions, skipped = in_rooms
    asked = sum(q.subtype == "region" for q in questions)
    kept = asked / (asked + skipped["region", TO_BALANCE])
    assert 0.40 < kept < 0.54  # twice the share of the rarer answer, 26 %, is 52 %


def test_a_pair_that_always_has_one_answer_is_left_out(
    in_rooms: tuple[list[Question], Counter[tuple[str, str]]],
) -> None:
    """Neither a dog nor a cough alone tells the answer, and together they would."""
    together = frozenset({"dog", "cough"})
    pairs = yes_shares(in_rooms[0], lambda q: frozenset(q.asked_labels or ()))
    even = [n for pair, (_, n) in pairs.items() if pair != together]
    told = pairs.get(together, (0, 0))[1]
    assert told < 0.15 * sum(even) / len(even)


def test_where_a_class_gives_away_its_height_neither_is_asked_of_the_other() -> None:
    """Dogs are always below and thunder always above; the others are on either side."""
    draw = random.Random(5)
    scenes = []
    for index in range(1500):
        things = []
        for label in draw.sample(CLASSES, 2):
            side = {"Dog": -1.0, "Thunder": 1.0}.get(label) or draw.choice((-1.0, 1.0))
            things.append(((draw.gauss(0, 2), side * draw.uniform(0.4, 1.2), draw.gauss(0, 2)), [label]))
        scenes.append(heard_at(*things, scene_id=f"train-{index:08d}"))
    questions, _ = balanced(scenes, AskOptions(types=("C", "D")))
    for subtype in ("classification_at_location", "location_of_class"):
        labels = Counter(
            label
            for q in questions
            if q.subtype == subtype
            for label in (*(q.asked_labels or ()), *(q.answer_labels or ()))
        )
        told, others = labels["dog"] + labels["thunder"], labels["bell"] + labels["rain"]
        assert told < 0.05 * others
        assert others > 150
