"""Classes by name: which texts and labels name one of them, for tests on classes that a training never named.

classes = read_classes(["dog", "violin fiddle"])      # or ["classes.txt"], with a name a line
named = NamedClasses(classes)
named.in_text("Where is the sound of a dog barking?")  # "dog": the word is there
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from spatialqa.core.input_files import read_text
from spatialqa.core.ontology import ontology
from spatialqa.errors import RecipeError
from spatialqa.qa.spoken_name import bare_name


def read_classes(given: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of some classes, in lower case and in alphabetical order.

    Args:
        given: display names or mids of AudioSet's classes, where commas may be left out, and labels of one's own; or
            the path of one file, which has one of these a line. Empty lines, and lines that begin with #, are left out.

    Raises:
        RecipeError: the file cannot be read, or nothing is named, or a name is almost that of a class.
    """
    lines = _lines(Path(given[0])) if len(given) == 1 and _is_file(given[0]) else given
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if given and not names:
        raise RecipeError(f"{given[0]}: names no class; write one a line")
    return tuple(sorted({_label(name) for name in names}))


def _is_file(name: str) -> bool:
    return Path(name).is_file() or "/" in name.removeprefix("/m/").removeprefix("/t/") or name.endswith(".txt")


def _lines(file: Path) -> list[str]:
    try:
        return read_text(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: cannot be read as a list of classes ({error})") from None


def _label(name: str) -> str:
    node = ontology().find(name)
    if node is not None:
        return node.name.lower()
    if (near := ontology().misspelt(name)) is not None:
        raise RecipeError(f"{name!r} is not a class of AudioSet; did you mean {near!r}?")
    return name.lower()


class NamedClasses:
    """Some classes, and where they are named.

    A text names a class where it has, as whole words, its label or the words that questions use for it, without their
    article. So the words for "bark", "a dog barking", also name "dog".

    Args:
        labels: in lower case, as `read_classes` returns them.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._patterns = {label: _pattern(label) for label in labels}

    def in_text(self, text: str) -> list[str]:
        """Return which of the classes a text names, in any case."""
        lower = text.lower()
        return [label for label, pattern in self._patterns.items() if pattern.search(lower)]

    def in_labels(self, labels: Iterable[str]) -> bool:
        """Return whether one of these labels, or the words that questions use for it, names one of the classes."""
        return any(self.in_text(f"{label}\n{bare_name(label)}") for label in labels)

    def named(self, texts: Iterable[str]) -> tuple[list[bool], Counter[str]]:
        """Return for each text whether it names one of the classes, and how many texts name each class."""
        counts: Counter[str] = Counter(dict.fromkeys(self._patterns, 0))
        found = []
        for text in texts:
            here = self.in_text(text)
            counts.update(here)
            found.append(bool(here))
        return found, counts


def _pattern(label: str) -> re.Pattern[str]:
    forms = dict.fromkeys((label, bare_name(label).lower(), label.replace("_", " ")))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, forms))})(?!\w)")
