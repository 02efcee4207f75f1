from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.clip_table import ClipTable
from spatialqa.errors import ClipError, RoomError
from spatialqa.generation.plan import plan_run
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import clips_hash
from spatialqa.generation.splits import (
    ALL_TRAIN,
    AUTO_SHARES,
    Shares,
    apportion,
    choose_shares,
    split_clips,
    split_houses,
)
from spatialqa.rooms.procedural.homes import ProceduralRooms


def clip(clip_id: str, label: str, sha256: str | None = None) -> ClipRecord:
    return ClipRecord(clip_id, sha256 or f"sha-{clip_id}", 44100, 1.0, None, (label,), (None,))


def clips(counts: dict[str, int]) -> list[ClipRecord]:
    return [clip(f"{label}/{i}", label) for label, n in counts.items() for i in range(n)]


@given(st.integers(0, 10_000), st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
def test_apportion_gives_everything_and_is_close(total: int, weights: list[float]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1


def test_apportion_known() -> None:
    assert apportion(64, AUTO_SHARES) == [51, 7, 6]
    assert apportion(10, [0.98, 0.01, 0.01], at_least_one=True) == [8, 1, 1]


@given(st.integers(3, 60), st.integers(0, 5))
def test_houses_are_disjoint_and_all_used(n: int, seed: int) -> None:
    houses = [f"h{i}" for i in range(n)]
    split = split_houses(houses, {"train": 8, "validation": 1, "test": 1}, seed)
    assert sorted(house for own in split.values() for house in own) == sorted(houses)
    assert all(split.values())
    assert split == split_houses(houses[::-1], {"train": 8, "validation": 1, "test": 1}, seed)


def test_too_few_houses() -> None:
    with pytest.raises(RoomError, match="need 3 different houses and there are 2"):
        split_houses(["a", "b", "a"], {"train": 1, "validation": 1, "test": 1}, 0)


def official(clip_id: str, split: str | None, sha256: str | None = None) -> ClipRecord:
    return replace(clip(clip_id, "dog", sha256), official_split=split)


def test_clips_keep_the_splits_of_their_makers() -> None:
    given_ones = [official(f"t{i}", "train") for i in range(20)] + [official(f"e{i}", "test") for i in range(5)]
    split = split_clips(given_ones, AUTO_SHARES, 0)
    assert [c.clip_id for c in split["test"]] == [f"e{i}" for i in range(5)]
    assert len(split["validation"]) >= 1  # they gave it none: it takes its share of their training clips
    assert sorted(c.clip_id for c in [*split["train"], *split["validation"]]) == sorted(f"t{i}" for i in range(20))
    assert {c.clip_id for c in split_clips(given_ones, ALL_TRAIN, 0)["train"]} == {f"t{i}" for i in range(20)}
    assert {c.official_split for c in split_clips(given_ones, AUTO_SHARES, 0, official=False)["test"]} != {"test"}


def test_the_same_bytes_are_in_one_split_whatever_their_makers_say() -> None:
    doubled = [official(f"t{i}", "train", "same" if i == 0 else None) for i in range(9)]
    doubled += [official("v", "validation", "same"), official("e", "test", "same"), official("w", "validation")]
    split = split_clips(doubled, AUTO_SHARES, 0)
    assert [c.clip_id for c in split["test"]] == ["e"]
    assert [c.clip_id for c in split["validation"]] == ["w"]
    assert {c.clip_id for c in split["train"]} == {f"t{i}" for i in range(1, 9)}


def stretches(n_files: int, split: str | None) -> list[ClipRecord]:
    """Return three stretches of each of some files, of labels that other files have too."""
    return [
        replace(
            clip(f"a/{split}{i}/{k}", "abc"[(i + k) % 3]), sha256=None, official_split=split, origin=f"a/{split}{i}"
        )
        for i in range(n_files)
        for k in range(3)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_was_cut_from_one_file_is_in_one_split(seed: int) -> None:
    split = split_clips(stretches(12, None), AUTO_SHARES, seed)
    origins = {name: {c.origin for c in own} for name, own in split.items()}
    assert sum(len(own) for own in split.values()) == 36
    assert all(origins.values())
    assert sum(len(own) for own in origins.values()) == len(set.union(*origins.values())) == 12


def test_a_file_of_which_a_stretch_is_evaluated_is_not_trained_on() -> None:
    records = [*stretches(12, "train"), replace(clip("a/x", "a"), official_split="test", origin="a/train3")]
    split = split_clips(records, AUTO_SHARES, 0)
    assert [c.clip_id for c in split["test"]] == ["a/x"]
    assert {c.origin for own in ("train", "validation") for c in split[own]} == {
        f"a/train{i}" for i in range(12) if i != 3
    }


def test_a_table_of_clips_is_divided_as_its_records_are_and_stays_a_table() -> None:
    draw = np.random.default_rng(0)
    n = 500
    names = [("Dog",), ("Cat",), ("Speech",), ("Music",)]
    table = ClipTable(
        prefix="audioset/",
        ids=np.array([f"{k:011d}".encode() for k in range(n)]),
        durations_s=np.full(n, 10.0, dtype=np.float32),
        set_of=draw.integers(len(names), size=n).astype(np.int32),
        label_sets=tuple((own, (None,)) for own in names),
        split_of=(draw.uniform(size=n) < 0.2).astype(np.int8),
        splits=("train", "test"),
        licence=None,
        attribution=None,
    )
    as_table, as_list = (split_clips(records, AUTO_SHARES, 3) for records in (table, list(table)))
    assert {split: list(clips) for split, clips in as_table.items()} == as_list
    assert all(isinstance(clips, ClipTable) for clips in as_table.values())
    assert clips_hash(table) != clips_hash(as_table["train"])


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 30), min_size=1), st.integers(0, 9))
def test_clips_are_disjoint_by_content_and_stratified(counts: dict[str, int], seed: int) -> None:
    split = split_clips(clips(counts), AUTO_SHARES, seed)
    owner = {record.sha256: name for name, records in split.items() for record in records}
    assert Counter(owner.values()).total() == sum(counts.values())
    for label, n in counts.items():
        by_split = Counter(owner[f"sha-{label}/{i}"] for i in range(n))
        assert by_split["train"] >= 1
        if n >= 3:
            assert min(by_split["validation"], by_split["test"]) >= 1
        if n >= 20:
            assert abs(by_split["train"] - 0.8 * n) <= 1


def test_the_same_bytes_never_sit_in_two_splits() -> None:
    records = [clip(f"a/{i}", "a", sha256=f"content-{i // 2}") for i in range(40)]
    split = split_clips(records, AUTO_SHARES, 0)
    contents: Sequence[set[str | None]] = [{record.sha256 for record in own} for own in split.values()]
    assert not contents[0] & contents[1]
    assert not contents[0] & contents[2]
    assert not contents[1] & contents[2]
    assert sum(len(own) for own in split.values()) == 40


def test_auto_falls_back_to_train_and_a_wish_does_not() -> None:
    many = clips({"a": 20, "b": 20})
    assert choose_shares(None, 3, many, 2, 0)[0] == AUTO_SHARES
    assert choose_shares(None, 1, many, 2, 0)[0] == ALL_TRAIN
    assert choose_shares(None, 3, clips({"a": 1, "b": 1}), 2, 0)[0] == ALL_TRAIN
    with pytest.raises(RoomError, match="--splits 1,0,0"):
        choose_shares(AUTO_SHARES, 1, many, 2, 0)
    with pytest.raises(ClipError, match="validation split gets clips of 0 classes"):
        choose_shares(AUTO_SHARES, 3, clips({"a": 1, "b": 1}), 2, 0)
    with pytest.raises(ClipError, match="train split gets clips of 1 classes"):
        choose_shares(None, 3, clips({"a": 50}), 2, 0)


SMALL_CLASSES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 3), min_size=1)
SOME_SHARES = st.sampled_from([None, AUTO_SHARES, ALL_TRAIN, (0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)])


@given(SMALL_CLASSES, SOME_SHARES, st.integers(1, 3))
def test_what_is_accepted_has_classes_enough_in_every_split(
    counts: dict[str, int], asked: Shares | None, n_sounds: int
) -> None:
    records = clips(counts)
    for seed in range(15):
        try:
            shares, by_split = choose_shares(asked, 3, records, n_sounds, seed)
        except ClipError:
            continue
        assert by_split == split_clips(records, shares, seed)
        for split, own in by_split.items():
            assert len({record.labels[0] for record in own}) >= n_sounds, (split, seed)


def test_a_plan_never_lacks_the_clips_that_its_scenes_need() -> None:
    """Two clips of each of four classes: where the seed chose how many classes a split gets, most seeds failed."""
    records = clips({"Bark": 2, "Meow": 2, "Doorbell": 2, "Speech": 2})
    for seed in range(20):
        plan = plan_run(RenderRecipe(scenes=40, seed=seed), ProceduralRooms(["shoebox"]), records)
        assert {split: len({clip.labels[0] for clip in own}) for split, own in plan.clips.items()} == {
            "train": 4,
            "validation": 2,
            "test": 2,
        }


@given(SMALL_CLASSES, SOME_SHARES)
def test_whether_shares_are_accepted_does_not_depend_on_the_seed(counts: dict[str, int], asked: Shares | None) -> None:
    def outcome(seed: int) -> object:
        try:
            return choose_shares(asked, 3, clips(counts), 2, seed)[0]
        except ClipError as error:
            return str(error)

    assert len({outcome(seed) for seed in range(10)}) == 1


def test_two_clip_classes_take_turns_and_the_seed_says_which() -> None:
    records = clips({"Bark": 2, "Meow": 2, "Doorbell": 2, "Speech": 2})
    owners = set()
    for seed in range(40):
        split = split_clips(records, AUTO_SHARES, seed)
        assert {name: len({clip.labels[0] for clip in own}) for name, own in split.items()} == {
            "train": 4,
            "validation": 2,
            "test": 2,
        }
        owners.add(tuple(sorted(clip.labels[0] for clip in split["test"])))
        assert choose_shares(None, 3, records, 2, seed)[0] == AUTO_SHARES
    assert len(owners) == 6


def test_a_run_with_too_few_houses_still_needs_its_clips() -> None:
    with pytest.raises(ClipError, match="train split gets clips of 1 classes"):
        choose_shares(None, 1, clips({"a": 50}), 2, 0)
