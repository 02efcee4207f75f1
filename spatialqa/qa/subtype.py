"""The declaration of a subtype: its finder, the slots of its templates, and the kind of its answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from spatialqa.dataset.validation.answers import AskedQuestion
from spatialqa.errors import RecipeError
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.fact import NOT_IN_CHANNELS, Fact, Facts, Finder
from spatialqa.qa.listener_view import AXES, SceneView

# The kinds of answers, and how a template file names them. A kind decides how an answer is written, graded and checked.
ANSWER_KINDS: Mapping[str, str] = {
    "labels": "labels",
    "label": "label",
    "location": "direction and distance",
    "distance": "distance",
    "yes_no": "yes or no",
    "direction_word": "one of two words",
    "hour": "hour",
    "count": "number",
    "word": "one of the offered words",
}

MOST_SOURCES = 99

# How much of a direction must be heard to answer: nothing; one axis, that of the fact's words; left and front; all.
HEARING = ("none", "axis", "azimuth", "direction")
_HEARING_OF_KIND = {"location": "direction", "hour": "azimuth", "direction_word": "axis"}
_AXES_NEEDED = {"none": set(), "axis": set(), "azimuth": {"left", "front"}, "direction": {"left", "front", "above"}}
_AXIS_OF_WORD = {word: ends.positive for ends in AXES for word in ends}


@dataclass(frozen=True)
class Subtype:
    """One subtype of questions.

    name: lower-case letters, digits and "_"; it is unique. type: the question type that asks it: A, B, C, D, E, X, or a
        new one.
    answer: one of ANSWER_KINDS.
    finder: returns the facts of a scene that can be asked, or the reason why there are none.
    forms: by name, the slots that templates of the form fill. `source` and `other` are filled with the names of
        `Fact.sources`, all others with `Fact.words`, in the order given here.
    sources: how many sources a scene has that it can be asked of, least and most.
    hears: one of HEARING, what its questions need to hear of a direction; None: what its kind of answer needs.

    The rest is for subtypes that a user declares; the built-in ones have it elsewhere.
    templates: texts by id, or the path of a template file beside the Python file. synonyms, phrases: as in a template
        file, for texts given here.
    because: returns the reason of an answer for its rationale, such as "it is in the kitchen, and you are in the hall".
    recompute: returns the right answer to a question for `validate`, from the ground truth alone: True or False for
        yes_no, metres for distance, a number for hour and count, a text for word and direction_word, texts for labels
        and label, ((left or right, front or behind, above or below), metres) for location.
    """

    name: str
    type: str
    answer: str
    finder: Finder
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"open": ()})
    sources: tuple[int, int] = (1, MOST_SOURCES)
    hears: str | None = None
    templates: Mapping[str, str] | str | Path = field(default_factory=dict)
    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    phrases: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    because: Callable[[SceneView, Fact], str] | None = None
    recompute: Callable[[AskedQuestion], Any] | None = None

    def facts(self, view: SceneView, options: AskOptions) -> Facts:
        """Return the facts of a scene that can be asked and heard in its channels, or the reason why there are none."""
        hears = self.hears or _HEARING_OF_KIND.get(self.answer, "none")
        if not _AXES_NEEDED[hears] <= set(view.axes_heard) or (hears == "axis" and not view.axes_heard):
            return NOT_IN_CHANNELS
        found = self.finder(view, options)
        if isinstance(found, str) or len(view.axes_heard) == len(AXES):
            return found
        return [fact for fact in found if _axes_of(fact) <= set(view.axes_heard)] or NOT_IN_CHANNELS


@dataclass(frozen=True)
class SubtypeSet:
    """The subtypes that can be asked, in their order."""

    all: tuple[Subtype, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Subtype]:
        """The subtypes by name."""
        return {subtype.name: subtype for subtype in self.all}

    @cached_property
    def by_type(self) -> Mapping[str, tuple[Subtype, ...]]:
        """The subtypes of each question type."""
        types: dict[str, tuple[Subtype, ...]] = {}
        for subtype in self.all:
            types[subtype.type] = (*types.get(subtype.type, ()), subtype)
        return types

    @property
    def types(self) -> tuple[str, ...]:
        """The question types."""
        return tuple(self.by_type)

    def types_for(self, several: bool) -> tuple[str, ...]:
        """Return the types that are asked of scenes with several sources alone, or of those with one source alone."""
        return tuple(
            name
            for name, subtypes in self.by_type.items()
            if all(s.sources[0] > 1 if several else s.sources[1] == 1 for s in subtypes)
        )

    def check_types(self, types: Iterable[str]) -> None:
        """Raise RecipeError where one of these types has no subtype."""
        if unknown := [name for name in types if name not in self.by_type]:
            raise RecipeError(
                f"types: {', '.join(map(repr, unknown))} given, which no question module declares; choose from "
                f"{', '.join(self.types)}"
            )

    def with_own(self, own: Iterable[Subtype]) -> "SubtypeSet":
        """Return these subtypes and, after them, a user's own."""
        return SubtypeSet((*self.all, *own))


def _axes_of(fact: Fact) -> set[str]:
    """Return the axes of the direction words that a fact asks about or answers with."""
    words = (*(fact.asked_direction or ()), *(fact.answer_direction or ()))
    return {_AXIS_OF_WORD[word] for word in words if word in _AXIS_OF_WORD}
