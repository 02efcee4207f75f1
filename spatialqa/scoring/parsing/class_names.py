"""Finds the names of sound classes in free-form answers."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from spatialqa.core.ontology import ontology
from spatialqa.qa.spoken_name import bare_name
from spatialqa.scoring.parsing.normalise import affirmed, plain

_NO_NAME = {"", "unknown", "unsure", "unclear", "none", "nothing", "n/a", "na", "silence is all i hear"}


class Names:
    """AudioSet's display names and a data set's own labels, all in lower case, and how answers spell them.

    A name is found by its words, in any case and punctuation, also in the plural, longest names first. A part of a name
    between commas, or a name without its parentheses, stands for the whole where it belongs to one name only and is no
    name itself: "whack" is "whack, thwack", "speech" is only "speech". What a question says for a name ("a dog barking"
    for "bark") is read on request, for it holds other names ("dog").
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        self.all = frozenset(node.name.lower() for node in ontology().nodes) | {label.lower() for label in own}

    @cached_property
    def _by_words(self) -> dict[tuple[str, ...], str]:
        spelt = {_words(name): name for name in sorted(self.all)}
        _add_plurals(spelt)
        by_alias: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        for name in sorted(self.all):
            for part in (*name.split(","), re.sub(r"\([^)]*\)", "", name)):
                by_alias[_words(part)].add(name)
        for words, names in by_alias.items():
            if len(names) == 1:
                spelt.setdefault(words, min(names))
        _add_plurals(spelt)
        spelt.pop((), None)
        return spelt

    @cached_property
    def _by_phrase(self) -> dict[tuple[str, ...], str]:
        return {**self._by_words, **{_words(bare_name(name)): name for name in sorted(self.all)}}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._by_phrase))

    def within(self, text: str, phrases: bool = False) -> list[str]:
        """Return the names that plain text affirms, in its order, each once; `phrases`: also as questions say them."""
        words = _words(affirmed(text))
        known = self._by_phrase if phrases else self._by_words
        found: dict[int, str] = {}
        free = [True] * len(words)
        for length in range(min(self._longest, len(words)), 0, -1):
            for start in range(len(words) - length + 1):
                name = known.get(tuple(words[start : start + length]))
                if name and all(free[start : start + length]):
                    free[start : start + length] = [False] * length
                    found[start] = name
        return list(dict.fromkeys(found[start] for start in sorted(found)))

    def answered(self, text: str, phrases: bool = False) -> tuple[list[str], int]:
        """Return the names in a raw answer ("clock; whack, thwack", or a sentence), and how many parts hold none.

        Parts are what "; " separates; a part that is a name, letter by letter, is that name and no other. With
        `phrases` a name may also be said as questions say it.
        """
        names: dict[str, None] = {}
        strange = 0
        for part in parts(text):
            if part in self.all:
                names[part] = None
                continue
            spoken = plain(part)
            inside = self.within(spoken, phrases)
            names.update(dict.fromkeys(inside))
            strange += not inside and spoken.strip(" .!") not in _NO_NAME and affirmed(spoken) == spoken
        return list(names), strange


def _add_plurals(spelt: dict[tuple[str, ...], str]) -> None:
    for words, name in list(spelt.items()):
        if words:
            spelt.setdefault((*words[:-1], words[-1] + "s"), name)


def parts(text: str) -> list[str]:
    """Return what "; " separates in an answer, in lower case and without blanks around it."""
    return [part for piece in text.lower().split(";") if (part := piece.strip())]


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a name or a sentence; "and" is left out, for it may stand for a comma."""
    return tuple(word for word in re.findall(r"[^\W_]+", text.casefold()) if word != "and")
