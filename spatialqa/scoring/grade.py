"""Grades one answer against its reference. Grades are sums, and metrics are ratios of sums."""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from spatialqa.core.geometry import great_circle_deg
from spatialqa.core.ontology import ontology
from spatialqa.errors import DatasetError
from spatialqa.qa.answer_text import rounded_m
from spatialqa.qa.listener_view import AXES
from spatialqa.qa.spoken_name import bare_name, spoken_name
from spatialqa.scoring.parsing import quantity
from spatialqa.scoring.parsing.class_names import Names, parts
from spatialqa.scoring.parsing.direction import direction
from spatialqa.scoring.parsing.normalise import affirmed, plain, without
from spatialqa.scoring.parsing.option import option_index
from spatialqa.scoring.parsing.yes_no import yes_no
from spatialqa.scoring.references import Reference, SceneReference

DER_THRESHOLD_M = 0.5
_EPSILON_M = 1e-6  # 3.5 - 3 may come out slightly above 0.5

AXIS_METRICS = ("left_right", "front_behind", "above_below")


class AnswerPart(NamedTuple):
    """What one answer adds to a metric: the metric is sum(above) / sum(below) over all answers."""

    above: float
    below: float = 1.0


@dataclass(eq=False)
class Grade:
    """The parts of one answer, by metric, and what of it could not be read ("direction", "distance", ...)."""

    parts: dict[str, AnswerPart] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def grade(truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> Grade:
    """Measure one raw answer; an empty one is wrong everywhere.

    Args:
        truth: the question.
        scene: its scene, for angles and for the other names of a source; None where the data set lacks it.
        prediction: the answer as the model gave it.
        names: the names of classes that may occur.

    Raises:
        DatasetError: the question's subtype is unknown, or its answer is none of its options.
    """
    if truth.kind not in _GRADERS:
        raise DatasetError(f"question {truth.qa_id}: subtype {truth.subtype!r} cannot be scored by this version")
    result = Grade()
    if truth.multiple_choice:
        _options(result, truth, prediction, names)
    else:
        _GRADERS[truth.kind](result, truth, scene, prediction, names)
    return result


def spoken(truth: Reference, prediction: str) -> str:
    """Return an answer in plain text without the names that its question asked about."""
    forms = [form for label in truth.asked_labels for form in (label, spoken_name(label), bare_name(label))]
    return without(plain(prediction), tuple(forms))


def _names_said(prediction: str, right: Collection[str], names: Names) -> tuple[list[str], int]:
    """Return the names in an answer, and how many of its parts hold none.

    An answer may say a name as questions do: "a dog barking" is "bark", and holds the name "dog". Of the two readings
    that with more right names counts, and among equals that with fewer names.
    """
    readings = [names.answered(prediction, phrases) for phrases in (False, True)]
    return max(readings, key=lambda reading: (len(set(right).intersection(reading[0])), -len(reading[0])))


def _labels(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    true = set(truth.answer_labels or parts(truth.answer))
    found, strange = _names_said(prediction, true, names)
    hits, given = len(true.intersection(found)), len(found) + strange
    result.parts["precision"] = AnswerPart(hits, given)
    result.parts["recall"] = AnswerPart(hits, len(true))
    result.parts["f1"] = AnswerPart(2 * hits, given + len(true))
    result.parts["exact"] = AnswerPart(set(found) == true and not strange)
    if not found:
        result.unread.append("labels")


def _location(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    text = spoken(truth, prediction)
    said = direction(text)
    right = [word == true for word, true in zip(said, truth.answer_direction, strict=True)]
    result.parts |= {name: AnswerPart(ok) for name, ok in zip(AXIS_METRICS, right, strict=True)}
    result.parts["direction"] = AnswerPart(all(right))
    result.unread += [name for name, word in zip(AXIS_METRICS, said, strict=True) if word is None]
    _distance_parts(result, truth, text)
    azimuth, elevation = quantity.angles(affirmed(text))
    if scene is not None and azimuth is not None and elevation is not None:
        source = scene.sources[truth.source_indices[0]]
        apart = great_circle_deg(azimuth, elevation, source.azimuth_deg, source.elevation_deg)
        result.parts["great_circle_deg"] = AnswerPart(apart)


def _distance(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    _distance_parts(result, truth, spoken(truth, prediction))


def _distance_parts(result: Grade, truth: Reference, text: str) -> None:
    said = quantity.distance_m(affirmed(text))
    true = truth.answer_distance_m
    if true is None:
        raise DatasetError(f"question {truth.qa_id}: has no answer_distance_m; run `spatialqa validate`")
    if said is None:
        result.unread.append("distance")
        result.parts["der"] = result.parts["der_unrounded"] = AnswerPart(1.0)
        return
    result.parts["der"] = AnswerPart(abs(said - rounded_m(true)) > DER_THRESHOLD_M + _EPSILON_M)
    result.parts["der_unrounded"] = AnswerPart(abs(said - true) > DER_THRESHOLD_M + _EPSILON_M)
    result.parts["distance_error_m"] = AnswerPart(abs(said - true))


def _accuracy(result: Grade, right: bool, read: bool) -> None:
    result.parts["accuracy"] = AnswerPart(right)
    if not read:
        result.unread.append("answer")


def _yes_no(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    said = yes_no(spoken(truth, prediction))
    _accuracy(result, said == truth.answer_bool, said is not None)


def _direction_word(
    result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names
) -> None:
    axis = next(i for i, words in enumerate(AXES) if truth.answer_direction[0] in words)
    said = direction(spoken(truth, prediction))[axis]
    _accuracy(result, said == truth.answer_direction[0], said is not None)


def _label(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    right = set(truth.answer_labels) | {truth.answer.lower()}
    allowed = set(right)
    if scene is not None and truth.source_indices:
        source = scene.sources[truth.source_indices[0]]
        right |= scene.names_of(truth.source_indices[0])
        allowed |= right.union(source.labels)
        tree = ontology()
        allowed |= {tree.by_mid(up).name.lower() for mid in source.mids if mid for up in tree.ancestors(mid)}
    found, _ = _names_said(prediction, right, names)
    _accuracy(result, bool(right.intersection(found)) and allowed.issuperset(found), bool(found))


def _hour(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    said = quantity.clock_hour(affirmed(spoken(truth, prediction)))
    true = quantity.clock_hour(truth.answer)
    if true is None:
        raise DatasetError(
            f"question {truth.qa_id}: the answer {truth.answer!r} is not an hour; run `spatialqa validate`"
        )
    _accuracy(result, said == true, said is not None)
    result.parts["within_an_hour"] = AnswerPart(said is not None and (said - true) % 12 in (0, 1, 11))


def _count(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    said = quantity.count(affirmed(plain(prediction)))
    _accuracy(result, said == truth.answer_count, said is not None)


def _word(result: Grade, truth: Reference, scene: SceneReference | None, prediction: str, names: Names) -> None:
    said = option_index(spoken(truth, prediction), truth.choices)
    _accuracy(result, said is not None and truth.choices[said] == truth.answer, said is not None)


# By kind of answer.
_GRADERS: Mapping[str, Callable[[Grade, Reference, SceneReference | None, str, Names], None]] = {
    "labels": _labels,
    "location": _location,
    "yes_no": _yes_no,
    "distance": _distance,
    "label": _label,
    "direction_word": _direction_word,
    "hour": _hour,
    "count": _count,
    "word": _word,
}


def _options(result: Grade, truth: Reference, prediction: str, names: Names) -> None:
    """Multiple choice: by letter, by the text of an option, or by an answer that means what one option means."""
    true = option_index(truth.answer, truth.choices)
    if true is None:
        raise DatasetError(f"question {truth.qa_id}: {truth.answer!r} is none of its options; run `spatialqa validate`")
    said = option_index(prediction, truth.choices)
    for phrases in (False, True):
        if said is None:
            meant = _meaning(truth, prediction, names, phrases)
            same = [i for i, option in enumerate(truth.choices) if _meaning(truth, option, names) == meant]
            said = same[0] if meant is not None and len(same) == 1 else None
    _accuracy(result, said == true, said is not None)


def _meaning(truth: Reference, text: str, names: Names, phrases: bool = False) -> Hashable:
    """Return what an answer or an option says, comparable; None when it cannot be read."""
    said = affirmed(spoken(truth, text))
    distance = quantity.distance_m(said)
    match truth.kind:
        case "location":
            words = direction(said)
            return (words, rounded_m(distance)) if distance is not None and None not in words else None
        case "distance":
            return rounded_m(distance) if distance is not None else None
        case "hour":
            return quantity.clock_hour(said)
        case "count":
            return quantity.count(said)
        case "labels" | "label":
            return frozenset(names.answered(text, phrases)[0]) or None
        case _:
            return None
