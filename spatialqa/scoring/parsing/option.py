"""Parses which of several offered options an answer selects."""

import re
import string
from collections.abc import Sequence

from spatialqa.scoring.parsing.normalise import affirmed, plain


def option_index(text: str, options: Sequence[str]) -> int | None:
    """Return the index of the option that a raw answer takes, by letter or by text; None when by neither or by several.

    A letter counts alone, in brackets, before ")", "." or ":" at the start, after "option", "choice" or "letter", after
    "I choose" at the end of a clause, or before "is correct". A letter and a text that disagree are contradictory.
    """
    spoken = plain(text)
    by_text = _by_text(text, spoken, options)
    by_letter = _by_letter(spoken, len(options))
    taken = by_text | by_letter
    return taken.pop() if len(taken) == 1 else None


def _by_letter(spoken: str, n: int) -> set[int]:
    letters = string.ascii_lowercase[:n]
    alone = re.fullmatch(rf"\W*([{letters}])\W*", spoken)
    if alone:
        return {letters.index(alone[1])}
    marks = (
        rf"\A\W*([{letters}])(?=[).:]|\s+-\s)",
        rf"\(([{letters}])\)",
        rf"\b(?:option|choice|letter|boxed),?\s+([{letters}])\b",
        rf"\b([{letters}]) (?:is|seems|looks|appears)(?: to be)?(?: the)? (?:correct|right|best|most likely|answer)\b",
        rf"\b(?:choose|chose|pick|picked|select|selected|go with|say)\s+([{letters}])(?=[^\w\s]|\s*\Z)",  # not "a dog"
    )
    stated = affirmed(spoken)
    return {letters.index(letter) for mark in marks for letter in re.findall(mark, stated)}


def _by_text(raw: str, spoken: str, options: Sequence[str]) -> set[int]:
    wanted = [plain(option) or option.lower() for option in options]
    for i, option in enumerate(options):
        if raw.strip().lower() == option.strip().lower() or spoken == wanted[i]:
            return {i}
    rest = affirmed(spoken)
    found = set()
    for i in sorted(range(len(options)), key=lambda i: -len(wanted[i])):
        pattern = rf"(?<!\w){re.escape(wanted[i])}(?!\w)"
        if wanted[i] and re.search(pattern, rest):
            found.add(i)
            rest = re.sub(pattern, " ", rest)  # so that "dog" is not found again inside of "dog, barking"
    return found
