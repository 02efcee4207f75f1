"""One answer at a time: names as questions say them, and offered words."""

from typing import Any

import pytest

from spatialqa.qa.listener_view import AXES
from spatialqa.qa.spoken_name import sound_of
from spatialqa.qa.templating.templates import bundled_templates
from spatialqa.scoring.grade import grade
from spatialqa.scoring.parsing.class_names import Names
from spatialqa.scoring.references import Reference

NAMES = Names(["my horn"])


def reference(kind: str, answer: str, **values: Any) -> Reference:
    blank: dict[str, Any] = dict.fromkeys(("asked_labels", "choices", "answer_labels", "answer_direction"), ())
    blank |= dict.fromkeys(("answer_distance_m", "answer_bool", "answer_count"))
    blank |= {"qa_id": "q", "scene_id": "s", "split": "test", "type": "E", "subtype": kind, "source_indices": (0,)}
    return Reference(**blank | {"kind": kind, "answer": answer} | values)


def accuracy(truth: Reference, said: str, part: str = "accuracy") -> float:
    return float(grade(truth, None, said, NAMES).parts[part].above)


OFFERED = [
    (word, phrase)
    for table in ("side", "option", "relation")
    for word, phrase in sorted(
        {
            (word, style[word])
            for template in bundled_templates().all()
            for style in template.phrases.get(table, ())
            for word in style
        }
    )
]


@pytest.mark.parametrize(("word", "phrase"), OFFERED)
def test_the_offered_words_and_the_words_of_the_axis_are_taken_alike(word: str, phrase: str) -> None:
    labels = ("backing beeps above", "bark")
    truth = reference("direction_word", word, answer_direction=(word,), asked_labels=labels)
    other = next(end for ends in AXES if word in ends for end in ends if end != word)
    wrong = reference("direction_word", other, answer_direction=(other,), asked_labels=labels)
    compares = not phrase.endswith(("you", "left", "right", "side", "level", "ears"))
    for said in (
        word,
        phrase,
        f"It is {phrase}." if not compares else f"It is {phrase} {sound_of('bark')}.",
        phrase.removesuffix(" than").removesuffix(" of"),
    ):
        assert accuracy(truth, said) == 1, said
        assert accuracy(wrong, said) == 0, said


@pytest.mark.parametrize("said", ["front", "in front", "in front of you", "ahead", "to the front", "forward"])
def test_many_words_mean_in_front(said: str) -> None:
    assert accuracy(reference("direction_word", "front", answer_direction=("front",)), said) == 1


@pytest.mark.parametrize("said", ["behind", "back", "at the back", "to the rear", "behind you", "further back"])
def test_many_words_mean_behind(said: str) -> None:
    assert accuracy(reference("direction_word", "behind", answer_direction=("behind",)), said) == 1


@pytest.mark.parametrize(
    ("true", "said", "is_right"),
    [
        ("bark", "bark", True),
        ("bark", "a dog barking", True),
        ("bark", "It is the sound of a dog barking.", True),
        ("dog", "a dog barking", True),  # it names the dog as well, as it always did
        ("idling", "an engine idling", True),
        ("engine", "an engine", True),
        ("cat", "a dog barking", False),
        ("bark", "not a dog barking", False),
        ("my horn", "a my horn", True),
    ],
)
def test_a_name_is_read_as_it_is_and_as_questions_say_it(true: str, said: str, is_right: bool) -> None:
    assert accuracy(reference("label", true, answer_labels=(true,)), said) == is_right
    assert accuracy(reference("labels", true, answer_labels=(true,)), said, "exact") == is_right


def test_an_option_may_be_said_as_questions_say_it() -> None:
    choices = ("A. bark", "B. meow", "C. walk, footsteps", "D. music")
    truth = reference("label", "C. walk, footsteps", choices=choices, answer_labels=("walk, footsteps",))
    assert accuracy(truth, "the sound of footsteps") == 1
    assert accuracy(truth, "a cat meowing") == 0


def test_names_of_the_question_say_nothing_in_either_wording() -> None:
    """A car alarm is no "above"; the words of a question may come back in its answer."""
    truth = reference("yes_no", "No", answer_bool=False, asked_labels=("my right ear", "walk, footsteps"))
    assert accuracy(truth, "No, the sound of my right ear is not louder than the sound of footsteps.") == 1
    truth = reference("direction_word", "left", answer_direction=("left",), asked_labels=("right door",))
    for name in ("right door", "a right door", "the sound of a right door"):
        assert accuracy(truth, f"{name} is on the left") == 1
