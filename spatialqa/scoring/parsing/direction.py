"""Parses directions in plain text: left or right, front or behind, above or below."""

import re
from functools import lru_cache

from spatialqa.core.geometry import cartesian, direction_words
from spatialqa.qa.listener_view import AXES
from spatialqa.scoring.parsing.normalise import affirmed
from spatialqa.scoring.parsing.quantity import angles

_OF_SOUND = r"(?![ -](?:pitch|freq|volume|tone|quality|confidence))"  # "low-pitched" is not a direction
_WORDS = {
    word: re.compile(rf"\b(?:{pattern})\b")
    for word, pattern in {
        "left": r"left(?:most|wards?|side)?",
        "right": r"right(?:most|wards?|side)?",
        "front": r"front(?:al|wards?)?|ahead|forwards?|before (?:you|me)",
        "behind": r"behind|back(?:wards?)?|rear(?:wards?|most)?|over (?:your|the|my) (?:left |right )?shoulder",
        "above": rf"above|up(?! (?:to|close|ahead|front)\b)|upper(?:most)?|upwards?|top|atop|higher|(?:high{_OF_SOUND})"
        r"|overhead|over (?:you|me|your head)|greater height|elevated|raised",
        "below": rf"below|beneath|underneath|under (?:you|me)|down(?:wards?)?|lower(?:most)?|(?:low{_OF_SOUND})|bottom",
    }.items()
}
_ADVERB = re.compile(  # "right behind you", "that's right": says nothing of the side
    r"(?:(?P<before>\w+) )?\bright (?=(?:(?:behind|in front|ahead|above|below|beneath|under|over|underneath)"
    r" (?:of )?(?:you|me|the|your|my|us)\b|here\b|there\b|now\b|away\b|next to\b|beside\b))"
    r"|\b(?:that's|that is|you're|you are|all|quite) right\b"
)
_BEFORE_A_SIDE = {"the", "your", "my", "to", "far", "front", "rear", "back", "upper", "lower", "slightly", "bit"}


@lru_cache(maxsize=1 << 14)
def direction(text: str) -> tuple[str | None, str | None, str | None]:
    """Return the words (left or right, front or behind, above or below) that plain text states, None where it does not.

    An axis with both of its words, or with a word and an angle that disagree, is contradictory and None. Angles (see
    `quantity.angles`) serve where an axis has no word. A denied word says nothing: what is not left may be ahead.
    """
    stated = affirmed(text)
    worded = _ADVERB.sub(_keep_side, stated)
    by_angle = _words_of_angles(stated)
    words: list[str | None] = []
    for axis, from_angle in zip(AXES, by_angle, strict=True):
        said = {word for word in axis if _WORDS[word].search(worded)}
        if from_angle:
            said.add(from_angle)
        words.append(said.pop() if len(said) == 1 else None)
    return words[0], words[1], words[2]


def _keep_side(match: re.Match[str]) -> str:
    return match[0] if match["before"] in _BEFORE_A_SIDE else f"{match['before'] or ''} "


def _words_of_angles(text: str) -> tuple[str | None, str | None, str | None]:
    azimuth, elevation = angles(text)
    side = direction_words(cartesian(azimuth, 0.0)) if azimuth is not None else None
    height = direction_words(cartesian(0.0, elevation)).vertical if elevation is not None else None
    return (side.horizontal, side.depth, height) if side else (None, None, height)
