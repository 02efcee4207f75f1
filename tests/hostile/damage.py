"""Damage to files, for hypothesis to draw: bytes, numbers in text, and values in JSON."""

import json
import re
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Edit = tuple[Any, ...]

NUMBERS = (0, 1, -1, 7, 255, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
TOKENS = (
    *("0", "-1", "1", "2", "999999999", "2147483648", "99999999999999999999", "9" * 400, "1e308", "-1e-320", "1e999"),
    *(
        "nan",
        "inf",
        "-inf",
        "0x10",
        "1_000",
        "1:30",
        "\u00b2",
        "\u0663",
        "",
        "x",
        "x" * 300,
        "\x00",
        "../../x",
        "/",
        "null",
    ),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1,
        3,
        2**31,
        2**63,
        2**64,
        10**30,
        -0.5,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "x" * 300,
    ),
    *("\ud800", "\x00", "../../x", "VEC3", [], [0], [[[]]], {}, {"a": {}}, [1e308] * 3, [None] * 16, ["a", 1]),
)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_]+")

_at = st.floats(0, 1, exclude_max=True)
_byte_edits = st.one_of(
    st.tuples(st.just("cut"), _at),
    st.tuples(st.just("flip"), _at, st.integers(0, 255)),
    st.tuples(st.just("word"), _at, st.sampled_from(NUMBERS)),
    st.tuples(st.just("insert"), _at, st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("repeat"), _at, _at, st.integers(1, 40)),
    st.tuples(st.just("drop"), _at, _at),
)
_text_edits = st.one_of(
    st.tuples(st.just("number"), _at, st.sampled_from(TOKENS)),
    st.tuples(st.just("name"), _at, st.sampled_from(TOKENS)),
)


def edits(kind: str) -> st.SearchStrategy[list[Edit]]:
    """Return how to damage a file: "bytes", "text" (bytes, numbers and words), or "json" (values, and bytes too)."""
    one = {
        "bytes": _byte_edits,
        "text": st.one_of(_text_edits, _text_edits, _byte_edits),
        "json": st.one_of(*[st.tuples(st.just("value"), _at, st.sampled_from(VALUES))] * 4, _byte_edits),
    }[kind]
    return st.lists(one, min_size=1, max_size=4)


def damaged(content: bytes, changes: list[Edit]) -> bytes:
    """Return a file's bytes with some changes made, one after the other."""
    for what, at, *more in changes:
        content = _DAMAGE[what](content, at, *more)
    return content


def _cut(content: bytes, at: float) -> bytes:
    return content[: int(at * len(content))]


def _flip(content: bytes, at: float, value: int) -> bytes:
    k = int(at * len(content))
    return content[:k] + bytes([value]) + content[k + 1 :]


def _word(content: bytes, at: float, value: int) -> bytes:
    """Put a 32-bit number in place of another: sizes, counts and indices are such."""
    k = int(at * len(content)) // 4 * 4
    return content[:k] + struct.pack("<I", value & 0xFFFFFFFF) + content[k + 4 :]


def _insert(content: bytes, at: float, value: bytes) -> bytes:
    k = int(at * len(content))
    return content[:k] + value + content[k:]


def _repeat(content: bytes, first: float, second: float, times: int) -> bytes:
    a, b = sorted((int(first * len(content)), int(second * len(content))))
    return content[:a] + content[a : min(b, a + 4000)] * times + content[b:]


def _drop(content: bytes, first: float, second: float) -> bytes:
    a, b = sorted((int(first * len(content)), int(second * len(content))))
    return content[:a] + content[b:]


def _number(content: bytes, at: float, token: str) -> bytes:
    return _one_of(_NUMBER, content, at, token)


def _name(content: bytes, at: float, token: str) -> bytes:
    return _one_of(_WORD, content, at, token)


def _one_of(pattern: re.Pattern[bytes], content: bytes, at: float, token: str) -> bytes:
    found = list(pattern.finditer(content))
    if not found:
        return content
    match = found[int(at * len(found))]
    return content[: match.start()] + token.encode() + content[match.end() :]


def _value(content: bytes, at: float, value: Any) -> bytes:
    """Put a value in place of one of a JSON text, or drop its key where the value is a lone surrogate."""
    try:
        top = json.loads(content)
    except ValueError:
        return content
    places = list(_places(top))
    if not places:
        return json.dumps(value).encode()
    holder, key = places[int(at * len(places))]
    if value == "\ud800" and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = value
    return json.dumps(top).encode()


def _places(value: Any) -> Any:
    """Yield every (holder, key or index) of a JSON value, the outer ones first."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
    for key in keys:
        yield from _places(value[key])


_DAMAGE: dict[str, Callable[..., bytes]] = {
    "cut": _cut,
    "flip": _flip,
    "word": _word,
    "insert": _insert,
    "repeat": _repeat,
    "drop": _drop,
    "number": _number,
    "name": _name,
    "value": _value,
}
