"""Loads subtypes that a user declares: from Python files by path, and from installed packages by entry point.

A module is executed because the user names it; nothing that a data set says makes one run. A file, or the object of an
entry point of the group `spatialqa.questions`, has SUBTYPES, a list of Subtype.
"""

import hashlib
import importlib.metadata
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from spatialqa.core.files import sha256_of
from spatialqa.core.input_files import open_regular
from spatialqa.dataset.json_records import OwnSubtype, QuestionModule
from spatialqa.dataset.validation.own_subtypes import Recompute
from spatialqa.errors import QuestionModuleError, TemplateError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.fact_check import checked_because, checked_finder, described
from spatialqa.qa.subtype import ANSWER_KINDS, HEARING, Subtype, SubtypeSet
from spatialqa.qa.templating.template_file import Template, inspect_templates, read_mapping
from spatialqa.qa.templating.templates import TemplatesByForm, bundled_templates

ENTRY_POINTS = "spatialqa.questions"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_HOW = "write SUBTYPES = [Subtype(...), ...]"


@dataclass(frozen=True)
class OwnQuestions:
    """All subtypes that can be asked, with the templates of those that are not built in, and where these come from."""

    subtypes: SubtypeSet = BUILT_IN
    templates: TemplatesByForm = field(default_factory=dict)
    modules: tuple[QuestionModule, ...] = ()


class _Loaded(NamedTuple):
    """What a module declares, before it is checked."""

    file: Path
    declared: Any
    kind: str
    distribution: str | None
    sha256: str


def load_question_modules(names: Sequence[str]) -> OwnQuestions:
    """Execute question modules and return what they declare.

    Args:
        names: paths of Python files (ending in .py), or names of entry points.

    Raises:
        QuestionModuleError: there is no such file or entry point, it raises, or it declares nothing that can be asked.
        TemplateError: a template cannot be used.
    """
    own = OwnQuestions()
    for name in names:
        loaded = _from_file(Path(name)) if name.endswith(".py") else _from_entry_point(name)
        subtypes = _checked(loaded, own.subtypes)
        known = own.subtypes.with_own(subtypes)
        templates, files = _templates(loaded, subtypes, known, own.templates)
        record = QuestionModule(
            name=Path(name).name,
            kind="file" if loaded.kind == "file" else "entry point",
            files={loaded.file.name: loaded.sha256, **files},
            distribution=loaded.distribution,
            subtypes=tuple(OwnSubtype(s.name, s.type, s.answer, s.sources) for s in subtypes),
        )
        own = OwnQuestions(known, {**own.templates, **templates}, (*own.modules, record))
    return own


def recompute_functions(names: Sequence[str]) -> dict[str, Recompute]:
    """Return the functions that question modules have to compute answers again, by subtype; raises as loading does."""
    return {s.name: s.recompute for s in load_question_modules(names).subtypes.all if s.recompute}


def _from_file(path: Path) -> _Loaded:
    try:
        with open_regular(path) as stream:
            source = stream.read()
    except OSError as error:
        raise QuestionModuleError(f"question_modules: {path}: {error.strerror or error}; name a Python file") from None
    sha256 = hashlib.sha256(source).hexdigest()
    module = types.ModuleType(f"spatialqa_questions_{sha256[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look it up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise QuestionModuleError(f"{path}: cannot be executed: {described(error, path)}") from error
    return _Loaded(path, _declared(module), "file", None, sha256)


def _from_entry_point(name: str) -> _Loaded:
    every = importlib.metadata.entry_points(group=ENTRY_POINTS)
    found = [entry for entry in every if entry.name == name]
    if not found:
        known = ", ".join(sorted({entry.name for entry in every})) or "none"
        raise QuestionModuleError(
            f"question_modules: {name!r} is not a Python file (FILE.py), and no installed package has an entry point "
            f"of this name in {ENTRY_POINTS}; installed: {known}"
        )
    if len(found) > 1:
        owners = ", ".join(entry.dist.name for entry in found if entry.dist)
        raise QuestionModuleError(f"question_modules: {name!r} is an entry point of several packages ({owners})")
    entry = found[0]
    try:
        declared = entry.load()
    except (Exception, SystemExit) as error:
        raise QuestionModuleError(
            f"question_modules: {name}: {entry.value} cannot be loaded: {described(error)}"
        ) from error
    file = Path(str(sys.modules[entry.module].__file__))
    dist = f"{entry.dist.name} {entry.dist.version}" if entry.dist else None
    return _Loaded(file, _declared(declared), "entry point", dist, sha256_of(file) if file.is_file() else "")


def _declared(found: Any) -> Any:
    return getattr(found, "SUBTYPES", None) if isinstance(found, types.ModuleType) else found


# --- what is declared -------------------------------------------------------------------------------------------------


def _checked(loaded: _Loaded, taken: SubtypeSet) -> list[Subtype]:
    """Return the declared subtypes with their finders checked."""
    where, declared = loaded.file, loaded.declared
    items = (declared,) if isinstance(declared, Subtype) else declared
    if not isinstance(items, list | tuple) or not items:
        raise QuestionModuleError(f"{where}: declares no subtypes; {_HOW}")
    names = set(taken.by_name)
    if strangers := [item for item in items if not isinstance(item, Subtype)]:
        raise QuestionModuleError(f"{where}: SUBTYPES holds {strangers[0]!r:.60}, which is not a Subtype; {_HOW}")
    subtypes: list[Subtype] = []
    for subtype in items:
        if problem := _problem(subtype):
            raise QuestionModuleError(f"{where}: subtype {subtype.name!r}: {problem}")
        if subtype.name in names:
            who = "a built-in one" if subtype.name in BUILT_IN.by_name else "another own one"
            raise QuestionModuleError(f"{where}: subtype {subtype.name!r}: {who} has this name; choose another")
        names.add(subtype.name)
        because = checked_because(subtype, where)
        subtypes.append(replace(subtype, finder=checked_finder(subtype, where), because=because))
    return subtypes


def _problem(subtype: Subtype) -> str | None:
    if not isinstance(subtype.name, str) or not _NAME.fullmatch(subtype.name):
        return "a name is lower-case letters, digits and '_', and begins with a letter"
    if not isinstance(subtype.type, str) or not _TYPE.fullmatch(subtype.type):
        return f"type {subtype.type!r} must be A, B, C, D, E, X, or a new name of letters, digits and '_'"
    if subtype.answer not in ANSWER_KINDS:
        return f"answer {subtype.answer!r} is none of {', '.join(ANSWER_KINDS)}"
    functions: list[Any] = [subtype.finder, subtype.because, subtype.recompute]
    if not callable(functions[0]) or not all(f is None or callable(f) for f in functions[1:]):
        return "finder must be a function, and so must because and recompute where they are given"
    if not _are_forms(subtype.forms):
        return "its forms must map names to tuples of different slots, such as {'open': ('source',)}"
    if any("other" in slots and "source" not in slots for slots in subtype.forms.values()):
        return "a form with {other} needs {source} too"
    if subtype.hears is not None and subtype.hears not in HEARING:
        return f"hears {subtype.hears!r} must be one of {', '.join(HEARING)}"
    least, most = subtype.sources if _is_pair(subtype.sources) else (0, 0)
    if not 1 <= least <= most:
        return f"sources {subtype.sources!r} must be the least and most sources of a scene, such as (2, 99)"
    return None


def _are_forms(forms: Any) -> bool:
    return (
        isinstance(forms, Mapping)
        and bool(forms)
        and all(isinstance(slots, tuple) and len(set(slots)) == len(slots) for slots in forms.values())
        and all(isinstance(word, str) and word.isidentifier() for name in forms for word in (name, *forms[name]))
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(type(number) is int for number in value)


# --- templates --------------------------------------------------------------------------------------------------------


def _templates(
    loaded: _Loaded, subtypes: Sequence[Subtype], known: SubtypeSet, others: TemplatesByForm
) -> tuple[TemplatesByForm, dict[str, str]]:
    """Return the templates of a module's subtypes, and the sha256 of the template files that they are in, by name."""
    found: list[Template] = []
    names_of_file: dict[Path, set[str]] = {}
    for subtype in subtypes:
        if isinstance(subtype.templates, str | Path):
            names_of_file.setdefault(loaded.file.parent / subtype.templates, set()).add(subtype.name)
            continue
        data = {
            "type": subtype.type,
            "templates": {subtype.name: _plain(subtype.templates)},
            "synonyms": _plain(subtype.synonyms),
            "phrases": _plain(subtype.phrases),
        }
        found += _read(loaded.file.name, data, known, {subtype.name})
    for file, names in names_of_file.items():
        if not file.is_file():
            raise TemplateError(f"{loaded.file}: no template file {file}; put it beside the Python file")
        found += _read(file.name, read_mapping(file), known, names)
    _refuse_shared_ids(loaded.file, found, others)
    by_form: dict[tuple[str, str], tuple[Template, ...]] = {}
    for template in found:
        key = (template.subtype, template.form)
        by_form[key] = (*by_form.get(key, ()), template)
    return by_form, {file.name: sha256_of(file) for file in names_of_file}


def _read(name: str, data: Mapping[str, Any], known: SubtypeSet, names: set[str]) -> Iterable[Template]:
    held = inspect_templates(name, data, known, names)
    if held.problems:
        raise TemplateError(held.problems[0])
    for template in held.templates:
        if template.subtype not in names:
            raise TemplateError(f"{name}: has templates of {template.subtype}, which does not name this file")
    return held.templates


def _refuse_shared_ids(where: Path, found: Iterable[Template], others: TemplatesByForm) -> None:
    taken = {t.template_id for t in bundled_templates().all()} | {t.template_id for ts in others.values() for t in ts}
    for template in found:
        if template.template_id in taken:
            raise TemplateError(f"{where}: template {template.template_id}: another template has this id; rename it")
        taken.add(template.template_id)


def _plain(value: Any) -> Any:
    """Return mappings and sequences as a template file has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
