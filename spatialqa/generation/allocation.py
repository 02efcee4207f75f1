"""Allocates scenes to the listener groups of a bank, which differ in size."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BankGroupSize:
    """One listener group of a bank: which of its room's groups, and how many places it has."""

    room_id: str
    index: int
    size: int


def in_turns(sizes: Sequence[tuple[str, Sequence[int]]], groups_per_room: int) -> list[BankGroupSize]:
    """Return all groups, this many of every room at a time: the first ones of all rooms, then the next ones.

    Args:
        sizes: every room with the sizes of its groups.
        groups_per_room: how many are taken of a room before the next room's turn.
    """
    groups = [
        (at // groups_per_room, room, BankGroupSize(room_id, at, size))
        for room, (room_id, own) in enumerate(sizes)
        for at, size in enumerate(own)
    ]
    return [group for _, _, group in sorted(groups, key=lambda item: item[:2])]


def allocate(
    shards: Sequence[Sequence[int]],
    n_sources: Sequence[int],
    groups: Sequence[BankGroupSize],
    scenes_per_group: int | None,
) -> list[list[tuple[BankGroupSize, list[int]]]] | None:
    """Give every scene a group with places for its sources; None where the groups do not suffice.

    Groups serve in order, each once. Within a shard the scenes with most sources choose first, so that groups with few
    places are left to those that need no more.

    Args:
        shards: the scene numbers of every shard, shuffled.
        n_sources: how many sources every scene has, by its number.
        groups: in the order in which they serve.
        scenes_per_group: a group serves this many scenes, whose sources share its places; None gives every source a
            place of its own.

    Returns:
        For every shard its groups with the numbers of their scenes.
    """
    free = list(groups)
    dealt = []
    for numbers in shards:
        waiting = sorted(numbers, key=lambda number: -n_sources[number])
        shard, passed = [], []
        for position, group in enumerate(free):
            if not waiting:
                passed += free[position:]
                break
            taken = _fitting(waiting, n_sources, group.size, scenes_per_group)
            if taken:
                shard.append((group, sorted(taken)))
                chosen = set(taken)
                waiting = [number for number in waiting if number not in chosen]
            else:
                passed.append(group)
        if waiting:
            return None
        free = passed
        dealt.append(shard)
    return dealt


def _fitting(waiting: Sequence[int], n_sources: Sequence[int], size: int, scenes_per_group: int | None) -> list[int]:
    taken: list[int] = []
    room = size
    for number in waiting:
        if len(taken) == scenes_per_group or room == 0:
            break
        if n_sources[number] <= room:
            taken.append(number)
            if scenes_per_group is None:
                room -= n_sources[number]
    return taken
