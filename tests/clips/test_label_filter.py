"""The array code against the same rules said plainly, clip by clip."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialqa.clips.audioset.strong_labels import StrongEvents, alone
from spatialqa.clips.label_filter import LabelFilter, LabelLists, LabelMode, choose_labels
from spatialqa.core.ontology import ontology

NODES = ontology().nodes
# classes that are near each other in the tree, so that random lists hold families
NAMES = (
    "Animal",
    "Domestic animals, pets",
    "Dog",
    "Bark",
    "Yip",
    "Cat",
    "Meow",
    "Speech",
    "Human voice",
    "Whip",
    "Music",
)
INDEX = {node.mid: i for i, node in enumerate(NODES)}
MIDS = [ontology().by_name(name).mid for name in NAMES] + ["/m/unknown"]


def above(a: str, b: str) -> bool:
    """Whether a is an ancestor of b."""
    return b in INDEX and a in ontology().ancestors(b)


def plainly(mids: list[str], mode: LabelMode, classes: set[str]) -> set[str] | None:
    distinct = set(mids)
    kept = {m for m in distinct if m in INDEX and m in classes}
    leaves = {m for m in distinct if not any(above(m, other) for other in distinct)}
    kept_leaves = {m for m in kept if not any(above(m, other) for other in kept)}
    # two labels that the ontology lacks cannot be told apart, so they count as one sound
    if mode == "all":
        return kept or None
    if mode == "specific":
        return kept_leaves or None
    return kept_leaves if len(leaves) == 1 and len(kept_leaves) == 1 else None


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from(MIDS), min_size=1, max_size=6), min_size=1, max_size=30),
    st.sampled_from(["all", "specific", "single"]),
    st.sets(st.sampled_from(NAMES[:-1]), min_size=1),
)
def test_labels_are_chosen_as_the_rules_say(lists: list[list[str]], mode: LabelMode, classes: set[str]) -> None:
    texts = pa.array([",".join(mids) for mids in lists])
    chosen = choose_labels(LabelLists.joined(texts), LabelFilter(mode, sorted(classes)))
    wanted = {ontology().by_name(name).mid for name in classes}
    for mids, code in zip(lists, chosen.set_of.tolist(), strict=True):
        found = None if code < 0 else [NODES[i].mid for i in chosen.sets[code]]
        expected = plainly(mids, mode, wanted)
        assert (None if found is None else set(found)) == expected
        if found is not None:
            assert len(found) == len(set(found))
            for i, mid in enumerate(found):
                assert not any(above(mid, later) for later in found[i + 1 :]), "a wider class stands before its kind"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 5), st.sampled_from(MIDS)),
        min_size=1,
        max_size=25,
    )
)
def test_events_are_alone_as_the_rules_say(rows: list[tuple[int, int, int, str]]) -> None:
    ids = np.array([f"video{video:06d}" for video, *_ in rows], dtype="S11")
    begin = np.array([b for _, b, _, _ in rows], dtype=np.int32)
    end = begin + np.array([d for _, _, d, _ in rows], dtype=np.int32)
    mids = [mid for *_, mid in rows]
    nodes = np.array([INDEX.get(mid, -1) for mid in mids], dtype=np.int16)
    zeros = np.zeros(len(rows))
    events = StrongEvents(ids, zeros, begin, end, nodes, zeros.astype(np.int8), ())
    expected = []
    for i, mid in enumerate(mids):
        good = mid in INDEX and not ontology().by_mid(mid).abstract
        for j, other in enumerate(mids):
            if i == j or ids[i] != ids[j]:
                continue
            related = mid in INDEX and other in INDEX and ontology().related(mid, other)
            if begin[i] < end[j] and begin[j] < end[i] and not related:
                good = False
            if (begin[i], end[i]) == (begin[j], end[j]) and (above(mid, other) or (mid == other and j < i)):
                good = False
        if good:
            expected.append(i)
    assert alone(events, LabelFilter(), 0.0).tolist() == expected


def test_display_names_are_taken_for_mids() -> None:
    chosen = choose_labels(
        LabelLists.of(pa.array([["Bark", "/m/0bt9lr"], [], None], pa.list_(pa.string()))), LabelFilter()
    )
    assert [NODES[i].name for i in chosen.sets[chosen.set_of[0]]] == ["Bark", "Dog"]
    assert chosen.set_of.tolist() == [0, -1, -1]


@pytest.mark.parametrize(("classes", "n"), [("all", 632), ("spatialsoundqa", 355), (["Bark", "/m/0bt9lr", "bark"], 2)])
def test_how_many_classes_are_kept(classes: str | list[str], n: int) -> None:
    abstract = sum(node.abstract for node in NODES) if classes == "all" else 0
    assert LabelFilter(classes=classes).allowed().sum() == n - abstract
