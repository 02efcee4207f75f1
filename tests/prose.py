"""Takes the prose out of pages, Python files and recipes, and finds what we avoid in it."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_BLOCK_START = re.compile(r"^\s*(?:[-*]|\d+\.|#+)\s")
_ABBREVIATIONS = r"(?<!\bal\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)"
_SENTENCE_END = re.compile(_ABBREVIATIONS + r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_`]*\w|`)")
_COMMENT = re.compile(r"(?:^ *|  )# (.+)$")  # as ruff formats them
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")

# Words that are vague here, with the ones to use instead.
AVOIDED = {
    r"\bguessers?\b(?!:)": "text-only baseline",
    r"\bno ears\b": "constant baseline",
    r"\bso many\b": "the number, or `N`",
    r"\b(?:goes|go|went) on\b": "resume, continue",
    r"\bfor ever\b": "always",
    r"\bfares?\b": "is",
    r"\b(?:nobody|somebody|whoever)\b": "listeners and sources; users",
    r"\bis had\b": "is available",
    r"\bpass(?:ed|es) over\b": "ignore, skip",
    r"(?<!there )\b(?:is|are) no "
    r"(?!longer|more|limit|one|farther|reason|doubt|bound|hindrance|other|part|matter|such)[a-z]+": "is not a ...",
    r"\btold\b": "stated, described",
    r"\ba hair\b": "slightly",
    r"\b(?:is|are) said\b": "reported",
    r"\b(?:dealt|dealing)\b": "allocated",
    r"\bof its own accord\b": "automatically",
    r"\bthinn(?:ed|ing)\b": "rejection sampling",
    r"\bat hand\b": "available",
}
_ANY_AVOIDED = re.compile("|".join(AVOIDED), re.IGNORECASE)
_AVOIDED = [(re.compile(pattern, re.IGNORECASE), better) for pattern, better in AVOIDED.items()]


class Text(NamedTuple):
    """A piece of prose: where it is, what kind it is, and what it says."""

    where: str
    kind: str  # module, docstring, message or comment
    text: str


def blocks(markdown: str) -> Iterator[str]:
    """Yield the paragraphs and list items of a page, each as one line, without code, tables and headings."""
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


def plain(text: str) -> str:
    """Return text without Markdown: a link is its text, a span of code is one word."""
    return re.sub(r"`[^`]*`", "`code`", _LINK.sub(r"\1", text)).replace("**", "")


def sentences(text: str) -> list[str]:
    """Return the sentences of a paragraph."""
    return [sentence.strip() for sentence in _SENTENCE_END.split(plain(text)) if sentence.strip()]


def words(sentence: str) -> int:
    """Return the number of words; a number, a name and a span of code count as one each."""
    return sum(1 for word in sentence.split() if re.search(r"\w", word))


def avoided(text: str) -> list[str]:
    """Return the avoided words of a text, each with the ones to use instead."""
    text = plain(text)
    if not _ANY_AVOIDED.search(text):
        return []
    found = [(pattern.search(text), better) for pattern, better in _AVOIDED]
    return [f"{match[0]!r}: write {better!r}" for match, better in found if match]


def of_python(source: str, path: str) -> Iterator[Text]:
    """Yield the docstrings, comments and error messages of a module."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc:
                kind = "module" if isinstance(node, ast.Module) else "docstring"
                yield Text(f"{path}:{getattr(node, 'lineno', 1)}", kind, doc)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            message = " ".join(_literal(argument) for argument in node.exc.args).strip()
            if message:
                yield Text(f"{path}:{node.lineno}", "message", message)
    for number, line in enumerate(source.splitlines(), start=1):
        if comment := _COMMENT.search(line):
            yield Text(f"{path}:{number}", "comment", comment[1])


def _literal(node: ast.expr) -> str:
    """Return the text of a string expression, with {} where values are filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_literal(part) for part in parts)
        case ast.FormattedValue():
            return "{}"
        case ast.BinOp(left=left, right=right):
            return _literal(left) + _literal(right)
    return ""
