"""Formats answers, and values in questions (after SpatialSoundQA, arXiv 2402.01591)."""

from collections.abc import Iterable

DISTANCE_STEP_M = 0.5


def rounded_m(distance_m: float) -> float:
    """Return the distance in metres rounded to half a metre, half to even (so 2.25 is 2.0 and 2.75 is 3.0)."""
    return round(distance_m / DISTANCE_STEP_M) * DISTANCE_STEP_M


def rounding_margin_m(distance_m: float) -> float:
    """Return how far a distance is from the nearest one that would be written differently, 0 to 0.25 m."""
    return DISTANCE_STEP_M / 2 - abs(distance_m - rounded_m(distance_m))


def distance_answer(distance_m: float) -> str:
    """Return a distance as an answer gives it: "2m", "3.5m"."""
    return f"{rounded_m(distance_m):g}m"


def distance_phrase(distance_m: float) -> str:
    """Return a distance as a question says it: "1 meter", "3.5 meters"."""
    value = rounded_m(distance_m)
    return f"{value:g} meter" if value == 1 else f"{value:g} meters"


def direction_text(words: Iterable[str]) -> str:
    """Return an octant as answers write it: "left, front, above"."""
    return ", ".join(words)


def direction_phrase(words: Iterable[str]) -> str:
    """Return an octant as a question says it: "front left, above ear level"."""
    side, depth, height = words
    return f"{'rear' if depth == 'behind' else depth} {side}, {height} ear level"


def location_answer(words: Iterable[str], distance_m: float) -> str:
    """Return where a source is: "left, front, above; 2.5m"."""
    return f"{direction_text(words)}; {distance_answer(distance_m)}"


def label_list(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels as an answer lists them: lower case, alphabetical, each once."""
    return tuple(sorted({label.lower() for label in labels}))


def labels_answer(labels: Iterable[str]) -> str:
    """Return the labels of a source as one answer; display names contain commas, so "; " joins them."""
    return "; ".join(label_list(labels))


def clock_answer(hour: int) -> str:
    """Return a direction by the clock face: "10 o'clock"."""
    return f"{hour} o'clock"
