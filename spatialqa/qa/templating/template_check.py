"""Checks a folder of templates: problems, doubts, and samples."""

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialqa.core import seeds
from spatialqa.errors import TemplateError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.spoken_name import bare_sound, sound_of
from spatialqa.qa.subtype import ANSWER_KINDS
from spatialqa.qa.templating.template_file import Slot, Template, inspect_template_file
from spatialqa.qa.templating.templates import bundled_templates, template_files

ENOUGH_TEMPLATES = 25
_MOST_WORDINGS = 400  # that are compared, of one template
_FILLER = {"a", "an", "the", "please", "now", "here"}
_CLOSED = re.compile(r"(^|[,:.?] )(is|are|do|does|can|could|would|will)\b|\bwhether\b")
_OPEN = re.compile(
    r"\b(what|which|where|whereabouts|how|who|name|identify|list|state|give|tell|describe|report|classify|count|locate"
    r"|estimate|pick|determine|specify|find|work out|judge|recognize)\b"
)
_ASKS: Mapping[str, Sequence[re.Pattern[str]]] = {
    "labels": (_OPEN,),
    "label": (_OPEN,),
    "direction and distance": (
        _OPEN,
        re.compile(r"where|whereabouts|direction|position|location|left|side|place"),
        re.compile(r"\bfar\b|distance|range|meter|metre"),
    ),
    "distance": (_OPEN, re.compile(r"\bfar\b|distan|range|meter|metre|apart|gap|spac|separat|long")),
    "yes or no": (_CLOSED,),
    "one of two words": (re.compile(r"\bor\b"),),
    "hour": (re.compile(r"clock|hour"),),
    "number": (re.compile(r"how many|number|count|amount"),),
}
_SHOWN = {"source": sound_of("dog"), "other": sound_of("whack, thwack"), "source_name": bare_sound("dog"),
          "other_name": bare_sound("whack, thwack"), "direction": "front left, above ear level",
          "distance": "2.5 meters", "side": "left", "side_1": "front", "side_2": "behind", "relation": "above",
          "option_1": "right", "option_2": "left", "nearness": "closer", "rooms": "same"}  # fmt: skip


@dataclass(frozen=True)
class TemplateReport:
    """What was found in a folder of templates.

    problems keep make-qa from using the folder; doubts do not. counts: templates by subtype. samples: by subtype, some
    questions as they would read. Every problem and doubt is one line that names the file and the template.
    """

    problems: tuple[str, ...]
    doubts: tuple[str, ...]
    counts: Mapping[str, int]
    samples: Mapping[str, tuple[str, ...]]


def check_templates(folder: Path, n_samples: int = 3, seed: int = 0) -> TemplateReport:
    """Read all templates of a folder and report on them.

    Raises:
        TemplateError: there is no such folder, or no template file in it.
    """
    problems: list[str] = []
    doubts: list[str] = []
    templates: list[Template] = []
    file_of_type: dict[str, str] = {}
    file_of_id: dict[str, str] = {}
    for file in template_files(folder):
        try:
            found = inspect_template_file(file)
        except TemplateError as error:
            problems.append(str(error))
            continue
        problems += found.problems
        if found.type in file_of_type:
            problems.append(f"{file.name}: type {found.type} is already in {file_of_type[found.type]}; join the two")
        file_of_type.setdefault(found.type, file.name)
        for template in found.templates:
            first = file_of_id.setdefault(template.template_id, file.name)
            if first != file.name:
                problems.append(f"{file.name}: template {template.template_id} is also in {first}; rename one")
            doubt = unclear_answer(template)
            if doubt:
                doubts.append(f"{file.name}: template {template.template_id}: {doubt}")
        doubts += [f"{file.name}: {line}" for line in near_duplicates(found.templates)]
        templates += found.templates
    own = {template.subtype for template in templates}
    for template in bundled_templates().all():
        if template.subtype not in own and template.template_id in file_of_id:
            problems.append(
                f"{file_of_id[template.template_id]}: template {template.template_id} has the id of a bundled one; "
                f"rename it"
            )
    by_subtype: dict[str, list[Template]] = defaultdict(list)
    for template in templates:
        by_subtype[template.subtype].append(template)
    doubts += [
        f"{subtype}: only {len(found)} templates; {ENOUGH_TEMPLATES} or more keep questions varied"
        for subtype, found in by_subtype.items()
        if len(found) < ENOUGH_TEMPLATES
    ]
    samples = {subtype: _samples(subtype, found, n_samples, seed) for subtype, found in by_subtype.items()}
    counts = {subtype: len(found) for subtype, found in by_subtype.items()}
    return TemplateReport(tuple(problems), tuple(doubts), counts, samples)


def unclear_answer(template: Template) -> str | None:
    """Return why a reader could not tell what kind of answer a template wants, or None."""
    wanted = ANSWER_KINDS[BUILT_IN.by_name[template.subtype].answer]
    for wording in wordings(template):
        text = wording.lower()
        if not all(pattern.search(text) for pattern in _ASKS[wanted]):
            return f"the expected answer is unclear: it should ask for {wanted!r}, and reads {wording!r}"
        if wanted not in ("yes or no", "one of two words") and text.startswith("yes or no"):
            return f"reads as a Yes/No question, and is answered by {wanted!r}"
    return None


def near_duplicates(templates: Sequence[Template]) -> list[str]:
    """Return a line for every two templates that can say the same but for case, punctuation and filler words."""
    first: dict[tuple[str, str], str] = {}
    lines = {}
    for template in templates:
        for wording in wordings(template):
            words = [word for word in re.findall(r"[\w']+", wording.lower()) if word not in _FILLER]
            other = first.setdefault((template.subtype, " ".join(words)), template.template_id)
            if other != template.template_id:
                lines[other, template.template_id] = (
                    f"templates {other} and {template.template_id} are near duplicates: {wording!r}"
                )
    return list(lines.values())


def wordings(template: Template) -> list[str]:
    """Return a template's texts over its alternatives (at most 400), with the first phrase of every table."""
    alternatives = [part if isinstance(part, tuple) else (part,) for part in template.parts]
    texts = []
    for chosen in itertools.islice(itertools.product(*alternatives), _MOST_WORDINGS):
        said = "".join(part if isinstance(part, str) else _shown(template, part) for part in chosen)
        texts.append(" ".join(said.split()))
    return texts


def _shown(template: Template, slot: Slot) -> str:
    value = _SHOWN[slot.name]
    return value if slot.table is None else template.phrases[slot.table][0][value]


def _samples(subtype: str, templates: Sequence[Template], n: int, seed: int) -> tuple[str, ...]:
    rng = seeds.rng(seed, "template samples", subtype)
    order = rng.permutation(len(templates))[:n]
    return tuple(templates[int(k)].render(_SHOWN, rng) for k in order)
