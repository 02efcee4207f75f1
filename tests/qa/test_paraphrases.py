"""The bundled paraphrases: at least 200 phrasings of the types A to E, in frames that no template has."""

import difflib
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np

from spatialqa.dataset.validation.text import strike
from spatialqa.qa.ask import ask
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.recipe import QaRecipe
from spatialqa.qa.templating.slots import BARE_SLOTS, TABLES
from spatialqa.qa.templating.template_check import check_templates, near_duplicates, unclear_answer
from spatialqa.qa.templating.template_file import Slot, Template, read_template_file
from spatialqa.qa.templating.templates import BUNDLED, PARAPHRASES, bundled_templates, load_templates, templates_folder
from tests.fixtures.scenes import random_scenes
from tests.qa.test_ask import check_english

TYPES = ("A", "B", "C", "D", "E")
MOST_ALIKE = 0.75  # of the words of two frames, in the same order
_FILLER = {"a", "an", "the", "please", "now", "here"}
_WORDINGS = 400


def paraphrases() -> list[Template]:
    return [t for file in sorted((BUNDLED / PARAPHRASES).glob("*.yaml")) for t in read_template_file(file)[1]]


def frames(template: Template) -> frozenset[tuple[str, ...]]:
    """The words of a template in every wording: slots as one capital word each, without case and filler words."""
    options = [part if isinstance(part, tuple) else (part,) for part in template.parts]
    found = set()
    for chosen in itertools.islice(itertools.product(*options), _WORDINGS):
        said = [f" {BARE_SLOTS.get(p.name, p.name).upper()} " if isinstance(p, Slot) else p.lower() for p in chosen]
        found.add(tuple(word for word in re.findall(r"[\w']+", "".join(said)) if word not in _FILLER))
    return frozenset(found)


def test_there_are_more_than_200_of_every_subtype_that_is_trained_on() -> None:
    every = paraphrases()
    wanted = {(s.name, form) for s in BUILT_IN.all if s.type in TYPES for form in s.forms}
    assert {(t.subtype, t.form) for t in every} == wanted
    counts = Counter(t.subtype for t in every)
    assert sum(counts.values()) >= 240
    assert min(counts.values()) >= 25


def test_each_can_be_read_in_one_way_and_no_two_are_alike() -> None:
    report = check_templates(BUNDLED / PARAPHRASES)
    assert report.problems == ()
    assert report.doubts == ()  # near duplicates among them, unclear answers
    assert not [doubt for t in paraphrases() if (doubt := unclear_answer(t))]


def test_no_frame_is_that_of_a_bundled_template() -> None:
    bundled = list(bundled_templates().all())
    ours = paraphrases()
    own = {t.template_id for t in ours}
    pairs = [line for line in near_duplicates([*bundled, *ours]) if any(name in line for name in own)]
    assert pairs == []
    frames_of = {s.name: [f for t in bundled if t.subtype == s.name for f in frames(t)] for s in BUILT_IN.all}
    for template in ours:
        for frame in frames(template):
            alike = max(difflib.SequenceMatcher(None, frame, b, False).ratio() for b in frames_of[template.subtype])
            assert alike < MOST_ALIKE, (template.template_id, frame, alike)


def test_what_counts_as_alike_finds_a_template_with_a_word_changed() -> None:
    template = next(t for t in bundled_templates().all() if t.template_id == "d-loc-08")
    words = ("where", "do", "you", "hear", "SOURCE", "and", "at", "which", "distance")
    assert max(difflib.SequenceMatcher(None, words, b, False).ratio() for b in frames(template)) >= MOST_ALIKE


def test_no_phrase_of_a_direction_or_comparison_is_a_bundled_one() -> None:
    def phrases(templates: list[Template], table: str) -> set[str]:
        return {phrase for t in templates for style in t.phrases.get(table, ()) for phrase in style.values()}

    bundled, ours = list(bundled_templates().all()), paraphrases()
    for table in TABLES:
        assert not phrases(bundled, table) & phrases(ours, table)


def test_each_has_an_answer_and_is_good_english_in_every_wording() -> None:
    """Asked of made-up scenes until every paraphrase has been drawn, with every phrase of its tables."""
    templates = load_templates(templates_folder(PARAPHRASES))
    wanted = {t.template_id for t in paraphrases()}
    drawn: Counter[str] = Counter()
    scenes = random_scenes(500, seed=11)
    options = AskOptions(types=TYPES, questions_per_subtype=6)
    for scene in scenes:
        for question in ask(scene, options, templates).questions:
            assert question.template_id in wanted
            assert question.answer
            drawn[question.template_id] += 1
            check_english(question.question)
            if question.asked_labels:
                assert strike(question.question.lower(), question.asked_labels) is not None, question.question
    assert drawn.keys() == wanted


def test_each_is_asked_with_and_without_the_sound_of() -> None:
    bare = [t for t in paraphrases() if any(isinstance(p, Slot) and p.name in BARE_SLOTS for p in t.parts)]
    assert len(bare) >= 35
    template = next(t for t in bare if t.subtype == "location_of_class")
    values = {"source": "the sound of a dog barking", "source_name": "a dog barking"}
    said = template.render(values, np.random.default_rng(0))
    assert "a dog barking" in said
    assert "the sound of" not in said


def test_the_name_is_the_bundled_set_unless_a_folder_has_it(tmp_path: Path) -> None:
    assert templates_folder("paraphrases") == BUNDLED / PARAPHRASES
    assert templates_folder(tmp_path) == tmp_path
    assert templates_folder(None) is None
    assert QaRecipe(templates="paraphrases").templates == "paraphrases"
    assert load_templates(None).by_form.keys() == load_templates(BUNDLED / PARAPHRASES).by_form.keys()
