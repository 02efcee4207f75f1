"""plan: where listeners and sources are and what sounds. Every draw of the acoustic side happens here.

A run is planned in two strides. `plan_run` lays out splits, rooms, groups and shards without opening a mesh;
`Planner` draws the groups and scenes of one room when a worker has opened it. Each draw is keyed by the seed and the id
of the thing drawn, so a shard is the same whoever makes it and in whatever order.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spatialqa.acoustics.engine import EngineIdentity
from spatialqa.clips.clip import ClipRecord
from spatialqa.errors import ClipError
from spatialqa.labels import ontology
from spatialqa.recipe import SPLITS, RenderRecipe
from spatialqa.rooms.placement import Placer
from spatialqa.rooms.room import Room, RoomSet
from spatialqa.scene import ListenerGroup, Scene, Source
from spatialqa.seeds import derived_seed, rng
from spatialqa.splits import apportion, choose_shares, official_shares, split_clips, split_houses

_CLIP_TRIES = 1000


@dataclass(frozen=True)
class GroupSlot:
    """One listener group that is to be drawn: its room and the scenes that will use it."""

    group_id: str
    split: str
    room_id: str
    scene_ids: tuple[str, ...]


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
        return f"{self.split}-{self.index:05d}-of-{self.of:05d}"

    @property
    def n_scenes(self) -> int:
        """How many scenes the shard is to hold."""
        return sum(len(slot.scene_ids) for slot in self.groups)


@dataclass(frozen=True, eq=False)
class RunPlan:
    """The layout of a whole run: its shards, in the order in which workers should take them."""

    shards: tuple[ShardPlan, ...]
    clips: Mapping[str, Sequence[ClipRecord]]  # by split
    scenes: Mapping[str, int]  # by split
    houses: Mapping[str, int]  # by split


def plan_run(recipe: RenderRecipe, rooms: RoomSet, records: Sequence[ClipRecord]) -> RunPlan:
    """Lay out splits, rooms, groups and shards; reads no mesh and no audio.

    Raises:
        RoomError, ClipError: fewer houses or clips than the asked splits need.
    """
    most = max(n for n, share in recipe.sources_per_scene.items() if share > 0)
    asked = recipe.split_shares()
    keep = recipe.clip_splits == "official"
    probe = rooms.room_ids(sum(share > 0 for share in asked) if asked else 3, recipe.seed)
    official = _official_rooms(rooms, probe, recipe.seed)
    if official:
        asked = official_shares(asked, {split: len(ids) for split, ids in official.items()})
        probe = [room for ids in official.values() for room in ids]
    shares = choose_shares(asked, len({rooms.house_of(room) for room in probe}), records, most, recipe.seed, keep)
    scenes = dict(zip(SPLITS, apportion(recipe.scenes, shares), strict=True))
    per_group = {split: _scenes_per_group(recipe, split, most) for split in SPLITS}
    n_groups = {split: -(-scenes[split] // per_group[split]) for split in SPLITS}
    wanted = {split: -(-n_groups[split] // recipe.groups_per_room) for split in SPLITS}
    if official:
        room_ids = [room for split in SPLITS for room in official[split][: wanted[split]]]
        houses = {split: {rooms.house_of(room) for room in official[split][: wanted[split]]} for split in SPLITS}
    else:
        room_ids = list(rooms.room_ids(sum(wanted.values()), recipe.seed))
        houses = split_houses([rooms.house_of(room) for room in room_ids], wanted, recipe.seed)
    shards: list[ShardPlan] = []
    for split in SPLITS:
        if scenes[split]:
            own = [room for room in room_ids if rooms.house_of(room) in houses[split]]
            shards += _shards(recipe, split, own, scenes[split], per_group[split])
    return RunPlan(
        tuple(shards),
        split_clips(records, shares, recipe.seed, keep),
        {split: n for split, n in scenes.items() if n},
        {split: len(own_houses) for split, own_houses in houses.items()},
    )


def _official_rooms(rooms: RoomSet, probe: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Return the rooms of a set that comes with splits, by split and in a seeded order; empty where it has none."""
    if not any(rooms.official_split(rooms.house_of(room)) for room in probe):
        return {}
    every = rooms.room_ids(None, seed)
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        own = sorted(room for room in every if rooms.official_split(rooms.house_of(room)) == split)
        found[split] = [own[i] for i in rng(seed, "houses", f"official {split}").permutation(len(own))]
    return found


def _scenes_per_group(recipe: RenderRecipe, split: str, most_sources: int) -> int:
    """Training reuses RIRs; evaluation splits use each one once, so their groups must have a place for every source."""
    return recipe.scenes_per_group if split == "train" else max(1, recipe.sources_per_group // most_sources)


def _shards(recipe: RenderRecipe, split: str, rooms: Sequence[str], scenes: int, per_group: int) -> list[ShardPlan]:
    n_groups = -(-scenes // per_group)
    groups_per_shard = max(1, round(recipe.scenes_per_shard / per_group))
    n_shards = -(-n_groups // groups_per_shard)
    enough_rooms = len(rooms) * recipe.groups_per_room >= n_groups
    shards = []
    for index in range(n_shards):
        groups = range(index * groups_per_shard, min((index + 1) * groups_per_shard, n_groups))
        first, last = groups.start * per_group, min(groups.stop * per_group, scenes)
        shuffled = first + rng(recipe.seed, "shuffle", f"{split}-{index}").permutation(last - first)
        slots = []
        for g in groups:
            room = rooms[g // recipe.groups_per_room if enough_rooms else g * len(rooms) // n_groups]
            numbers = shuffled[g * per_group - first : (g + 1) * per_group - first]
            ids = tuple(f"{split}-{number:08d}" for number in sorted(numbers))
            slots.append(GroupSlot(f"{split}-g{g:07d}", split, room, ids))
        shards.append(ShardPlan(split, index, n_shards, tuple(slots)))
    return shards


@dataclass(frozen=True, eq=False)
class Planner:
    """Draws the groups and scenes of a run; the same in every process that holds the same run."""

    recipe: RenderRecipe
    recipe_hash: str
    engine: EngineIdentity
    clips: Mapping[str, Sequence[ClipRecord]]

    @cached_property
    def _by_class(self) -> dict[str, list[tuple[str, list[ClipRecord]]]]:
        result = {}
        for split, records in self.clips.items():
            classes: dict[str, list[ClipRecord]] = defaultdict(list)
            for record in records:
                classes[record.labels[0]].append(record)
            result[split] = sorted(classes.items())
        return result

    def n_sources(self, scene_id: str) -> int:
        """Draw how many sources a scene has."""
        shares = sorted(self.recipe.sources_per_scene.items())
        weights = np.array([share for _, share in shares])
        return int(rng(self.recipe.seed, "sources", scene_id).choice([n for n, _ in shares], p=weights / weights.sum()))

    def group(self, slot: GroupSlot, room: Room, placer: Placer, attempt: int = 0) -> ListenerGroup:
        """Draw the listener and the source places of one group.

        Raises:
            PlacementError: the room has no valid place.
        """
        draw = rng(self.recipe.seed, "group", slot.group_id, attempt)
        count = self.recipe.sources_per_group
        if slot.split != "train":
            count = sum(self.n_sources(scene_id) for scene_id in slot.scene_ids)
        listener = placer.listener(draw, self.recipe.yaw_deg())
        region = room.region_at(listener.position)
        return ListenerGroup(
            group_id=slot.group_id,
            split=slot.split,
            room_set=room.room_set,
            room_id=room.room_id,
            room_sha256=room.sha256,
            house_id=room.house_id,
            listener=listener,
            places=placer.sources(listener, count, draw),
            seed=derived_seed(self.recipe.seed, "group", slot.group_id, attempt),
            region_id=region.region_id if region else None,
            region_label=region.label if region else None,
            level_index=region.level_index if region else None,
        )

    def scenes(self, slot: GroupSlot, group: ListenerGroup) -> list[Scene]:
        """Draw all scenes of a group, in the order of their ids."""
        places = self._assign_places(slot, group)
        uses = Counter(place for chosen in places.values() for place in chosen)
        return [
            self.scene(scene_id, group, places[scene_id], max(uses[place] for place in places[scene_id]))
            for scene_id in slot.scene_ids
        ]

    def redraw(self, scene: Scene, group: ListenerGroup, attempt: int) -> Scene:
        """Draw the sounds of a scene again, at the same places."""
        places = tuple(int(source.rir_id.rpartition("/")[2]) for source in scene.sources)
        return self.scene(scene.scene_id, group, places, scene.rir_reuse_count, attempt)

    def _assign_places(self, slot: GroupSlot, group: ListenerGroup) -> dict[str, tuple[int, ...]]:
        counts = {scene_id: self.n_sources(scene_id) for scene_id in slot.scene_ids}
        if slot.split != "train":
            unused = iter(range(len(group.places)))
            return {scene_id: tuple(next(unused) for _ in range(n)) for scene_id, n in counts.items()}
        return {
            scene_id: tuple(
                int(i)
                for i in rng(self.recipe.seed, "places", scene_id).choice(len(group.places), size=n, replace=False)
            )
            for scene_id, n in counts.items()
        }

    def scene(
        self, scene_id: str, group: ListenerGroup, places: tuple[int, ...], reuse: int, attempt: int = 0
    ) -> Scene:
        """Draw what sounds at these places of the group."""
        recipe = self.recipe
        draw = rng(recipe.seed, "scene", scene_id, attempt)
        records = self._draw_clips(draw, group.split, len(places))
        sources = []
        for index, record in zip(places, records, strict=True):
            place = group.places[index]
            onset_s = float(draw.uniform(0.0, recipe.onset_max_s)) if recipe.onset_max_s > 0 else 0.0
            spare_s = record.duration_s - (recipe.duration_s - onset_s)
            start_s = float(draw.uniform(0.0, spare_s)) if recipe.clip_start == "random" and spare_s > 0 else 0.0
            sources.append(
                Source(
                    clip_id=record.clip_id,
                    clip_sha256=record.sha256,
                    clip_start_s=start_s,
                    native_sample_rate=record.native_sample_rate,
                    licence=record.licence,
                    labels=record.labels,
                    mids=record.mids,
                    position=place.position,
                    azimuth_deg=place.azimuth_deg,
                    elevation_deg=place.elevation_deg,
                    distance_m=place.distance_m,
                    region_id=place.region_id,
                    region_label=place.region_label,
                    onset_s=onset_s,
                    line_of_sight=place.line_of_sight,
                    rir_id=group.rir_id(index),
                )
            )
        return Scene(
            scene_id=scene_id,
            split=group.split,
            sample_rate=recipe.sample_rate,
            duration_s=recipe.duration_s,
            channels=recipe.channels,
            room_set=group.room_set,
            room_id=group.room_id,
            house_id=group.house_id,
            region_id=group.region_id,
            region_label=group.region_label,
            level_index=group.level_index,
            group_id=group.group_id,
            engine=self.engine.name,
            engine_config_hash=self.engine.config_hash,
            hrtf=self.engine.hrtf,
            rir_time_zero=recipe.rir_time_zero,
            listener_position=group.listener.position,
            listener_orientation=group.listener.orientation,
            gain_db=float(np.float32(recipe.gain_db)),  # as the table holds it
            rir_reuse_count=reuse,
            sources=tuple(sources),
            seed=derived_seed(recipe.seed, "scene", scene_id, attempt),
            recipe_hash=self.recipe_hash,
        )

    def _draw_clips(self, draw: np.random.Generator, split: str, count: int) -> list[ClipRecord]:
        """Draw clips whose labels cannot be mistaken for each other: no label equals or contains another's."""
        for _ in range(_CLIP_TRIES):
            chosen = [self._draw_clip(draw, split) for _ in range(count)]
            if not any(_confusable(a, b) for i, a in enumerate(chosen) for b in chosen[:i]):
                return chosen
        raise ClipError(
            f"no {count} clips of the {split} split have labels that can be told apart, in {_CLIP_TRIES} draws: "
            f"add classes that are not part of one another, or ask for fewer sources a scene"
        )

    def _draw_clip(self, draw: np.random.Generator, split: str) -> ClipRecord:
        if self.recipe.class_balance == "natural":
            records = self.clips[split]
            return records[int(draw.integers(len(records)))]
        classes = self._by_class[split]
        _, members = classes[int(draw.integers(len(classes)))]
        return members[int(draw.integers(len(members)))]


def _confusable(a: ClipRecord, b: ClipRecord) -> bool:
    for label_a, mid_a in zip(a.labels, a.mids, strict=True):
        for label_b, mid_b in zip(b.labels, b.mids, strict=True):
            if label_a == label_b or (mid_a and mid_b and ontology().related(mid_a, mid_b)):
                return True
    return False
