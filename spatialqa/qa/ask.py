"""ask: writes the questions about a scene. A pure function; draws depend only on (seed, scene, subtype, number)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from spatialqa.core import seeds
from spatialqa.core.scene import Scene
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.balance import Balance, Survey
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.distractors import LETTERS, OptionPool, four_options
from spatialqa.qa.fact import TO_BALANCE, TOO_FEW_OPTIONS, Fact, pick, pick_fact
from spatialqa.qa.listener_view import SceneView, view
from spatialqa.qa.question import Question
from spatialqa.qa.rationale import rationale_of
from spatialqa.qa.spoken_name import bare_sound, sound_of
from spatialqa.qa.subtype import Subtype, SubtypeSet
from spatialqa.qa.templating.slots import BARE_SLOTS, NAME_SLOTS
from spatialqa.qa.templating.templates import TemplateSet

_DRAWS_FOR_A_NEW_TEXT = 8
NOTHING_NEW = "no further question could be worded"


class Skipped(NamedTuple):
    """A question that a scene was not asked, and why; equal ones can be counted."""

    subtype: str
    reason: str


class SceneQuestions(NamedTuple):
    """What `ask` made of one scene."""

    questions: list[Question]
    skipped: list[Skipped]


@dataclass(frozen=True)
class DataSetView:
    """What a question may know of the whole data set: how to thin, and what else is an answer."""

    balance: Balance = field(default_factory=Balance)
    pool: OptionPool = field(default_factory=OptionPool)


ONE_SCENE = DataSetView()


def survey(
    scene: Scene, options: AskOptions, counts: Survey, balance: Balance, subtypes: SubtypeSet = BUILT_IN
) -> None:
    """Add to `counts` what a scene offers under a balance."""
    heard = view(scene, options)
    for question_type in options.types:
        for subtype in subtypes.by_type[question_type]:
            facts = subtype.facts(heard, options)
            if not isinstance(facts, str):
                counts.add(subtype.name, facts, balance, heard)


def ask(
    scene: Scene,
    options: AskOptions,
    templates: TemplateSet,
    data_set: DataSetView = ONE_SCENE,
    only: Collection[str] | None = None,
) -> SceneQuestions:
    """Return the questions of one scene, of some subtypes `only` or of all, and what could not be asked of it.

    Answers follow from the positions and labels of the scene, never from its audio; a level, where the scene has been
    rendered, only decides whether a source is masked. Each question has its own stream, so for the same `data_set` it
    is the same whichever other types are asked, in whatever order scenes come.

    Raises:
        DatasetError: a source lies at the centre of the listener's head.
        QuestionModuleError: a finder of a user's own subtype fails.
    """
    heard = view(scene, options)
    asked = SceneQuestions([], [])
    for question_type in options.types:
        for subtype in templates.subtypes.by_type[question_type]:
            name = subtype.name
            if only is not None and name not in only:
                continue
            facts = subtype.facts(heard, options)
            if isinstance(facts, str):
                asked.skipped.extend([Skipped(name, facts)] * options.questions_per_subtype)
                continue
            weights = data_set.balance.weights(name, facts, heard)
            texts: set[str] = set()
            for k in range(options.questions_per_subtype):
                stable_id = f"{scene.scene_id}/{name}/{k}"
                for attempt in range(_DRAWS_FOR_A_NEW_TEXT):
                    rng = seeds.rng(options.seed, "ask", stable_id, attempt)
                    fact = pick_fact(facts, weights, rng)
                    if rng.random() >= data_set.balance.share_kept(name, fact, heard):
                        asked.skipped.append(Skipped(name, TO_BALANCE))
                        break
                    question = _word(scene, heard, subtype, k, fact, templates, rng, options, data_set)
                    if question is None:
                        asked.skipped.append(Skipped(name, TOO_FEW_OPTIONS))
                        break
                    if question.question not in texts:
                        texts.add(question.question)
                        asked.questions.append(question)
                        break
                else:
                    asked.skipped.append(Skipped(name, NOTHING_NEW))
    return asked


def _word(
    scene: Scene,
    heard: SceneView,
    subtype: Subtype,
    k: int,
    fact: Fact,
    templates: TemplateSet,
    rng: np.random.Generator,
    options: AskOptions,
    data_set: DataSetView,
) -> Question | None:
    """Put a fact into words: draw its template, the names of its sources and the options; None without four options."""
    template = pick(templates.by_form[subtype.name, fact.form], rng)
    slots = subtype.forms[fact.form]
    values: dict[str, str] = dict(zip((s for s in slots if s not in NAME_SLOTS), fact.words, strict=True))
    named = "source" in slots or fact.answer is None
    names = [pick(heard.sources[i].names, rng) for i in fact.sources] if named else []
    asked_labels = tuple(names) if "source" in slots else None
    if asked_labels is not None:
        values.update(zip(NAME_SLOTS, (sound_of(name) for name in names), strict=False))
        values.update(zip(BARE_SLOTS, (bare_sound(name) for name in names), strict=False))
    text = template.render(values, rng)
    answer = names[0] if fact.answer is None else fact.answer
    choices = fact.choices
    if options.answer_form == "mcq" and choices is None:
        found = four_options(subtype, fact, answer, heard, data_set.pool, rng)
        if found is None:
            return None
        choices = tuple(f"{letter}. {option}" for letter, option in zip(LETTERS, found, strict=True))
        answer = choices[found.index(answer)]
        text = "\n".join((text, *choices))
    return Question(
        qa_id=f"{scene.scene_id}-{subtype.name}-{k}",
        scene_id=scene.scene_id,
        split=scene.split,
        type=subtype.type,
        subtype=subtype.name,
        question=text,
        answer=answer,
        template_id=template.template_id,
        source_indices=fact.sources,
        asked_labels=asked_labels,
        asked_direction=fact.asked_direction,
        asked_distance_m=fact.asked_distance_m,
        polarity=fact.polarity,
        choices=choices,
        answer_labels=tuple(names) if fact.answer is None else fact.answer_labels,
        answer_direction=fact.answer_direction,
        answer_distance_m=fact.answer_distance_m,
        answer_bool=fact.answer_bool,
        answer_count=fact.answer_count,
        margin_deg=fact.margin_deg,
        margin_m=fact.margin_m,
        rationale=rationale_of(subtype, fact, heard, names, answer, rng, options),
    )
