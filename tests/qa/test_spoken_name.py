"""How classes and own labels are spoken of, and that other parts of the program understand it."""

import re

import pytest

from spatialqa.core.ontology import ontology
from spatialqa.dataset.validation.text import strike
from spatialqa.qa.spoken_name import bare_name, sound_of, with_class_names
from tests.english.samples import samples
from tests.qa.test_ask import check_english

CLASSES = [node for node in ontology().nodes if node.class_index is not None]


def test_every_class_has_a_phrase_of_its_own() -> None:
    phrases = ontology().phrases
    assert len(CLASSES) == 527
    named = {node.name.lower() for node in CLASSES} | {n.name.lower() for n in ontology().nodes if not n.restrictions}
    assert set(phrases) == named
    assert len({phrase.lower() for phrase in phrases.values()}) == len(phrases)
    assert len({bare_name(name).lower() for name in phrases}) == len(phrases)


def test_a_phrase_follows_the_sound_of() -> None:
    for name, phrase in ontology().phrases.items():
        text = f"Where is {sound_of(name)}?"
        check_english(text)
        assert re.fullmatch(r"[A-Za-z'-]+( [A-Za-z'-]+)*", phrase), phrase
        assert " is " not in f" {phrase} "
        assert not phrase.startswith("the ")
        assert strike(text.lower(), [name]) == "where is the sound of  _ ?", text


@pytest.mark.parametrize(
    ("label", "spoken"),
    [
        ("bark", "the sound of a dog barking"),
        ("dog", "the sound of a dog"),
        ("rain", "the sound of rain"),
        ("walk, footsteps", "the sound of footsteps"),
        ("breaking", "the sound of something breaking"),
        ("accordion", "the sound of an accordion"),
        ("washing_machine", "the sound of a washing machine"),
        ("espresso machine", "the sound of an espresso machine"),
        ("usb fan", "the sound of a usb fan"),
        ("fm radio", "the sound of an fm radio"),
        ("unicycle", "the sound of a unicycle"),
        ("hourglass", "the sound of an hourglass"),
        ("birds singing", "the sound of birds singing"),
        ("tap dripping", "the sound of a tap dripping"),
        ("loud hoovering", "the sound of loud hoovering"),
        ("kitchen ambience", "the sound of kitchen ambience"),
        ("my phone", "the sound of my phone"),
        ("an old door", "the sound of an old door"),
        ("keys", "the sound of keys"),
        ("school bus", "the sound of a school bus"),
        ("spring", "the sound of a spring"),
        ("kitchen 2", 'the sound labeled "kitchen 2"'),
        ("horn (loud)", 'the sound labeled "horn (loud)"'),
        ("horn, loud", 'the sound labeled "horn, loud"'),
    ],
)
def test_labels_are_spoken_of_with_their_article(label: str, spoken: str) -> None:
    assert sound_of(label) == spoken
    rest = strike(f"where is {spoken}?", [label])
    assert rest is not None
    assert label.replace("_", " ") not in rest


@pytest.mark.parametrize(
    ("text", "label", "is_named"),
    [
        ("where is the sound of the dog?", "dog", True),  # as questions were worded before
        ('where is the sound of "whack, thwack"?', "whack, thwack", True),
        ("where is the sound of a dog barking?", "bark", True),
        ("where is the sound of a dog barking?", "dog", False),
        ("where is the sound of a dog?", "bark", False),
        ("where is the sound of an engine idling?", "engine", False),
        ("where is the sound of a fire engine?", "fire engine", True),  # an own label; "a fire" is a class
        ("where is the sound of an engine idling?", "engine idling", True),
    ],
)
def test_a_text_names_a_label_in_old_words_and_new(text: str, label: str, is_named: bool) -> None:
    assert (strike(text, [label]) is not None) == is_named


def test_a_question_is_read_back() -> None:
    for name in ontology().phrases:
        text = f"how far is {sound_of(name)} from the sound of a dog barking?".lower()
        assert with_class_names(text) == f"how far is the sound of {name} from the sound of bark?"


def test_samples_keep_the_rules_of_english() -> None:
    texts = samples(300)
    for text in texts:
        check_english(text)
        assert not re.search(r"Do you say that|Which o'clock|sounds? surround|What sounds (closest|nearest)", text)
