"""Multiple choice: the answer and three distractors that the text does not give away.

Wrong options are drawn so that each of the four would have drawn the other three with the same chance, so that neither
a frequent value nor an odd one out gives the answer away (option_sets.py fits that to how often each is an answer):

- Direction and distance (B, D): the octant and its mirror image on one axis, each at both of two distances.
- Distances: four at least 1 m apart, near one another.
- Labels: of the other sources of the scene first, then sounds of other scenes. For A all four come from one branch of
  AudioSet's tree where the data set has enough of it. None is another's kind.
- Hours: four, two or three hours apart, the answer at any place among them. Counts: 1 to 4.

The letters are shuffled evenly.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, product

import numpy as np

from spatialqa.core.ontology import ontology
from spatialqa.qa import answer_text as text
from spatialqa.qa.balance import Located, Survey, located, rounded_half_metres
from spatialqa.qa.fact import Fact, pick
from spatialqa.qa.listener_view import AXES, SceneView
from spatialqa.qa.option_sets import FairSets, Sound, SoundSets, alike, distance_sets
from spatialqa.qa.subtype import Subtype

LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class OptionPool:
    """What wrong options are drawn from: the answers of the whole data set, by subtype."""

    sounds: Mapping[str, Mapping[Sound, float]] = field(default_factory=dict)
    half_metres: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    places: Mapping[str, Mapping[Located, float]] = field(default_factory=dict)

    @cached_property
    def _all_sounds(self) -> dict[str, SoundSets]:
        return {subtype: SoundSets(counts) for subtype, counts in self.sounds.items()}

    @cached_property
    def _sounds_by_branch(self) -> dict[str, dict[str, SoundSets]]:
        return {subtype: _by_branch(counts) for subtype, counts in self.sounds.items()}

    @cached_property
    def _four_distances(self) -> dict[str, FairSets[int]]:
        return {subtype: FairSets(n, distance_sets(list(n), 4)) for subtype, n in self.half_metres.items()}

    @cached_property
    def _four_places(self) -> dict[str, FairSets[Located]]:
        return {subtype: FairSets(n, _place_sets(n)) for subtype, n in self.places.items()}

    def distances(self, subtype: str, steps: int, rng: np.random.Generator) -> tuple[int, ...] | None:
        """Return four distances in half metres, `steps` among them, or None where the data set has too few."""
        sets = self._four_distances.get(subtype)
        return None if sets is None else sets.draw(steps, rng)

    def located(self, subtype: str, place: Located, rng: np.random.Generator) -> tuple[Located, ...] | None:
        """Return four places, this one among them, or None where the data set has too few."""
        sets = self._four_places.get(subtype)
        return None if sets is None else sets.draw(place, rng)

    def sounds_beside(
        self, subtype: str, chosen: Sequence[Sound], rng: np.random.Generator, near: bool
    ) -> list[Sound] | None:
        """Return sounds of other scenes that make four with those chosen, or None where there are too few.

        With `near`, they are of the branch of AudioSet's tree that the first chosen is of, where that has enough.
        """
        sets = self._all_sounds.get(subtype)
        if near and sets is not None:
            sets = self._sounds_by_branch[subtype].get(branch_of(chosen[0].mids), sets)
        return None if sets is None else sets.draw(chosen, len(LETTERS) - len(chosen), rng)


def _by_branch(counts: Mapping[Sound, float]) -> dict[str, SoundSets]:
    """Divide sounds by branch; branches too small for four options are one group, and all are if that is too small.

    A sound is a wrong option only in its own group: else the one of the small branch would be the answer.
    """
    branches: dict[str, dict[Sound, float]] = defaultdict(dict)
    for sound, n in counts.items():
        branches[branch_of(sound.mids)][sound] = n
    sets = {branch: SoundSets(own) for branch, own in branches.items()}
    small = [branch for branch, own in sets.items() if not own.serves_all]
    rest = SoundSets({sound: n for branch in small for sound, n in branches[branch].items()})
    if small and not rest.serves_all:
        return dict.fromkeys(branches, SoundSets(counts))
    return sets | dict.fromkeys(small, rest)


def _place_sets(counts: Mapping[Located, float]) -> list[tuple[Located, ...]]:
    """Return the fours of an octant and its mirror image on one axis, each at both of two distances."""
    octants = list(product(*AXES))
    mirrored = [(a, b) for a, b in combinations(octants, 2) if sum(x != y for x, y in zip(a, b, strict=True)) == 1]
    pairs = distance_sets(list({steps for _, steps in counts}), 2)
    fours = [tuple((octant, steps) for octant in both for steps in pair) for both in mirrored for pair in pairs]
    return [four for four in fours if all(place in counts for place in four)]


def pool_from(survey: Survey) -> OptionPool:
    """Return the pool that a survey of a data set fills."""
    return OptionPool(survey.sounds, survey.half_metres, survey.places)


def branch_of(mids: Sequence[str | None]) -> str:
    """Return the mid of the uppermost class above a sound (one where there are several); "" for a custom label."""
    if not mids or mids[0] is None:
        return ""
    tree = ontology()
    line = {mids[0], *tree.ancestors(mids[0])}
    return min(mid for mid in line if not tree.by_mid(mid).parents)


def four_options(
    subtype: Subtype, fact: Fact, answer: str, view: SceneView, pool: OptionPool, rng: np.random.Generator
) -> list[str] | None:
    """Return four options, the answer among them, in the order of their letters; None where four cannot be found."""
    found: list[str] | None
    match subtype.answer:
        case "labels" | "label":
            found = _labels(subtype.name, fact, answer, view, pool, rng)
        case "location":
            found = _places(subtype.name, fact, pool, rng)
        case "distance":
            sets = pool.distances(subtype.name, rounded_half_metres(fact.answer_distance_m or 0.0), rng)
            found = None if sets is None else [text.distance_answer(steps / 2) for steps in sets]
        case "hour":
            found = _hours(answer, rng)
        case "count":
            found = _numbers(int(answer), rng)
        case kind:
            raise AssertionError(f"{kind} offers its own choices")
    return None if found is None else [found[int(k)] for k in rng.permutation(len(LETTERS))]


def _numbers(number: int, rng: np.random.Generator) -> list[str]:
    """Return four numbers in a row: 1 to 4 where that holds the answer, else any that do."""
    first = 1 if 1 <= number <= len(LETTERS) else max(0, number - int(rng.integers(len(LETTERS))))
    return [str(first + k) for k in range(len(LETTERS))]


def _places(subtype: str, fact: Fact, pool: OptionPool, rng: np.random.Generator) -> list[str] | None:
    found = pool.located(subtype, located(fact), rng)
    return None if found is None else [text.location_answer(octant, steps / 2) for octant, steps in found]


def _hours(answer: str, rng: np.random.Generator) -> list[str]:
    hour, step, place = int(answer.split()[0]), int(rng.integers(2, 4)), int(rng.integers(len(LETTERS)))
    return [text.clock_answer((hour + (k - place) * step) % 12 or 12) for k in range(len(LETTERS))]


def _labels(
    subtype: str, fact: Fact, answer: str, view: SceneView, pool: OptionPool, rng: np.random.Generator
) -> list[str] | None:
    asked = view.sources[fact.sources[0]]
    own = Sound(text.label_list(asked.labels), asked.mids, asked.names)
    others = [view.sources[i] for i in range(len(view.sources)) if i != fact.sources[0]]
    here = [Sound(text.label_list(s.labels), s.mids, s.names) for s in others]
    here = [here[int(k)] for k in rng.permutation(len(here))]
    by_name = fact.answer is None
    # what the scene itself holds is the hardest to tell from the answer, so it is always offered
    chosen = [own]
    for sound in here:
        if len(chosen) < len(LETTERS) and (sound.names or not by_name) and not any(alike(sound, c) for c in chosen):
            chosen.append(sound)
    drawn = pool.sounds_beside(subtype, chosen, rng, near=subtype == "classification")
    if drawn is None or (by_name and not all(sound.names for sound in drawn)):
        return None
    wrong = [*chosen[1:], *drawn]
    return [answer, *(pick(s.names, rng) if by_name else "; ".join(s.labels) for s in wrong)]
