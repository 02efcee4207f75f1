"""How names of sound classes and options are found in answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.core.ontology import ontology
from spatialqa.qa.answer_text import label_list, labels_answer
from spatialqa.qa.spoken_name import sound_of
from spatialqa.scoring.parsing.class_names import Names
from spatialqa.scoring.parsing.option import option_index

NAMES = Names(["My own: horn (loud)", "zyzzx"])
LABELS = st.sampled_from([node.name for node in ontology().nodes] + ["My own: horn (loud)"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("clock; whack, thwack", ["clock", "whack, thwack"]),
        ("Whack, Thwack; CLOCK ;", ["whack, thwack", "clock"]),
        ("I hear a dog and some music in the background.", ["dog", "music"]),
        ("It sounds like a whack, thwack or so", ["whack, thwack"]),
        ("male speech man speaking", ["male speech, man speaking"]),
        ("male speech", ["male speech, man speaking"]),
        ("a car passing by", ["car passing by"]),
        ("two dogs", ["dog"]),
        ("change ringing", ["change ringing (campanology)"]),
        ("not a dog but a cat", ["cat"]),
        ("<i>Piano</i>", ["piano"]),
        ("my own horn loud", ["my own: horn (loud)"]),
        ("catastrophe", []),
        ("", []),
    ],
)
def test_names_in_answers(answer: str, expected: list[str]) -> None:
    assert NAMES.answered(answer)[0] == expected


@pytest.mark.parametrize(
    ("answer", "strange"),
    [("clock; a gizmo", 1), ("gizmo; gadget", 2), ("I don't know", 0), ("", 0), ("unknown", 0), ("clock", 0)],
)
def test_parts_that_name_nothing_are_counted(answer: str, strange: int) -> None:
    assert NAMES.answered(answer)[1] == strange


@given(st.lists(LABELS, min_size=1, max_size=5))
def test_every_canonical_list_of_labels_is_read_as_itself(labels: list[str]) -> None:
    assert NAMES.answered(labels_answer(labels)) == (list(label_list(labels)), 0)


@given(LABELS)
def test_every_name_is_found_in_a_sentence_and_no_other(label: str) -> None:
    assert NAMES.within(f"i can hear the {label.lower()} over there") == [label.lower()]


@given(st.text())
def test_no_text_makes_the_search_fail(text: str) -> None:
    found, strange = NAMES.answered(text)
    assert NAMES.all.issuperset(found)
    assert strange >= 0
    assert option_index(text, ["a", "b", text, ""]) in (None, 0, 1, 2, 3)


OPTIONS = ["left, front, above; 2m", "right, front, above; 2m", "left, front, above; 12m", "left, behind, below; 2m"]
DOGS = ["dog", "bark", "dog, bark", "(none)"]


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        ("B", OPTIONS, 1),
        ("b.", OPTIONS, 1),
        ("(C)", OPTIONS, 2),
        ("D) left, behind, below; 2m", OPTIONS, 3),
        ("The answer is (b)", OPTIONS, 1),
        ("Option B, I think", OPTIONS, 1),
        ("A: left, front, above; 2m", OPTIONS, 0),
        ("left, front, above; 12m", OPTIONS, 2),
        ("It is left, front, above; 2m", OPTIONS, 0),
        ("B) left, front, above; 2m", OPTIONS, None),
        ("A or B", OPTIONS, None),
        ("(A) (B)", OPTIONS, None),
        ("Not option A but option B", OPTIONS, 1),
        ("A dog is heard", DOGS, 0),
        ("dog, bark", DOGS, 2),
        ("E", OPTIONS, None),
        ("", OPTIONS, None),
        ("a", DOGS, 0),
    ],
)
def test_options(answer: str, options: list[str], expected: int | None) -> None:
    assert option_index(answer, options) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("It is a dog barking.", ["bark"]),
        ("the sound of footsteps and an engine idling", ["walk, footsteps", "idling"]),
        ("bark; dog", ["bark", "dog"]),
        ("a dog", ["dog"]),
    ],
)
def test_names_as_questions_say_them(answer: str, expected: list[str]) -> None:
    assert NAMES.answered(answer, phrases=True)[0] == expected


@given(LABELS)
def test_every_name_is_found_as_questions_say_it(label: str) -> None:
    assert NAMES.within(f"i can hear {sound_of(label.lower())}".lower(), phrases=True) == [label.lower()]
