"""Derives the answer to a question again, from the geometry and labels of its scene, with its margins.

Definitions: the head frame of `spatialqa.core.geometry`; "left of", "in front of" and "above" another source mean a
smaller x, a smaller z, a larger y; "closer" is distance to the listener. Nothing here comes from the code that asks.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatialqa.dataset.validation.ground_truth import OPPOSITE, TrueScene, TrueSource
from spatialqa.dataset.validation.text import half_metres

_TINY = 1e-9


@dataclass(frozen=True)
class Margins:
    """The margins that a table of questions was made with (recipe keys of the same names)."""

    direction_margin_deg: float = 0.0
    relation_margin_deg: float = 0.0
    distance_margin_m: float = 0.0
    masking_db: float = math.inf
    both_in_front: bool = True  # questions that were asked before this key have no such limit


@dataclass(frozen=True)
class AskedQuestion:
    """One question and its scene; `who` are the referents, in the order of source_indices."""

    row: Mapping[str, Any]
    scene: TrueScene
    who: tuple[TrueSource, ...]
    margins: Margins

    @property
    def words(self) -> tuple[str, ...]:
        """The words of asked_direction."""
        return tuple(self.row["asked_direction"] or ())


@dataclass
class Expected:
    """The true answer: what the text says when it is parsed, the columns that say it again, and what speaks against it.

    `value` is what the parser of `form` returns; for the form "label" it is the set of labels that are right.
    """

    form: str
    value: Any
    columns: dict[str, Any] = field(default_factory=dict)
    margin_deg: float | None = None
    margin_m: float | None = None
    faults: list[str] = field(default_factory=list)


def _clear_side(asked: AskedQuestion, angle_deg: float, what: str) -> list[str]:
    least = asked.margins.direction_margin_deg
    if abs(angle_deg) >= least - _TINY:
        return []
    return [f"{what} is {abs(angle_deg):.2f} degrees from where its direction word changes, less than {least:g}"]


def _plane_angle(source: TrueSource) -> float:
    return min(abs(source.angle_along(word)) for word in ("left", "front", "above"))


def _rounding_margin(distance_m: float) -> float:
    return 0.25 - abs(distance_m - half_metres(distance_m))


def _words_fault(asked: AskedQuestion, known: set[str], count: int = 1) -> list[str]:
    if len(asked.words) == count and set(asked.words) <= known:
        return []
    return [f"asks for {list(asked.words)}, which {asked.row['subtype']} does not know"]


_SIDES = set(OPPOSITE)


def _unusable(faults: list[str]) -> Expected:
    return Expected("none", None, faults=faults)


def classification(asked: AskedQuestion) -> Expected:
    """Every label of the only source."""
    labels = asked.who[0].label_names
    return Expected("labels", labels, {"answer_labels": labels})


def location(asked: AskedQuestion) -> Expected:
    """The octant and distance of a source; also location_of_class."""
    source = asked.who[0]
    distance = source.distance_m
    margin = _plane_angle(source)
    return Expected(
        "location",
        (source.words, half_metres(distance)),
        {"answer_direction": list(source.words), "answer_distance_m": distance},
        margin,
        _rounding_margin(distance),
        _clear_side(asked, margin, "the source"),
    )


def classification_at_location(asked: AskedQuestion) -> Expected:
    """Every label of the only source at an octant and distance, from which every other source is clearly away."""
    distance = asked.row["asked_distance_m"]
    there = [s for s in asked.scene.sources if (s.words, half_metres(s.distance_m)) == (asked.words, distance)]
    if len(there) != 1:
        return _unusable([f"{len(there)} sources are at {', '.join(asked.words)}; {distance:g} m, and one must be"])
    if there[0] is not asked.who[0]:
        return _unusable(["source_indices is not the source at the asked place"])
    labels = there[0].label_names
    margin_deg, margin_m = _plane_angle(there[0]), math.inf
    faults = _clear_side(asked, margin_deg, "the source")
    for other in asked.scene.sources:
        if other is there[0]:
            continue
        outside = max((-other.angle_along(word) for word in asked.words), default=0.0)
        if outside > 0 and outside >= asked.margins.direction_margin_deg:
            margin_deg = min(margin_deg, outside)
            continue
        apart = abs(other.distance_m - distance) - 0.25
        margin_m = min(margin_m, apart)
        faults += _clear_distance(asked, apart)
    clear_m = None if margin_m == math.inf else margin_m
    return Expected("labels", labels, {"answer_labels": labels}, margin_deg, clear_m, faults)


def _compared(asked: AskedQuestion, word: str) -> tuple[float, float, list[str]]:
    """Return by how many metres and degrees the first referent is beyond the second, and why that is not clear."""
    one, other = asked.who
    metres, degrees = one.along(word) - other.along(word), one.angle_along(word) - other.angle_along(word)
    faults = []
    if abs(metres) < asked.margins.distance_margin_m - _TINY:
        faults.append(f"the sources differ by {abs(metres):.2f} m, less than {asked.margins.distance_margin_m:g}")
    least = asked.margins.relation_margin_deg
    if least > 0 and math.copysign(1.0, metres) * degrees < least - _TINY:
        faults.append(f"the sources differ by {math.copysign(1.0, metres) * degrees:.2f} degrees, less than {least:g}")
    if word in ("front", "behind") and not asked.margins.both_in_front:
        rear = max(one.angle_along("behind"), other.angle_along("behind"))
        if rear <= 0 or rear < asked.margins.direction_margin_deg - _TINY:
            faults.append("asks which of two sources is ahead, and none is clearly behind the listener")
    return metres, math.copysign(1.0, metres) * degrees, faults


def _yes_no(truth: bool, margin_deg: float | None, margin_m: float | None, faults: list[str]) -> Expected:
    return Expected("yes/no", truth, {"answer_bool": truth}, margin_deg, margin_m, faults)


def relative_direction(asked: AskedQuestion) -> Expected:
    """Whether the first source is further along a direction than the second."""
    if faults := _words_fault(asked, _SIDES):
        return _unusable(faults)
    metres, degrees, faults = _compared(asked, asked.words[0])
    return _yes_no(metres > 0, degrees, abs(metres), faults)


def both_on_side(asked: AskedQuestion) -> Expected:
    """Whether two sources are on one side of the listener."""
    if faults := _words_fault(asked, _SIDES):
        return _unusable(faults)
    word = asked.words[0]
    for source in asked.who:
        faults += _clear_side(asked, source.angle_along(word), "a source")
    margin = min(abs(source.angle_along(word)) for source in asked.who)
    return _yes_no(all(source.lies(word) for source in asked.who), margin, None, faults)


def relative_distance(asked: AskedQuestion) -> Expected:
    """Whether the first source is closer to the listener, or farther, than the second."""
    if faults := _words_fault(asked, {"closer", "farther"}):
        return _unusable(faults)
    beyond = asked.who[0].distance_m - asked.who[1].distance_m
    truth = beyond < 0 if asked.words[0] == "closer" else beyond > 0
    return _yes_no(truth, None, abs(beyond), _clear_distance(asked, abs(beyond)))


def _clear_distance(asked: AskedQuestion, difference_m: float) -> list[str]:
    least = asked.margins.distance_margin_m
    if difference_m >= least - _TINY:
        return []
    return [f"the compared distances differ by {difference_m:.2f} m, less than {least:g}"]


def distance_between(asked: AskedQuestion) -> Expected:
    """The straight line between two sources."""
    metres = math.dist(asked.who[0].head, asked.who[1].head)
    columns = {"answer_distance_m": metres}
    return Expected("distance", half_metres(metres), columns, None, _rounding_margin(metres))


def own_labels(source: TrueSource, scene: TrueScene) -> frozenset[str]:
    """Return the labels by which a source can be named: they fit no other, and are not headings or blacklisted."""
    others = [other for other in scene.sources if other is not source]
    return frozenset(
        label.name for label in source.labels if label.nameable and not any(other.has(label) for other in others)
    )


def source_at_direction(asked: AskedQuestion) -> Expected:
    """A label of the only source on a side of the listener."""
    if faults := _words_fault(asked, _SIDES):
        return _unusable(faults)
    word = asked.words[0]
    there = [source for source in asked.scene.sources if source.lies(word)]
    if len(there) != 1:
        return _unusable([f"{len(there)} sources are {word}, and one must be"])
    if there[0] is not asked.who[0]:
        return _unusable([f"source_indices is not the source that is {word}"])
    for source in asked.scene.sources:
        faults += _clear_side(asked, source.angle_along(word), "a source")
    margin = min(abs(source.angle_along(word)) for source in asked.scene.sources)
    return Expected("label", own_labels(there[0], asked.scene), {}, margin, None, faults)


def direction_word(asked: AskedQuestion) -> Expected:
    """Which of two opposite words is true of a source, for the listener or as compared with another source."""
    choices = list(asked.row["choices"] or ())
    if len(choices) != 2 or OPPOSITE.get(choices[0]) != choices[1]:
        return _unusable([f"offers {choices}, and two opposite words must be"])
    word = choices[0]
    if len(asked.who) == 1:
        angle = asked.who[0].angle_along(word)
        truth = word if asked.who[0].lies(word) else choices[1]
        faults = _clear_side(asked, angle, "the source")
        return Expected("word", truth, {"answer_direction": [truth]}, abs(angle), None, faults)
    metres, degrees, faults = _compared(asked, word)
    truth = word if metres > 0 else choices[1]
    return Expected("word", truth, {"answer_direction": [truth]}, degrees, abs(metres), faults)


def clock(asked: AskedQuestion) -> Expected:
    """The hour at which a source lies on a level clock face whose 12 is straight ahead and whose 3 is on the right."""
    source = asked.who[0]
    faults = []
    if asked.row["asked_labels"] is None and len(asked.scene.sources) > 1:
        faults.append("does not name which of its sources it asks for")
    turned = -source.azimuth_deg % 360.0
    hour = round(turned / 30.0) % 12
    margin = 15.0 - abs((turned - 30.0 * hour + 180.0) % 360.0 - 180.0)
    faults += _clear_side(asked, margin, "the source")
    return Expected("clock", hour or 12, {"answer_direction": [f"{hour or 12} o'clock"]}, margin, None, faults)


def count(asked: AskedQuestion) -> Expected:
    """How many sources sound."""
    number = len(asked.scene.sources)
    faults = [] if len(asked.who) == number else ["source_indices are not all the sources"]
    return Expected("count", number, {"answer_count": number}, faults=faults)


def _extreme(asked: AskedQuestion, sign: int) -> Expected:
    ranked = sorted(asked.scene.sources, key=lambda source: sign * source.distance_m)
    lead = sign * (ranked[1].distance_m - ranked[0].distance_m)
    faults = _clear_distance(asked, lead)
    if ranked[0] is not asked.who[0]:
        faults.append(f"source_indices is not the source that is {asked.row['subtype']}")
    return Expected("label", own_labels(ranked[0], asked.scene), {}, None, lead, faults)


def closest(asked: AskedQuestion) -> Expected:
    """A label of the source nearest to the listener, among three or more."""
    return _extreme(asked, 1)


def farthest(asked: AskedQuestion) -> Expected:
    """A label of the source farthest from the listener, among three or more."""
    return _extreme(asked, -1)


def region(asked: AskedQuestion) -> Expected:
    """Whether two sources are in the same room, or in different ones."""
    if faults := _words_fault(asked, {"same", "different"}):
        return _unusable(faults)
    one, other = (source.region for source in asked.who)
    if one is None or other is None:
        return _unusable(["asks for rooms of sources whose rooms are not known"])
    return _yes_no((one == other) == (asked.words[0] == "same"), None, None, [])


@dataclass(frozen=True)
class Rule:
    """What a question of a subtype is made of; `columns` are those that must not be null, choices apart.

    own: of a user's own subtype, whose words are the user's. margins: whether `expect` gives margins for all answers.
    offers_words: whether the choices of its questions are words of the text, without letters.
    """

    type: str
    expect: Callable[[AskedQuestion], Expected]
    columns: frozenset[str]
    referents: tuple[int, ...] = (1,)
    sources: tuple[int, int] = (2, 99)  # how many a scene has, least and most
    optional: frozenset[str] = frozenset()
    own: bool = False
    margins: bool = True
    offers_words: bool = False

    @property
    def binary(self) -> bool:
        """Whether the answer is Yes or No."""
        return "answer_bool" in self.columns


def _columns(*names: str) -> frozenset[str]:
    return frozenset(names)


_BINARY = _columns("asked_labels", "asked_direction", "polarity", "answer_bool")
_LOCATION = ("answer_direction", "answer_distance_m")
RULES: dict[str, Rule] = {
    "classification": Rule("A", classification, _columns("answer_labels"), sources=(1, 1)),
    "location": Rule("B", location, _columns(*_LOCATION), sources=(1, 1)),
    "classification_at_location": Rule(
        "C", classification_at_location, _columns("asked_direction", "asked_distance_m", "answer_labels")
    ),
    "location_of_class": Rule("D", location, _columns("asked_labels", *_LOCATION)),
    "relative_direction": Rule("E", relative_direction, _BINARY, (2,)),
    "both_on_side": Rule("E", both_on_side, _BINARY, (2,)),
    "relative_distance": Rule("E", relative_distance, _BINARY, (2,)),
    "distance_between": Rule("E", distance_between, _columns("asked_labels", "answer_distance_m"), (2,)),
    "source_at_direction": Rule("E", source_at_direction, _columns("asked_direction", "answer_labels")),
    "direction_word": Rule(
        "E", direction_word, _columns("asked_labels", "answer_direction"), (1, 2), offers_words=True
    ),
    "clock": Rule("X", clock, _columns("answer_direction"), (1,), (1, 99), _columns("asked_labels")),
    "count": Rule("X", count, _columns("answer_count"), (1, 2, 3, 4), (1, 4)),
    "closest": Rule("X", closest, _columns("answer_labels"), sources=(3, 99)),
    "farthest": Rule("X", farthest, _columns("answer_labels"), sources=(3, 99)),
    "region": Rule("X", region, _BINARY, (2,)),
}
