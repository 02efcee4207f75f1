"""Parses answers and questions strictly, for `validate`."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from spatialqa.core.ontology import ontology

_LOCATION = re.compile(r"(left|right), (front|behind), (above|below); (.+)")
_DISTANCE = re.compile(r"((?:0|[1-9]\d*)(?:\.5)?)m")
_SPOKEN_DISTANCE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[ -]?(?:m|met(?:er|re)s?)(?!\w)")
_CLOCK = re.compile(r"([1-9]|1[0-2]) o'clock")
# "Is it right that ..." is not a direction.
_IDIOMS = re.compile(r"\bright (?:that|now|away)\b")
_WORDINGS = {
    "left": r"left(?:-hand|ward|wards|most)?",
    "right": r"right(?:-hand|ward|wards|most)?",
    "front": r"front|forwards?|ahead|before you|frontwards?",
    "behind": r"behind|back|rear|backwards?|rearwards?",
    "above": r"above|higher|up|over|overhead|upwards?|greater height",
    "below": r"below|lower|down|under|beneath|underneath|downwards?|lesser height",
    "closer": r"closer|nearer|(?:shorter|smaller|lesser) distance|less far|less distant",
    "farther": r"farther|further|(?:greater|longer|larger) distance|more distant|more remote",
    "closest": r"closest|nearest|closer|less far|(?:least|shortest|smallest) (?:distance|way)|first",
    "farthest": r"farthest|furthest|farther|most distant|(?:greatest|longest|largest|utmost) (?:distance|way)|last",
    "same": r"same room|one room",
    "different": r"different rooms?|another room|separate room",
}
_PATTERNS = {word: re.compile(rf"(?<!\w)(?:{wording})(?!\w)") for word, wording in _WORDINGS.items()}


def parse_labels(answer: str) -> list[str] | None:
    """Return the labels of an A or C answer: lower case, in alphabetical order, joined by "; "; else None."""
    labels = answer.split("; ")
    tidy = all(label and ";" not in label and label == label.strip().lower() for label in labels)
    return labels if tidy and labels == sorted(set(labels)) else None


def parse_distance(answer: str) -> float | None:
    """Return the metres of "2m" or "3.5m": steps of 0.5 m without a trailing ".0"; else None."""
    match = _DISTANCE.fullmatch(answer)
    return float(match[1]) if match else None


def parse_location(answer: str) -> tuple[tuple[str, str, str], float] | None:
    """Return the words and metres of "left, front, above; 2.5m", else None."""
    match = _LOCATION.fullmatch(answer)
    metres = parse_distance(match[4]) if match else None
    return None if match is None or metres is None else ((match[1], match[2], match[3]), metres)


def parse_bool(answer: str) -> bool | None:
    """Return what "Yes" or "No" means, else None."""
    return {"Yes": True, "No": False}.get(answer)


def split_options(question: str) -> tuple[str, list[str]]:
    """Return a question's text without its options, and the options, each a line "A. ..."."""
    stem, *options = question.split("\n")
    return stem, options


def parse_clock(answer: str) -> int | None:
    """Return the hour, 1 to 12, of "3 o'clock", else None."""
    match = _CLOCK.fullmatch(answer)
    return int(match[1]) if match else None


def parse_count(answer: str) -> int | None:
    """Return the number that "3" says, else None."""
    return int(answer) if re.fullmatch(r"0|[1-9]\d*", answer) else None


def half_metres(distance_m: float) -> float:
    """Return a distance in the steps that answers have: 0.5 m, half to even."""
    return round(2.0 * distance_m) / 2.0


@lru_cache(maxsize=1 << 14)
def _label_pattern(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(label)}(?!\w)")


@cache
def _phrase_of_any_class() -> re.Pattern[str]:
    """Matches the phrase of a class, the longest that stands there, where a text in lower case has it as a sound."""
    phrases = sorted((phrase.lower() for phrase in ontology().phrases.values()), key=len, reverse=True)
    return re.compile(rf"(?<=sound of )(?:{'|'.join(map(re.escape, phrases))})(?!\w)")


@cache
def _phrase_of_any_class_alone() -> re.Pattern[str]:
    """Matches the phrase of a class, the longest that stands there, anywhere in a text in lower case."""
    phrases = sorted((phrase.lower() for phrase in ontology().phrases.values()), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, phrases))})(?!\w)")


def spellings(label: str) -> tuple[str, ...]:
    """Return how a text (lower case) may spell a label: by the phrase of its class, as it is, without underscores."""
    phrase = ontology().phrases.get(label, label)
    return tuple(dict.fromkeys((phrase.lower(), label, " ".join(label.replace("_", " ").split()))))


def names(text: str, label: str) -> bool:
    """Return whether a text (lower case) names a label, as whole words."""
    return any(form in text and _label_pattern(form).search(text) is not None for form in spellings(label))


def strike(text: str, labels: Sequence[str]) -> str | None:
    """Return the text without these labels, each struck once, in this order; None where they do not stand so."""
    kept, start = [], 0
    for label in labels:
        place = _mention(text, label, start)
        if place is None:
            return None
        kept.append(text[start : place[0]])
        start = place[1]
    return " _ ".join([*kept, text[start:]])


def _mention(text: str, label: str, start: int) -> tuple[int, int] | None:
    """Return where a text first names a label at or after `start`; "a dog barking" does not name the label "dog"."""
    phrases = [match for match in _phrase_of_any_class().finditer(text) if match.start() >= start]
    own, *literal = spellings(label)
    for match in phrases:
        if match[0] == own:
            return match.span()
    if label in ontology().phrases:  # without "the sound of", as own templates may have it
        phrases = [match for match in _phrase_of_any_class_alone().finditer(text) if match.start() >= start]
        for match in phrases:
            if match[0] == own:
                return match.span()
    for form in literal or [own]:
        for match in _label_pattern(form).finditer(text, start):
            if not any(_within(match, other) and not _with_article(form, other[0]) for other in phrases):
                return match.span()
    return None


def _within(match: re.Match[str], other: re.Match[str]) -> bool:
    return other.start() <= match.start() and match.end() <= other.end()


def _with_article(label: str, phrase: str) -> bool:
    return phrase in (label, f"a {label}", f"an {label}")


def worded(word: str) -> bool:
    """Return whether the wordings of a word are known."""
    return word in _WORDINGS


def place_of_word(text: str, word: str) -> int:
    """Return where a text (lower case) first says a direction or comparison in any of its wordings, or -1."""
    match = _PATTERNS[word].search(_IDIOMS.sub(lambda m: "_" * len(m[0]), text))
    return match.start() if match else -1


def says(text: str, word: str) -> bool:
    """Return whether a text (lower case) uses the very word, idioms apart ("is it right that")."""
    return re.search(rf"(?<!\w){word}(?!\w)", _IDIOMS.sub("_", text)) is not None


def spoken_distances(text: str) -> list[float]:
    """Return every distance in metres that a text (lower case) speaks of."""
    return [float(value) for value in _SPOKEN_DISTANCE.findall(text)]
