"""Normalises free-form answers: removes markup, case, reasoning, repeated questions, negated words."""

import html
import re
import unicodedata
from functools import lru_cache

MAX_CHARACTERS = 4000

_VULGAR = {"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8"}
_SIGNS = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u2212": "-", "\u2010": "-", "\u2011": "-"})
_DASHES = re.compile("[\u2012-\u2015]+")
_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[a-z!][^<>]{0,300}>")
_FINAL = re.compile(r"\b(?:final )?answer(?: is\b|\s*[:=])\s*:?")
_SENTENCE = re.compile(r"[^.!?\n]*(?:\.(?=\d)[^.!?\n]*)*[.!?\n]*")

_NEGATOR = (
    r"\b(?:than(?= (?:the|that|those|any|all|every)\b)|rather than|instead of|opposed to|not|never|neither|nor|no"
    r"|without|cannot|[a-z]+n't|dont|isnt|arent|cant)\b"
    r"(?! (?:only|just|merely|sure|certain|far|too|very|so|much|close|quite|more than|less than)\b)"
    r"(?! (?:doubt|question|problem)\b)"
)
_CLAUSE_END = r"(?=[,.](?!\d)|[;:!?()\n]| - | but\b| rather\b(?! than)| instead\b(?! of)| it is\b| it's\b|\Z)"
_NEGATED = re.compile(_NEGATOR + r".*?" + _CLAUSE_END, re.DOTALL)


@lru_cache(maxsize=1 << 14)  # models repeat themselves
def plain(text: str) -> str:
    """Return an answer in lower case without what surrounds it; never raises.

    Left out are: tags and entities of HTML, marks of Markdown, the inside of <think> tags, whatever stands before a
    last "answer:" or "the answer is", and sentences that are questions, as long as something else is left. Only the
    first 4,000 characters of the rest are read.
    """
    text = html.unescape(text)
    for sign, spelt in _VULGAR.items():
        text = text.replace(sign, spelt)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).lower()
    text = _DASHES.sub(" - ", text)
    text = _THINKING.sub(" ", text)
    text = _TAG.sub(" ", text)
    text = re.sub(r"[*_`#|\\{}\[\]\"“”]+", " ", text)
    for mark in reversed(list(_FINAL.finditer(text))):
        if re.search(r"\w", text[mark.end() :]):
            text = text[mark.end() :]
            break
    text = re.sub(r"[^\S\n]+", " ", text[:MAX_CHARACTERS])
    statements = "".join(part for part in _SENTENCE.findall(text) if not part.rstrip().endswith("?"))
    return (statements if re.search(r"\w", statements) else text).strip()


def affirmed(text: str) -> str:
    """Return plain text without what it denies: "not on the left but on the right" becomes "but on the right".

    A negation, or a comparison ("than the dog"), reaches to the end of its clause. "not only", "not sure", "not far"
    and their like deny nothing.
    """
    return _NEGATED.sub(" ", text)


def without(text: str, phrases: tuple[str, ...]) -> str:
    """Return plain text without these phrases (the names that a question gave its sources)."""
    for phrase in sorted(phrases, key=len, reverse=True):
        if phrase.strip():
            text = re.sub(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", " ", text)
    return text
