from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import pytest

from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.foley.clips import FoleyClips
from spatialqa.core.geometry import direction
from spatialqa.core.ontology import ontology, resolve_label
from spatialqa.core.scene import EngineIdentity, ListenerGroup, Scene
from spatialqa.errors import ClipError, RoomError
from spatialqa.generation.plan import Planner, RunPlan, plan_run
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.schedule import ShardPlans, lay_out
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.procedural.homes import ProceduralRooms

IDENTITY = EngineIdentity("none", "0", "0", {}, "0", "none", 1.0, 32000, False)
RECIPE = RenderRecipe(scenes=200, home_kinds=["shoebox"], splits="0.6,0.2,0.2", scenes_per_shard=64)


def planned(recipe: RenderRecipe) -> RunPlan:
    return plan_run(recipe, ProceduralRooms(recipe.home_kinds or None), FoleyClips(20).records())


def drawn(recipe: RenderRecipe, split: str, groups: int) -> list[tuple[ListenerGroup, list[Scene]]]:
    rooms, plan = ProceduralRooms(recipe.home_kinds or None), planned(recipe)
    planner = Planner(recipe, "hash", IDENTITY, plan.clips)
    slots = [slot for shard in plan.shards if shard.split == split for slot in shard.groups][:groups]
    result = []
    for slot in slots:
        room = rooms.load(slot.room_id)
        group = planner.group(slot, room, Placer(room, heights=planner.recipe.heights))
        result.append((group, planner.scenes(slot, group)))
    return result


def test_every_scene_is_planned_once_and_shards_hold_whole_groups() -> None:
    plan = planned(RECIPE)
    ids = [scene for shard in plan.shards for slot in shard.groups for scene in slot.scene_ids]
    assert len(ids) == len(set(ids)) == 200
    assert Counter(scene.split("-")[0] for scene in ids) == {"train": 120, "validation": 40, "test": 40}
    groups = Counter(slot.group_id for shard in plan.shards for slot in shard.groups)
    assert set(groups.values()) == {1}
    for shard in plan.shards:
        numbers = sorted(int(s.rpartition("-")[2]) for slot in shard.groups for s in slot.scene_ids)
        assert numbers == list(range(numbers[0], numbers[0] + shard.n_scenes))


def test_two_workers_share_192_scenes_evenly() -> None:
    """Each takes the next shard as soon as it is free; a group costs about as much as five scenes (bench)."""
    for splits in ("auto", "1,0,0"):
        plan = planned(RenderRecipe(scenes=192, splits=splits))
        order = [plan.shards[index] for index in plan.shards.longest_first(range(len(plan.shards)))]
        costs = [5 * len(shard.groups) + shard.n_scenes for shard in order]
        busy = [0, 0]
        for cost in costs:
            busy[busy.index(min(busy))] += cost
        assert max(busy) <= 1.03 * sum(costs) / 2


def test_long_shards_are_made_first_and_short_ones_last() -> None:
    recipe = RenderRecipe(scenes=192)
    shards = plan_run(recipe, ProceduralRooms(), FoleyClips().records()).shards
    order = shards.longest_first(range(len(shards)))
    assert sorted(order) == list(range(len(shards)))
    made = [(shards[index].split, shards[index].n_scenes) for index in order]
    assert made[:2] == [("validation", 16), ("test", 16)]  # a group has a scene or two, and each group its simulation
    assert made[2:-2] == [("train", 16)] * 9 + [("train", 10)]
    assert made[-2:] == [("validation", 3), ("test", 3)]
    some = [index for index in range(len(shards)) if index % 3]
    assert shards.longest_first(some) == [index for index in order if index % 3]
    one_split = plan_run(replace(recipe, splits="1,0,0"), ProceduralRooms(), FoleyClips().records()).shards
    assert one_split.longest_first(range(12)) == list(range(12))


def test_a_huge_run_is_laid_out_shard_by_shard() -> None:
    layout = lay_out(RECIPE, "train", ["a", "b"], 10**9)
    plans = ShardPlans([lay_out(RECIPE, "train", ["a", "b"], 200), layout])
    assert len(plans) == 4 + 15_625_000
    last = plans[-1]
    assert last.name == f"train-{15_625_000 - 1:05d}-of-15625000"
    assert "train-999999999" in {scene for slot in last.groups for scene in slot.scene_ids}
    assert plans[3] == plans[:4][3]
    assert plans[4].index == 0
    assert [name for name, _ in zip(plans.names(), range(5), strict=False)] == [shard.name for shard in plans[:5]]
    with pytest.raises(IndexError):
        plans[len(plans)]


def test_rows_of_a_shard_do_not_follow_the_rooms() -> None:
    rows = {scene: slot.room_id for slot in planned(RECIPE).shards[0].groups for scene in slot.scene_ids}
    rooms = [rows[scene] for scene in sorted(rows)]
    changes = sum(a != b for a, b in pairwise(rooms))
    assert changes > 3 * len(set(rooms))  # in order of rooms it would change len - 1 times


def test_houses_and_clips_of_splits_are_disjoint() -> None:
    plan = planned(RECIPE)
    rooms: dict[str, set[str]] = {}
    for shard in plan.shards:
        rooms.setdefault(shard.split, set()).update(slot.room_id for slot in shard.groups)
    assert not rooms["train"] & rooms["validation"]
    assert not rooms["train"] & rooms["test"]
    assert not rooms["validation"] & rooms["test"]
    clip_ids = [record.clip_id for records in plan.clips.values() for record in records]
    assert len(clip_ids) == len(set(clip_ids))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    once, again = drawn(RECIPE, "train", 3), drawn(RECIPE, "train", 3)
    assert once == again
    other = drawn(replace(RECIPE, seed=1), "train", 3)
    assert [group.room_id for group, _ in other] != [group.room_id for group, _ in once]


def test_shards_of_another_size_plan_the_same_scenes_by_id() -> None:
    def ids(recipe: RenderRecipe) -> list[str]:
        return sorted(scene for shard in planned(recipe).shards for slot in shard.groups for scene in slot.scene_ids)

    assert ids(replace(RECIPE, scenes_per_shard=8)) == ids(replace(RECIPE, scenes_per_shard=1000))
    assert len(planned(replace(RECIPE, scenes_per_shard=8)).shards) > len(planned(RECIPE).shards)


def test_truth_follows_from_the_positions() -> None:
    for group, scenes in drawn(RECIPE, "train", 3):
        for scene in scenes:
            for source in scene.sources:
                truth = direction(group.listener, source.position)
                found = (source.azimuth_deg, source.elevation_deg, source.distance_m)
                assert found == pytest.approx(tuple(truth))
                assert scene.listener == group.listener
                assert group.places[int(source.rir_id.rpartition("/")[2])].position == source.position


def test_evaluation_splits_use_each_rir_once_and_training_counts_its_reuse() -> None:
    for split in ("validation", "test"):
        for group, scenes in drawn(RECIPE, split, 6):
            used = [source.rir_id for scene in scenes for source in scene.sources]
            assert len(used) == len(set(used)) == len(group.places)
            assert {scene.rir_reuse_count for scene in scenes} == {1}
    for _, scenes in drawn(RECIPE, "train", 6):
        uses = Counter(source.rir_id for scene in scenes for source in scene.sources)
        for scene in scenes:
            assert scene.rir_reuse_count == max(uses[source.rir_id] for source in scene.sources)


def test_the_number_of_sources_follows_the_recipe() -> None:
    recipe = replace(RECIPE, scenes=3000, sources_per_scene={1: 0.25, 2: 0.5, 3: 0.25})
    planner = Planner(recipe, "hash", IDENTITY, planned(recipe).clips)
    counts = Counter(planner.n_sources(f"train-{i:08d}") for i in range(3000))
    assert counts[2] == pytest.approx(1500, abs=120)
    assert counts[1] == pytest.approx(750, abs=100)


def test_sounds_of_a_scene_can_be_told_apart_by_name() -> None:
    tree = ontology()
    recipe = replace(RECIPE, sources_per_scene={3: 1.0})
    for _, scenes in drawn(recipe, "train", 8):
        for scene in scenes:
            mids = [mid for source in scene.sources for mid in source.mids if mid]
            assert not any(tree.related(a, b) for i, a in enumerate(mids) for b in mids[:i])


def test_clips_that_cannot_be_told_apart_are_an_error() -> None:
    dog, bark = resolve_label("Dog"), resolve_label("Bark")
    records = [
        ClipRecord(f"{ref.name}/{i}", f"{ref.name}{i}", 32000, 1.0, None, (ref.name,), (ref.mid,))
        for ref in (dog, bark)
        for i in range(5)
    ]
    recipe = RenderRecipe(scenes=4, splits="1,0,0", sources_per_scene={2: 1.0}, home_kinds=["shoebox"])
    rooms = ProceduralRooms(["shoebox"])
    plan = plan_run(recipe, rooms, records)
    planner, slot = Planner(recipe, "hash", IDENTITY, plan.clips), plan.shards[0].groups[0]
    room = rooms.load(slot.room_id)
    with pytest.raises(ClipError, match="distinct labels"):
        planner.scenes(slot, planner.group(slot, room, Placer(room, heights=planner.recipe.heights)))


def test_a_fixed_yaw_and_random_starts_and_onsets() -> None:
    recipe = replace(RECIPE, yaw="90", clip_start="random", onset_max_s=5.0, duration_s=6.0)
    starts, onsets = [], []
    for group, scenes in drawn(recipe, "train", 4):
        assert group.listener.orientation == pytest.approx((2**-0.5, 0, 2**-0.5, 0))
        onsets += [source.onset_s for scene in scenes for source in scene.sources]
        starts += [source.clip_start_s or 0.0 for scene in scenes for source in scene.sources]
    assert 0 <= min(onsets) < 1.5 < 3.5 < max(onsets) <= 5.0
    assert max(starts) > 0


def test_one_house_is_all_train_by_default_and_an_error_when_splits_are_asked() -> None:
    class OneHome(ProceduralRooms):
        def room_ids(self, count: int | None, seed: int) -> list[str]:
            return ["home-000001"]

    records = FoleyClips(20).records()
    assert dict(plan_run(RenderRecipe(scenes=40), OneHome(), records).scenes) == {"train": 40}
    with pytest.raises(RoomError, match="--splits 1,0,0"):
        plan_run(RenderRecipe(scenes=40, splits="0.8,0.1,0.1"), OneHome(), records)


class ListedHomes(ProceduralRooms):
    """Homes whose makers say which split they are in; the first of them they leave out."""

    finite = True
    lists: ClassVar = {"home-000001": "train", "home-000002": "train", "home-000003": "train", "home-000004": "test"}

    def room_ids(self, count: int | None, seed: int) -> list[str]:
        return ["home-000005", *self.lists][:count]

    def official_split(self, house_id: str) -> str | None:
        return self.lists.get(house_id)


def test_houses_keep_the_splits_of_their_makers() -> None:
    records = FoleyClips(20).records()
    plan = plan_run(RenderRecipe(scenes=400), ListedHomes(), records)
    rooms = {slot.room_id: shard.split for shard in plan.shards for slot in shard.groups}
    assert rooms == ListedHomes.lists  # a house on no list is not used
    assert set(plan.scenes) == {"train", "test"}
    alone = plan_run(
        RenderRecipe(scenes=400, splits="1,0,0"), ListedHomes(), records
    )  # draws no more than one to look at
    assert {slot.room_id for shard in alone.shards for slot in shard.groups} == {
        "home-000001",
        "home-000002",
        "home-000003",
    }
    by_seed = plan_run(RenderRecipe(scenes=400, splits="1,0,0", room_splits="random"), ListedHomes(), records)
    assert len({slot.room_id for shard in by_seed.shards for slot in shard.groups}) == 5
    with pytest.raises(RoomError, match="the validation split has no house"):
        plan_run(RenderRecipe(scenes=400, splits="0.8,0.1,0.1"), ListedHomes(), records)


def test_few_houses_are_shared_out_evenly() -> None:
    class ThreeHomes(ProceduralRooms):
        def room_ids(self, count: int | None, seed: int) -> list[str]:
            return ["home-000001", "home-000002", "home-000003", "home-000004"][:count]

    plan = plan_run(replace(RECIPE, scenes=400, splits="0.5,0.25,0.25"), ThreeHomes(), FoleyClips(20).records())
    by_room = Counter(slot.room_id for shard in plan.shards for slot in shard.groups if shard.split == "train")
    assert len(by_room) == 2
    assert max(by_room.values()) - min(by_room.values()) <= 1
