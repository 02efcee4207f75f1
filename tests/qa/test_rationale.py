"""Rationales hold the numbers of the scene, name what is asked, and end with the answer."""

import re

import pytest

from spatialqa.errors import RecipeError
from spatialqa.qa.ask import ask
from spatialqa.qa.ask_options import RATIONALE_FORMS, TYPES, AskOptions
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.spoken_name import sound_of
from spatialqa.qa.templating.templates import bundled_templates
from tests.fixtures.scenes import heard_at, random_scenes
from tests.qa import rederive

WITH = AskOptions(types=TYPES, rationale=True)


def test_rationales_are_true_to_the_scene() -> None:
    seen = set()
    for scene in random_scenes(250, seed=17, source_counts=(1, 2, 3)):
        points = [rederive.head_frame(scene, s) for s in scene.sources]
        for q in ask(scene, WITH, bundled_templates()).questions:
            seen.add(q.subtype)
            text = q.rationale
            assert text is not None
            assert text.endswith((f"{q.answer}.", f"{q.answer}")), text
            for i in q.source_indices:
                x, y, z = points[i]
                assert f"{abs(x):.2f} m {'to the left' if x < 0 else 'to the right'}" in text
                assert f"{abs(z):.2f} m {'ahead' if z < 0 else 'behind'}" in text
                assert f"{abs(y):.2f} m {'above' if y > 0 else 'below'} the ears" in text
                assert f"{(x * x + y * y + z * z) ** 0.5:.2f} m" in text
            for label in q.asked_labels or ():
                assert sound_of(label).lower() in text.lower()
            assert not re.search(r"(?<![\d.])1 (degrees|sources|meters)", text), text
            assert "  " not in text
            assert all(sentence[0].isupper() for sentence in re.split(r"(?<=[a-z]\.) ", text)), text
    assert seen == set(BUILT_IN.by_name)


@pytest.mark.parametrize("subtype", ["relative_direction", "relative_distance"])
def test_the_compared_quantity_is_said(subtype: str) -> None:
    for scene in random_scenes(60, seed=19, source_counts=(2,)):
        for q in ask(scene, WITH, bundled_templates()).questions:
            if q.subtype == subtype:
                assert f"{q.margin_m:.2f} m" in (q.rationale or "")


def test_a_brief_rationale_is_the_quantities_of_each_source_and_how_they_compare() -> None:
    brief, seen = AskOptions(types=TYPES, rationale=True, rationale_form="brief"), set()
    for scene in random_scenes(250, seed=20, source_counts=(1, 2, 3)):
        points = [rederive.head_frame(scene, s) for s in scene.sources]
        for q in ask(scene, brief, bundled_templates()).questions:
            if q.rationale is None:
                continue
            seen.add(q.subtype)
            quantities, _, compared = q.rationale.partition(" -> ")
            parts = quantities.split("; ")
            assert len(parts) == len(q.source_indices)
            for i, part in zip(q.source_indices, parts, strict=True):
                word, _, number = part.rpartition(" ")
                assert bool(word) == (q.subtype != "relative_distance")
                far_m = rederive.towards(points[i], word) if word else sum(c * c for c in points[i]) ** 0.5
                assert far_m > 0
                assert number == rederive.half_metres(far_m)
            if q.subtype == "direction_word":
                assert not compared
                continue
            (asked,) = q.asked_direction or ("",)
            found, _, said = compared.rpartition("asked ")
            assert said == asked
            if q.subtype != "both_on_side":
                assert (found == f"{asked}, ") == (q.answer == "Yes")
            if q.subtype != "relative_distance":
                axes = {rederive.AXIS_OF[word][0] for word in (asked, *(part.split()[0] for part in parts))}
                assert len(axes) == 1
    assert seen == {"relative_direction", "both_on_side", "direction_word", "relative_distance"}


def test_a_told_scene_is_every_source_the_nearest_first_and_then_what_is_brief() -> None:
    """That order is the same where left and right change places, as --mirror lets them."""
    told, brief = (AskOptions(types=TYPES, rationale=True, rationale_form=form) for form in ("scene", "brief"))
    seen = set()
    for scene in random_scenes(150, seed=21, source_counts=(1, 2, 3)):
        points = [rederive.head_frame(scene, s) for s in scene.sources]
        order = sorted(range(len(points)), key=lambda i: sum(c * c for c in points[i]))
        in_brief = {q.qa_id: q.rationale for q in ask(scene, brief, bundled_templates()).questions}
        for q in ask(scene, told, bundled_templates()).questions:
            assert q.rationale is not None
            heard, _, compared = q.rationale.partition(" -> ")
            assert (compared or None) == in_brief[q.qa_id]
            parts = heard.split("; ")
            assert len(parts) == len(points)
            for i, part in zip(order, parts, strict=True):
                *_, side, x, depth, z, height, y, far = words = part.split(" ")
                for word, number in ((side, x), (depth, z), (height, y)):
                    assert rederive.towards(points[i], word) > 0
                    assert number == rederive.half_metres(rederive.towards(points[i], word))
                assert far == rederive.half_metres(sum(c * c for c in points[i]) ** 0.5)
                name = " ".join(words[:-7])
                assert name in {label.lower() for label in scene.sources[i].labels}
                if q.asked_labels and i in q.source_indices:
                    assert name == q.asked_labels[q.source_indices.index(i)]
            seen.add(q.subtype)
    assert seen == set(BUILT_IN.by_name)


def test_a_rationale_changes_nothing_else() -> None:
    for scene in random_scenes(20, seed=18):
        plain = ask(scene, AskOptions(), bundled_templates()).questions
        assert all(q.rationale is None for q in plain)
        for form in RATIONALE_FORMS:
            told = ask(scene, AskOptions(rationale=True, rationale_form=form), bundled_templates()).questions
            assert [q.question for q in plain] == [q.question for q in told]


def test_a_form_that_is_not_known_is_refused() -> None:
    with pytest.raises(RecipeError, match="rationale_form: 'short' is not one of sentences, brief, scene"):
        AskOptions(rationale_form="short")


def test_sentences_are_whole_and_speak_of_classes_as_questions_do() -> None:
    scene = heard_at(((-2.0, 0.035, -2.0), ["Bee, wasp, etc."]))  # one degree above the level of the ears
    options = AskOptions(types=("A", "B", "X"), direction_margin_deg=0, rationale=True)
    for question in ask(scene, options, bundled_templates()).questions:
        assert question.rationale is not None
        assert ".." not in question.rationale
        if question.subtype == "classification":
            assert "It is the sound of a bee or wasp, " in question.rationale
            assert question.rationale.endswith(": bee, wasp, etc.")
        if question.subtype == "count":
            assert "That makes 1 source, " in question.rationale


def test_an_angle_of_one_is_in_the_singular() -> None:
    scene = heard_at(((-2.0, 0.05, -2.0), ["Bark"]), ((2.0, -0.4, 2.0), ["Rain"]))
    options = AskOptions(types=("E",), direction_margin_deg=0, rationale=True, questions_per_subtype=50)
    said = [q.rationale or "" for q in ask(scene, options, bundled_templates()).questions]
    assert any("(0.05 m, 1 degree)" in text for text in said)
    assert not any("1 degrees" in text.replace("11 degrees", "") for text in said)
