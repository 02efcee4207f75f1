"""Parses distances, angles, clock hours and counts in plain text, in digits or words."""

import math
import re
from functools import lru_cache
from typing import NamedTuple

_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_UNITS += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: n for n, word in enumerate(_UNITS)} | {word: 10 * n for n, word in enumerate(_TENS, start=2)}

_METRES = {
    r"m(?:et(?:er|re)s?|trs?)?": 1.0,
    r"k(?:m|ilomet(?:er|re)s?)": 1000.0,
    r"c(?:m|entimet(?:er|re)s?)": 0.01,
    r"mm|millimet(?:er|re)s?": 0.001,
    r"f(?:t|eet|oot)": 0.3048,
    r"inch(?:es)?": 0.0254,
    r"y(?:d|ards?)": 0.9144,
}
_UNIT = "(?:" + "|".join(_METRES) + r")(?![a-z0-9])"
_NUMBER = r"(?<![\d./])(?<!\d,)\d+(?:[.,]\d+)?(?![\d])"
_QUANTITY = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_RANGE = re.compile(
    rf"(?:between ({_NUMBER})\s*(?:{_UNIT})? and|({_NUMBER})\s*(?:{_UNIT})?\s*(?:-|to|or)) ?({_NUMBER})"
    rf"(?=\s*({_UNIT})|\W*$)"
)
_SAME_DISTANCE = 0.05  # 3.5 m (11 feet) says one thing
_WIDEST_RANGE_M = 1.0


class Angles(NamedTuple):
    """Degrees as an answer gives them; azimuth positive to the left in (-180, 180]. None where it does not."""

    azimuth_deg: float | None
    elevation_deg: float | None


@lru_cache(maxsize=1 << 14)
def digits(text: str) -> str:
    """Return plain text with its numbers in digits: "three and a half metres" is "3.5 metres", "a metre" "1 metre"."""
    text = re.sub(r"(?<=[a-z0-9])-(?=[a-z])", " ", text)
    tens, ones = "|".join(_TENS), "|".join(_UNITS[1:10])
    text = re.sub(rf"\b({tens}) ({ones})\b", lambda m: str(_VALUES[m[1]] + _VALUES[m[2]]), text)
    text = re.sub(rf"\b({'|'.join(sorted(_VALUES, key=len, reverse=True))})\b", lambda m: str(_VALUES[m[1]]), text)
    text = re.sub(r"\b(?:(\d+) |a )hundred\b", lambda m: str(100 * int(m[1] or 1)), text)
    text = re.sub(r"\b(?:minus|negative) (?=\d)", "-", text)
    text = re.sub(r"\b(\d+) point ((?:\d )*\d)\b", lambda m: f"{m[1]}.{m[2].replace(' ', '')}", text)
    text = re.sub(r"\b(\d+),(\d+)\b", r"\1.\2", text)
    text = re.sub(r"(?<![\w.])\.(?=\d)", "0.", text)
    text = re.sub(r"\b(?:(\d+) (?:and )?)?(\d)/(\d)\b(?!/)", _fraction, text)
    text = re.sub(r"\b(\d+) and 3 quarters\b", r"\1.75", text)
    text = re.sub(r"\b(\d+) and (?:an? |1 )?half\b", r"\1.5", text)
    text = re.sub(r"\b(\d+) and (?:an? |1 )?quarter\b", r"\1.25", text)
    part = r"(?: of)?(?: an?| 1)?"
    text = re.sub(rf"\b3 quarters{part}(?= {_UNIT})", "0.75", text)
    text = re.sub(rf"\b(?:an? |1 )?half{part}(?= {_UNIT})", "0.5", text)
    text = re.sub(rf"\b(?:an? |1 )?quarter{part}(?= {_UNIT})", "0.25", text)
    text = re.sub(rf"\b(?:a )?couple(?: of)?(?= {_UNIT})", "2", text)
    text = re.sub(rf"\ban? (?={_UNIT})", "1 ", text)
    return re.sub(rf"\b(\d+) ({_UNIT}) and (?:a )?(half|quarter)\b", _after_unit, text)


@lru_cache(maxsize=1 << 14)
def distance_m(text: str) -> float | None:
    """Return the one distance, in metres, that plain text states; None when it states none or several that differ.

    Metres, centimetres, millimetres, kilometres, feet, inches and yards are read; a number without a unit is taken as
    metres where it is the only one. "2 to 3 metres" is 2.5; a range wider than a metre states nothing.
    """
    text = _ANGLE_PARTS.sub(" ", digits(text))
    text = re.sub(r"\b\d+(?:\.\d+)? ?(?:o'?clock|deg(?:rees?)?\b|°|%)", " ", text)
    text = _RANGE.sub(_midpoint, text)
    found: list[float] = []
    end, smallest = -1, 0.0
    for match in _QUANTITY.finditer(text):
        factor = _factor(match[2])
        value = _number(match[1]) * factor
        if found and factor < smallest and re.fullmatch(r"\s*(?:and\s)?\s*", text[end : match.start()]):
            found[-1] += value  # 2 m 50 cm
        else:
            found.append(value)
        end, smallest = match.end(), factor
    if not found:
        bare = re.findall(_NUMBER, text)
        alone = re.fullmatch(r"[^a-z0-9]*1[^a-z0-9]*", text) or bare != ["1"]  # "the one on the left" is not a distance
        found = [_number(number) for number in bare] if len(bare) == 1 and alone else []
    if not found or not all(map(math.isfinite, found)):
        return None
    if max(found) - min(found) > max(_SAME_DISTANCE * max(found), 0.01):
        return None
    return found[0]


_SIGNED = r"(?<![\w.])([+-]? ?\d+(?:\.\d+)?)(?![\d])"
_DEGREES = r"(?:\s*(?:°|deg(?:rees?)?\b))"
_GAP = r"(?:(?!elev|azim)[^0-9+\-,;\n]){0,24}"
_LEVEL = r"(?: (?:to|towards?|on)\b)?(?: (?:the|your|my)\b)? (left|right)\b"
_UPRIGHT = r"(?: (?:to|towards?)\b)?(?: (?:the|your|my)\b)? (up|upwards?|above|down|downwards?|below)\b"
_AZIMUTH = re.compile(rf"\baz(?:im(?:uth)?)?\b{_GAP}{_SIGNED}{_DEGREES}?(?:{_LEVEL})?")
_ELEVATION = re.compile(rf"\bel(?:ev(?:ation)?)?\b{_GAP}{_SIGNED}{_DEGREES}?(?:{_UPRIGHT})?")
_SIDEWAYS = re.compile(rf"{_SIGNED}{_DEGREES}{_LEVEL}")
_UPWARDS = re.compile(rf"{_SIGNED}{_DEGREES}{_UPRIGHT}")
_ANGLE_PARTS = re.compile("|".join(p.pattern for p in (_AZIMUTH, _ELEVATION, _SIDEWAYS, _UPWARDS)))


@lru_cache(maxsize=1 << 14)
def angles(text: str) -> Angles:
    """Return the angles that plain text states: "azimuth 35, elevation -10", "35 degrees to the left"."""
    text = digits(text)
    azimuth = _one_angle(_AZIMUTH, _SIDEWAYS, text)
    elevation = _one_angle(_ELEVATION, _UPWARDS, text)
    if azimuth is not None:
        azimuth = 180.0 - (180.0 - azimuth) % 360.0
    if elevation is not None and abs(elevation) > 90:
        elevation = None
    return Angles(azimuth, elevation)


def clock_hour(text: str) -> int | None:
    """Return the one hour, 1 to 12, that plain text states ("at your three o'clock", "3:00", "3"), or None."""
    text = digits(text)
    if re.search(r"\d (?:or|and|to|-) \d+ ?o ?'? ?clock", text):
        return None
    hours = re.findall(r"\b(\d{1,2})(?:[:.]00)? ?(?:o ?'? ?clock|h\b)", text) or re.findall(r"\b(\d{1,2}):00\b", text)
    hours = hours or re.findall(r"\b\d+\b", text)
    values = {int(hour) for hour in hours if len(hour) <= 2}
    value = values.pop() if len(values) == 1 and len(set(hours)) == 1 else 0
    return value if 1 <= value <= 12 else None


def count(text: str) -> int | None:
    """Return the one number of things that plain text states ("there are two", "a couple", "none"), or None."""
    text = re.sub(r"\b(?:a )?(?:couple|pair)\b", "2", digits(text))
    text = re.sub(r"\b(?:a single|just a|only a)\b", "1", text)
    text = re.sub(r"\b(?:none|nothing|no (?:sounds?|sources?))\b", "0", text)
    numbers = {int(number) for number in re.findall(r"(?<![\d.])\d{1,6}(?![\d]|\.\d)", text)}
    return numbers.pop() if len(numbers) == 1 else None


def _one_angle(labelled: re.Pattern[str], bare: re.Pattern[str], text: str) -> float | None:
    matches = list(labelled.finditer(text)) or list(bare.finditer(text))
    values = set()
    for match in matches:
        value = _number(match[1].replace(" ", ""))
        if match[2]:
            value = math.copysign(value, 1 if match[2].startswith(("left", "up", "above")) else -1)
        values.add(value)
    value = values.pop() if len(values) == 1 else math.nan
    return value if math.isfinite(value) else None


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _fraction(match: re.Match[str]) -> str:
    whole, above, below = match[1], int(match[2]), int(match[3])
    if below == 0:
        return match[0]
    return f"{(_number(whole) if whole else 0) + above / below:.4f}"


def _after_unit(match: re.Match[str]) -> str:
    return f"{match[1]}.{'5' if match[3] == 'half' else '25'} {match[2]}"


def _midpoint(match: re.Match[str]) -> str:
    low, high = _number(match[1] or match[2]), _number(match[3])
    if 0 < (high - low) * _factor(match[4] or "m") <= _WIDEST_RANGE_M:
        return f"{(low + high) / 2:.4f}"
    return f"{match[1] or match[2]} m {match[3]} "  # two distances that differ: contradictory


def _factor(unit: str) -> float:
    return next(factor for pattern, factor in _METRES.items() if re.fullmatch(pattern, unit))
