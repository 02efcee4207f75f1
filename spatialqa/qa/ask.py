"""Scene -> questions: pure, and drawn only from (seed, scene, subtype, number)."""

from typing import NamedTuple

import numpy as np

from spatialqa import seeds
from spatialqa.qa import perception, reasoning
from spatialqa.qa.answer_text import sound_of
from spatialqa.qa.fact import Fact, Finder, pick, pick_fact
from spatialqa.qa.options import AskOptions
from spatialqa.qa.question import Question
from spatialqa.qa.slots import FORMS, SUBTYPES
from spatialqa.qa.templates import TemplateSet
from spatialqa.qa.view import SceneView, view
from spatialqa.scene import Scene

FINDERS: dict[str, Finder] = {
    "classification": perception.classification,
    "location": perception.location,
    "classification_at_location": perception.classification_at_location,
    "location_of_class": perception.location_of_class,
    "relative_direction": reasoning.relative_direction,
    "both_on_side": reasoning.both_on_side,
    "relative_distance": reasoning.relative_distance,
    "distance_between": reasoning.distance_between,
    "source_at_direction": reasoning.source_at_direction,
    "direction_word": reasoning.direction_word,
}

_DRAWS_FOR_A_NEW_TEXT = 8
NOTHING_NEW = "no further question could be worded"


class Skipped(NamedTuple):
    """A question that a scene was not asked, and why; equal ones can be counted."""

    subtype: str
    reason: str


class Asked(NamedTuple):
    """What `ask` made of one scene."""

    questions: list[Question]
    skipped: list[Skipped]


def ask(scene: Scene, options: AskOptions, templates: TemplateSet) -> Asked:
    """Return the questions of one scene and what could not be asked of it.

    Answers follow from the positions and labels of the scene, never from its audio; a level, where the scene has been
    rendered, only decides whether a source is masked. Each question has its own stream, so it is the same whichever
    other types are asked, in whatever order scenes come.

    Raises:
        DatasetError: a source lies at the centre of the listener's head.
    """
    heard = view(scene, options)
    asked = Asked([], [])
    for question_type in options.types:
        for subtype in SUBTYPES[question_type]:
            facts = FINDERS[subtype](heard, options)
            if isinstance(facts, str):
                asked.skipped.extend([Skipped(subtype, facts)] * options.questions_per_subtype)
                continue
            texts: set[str] = set()
            for k in range(options.questions_per_subtype):
                stable_id = f"{scene.scene_id}/{subtype}/{k}"
                for attempt in range(_DRAWS_FOR_A_NEW_TEXT):
                    rng = seeds.rng(options.seed, "ask", stable_id, attempt)
                    question = _word(scene, heard, question_type, subtype, k, pick_fact(facts, rng), templates, rng)
                    if question.question not in texts:
                        texts.add(question.question)
                        asked.questions.append(question)
                        break
                else:
                    asked.skipped.append(Skipped(subtype, NOTHING_NEW))
    return asked


def _word(
    scene: Scene,
    heard: SceneView,
    question_type: str,
    subtype: str,
    k: int,
    fact: Fact,
    templates: TemplateSet,
    rng: np.random.Generator,
) -> Question:
    """Put a fact into words: draw its template and the names of its sources."""
    template = pick(templates.by_form[subtype, fact.form], rng)
    slots = FORMS[subtype][fact.form]
    values: dict[str, str] = dict(zip((s for s in slots if s not in ("source", "other")), fact.words, strict=True))
    named = "source" in slots or fact.answer is None
    names = [pick(heard.sources[i].names, rng) for i in fact.sources] if named else []
    asked_labels = tuple(names) if "source" in slots else None
    if asked_labels is not None:
        values.update(zip(("source", "other"), (sound_of(name) for name in names), strict=False))
    answer_labels = tuple(names) if fact.answer is None else fact.answer_labels
    return Question(
        qa_id=f"{scene.scene_id}-{subtype}-{k}",
        scene_id=scene.scene_id,
        split=scene.split,
        type=question_type,
        subtype=subtype,
        question=template.render(values, rng),
        answer=names[0] if fact.answer is None else fact.answer,
        template_id=template.template_id,
        source_indices=fact.sources,
        asked_labels=asked_labels,
        asked_direction=fact.asked_direction,
        asked_distance_m=fact.asked_distance_m,
        polarity=fact.polarity,
        choices=fact.choices,
        answer_labels=answer_labels,
        answer_direction=fact.answer_direction,
        answer_distance_m=fact.answer_distance_m,
        answer_bool=fact.answer_bool,
        margin_deg=fact.margin_deg,
        margin_m=fact.margin_m,
    )
