"""Checks a rationale: numbers with a unit must be quantities of the scene, and places those of their sources."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spatialqa.dataset.validation.ground_truth import AXES, OPPOSITE, TrueScene, TrueSource
from spatialqa.dataset.validation.text import half_metres, spellings

_QUANTITY = re.compile(r"(?<![\w.])(\d+(?:\.(\d+))?) ?(m|met(?:er|re)s?|degrees?)(?!\w)")
_PLACE = (  # along each axis, in the order of AXES
    r"(\d+\.\d+) m to the (left|right)",
    r"(\d+\.\d+) m (ahead|behind)",
    r"(\d+\.\d+) m (above|below) the ears",
)
_BRIEF = re.compile(r"((left|right|front|behind|above|below) )?\d+(\.5)?m(;| ->|$)")
_NAMED = re.compile(r'sound (?:of|labell?ed) (?:"([^"]+)"|(.+?))(?= is | \d)')
_COMPARING = ("relative_direction", "both_on_side", "direction_word", "relative_distance")
_WORDS = {"ahead": "front"}
_DEGREES_AN_HOUR = 30.0


def rationale_problems(row: Mapping[str, Any], scene: TrueScene, own: bool = False) -> Iterator[str]:
    """Yield what the rationale of a question says that is not so; of an `own` subtype it may have other quantities."""
    rationale, answer = row["rationale"], row["answer"]
    told, _, rest = rationale.partition(" -> ")
    sources = [scene.sources[i] for i in row["source_indices"]]
    if _told_pattern(scene).fullmatch(told.split("; ")[0]):
        yield from _told_problems(told, scene)
        if (rest != "") != (row["subtype"] in _COMPARING):
            yield f"its rationale compares {rest!r}, as only some questions do"
        elif rest:
            yield from _brief_problems(row, rest, sources)
        return
    if _BRIEF.match(rationale):
        yield from _brief_problems(row, rationale, sources)
        return
    if not rationale.endswith((f"{answer}.", f"{answer.removesuffix('.')}.")):
        yield f"its rationale does not end in its answer {answer!r}"
    metres, degrees = _metres(scene), _degrees(scene)
    for number, decimals, unit in () if own else _QUANTITY.findall(rationale):
        # Half a unit of the last place, and what binary fractions add.
        tolerance = 0.5 * 10.0 ** -len(decimals) + 1e-9
        known = degrees if unit.startswith("degree") else metres
        if not any(abs(float(number) - value) <= tolerance for value in known):
            yield f"its rationale says {number} {unit}, which is not a distance or angle of its scene"
    for match in _place_pattern(scene).finditer(rationale) if scene.heard_axes else ():
        yield from _place_problems(rationale, match, scene)


def _told_pattern(scene: TrueScene) -> re.Pattern[str]:
    """Return how a scene description says where a source is: "dog left 1m front 0m above 0.5m 1m"."""
    sides = "".join(rf"(?:{'|'.join(axis)}) [\d.]+m " for axis in scene.heard_axes)
    return re.compile(rf"(.+) ({sides}[\d.]+m)")


def _place_pattern(scene: TrueScene) -> re.Pattern[str]:
    """Return how sentences say where a source is, along the axes that are heard."""
    *most, last = (part for part, axis in zip(_PLACE, AXES, strict=True) if axis in scene.heard_axes)
    return re.compile(f"{', '.join(most)} and {last}" if most else last)


def _told_problems(told: str, scene: TrueScene) -> Iterator[str]:
    """Yield what is not so of "dog left 1m front 0m above 0.5m 1m; ...": every source, the nearest first."""
    parts = told.split("; ")
    order = sorted(scene.sources, key=lambda source: source.distance_m)
    if len(parts) != len(order):
        yield f"its rationale tells of {len(parts)} sources, where {len(order)} are"
        return
    for said, source in zip(parts, order, strict=True):
        heard = [word for word, axis in zip(source.words, AXES, strict=True) if axis in scene.heard_axes]
        far = [f"{word} {half_metres(source.along(word)):g}m" for word in heard]
        place = " ".join((*far, f"{half_metres(source.distance_m):g}m"))
        match = _told_pattern(scene).fullmatch(said)
        if match is None or match[2] != place:
            yield f"its rationale has {said!r}, where a source is {place}"
        elif match[1] not in source.label_names:
            yield f"its rationale has {match[1]!r}, where {', '.join(source.label_names)} is"


def _brief_problems(row: Mapping[str, Any], rationale: str, sources: Sequence[TrueSource]) -> Iterator[str]:
    """Yield what is not so in a rationale such as "left 1m; right 0.5m -> left, asked right"."""
    quantities, _, compared = rationale.partition(" -> ")
    parts = quantities.split("; ")
    if len(parts) != len(sources):
        yield f"its rationale {quantities!r} is not of {len(sources)} sources"
        return
    words = []
    for n, (said, source) in enumerate(zip(parts, sources, strict=True), 1):
        word, _, number = said.rpartition(" ")
        words.append(word)
        is_side = not word or word in source.words
        true_m = source.along(word) if word and is_side else source.distance_m
        if not (is_side and number == f"{half_metres(true_m):g}m"):
            yield f"its rationale has source {n} of the question at {said!r}, where it is not"
    asked = (row["asked_direction"] or [""])[0]
    wanted = f"asked {asked}" if asked else ""
    if row["subtype"] == "relative_distance":
        wanted = f"{'closer' if sources[0].distance_m < sources[1].distance_m else 'farther'}, {wanted}"
    elif row["subtype"] == "relative_direction":
        further = asked if sources[0].along(asked) > sources[1].along(asked) else OPPOSITE[asked]
        wanted = f"{further}, {wanted}"
    if compared != wanted:
        yield f"its rationale concludes {compared!r} and must {wanted!r}"
    if asked in OPPOSITE and not {asked, OPPOSITE[asked]} >= set(words):
        yield f"its rationale has {' and '.join(words)}, where {asked} is asked"


def _place_problems(rationale: str, match: re.Match[str], scene: TrueScene) -> Iterator[str]:
    here = [source for source in scene.sources if _is_at(source, match)]
    if not here:
        yield f"its rationale has a source {match[0]!r}, where none is"
        return
    clause = re.split(r"[.;:] ", rationale[: match.end()])[-1]
    named = _NAMED.search(clause)
    name = (named[1] or named[2]).lower().removeprefix("the ") if named else None
    if name is not None and not any(_names(name, label) for source in here for label in source.label_names):
        yield f"its rationale has {name!r} at {match[0]!r}, where {', '.join(here[0].label_names)} is"


def _names(said: str, label: str) -> bool:
    """Return whether what follows "the sound of" names a label, with an article or without one."""
    return any(said in (form, f"a {form}", f"an {form}") for form in spellings(label))


def _is_at(source: TrueSource, match: re.Match[str]) -> bool:
    for number, word in zip(match.groups()[::2], match.groups()[1::2], strict=True):
        tolerance = 0.5 * 10.0 ** -len(number.partition(".")[2]) + 1e-9
        if abs(source.along(_WORDS.get(word, word)) - float(number)) > tolerance:
            return False
    return True


def _metres(scene: TrueScene) -> list[float]:
    """Return every length that can be said of a scene: coordinates, distances, differences, in half metres too."""
    lengths = []
    for i, one in enumerate(scene.sources):
        own = one.distance_m
        lengths += [own, half_metres(own), math.hypot(one.head[0], one.head[2]), *map(abs, one.head)]
        for other in scene.sources[:i]:
            apart = math.dist(one.head, other.head)
            lengths += [apart, half_metres(apart), abs(own - other.distance_m)]
            lengths += [abs(a - b) for a, b in zip(one.head, other.head, strict=True)]
    return lengths


def _degrees(scene: TrueScene) -> list[float]:
    """Return every angle that can be said of a scene, without its sign."""
    angles = [_DEGREES_AN_HOUR]
    for i, one in enumerate(scene.sources):
        own = [one.angle_along(axis[0]) for axis in AXES]
        angles += [abs(one.azimuth_deg), abs(one.elevation_deg), *map(abs, own)]
        for other in scene.sources[:i]:
            angles += [abs(a - other.angle_along(axis[0])) for a, axis in zip(own, AXES, strict=True)]
    return angles
