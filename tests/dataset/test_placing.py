"""Validation derives from positions alone what the recipe of a run says of drawn sources."""

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
    assert PlacingRules.of({"rooms": "procedural"}).summary is None
