"""Facts: the possible questions about a scene with their answers, before wording.

A function such as `yes_no_fact` makes the fact of one kind of answer; `_replace` sets what it has no argument for.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from spatialqa.qa import answer_text as text
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.listener_view import SceneView

T = TypeVar("T")

YES_NO = ("Yes", "No")


class Fact(NamedTuple):
    """One askable thing of a scene and its answer; the words of the question are drawn later.

    form: which templates of the subtype fit (see Subtype.forms).
    weight: how often this fact is drawn against the others of the same scene and subtype.
    sources: the referents, in the order in which the question names them.
    words: what the word slots of the form say, in the form's order.
    answer: the answer, or None where it is a name drawn for source `sources[0]`.
    The other fields are the columns of the same names.
    """

    form: str
    sources: tuple[int, ...]
    answer: str | None
    weight: float = 1.0
    words: tuple[str, ...] = ()
    asked_direction: tuple[str, ...] | None = None
    asked_distance_m: float | None = None
    polarity: str | None = None
    choices: tuple[str, ...] | None = None
    answer_labels: tuple[str, ...] | None = None
    answer_direction: tuple[str, ...] | None = None
    answer_distance_m: float | None = None
    answer_bool: bool | None = None
    answer_count: int | None = None
    margin_deg: float | None = None
    margin_m: float | None = None


# What a subtype makes of a scene: the facts that can be asked, or the reason why there are none.
Facts = list[Fact] | str
Finder = Callable[[SceneView, AskOptions], Facts]

NEEDS_ONE_SOURCE = "the scene has more than one source"
NEEDS_TWO_SOURCES = "the scene has one source only"
MASKED = "masked by the other sources, or too faint to be heard"
NO_NAME = "no label fits one source only"
NEAR_BOUNDARY = "too near the boundary of a direction word"
NOT_APART = "sources not far enough apart to compare"
NOT_DISTINCT = "direction and distance fit another source too"
ONE_ANSWER = "only one answer is possible"
NEEDS_THREE_SOURCES = "the scene has fewer than three sources"
TOO_MANY_SOURCES = "the scene has more than four sources"
NO_REGIONS = "the rooms of the sources are not known"
STEEP = "too far above or below for a clock direction"
NOT_IN_CHANNELS = "the channels do not carry such a direction"
TO_BALANCE = "left out to balance the answers"
TOO_FEW_OPTIONS = "too few different answers for four options"


def yes_no_fact(
    sources: tuple[int, ...],
    truth: bool,
    words: tuple[str, ...] = (),
    margin_deg: float | None = None,
    margin_m: float | None = None,
    weight: float = 1.0,
) -> Fact:
    """Return a fact that is answered by Yes or No; `words` are what is asked."""
    return Fact(
        "open",
        sources,
        "Yes" if truth else "No",
        weight=weight,
        words=words,
        asked_direction=words or None,
        polarity="yes" if truth else "no",
        choices=YES_NO,
        answer_bool=truth,
        margin_deg=margin_deg,
        margin_m=margin_m,
    )


def labels_fact(view: SceneView, source: int) -> Fact:
    """Return a fact that is answered by all labels of a source."""
    labels = view.sources[source].labels
    return Fact("open", (source,), text.labels_answer(labels), answer_labels=text.label_list(labels))


def label_fact(source: int, words: tuple[str, ...] = ()) -> Fact:
    """Return a fact that is answered by a name of a source, one that fits no other; its name is drawn later."""
    return Fact("open", (source,), None, words=words, asked_direction=words or None)


def location_fact(view: SceneView, source: int) -> Fact:
    """Return a fact that is answered by the octant and distance of a source."""
    heard = view.sources[source]
    return Fact(
        "open",
        (source,),
        text.location_answer(heard.words, heard.distance_m),
        answer_direction=tuple(heard.words),
        answer_distance_m=heard.distance_m,
        margin_deg=heard.octant_margin_deg,
        margin_m=text.rounding_margin_m(heard.distance_m),
    )


def distance_fact(sources: tuple[int, ...], distance_m: float) -> Fact:
    """Return a fact that is answered by a distance in metres."""
    margin_m = text.rounding_margin_m(distance_m)
    return Fact("open", sources, text.distance_answer(distance_m), answer_distance_m=distance_m, margin_m=margin_m)


def hour_fact(sources: tuple[int, ...], hour: int, margin_deg: float | None = None, form: str = "open") -> Fact:
    """Return a fact that is answered by an hour of the clock face, 1 to 12."""
    answer = text.clock_answer(hour)
    return Fact(form, sources, answer, answer_direction=(answer,), margin_deg=margin_deg)


def count_fact(sources: tuple[int, ...], number: int) -> Fact:
    """Return a fact that is answered by a number, 0 or more."""
    return Fact("open", sources, str(number), answer_count=number)


def word_fact(sources: tuple[int, ...], answer: str, choices: tuple[str, ...], words: tuple[str, ...] = ()) -> Fact:
    """Return a fact that is answered by one of the words that its text offers; `words` are what its slots say."""
    return Fact("open", sources, answer, words=words, choices=choices)


def why_not_named(view: SceneView) -> str:
    """Return the reason why too few sources of a scene can be named."""
    return MASKED if any(source.masked for source in view.sources) else NO_NAME


def pick(items: Sequence[T], rng: np.random.Generator) -> T:
    """Draw one item evenly."""
    return items[int(rng.random() * len(items))]


def pick_fact(facts: Sequence[Fact], weights: Sequence[float], rng: np.random.Generator) -> Fact:
    """Draw one fact by weight."""
    mark = rng.random() * math.fsum(weights)
    for fact, weight in zip(facts, weights, strict=True):
        mark -= weight
        if mark < 0:
            return fact
    return facts[-1]
