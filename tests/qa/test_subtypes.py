"""Scenes whose truth is plain to see, for every subtype and every answer."""

import pytest

from spatialqa.core.scene import Scene
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.fact import (
    MASKED,
    NEAR_BOUNDARY,
    NEEDS_ONE_SOURCE,
    NEEDS_TWO_SOURCES,
    NO_NAME,
    NOT_APART,
    NOT_DISTINCT,
    ONE_ANSWER,
    Fact,
)
from spatialqa.qa.listener_view import view
from tests.fixtures.scenes import heard_at

DOG_LEFT = ((-2.0, 0.5, -2.0), ["Dog"])  # left, front, above, 2.87 m
BELL_RIGHT = ((4.0, -1.0, 3.0), ["Bell"])  # right, behind, below, 5.1 m


def facts(subtype: str, made: Scene, **settings: float) -> list[Fact]:
    found = BUILT_IN.by_name[subtype].finder(view(made, options := AskOptions(**settings)), options)  # type: ignore[arg-type]
    assert not isinstance(found, str), found
    return found


def reason(subtype: str, made: Scene, **settings: float) -> str:
    found = BUILT_IN.by_name[subtype].finder(view(made, options := AskOptions(**settings)), options)  # type: ignore[arg-type]
    assert isinstance(found, str)
    return found


def said(found: list[Fact]) -> set[tuple[tuple[int, ...], tuple[str, ...], str | None]]:
    return {(f.sources, f.words, f.answer) for f in found}


def test_classification_lists_every_label() -> None:
    (fact,) = facts("classification", heard_at(((1, 1, 1), ["Music", "Clock", "Whack, thwack"])))
    assert fact.answer == "clock; music; whack, thwack"
    assert fact.answer_labels == ("clock", "music", "whack, thwack")


def test_location_gives_octant_and_distance() -> None:
    (fact,) = facts("location", heard_at(DOG_LEFT))
    assert fact.answer == "left, front, above; 3m"
    assert fact.answer_direction == ("left", "front", "above")
    assert fact.answer_distance_m == pytest.approx(2.8723, abs=1e-4)
    assert fact.margin_deg == pytest.approx(10.0249, abs=1e-3)  # asin(0.5 / 2.8723)
    assert fact.margin_m == pytest.approx(0.1223, abs=1e-4)  # to 2.75


def test_location_of_class_names_a_source() -> None:
    found = facts("location_of_class", heard_at(DOG_LEFT, BELL_RIGHT))
    assert said(found) == {((0,), (), "left, front, above; 3m"), ((1,), (), "right, behind, below; 5m")}


def test_classification_at_location_asks_by_octant_and_distance() -> None:
    found = facts("classification_at_location", heard_at(DOG_LEFT, BELL_RIGHT))
    assert said(found) == {
        ((0,), ("front left, above ear level", "3 meters"), "dog"),
        ((1,), ("rear right, below ear level", "5 meters"), "bell"),
    }
    assert all(f.margin_m is None for f in found)


def test_classification_at_location_must_fit_one_source_only() -> None:
    near, far, close_by = (-2.0, 0.5, -2.0), (-4.0, 1.0, -4.0), (-2.0, 0.6, -2.1)
    (first, second) = facts("classification_at_location", heard_at((near, ["Dog"]), (far, ["Bell"])))
    assert first.margin_m == pytest.approx(5.7446 - 3 - 0.25, abs=1e-3)
    assert second.margin_m == pytest.approx(5.5 - 2.8723 - 0.25, abs=1e-3)
    assert reason("classification_at_location", heard_at((near, ["Dog"]), (close_by, ["Bell"]))) == NOT_DISTINCT
    # The octants differ, but the other source is within the margin of the first one's.
    barely = (0.1, 0.6, -2.9)
    made = heard_at((near, ["Dog"]), (barely, ["Bell"]))
    assert reason("classification_at_location", made) == NOT_DISTINCT
    assert len(facts("classification_at_location", made, direction_margin_deg=0, distance_margin_m=0)) == 2


def test_relative_direction_has_both_answers_for_every_word() -> None:
    found = said(facts("relative_direction", heard_at(DOG_LEFT, BELL_RIGHT)))
    truths = {((0, 1), w) for w in ("left", "front", "above")} | {((1, 0), w) for w in ("right", "behind", "below")}
    lies = {((1, 0), w) for w in ("left", "front", "above")} | {((0, 1), w) for w in ("right", "behind", "below")}
    assert found == {(s, (w,), "Yes") for s, w in truths} | {(s, (w,), "No") for s, w in lies}


def test_relative_direction_needs_metres_and_degrees_to_agree() -> None:
    # Further left by 1 m, yet 11 degrees left against 45: a listener could say either.
    made = heard_at(((-2, 0, -10), ["Dog"]), ((-1, 0, -1), ["Bell"]))
    assert {f.words for f in facts("relative_direction", made, both_in_front=True)} == {("front",), ("behind",)}
    zero = facts("relative_direction", made, relation_margin_deg=0, distance_margin_m=0)
    assert ((0, 1), ("left",), "Yes") in said(zero)
    assert reason("relative_direction", heard_at(((1, 0, -3), ["Dog"]), ((1.2, 0.1, -3.1), ["Bell"]))) == NOT_APART


@pytest.mark.parametrize(
    ("first_z", "second_z", "is_asked"),
    [
        (-1.0, -4.0, False),  # both in front: the far one is ahead, and "behind" the near one
        (-4.0, 1.0, True),
        (1.0, 4.0, True),
        (-4.0, 0.1, False),  # hardly behind the listener, and so within the margin of being in front
    ],
)
def test_ahead_and_behind_are_asked_where_they_have_one_reading(
    first_z: float, second_z: float, is_asked: bool
) -> None:
    made = heard_at(((-2, 0, first_z), ["Dog"]), ((-3, 0, second_z), ["Bell"]))
    for subtype in ("relative_direction", "direction_word"):
        options = AskOptions()
        found = BUILT_IN.by_name[subtype].finder(view(made, options), options)
        compared = {f.words[0] for f in found if not isinstance(f, str) and len(f.sources) == 2}
        assert ("front" in compared) == is_asked
        also = BUILT_IN.by_name[subtype].finder(view(made, allowing := AskOptions(both_in_front=True)), allowing)
        assert "front" in {f.words[0] for f in also if not isinstance(f, str) and len(f.sources) == 2}


def test_relative_distance_has_both_answers_for_both_words() -> None:
    assert said(facts("relative_distance", heard_at(DOG_LEFT, BELL_RIGHT))) == {
        ((0, 1), ("closer",), "Yes"),
        ((1, 0), ("farther",), "Yes"),
        ((1, 0), ("closer",), "No"),
        ((0, 1), ("farther",), "No"),
    }
    assert reason("relative_distance", heard_at(((3, 0, 0), ["Dog"]), ((-3.4, 0, 0), ["Bell"]))) == NOT_APART
    assert reason("relative_distance", heard_at(((3, 0, 0), ["Dog"]), ((-3, 0, 0), ["Bell"])), distance_margin_m=0) == (
        NOT_APART
    )


def test_both_on_side_when_one_axis_parts_the_two() -> None:
    found = facts("both_on_side", heard_at(((-2, 0, -2), ["Dog"]), ((-2, 0, 2), ["Bell"])))
    weight = {(f.words[0], f.answer): f.weight for f in found if f.sources == (0, 1)}
    assert weight == {("left", "Yes"): 1, ("right", "No"): 0.5, ("front", "No"): 0.25, ("behind", "No"): 0.25}


def test_both_on_side_when_both_axes_agree_or_none_does() -> None:
    made = heard_at(((-2, 0, -2), ["Dog"]), ((-4, 0, -3), ["Bell"]))
    assert {(f.words[0], f.answer, f.weight) for f in facts("both_on_side", made)} == {
        ("left", "Yes", 1.0),
        ("right", "No", 1.0),
        ("front", "Yes", 1.0),
        ("behind", "No", 1.0),
    }
    assert reason("both_on_side", heard_at(DOG_LEFT, BELL_RIGHT)) == ONE_ANSWER
    near = heard_at(((-2, 0, 0.1), ["Dog"]), ((0.1, 0, 2), ["Bell"]))
    assert reason("both_on_side", near) == NEAR_BOUNDARY


def test_distance_between_is_a_straight_line_in_space() -> None:
    (fact, _) = facts("distance_between", heard_at(((-1, 1, 0), ["Dog"]), ((1, -1, 1), ["Bell"])))
    assert fact.answer == "3m"
    assert fact.answer_distance_m == pytest.approx(3.0)


def test_source_at_direction_wants_one_source_there() -> None:
    found = facts("source_at_direction", heard_at(DOG_LEFT, BELL_RIGHT))
    assert {(f.words[0], f.sources[0]) for f in found} == {
        ("left", 0), ("front", 0), ("above", 0), ("right", 1), ("behind", 1), ("below", 1)
    }  # fmt: skip
    made = heard_at(((-2, 0, -2), ["Dog"]), ((-3, 0, -1), ["Bell"]))
    assert reason("source_at_direction", made) == ONE_ANSWER
    three = heard_at(DOG_LEFT, ((-1.0, 0.5, 2.0), ["Banjo"]), BELL_RIGHT)
    assert {(f.words[0], f.sources[0]) for f in facts("source_at_direction", three)} == {
        ("right", 2), ("front", 0), ("below", 2)
    }  # fmt: skip


def test_direction_word_of_listener_and_of_source() -> None:
    found = facts("direction_word", heard_at(((-2, 0, -2), ["Dog"]), ((3, 0, -2.2), ["Bell"])))
    assert {(f.form, f.sources, frozenset(f.words), f.answer) for f in found} == {
        ("listener", (0,), frozenset({"left", "right"}), "left"),
        ("listener", (1,), frozenset({"left", "right"}), "right"),
        ("source", (0, 1), frozenset({"left", "right"}), "left"),
        ("source", (1, 0), frozenset({"left", "right"}), "right"),
    }
    assert {f.words for f in found} == {("left", "right"), ("right", "left")}
    for form in ("listener", "source"):
        assert sum(f.weight for f in found if f.form == form) == pytest.approx(1)


def test_a_source_near_a_boundary_is_not_given_a_word() -> None:
    ahead = ((-0.2, 0.8, -3.0), ["Dog"])  # 3.7 degrees left of straight ahead
    assert reason("location", heard_at(ahead)) == NEAR_BOUNDARY
    assert facts("location", heard_at(ahead), direction_margin_deg=0)[0].answer_direction == ("left", "front", "above")
    assert {f.sources for f in facts("location_of_class", heard_at(ahead, BELL_RIGHT))} == {(1,)}


@pytest.mark.parametrize("subtype", sorted(s.name for s in BUILT_IN.all if s.type != "X"))
def test_a_scene_that_cannot_serve_says_so(subtype: str) -> None:
    if subtype in ("classification", "location"):
        assert reason(subtype, heard_at(DOG_LEFT, BELL_RIGHT)) == NEEDS_ONE_SOURCE
        return
    assert reason(subtype, heard_at(DOG_LEFT)) == NEEDS_TWO_SOURCES
    if subtype != "classification_at_location":
        assert reason(subtype, heard_at((DOG_LEFT[0], ["Animal"]), (BELL_RIGHT[0], ["Dog"]))) == NO_NAME


@pytest.mark.parametrize("subtype", ["relative_direction", "both_on_side", "relative_distance", "distance_between"])
def test_a_masked_source_is_not_asked_about(subtype: str) -> None:
    made = heard_at(((1, 0, -1), ["Dog"]), ((-6, 0, -6), ["Bell"]), levels=[(-20, -20), (-50, -50)])
    assert reason(subtype, made) == MASKED
    assert facts(subtype, made, masking_db=31)
