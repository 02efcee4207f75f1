"""Assigns the scenes of a split to shards, rooms and listener groups."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np

from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.core import seeds
from spatialqa.errors import RoomError
from spatialqa.generation.allocation import allocate, in_turns
from spatialqa.generation.placements import PlacedScene
from spatialqa.generation.recipe import RenderRecipe

_SCENES_A_GROUP = 5  # the time that a group takes without its scenes, in scenes


@dataclass(frozen=True)
class GroupSlot:
    """One listener group that is to be drawn: its room and the scenes that will use it.

    bank_group: which of the room's groups it is, where the room is a bank's. placed: its one scene, where that is made
    by hand. With several heads at a position, leader: the id of the first group there. turn: which of the heads it is,
    from 0. beside: the scenes of all of them.
    """

    group_id: str
    split: str
    room_id: str
    scene_ids: tuple[str, ...]
    bank_group: int | None = None
    placed: PlacedScene | None = None
    leader: str | None = None
    turn: int = 0
    beside: tuple[str, ...] = ()

    @property
    def leading(self) -> "GroupSlot":
        """The slot that listener and places are drawn for: this one, or the first of its position with all scenes."""
        return self if self.leader is None else replace(self, group_id=self.leader, scene_ids=self.beside)


@dataclass(frozen=True)
class ShardPlan:
    """What one shard holds; index counts within the split, of is the split's number of shards."""

    split: str
    index: int
    of: int
    groups: tuple[GroupSlot, ...]

    @property
    def name(self) -> str:
        """The shard's file name without its ending."""
        return shard_name(self.split, self.index, self.of)

    @property
    def n_scenes(self) -> int:
        """How many scenes the shard is to hold."""
        return sum(len(slot.scene_ids) for slot in self.groups)


def _cost(shard: ShardPlan) -> int:
    """Return about how long a shard takes: a group is simulated, and often has a room of its own."""
    return shard.n_scenes + _SCENES_A_GROUP * max(1, len(shard.groups))


def shard_name(split: str, index: int, of: int) -> str:
    """Return the name of a shard of a split."""
    return f"{split}-{index:05d}-of-{of:05d}"


@dataclass(frozen=True)
class SplitLayout:
    """The shards of one split. groups_of: returns the groups of the shard with this index."""

    split: str
    n_shards: int
    n_groups: int
    groups_of: Callable[[int], tuple[GroupSlot, ...]]


@dataclass(frozen=True)
class ShardPlans(Sequence[ShardPlan]):
    """The shards of a run, split after split. Each is laid out when it is asked for: a large run needs no memory."""

    splits: Sequence[SplitLayout] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(layout.n_shards for layout in self.splits)

    @overload
    def __getitem__(self, index: int) -> ShardPlan: ...

    @overload
    def __getitem__(self, index: slice) -> list[ShardPlan]: ...

    def __getitem__(self, index: int | slice) -> ShardPlan | list[ShardPlan]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        for layout in self.splits:
            if at < layout.n_shards:
                return ShardPlan(layout.split, at, layout.n_shards, layout.groups_of(at))
            at -= layout.n_shards
        raise IndexError(index)

    def names(self) -> Iterator[str]:
        """Yield the names of all shards, in order."""
        for layout in self.splits:
            yield from (shard_name(layout.split, index, layout.n_shards) for index in range(layout.n_shards))

    def longest_first(self, indices: Sequence[int]) -> list[int]:
        """Return the indices of shards in an order in which workers end at about the same time.

        Only the last shard of a split can be shorter than its others, and only those are laid out for it.
        """
        costs, first = [], 0
        for layout in self.splits:
            last = first + layout.n_shards - 1
            if last >= first:
                costs.append((last, _cost(self[first]), _cost(self[last])))
            first = last + 1

        def cost_of(index: int) -> int:
            last, cost, cost_of_last = next(split for split in costs if index <= split[0])
            return cost_of_last if index == last else cost

        return sorted(indices, key=cost_of, reverse=True)

    @property
    def n_groups(self) -> int:
        """How many listener groups there are."""
        return sum(layout.n_groups for layout in self.splits)


def most_sources(recipe: RenderRecipe) -> int:
    """Return the most sources that a scene can have."""
    return max(n for n, share in recipe.sources_per_scene.items() if share > 0)


def n_sources(recipe: RenderRecipe, scene_id: str) -> int:
    """Draw how many sources a scene has."""
    shares = sorted(recipe.sources_per_scene.items())
    weights = np.array([share for _, share in shares])
    return int(seeds.rng(recipe.seed, "sources", scene_id).choice([n for n, _ in shares], p=weights / weights.sum()))


def scene_id_of(split: str, number: int) -> str:
    """Return the id of the scene with this number."""
    return f"{split}-{number:08d}"


def group_id_of(split: str, number: int) -> str:
    """Return the id of the listener group with this number."""
    return f"{split}-g{number:07d}"


def scenes_per_group(recipe: RenderRecipe, split: str) -> int:
    """Training reuses RIRs; evaluation splits use each one once, so their groups must have a place for every source."""
    return recipe.scenes_per_group if split == "train" else max(1, recipe.sources_per_group // most_sources(recipe))


def yaws_per_group(recipe: RenderRecipe, split: str) -> int:
    """Return how many heads a listener position has: evaluation splits have each position once."""
    return recipe.yaws_per_group if split == "train" else 1


def lay_out(recipe: RenderRecipe, split: str, rooms: Sequence[str], scenes: int) -> SplitLayout:
    """Return the shards of a split whose rooms can have any listener; groups at one position are in one shard."""
    per_group = scenes_per_group(recipe, split)
    n_groups = -(-scenes // per_group)
    yaws = yaws_per_group(recipe, split)
    groups_per_shard = max(1, round(recipe.scenes_per_shard / per_group / yaws)) * yaws
    n_positions = -(-n_groups // yaws)

    def groups_of(index: int) -> tuple[GroupSlot, ...]:
        groups = range(index * groups_per_shard, min((index + 1) * groups_per_shard, n_groups))
        shuffled = _shuffled(recipe, split, index, groups.start * per_group, min(groups.stop * per_group, scenes))
        slots = []
        for at, g in enumerate(groups):
            room = rooms[_room_of_group(recipe, g // yaws, n_positions, len(rooms))]
            numbers = shuffled[at * per_group : (at + 1) * per_group]
            ids = tuple(scene_id_of(split, number) for number in sorted(numbers))
            slots.append(GroupSlot(group_id_of(split, g), split, room, ids))
        return tuple(slots) if yaws == 1 else tuple(_at_shared_positions(slots, yaws))

    return SplitLayout(split, -(-n_groups // groups_per_shard), n_groups, groups_of)


def _at_shared_positions(slots: Sequence[GroupSlot], yaws: int) -> Iterator[GroupSlot]:
    for first in range(0, len(slots), yaws):
        own = slots[first : first + yaws]
        beside = tuple(scene_id for slot in own for scene_id in slot.scene_ids)
        for turn, slot in enumerate(own):
            yield replace(slot, leader=own[0].group_id, turn=turn, beside=beside)


def lay_out_groups(recipe: RenderRecipe, split: str, rooms: Sequence[str], n_groups: int) -> SplitLayout:
    """Return the shards of a split of a bank that is to be made: groups without scenes."""
    per_shard = max(1, round(recipe.scenes_per_shard / recipe.scenes_per_group))

    def groups_of(index: int) -> tuple[GroupSlot, ...]:
        groups = range(index * per_shard, min((index + 1) * per_shard, n_groups))
        own = [(g, rooms[_room_of_group(recipe, g, n_groups, len(rooms))]) for g in groups]
        return tuple(GroupSlot(group_id_of(split, g), split, room, ()) for g, room in own)

    return SplitLayout(split, -(-n_groups // per_shard), n_groups, groups_of)


def _room_of_group(recipe: RenderRecipe, group: int, n_groups: int, n_rooms: int) -> int:
    """Return the room of a group: a few groups each where there are rooms enough, else as evenly as possible."""
    if n_rooms * recipe.groups_per_room >= n_groups:
        return group // recipe.groups_per_room
    return group * n_rooms // n_groups


def lay_out_from_bank(
    recipe: RenderRecipe, split: str, bank: BankRooms, rooms: Sequence[str], scenes: int
) -> SplitLayout:
    """Return the shards of a split whose listeners and sources are a bank's.

    Raises:
        RoomError: the bank has too few RIRs for these scenes.
    """
    order = [rooms[k] for k in seeds.rng(recipe.seed, "bank-rooms", split).permutation(len(rooms))]
    groups = in_turns([(room, bank.group_sizes(room)) for room in order], recipe.groups_per_room)
    needs = [n_sources(recipe, scene_id_of(split, number)) for number in range(scenes)]
    starts = range(0, scenes, recipe.scenes_per_shard)
    numbers = [
        _shuffled(recipe, split, index, start, min(start + recipe.scenes_per_shard, scenes))
        for index, start in enumerate(starts)
    ]
    per_group = recipe.scenes_per_group if split == "train" else None
    dealt = allocate(numbers, needs, groups, per_group)
    if dealt is None:
        raise RoomError(_too_few(recipe, split, needs, [group.size for group in groups], bank))
    shards, n_groups = [], 0
    for parts in dealt:
        slots = []
        for group, own in parts:
            ids = tuple(scene_id_of(split, number) for number in own)
            slots.append(GroupSlot(group_id_of(split, n_groups), split, group.room_id, ids, group.index))
            n_groups += 1
        shards.append(tuple(slots))
    return SplitLayout(split, len(shards), n_groups, shards.__getitem__)


def _shuffled(recipe: RenderRecipe, split: str, shard: int, first: int, last: int) -> list[int]:
    order = seeds.rng(recipe.seed, "shuffle", f"{split}-{shard}").permutation(last - first)
    return [first + int(k) for k in order]


def _too_few(recipe: RenderRecipe, split: str, needs: Sequence[int], sizes: Sequence[int], bank: BankRooms) -> str:
    most = max(needs)
    wide = sum(size >= most for size in sizes)
    have = f"{sum(sizes):,} RIRs in {len(sizes):,} groups of one listener, {wide:,} of them with {most} or more"
    want = f"{len(needs):,} {split} scenes with up to {most} sources"
    if split == "train":
        advice = (
            f"a group serves scenes_per_group = {recipe.scenes_per_group} scenes: raise it, or ask for fewer scenes"
        )
    else:
        advice = f"{split} scenes use every RIR once and need {sum(needs):,}: ask for fewer scenes, or other --splits"
    single = ", or --bank-mix-listeners, or --sources-per-scene 1=1" if not bank.mixes and wide < len(sizes) else ""
    return f"{bank.bank.path}: the bank has {have}, too few for {want}; {advice}{single}"
