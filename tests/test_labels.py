import csv
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from spatialqa.core.ontology import LabelRef, ontology, resolve_label
from spatialqa.errors import ClipError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DOG, BARK, ANIMAL, MALE, SPEECH, CAT = "/m/0bt9lr", "/m/05tny_", "/m/0jbk", "/m/05zppz", "/m/09x0r", "/m/01yrx"


def test_the_tree_has_audiosets_counts() -> None:
    nodes = ontology().nodes
    assert len(nodes) == 632
    assert sorted(n.class_index for n in nodes if n.class_index is not None) == list(range(527))
    assert sum(n.in_spatialsoundqa for n in nodes) == 355
    assert all(n.class_index is not None for n in nodes if n.in_spatialsoundqa)
    assert len({n.mid for n in nodes}) == len({n.name.casefold() for n in nodes}) == 632


@pytest.mark.skipif(not SHARED.is_dir(), reason="the source tables are not here")
def test_the_table_says_what_its_sources_say() -> None:
    with open(SHARED / "audioset_ontology.csv", encoding="utf-8", newline="") as stream:
        source = {row["mid"]: row for row in csv.DictReader(stream)}
    with open(SHARED / "audioset_classes.csv", encoding="utf-8", newline="") as stream:
        classes = {row["mid"]: row for row in csv.DictReader(stream)}
    assert {n.mid for n in ontology().nodes} == set(source)
    for node in ontology().nodes:
        row = source[node.mid]
        assert (node.name, list(node.parents)) == (row["name"], row["parent_mids"].split())
        assert list(node.restrictions) == row["restrictions"].split()
        index = int(classes[node.mid]["index"]) if node.mid in classes else None
        assert node.class_index == index
        assert node.in_spatialsoundqa == (node.mid in classes and classes[node.mid]["in_spatialsoundqa"] == "1")


def test_every_parent_exists_and_no_class_is_its_own_ancestor() -> None:
    tree = ontology()
    for node in tree.nodes:
        assert all(tree.by_mid(parent) for parent in node.parents)
        assert node.mid not in tree.ancestors(node.mid)


def test_ancestors_and_kinship() -> None:
    tree = ontology()
    assert {DOG, ANIMAL} <= tree.ancestors(BARK)
    assert tree.ancestors(SPEECH) == {"/m/09l8g", "/m/0dgw9r"}  # Human voice, Human sounds
    assert tree.related(BARK, ANIMAL)
    assert tree.related(ANIMAL, BARK)
    assert tree.related(BARK, BARK)
    assert not tree.related(BARK, CAT)
    assert not tree.related(BARK, SPEECH)


def test_ancestors_follow_every_parent() -> None:
    tree = ontology()
    two_parents = [n for n in tree.nodes if len(n.parents) > 1]
    assert two_parents
    for node in two_parents:
        for parent in node.parents:
            assert tree.ancestors(node.mid) >= tree.ancestors(parent) | {parent}


def test_nameable_means_neither_abstract_nor_blacklisted() -> None:
    tree = ontology()
    assert tree.is_nameable(DOG)
    assert not tree.is_nameable(tree.by_name("Human sounds").mid)
    assert not tree.is_nameable(tree.by_name("Clatter").mid)
    assert sum(tree.is_nameable(n.mid) for n in tree.nodes) == 543


def test_lookup_by_name_and_mid() -> None:
    tree = ontology()
    assert tree.by_name("male speech, MAN speaking").mid == MALE
    assert tree.by_mid(DOG).name == "Dog"
    with pytest.raises(ClipError, match="nearest"):
        tree.by_name("male_speech_man_speaking")  # a folder's spelling is no display name
    with pytest.raises(ClipError, match="/m/nope"):
        tree.by_mid("/m/nope")
    with pytest.raises(ClipError, match="/m/nope"):
        tree.related(DOG, "/m/nope")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("dog bark", "Bark"),
        ("Male Speech", "Male speech, man speaking"),
        ("doorbel", "Doorbell"),
        ("footsteps", "Walk, footsteps"),
        ("GUN SHOT", "Gunshot, gunfire"),
        ("water_tap", "Water tap, faucet"),
        ("honking", "Vehicle horn, car horn, honking"),
    ],
)
def test_suggestions_begin_with_what_was_meant(text: str, first: str) -> None:
    assert ontology().suggest(text)[0] == first


def test_suggestions_are_as_many_as_asked_and_never_abstract() -> None:
    tree = ontology()
    assert len(tree.suggest("zzz", 5)) == 5
    assert "Human sounds" not in tree.suggest("human sounds", 20)
    assert {"Dog", "Bark"} == set(tree.suggest("dog bark", 2))


@pytest.mark.parametrize(
    "text",
    [
        "Male speech, man speaking",
        "  male speech, man speaking ",
        "MALE SPEECH, MAN SPEAKING",
        "Male_speech,_man_speaking",
        "male-speech-man-speaking",
        "Male_speech_and_man_speaking",  # FSD50K
        "/m/05zppz",
        "m_05zppz",
    ],
)
def test_spellings_of_one_label(text: str) -> None:
    assert resolve_label(text) == LabelRef("Male speech, man speaking", MALE)


def test_every_class_is_found_by_its_name_its_slug_and_its_mid() -> None:
    tree = ontology()
    for node in tree.nodes:
        if not node.abstract:
            slug = "_".join("".join(c if c.isalnum() else " " for c in node.name.lower()).split())
            for text in (node.name, node.mid, slug, slug.replace("_", "-"), node.mid.strip("/").replace("/", "_")):
                assert resolve_label(text).mid == node.mid, text


def test_an_unknown_label_names_the_nearest_in_one_line() -> None:
    with pytest.raises(ClipError) as error:
        resolve_label("dogg")
    assert "'dogg'" in str(error.value)
    assert "'Dog'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_heading_is_no_label() -> None:
    with pytest.raises(ClipError, match=r"'Human sounds' is a heading .* such as 'Speech'"):
        resolve_label("human_sounds")


@pytest.mark.parametrize("text", ["", "  ", "___", ",", "and"])
def test_text_without_words_is_no_label(text: str) -> None:
    with pytest.raises(ClipError):
        resolve_label(text)


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        ontology().by_mid(DOG).name = "Wolf"  # type: ignore[misc]
    assert ontology() is ontology()
