"""Counts what makes answers predictable, and says which questions are left out for it.

Within one scene the finders already give Yes and No the same chance. What is left is bias of the scenes themselves:
rooms with more space below the ears than above, two sounds that are more often in one room than in two, or a loud class
that is never masked and so is asked about from further away. Every fact has traits: what a reader of the question knows
(a group, such as the asked word or a label) and what the answer is then (an outcome). A survey of all scenes counts
traits, each fact by its chance of being drawn, and also cells: the combinations of traits that facts have. From the
counts `balance_fit` works out how often a fact of each trait is kept, so that within every group either

- even: all outcomes are equally frequent (Yes and No, the two ends of an axis, octants), or
- apart: outcomes are as frequent as in all groups together (distance or octant must not depend on the label).
"""

from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from spatialqa.qa.answer_text import label_list, rounded_m
from spatialqa.qa.fact import Fact
from spatialqa.qa.listener_view import AXES, VERTICAL_AXIS, SceneView
from spatialqa.qa.option_sets import Sound

MOST_SOUNDS = 4096  # different ones that are remembered as wrong options
_LOWEST_PREFERENCE = 0.05  # the rarest distance is preferred at most 20 times over the most frequent

Group = tuple[str, object]  # (family, what the reader knows)
Outcome = str | int

# How many outcomes a family has that are to be even; 0 is as many as are seen, and None sets outcome apart from group.
EVEN_OUTCOMES: Mapping[str, int | None] = {
    "answer": 2,
    "ends": 2,
    "octant": 8,
    "hour": 12,
    "number": 0,
    "answer by label": 2,
    "ends by label": 2,
    "level by label": 2,
    "distance by label": None,
    "octant by label": None,
    "hour by label": None,
    "side by label": None,
}
MOST_CELLS = 200_000  # of a subtype; combinations of traits that come up later are not counted


class Trait(NamedTuple):
    """One way in which a question can give its answer away."""

    group: Group
    outcome: Outcome


def traits(subtype: str, fact: Fact, view: SceneView) -> Iterator[Trait]:
    """Yield the traits of a fact by what it asks and answers; families are named per subtype, to be balanced apart."""
    labels = [view.sources[i].bucket for i in fact.sources]
    asked, answered = fact.asked_direction or (), fact.answer_direction or ()
    if fact.polarity is not None:
        word = fact.words[0] if fact.words else ""
        yield Trait((f"{subtype}/answer", word), fact.polarity)
        if subtype in _COMPARISONS:
            axis, positive = _END_OF[word]
            first_is_positive = positive == fact.answer_bool
            yield Trait((f"{subtype}/ends by label", (axis, labels[0])), first_is_positive)
            yield Trait((f"{subtype}/ends by label", (axis, labels[1])), not first_is_positive)
        else:
            for label in labels:
                yield Trait((f"{subtype}/answer by label", (word, label)), fact.polarity)
    elif labels and len(AXES) in (len(asked), len(answered)):
        source = view.sources[fact.sources[0]]
        octant = "".join(word[0] for word in source.words)
        yield Trait((f"{subtype}/octant", ""), octant)
        if len(view.sources) > 1:
            yield Trait((f"{subtype}/distance by label", labels[0]), rounded_half_metres(source.distance_m))
            yield Trait((f"{subtype}/octant by label", labels[0]), octant)
            # Footsteps are always below the ears. Where the label tells that, neither is asked of the other.
            yield Trait((f"{subtype}/level by label", labels[0]), source.words.vertical)
    elif fact.answer_distance_m is not None:
        for label in labels:
            yield Trait((f"{subtype}/distance by label", label), rounded_half_metres(fact.answer_distance_m))
    elif fact.answer_count is not None:
        yield Trait((f"{subtype}/number", ""), fact.answer or "")
    elif fact.choices is not None and fact.answer is not None and fact.answer in _END_OF:
        axis, positive = _END_OF[fact.answer]
        yield Trait((f"{subtype}/ends", (fact.form, fact.words)), positive)
        for label, end in zip(labels, (positive, not positive), strict=False):
            yield Trait((f"{subtype}/ends by label", (fact.form, axis, label)), end)
    elif fact.choices is not None and len(fact.choices) == 2:
        yield Trait((f"{subtype}/answer", fact.words), fact.answer or "")
    elif answered:
        yield Trait((f"{subtype}/hour", fact.form), fact.answer or "")
        for label in labels[:1] if len(view.sources) > 1 else ():
            yield Trait((f"{subtype}/hour by label", label), fact.answer or "")
    elif fact.answer is None and len(asked) == 1 and asked[0] in _END_OF:
        axis, positive = _END_OF[asked[0]]
        yield Trait((f"{subtype}/ends", axis), positive)
        yield Trait((f"{subtype}/side by label", labels[0]), asked[0])
        if asked[0] in AXES[VERTICAL_AXIS]:
            yield Trait((f"{subtype}/level by label", labels[0]), asked[0])


_COMPARISONS = ("relative_direction", "relative_distance")
_END_OF: Mapping[str, tuple[int, bool]] = {
    **{word: (n, end == 0) for n, ends in enumerate(AXES) for end, word in enumerate(ends)},
    "closer": (len(AXES), True),
    "farther": (len(AXES), False),
}


def rounded_half_metres(distance_m: float) -> int:
    """Return a distance as a number of half metres, as the text rounds it."""
    return int(2 * rounded_m(distance_m))


Located = tuple[tuple[str, ...], int]  # octant and half metres


def located(fact: Fact) -> Located:
    """Return the octant and the distance that a fact has as its answer."""
    return tuple(fact.answer_direction or ()), rounded_half_metres(fact.answer_distance_m or 0.0)


K = TypeVar("K", bound=Hashable)


class Tally(Generic[K]):
    """Sums of weights, and of squares of each scene's weight, by key; a key has the index of its first appearance.

    The sum of squares is the variance that chance gives the sum, whatever the weights are.
    """

    def __init__(self, most: int | None = None) -> None:
        self.index: dict[K, int] = {}
        self.weights = array("d")
        self.squares = array("d")
        self._most = most

    def add(self, weights: Mapping[K, float]) -> None:
        """Add one scene's weights; a new key is dropped once there are `most`."""
        for key, weight in weights.items():
            index = self.index.setdefault(key, len(self.weights)) if self._has_room else self.index.get(key)
            if index is None:
                continue
            if index == len(self.weights):
                self.weights.append(0.0)
                self.squares.append(0.0)
            self.weights[index] += weight
            self.squares[index] += weight * weight

    @property
    def _has_room(self) -> bool:
        return self._most is None or len(self.weights) < self._most


Cell = tuple[Trait, ...]  # all traits of a fact, in the order in which `traits` yields them


@dataclass
class Offered:
    """What the scenes offer of one subtype: how often each trait, and each combination of traits, would be drawn."""

    traits: Tally[Trait] = field(default_factory=Tally)
    cells: Tally[tuple[int, ...]] = field(default_factory=lambda: Tally(MOST_CELLS))  # by the indices of their traits

    def add(self, facts: Iterable[tuple[Cell, float]]) -> None:
        """Count one scene's facts: their traits, and their chance of being drawn."""
        cells: dict[Cell, float] = defaultdict(float)
        for cell, share in facts:
            if cell:
                cells[cell] += share
        by_trait: dict[Trait, float] = defaultdict(float)
        for cell, share in cells.items():
            for trait in cell:
                by_trait[trait] += share
        self.traits.add(by_trait)
        index = self.traits.index
        self.cells.add({tuple(index[trait] for trait in cell): share for cell, share in cells.items()})


@dataclass
class Survey:
    """What scenes offer: by subtype, the traits of facts by their chance of being drawn, and each answer asked."""

    offered: dict[str, Offered] = field(default_factory=lambda: defaultdict(Offered))
    half_metres: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    places: dict[str, dict[Located, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    sounds: dict[str, dict[Sound, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))

    def add(self, subtype: str, facts: Iterable[Fact], balance: "Balance", view: SceneView) -> None:
        """Count one scene's facts of one subtype, each by its chance of being drawn or asked under `balance`."""
        facts = list(facts)
        weights = balance.weights(subtype, facts, view)
        total = sum(weights)
        cells = [tuple(traits(subtype, fact, view)) for fact in facts]
        shares = [weight / total for weight in weights]
        self.offered[subtype].add(zip(cells, shares, strict=True))
        for fact, cell, drawn in zip(facts, cells, shares, strict=True):
            share = drawn * balance.kept(cell)
            distance_m = about_m(fact)
            if distance_m is not None:
                self.half_metres[subtype][rounded_half_metres(distance_m)] += share
            if fact.answer_direction is not None and fact.answer_distance_m is not None:
                self.places[subtype][located(fact)] += share
            if fact.answer is None or fact.answer_labels is not None:
                source = view.sources[fact.sources[0]]
                sounds, sound = self.sounds[subtype], Sound(label_list(source.labels), source.mids, source.names)
                if sound in sounds or len(sounds) < MOST_SOUNDS:
                    sounds[sound] += share


def about_m(fact: Fact) -> float | None:
    """Return the distance that a fact is about, or None."""
    return fact.answer_distance_m if fact.asked_distance_m is None else fact.asked_distance_m


@dataclass(frozen=True)
class Balance:
    """How questions are rejected to balance a data set: `preference` chooses among the facts of a scene, the others
    leave some out.

    by_trait: by trait, the share of such facts that is asked; shares of the traits of a fact multiply. by_cell: the
    same by all traits together, where a pair of labels tells more than each of them does. What is not there has a share
    of 1. preference: by subtype and distance in half metres, the relative weight in the draw.
    """

    by_trait: Mapping[Trait, float] = field(default_factory=dict)
    by_cell: Mapping[Cell, float] = field(default_factory=dict)
    preference: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def weights(self, subtype: str, facts: Iterable[Fact], view: SceneView) -> list[float]:
        """Return the weight of each fact in the draw: its own, times the preference for its distance."""
        preferred = self.preference.get(subtype)
        if preferred is None:
            return [fact.weight for fact in facts]
        return [
            fact.weight * preferred.get(rounded_half_metres(about_m(fact) or 0.0), _LOWEST_PREFERENCE) for fact in facts
        ]

    def share_kept(self, subtype: str, fact: Fact, view: SceneView) -> float:
        """Return the probability with which a drawn fact is asked."""
        return self.kept(tuple(traits(subtype, fact, view))) if self.by_trait or self.by_cell else 1.0

    def kept(self, cell: Cell) -> float:
        """Return the probability with which a drawn fact of these traits is asked."""
        kept = self.by_cell.get(cell, 1.0)
        for trait in cell:
            kept *= self.by_trait.get(trait, 1.0)
        return kept


def preference_from(sample: Survey) -> Balance:
    """Return a balance that prefers rare distances where a scene has several facts to ask; nothing is left out."""
    preference = {}
    for subtype, counts in sample.half_metres.items():
        most = max(counts.values())
        lowest = _LOWEST_PREFERENCE * most
        preference[subtype] = {steps: lowest / max(count, lowest) for steps, count in counts.items()}
    return Balance(preference=preference)
