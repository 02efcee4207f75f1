"""Rules for questions of user-defined subtypes: their form, and their answer where it can be computed.

A table of questions records the kind of answers of such a subtype. That is enough to check that a row is whole, that
it refers to sources of its scene, and that its answer and its columns agree. Whether the answer is right needs the
function that its module has for that (Subtype.recompute).
"""

from collections.abc import Callable, Mapping
from typing import Any

from spatialqa.dataset.json_records import OwnSubtype
from spatialqa.dataset.validation.answers import AskedQuestion, Expected, Rule, own_labels
from spatialqa.dataset.validation.text import half_metres

Recompute = Callable[[AskedQuestion], Any]

_MOST_REFERENTS = 100
_ASKED = frozenset({"asked_labels", "asked_direction", "asked_distance_m"})
# By kind of answer: the form of its text, and the columns that it fills.
_KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "labels": ("labels", ("answer_labels",)),
    "label": ("label", ("answer_labels",)),
    "location": ("location", ("answer_direction", "answer_distance_m")),
    "distance": ("distance", ("answer_distance_m",)),
    "yes_no": ("yes/no", ("answer_bool", "polarity")),
    "direction_word": ("word", ("answer_direction",)),
    "hour": ("clock", ("answer_direction",)),
    "count": ("count", ("answer_count",)),
    "word": ("offered", ()),
}


def own_rules(subtypes: Mapping[str, OwnSubtype], recompute: Mapping[str, Recompute]) -> dict[str, Rule]:
    """Return the rules of these subtypes, by name; a kind of answers that is not known has none.

    Args:
        subtypes: as the record of a table of questions has them.
        recompute: functions that compute an answer again, by subtype.
    """
    return {name: _rule(subtype, recompute.get(name)) for name, subtype in subtypes.items() if subtype.answer in _KINDS}


def _rule(subtype: OwnSubtype, recompute: Recompute | None) -> Rule:
    form, columns = _KINDS[subtype.answer]

    def expect(asked: AskedQuestion) -> Expected:
        if recompute is None:
            return _as_it_says(form, asked)
        try:
            value = recompute(asked)
        except Exception as error:
            return Expected("none", None, faults=[f"recompute raised {type(error).__name__}: {error}"])
        return value if isinstance(value, Expected) else _computed(form, value)

    return Rule(
        subtype.type,
        expect,
        frozenset(columns),
        tuple(range(_MOST_REFERENTS)),
        subtype.sources,
        _ASKED,
        own=True,
        margins=False,
        offers_words=form in ("word", "offered"),
    )


def _as_it_says(form: str, asked: AskedQuestion) -> Expected:
    """Return the answer that the columns of a question say, which its text must say too."""
    row = asked.row
    if form == "label":
        names = own_labels(asked.who[0], asked.scene) if len(asked.who) == 1 else frozenset()
        return Expected(form, names)
    if form == "location":
        return Expected(form, (tuple(row["answer_direction"]), half_metres(row["answer_distance_m"])))
    values = {
        "labels": row["answer_labels"],
        "distance": half_metres(row["answer_distance_m"] or 0.0),
        "yes/no": row["answer_bool"],
        "word": (row["answer_direction"] or [None])[0],
        "clock": _hour((row["answer_direction"] or [""])[0]),
        "count": row["answer_count"],
        "offered": row["answer"],
    }
    return Expected(form, values[form])


def _computed(form: str, value: Any) -> Expected:
    """Return a computed answer with the columns that say it again."""
    try:
        match form:
            case "labels" | "label":
                labels = sorted(str(name).lower() for name in value)
                return Expected(form, labels, {"answer_labels": labels})
            case "location":
                words, metres = tuple(value[0]), float(value[1])
                columns = {"answer_direction": list(words), "answer_distance_m": metres}
                return Expected(form, (words, half_metres(metres)), columns)
            case "distance":
                return Expected(form, half_metres(float(value)), {"answer_distance_m": float(value)})
            case "yes/no":
                return Expected(form, bool(value), {"answer_bool": bool(value)})
            case "word":
                return Expected(form, value, {"answer_direction": [value]})
            case "clock":
                return Expected(form, int(value), {"answer_direction": [f"{int(value)} o'clock"]})
            case "count":
                return Expected(form, int(value), {"answer_count": int(value)})
            case _:
                return Expected(form, value)
    except (TypeError, ValueError, IndexError) as error:
        return Expected("none", None, faults=[f"recompute returned {value!r:.60}, which is not an answer ({error})"])


def _hour(text: str) -> int | None:
    number, _, rest = text.partition(" ")
    return int(number) if number.isdecimal() and rest == "o'clock" else None
