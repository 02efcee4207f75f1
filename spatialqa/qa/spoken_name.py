"""How a label is spoken of in a sentence: "a dog barking", "rain", "an electric fan".

AudioSet's classes have their phrases in `spatialqa/data/class_phrases.tsv`. A user's own label is read as a noun, with
the article that its last word needs; a label with other signs than letters is quoted. The letters of an own label stay
as they are, but for underscores, which become spaces.
"""

import re
import unicodedata
from functools import cache, lru_cache

from spatialqa.core.ontology import ontology

_PLAIN_WORDS = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*(?: [^\W\d_]+(?:['-][^\W\d_]+)*)*")
# An own label that begins with one of these brings its article, or needs none.
_DETERMINERS = {
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their", "some",
    "any", "many", "several", "no", "one", "two", "three", "four", "five", "someone", "somebody", "something", "people",
}  # fmt: skip
_UNCOUNTED = {
    "air", "ambiance", "ambience", "applause", "babble", "chatter", "cutlery", "electricity", "equipment",
    "feedback", "furniture", "gas", "glass", "gravel", "gunfire", "hail", "jazz", "laughter", "machinery", "metal",
    "music", "noise", "opera", "paper", "percussion", "rain", "reverb", "reverberation", "sand", "silence",
    "silverware", "sleet", "snow", "speech", "static", "steam", "surf", "thunder", "traffic", "vibration", "water",
    "wind", "wood",
}  # fmt: skip
_PLURALS = {"cattle", "children", "feet", "geese", "men", "mice", "people", "teeth", "women"}
_ONE = {"bus", "canvas", "chaos", "gas", "lens", "series"}  # no plurals, although they end in s
_NO_GERUNDS = {"building", "ceiling", "king", "morning", "ring", "spring", "string", "swing", "thing", "wing"}
_ADJECTIVES = {"distant", "faint", "gentle", "heavy", "light", "loud", "low", "muffled", "quiet", "slow", "soft"}
_LIKE_YOU = re.compile(
    r"uni(?!n|m)|us[aeiou]|usb\b|u-|ut[ei]|uku|eu|ew|one\b|once\b"
)  # "a unicycle": no vowel is heard first
_SILENT_H = re.compile(r"hour|honest|honour|honor|heir")
_LETTER_NAMES = frozenset("fhlmnrsx")  # "an fm radio": ef, aitch, el, ...


def sound_of(label: str) -> str:
    """Return the words that name a source: the sound of a banjo, the sound of a dog barking, the sound of rain."""
    name = spoken_name(label)
    return f"the sound labeled {name}" if name.startswith('"') else f"the sound of {name}"


def bare_sound(label: str) -> str:
    """Return the words that name a source without "the sound of": a dog barking, something labeled "kitchen 2"."""
    name = spoken_name(label)
    return f"something labeled {name}" if name.startswith('"') else name


@lru_cache(maxsize=1 << 14)
def spoken_name(label: str) -> str:
    """Return what follows "the sound of" for a label in lower case; in quotation marks where it has digits or signs."""
    known = ontology().phrases.get(label)
    if known is not None:
        return known
    text = " ".join(label.replace("_", " ").split())
    if not _PLAIN_WORDS.fullmatch(text):
        return f'"{text}"'
    return f"{_article(text)} {text}" if _needs_article(text.split(" ")) else text


def bare_name(label: str) -> str:
    """Return a label as `spoken_name` has it, without its article or quotation marks."""
    return re.sub(r"^an? ", "", spoken_name(label).strip('"'))


def with_class_names(text: str) -> str:
    """Return a question in lower case with classes by their names: "the sound of bark", not "of a dog barking"."""
    pattern, label_of = _phrases()
    return pattern.sub(lambda match: label_of[match[0]], text)


@cache
def _phrases() -> tuple[re.Pattern[str], dict[str, str]]:
    label_of = {phrase.lower(): label for label, phrase in ontology().phrases.items()}
    longest_first = sorted(label_of, key=len, reverse=True)
    return re.compile(rf"(?<=sound of )(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"), label_of


def _needs_article(words: list[str]) -> bool:
    if words[0] in _DETERMINERS:
        return False
    if _is_gerund(words[-1]):  # "snoring", "birds singing", "a tap dripping"
        words = words[:-1]
        if not words or words[-1] in _ADJECTIVES:
            return False
    return words[-1] not in _UNCOUNTED and not _is_plural(words[-1])


def _is_gerund(word: str) -> bool:
    return word.endswith("ing") and word not in _NO_GERUNDS and len(word) > 4


def _is_plural(word: str) -> bool:
    return word in _PLURALS or (word.endswith("s") and not word.endswith(("ss", "us", "is")) and word not in _ONE)


def _article(text: str) -> str:
    text = unicodedata.normalize("NFD", text)  # letters without their accents
    first = re.split("[ -]", text)[0]
    if not re.search("[aeiouy]", first):  # its letters are spelled out
        return "an" if first[0] in _LETTER_NAMES else "a"
    vowel = _SILENT_H.match(text) or (text[0] in "aeiou" and not _LIKE_YOU.match(text))
    return "an" if vowel else "a"
