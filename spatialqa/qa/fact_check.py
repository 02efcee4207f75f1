"""Checks the return values of finders of user-defined subtypes, before they reach a data set."""

import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spatialqa.errors import QuestionModuleError
from spatialqa.qa import answer_text as text
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.fact import YES_NO, Fact, Facts, Finder, why_not_named
from spatialqa.qa.listener_view import AXES, SceneView
from spatialqa.qa.subtype import Subtype
from spatialqa.qa.templating.slots import NAME_SLOTS, TABLES, WORD_SLOTS

NOTHING_FOUND = "its finder finds nothing to ask"
WRONG_NUMBER = "the scene has another number of sources"

# The columns that a fact of each kind of answer fills; the others stay None.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "labels": ("answer_labels",),
    "label": (),
    "location": ("answer_direction", "answer_distance_m"),
    "distance": ("answer_distance_m",),
    "yes_no": ("polarity", "choices", "answer_bool"),
    "direction_word": ("choices", "answer_direction"),
    "hour": ("answer_direction",),
    "count": ("answer_count",),
    "word": ("choices",),
}
_ANSWER_COLUMNS = sorted({name for names in _COLUMNS.values() for name in names})


def checked_finder(subtype: Subtype, where: Path) -> Finder:
    """Return the finder of a subtype that `where` declares, with its facts checked and in their plain types.

    Facts that are about a masked source, or need the name of one that has none of its own, are left out. The finder is
    called for scenes with as many sources as the subtype is for.

    Raises (when called):
        QuestionModuleError: the finder raises, or returns something else than facts or a reason.
    """

    def find(view: SceneView, options: AskOptions) -> Facts:
        if not subtype.sources[0] <= len(view.sources) <= subtype.sources[1]:
            return WRONG_NUMBER
        place = f"{where.name}: subtype {subtype.name}: scene {view.scene.scene_id}"
        try:
            found = subtype.finder(view, options)
        except Exception as error:
            raise QuestionModuleError(f"{place}: its finder raised {described(error, where)}") from error
        if isinstance(found, str) and found:
            return found
        if not isinstance(found, list):
            raise QuestionModuleError(
                f"{place}: its finder returned {_short(found)}, and must return a list of Fact, or the reason as a text"
            )
        for number, fact in enumerate(found, 1):
            if problem := fact_problem(subtype, fact, view):
                raise QuestionModuleError(f"{place}: fact {number}: {problem}")
        clear = [fact for fact in found if _can_be_asked(subtype, fact, view)]
        return clear or (why_not_named(view) if found else NOTHING_FOUND)

    return find


def checked_because(subtype: Subtype, where: Path) -> Callable[[SceneView, Fact], str] | None:
    """Return `because` of a subtype such that it raises QuestionModuleError where it raises or returns no text."""
    own = subtype.because
    if own is None:
        return None

    def because(view: SceneView, fact: Fact) -> str:
        place = f"{where.name}: subtype {subtype.name}: scene {view.scene.scene_id}"
        try:
            said: Any = own(view, fact)
        except Exception as error:
            raise QuestionModuleError(f"{place}: because raised {described(error, where)}") from error
        if not _is_line(said):
            raise QuestionModuleError(f"{place}: because returned {_short(said)}, and must return one line of text")
        return str(said)

    return because


def described(error: BaseException, file: Path | None = None) -> str:
    """Return an error in one line, with the line of the user's file where it came from; of any file where None."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    own = [(name, line) for name, line in places if file is None or name == str(file)]
    said = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if not own:
        return text
    name, line = own[-1]
    return f"{text} (line {line})" if file else f"{text} ({Path(name).name}, line {line})"


def fact_problem(subtype: Subtype, fact: Any, view: SceneView) -> str | None:
    """Return what is wrong with one fact of a subtype, or None."""
    if not isinstance(fact, Fact):
        return f"is {_short(fact)}, and must be a Fact"
    if fact.form not in subtype.forms:
        return f"its form {fact.form!r} is none of {', '.join(subtype.forms)}"
    if not (isinstance(fact.weight, int | float) and math.isfinite(fact.weight) and fact.weight > 0):
        return f"its weight {fact.weight!r} must be a number above 0"
    slots = subtype.forms[fact.form]
    return _sources_problem(fact, slots, view) or _words_problem(fact, slots) or _answer_problem(subtype, fact, slots)


def _sources_problem(fact: Fact, slots: tuple[str, ...], view: SceneView) -> str | None:
    known = range(len(view.sources))
    if not isinstance(fact.sources, tuple) or len(set(fact.sources)) != len(fact.sources):
        return f"its sources {_short(fact.sources)} must be a tuple of different numbers"
    if any(type(index) is not int or index not in known for index in fact.sources):
        return f"its sources {fact.sources} must be whole numbers from 0 to {len(known) - 1}"
    named = [slot for slot in slots if slot in NAME_SLOTS]
    if named and len(fact.sources) != len(named):
        return f"has {len(fact.sources)} sources, and its form {fact.form} names {len(named)}"
    return None


def _words_problem(fact: Fact, slots: tuple[str, ...]) -> str | None:
    to_fill = [slot for slot in slots if slot not in NAME_SLOTS]
    if not isinstance(fact.words, tuple) or len(fact.words) != len(to_fill):
        return f"its words {_short(fact.words)} must be a tuple that fills {', '.join(to_fill) or 'no slots'}"
    for slot, word in zip(to_fill, fact.words, strict=True):
        if not _is_line(word):
            return f"its word {_short(word)} for {{{slot}}} must be one line of text"
        if slot in WORD_SLOTS and word not in TABLES[WORD_SLOTS[slot]]:
            return f"its word {word!r} for {{{slot}}} is none of {', '.join(TABLES[WORD_SLOTS[slot]])}"
    return None


def _answer_problem(subtype: Subtype, fact: Fact, slots: tuple[str, ...]) -> str | None:
    filled = _COLUMNS[subtype.answer]
    for name in _ANSWER_COLUMNS:
        if (getattr(fact, name) is not None) != (name in filled):
            state = "is None" if name in filled else "is given"
            return f"{name} {state}, which an answer of the kind {subtype.answer} does not have{_hint(subtype)}"
    try:
        wanted = _WRITTEN[subtype.answer](fact)
    except (TypeError, ValueError, AttributeError):
        wanted = ""
    if subtype.answer == "label":
        if fact.answer is not None or len(fact.sources) != 1 or set(slots) & set(NAME_SLOTS):
            return f"a label answers questions that name no source, and is drawn for the one in sources{_hint(subtype)}"
    elif fact.answer != wanted or not wanted:
        columns = ", ".join(f"{name} {_short(getattr(fact, name))}" for name in filled)
        return f"its answer {_short(fact.answer)} does not follow from {columns}{_hint(subtype)}"
    return None


def _hint(subtype: Subtype) -> str:
    return "" if subtype.answer == "direction_word" else f"; make it with {subtype.answer}_fact"


def _location(fact: Fact) -> str:
    words = tuple(fact.answer_direction or ())
    known = len(words) == len(AXES) and all(word in axis for word, axis in zip(words, AXES, strict=True))
    return text.location_answer(words, _metres(fact)) if known else ""


def _metres(fact: Fact) -> float:
    metres = float(fact.answer_distance_m)  # type: ignore[arg-type]
    if not math.isfinite(metres) or metres < 0:
        raise ValueError(metres)
    return metres


def _direction_word(fact: Fact) -> str:
    two = any(sorted(fact.choices or ()) == sorted(axis) for axis in AXES)
    return fact.answer or "" if two and fact.answer in fact.choices and fact.answer_direction == (fact.answer,) else ""  # type: ignore[operator]


def _word(fact: Fact) -> str:
    choices = fact.choices or ()
    good = isinstance(choices, tuple) and len(set(choices)) == len(choices) > 1 and all(map(_is_line, choices))
    return fact.answer or "" if good and fact.answer in choices else ""


def _yes_no(fact: Fact) -> str:
    yes = fact.answer_bool is True
    right = fact.choices == YES_NO and fact.polarity == ("yes" if yes else "no") and isinstance(fact.answer_bool, bool)
    return YES_NO[not yes] if right else ""


# How an answer of each kind is written, from the columns; "" where they are not what they must be.
_WRITTEN: Mapping[str, Callable[[Fact], str]] = {
    "labels": lambda fact: "; ".join(text.label_list(fact.answer_labels or ())),
    "label": lambda fact: "",
    "location": _location,
    "distance": lambda fact: text.distance_answer(_metres(fact)),
    "yes_no": _yes_no,
    "direction_word": _direction_word,
    "hour": lambda fact: next((a for h in range(1, 13) if fact.answer_direction == (a := text.clock_answer(h),)), ""),
    "count": lambda fact: str(fact.answer_count) if type(fact.answer_count) is int and fact.answer_count >= 0 else "",
    "word": _word,
}


def _can_be_asked(subtype: Subtype, fact: Fact, view: SceneView) -> bool:
    named = fact.answer is None or any(slot in NAME_SLOTS for slot in subtype.forms[fact.form])
    heard = [view.sources[index] for index in fact.sources]
    return all(not source.masked and (bool(source.names) or not named) for source in heard)


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable() and value == value.strip()


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
