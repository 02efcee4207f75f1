"""Validation derives from positions alone what the recipe of a run says of drawn sources."""

from dataclasses import replace
from typing import Any

import pytest

from spatialqa.dataset.validation.placing import PlacingRules
from tests.fixtures.scenes import heard_at

RECIPE = {"rooms": "procedural", "placements": None, "body_radius_m": 0.3}


def problems(offset: tuple[float, float, float], **changes: Any) -> list[str]:
    """Return the problems of a scene whose source lies there from the centre of the head, metres."""
    return list(PlacingRules.of({**RECIPE, **changes}).problems(heard_at((offset, ["Bark"]))))


@pytest.mark.parametrize(
    ("offset", "inside"),
    [
        ((0.0, -1.0, 0.0), True),
        ((0.2, -0.8, 0.2), True),
        ((0.22, -0.8, 0.22), False),
        ((0.0, 0.09, 0.29), True),
        ((0.0, 0.6, 0.1), False),  # over the head
        ((0.0, -1.0, 0.3), False),  # on the edge
    ],
)
def test_a_source_in_the_body_is_found(offset: tuple[float, float, float], inside: bool) -> None:
    assert problems(offset) == (["source 0: lies inside the listener's body (radius 0.3 m)"] if inside else [])


def test_nothing_is_claimed_of_given_positions_and_by_older_recipes() -> None:
    below = (0.0, -1.0, 0.0)
    for changes in ({"placements": "table.csv"}, {"rooms": "bank:rirs"}, {"body_radius_m": 0.0}):
        assert not problems(below, **changes)
    assert not list(PlacingRules.of({"rooms": "procedural"}).problems(heard_at((below, ["Bark"]))))
    assert PlacingRules.of({"rooms": "procedural"}).summary == []


def heights(height_m: float | None, label: str = "Bark", y: float | None = None, **changes: Any) -> list[str]:
    """Return the problems of a scene whose source is at this height, and at this y, metres."""
    scene = heard_at(((1.0, 0.0, -1.0), [label]))
    x, own_y, z = scene.sources[0].position
    position = (x, (own_y if height_m is None else height_m) if y is None else y, z)
    source = replace(scene.sources[0], position=position, height_m=height_m)
    rules = PlacingRules.of({**RECIPE, "heights": "class", "clearance_m": 0.3, **changes})
    return list(rules.problems(replace(scene, sources=(source,))))


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [("Bark", 0.0, 0.5), ("Typing", 0.5, 1.5), ("Knock", 0.7, 1.8), ("Speech", 1.0, 1.9), ("Thunder", 1.8, 2.5)],
)
def test_a_sound_at_no_height_of_its_class_is_found(label: str, low: float, high: float) -> None:
    assert not heights(low, label)
    assert not heights(high, label)
    for wrong in (low - 0.01, high + 0.01):
        (problem,) = heights(wrong, label, y=3.0)
        assert problem.startswith(f"source 0: is at a height of {wrong:.2f} m, and {label} is {low:g} to {high:g} m")
    assert not heights(high + 0.01, label, heights="any")


def test_a_height_is_stored_and_agrees_with_the_position() -> None:
    assert heights(None) == ["source 0: has no height_m, and heights are by class"]
    assert heights(0.4, y=0.3) == ["source 0: is 0.30 m above the ground, and height_m says 0.40 m"]
    assert not heights(0.9, clearance_m=0.7)  # a dog cannot be lower there
    assert heights(0.91, clearance_m=0.7)
