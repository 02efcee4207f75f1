"""Removes answer bias: counts what the scenes offer, then drops questions that make an answer predictable.

Within one scene the finders already give Yes and No the same chance. What is left is bias of the scenes themselves:
rooms with more space below the ears than above, or a loud class that is never masked and so is asked about from further
away. Every fact has traits: what a reader of the question knows (a group, such as the asked word or a label) and what
the answer is then (an outcome). A survey of all scenes counts outcomes by group, each fact by its chance of being
drawn. From the counts follows how often a fact of each outcome is kept, so that within every group either

- even: all outcomes are equally frequent (Yes and No, the two ends of an axis, octants), or
- apart: outcomes are as frequent as in all groups together (distance or octant must not depend on the label).

Only an excess beyond chance is removed, so a small data set keeps its questions. Where many
outcomes are to be even, none is reduced below half of the mean, so that no more than half of the questions go. Labels
are counted in a fixed number of buckets: memory does not grow with scenes or with classes.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from spatialqa.qa.answer_text import label_list, rounded_m
from spatialqa.qa.fact import Fact
from spatialqa.qa.listener_view import AXES, SceneView
from spatialqa.qa.option_sets import Sound

MOST_SOUNDS = 4096  # different ones that are remembered as wrong options
_LOWEST_PREFERENCE = 0.05  # the rarest distance is preferred at most 20 times over the most frequent

Group = tuple[str, object]  # (family, what the reader knows)
Outcome = str | int

# How many outcomes a family has that are to be even; 0 is as many as are seen, and None sets outcome apart from group.
_EVEN_OUTCOMES: Mapping[str, int | None] = {
    "answer": 2,
    "ends": 2,
    "answer by label": 2,
    "ends by label": 2,
    "octant": 8,
    "hour": 12,
    "number": 0,
    "distance by label": None,
    "octant by label": None,
    "hour by label": None,
    "side by label": None,
}
_ROUNDS = 10  # of rejection sampling by label
_LEAST_KEPT = 0.25
_SMALL = 6
_MANY = 3  # outcomes, from which on rejection stops at half of the mean


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


@dataclass
class Survey:
    """What scenes offer: how often each outcome of a group would be drawn, and each answer asked, by chance."""

    outcomes: dict[Group, dict[Outcome, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    half_metres: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    places: dict[str, dict[Located, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    sounds: dict[str, dict[Sound, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))

    def add(self, subtype: str, facts: Iterable[Fact], balance: "Balance", view: SceneView) -> None:
        """Count one scene's facts of one subtype, each by its chance of being drawn or asked under `balance`."""
        facts = list(facts)
        weights = balance.weights(subtype, facts, view)
        total = sum(weights)
        for fact, weight in zip(facts, weights, strict=True):
            share = weight / total
            for group, outcome in traits(subtype, fact, view):
                self.outcomes[group][outcome] += share
            share *= balance.share_kept(subtype, fact, view)
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
    """How questions are rejected to balance a data set: `preference` chooses among the facts of a scene, `kept`
    leaves some out.

    kept: by group and outcome, the share of such facts that is asked. preference: by subtype and distance in half
    metres, the relative weight in the draw.
    """

    kept: Mapping[Group, Mapping[Outcome, float]] = field(default_factory=dict)
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
        kept = 1.0
        if not self.kept:
            return kept
        for group, outcome in traits(subtype, fact, view):
            thinned = self.kept.get(group)
            if thinned is not None:
                kept *= thinned.get(outcome, 1.0)
        return kept


def preference_from(sample: Survey) -> Balance:
    """Return a balance that prefers rare distances where a scene has several facts to ask; nothing is left out."""
    preference = {}
    for subtype, counts in sample.half_metres.items():
        most = max(counts.values())
        lowest = _LOWEST_PREFERENCE * most
        preference[subtype] = {steps: lowest / max(count, lowest) for steps, count in counts.items()}
    return Balance(preference=preference)


def balance_from(survey: Survey, preference: Mapping[str, Mapping[int, float]]) -> Balance:
    """Return the balance that evens out a survey of all scenes, which must have been made with this preference."""
    families: dict[str, dict[Group, Mapping[Outcome, float]]] = defaultdict(dict)
    for group, counts in survey.outcomes.items():
        families[group[0]][group] = counts
    shares_of: dict[Group, dict[Outcome, float]] = {}
    for family, groups in families.items():
        kind = family.partition("/")[2]
        n_outcomes = _EVEN_OUTCOMES[kind]
        if n_outcomes is None:
            shares_of |= _apart(groups)
        else:
            chance = _chance_among_many if kind.endswith(" by label") else _chance
            shares_of |= {group: _even(counts, n_outcomes, chance) for group, counts in groups.items()}
    kept = {}
    for group, shares in shares_of.items():
        thinned = {outcome: share for outcome, share in shares.items() if share < 1}
        if thinned:
            kept[group] = thinned
    return Balance(kept, preference)


def _even(counts: Mapping[Outcome, float], n_outcomes: int, chance: Callable[[float], float]) -> dict[Outcome, float]:
    expected = n_outcomes or len(counts)
    rarest = min(counts.values()) if len(counts) >= expected else 0.0
    floor = sum(counts.values()) / expected / 2 if expected >= _MANY else 0.0
    return {
        outcome: min(1.0, max(rarest + chance(n + rarest), floor) / n) if n > 0 else 1.0
        for outcome, n in counts.items()
    }


def _apart(groups: Mapping[Group, Mapping[Outcome, float]]) -> dict[Group, dict[Outcome, float]]:
    """Thin, again and again, what is more frequent in a group than in all; no outcome of a group below a quarter."""
    kept = {group: dict.fromkeys(counts, 1.0) for group, counts in groups.items()}
    for _ in range(_ROUNDS):
        left = {group: {o: n * kept[group][o] for o, n in counts.items()} for group, counts in groups.items()}
        totals: dict[Outcome, float] = defaultdict(float)
        for counts in left.values():
            for outcome, n in counts.items():
                totals[outcome] += n
        total = sum(totals.values())
        for group, counts in left.items():
            share = sum(counts.values()) / total if total else 0.0
            for outcome, n in counts.items():
                expected = totals[outcome] * share
                allowed = expected + _chance_among_many(expected)
                if n > allowed:
                    kept[group][outcome] = max(_LEAST_KEPT, kept[group][outcome] * allowed / n)
    return kept


def _chance(count: float) -> float:
    """Return by how much chance alone moves a count: a standard deviation, and up to two where counts are small.

    A small data set would lose much of what it has to a strict rule, and its imbalance cannot be learned.
    """
    deviation = math.sqrt(count)
    return min(1 + 2 * deviation, deviation + _SMALL)


def _chance_among_many(count: float) -> float:
    """Return the same for a group among many small ones, some of which chance always moves further."""
    return 1 + 2 * math.sqrt(count)
