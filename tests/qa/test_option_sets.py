"""Sets of options: each member is the answer equally often, whatever the data set has most of."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from spatialqa.core.ontology import ontology
from spatialqa.qa.option_sets import FairSets, Sound, SoundSets, alike, distance_sets


def share_of_the_best_guess(by_set: dict[frozenset[object], Counter[object]]) -> float:
    often = [counter for counter in by_set.values() if counter.total() > 500]
    return sum(max(counter.values()) for counter in often) / sum(counter.total() for counter in often)


@pytest.mark.parametrize("size", [2, 4])
def test_every_distance_of_a_set_is_the_answer_equally_often(size: int) -> None:
    counts = {steps: float(np.exp(-(((steps - 6) / 8) ** 2))) for steps in range(1, 25)}
    sets, rng = FairSets(counts, distance_sets(list(counts), size)), np.random.default_rng(0)
    values, weights = list(counts), np.array(list(counts.values()))
    truth_rank: Counter[int] = Counter()
    by_set: dict[frozenset[object], Counter[object]] = defaultdict(Counter)
    for steps in rng.choice(values, 40_000, p=weights / weights.sum()):
        members = sets.draw(int(steps), rng)
        assert members is not None
        truth_rank[members.index(int(steps))] += 1
        by_set[frozenset(members)][int(steps)] += 1
    assert max(abs(truth_rank[k] / 40_000 - 1 / size) for k in range(size)) < 0.012
    # The best guesser, which knows how often each member is right, gains next to nothing.
    assert share_of_the_best_guess(by_set) < 1 / size + 0.03


def sound(name: str) -> Sound:
    node = ontology().by_name(name)
    return Sound((node.name.lower(),), (node.mid,), (node.name.lower(),))


def uneven_sounds() -> dict[Sound, float]:
    often = {"Cat": 9, "Horse": 11, "Pig": 10, "Goat": 9, "Frog": 8, "Snake": 2, "Duck": 9, "Crow": 3, "Cricket": 5}
    related = {"Dog": 4, "Bark": 3, "Growling": 2, "Meow": 5, "Cattle, bovinae": 3, "Moo": 6}
    return {sound(name): float(n) for name, n in (often | related).items()}


def test_every_sound_of_a_set_is_the_answer_equally_often() -> None:
    """Frequent ones, and those with relatives that exclude them, are shown less or more often than they are answers."""
    counts = uneven_sounds()
    sets, rng = SoundSets(counts), np.random.default_rng(0)
    sounds, weights = list(counts), np.array(list(counts.values()))
    right: Counter[Sound] = Counter()
    shown: Counter[Sound] = Counter()
    for k in rng.choice(len(sounds), 60_000, p=weights / weights.sum()):
        found = sets.draw([sounds[k]], 3, rng)
        assert found is not None
        right[sounds[k]] += 1
        shown.update([sounds[k], *found])
        assert not any(alike(a, b) for i, a in enumerate([sounds[k], *found]) for b in [sounds[k], *found][:i])
    for one in sounds:
        deviation = (0.25 * 0.75 / shown[one]) ** 0.5
        assert abs(right[one] / shown[one] - 0.25) < 4.5 * deviation, one.labels


def test_a_sound_that_is_too_often_the_answer_leaves_the_others_their_places() -> None:
    counts = {**uneven_sounds(), sound("Dog"): 100.0}
    sets, rng = SoundSets(counts), np.random.default_rng(0)
    assert sets.serves_all
    for one in counts:
        assert all(sets.draw([one], 3, rng) for _ in range(200))


def test_many_sounds_are_fitted_as_few_are() -> None:
    names = [node.name for node in ontology().nodes if ontology().is_nameable(node.mid)][:200]
    counts = {sound(name): 1.0 / (1 + k % 7) for k, name in enumerate(names)}
    sets, rng = SoundSets(counts), np.random.default_rng(0)
    sounds, weights = list(counts), np.array(list(counts.values()))
    frequent = Counter[str]()
    for k in rng.choice(len(sounds), 40_000, p=weights / weights.sum()):
        found = sets.draw([sounds[k]], 3, rng)
        assert found is not None
        four = [sounds[k], *found]
        best = max(four, key=lambda one: counts[one])
        ties = [one for one in four if counts[one] == counts[best]]
        frequent["right"] += int(ties[int(rng.integers(len(ties)))] == sounds[k])
    assert abs(frequent["right"] / 40_000 - 0.25) < 0.01


def test_no_four_sounds_are_none() -> None:
    dog = sound("Dog")
    assert SoundSets({}).draw([dog], 3, np.random.default_rng(0)) is None
    few = SoundSets({dog: 1.0, sound("Bark"): 1.0, sound("Cat"): 1.0})
    assert few.draw([dog], 3, np.random.default_rng(0)) is None
    assert few.draw([dog], 1, np.random.default_rng(0)) == [sound("Cat")]
    assert few.draw([sound("Whimper (dog)")], 1, np.random.default_rng(0)) is not None  # a sound of no other scene
