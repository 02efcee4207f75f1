"""Rationales: explains in a few sentences why an answer is right, from the same numbers as the answer.

Positions are in the listener's head frame: metres to the left or right, ahead or behind, above or below the ears.
In brief they are in half metres, of what is compared alone: "left 1m; right 0.5m -> left, asked right". The scene is
described first, in half metres, before the brief form: the nearest source first, each with its name, coordinates and
distance:
"dog left 1m front 0m above 0.5m 1m; bell right 0.5m behind 2m below 0m 2m -> left 1m; right 0.5m -> left, asked right".
Axes that the channels of the scene do not tell are left out.
"""

import numpy as np

from spatialqa.qa.answer_text import clock_answer, direction_text, distance_answer
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.extended import clock_hour
from spatialqa.qa.fact import Fact, pick
from spatialqa.qa.listener_view import AXES, SceneView, SourceView
from spatialqa.qa.spoken_name import sound_of, spoken_name
from spatialqa.qa.subtype import Subtype

_AMOUNT = {"left": "to the left", "right": "to the right", "front": "ahead", "behind": "behind",
           "above": "above the ears", "below": "below the ears"}  # fmt: skip
_FURTHER = {"left": "further left", "right": "further right", "front": "further forward", "behind": "further back",
            "above": "higher", "below": "lower"}  # fmt: skip
_SIDE = {"left": "on the left", "right": "on the right", "front": "in front", "behind": "behind",
         "above": "above", "below": "below"}  # fmt: skip
_SO = ("so the answer is: {}.", "which gives: {}.", "hence: {}.", "so: {}.")
_AXIS_OF = {word: n for n, ends in enumerate(AXES) for word in ends}


def rationale_of(
    subtype: Subtype,
    fact: Fact,
    view: SceneView,
    names: list[str],
    answer: str,
    rng: np.random.Generator,
    how: AskOptions,
) -> str | None:
    """Return the rationale in the form that is asked for; None where none is, and in brief where nothing is compared.

    The arguments are those of `explain`.
    """
    if not how.rationale:
        return None
    if how.rationale_form == "brief":
        return brief(subtype.name, fact, view)
    if how.rationale_form == "scene":
        compared = brief(subtype.name, fact, view)
        return scene_told(fact, view, names) + (f" -> {compared}" if compared else "")
    return explain(subtype, fact, view, names, answer, rng)


def brief(subtype: str, fact: Fact, view: SceneView) -> str | None:
    """Return what decides a comparison: a quantity of each source -> how they compare, what is asked; else None.

    Quantities are how far to a side, "left 1m", or how far away, "2.5m", in steps of half a metre, of the fact's
    sources in its order.
    """
    heard, word = [view.sources[i] for i in fact.sources], fact.words[0] if fact.words else ""
    match subtype:
        case "relative_direction":
            axis = _AXIS_OF[word]
            beyond_m = heard[0].along_m[axis] - heard[1].along_m[axis]
            found = AXES[axis].positive if beyond_m > 0 else AXES[axis].negative
            return f"{_sides(heard, axis)} -> {found}, asked {word}"
        case "both_on_side":
            return f"{_sides(heard, _AXIS_OF[word])} -> asked {word}"
        case "direction_word":
            return _sides(heard, _AXIS_OF[word])
        case "relative_distance":
            found = "closer" if heard[0].distance_m < heard[1].distance_m else "farther"
            return f"{'; '.join(distance_answer(s.distance_m) for s in heard)} -> {found}, asked {word}"
    return None


def scene_told(fact: Fact, view: SceneView, names: list[str]) -> str:
    """Return every source of a scene, the nearest first: its name, how far to each side it is heard, how far away.

    names: those of the fact's sources in the question or its answer; others have their first.
    """
    said = dict(zip(fact.sources, names, strict=False))
    order = sorted(range(len(view.sources)), key=lambda i: view.sources[i].distance_m)
    return "; ".join(_told(said.get(i), view.sources[i], view) for i in order)


def _told(name: str | None, source: SourceView, view: SceneView) -> str:
    who = name or (source.names[0] if source.names else source.labels[0].lower())
    sides = [_side(source, axis) for axis in range(len(AXES)) if view.hears(axis)]
    return " ".join([who, *sides, distance_answer(source.distance_m)])


def _sides(heard: list[SourceView], axis: int) -> str:
    return "; ".join(_side(source, axis) for source in heard)


def _side(source: SourceView, axis: int) -> str:
    return f"{source.words[axis]} {distance_answer(abs(source.along_m[axis]))}"


def explain(
    subtype: Subtype, fact: Fact, view: SceneView, names: list[str], answer: str, rng: np.random.Generator
) -> str:
    """Return the derivation of an answer: positions, what is compared, and the conclusion.

    names: the labels that the question or the answer gives the fact's sources, in the fact's order; empty where it
    names none. answer: as the question's `answer` says it.
    """
    said = [sound_of(name) for name in names] or ["the source"] * len(fact.sources)
    heard = [view.sources[i] for i in fact.sources]
    placed = [f"{who} is {_place(source, view, rng)}" for who, source in zip(said, heard, strict=True)]
    so = pick(_SO, rng).format(answer.removesuffix("."))  # "bee, wasp, etc."
    match subtype.name:
        case "classification":
            steps = [f"one source sounds: it is {_place(heard[0], view, rng)}", f"it is {_kinds(fact)}, {so}"]
        case "location" | "location_of_class":
            steps = [placed[0], f"that is {direction_text(heard[0].words)}; {_rounded(heard[0].distance_m)}, {so}"]
        case "classification_at_location":
            asked = f"your {fact.words[0]}, at about {fact.words[1]}"
            steps = [placed[0], f"{_apart(view, fact)} {asked}", f"what is there is {_kinds(fact)}, {so}"]
        case "relative_direction":
            axis = _AXIS_OF[fact.words[0]]
            steps = [
                *placed,
                _compared(said, heard, axis, asked=f"it was asked whether it is {_FURTHER[fact.words[0]]}"),
            ]
            steps[-1] += f", {so}"
        case "direction_word":
            axis = _AXIS_OF[fact.words[0]]
            steps = [*placed, _compared(said, heard, axis) if len(heard) > 1 else _on_side(said[0], heard[0], axis)]
            steps[-1] += f", {so}"
        case "both_on_side":
            axis = _AXIS_OF[fact.words[0]]
            sides = " and ".join(_on_side(who, source, axis) for who, source in zip(said, heard, strict=True))
            steps = [*placed, f"{sides}; both would have to be {_SIDE[fact.words[0]]}, {so}"]
        case "relative_distance":
            a, b = (source.distance_m for source in heard)
            nearer = "closer" if a < b else "farther away"
            steps = [*placed, f"{said[0]} is {abs(a - b):.2f} m {nearer} than {said[1]}"]
            steps.append(
                f"it was asked whether it is {'closer' if fact.words[0] == 'closer' else 'farther away'}, {so}"
            )
        case "distance_between":
            between_m = fact.answer_distance_m or 0.0
            across, along, up = (abs(a - b) for a, b in zip(heard[0].along_m, heard[1].along_m, strict=True))
            steps = [
                *placed,
                f"they differ by {across:.2f} m sideways, {along:.2f} m front to back and {up:.2f} m in height",
            ]
            steps.append(f"the straight line is the root of the sum of their squares: {_rounded(between_m)}, {so}")
        case "source_at_direction":
            axis = _AXIS_OF[fact.words[0]]
            rest = [_on_side(_called(s), s, axis) for i, s in enumerate(view.sources) if i != fact.sources[0]]
            steps = [placed[0], _on_side(said[0], heard[0], axis), *rest]
            steps[-1] += f", {so}"
        case "clock":
            clockwise_deg = _clockwise_deg(heard[0])
            turned = f"{_degrees(clockwise_deg)} to the {'right' if clockwise_deg >= 0 else 'left'} of straight ahead"
            hour, _ = clock_hour(heard[0])
            steps = [
                placed[0],
                f"level with the ears that is {turned}; at 30 degrees an hour that is near {clock_answer(hour)}, {so}",
            ]
        case "count":
            n = len(view.sources)
            places = [f"there is {_called(s)} {_place(s, view, rng)}" for s in view.sources]
            steps = [*places, f"that makes {n} source{'' if n == 1 else 's'}, {so}"]
        case "closest" | "farthest":
            order = sorted(view.sources, key=lambda s: s.distance_m, reverse=subtype.name == "farthest")
            far = ", ".join(f"{_called(s)} {s.distance_m:.2f} m" for s in order[1:])
            steps = [placed[0], f"the others are at a distance of: {far}"]
            most = "least" if subtype.name == "closest" else "greatest"
            steps.append(f"the {most} distance is {heard[0].distance_m:.2f} m, {so}")
        case "region":
            rooms = {True: "the same room", False: "different rooms"}
            asked = rooms[fact.words[0] == "same"]
            steps = [*placed, f"they are in {rooms[heard[0].region_id == heard[1].region_id]}"]
            steps.append(f"it was asked whether they are in {asked}, {so}")
        case _:  # a user's own
            because = subtype.because(view, fact) if subtype.because else ""
            steps = [*placed, f"{because}, {so}" if because else so]
    return " ".join(_sentence(step) for step in steps)


def _place(source: SourceView, view: SceneView, rng: np.random.Generator) -> str:
    """Return how far a source is along the axes that are heard, and how far away."""
    sides = zip(source.along_m, source.words, strict=True)
    parts = [f"{abs(m):.2f} m {_AMOUNT[w]}" for n, (m, w) in enumerate(sides) if view.hears(n)]
    away = f"{source.distance_m:.2f} m away"
    if not parts:
        return pick((away, f"at a distance of {source.distance_m:.2f} m"), rng)
    where = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return pick((f"{where}, {away}", f"{away}: {where}"), rng)


def _compared(said: list[str], heard: list[SourceView], axis: int, asked: str = "") -> str:
    beyond_m = heard[0].along_m[axis] - heard[1].along_m[axis]
    word = AXES[axis].positive if beyond_m > 0 else AXES[axis].negative
    compared = f"{said[0]} is {abs(beyond_m):.2f} m {_FURTHER[word]} than {said[1]}"
    return f"{compared}; {asked}" if asked else compared


def _on_side(who: str, source: SourceView, axis: int) -> str:
    beyond = f"{abs(source.along_m[axis]):.2f} m, {_degrees(source.angle_deg[axis])}"
    return f"{who} is {_SIDE[source.words[axis]]} ({beyond})"


def _apart(view: SceneView, fact: Fact) -> str:
    n = len(view.sources) - 1
    return "the other source does not fit" if n == 1 else f"none of the {n} other sources fits"


def _kinds(fact: Fact) -> str:
    """Return the kinds of sound of a source: "the sound of a dog barking", or of several "a dog and an animal"."""
    labels = fact.answer_labels or ()
    if len(labels) == 1:
        return sound_of(labels[0])
    *most, last = (spoken_name(label) for label in labels)
    return f"a sound of these kinds: {', '.join(most)}{',' if len(most) > 1 else ''} and {last}"


def _degrees(angle_deg: float) -> str:
    said = f"{abs(angle_deg):.0f}"
    return f"{said} degree" if said == "1" else f"{said} degrees"


def _rounded(distance_m: float) -> str:
    return f"{distance_m:.2f} m is {distance_answer(distance_m)} to the nearest half meter"


def _called(source: SourceView) -> str:
    return sound_of(source.names[0]) if source.names else "another sound"


def _clockwise_deg(source: SourceView) -> float:
    return float(np.degrees(np.arctan2(-source.along_m[0], source.along_m[1])))


def _sentence(step: str) -> str:
    return step[0].upper() + (step[1:] if step.endswith(".") else f"{step[1:]}.")
