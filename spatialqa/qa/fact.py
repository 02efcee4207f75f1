"""Facts: the possible questions about a scene with their answers, before wording."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.listener_view import SceneView

T = TypeVar("T")

YES_NO = ("Yes", "No")


class Fact(NamedTuple):
    """One askable thing of a scene and its answer; the words of the question are drawn later.

    form: which templates of the subtype fit (see slots.FORMS).
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
MASKED = "masked by the other sources"
NO_NAME = "no label fits one source only"
NEAR_BOUNDARY = "too near the boundary of a direction word"
NOT_APART = "sources not far enough apart to compare"
NOT_DISTINCT = "direction and distance fit another source too"
ONE_ANSWER = "only one answer is possible"
NEEDS_THREE_SOURCES = "the scene has fewer than three sources"
TOO_MANY_SOURCES = "the scene has more than four sources"
NO_REGIONS = "the rooms of the sources are not known"
STEEP = "too far above or below for a clock direction"
TO_BALANCE = "left out to balance the answers"
TOO_FEW_OPTIONS = "too few different answers for four options"


def yes_no(yes: bool) -> tuple[str, str]:
    """Return the answer and the polarity of a binary question."""
    return ("Yes", "yes") if yes else ("No", "no")


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
