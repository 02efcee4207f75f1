"""Four options for a question: the answer and three wrong ones that a reader of the text cannot tell from it.

Wrong options are drawn so that each of the four would have drawn the other three with the same chance, so that neither
a frequent value nor an odd one out gives the answer away:

- Direction and distance (B, D): the octant and its mirror image on one axis, each at both of two distances.
- Distances: pairs (B, D) or sets of four at least 1 m apart, near one another. How often a set is shown is fitted to
  how often the data set has each distance, so that all members of a set are the answer equally often.
- Labels: of the other sources of the scene first, then sounds of other scenes, as often as those are answers. For A
  all four come from one branch of AudioSet's tree where the data set has enough of it. None is another's kind.
- Hours: four, two or three hours apart, the answer at any place among them. Counts: 1 to 4.

The letters are shuffled evenly.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np

from spatialqa.geometry import FloatArray
from spatialqa.labels import ontology
from spatialqa.qa import answer_text as text
from spatialqa.qa.balance import Sound, Survey, rounded_half_metres
from spatialqa.qa.fact import Fact, pick
from spatialqa.qa.view import AXES, SceneView

LETTERS = ("A", "B", "C", "D")
_LEAST_GAP = 2  # half metres: twice the 0.5 m within which a distance counts as right
_TRIES = 40
_FITTING_ROUNDS = 1000


class DistanceSets:
    """Sets of distances (in half metres) of which each member is the answer equally often.

    counts: how often the data set has each distance as an answer. size: how many distances a set has.
    """

    def __init__(self, counts: Mapping[int, float], size: int) -> None:
        values = sorted(steps for steps, n in counts.items() if n > 0)
        gaps = range(_LEAST_GAP, _LEAST_GAP + (7 if size == 2 else 4))
        candidates = (
            tuple(first + sum(steps[:k]) for k in range(size))
            for first in values
            for steps in product(gaps, repeat=size - 1)
        )
        sets = [members for members in candidates if all(member in counts for member in members)]
        self._sets = sets
        weights = self._fit(values, counts)
        containing = {v: [k for k, members in enumerate(sets) if v in members] for v in values}
        self._drawn = {v: (ks, np.cumsum(weights[ks])) for v, ks in containing.items() if ks}

    def _fit(self, values: Sequence[int], counts: Mapping[int, float]) -> FloatArray:
        """Scale each set's weight by a factor a member until every distance is shown as often as it occurs."""
        index = {v: k for k, v in enumerate(values)}
        members = np.array([[index[v] for v in chosen] for chosen in self._sets], dtype=np.intp)
        wanted = np.array([counts[v] for v in values])
        wanted = wanted / wanted.sum()
        factors = np.ones(len(values))
        weights = np.ones(len(self._sets))
        for _ in range(_FITTING_ROUNDS if self._sets else 0):
            weights = np.prod(factors[members], axis=1)
            shown = np.zeros(len(values))
            np.add.at(shown, members, weights[:, None])
            step = np.divide(wanted, shown, out=np.ones_like(wanted), where=shown > 0)
            factors *= step ** (1 / members.shape[1])
        return weights

    def draw(self, steps: int, rng: np.random.Generator) -> tuple[int, ...] | None:
        """Return a set that holds this distance, or None where there is none."""
        if steps not in self._drawn:
            return None
        containing, cumulated = self._drawn[steps]
        return self._sets[containing[_drawn_index(cumulated, rng)]]


@dataclass(frozen=True)
class OptionPool:
    """What wrong options are drawn from: the answers of the whole data set, by subtype."""

    sounds: Mapping[str, Mapping[Sound, float]] = field(default_factory=dict)
    half_metres: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @cached_property
    def _by_branch(self) -> dict[tuple[str, str | None], tuple[list[Sound], FloatArray]]:
        pools: dict[tuple[str, str | None], list[tuple[Sound, float]]] = defaultdict(list)
        for subtype, sounds in self.sounds.items():
            for sound, n in sounds.items():
                for branch in (None, branch_of(sound.mids)):
                    pools[subtype, branch].append((sound, n))
        return {key: ([sound for sound, _ in pool], np.cumsum([n for _, n in pool])) for key, pool in pools.items()}

    @cached_property
    def _sets(self) -> dict[tuple[str, int], DistanceSets]:
        return {
            (subtype, size): DistanceSets(counts, size)
            for subtype, counts in self.half_metres.items()
            for size in (2, 4)
        }

    def distances(self, subtype: str, steps: int, size: int, rng: np.random.Generator) -> tuple[int, ...] | None:
        """Return `size` distances in half metres, `steps` among them, or None where the data set has too few."""
        sets = self._sets.get((subtype, size))
        return None if sets is None else sets.draw(steps, rng)

    def sounds_of(self, subtype: str, branch: str | None, rng: np.random.Generator) -> Iterator[Sound]:
        """Yield sounds of other scenes, as often as they are answers; of one branch of the tree, or of all."""
        if (subtype, branch) in self._by_branch:
            found, cumulated = self._by_branch[subtype, branch]
            for _ in range(_TRIES):
                yield found[_drawn_index(cumulated, rng)]


def _drawn_index(cumulated: FloatArray, rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right")), len(cumulated) - 1)


def pool_from(survey: Survey) -> OptionPool:
    """Return the pool that a survey of a data set fills."""
    return OptionPool(survey.sounds, survey.half_metres)


def branch_of(mids: Sequence[str | None]) -> str:
    """Return the mid of the uppermost class above a sound (one where there are several); "" for a custom label."""
    if not mids or mids[0] is None:
        return ""
    tree = ontology()
    line = {mids[0], *tree.ancestors(mids[0])}
    return min(mid for mid in line if not tree.by_mid(mid).parents)


def four_options(
    subtype: str, fact: Fact, answer: str, view: SceneView, pool: OptionPool, rng: np.random.Generator
) -> list[str] | None:
    """Return four options, the answer among them, in the order of their letters; None where four cannot be found."""
    found: list[str] | None
    match subtype:
        case "classification" | "classification_at_location" | "source_at_direction" | "closest" | "farthest":
            found = _labels(subtype, fact, answer, view, pool, rng)
        case "location" | "location_of_class":
            found = _places(subtype, fact, pool, rng)
        case "distance_between":
            sets = pool.distances(subtype, rounded_half_metres(fact.answer_distance_m or 0.0), 4, rng)
            found = None if sets is None else [text.distance_answer(steps / 2) for steps in sets]
        case "clock":
            found = _hours(answer, rng)
        case "count":
            found = ["1", "2", "3", "4"]
        case _:
            raise AssertionError(subtype)
    return None if found is None else [found[int(k)] for k in rng.permutation(len(LETTERS))]


def _places(subtype: str, fact: Fact, pool: OptionPool, rng: np.random.Generator) -> list[str] | None:
    words = list(fact.answer_direction or ())
    both = pool.distances(subtype, rounded_half_metres(fact.answer_distance_m or 0.0), 2, rng)
    if both is None:
        return None
    axis = int(rng.integers(len(AXES)))
    mirrored = list(words)
    mirrored[axis] = next(end for end in AXES[axis] if end != words[axis])
    return [text.location_answer(octant, steps / 2) for octant in (words, mirrored) for steps in both]


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
    branches = (branch_of(own.mids), None) if subtype == "classification" else (None,)
    for branch in branches:
        chosen, shown = [own], [answer]
        for sound in (*here, *pool.sounds_of(subtype, branch, rng)):
            if (by_name and not sound.names) or any(_alike(sound, other) for other in chosen):
                continue
            chosen.append(sound)
            shown.append(pick(sound.names, rng) if by_name else "; ".join(sound.labels))
            if len(shown) == len(LETTERS):
                return shown
    return None


def _alike(a: Sound, b: Sound) -> bool:
    """Return whether a label of one is, or is a kind of, a label of the other."""
    if set(a.labels) & set(b.labels):
        return True
    tree = ontology()
    return any(tree.related(x, y) for x in a.mids for y in b.mids if x is not None and y is not None)
