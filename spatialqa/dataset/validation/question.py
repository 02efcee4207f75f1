"""Checks one question against its scene: referents, wording, answer, and the columns that repeat the answer."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from spatialqa.dataset.validation import text
from spatialqa.dataset.validation.answers import RULES, AskedQuestion, Expected, Margins, Rule
from spatialqa.dataset.validation.ground_truth import OPPOSITE, Label, TrueScene, TrueSource, label_of
from spatialqa.dataset.validation.rationale import rationale_problems

_SAME = 1e-6  # metres, degrees, decibels
_LETTERED = re.compile(r"[A-D]\. ")
_OPTIONAL = (
    "asked_labels",
    "asked_direction",
    "asked_distance_m",
    "polarity",
    "answer_labels",
    "answer_direction",
    "answer_distance_m",
    "answer_bool",
    "answer_count",
)
_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "labels": (text.parse_labels, 'labels in lower case and alphabetical order, joined by "; "'),
    "label": (lambda answer: answer, "a label"),
    "location": (text.parse_location, '"left, front, above; 2.5m"'),
    "distance": (text.parse_distance, '"2.5m"'),
    "yes/no": (text.parse_bool, '"Yes" or "No"'),
    "word": (lambda answer: answer if answer in OPPOSITE else None, "one direction word"),
    "clock": (text.parse_clock, '"3 o\'clock"'),
    "count": (text.parse_count, "a number"),
    "offered": (lambda answer: answer, "one of the offered words"),
}


def question_problems(
    row: Mapping[str, Any],
    scene: TrueScene,
    margins: Margins,
    own_templates: bool = False,
    own_rules: Mapping[str, Rule] = MappingProxyType({}),
) -> Iterator[str]:
    """Yield everything that is wrong with a row of `qa`, one line each.

    With `own_templates` the wordings of directions are the user's, and only labels and distances are looked for in
    the text. `own_rules` are those of subtypes that are not built in, by name.
    """
    rule = RULES.get(row["subtype"]) or own_rules.get(row["subtype"])
    if rule is None or rule.type != row["type"]:
        yield f"type {row['type']} has no subtype {row['subtype']}"
        return
    yield from _form_problems(row, rule)
    missing = [name for name in rule.columns if row[name] is None]
    if missing:
        return
    who = _referents(row, scene, rule)
    if isinstance(who, str):
        yield who
        return
    yield from _unheard(row, scene)
    yield from _label_problems(row, scene, who)
    yield from _text_problems(row, rule, own_templates or rule.own)
    asked = AskedQuestion(row, scene, who, margins)
    expected = rule.expect(asked)
    yield from expected.faults
    yield from _masked(asked)
    if row["rationale"] is not None:
        yield from rationale_problems(row, scene, own=rule.own)
    if expected.form != "none":
        yield from _answer_problems(row, expected)
        yield from _choice_problems(asked, expected, rule)
        if rule.margins or expected.margin_deg is not None or expected.margin_m is not None:
            yield from _margin_problems(row, expected)


def _form_problems(row: Mapping[str, Any], rule: Rule) -> Iterator[str]:
    head, _, number = row["qa_id"].rpartition("-")
    if head != f"{row['scene_id']}-{row['subtype']}" or not number.isdecimal():
        yield f"its qa_id is not {row['scene_id']}-{row['subtype']}-<number>"
    if not row["template_id"]:
        yield "has no template_id"
    for name in _OPTIONAL:
        if row[name] is None and name in rule.columns:
            yield f"{name} is null"
        elif row[name] is not None and name not in rule.columns | rule.optional:
            yield f"{name} does not apply to {row['subtype']} and is {row[name]!r}"
    if rule.binary and row["polarity"] is not None and row["polarity"] != str(row["answer"]).lower():
        yield f"its polarity is {row['polarity']} and its answer {row['answer']}"


def _referents(row: Mapping[str, Any], scene: TrueScene, rule: Rule) -> tuple[TrueSource, ...] | str:
    """Return the sources that the question is about, or what is wrong with them."""
    least, most = rule.sources
    if not least <= len(scene.sources) <= most:
        return f"{row['subtype']} is not for a scene with {len(scene.sources)} sources"
    indices = row["source_indices"] or []
    if len(indices) not in rule.referents or len(set(indices)) != len(indices):
        return f"source_indices {indices} are not the {' or '.join(map(str, rule.referents))} referents it needs"
    if not all(0 <= i < len(scene.sources) for i in indices):
        return "names a source that its scene does not have"
    return tuple(scene.sources[i] for i in indices)


def _unheard(row: Mapping[str, Any], scene: TrueScene) -> Iterator[str]:
    """Say which direction a question needs that the channels of its scene do not tell."""
    heard = {word for axis in scene.heard_axes for word in axis}
    needed = [word for name in ("asked_direction", "answer_direction") for word in row[name] or ()]
    if any(word.endswith("o'clock") for word in needed):
        needed += ["left", "front"]
    if row["subtype"] == "distance_between":
        needed += ["left", "front", "above"]
    if unheard := [word for word in needed if word in OPPOSITE and word not in heard]:
        yield f"needs to tell {unheard[0]} from {OPPOSITE[unheard[0]]}, which {scene.channels} channels do not"


def _label_problems(row: Mapping[str, Any], scene: TrueScene, who: tuple[TrueSource, ...]) -> Iterator[str]:
    names = row["asked_labels"]
    if names is None:
        return
    if len(names) != len(who):
        yield f"names {len(names)} labels and has {len(who)} referents"
        return
    for name, source in zip(names, who, strict=True):
        label = _label(name, source)
        if label is None:
            yield f"{name!r} is not a label of the source it stands for ({', '.join(source.label_names)})"
        elif not label.nameable:
            yield f"{name!r} is a heading of AudioSet or blacklisted, and may not name a source"
        elif fits := [other for other in scene.sources if other is not source and other.has(label)]:
            yield f"{name!r} is ambiguous: it also fits the source labelled {', '.join(fits[0].label_names)}"


def _label(name: str, source: TrueSource) -> Label | None:
    return next((label for label in source.labels if label.name == name), None)


def _text_problems(row: Mapping[str, Any], rule: Rule, own_templates: bool) -> Iterator[str]:
    stem, options = text.split_options(row["question"])
    if options and options != row["choices"]:
        yield f"its text offers {options} and its choices are {row['choices']}"
    rest = text.strike(stem.lower(), row["asked_labels"] or ())
    if rest is None:
        yield f"its text does not name {' and then '.join(map(repr, row['asked_labels']))}"
        return
    if any(sign in rest for sign in "{}[]|"):
        yield "its text has an unfilled slot"
    if "answer_labels" in rule.columns:
        leaked = [label for label in row["answer_labels"] if text.names(rest, label)]
        if leaked:
            yield f"its text gives the answer {leaked[0]!r} away"
    if row["asked_distance_m"] is not None and text.spoken_distances(rest) != [row["asked_distance_m"]]:
        yield f"its text does not say {row['asked_distance_m']:g} meters"
    if own_templates:
        return
    for word in (*(row["asked_direction"] or ()), row["subtype"]):
        if text.worded(word):
            if text.place_of_word(rest, word) < 0:
                yield f"its text does not say {word}"
            elif (contrary := OPPOSITE.get(word)) and text.says(rest, contrary):
                yield f"its text says {contrary} and asked_direction {word}"
    if row["subtype"] == "direction_word" and row["choices"]:
        places = [text.place_of_word(rest, word) if word in OPPOSITE else -1 for word in row["choices"]]
        if min(places) < 0 or places != sorted(places):
            yield f"its text does not offer {' or '.join(row['choices'])} in this order"


def _masked(asked: AskedQuestion) -> Iterator[str]:
    """Say which referent is too faint, or even in its best channel further below the others than masking_db allows."""
    if asked.margins.masking_db == 0:  # such questions are asked about all sources
        return
    for source in asked.who:
        if source.faint:
            yield f"its source {', '.join(source.label_names)} is too faint to be heard"
        others = [other.level_dbfs for other in asked.scene.sources if other is not source]
        if source.level_dbfs is None or not others or None in others:
            continue
        by_channel = zip(source.level_dbfs, *(level for level in others if level), strict=False)
        below = min(10.0 * math.log10(sum(10.0 ** (level / 10.0) for level in rest)) - own for own, *rest in by_channel)
        if below > asked.margins.masking_db + _SAME:
            yield (
                f"its source {', '.join(source.label_names)} is masked: {below:.1f} dB below the others where it "
                f"is loudest, more than {asked.margins.masking_db:g}"
            )


def _answer_problems(row: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    parse, form = _PARSERS[expected.form]
    said = parse(_bare(row, row["answer"]))
    if said is None:
        yield f"its answer {row['answer']!r} is not of the form {form}"
        return
    if expected.form == "label":
        if said not in expected.value:
            right = " or ".join(sorted(expected.value)) or "none: no label of the source fits it alone"
            yield f"its answer is {row['answer']!r} and must be {right}"
        expected.columns["answer_labels"] = [said]
    elif said != expected.value:
        yield f"its answer is {row['answer']!r} and must be {_spoken(expected)!r}"
    for name, value in expected.columns.items():
        if not _equal(row[name], value):
            yield f"{name} is {_short(row[name])} and must be {_short(value)}"


def _bare(row: Mapping[str, Any], option: str) -> str:
    """Return an answer or option without its letter, which only multiple choice gives it."""
    lettered = row["choices"] is not None and _LETTERED.match(option) is not None and len(row["choices"]) > 2
    return option[3:] if lettered else option


def _spoken(expected: Expected) -> str:
    """Return the answer as its text must have it."""
    value = expected.value
    if expected.form == "labels":
        return "; ".join(value)
    if expected.form == "location":
        return f"{', '.join(value[0])}; {value[1]:g}m"
    if expected.form == "distance":
        return f"{value:g}m"
    if expected.form == "yes/no":
        return "Yes" if value else "No"
    return f"{value} o'clock" if expected.form == "clock" else str(value)


def _equal(said: Any, true: Any) -> bool:
    if isinstance(true, float):
        return isinstance(said, float) and math.isclose(said, true, rel_tol=0, abs_tol=_SAME)
    return bool(said == true)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _choice_problems(asked: AskedQuestion, expected: Expected, rule: Rule) -> Iterator[str]:
    row, choices = asked.row, asked.row["choices"]
    if rule.binary and choices is None:
        yield "its choices are null, and must be Yes and No"
    if rule.offers_words and choices is None:
        yield "its choices are null, and must be the words that its text offers"
    if choices is None:
        return
    if choices.count(row["answer"]) != 1:
        yield f"its choices {choices} have the answer {row['answer']!r} {choices.count(row['answer'])} times"
    if len({_bare(row, choice) for choice in choices}) != len(choices):
        yield f"its choices {choices} repeat one"
    if rule.binary:
        if sorted(choices) != ["No", "Yes"]:
            yield f"its choices are {choices}, and must be Yes and No"
    elif not rule.offers_words:
        yield from _option_problems(asked, expected)


def _option_problems(asked: AskedQuestion, expected: Expected) -> Iterator[str]:
    """Check the four options of a multiple choice question: all of the answer's form, and one of them true."""
    choices = asked.row["choices"]
    if [choice[:3] for choice in choices] != ["A. ", "B. ", "C. ", "D. "]:
        yield f"its choices {choices} are not four options, A. to D."
    if text.split_options(asked.row["question"])[1] != choices:
        yield "its text does not list its four choices"
    parse, form = _PARSERS[expected.form]
    for option in choices:
        if option == asked.row["answer"]:
            continue
        said = parse(_bare(asked.row, option))
        if said is None:
            yield f"its choice {option!r} is not of the form {form}"
        elif expected.form in ("label", "labels") and asked.who:
            yield from _distractor_problems(_bare(asked.row, option).split("; "), asked.who[0])
        elif said == expected.value:
            yield f"its choice {option!r} is true as well"


def _distractor_problems(names: list[str], source: TrueSource) -> Iterator[str]:
    for name in names:
        if source.has(label_of(name, None)):
            yield f"its choice {name!r} fits the answer's source as well"


def _margin_problems(row: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    for name, value in (("margin_deg", expected.margin_deg), ("margin_m", expected.margin_m)):
        if (row[name] is None) != (value is None) or (value is not None and not _equal(row[name], value)):
            yield f"{name} is {_short(row[name])} and must be {_short(value)}"
