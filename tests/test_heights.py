"""Heights by class: every sound is where such a thing is, and classes are as frequent as without that rule."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.foley.clips import FoleyClips
from spatialqa.core.ontology import ontology, resolve_label
from spatialqa.core.scene import EngineIdentity, ListenerGroup, Scene
from spatialqa.errors import PlacementError
from spatialqa.generation import sound_sampling
from spatialqa.generation.plan import Planner
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.schedule import GroupSlot
from spatialqa.generation.sound_sampling import SoundSampler
from spatialqa.rooms.placement.kind_cells import chances_above
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.room import Room
from tests.rooms.shapes import box, room

IDENTITY = EngineIdentity("none", "0", "0", {}, "0", "none", 1.0, 32000, False)
HALL = room(box((0, 0, 0), (8, 2.8, 6)), box((4.0, 0.0, 2.0), (6.4, 0.75, 3.6)))
BANDS = {
    "floor": (0.3, 0.5),
    "table": (0.5, 1.5),
    "hand": (0.7, 1.8),
    "head": (1.0, 1.9),
    "ceiling": (1.8, 2.5),
    "anywhere": (0.2, 2.2),
}


def clips(*labels: str, each: int = 4) -> list[ClipRecord]:
    """Return clips of these classes; one that AudioSet lacks is custom."""
    found = []
    for label in labels:
        node = ontology().find(label)
        found += [
            ClipRecord(f"{label}/{k}", None, 32000, 5.0, None, (label,), (node.mid if node else None,))
            for k in range(each)
        ]
    return found


def planned(
    records: Sequence[ClipRecord], groups: int = 20, where: Room = HALL, split: str = "train", **changes: Any
) -> list[tuple[ListenerGroup, list[Scene]]]:
    recipe = replace(RenderRecipe(), **changes)
    planner = Planner(recipe, "hash", IDENTITY, {split: records})
    placer = Placer(where, heights="class" if recipe.places_by_class() else "any")
    result = []
    for g in range(groups):
        ids = tuple(f"{split}-{8 * g + k:08d}" for k in range(8 if split == "train" else 4))
        slot = GroupSlot(f"{split}-g{g:07d}", split, where.room_id, ids)
        group = planner.group(slot, where, placer)
        result.append((group, planner.scenes(slot, group)))
    return result


def classes(found: list[tuple[ListenerGroup, list[Scene]]]) -> Counter[str]:
    return Counter(source.labels[0] for _, scenes in found for scene in scenes for source in scene.sources)


def test_every_class_that_can_be_a_label_has_a_kind() -> None:
    nodes = ontology().nodes
    assert {node.height for node in nodes} == set(BANDS)
    assert all(node.height in BANDS for node in nodes if node.class_index is not None)
    for label, kind in (
        ("Walk, footsteps", "floor"),
        ("Bark", "floor"),
        ("Computer keyboard", "table"),
        ("Knock", "hand"),
        ("Speech", "head"),
        ("Smoke detector, smoke alarm", "ceiling"),
        ("Thunder", "ceiling"),
        ("White noise", "anywhere"),
    ):
        assert ontology().height_kind([resolve_label(label).mid]) == kind
    assert ontology().height_kind([None]) == "anywhere"
    music, guitar = resolve_label("Music").mid, resolve_label("Guitar").mid
    assert ontology().height_kind([music, guitar]) == "hand"  # the first that says where it is


@pytest.mark.parametrize("split", ["train", "test"])
def test_sounds_are_at_the_heights_of_their_class(split: str) -> None:
    found = planned(FoleyClips(4).records(), split=split)
    for group, scenes in found:
        for scene in scenes:
            assert len({source.rir_id for source in scene.sources}) == len(scene.sources)
            for source in scene.sources:
                place = group.places[source.place]
                assert source.position == place.position
                assert source.height_m == place.height_m == pytest.approx(source.position[1])
                low, high = BANDS[ontology().height_kind(source.mids)]
                assert low <= source.position[1] <= high
    if split == "test":
        used = [source.rir_id for _, scenes in found for scene in scenes for source in scene.sources]
        assert len(used) == len(set(used))


def test_the_same_sounds_are_drawn_as_at_any_height() -> None:
    """The rule chooses places, not classes: nearly every scene has the sounds that it would have without."""
    records = FoleyClips(4).records()
    by_class = [s for _, scenes in planned(records, 12) for s in scenes]
    at_any = [s for _, scenes in planned(records, 12, heights="any") for s in scenes]
    same = [
        [s.clip_id for s in a.sources] == [s.clip_id for s in b.sources] for a, b in zip(by_class, at_any, strict=True)
    ]
    assert np.mean(same) > 0.97


def test_half_of_the_sources_lie_above_the_ears_and_azimuths_are_even() -> None:
    found = planned(FoleyClips(2).records(), 100)
    sources = [s for _, scenes in found for scene in scenes for s in scene.sources]
    assert np.mean([s.elevation_deg > 0 for s in sources]) == pytest.approx(0.5, abs=0.05)
    from_plane = [abs((s.azimuth_deg + 45.0) % 90.0 - 45.0) for s in sources]
    counts = np.histogram(from_plane, np.arange(0, 46, 9))[0]
    assert np.abs(counts / counts.mean() - 1.0).max() < 0.2


def test_kinds_make_up_for_one_another_by_the_same_share() -> None:
    """Of 4 kinds with as many sources each, one lies below all ears and one above some of them."""
    ears = np.linspace(1.1, 1.8, 1000)
    heights = {name: np.linspace(*BANDS[name], 1000) for name in ("floor", "table", "head", "anywhere")}
    shares = dict.fromkeys(heights, 0.25)
    chance = chances_above(heights, ears, shares)
    lowest = {name: np.mean(ears <= np.quantile(own, 0.03)) for name, own in heights.items()}
    highest = {name: np.mean(ears < np.quantile(own, 0.97)) for name, own in heights.items()}
    above = {
        name: lowest[name] + chance[name] * (highest[name] - lowest[name]) for name in ("table", "head", "anywhere")
    }
    assert sum(above.values()) == pytest.approx(2.0, abs=1e-3)  # half of four
    assert above["table"] == pytest.approx(highest["table"])  # as far as it can
    assert above["head"] == pytest.approx(above["anywhere"])


@pytest.mark.parametrize("looked_at", [20_000, 10])
def test_shares_of_kinds_are_those_of_the_sounds_that_are_drawn(
    looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_sampling, "_LOOKED_AT", looked_at)
    records = [*clips("Thunder", each=60), *clips("Speech", each=20), *clips("Bark", "Meow", each=10)]
    by_class = SoundSampler(RenderRecipe(), {"train": records})
    assert by_class.kind_shares("train") == pytest.approx({"ceiling": 0.25, "head": 0.25, "floor": 0.5})
    by_clip = SoundSampler(replace(RenderRecipe(), class_balance="natural"), {"train": records})
    assert by_clip.kind_shares("train") == pytest.approx({"ceiling": 0.6, "head": 0.2, "floor": 0.2})


def test_a_low_room_has_no_sounds_from_the_ceiling() -> None:
    low = room(box((0, 0, 0), (8, 2.05, 6)))  # sources are 0.3 m below it
    found = planned(clips("Thunder", "Speech", "Bark", "Whistle"), 6, low)
    assert set(classes(found)) == {"Speech", "Bark", "Whistle"}
    with pytest.raises(PlacementError, match=r"no place for any sound of the train split.*ceiling"):
        planned(clips("Thunder", "Wind"), 1, low)


@pytest.mark.parametrize("split", ["train", "test"])
def test_few_classes_and_few_places_suffice(split: str) -> None:
    """Two classes of different kinds, and scenes of two: both places of a group are needed by every scene."""
    found = planned(clips("Bark", "Speech"), 5, split=split, sources_per_group=2, sources_per_scene={2: 1.0})
    for _, scenes in found:
        for scene in scenes:
            assert {source.labels[0] for source in scene.sources} == {"Bark", "Speech"}


def test_a_group_of_one_place_serves_scenes_of_its_kind_only() -> None:
    records = clips("Bark", "Meow", "Speech", "Cough", "Thunder", "Wind")
    found = planned(records, 60, sources_per_group=1, sources_per_scene={1: 1.0})
    for _, scenes in found:
        assert len({ontology().height_kind(s.sources[0].mids) for s in scenes}) == 1
    counts = classes(found)
    assert set(counts) == {record.labels[0] for record in records}
    assert min(counts.values()) > 30  # 80 of each by chance


def test_custom_labels_are_anywhere() -> None:
    found = planned(clips("my dishwasher", "the neighbour"), 10)
    heights = [s.position[1] for _, scenes in found for scene in scenes for s in scene.sources]
    assert min(heights) < 0.7
    assert max(heights) > 1.8


def test_sounds_that_are_drawn_again_are_of_the_same_kinds() -> None:
    records = FoleyClips(4).records()
    recipe = RenderRecipe()
    planner = Planner(recipe, "hash", IDENTITY, {"train": records})
    (_, scenes), *_ = planned(records, 1)
    slot = GroupSlot("train-g0000000", "train", HALL.room_id, ())
    for scene in scenes:
        for attempt in (1, 2):
            again = planner.redraw(slot, scene, attempt)
            assert again is not None
            assert [ontology().height_kind(s.mids) for s in again.sources] == [
                ontology().height_kind(s.mids) for s in scene.sources
            ]
            assert [s.position for s in again.sources] == [s.position for s in scene.sources]
            assert [s.clip_id for s in again.sources] != [s.clip_id for s in scene.sources]
