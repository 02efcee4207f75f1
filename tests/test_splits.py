from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.clips.clip import ClipRecord
from spatialqa.errors import ClipError, RoomError
from spatialqa.splits import ALL_TRAIN, AUTO_SHARES, apportion, choose_shares, split_clips, split_houses


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
    assert choose_shares(None, 3, many, 2) == AUTO_SHARES
    assert choose_shares(None, 1, many, 2) == ALL_TRAIN
    assert choose_shares(None, 3, clips({"a": 1, "b": 1}), 2) == ALL_TRAIN
    with pytest.raises(RoomError, match="--splits 1,0,0"):
        choose_shares(AUTO_SHARES, 1, many, 2)
    with pytest.raises(ClipError, match="validation split gets clips of 0 classes"):
        choose_shares(AUTO_SHARES, 3, clips({"a": 1, "b": 1}), 2)
    with pytest.raises(ClipError, match="train split gets clips of 1 classes"):
        choose_shares(None, 3, clips({"a": 50}), 2)
