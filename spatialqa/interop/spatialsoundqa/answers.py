"""Parses the questions and answers of the release into the columns of our `qa` table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spatialqa.core.geometry import Direction, cartesian, direction_words
from spatialqa.interop.spatialsoundqa.released_files import ReleasedQuestion
from spatialqa.qa.answer_text import rounded_m
from spatialqa.qa.fact import YES_NO
from spatialqa.qa.listener_view import AXES
from spatialqa.qa.spoken_name import with_class_names
from spatialqa.scoring.parsing.class_names import Names, parts
from spatialqa.scoring.parsing.direction import direction
from spatialqa.scoring.parsing.normalise import plain
from spatialqa.scoring.parsing.quantity import distance_m
from spatialqa.scoring.parsing.yes_no import yes_no

# question_type -> our type and subtype.
KINDS: Mapping[str, tuple[str, str]] = {
    "CLASSIFICATION": ("A", "classification"),
    "DOA": ("B", "location"),
    "MIXUP_SINGLE_CLASSIFICATION": ("C", "classification_at_location"),
    "MIXUP_SINGLE_DOA": ("D", "location_of_class"),
    "MIXUP_DIRECTION": ("E", "relative_direction"),
    "MIXUP_DISTANCE_BOTH": ("E", "relative_distance"),
    "MIXUP_NONBINARY_DISTANCE": ("E", "distance_between"),
    "MIXUP_NONBINARY_SOURCE": ("E", "source_at_direction"),
    "MIXUP_NONBINARY_DIRECTION": ("E", "direction_word"),
}

_NAMES = Names()
_OF_BOTH = {"both", "each"}  # MIXUP_DIRECTION asks of two sources, or of one and then of the other


class Read(NamedTuple):
    """A question in our columns, and whether its answer is what the places of its sources say (None: not known)."""

    row: dict[str, Any]
    follows: bool | None


def read_question(asked: ReleasedQuestion, heard: Sequence[Direction] | None) -> Read:
    """Return the columns of one question that its text and answer tell.

    Args:
        asked: the record.
        heard: where the listener hears each of its sources; None where that is not known.

    Raises:
        ValueError: the type is unknown, the answer is not one that the type can have, or a source is missing.
    """
    if asked.question_type not in KINDS:
        raise ValueError(f"question_type {asked.question_type!r} is unknown; known: {', '.join(KINDS)}")
    kind, subtype = KINDS[asked.question_type]
    if len(asked.sounds) != (1 if kind in "AB" else 2):
        raise ValueError(f"{asked.question_type} needs {1 if kind in 'AB' else 2} sounds, got {len(asked.sounds)}")
    text, answer = asked.question.lower(), plain(asked.answer)
    if subtype == "relative_direction" and _OF_BOTH.intersection(text.split()):
        subtype = "both_on_side"
    row: dict[str, Any] = {"type": kind, "subtype": subtype, "source_indices": [0] if kind in "AB" else []}
    if kind in "DE":
        row["asked_labels"] = _NAMES.within(with_class_names(text))
    follows: bool | None = None
    match subtype:
        case "classification" | "classification_at_location" | "source_at_direction":
            row["answer_labels"] = parts(asked.answer)
            if kind == "C":
                _read_octant(row, "asked", text)
                if heard and row["asked_direction"] and row["asked_distance_m"] is not None:
                    index, follows = _nearest(heard, row["asked_direction"], row["asked_distance_m"])
                    row["source_indices"] = [index]
        case "location" | "location_of_class":
            _read_octant(row, "answer", answer)
            if row["answer_direction"] is None or row["answer_distance_m"] is None:
                raise ValueError(
                    f"the answer {asked.answer!r} is not a direction and distance (left, front, above; 2.5m)"
                )
            if heard:
                index, follows = _nearest(heard, row["answer_direction"], row["answer_distance_m"])
                row["source_indices"] = [index]
        case "distance_between":
            row["answer_distance_m"] = distance_m(answer)
            if row["answer_distance_m"] is None:
                raise ValueError(f"the answer {asked.answer!r} is not a distance (2.5m)")
            if heard:
                a, b = (cartesian(*there) for there in heard)
                follows = rounded_m(float(((a - b) ** 2).sum() ** 0.5)) == rounded_m(row["answer_distance_m"])
        case "direction_word":
            words = [word for word in direction(answer) if word]
            if len(words) != 1:
                raise ValueError(f"the answer {asked.answer!r} is not one word of direction")
            row["answer_direction"] = words
            row["choices"] = _two_words(text, words[0])
        case _:
            said = yes_no(answer)
            if said is None:
                raise ValueError(f"the answer {asked.answer!r} is neither Yes nor No")
            row |= {"answer_bool": said, "polarity": "yes" if said else "no", "choices": list(YES_NO)}
    if row.get("answer_labels") == []:
        raise ValueError(f"the answer {asked.answer!r} names no class")
    return Read(row, follows)


def _read_octant(row: dict[str, Any], column: str, text: str) -> None:
    words = direction(text)
    row[f"{column}_direction"] = list(words) if None not in words else None
    row[f"{column}_distance_m"] = distance_m(text)


def _nearest(heard: Sequence[Direction], words: Sequence[str], metres: float) -> tuple[int, bool]:
    """Return which source an octant and a distance mean, and whether they are exactly its own."""
    fits = []
    for index, there in enumerate(heard):
        own = direction_words(cartesian(*there))
        wrong = sum(a != b for a, b in zip(own, words, strict=True))
        fits.append((wrong, abs(rounded_m(there.distance_m) - metres), index))
    wrong, off_m, index = min(fits)
    return index, wrong == 0 and off_m == 0


def _two_words(text: str, answer: str) -> list[str] | None:
    """Return the two words that a question offers, in its order; None where it does not offer them."""
    axis = next(axis for axis in AXES if answer in axis)
    at = {word: text.find(word) for word in axis}
    return sorted(axis, key=at.__getitem__) if min(at.values()) >= 0 else None
