"""Type X: clock, count, closest and farthest, region."""

import math

import pytest

from spatialqa.core.scene import Scene
from spatialqa.qa.fact import (
    MASKED,
    NEAR_BOUNDARY,
    NEEDS_THREE_SOURCES,
    NEEDS_TWO_SOURCES,
    NO_NAME,
    NO_REGIONS,
    NOT_APART,
    STEEP,
    TOO_MANY_SOURCES,
)
from tests.fixtures.scenes import heard_at
from tests.qa.test_subtypes import BELL_RIGHT, DOG_LEFT, facts, reason


@pytest.mark.parametrize(
    ("clockwise_deg", "hour"), [(0, 12), (30, 1), (95, 3), (180, 6), (-175, 6), (-90, 9), (-35, 11), (9, 12), (-9, 12)]
)
def test_the_clock_goes_round_to_the_right(clockwise_deg: float, hour: int) -> None:
    turned = math.radians(clockwise_deg)
    (fact,) = facts("clock", heard_at(((2 * math.sin(turned), 0.5, -2 * math.cos(turned)), ["Dog"])))
    assert (fact.answer, fact.form) == (f"{hour} o'clock", "alone")
    off_deg = abs((clockwise_deg + 15) % 30 - 15)
    assert fact.margin_deg == pytest.approx(15 - off_deg)


def test_the_clock_needs_a_clear_hour_and_a_level_sound() -> None:
    between = math.radians(14)
    assert reason("clock", heard_at(((math.sin(between), 0, -math.cos(between)), ["Dog"]))) == NEAR_BOUNDARY
    assert reason("clock", heard_at(((0, 2, -0.5), ["Dog"]))) == STEEP
    assert {(f.form, f.sources) for f in facts("clock", heard_at(DOG_LEFT, ((0, 0, -3), ["Bell"])))} == {
        ("named", (1,))
    }  # the dog, at 45 degrees, is between two hours


def test_counting_needs_every_sound_to_be_heard() -> None:
    assert [facts("count", heard_at(*[DOG_LEFT] * n))[0].answer for n in (1, 2, 3, 4)] == ["1", "2", "3", "4"]
    assert reason("count", heard_at(*[DOG_LEFT] * 5)) == TOO_MANY_SOURCES
    made = heard_at(((1, 0, -1), ["Dog"]), ((-6, 0, -6), ["Bell"]), levels=[(-20, -20), (-50, -50)])
    assert reason("count", made) == MASKED


def test_nearest_and_farthest_of_three() -> None:
    three = heard_at(DOG_LEFT, BELL_RIGHT, ((0.5, 0.0, -1.0), ["Banjo"]))
    (near,), (far,) = facts("closest", three), facts("farthest", three)
    assert (near.sources, far.sources) == ((2,), (1,))
    assert near.margin_m == pytest.approx(math.sqrt(8.25) - math.sqrt(1.25))
    assert reason("closest", heard_at(DOG_LEFT, BELL_RIGHT)) == NEEDS_THREE_SOURCES
    tied = heard_at(DOG_LEFT, BELL_RIGHT, ((2.1, 0.5, 2.0), ["Banjo"]))
    assert reason("closest", tied) == NOT_APART
    assert facts("farthest", tied)[0].sources == (1,)
    unnamed = heard_at(((0.5, 0.0, -1.0), ["Animal"]), DOG_LEFT, BELL_RIGHT)
    assert reason("closest", unnamed) == NO_NAME


def in_rooms(*regions: str | None) -> Scene:
    labels = ("Dog", "Bell", "Banjo")
    return heard_at(*(((k + 1, 0, -k), [labels[k]]) for k in range(len(regions))), regions=regions)


def test_rooms_are_the_same_or_not() -> None:
    def truths(made: Scene) -> set[tuple[tuple[str, ...], str | None]]:
        return {(f.words, f.answer) for f in facts("region", made)}

    assert truths(in_rooms("hall", "hall")) == {(("same",), "Yes"), (("different",), "No")}
    assert truths(in_rooms("hall", "kitchen")) == {(("same",), "No"), (("different",), "Yes")}
    assert {f.sources for f in facts("region", in_rooms("hall", None, "hall"))} == {(0, 2), (2, 0)}
    assert reason("region", in_rooms("hall", None)) == NO_REGIONS
    assert reason("region", in_rooms("hall")) == NEEDS_TWO_SOURCES
