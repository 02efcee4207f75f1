"""The format of template files and its strict reader; nothing in a file is executed.

A file has up to five keys. `type` is the question type. `answers` may say what an answer to a subtype is (see
ANSWER_KINDS), so that a reader knows, and so that a file written for something else is refused. `templates` maps each
subtype to its templates, {id: text}. `phrases` holds the tables that say a direction word in a sentence (see
slots.TABLES): a list of styles, each a mapping from every word of the table to its phrase; one style is drawn a
question. `synonyms` holds named lists. In a text, `{slot}` is filled from the question, `[one|another]` is one of the
alternatives, and `[name]` is one of the synonyms of that name. Alternatives are plain text; an empty one leaves the
word out. {source} stands before {other}, so that the first sound that is named is the one the question is about; in
their place may stand {source_name} and {other_name}, "a banjo" instead of "the sound of a banjo".
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from spatialqa.core.strict_yaml import read_yaml
from spatialqa.errors import TemplateError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.fact import pick
from spatialqa.qa.subtype import ANSWER_KINDS, Subtype, SubtypeSet
from spatialqa.qa.templating.slots import BARE_SLOTS, TABLES, WORD_SLOTS

_KEYS = ("type", "answers", "phrases", "synonyms", "templates")
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_TOKEN = re.compile(r"\{([^{}\[\]|]*)\}|\[([^{}\[\]]*)\]|([^{}\[\]|]+)")

PhraseTable = tuple[Mapping[str, str], ...]  # styles, each: word -> phrase


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a text to fill in; table is its phrase table's name, or None where it holds a name or a value."""

    name: str
    table: str | None


TemplatePart = str | tuple[str, ...] | Slot  # fixed text, alternatives, slot


@dataclass(frozen=True, slots=True)
class Template:
    """One way to ask a form of a subtype."""

    template_id: str
    subtype: str
    form: str
    parts: tuple[TemplatePart, ...]
    phrases: Mapping[str, PhraseTable]

    def render(self, values: Mapping[str, str], rng: np.random.Generator) -> str:
        """Return the question: slots filled with `values`, phrases and alternatives drawn, a capital first."""
        styles = {table: pick(options, rng) for table, options in self.phrases.items()}
        said = []
        for part in self.parts:
            if isinstance(part, str):
                said.append(part)
            elif isinstance(part, tuple):
                said.append(pick(part, rng))
            else:
                value = values[part.name]
                said.append(value if part.table is None else styles[part.table][value])
        text = "".join(said)
        if "  " in text or text[0] == " ":  # an empty alternative was drawn
            text = " ".join(text.split())
        return text[0].upper() + text[1:]


@dataclass(frozen=True)
class TemplateFile:
    """The templates of one file and, each in one line, what is wrong with the others."""

    type: str
    templates: tuple[Template, ...]
    problems: tuple[str, ...]


def read_template_file(file: Traversable, subtypes: SubtypeSet = BUILT_IN) -> tuple[str, list[Template]]:
    """Return the type and the templates of one file.

    Raises:
        TemplateError: the file or one of its templates is wrong; the text names both.
    """
    found = inspect_template_file(file, subtypes)
    if found.problems:
        raise TemplateError(found.problems[0])
    return found.type, list(found.templates)


def read_mapping(file: Traversable) -> dict[str, Any]:
    """Return the mapping in a template file; raises TemplateError if it is not plain YAML or not a mapping."""
    data = read_yaml(file, file.name, TemplateError)
    if not isinstance(data, dict):
        raise TemplateError(f"{file.name}: must be a mapping such as `type: A` and `templates: ...`")
    return data


def inspect_template_file(file: Traversable, subtypes: SubtypeSet = BUILT_IN) -> TemplateFile:
    """Return what a file holds, every wrong template named; raises TemplateError when the whole file is wrong."""
    data = read_mapping(file)
    built_in = {subtype.name for subtype in BUILT_IN.by_type.get(str(data.get("type")), ())}
    return inspect_templates(file.name, data, subtypes, built_in)


def inspect_templates(
    name: str, data: Mapping[str, Any], subtypes: SubtypeSet, required: Collection[str]
) -> TemplateFile:
    """Return what the mapping of a template file holds, every wrong template named.

    Args:
        name: of the file, for messages.
        data: the mapping.
        subtypes: those that it may have templates of.
        required: those that it must have templates of, besides those that it names.

    Raises:
        TemplateError: the whole mapping is wrong.
    """
    kind = data.get("type")
    if not isinstance(kind, str) or kind not in subtypes.by_type:
        raise TemplateError(f"{name}: type {kind!r} is not one of {', '.join(subtypes.types)}")
    known = {subtype.name: subtype for subtype in subtypes.by_type[kind]}
    unknown = [key for key in data if key not in _KEYS]
    if unknown:
        raise TemplateError(f"{name}: unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    phrases = {table: _phrase_table(name, table, styles) for table, styles in _mapping(name, data, "phrases").items()}
    synonyms = {word: _synonyms(name, word, words) for word, words in _mapping(name, data, "synonyms").items()}
    _check_answers(name, kind, known, _mapping(name, data, "answers"))
    templates: list[Template] = []
    problems: list[str] = []
    id_of_text: dict[str, str] = {}
    by_subtype = _mapping(name, data, "templates")
    for subtype, texts in by_subtype.items():
        if subtype not in known:
            raise TemplateError(f"{name}: type {kind} has no subtype {subtype!r}; known: {', '.join(known)}")
        if not isinstance(texts, dict):
            raise TemplateError(f"{name}: {subtype}: must be a mapping of template ids to texts")
        for template_id, text in texts.items():
            try:
                where = f"{name}: template {template_id}"
                if template_id in id_of_text.values():
                    raise TemplateError(f"{where}: the id is used twice; rename one")
                template = _template(where, template_id, known[subtype], text, phrases, synonyms)
                if text in id_of_text:
                    raise TemplateError(f"{where}: the same text as {id_of_text[text]}; remove one")
            except TemplateError as error:
                problems.append(str(error))
            else:
                templates.append(template)
                id_of_text[text] = template_id
    have = {(t.subtype, t.form) for t in templates}
    for subtype in (s for s in known if s in required or s in by_subtype):
        for form, wanted in known[subtype].forms.items():
            if (subtype, form) not in have:
                slots = ", ".join(f"{{{slot}}}" for slot in wanted) or "no slots"
                problems.append(f"{name}: no template for {subtype} with {slots}; add one")
    return TemplateFile(kind, tuple(templates), tuple(problems))


def _template(
    where: str,
    template_id: str,
    subtype: Subtype,
    text: Any,
    phrases: Mapping[str, PhraseTable],
    synonyms: Mapping[str, tuple[str, ...]],
) -> Template:
    if not isinstance(template_id, str) or not _ID.fullmatch(template_id):
        raise TemplateError(f"{where}: an id is lower-case letters, digits, '.', '-' and '_'")
    if not isinstance(text, str) or not text.isprintable() or text != " ".join(text.split()):
        raise TemplateError(f"{where}: must be one line of text with single spaces, got {text!r}")
    if text[-1:] not in ("?", "."):
        raise TemplateError(f"{where}: must end with '?' or '.'")
    parts = _parse(where, text, synonyms)
    slots = [BARE_SLOTS.get(part.name, part.name) for part in parts if isinstance(part, Slot)]
    for slot in slots:
        if slots.count(slot) > 1:
            raise TemplateError(f"{where}: slot {{{slot}}} stands twice; keep one")
    known = sorted({slot for form in subtype.forms.values() for slot in form})
    for slot in slots:
        if slot not in known:
            raise TemplateError(
                f"{where}: unknown slot {{{slot}}}; {subtype.name} has {', '.join(f'{{{k}}}' for k in known) or 'none'}"
            )
    form = next((name for name, wanted in subtype.forms.items() if set(wanted) == set(slots)), None)
    if form is None:
        forms = " or ".join(" ".join(f"{{{k}}}" for k in wanted) or "none" for wanted in subtype.forms.values())
        raise TemplateError(f"{where}: what it asks is unclear; {subtype.name} needs exactly the slots {forms}")
    for first, second in (("source", "other"), ("side_1", "side_2"), ("option_1", "option_2")):
        if second in slots and slots.index(first) > slots.index(second):
            raise TemplateError(f"{where}: {{{first}}} must stand before {{{second}}}")
    tables = {part.table for part in parts if isinstance(part, Slot) and part.table is not None}
    for table in sorted(tables - phrases.keys()):
        raise TemplateError(f"{where}: needs the phrase table {table!r}, which the file lacks; add it under phrases")
    return Template(template_id, subtype.name, form, parts, {table: phrases[table] for table in sorted(tables)})


def _check_answers(file: str, kind: str, known: Mapping[str, Subtype], answers: Mapping[str, Any]) -> None:
    for subtype, answer in answers.items():
        if subtype not in known:
            raise TemplateError(f"{file}: answers: type {kind} has no subtype {subtype!r}; known: {', '.join(known)}")
        wanted = ANSWER_KINDS[known[subtype].answer]
        if answer != wanted:
            raise TemplateError(f"{file}: answers: {subtype} is answered by {wanted!r}, not {answer!r}")


def _parse(where: str, text: str, synonyms: Mapping[str, tuple[str, ...]]) -> tuple[TemplatePart, ...]:
    parts: list[TemplatePart] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise TemplateError(f"{where}: {text[at]!r} at character {at + 1} has no partner, or brackets are nested")
        slot, choice, fixed = match.groups()
        if slot is not None:
            parts.append(Slot(slot, WORD_SLOTS.get(slot)))
        elif choice is not None:
            parts.append(_alternatives(where, choice, synonyms))
        else:
            parts.append(fixed)
        at = match.end()
    return tuple(parts)


def _alternatives(where: str, choice: str, synonyms: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    options = tuple(choice.split("|"))
    if len(options) == 1:
        if choice not in synonyms:
            known = ", ".join(sorted(synonyms)) or "none"
            raise TemplateError(f"{where}: unknown synonyms [{choice}]; known: {known}")
        return synonyms[choice]
    if len(set(options)) != len(options):
        raise TemplateError(f"{where}: [{choice}] has the same alternative twice")
    return options


def _phrase_table(file: str, table: str, styles: Any) -> PhraseTable:
    where = f"{file}: phrases {table}"
    if table not in TABLES:
        raise TemplateError(f"{where}: unknown table; known: {', '.join(TABLES)}")
    if not isinstance(styles, list) or not styles:
        raise TemplateError(f"{where}: must be a list of styles, each a mapping of {', '.join(TABLES[table])}")
    for number, style in enumerate(styles, 1):
        if not isinstance(style, dict) or set(style) != set(TABLES[table]):
            raise TemplateError(f"{where}: style {number} must say exactly {', '.join(TABLES[table])}")
        for phrase in style.values():
            _check_plain(f"{where}: style {number}", phrase)
        if len(set(style.values())) != len(style):
            raise TemplateError(f"{where}: style {number} says two words alike")
    return tuple(styles)


def _synonyms(file: str, name: str, words: Any) -> tuple[str, ...]:
    where = f"{file}: synonyms {name}"
    if not isinstance(words, list) or len(words) < 2 or len({str(word) for word in words}) != len(words):
        raise TemplateError(f"{where}: must be a list of two or more different texts")
    for word in words:
        _check_plain(where, word)
    return tuple(words)


def _check_plain(where: str, text: Any) -> None:
    if not isinstance(text, str) or not text or not text.isprintable() or text != " ".join(text.split()):
        raise TemplateError(f"{where}: {text!r} must be one line of text with single spaces (quote yes, no, on, off)")
    if any(mark in text for mark in "{}[]|"):
        raise TemplateError(f"{where}: {text!r} must be plain text without slots or alternatives")


def _mapping(file: str, data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise TemplateError(f"{file}: {key}: must be a mapping with names as keys")
    return value
