"""Sentences of the documentation: taken out of Markdown, counted, and checked against words that we avoid."""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_BLOCK_START = re.compile(r"^\s*(?:[-*]|\d+\.|#+)\s")
_SENTENCE_END = re.compile(r"(?<!\bal\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_`]*\w|`)")


def blocks(markdown: str) -> Iterator[str]:
    """The paragraphs and list items of a page, each as one line; code, tables and headings are left out."""
    block: list[str] = []
    after_blank = True
    for line in [*_FENCE.sub("", markdown).splitlines(), ""]:
        code = line.startswith("    ") and after_blank and not block
        skip = not line.strip() or line.startswith(("|", "#", "![", "<")) or code
        if (skip or _BLOCK_START.match(line)) and block:
            yield " ".join(block)
            block = []
        if not skip:
            block.append(_BLOCK_START.sub("", line).strip())
        after_blank = not line.strip() or code
    return


def plain(text: str) -> str:
    """Text without Markdown: a link is its text, a span of code is one word."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "`code`", text)
    return text.replace("**", "")


def sentences(text: str) -> list[str]:
    """The sentences of one block."""
    return [sentence.strip() for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def words(sentence: str) -> int:
    """The number of words; a number, a name and a span of code count as one each."""
    return sum(1 for word in sentence.split() if re.search(r"\w", word))


def page_sentences(markdown: str) -> list[str]:
    """All sentences of a page."""
    return [sentence for block in blocks(markdown) for sentence in sentences(plain(block))]
