"""Prose is plain: short sentences, no vague words, and nothing that proselint objects to."""

import statistics
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import click
import pytest
import yaml
from proselint import checks
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

from spatialqa.cli.main import cli
from tests import prose
from tests.prose import Text

REPO = Path(__file__).parents[1]
PAGES = [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]
MEAN_WORDS, MOST_WORDS = 16, 35
MOST_WORDS_OF_A_HEADING = 30  # the first paragraph of a module's docstring
MOST_WORDS_OF_HELP = 40
# typography: code needs straight quotes and dots. lexical_illusions: "spatialsoundqa SpatialSoundQA" is a command.
NOT_LINTED = ("docstring", "comment")  # by proselint, which would take too long
# dates_times: 0.1 s, 150s and "from 1 - 2" are no dates.
OFF = {"typography": False, "lexical_illusions": False, "dates_times": False}


def page_texts() -> Iterator[Text]:
    for page in PAGES:
        for block in prose.blocks(page.read_text(encoding="utf-8")):
            yield Text(page.name, "page", block)


@cache
def python_texts() -> Sequence[Text]:
    own = sorted((REPO / "spatialqa").rglob("*.py"))
    return [text for path in own for text in prose.of_python(path.read_text("utf-8"), str(path.relative_to(REPO)))]


def help_texts(command: click.Command = cli, name: str = "spatialqa") -> Iterator[Text]:
    yield Text(name, "help", command.help or "")
    for parameter in command.params:
        yield Text(f"{name} --{parameter.name}", "help", getattr(parameter, "help", None) or "")
    for sub, child in getattr(command, "commands", {}).items():
        yield from help_texts(child, f"{name} {sub}")


def recipe_texts() -> Iterator[Text]:
    for path in sorted((REPO / "spatialqa/recipes").glob("*.yaml")):
        yield Text(f"recipes/{path.name}", "recipe", yaml.safe_load(path.read_text("utf-8"))["description"])


def all_texts() -> list[Text]:
    return [*page_texts(), *help_texts(), *recipe_texts(), *python_texts()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_of_a_page_are_short(page: Path) -> None:
    lengths = {
        sentence: prose.words(sentence)
        for block in prose.blocks(page.read_text(encoding="utf-8"))
        for sentence in prose.sentences(block)
    }
    assert [sentence for sentence, n in lengths.items() if n > MOST_WORDS] == []
    assert statistics.mean(lengths.values()) < MEAN_WORDS


def test_headings_of_modules_are_short() -> None:
    headings = [(text.where, text.text.split("\n\n")[0]) for text in python_texts() if text.kind == "module"]
    assert [found for found in headings if prose.words(found[1]) > MOST_WORDS_OF_A_HEADING] == []


def test_help_is_short() -> None:
    assert [text for text in help_texts() if prose.words(text.text) > MOST_WORDS_OF_HELP] == []


def test_every_option_has_help() -> None:
    options = [text for text in help_texts() if "--" in text.where]
    assert len(options) > 150


def test_avoided_words() -> None:
    assert [f"{text.where}: {found}" for text in all_texts() for found in prose.avoided(text.text)] == []


def test_proselint() -> None:
    CheckRegistry().register_many(checks.__register__)
    texts = [text for text in all_texts() if text.kind not in NOT_LINTED]
    lines = [
        " ".join(prose.plain(text.text).replace("or every", "or each").split()) for text in texts
    ]  # not "for ever"
    results = LintFile("prose", "\n\n".join(lines)).lint({"max_errors": 1000, "checks": {**DEFAULT["checks"], **OFF}})
    found = []
    for result in results:
        text = texts[(result.pos[0] - 1) // 2]
        found.append(f"{text.where}: {result.check_result.check_path}: {result.check_result.message}")
    assert found == []


def test_the_checks_find_what_they_should() -> None:
    assert prose.avoided("The guesser goes on.") == [
        "'guesser': write 'text-only baseline'",
        "'goes on': write 'resume, continue'",
    ]
    assert prose.sentences("One e.g. two. `three` four? Five.") == ["One e.g. two.", "`code` four?", "Five."]
    assert list(prose.blocks("# A\n\nb\nc\n- d\n  e\n\n    code\n\n| f |\n```x\ng\n```\n")) == ["b c", "d e"]
    source = '"""Heading."""\nraise ValueError(f"bad {x}: " "use y")  # why\n'
    assert [(text.kind, text.text) for text in prose.of_python(source, "m.py")] == [
        ("module", "Heading."),
        ("message", "bad {}: use y"),
        ("comment", "why"),
    ]
