import itertools
from pathlib import Path

import numpy as np
import pytest

from spatialqa.errors import TemplateError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.templating.slots import TABLES
from spatialqa.qa.templating.template_file import Slot, Template
from spatialqa.qa.templating.templates import bundled_templates, load_templates
from tests.qa.test_ask import check_english

GOOD = """
type: A
synonyms:
  hear: [hear, make out]
templates:
  classification:
    own-1: "What [can|do] you [hear][| here]?"
"""


def test_every_form_has_many_templates() -> None:
    by_form = bundled_templates().by_form
    assert set(by_form) == {(s.name, form) for s in BUILT_IN.all for form in s.forms}
    for subtype in BUILT_IN.by_name:
        assert sum(len(found) for (of, _), found in by_form.items() if of == subtype) >= 25


def every_text(template: Template) -> list[str]:
    """Return a template's text for all its alternatives and all phrases, one value a slot."""
    shown = {"source": "the sound of a dog", "other": "the sound of children shouting"}
    shown |= {"direction": "front left, above ear level", "distance": "1 meter"}
    tables = [(table, style, word) for table in template.phrases for style in range(len(template.phrases[table]))
              for word in TABLES[table]] or [("", 0, "")]  # fmt: skip
    alternatives = [part if isinstance(part, tuple) else (part,) for part in template.parts]
    texts = []
    for (table, style, word), chosen in itertools.product(tables, itertools.product(*alternatives)):
        said = [
            part if isinstance(part, str)
            else shown[part.name] if part.table is None
            else template.phrases[table][style][word]
            for part in chosen
        ]  # fmt: skip
        text = " ".join("".join(said).split())
        texts.append(text[0].upper() + text[1:])
    return texts


def test_every_wording_of_every_template_is_sound_english_and_its_own() -> None:
    template_of: dict[tuple[str, str], str] = {}
    for template in bundled_templates().all():
        assert {part.table for part in template.parts if isinstance(part, Slot) and part.table} == set(template.phrases)
        for text in every_text(template):
            check_english(text)
            assert template_of.setdefault((template.subtype, text), template.template_id) == template.template_id


def test_alternatives_synonyms_and_empty_ones_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    (template,) = load_templates(tmp_path).by_form["classification", "open"]
    draw = np.random.default_rng(0)
    assert {template.render({}, draw) for _ in range(300)} == {
        f"What {can} you {hear}{here}?"
        for can in ("can", "do")
        for hear in ("hear", "make out")
        for here in ("", " here")
    }


def test_a_folder_replaces_its_types_and_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    own, bundled = load_templates(tmp_path).by_form, bundled_templates().by_form
    assert [t.template_id for t in own["classification", "open"]] == ["own-1"]
    for subtype in BUILT_IN.by_type["B"] + BUILT_IN.by_type["E"]:
        for form in subtype.forms:
            assert own[subtype.name, form] == bundled[subtype.name, form]
    assert load_templates(None) is bundled_templates()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[can|do]", "{source}", r"mine.yaml: template own-1: unknown slot \{source\}; classification has none"),
        ("[can|do]", "{colour}", r"own-1: unknown slot \{colour\}"),
        ("[can|do]", "{source.__class__}", "own-1: unknown slot"),
        ("[can|do]", "{0!r}", "own-1: unknown slot"),
        ("[can|do]", "[shout]", r"own-1: unknown synonyms \[shout\]; known: hear"),
        ("[can|do]", "[can|can]", "own-1: .*same alternative twice"),
        ("[can|do]", "[can|[do|did]]", "own-1: .*nested"),
        ("[can|do]", "{can", "own-1: '{' at character 6"),
        ("[can|do]", "can | do", r"own-1: '\|' at character"),
        ("[can|do]", "can  do", "own-1: .*single spaces"),
        ("here]?", "here]", "own-1: must end with"),
        ("own-1:", "Own 1:", "an id is lower-case"),
        ('here]?"', 'here]?"\n    own-1: "What?"', "mine.yaml: .*line 8: 'own-1' is a duplicate"),
        ('here]?"', 'here]?"\n    own-2: "What [can|do] you [hear][| here]?"', "own-2: the same text as own-1"),
        ("classification:", "clasification:", "type A has no subtype 'clasification'; known: classification"),
        ("type: A", "type: Q", "type 'Q' is not one of A, B"),
        ("type: A", "type: A\ncolour: red", "unknown key 'colour'"),
        ("type: A", "type: [", "not readable as YAML"),
        ("type: A", "type: !!python/name:os.system", "not readable as YAML"),
        ("[hear, make out]", "[hear]", "synonyms hear: must be a list of two"),
        ("[hear, make out]", "[hear, no]", "synonyms hear: False must be"),
        ("[hear, make out]", "&x [hear, make out]\n  more: *x", "aliases"),
        ("[hear, make out]", "[hear, 'make {source} out']", "plain text"),
        ("synonyms:", "phrases: {side: [{left: l}]}\nsynonyms:", "phrases side: style 1 must say exactly left, right"),
        ("synonyms:", "phrases: {nose: []}\nsynonyms:", "phrases nose: unknown table"),
        ("own-1:", "a-class-01x:\n    a-loc: {", "not readable as YAML"),
        (GOOD, "[]", "must be a mapping"),
        (GOOD, "type: A\n", "no template for classification with no slots"),
        (GOOD, "[" * 900 + "]" * 900, "not readable as YAML"),
        ("own-1:", "b-loc-01:", "template b-loc-01 has the id of a bundled one"),
    ],
)
def test_a_wrong_template_is_named_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(TemplateError, match=said) as caught:
        load_templates(tmp_path)
    assert "\n" not in str(caught.value)


E_FORM = """
type: E
phrases:
  nearness: [{{closer: closer than, farther: farther than}}]
templates:
  relative_distance:
    e-1: "{}"
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Is {source} {nearness}?",
            r"e-1: what it asks is unclear; relative_distance needs exactly the slots",
        ),
        ("Of {other}, is {source} {nearness} it?", r"e-1: \{source\} must stand before \{other\}"),
        ("Is {source} {nearness} {source}?", r"e-1: slot \{source\} stands twice"),
        ("Is {source} {nearness} {other} {side}?", r"e-1: unknown slot \{side\}; relative_distance has"),
        ("Is {source} {nearness} {other}?", r"no template for relative_direction with \{source\}, \{relation\}"),
    ],
)
def test_a_template_must_ask_one_known_thing(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "e.yaml").write_text(E_FORM.format(text))
    with pytest.raises(TemplateError, match=said):
        load_templates(tmp_path)


def test_a_template_needs_its_phrases(tmp_path: Path) -> None:
    text = (
        E_FORM.format("Is {source} {nearness} {other}?")
        .replace("phrases:", "synonyms:")
        .replace("  nearness: [{closer: closer than, farther: farther than}]", "  near: [near, by]")
    )
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(TemplateError, match="e-1: needs the phrase table 'nearness'"):
        load_templates(tmp_path)


def test_folders_and_files_that_clash_or_are_missing(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no such folder"):
        load_templates(tmp_path / "absent")
    with pytest.raises(TemplateError, match=r"no \*\.yaml file"):
        load_templates(tmp_path)
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(TemplateError, match=r"b.yaml: type A is already in a.yaml"):
        load_templates(tmp_path)
    (tmp_path / "b.yaml").write_text(GOOD.replace("type: A", "type: B").replace("classification", "location"))
    with pytest.raises(TemplateError, match=r"b.yaml: template own-1 is also in a.yaml"):
        load_templates(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"type: \xff")
    with pytest.raises(TemplateError, match=r"b\.yaml: not readable"):
        load_templates(tmp_path)
