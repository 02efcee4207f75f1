import pytest

from spatialqa.qa import answer_text as text


@pytest.mark.parametrize(
    ("distance_m", "answer", "phrase"),
    [
        (0.5, "0.5m", "0.5 meters"),
        (1.0, "1m", "1 meter"),
        (1.2499, "1m", "1 meter"),
        (1.25, "1m", "1 meter"),
        (1.75, "2m", "2 meters"),
        (2.25, "2m", "2 meters"),
        (2.2501, "2.5m", "2.5 meters"),
        (9.8, "10m", "10 meters"),
    ],
)
def test_distances_are_rounded_to_half_a_metre_half_to_even(distance_m: float, answer: str, phrase: str) -> None:
    assert text.distance_answer(distance_m) == answer
    assert text.distance_phrase(distance_m) == phrase


def test_rounding_margin_is_the_way_to_the_next_step() -> None:
    assert text.rounding_margin_m(2.0) == pytest.approx(0.25)
    assert text.rounding_margin_m(2.2) == pytest.approx(0.05)
    assert text.rounding_margin_m(2.3) == pytest.approx(0.05)


def test_locations_and_labels_read_as_in_spatialsoundqa() -> None:
    assert text.location_answer(("left", "front", "above"), 2.6) == "left, front, above; 2.5m"
    assert text.labels_answer(["Music", "Clock", "clock"]) == "clock; music"


def test_a_question_says_an_octant_in_words() -> None:
    assert text.direction_phrase(("left", "front", "above")) == "front left, above ear level"
    assert text.direction_phrase(("right", "behind", "below")) == "rear right, below ear level"
