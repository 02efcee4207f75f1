from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from spatialqa.generation.allocation import BankGroupSize, allocate, in_turns


def test_rooms_take_turns() -> None:
    groups = in_turns([("a", [3, 3, 3]), ("b", [2]), ("c", [1, 1])], groups_per_room=2)
    assert [(g.room_id, g.index) for g in groups] == [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1), ("a", 2)]


def test_single_places_serve_scenes_of_one_source() -> None:
    groups = [BankGroupSize("a", 0, 1), BankGroupSize("a", 1, 2), BankGroupSize("a", 2, 1)]
    dealt = allocate([[0, 1, 2]], [1, 2, 1], groups, None)
    assert dealt is not None
    assert {g.index: numbers for g, numbers in dealt[0]} == {0: [0], 1: [1], 2: [2]}
    assert allocate([[0, 1, 2]], [2, 2, 1], groups, None) is None


def test_training_scenes_share_the_places_of_a_group() -> None:
    dealt = allocate([[0, 1, 2, 3], [4]], [2, 2, 1, 2, 2], [BankGroupSize("a", 0, 2), BankGroupSize("b", 0, 3)], 4)
    assert dealt is not None
    assert [[(g.room_id, numbers) for g, numbers in shard] for shard in dealt] == [
        [("a", [0, 1, 2, 3])],
        [("b", [4])],
    ]


@settings(max_examples=200)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=40),
    st.lists(st.integers(1, 8), max_size=40),
    st.integers(1, 10),
)
def test_every_scene_is_dealt_once_and_no_place_twice(needs: list[int], sizes: list[int], per_shard: int) -> None:
    numbers = list(range(len(needs)))
    shards = [numbers[k : k + per_shard] for k in range(0, len(numbers), per_shard)]
    groups = [BankGroupSize("a", k, size) for k, size in enumerate(sizes)]
    dealt = allocate(shards, needs, groups, None)
    if dealt is None:
        assert sum(size >= max(needs) for size in sizes) < len(needs)  # a group for every scene would do
        return
    assert [sorted(n for _, own in shard for n in own) for shard in dealt] == shards
    used = Counter(group.index for shard in dealt for group, _ in shard)
    assert max(used.values()) == 1
    assert all(sum(needs[n] for n in own) <= group.size for shard in dealt for group, own in shard)
