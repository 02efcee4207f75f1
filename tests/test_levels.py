"""Four hundred real scenes at the default settings: few draws clip, level tells distance, the quiet ear is not lost."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import linregress, spearmanr

from spatialqa.core.audio_io import decode_flac
from spatialqa.core.geometry import to_head
from spatialqa.core.scene import Scene, Source
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, read_scenes, scene_files
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.replay import StoredRun
from spatialqa.generation.stored_recipe import stored_recipe
from tests.fixtures.datasets import render

# Sounds of one or a few tones: a wall may put a tone in phase at one ear and out of phase at the other.
TONES = {
    *("Bicycle bell", "Chime", "Chink, clink", "Ding-dong", "Flute", "Glockenspiel", "Marimba, xylophone", "Organ"),
    *("Piano", "Whistle", "Whistling"),
}
PCM_24_NOISE_DBFS = 20 * np.log10(2.0**-23 / np.sqrt(12))  # -149


@dataclass(frozen=True)
class Heard:
    scene: Scene
    peak: float
    ears_dbfs: npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    root = tmp_path_factory.mktemp("levels") / "data"
    # few clips of each class, so that most of the time goes into rooms
    render(RenderRecipe(scenes=400, seed=11, foley_clips_per_class=4, scenes_per_shard=64, workers=0), root)
    return DatasetFolder(root)


@pytest.fixture(scope="module")
def heard(rendered: DatasetFolder) -> list[Heard]:
    result = []
    for path in scene_files(rendered):
        for scene, flac in read_audio(path):
            audio, _ = decode_flac(flac)
            power = np.mean(np.square(audio, dtype=np.float64), axis=1)
            result.append(Heard(scene, float(np.abs(audio).max()), 10 * np.log10(power)))
    assert len(result) == 400
    return result


def sources(heard: list[Heard]) -> list[Source]:
    return [source for item in heard for source in item.scene.sources]


def wet_minus_dry_db(source: Source) -> float:
    """Return the level that the room and the way through it leave of a sound, both ears as power."""
    assert source.wet_level_dbfs is not None
    assert source.dry_level_dbfs is not None
    return (
        float(10 * np.log10(np.mean([10 ** (level / 10) for level in source.wet_level_dbfs]))) - source.dry_level_dbfs
    )


def nearer_is_higher(heard: list[Heard], value: Callable[[Source], float]) -> list[bool]:
    """Tell of pairs of places that a listener sees whether the nearer has more of a value; one is twice as far."""
    groups: dict[str, dict[str, Source]] = defaultdict(dict)
    for item in heard:
        for source in item.scene.sources:
            if source.line_of_sight:
                groups[item.scene.group_id][source.rir_id] = source
    pairs = [pair for places in groups.values() for pair in itertools.combinations(places.values(), 2)]
    ordered = [sorted(pair, key=lambda source: source.distance_m) for pair in pairs]
    return [value(near) > value(far) for near, far in ordered if far.distance_m > 2 * near.distance_m]


def test_few_draws_clip_and_most_scenes_have_headroom(rendered: DatasetFolder, heard: list[Heard]) -> None:
    """Seen: 4 of 404 draws clip; peaks have their median at -12.5 dBFS and their 95th percentile at -4.2 dBFS."""
    rejects = [
        json.loads(line)
        for path in rendered.meta.glob("rejects/*-of-*.jsonl")
        for line in path.read_text().splitlines()
    ]
    clipped = [item for item in rejects if item["reason"].startswith("ClippedSceneError")]
    assert len(clipped) <= 0.03 * len(heard)
    assert [item for item in rejects if item["kind"] == "scene"] == []
    peaks_dbfs = 20 * np.log10([item.peak for item in heard])
    assert np.median(peaks_dbfs) < -11
    assert np.quantile(peaks_dbfs, 0.95) < -3
    assert np.median(peaks_dbfs) > -30  # the other way to have no clipped scene


def test_the_quieter_ear_stays_30_db_above_the_noise_of_the_file(heard: list[Heard]) -> None:
    assert min(item.ears_dbfs.min() for item in heard) > PCM_24_NOISE_DBFS + 30


def test_level_falls_with_distance(heard: list[Heard]) -> None:
    seen = [source for source in sources(heard) if source.line_of_sight]
    distance = [np.log2(source.distance_m) for source in seen]
    level = [wet_minus_dry_db(source) for source in seen]
    assert spearmanr(distance, level).statistic < -0.5  # over four seeds: -0.60 to -0.71
    slope = linregress(distance, level).slope
    assert -6.5 < slope < -2.0  # dB a doubling: 6 in the open, less where the room answers
    assert np.mean(nearer_is_higher(heard, wet_minus_dry_db)) > 0.82  # over four seeds: 0.86 to 0.91


def test_hidden_sources_are_quieter_than_seen_ones_at_the_same_distance(heard: list[Heard]) -> None:
    near = [source for source in sources(heard) if 2.0 < source.distance_m < 5.0]
    seen = [wet_minus_dry_db(source) for source in near if source.line_of_sight]
    hidden = [wet_minus_dry_db(source) for source in near if not source.line_of_sight]
    assert len(hidden) > 20
    assert np.mean(hidden) < np.mean(seen) - 2


def right_of(scene: Scene, source: Source) -> float:
    """Return the sine of the angle by which a source lies to the right of the listener's median plane."""
    return float(to_head(scene.listener, source.position)[0]) / source.distance_m


def nearer_minus_farther_db(right: float, ears: npt.ArrayLike) -> float:
    """Return by how much the ear on the side of the source is louder, from the levels of the left and the right ear."""
    left_db, right_db = np.asarray(ears)
    return float(np.sign(right) * (right_db - left_db))


def test_the_louder_ear_is_on_the_side_of_the_source(heard: list[Heard]) -> None:
    """Where the direct sound is not drowned by the room: behind a near wall the far ear may get more of the rest."""
    ild_db, ratio_db = [], []
    for item in heard:
        for source in item.scene.sources:
            right = right_of(item.scene, source)
            wide = TONES.isdisjoint(source.labels)
            if source.wet_level_dbfs and source.drr_db is not None and abs(right) > 0.5 and wide:
                ild_db.append(nearer_minus_farther_db(right, source.wet_level_dbfs))
                ratio_db.append(source.drr_db)
    clear = np.array(ild_db)[np.array(ratio_db) > -3]
    assert len(clear) > 20
    assert clear.min() > -1  # low sounds have hardly any level difference
    assert np.mean(clear > 0) > 0.9
    assert np.mean(np.array(ild_db) > 0) > 0.8


def test_the_responses_of_lateral_places_differ_by_3_db_and_more(rendered: DatasetFolder, heard: list[Heard]) -> None:
    """The same of the RIRs, whose spectrum is even: how far the ears differ in a scene also depends on its sounds."""
    groups = {row["group_id"]: row for path in (rendered.root / "groups").glob("*.parquet") for row in read_rows(path)}
    lateral: dict[tuple[str, tuple[float, ...]], float] = {}
    for item in heard:
        for source in item.scene.sources:
            right = right_of(item.scene, source)
            if source.drr_db is not None and source.drr_db > -3 and abs(right) > 0.5:
                lateral[item.scene.group_id, tuple(source.position)] = right
    assert len(lateral) > 20
    differences = []
    with StoredRun(stored_recipe(rendered)) as run:
        for (group_id, position), right in lateral.items():
            simulated = run.simulate(groups[group_id], [])
            (rir,) = [
                rir
                for place, rir in zip(simulated.group.places, simulated.rirs, strict=True)
                if tuple(place.position) == position
            ]
            levels_db = 10 * np.log10(np.sum(np.square(rir, dtype=np.float64), axis=1))
            differences.append(nearer_minus_farther_db(right, levels_db))
    assert min(differences) > -1
    assert np.mean(np.array(differences) > 0) > 0.95
    assert np.mean(differences) > 3


def test_reverberation_is_measured_and_spread(heard: list[Heard]) -> None:
    times = [source.rt60_s for source in sources(heard) if source.rt60_s is not None]
    assert len(times) > 0.9 * len(sources(heard))
    assert np.quantile(times, 0.05) < 0.45
    assert np.quantile(times, 0.95) > 0.8
    ratios = [(source.drr_db, source.distance_m) for source in sources(heard) if source.drr_db is not None]
    assert all(source.drr_db is None for source in sources(heard) if not source.line_of_sight)
    assert spearmanr(*zip(*ratios, strict=True)).statistic < -0.3  # over four seeds: -0.36 to -0.50; rooms differ
    assert np.mean(nearer_is_higher(heard, lambda source: source.drr_db or 0.0)) > 0.8  # 0.84 to 0.89


def test_directions_and_distances_are_spread(tmp_path: Path) -> None:
    render(RenderRecipe(scenes=800, seed=3, plan_only=True, workers=0, sources_per_scene={1: 1.0}), tmp_path / "plan")
    scenes = [s for path in scene_files(DatasetFolder(tmp_path / "plan")) for s in read_scenes(path)]
    places = {scene.sources[0].rir_id: scene.sources[0] for scene in scenes}.values()
    azimuth = np.array([place.azimuth_deg for place in places])
    elevation = np.array([place.elevation_deg for place in places])
    octant = 4 * (azimuth > 0) + 2 * (np.abs(azimuth) < 90) + (elevation > 0)
    assert np.bincount(octant, minlength=8) / len(octant) == pytest.approx(np.full(8, 1 / 8), abs=0.05)
    distance = np.array([place.distance_m for place in places])
    assert distance.min() >= 0.5
    assert distance.max() <= 10.0
    shares = np.histogram(distance, bins=[0.5, 1.5, 2.5, 3.5, 4.5])[0] / len(distance)
    assert shares.min() > 0.1  # as even as homes allow; bunched at the typical, the ends would be near 0.05
