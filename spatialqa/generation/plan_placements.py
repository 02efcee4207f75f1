"""Plans a run of scenes by hand: rooms, splits, shards, and checks of all positions."""

import difflib
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.clip_table import by_id
from spatialqa.core.names import SPLITS
from spatialqa.errors import RecipeError
from spatialqa.generation.placed_sounds import PlacedSounds
from spatialqa.generation.placements import PlacedScene, Placements
from spatialqa.generation.plan import RunPlan
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.schedule import GroupSlot, ShardPlans, SplitLayout, group_id_of, scene_id_of
from spatialqa.generation.splits import split_clips
from spatialqa.rooms.placement.body import HEAD_RADIUS_M, in_body
from spatialqa.rooms.placement.positions import Positions
from spatialqa.rooms.room import RoomSet

_SHOWN = 3  # problems in a message


def plan_placements(
    recipe: RenderRecipe, rooms: RoomSet, records: Sequence[ClipRecord], placements: Placements
) -> RunPlan:
    """Lay out the shards of scenes by hand: a listener group for each scene; reads no mesh and no audio.

    Raises:
        RecipeError: a row names a room or a sound that is not there, or a house or a clip is in two splits.
    """
    if isinstance(rooms, BankRooms):
        raise RecipeError(f"placements need rooms to simulate, and {recipe.rooms} has RIRs of its own: use other rooms")
    scenes = _with_rooms(recipe, rooms, placements)
    for scene in scenes:
        for source in scene.sources:
            if source.onset_s >= recipe.duration_s:
                raise RecipeError(
                    f"{source.where}: onset_s {source.onset_s:g} must be less than duration_s {recipe.duration_s:g}"
                )
    houses = _houses(rooms, scenes)
    by_split = {split: [scene for scene in scenes if scene.split == split] for split in SPLITS}
    clips = _clips(recipe, records, by_split)
    layouts: list[SplitLayout] = []
    sounds = PlacedSounds(recipe.seed, clips)
    for split, own in by_split.items():
        for number, scene in enumerate(own):
            sounds.draw(scene, scene_id_of(split, number))
        if own:
            layouts.append(_lay_out(recipe, split, own))
    counts = {split: len(own) for split, own in by_split.items() if own}
    return RunPlan(ShardPlans(layouts), clips, counts, {split: len(houses[split]) for split in counts})


def check_positions(rooms: RoomSet, plan: RunPlan) -> None:
    """Raise RecipeError where a listener or a source lies in a wall, outside of the building, or in the head."""
    by_room: dict[str, list[PlacedScene]] = defaultdict(list)
    for shard in plan.shards:
        for slot in shard.groups:
            if slot.placed is not None:
                by_room[slot.room_id].append(slot.placed)
    problems: list[str] = []
    for room_id, scenes in by_room.items():
        positions = Positions(rooms.load(room_id))
        for scene in scenes:
            for who, problem in position_problems(positions, scene):
                where = f"{scene.where}: the listener" if who is None else f"{scene.sources[who].where}: the source"
                problems.append(f"{where} {problem}")
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise RecipeError(f"{'; '.join(problems[:_SHOWN])}{more}; move them, or allow it with --no-check-placements")


def position_problems(positions: Positions, scene: PlacedScene) -> list[tuple[int | None, str]]:
    """Return who of a scene cannot be where it is, a source by its index and the listener as None, and why."""
    listener, *sources = positions.problems([scene.listener_position, *(source.position for source in scene.sources)])
    found: list[tuple[int | None, str]] = [(None, listener)] if listener else []
    for k, (source, problem) in enumerate(zip(scene.sources, sources, strict=True)):
        if math.dist(scene.listener_position, source.position) < HEAD_RADIUS_M:
            problem = f"lies within the listener's head (less than {HEAD_RADIUS_M:g} m from its centre)"
        if problem:
            found.append((k, problem))
    return found


def body_warnings(scene: PlacedScene, radius_m: float) -> list[str]:
    """Return which sources of a scene lie inside the listener's body, as sentences; they are used as they are given."""
    offset = np.subtract([source.position for source in scene.sources], scene.listener_position)
    return [
        f"scene {scene.name!r}: source {number} lies inside the listener's body (less than {radius_m:g} m from the "
        f"vertical below the head), and no body is simulated"
        for number, inside in enumerate(in_body(offset, radius_m))
        if inside
    ]


def _with_rooms(recipe: RenderRecipe, rooms: RoomSet, placements: Placements) -> list[PlacedScene]:
    known = list(rooms.room_ids(None, recipe.seed)) if rooms.finite else None
    scenes = []
    for scene in placements.scenes:
        room_id = scene.room_id
        if room_id is None:
            if known is None or len(known) != 1:
                have = "has no end" if known is None else f"has {len(known)}"
                raise RecipeError(f"{scene.where}: names no room, and {recipe.rooms} {have}; fill in the column room")
            room_id = known[0]
        elif known is not None and room_id not in known:
            near = difflib.get_close_matches(room_id, known, n=3) or known[:3]
            raise RecipeError(f"{scene.where}: {recipe.rooms} has no room {room_id!r}; it has {', '.join(near)}")
        scenes.append(replace(scene, room_id=room_id))
    return scenes


def _houses(rooms: RoomSet, scenes: Sequence[PlacedScene]) -> dict[str, set[str]]:
    """Return the houses of every split; no house may be in two."""
    split_of: dict[str, str] = {}
    houses: dict[str, set[str]] = defaultdict(set)
    for scene in scenes:
        assert scene.room_id is not None
        house = rooms.house_of(scene.room_id)
        if split_of.setdefault(house, scene.split) != scene.split:
            raise RecipeError(
                f"{scene.where}: house {house} is in the splits {split_of[house]} and {scene.split}; a house belongs "
                f"to one split"
            )
        houses[scene.split].add(house)
    return houses


def _clips(
    recipe: RenderRecipe, records: Sequence[ClipRecord], by_split: Mapping[str, Sequence[PlacedScene]]
) -> dict[str, Sequence[ClipRecord]]:
    """Return the clips of every split: those that its rows name, and a share of the others to draw classes from."""
    sizes = {split: len(own) for split, own in by_split.items() if own}
    if len(sizes) == 1:
        return dict.fromkeys(sizes, records)
    named = _named_clips(by_split, by_id(records))
    contents = {_content(clip): split for clip, split in named.values()}
    a, b, c = (len(by_split[split]) / sum(sizes.values()) for split in SPLITS)
    others = split_clips(records, (a, b, c), recipe.seed, recipe.clip_splits == "official")
    return {
        split: sorted(
            [
                *(clip for clip in others.get(split, ()) if contents.get(_content(clip), split) == split),
                *(clip for clip, own in named.values() if own == split and clip not in others.get(split, ())),
            ],
            key=lambda clip: clip.clip_id,
        )
        for split in sizes
    }


def _named_clips(
    by_split: Mapping[str, Sequence[PlacedScene]], known: Callable[[str], ClipRecord | None]
) -> dict[str, tuple[ClipRecord, str]]:
    """Return the clips that rows name with their split; a recording may be in one only."""
    named: dict[str, tuple[ClipRecord, str]] = {}
    split_of: dict[str, str] = {}
    for split, scenes in by_split.items():
        for source in (source for scene in scenes for source in scene.sources):
            clip = known(source.clip) if source.clip is not None else None
            if clip is None:
                continue
            if split_of.setdefault(_content(clip), split) != split:
                raise RecipeError(
                    f"{source.where}: clip {clip.clip_id!r} is in the splits {split_of[_content(clip)]} and {split}; a "
                    f"recording belongs to one split"
                )
            named[clip.clip_id] = (clip, split)
    return named


def _content(clip: ClipRecord) -> str:
    return clip.origin or clip.sha256 or clip.clip_id


def _lay_out(recipe: RenderRecipe, split: str, scenes: Sequence[PlacedScene]) -> SplitLayout:
    """Return the shards of a split: scenes in the order of the table, and by room within a shard."""
    slots = []
    for number, scene in enumerate(scenes):
        assert scene.room_id is not None
        ids = (scene_id_of(split, number),)
        slots.append(GroupSlot(group_id_of(split, number), split, scene.room_id, ids, placed=scene))

    def groups_of(index: int) -> tuple[GroupSlot, ...]:
        own = slots[index * recipe.scenes_per_shard : (index + 1) * recipe.scenes_per_shard]
        first_use = {slot.room_id: at for at, slot in reversed(list(enumerate(own)))}
        return tuple(sorted(own, key=lambda slot: first_use[slot.room_id]))

    return SplitLayout(split, -(-len(slots) // recipe.scenes_per_shard), len(slots), groups_of)
