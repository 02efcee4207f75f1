"""plan: draws the positions of listeners and sources, and their sounds. All acoustic draws are made here.

A run is planned in two strides. `plan_run` lays out splits, rooms, groups and shards without opening a mesh;
`Planner` draws the groups and scenes of one room when a worker has opened it. Each draw is keyed by the seed and the id
of the thing drawn, so a shard is the same on every worker and in any order.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from spatialqa.banks.bank_rooms import BankRoom, BankRooms
from spatialqa.clips.clip import ClipRecord
from spatialqa.core import seeds
from spatialqa.core.files import digest
from spatialqa.core.geometry import Pose, direction, multiply, yaw_quaternion
from spatialqa.core.names import SPLITS
from spatialqa.core.scene import EngineIdentity, ListenerGroup, Place, Scene, Source
from spatialqa.generation.matching import Cast, Matching
from spatialqa.generation.placed_sounds import PlacedSounds
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.schedule import (
    GroupSlot,
    ShardPlans,
    SplitLayout,
    lay_out,
    lay_out_from_bank,
    lay_out_groups,
    most_sources,
    n_sources,
    scenes_per_group,
    yaws_per_group,
)
from spatialqa.generation.sound_sampling import DrawnSound, SoundSampler
from spatialqa.generation.splits import (
    ALL_TRAIN,
    AUTO_SHARES,
    apportion,
    choose_shares,
    official_shares,
    split_houses,
)
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.placement.positions import Positions
from spatialqa.rooms.room import Room, RoomSet


@dataclass(frozen=True, eq=False)
class RunPlan:
    """The layout of a whole run: its shards, in the order in which workers should take them."""

    shards: ShardPlans
    clips: Mapping[str, Sequence[ClipRecord]]  # by split
    scenes: Mapping[str, int]  # by split
    houses: Mapping[str, int]  # by split

    @property
    def size(self) -> int:
        """How many scenes there are to make, or groups where the run has no scenes."""
        return sum(self.scenes.values()) or self.shards.n_groups


def plan_run(recipe: RenderRecipe, rooms: RoomSet, records: Sequence[ClipRecord]) -> RunPlan:
    """Lay out splits, rooms, groups and shards; reads no mesh and no audio.

    Raises:
        RoomError, ClipError: fewer houses or clips than the asked splits need.
    """
    asked = recipe.split_shares()
    keep = recipe.clip_splits == "official"
    official, n_houses = _official_rooms(recipe, rooms)
    if official:
        asked = official_shares(asked, {split: len(ids) for split, ids in official.items()})
    shares, clips = choose_shares(asked, n_houses, records, most_sources(recipe), recipe.seed, keep)
    scenes = dict(zip(SPLITS, apportion(recipe.scenes, shares), strict=True))
    n_groups = {split: -(-scenes[split] // scenes_per_group(recipe, split)) for split in SPLITS}
    own = _rooms_by_split(recipe, rooms, official, n_groups)
    layouts: list[SplitLayout] = []
    for split, room_ids in own.items():
        if scenes[split] and isinstance(rooms, BankRooms):
            layouts.append(lay_out_from_bank(recipe, split, rooms, room_ids, scenes[split]))
        elif scenes[split]:
            layouts.append(lay_out(recipe, split, room_ids, scenes[split]))
    by_split = {split: n for split, n in scenes.items() if n}
    return RunPlan(ShardPlans(layouts), clips, by_split, _count_houses(rooms, own))


def plan_bank(recipe: RenderRecipe, rooms: RoomSet, n_groups: int) -> RunPlan:
    """Lay out a bank of `n_groups` listener groups, over all splits; no scenes and no clips.

    Raises:
        RoomError: fewer houses than the asked splits need.
    """
    asked = recipe.split_shares()
    official, n_houses = _official_rooms(recipe, rooms)
    if official:
        shares = official_shares(asked, {split: len(ids) for split, ids in official.items()})
    else:
        enough = n_houses >= sum(share > 0 for share in AUTO_SHARES)
        shares = asked or (AUTO_SHARES if enough else ALL_TRAIN)
    groups = dict(zip(SPLITS, apportion(n_groups, shares), strict=True))
    own = _rooms_by_split(recipe, rooms, official, groups)
    layouts = [
        lay_out_groups(recipe, split, room_ids, groups[split]) for split, room_ids in own.items() if groups[split]
    ]
    return RunPlan(ShardPlans(layouts), {}, {}, _count_houses(rooms, own))


def _rooms_by_split(
    recipe: RenderRecipe, rooms: RoomSet, official: Mapping[str, Sequence[str]], n_groups: Mapping[str, int]
) -> dict[str, list[str]]:
    """Return every split's rooms: as many as its groups want, or all of a bank, whose rooms hold what they hold."""
    wanted = {
        split: -(-n_groups[split] // (recipe.groups_per_room * yaws_per_group(recipe, split))) for split in SPLITS
    }
    everything = isinstance(rooms, BankRooms)
    if official:
        return {split: list(official[split] if everything else official[split][: wanted[split]]) for split in SPLITS}
    room_ids = rooms.room_ids(None if everything else sum(wanted.values()), recipe.seed)
    houses = split_houses([rooms.house_of(room) for room in room_ids], wanted, recipe.seed)
    return {split: [room for room in room_ids if rooms.house_of(room) in houses.get(split, ())] for split in SPLITS}


def _count_houses(rooms: RoomSet, by_split: Mapping[str, Sequence[str]]) -> dict[str, int]:
    return {split: len({rooms.house_of(room) for room in own}) for split, own in by_split.items() if own}


def _official_rooms(recipe: RenderRecipe, rooms: RoomSet) -> tuple[dict[str, list[str]], int]:
    """Return the rooms of a set that comes with splits, by split and in a seeded order, and how many houses there are.

    Where the set has no splits, or the recipe wants others, there are no rooms, and houses are counted up to the number
    of splits.
    """
    asked = recipe.split_shares()
    probe = rooms.room_ids(sum(share > 0 for share in asked) if asked else len(SPLITS), recipe.seed)
    every = rooms.room_ids(None, recipe.seed) if rooms.finite else []
    # all are looked at: the few that a recipe draws may happen to be those on no list
    listed = any(rooms.official_split(rooms.house_of(room)) for room in every)
    if recipe.room_splits == "random" or not listed:
        return {}, len({rooms.house_of(room) for room in probe})
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        own = sorted(room for room in every if rooms.official_split(rooms.house_of(room)) == split)
        found[split] = [own[i] for i in seeds.rng(recipe.seed, "houses", f"official {split}").permutation(len(own))]
    return found, len({rooms.house_of(room) for own in found.values() for room in own})


@dataclass(frozen=True, eq=False)
class Planner:
    """Draws the groups and scenes of a run; the same in every process that holds the same run."""

    recipe: RenderRecipe
    recipe_hash: str
    engine: EngineIdentity
    clips: Mapping[str, Sequence[ClipRecord]]
    heads: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by split; empty where there is one head

    @cached_property
    def sounds(self) -> SoundSampler:
        """What draws the clips of its scenes."""
        return SoundSampler(self.recipe, self.clips)

    @cached_property
    def matching(self) -> Matching:
        """What matches places with sounds."""
        return Matching(self.sounds)

    @cached_property
    def placed_sounds(self) -> PlacedSounds:
        """What finds the clips of scenes by hand."""
        return PlacedSounds(self.recipe.seed, self.clips)

    def n_sources(self, scene_id: str) -> int:
        """Draw how many sources a scene has."""
        return n_sources(self.recipe, scene_id)

    def n_places(self, slot: GroupSlot) -> int:
        """Return how many places a group has: training scenes share them, others and a bank's have one each."""
        if slot.split == "train" or not slot.scene_ids:
            return self.recipe.sources_per_group
        return sum(self.n_sources(scene_id) for scene_id in slot.scene_ids)

    def bank_group(self, slot: GroupSlot, room: BankRoom) -> ListenerGroup:
        """Return a group that a bank holds, with the places that its scenes need."""
        assert slot.bank_group is not None
        held = room.groups[slot.bank_group]
        return ListenerGroup(
            group_id=slot.group_id,
            split=slot.split,
            room_set=room.room_set,
            room_id=room.room_id,
            room_sha256=room.sha256,
            house_id=room.house_id,
            listener=held.listener,
            places=held.places[: self.n_places(slot)],
            seed=seeds.derived_seed(self.recipe.seed, "group", slot.group_id),
            region_id=held.region_id,
            region_label=held.region_label,
            level_index=held.level_index,
        )

    def group(self, slot: GroupSlot, room: Room, placer: Placer, attempt: int = 0) -> ListenerGroup:
        """Draw the listener and the source places of one group; groups at one position share all but their yaw.

        Raises:
            PlacementError: the room has no valid place.
        """
        leading = slot.leading
        rng = seeds.rng(self.recipe.seed, "group", leading.group_id, attempt)
        listener = placer.listener(rng, self.recipe.yaw_deg())
        if self.recipe.places_by_class():
            kinds = self.matching.kinds(leading, placer.offered_kinds(listener))
            shares = self.matching.shares(slot.split) if slot.scene_ids else {}
            places = placer.sources_of(listener, kinds, shares, rng)
        else:
            places = placer.sources(listener, self.n_places(slot), rng)
        if slot.turn:
            turn = yaw_quaternion(360.0 * slot.turn / self.recipe.yaws_per_group)
            listener = Pose(listener.position, multiply(turn, listener.orientation))
            places = tuple(replace(place, **direction(listener, place.position)._asdict()) for place in places)
        seed = seeds.derived_seed(self.recipe.seed, "group", leading.group_id, attempt)
        return self._with_head(_in_room(slot, room, listener, places, seed))

    def placed_group(self, slot: GroupSlot, room: Room, positions: Positions, attempt: int = 0) -> ListenerGroup:
        """Return the group of a scene by hand; the same positions give the same RIRs under any scene's name.

        Raises:
            SpatialQAError: a source is at the centre of the head.
        """
        assert slot.placed is not None
        placed = slot.placed
        places = tuple(positions.place(placed.listener, source.position) for source in placed.sources)
        seed = seeds.derived_seed(self.recipe.seed, "placed group", digest(placed.positions()), attempt)
        return self._with_head(_in_room(slot, room, placed.listener, places, seed))

    def _with_head(self, group: ListenerGroup) -> ListenerGroup:
        """Return a group with a head of its split, drawn by the group's seed; unchanged where there is one head."""
        if not self.heads:
            return group
        own = self.heads[group.split]
        return replace(group, subject=own[int(seeds.rng(group.seed, "head", "subject").integers(len(own)))])

    def scenes(self, slot: GroupSlot, group: ListenerGroup) -> list[Scene]:
        """Draw all scenes of a group, in the order of their ids."""
        if slot.placed is not None:
            (scene_id,) = slot.scene_ids
            sounds = self.placed_sounds.draw(slot.placed, scene_id)
            return [replace(self._scene(scene_id, group, range(len(sounds)), 1, sounds), scene=slot.placed.name)]
        cast = self._cast(slot, group)
        uses = Counter(place for places, _ in cast.values() for place in places)
        return [
            self._scene(scene_id, group, places, max(uses[place] for place in places), sounds)
            for scene_id, (places, sounds) in cast.items()
        ]

    def _cast(self, slot: GroupSlot, group: ListenerGroup) -> dict[str, Cast]:
        if self.recipe.places_by_class():
            return self.matching.cast(slot, group)
        places = self._assign_places(slot, group)
        return {scene_id: (own, self.sounds.draw(scene_id, group.split, len(own))) for scene_id, own in places.items()}

    def _assign_places(self, slot: GroupSlot, group: ListenerGroup) -> dict[str, tuple[int, ...]]:
        counts = {scene_id: self.n_sources(scene_id) for scene_id in slot.scene_ids}
        if slot.split != "train":
            unused = iter(range(len(group.places)))
            return {scene_id: tuple(next(unused) for _ in range(n)) for scene_id, n in counts.items()}
        return {
            scene_id: tuple(
                int(i)
                for i in seeds.rng(self.recipe.seed, "places", scene_id).choice(
                    len(group.places), size=n, replace=False
                )
            )
            for scene_id, n in counts.items()
        }

    def redraw(self, slot: GroupSlot, scene: Scene, attempt: int) -> Scene | None:
        """Return a planned scene with other sounds; None of a scene by hand whose rows name every clip."""
        if slot.placed is None:
            return self.sounds.redraw(scene, attempt)
        if all(source.clip is not None for source in slot.placed.sources):
            return None
        return self.sounds.replay(scene, self.placed_sounds.draw(slot.placed, scene.scene_id, attempt), attempt)

    def _scene(
        self, scene_id: str, group: ListenerGroup, places: Sequence[int], reuse: int, sounds: Sequence[DrawnSound]
    ) -> Scene:
        assert group.house_id is not None  # a group that was drawn, not one read from its row
        recipe = self.recipe
        sources = []
        for index, sound in zip(places, sounds, strict=True):
            place = group.places[index]
            sources.append(
                Source(
                    **sound.columns(),
                    position=place.position,
                    azimuth_deg=place.azimuth_deg,
                    elevation_deg=place.elevation_deg,
                    distance_m=place.distance_m,
                    region_id=place.region_id,
                    region_label=place.region_label,
                    level_index=place.level_index,
                    line_of_sight=place.line_of_sight,
                    rir_id=group.rir_id(index),
                    height_m=place.height_m,
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
            rir_time_zero=str(self.engine.config.get("rir_time_zero", recipe.rir_time_zero)),
            listener_position=group.listener.position,
            listener_orientation=group.listener.orientation,
            gain_db=float(np.float32(recipe.gain_db)),  # as the table holds it
            rir_reuse_count=reuse,
            sources=tuple(sources),
            seed=self.sounds.seed(scene_id),
            recipe_hash=self.recipe_hash,
            subject=group.subject,
        )


def _in_room(slot: GroupSlot, room: Room, listener: Pose, places: tuple[Place, ...], seed: int) -> ListenerGroup:
    """Return the group of a slot whose listener and places are known; its region is the listener's."""
    region = room.region_at(listener.position)
    return ListenerGroup(
        group_id=slot.group_id,
        split=slot.split,
        room_set=room.room_set,
        room_id=room.room_id,
        room_sha256=room.sha256,
        house_id=room.house_id,
        listener=listener,
        places=places,
        seed=seed,
        region_id=region.region_id if region else None,
        region_label=region.label if region else None,
        level_index=region.level_index if region else None,
    )
