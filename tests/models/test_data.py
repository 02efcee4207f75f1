"""Batches from stored scenes and from stored RIRs: what they hold, their order, and what is refused."""

import hashlib
import io
import multiprocessing
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.reading import read_audio, read_scenes
from spatialqa.errors import DatasetError
from spatialqa.generation.convolution import Convolver
from spatialqa.models.data.loading import SceneLoader, loader
from spatialqa.models.data.on_the_fly import DryBatch, OnTheFlyDataset, convolve
from spatialqa.models.data.scene_index import class_vocabulary, paper_vocabulary
from spatialqa.models.data.scenes import Batch, RowReader, SceneDataset, shuffled_batches
from tests.fixtures.datasets import SMALL, render
from tests.fixtures.records import recorded


def digest(batch: Batch) -> str:
    parts = [batch.waveform, batch.scene, batch.slot, batch.classes, batch.azimuth_deg, batch.distance_m]
    return hashlib.sha256(b"".join(p.numpy().tobytes() for p in parts) + "".join(batch.scene_id).encode()).hexdigest()


def stored(root: Path, split: str) -> list[tuple[Scene, bytes]]:
    return [pair for path in DatasetFolder(root).tables("scenes") if split in path.name for pair in read_audio(path)]


# --- what a batch holds ---------------------------------------------------------------------------------------------


def test_a_batch_is_the_stored_scenes_with_the_gain_undone(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    batches = list(loader(SceneDataset(small, "train", vocabulary, sources=(1, 2), shuffle=False), 5))
    scenes = stored(small, "train")
    assert [i for batch in batches for i in batch.scene_id] == [scene.scene_id for scene, _ in scenes]
    waveforms = torch.cat([batch.waveform for batch in batches]).numpy()
    for (scene, flac), waveform in zip(scenes, waveforms, strict=True):
        audio, _ = soundfile.read(io.BytesIO(flac), always_2d=True)
        np.testing.assert_allclose(waveform, audio.T / 10 ** (scene.gain_db / 20), rtol=1e-5, atol=1e-7)
    assert waveforms.dtype == np.float32


def test_every_source_has_its_row_of_truth(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    rows = []
    for batch in loader(SceneDataset(small, "train", vocabulary, sources=(1, 2), shuffle=False), 5):
        names = [batch.scene_id[int(k)] for k in batch.scene]
        angles = zip(batch.azimuth_deg.tolist(), batch.elevation_deg.tolist(), batch.distance_m.tolist(), strict=True)
        labels = [{vocabulary[int(c)] for c in row.nonzero()} for row in batch.classes]
        rows += list(zip(names, batch.slot.tolist(), angles, labels, strict=True))
    expected = [
        (scene.scene_id, k, (s.azimuth_deg, s.elevation_deg, s.distance_m), set(s.mids))
        for scene, _ in stored(small, "train")
        for k, s in enumerate(scene.sources)
    ]
    assert len(rows) == len(expected)
    for ours, truth in zip(rows, expected, strict=True):
        assert ours[:2] == truth[:2]
        assert ours[2] == pytest.approx(truth[2], rel=1e-6)
        assert ours[3] == truth[3]


@pytest.mark.parametrize("sources", [1, 2])
def test_scenes_are_kept_by_their_number_of_sources(small: Path, sources: int) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), sources=sources)
    expected = {scene.scene_id for scene, _ in stored(small, "train") if len(scene.sources) == sources}
    batch = next(iter(loader(dataset, 99)))
    assert set(batch.scene_id) == expected
    assert len(batch.azimuth_deg) == sources * len(expected)


def test_the_vocabulary_is_what_the_split_has_in_a_fixed_order(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    assert set(vocabulary) == {mid for scene, _ in stored(small, "train") for s in scene.sources for mid in s.mids}
    assert vocabulary == class_vocabulary([small, small])
    assert len(paper_vocabulary()) == 355
    everything = paper_vocabulary()
    assert [mid for mid in everything if mid in vocabulary] == [mid for mid in vocabulary if mid in everything]


def test_classes_that_training_never_had_are_left_out(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    without = vocabulary[1:]
    batches = loader(SceneDataset(small, "train", without, sources=(1, 2), shuffle=False), 99)
    whole = loader(SceneDataset(small, "train", vocabulary, sources=(1, 2), shuffle=False), 99)
    assert torch.equal(next(iter(batches)).classes, next(iter(whole)).classes[:, 1:])


# --- in which order -------------------------------------------------------------------------------------------------


def run(dataset: SceneDataset, workers: int, **options: Any) -> list[str]:
    return [digest(batch.to("cpu")) for batch in loader(dataset, 2, workers, **options)]


def test_workers_change_neither_order_nor_content(small: Path) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), sources=(1, 2), seed=3)
    here = run(dataset, 0)
    assert len(here) == len(set(here)) == 6
    assert run(dataset, 1) == here
    assert run(dataset, 2) == here


def test_seed_and_epoch_change_the_order_and_nothing_else_does(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    first = SceneDataset(small, "train", vocabulary, sources=(1, 2), seed=3)
    assert run(first, 0) == run(SceneDataset(small, "train", vocabulary, sources=(1, 2), seed=3), 0)
    assert run(first, 0, epoch=1) != run(first, 0)
    assert run(SceneDataset(small, "train", vocabulary, sources=(1, 2), seed=4), 0) != run(first, 0)


def test_a_run_goes_on_in_the_middle_of_an_epoch(small: Path) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), sources=(1, 2))
    whole = run(dataset, 0, epoch=2)
    for start in (1, 4, len(whole)):
        assert run(dataset, 0, epoch=2, start=start) == whole[start:]
    assert run(dataset, 2, epoch=2, start=3) == whole[3:]


def test_processes_share_an_epoch_evenly(small: Path) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), sources=(1, 2))
    whole = run(dataset, 0)
    parts = [run(dataset, 0, rank=rank, world=2) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    assert sorted(parts[0] + parts[1]) == sorted(whole)


def test_every_scene_comes_once_an_epoch_and_well_mixed() -> None:
    file = np.repeat(np.arange(40), 64)
    batches = shuffled_batches(file, 32, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(file)))
    assert {len(batch) for batch in batches} == {32}
    files = [len(set(file[batch])) for batch in batches]
    assert np.median(files) >= 6  # a file holds the scenes of a few rooms: a batch of one file would be of few rooms
    position = np.empty(len(file))
    position[np.concatenate(batches)] = np.arange(len(file))
    assert abs(np.corrcoef(position, np.arange(len(file)))[0, 1]) < 0.2


def test_workers_whose_number_divides_the_lanes_share_no_file() -> None:
    file = np.repeat(np.arange(40), 64)
    batches = shuffled_batches(file, 32, np.random.default_rng(0), lanes=4)
    readers = [set(file[np.concatenate(batches[worker:72:2])]) for worker in range(2)]
    assert not readers[0] & readers[1]


def test_the_last_batch_that_is_not_whole_is_kept_for_judging_and_left_out_of_training(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    judged = SceneDataset(small, "train", vocabulary, sources=(1, 2), shuffle=False)
    trained = SceneDataset(small, "train", vocabulary, sources=(1, 2))
    assert [len(b) for b in judged.batches(5)] == [5, 5, 2]
    assert [len(b) for b in trained.batches(5)] == [5, 5]
    assert [len(b) for b in trained.batches(50)] == [12]


def test_several_data_sets_are_read_as_one(small: Path) -> None:
    dataset = SceneDataset([small, small], "train", class_vocabulary(small), sources=(1, 2))
    counts = Counter(i for batch in loader(dataset, 4) for i in batch.scene_id)
    assert set(counts.values()) == {2}
    assert len(counts) == 12


# --- what is refused ------------------------------------------------------------------------------------------------


def changed(small: Path, root: Path, change: Any) -> Path:
    """Copy a data set and let `change` alter the table of every file of scenes."""
    shutil.copytree(small, root)
    for path in DatasetFolder(root).tables("scenes"):
        table = pq.read_table(path)
        pq.write_table(change(table), path)
    return recorded(root)


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: with_column(t, "audio", pa.nulls(len(t), t.schema.field("audio").type)), "planned only"),
        (lambda t: with_column(t, "channels", pa.array(["foa"] * len(t))), "has foa scenes"),
        (lambda t: with_column(t, "duration_s", pa.array([2.0 + k for k in range(len(t))])), "mixes scenes"),
        (lambda t: t.drop_columns(["gain_db"]), "cannot be read as scenes of spatialqa"),
    ],
)
def test_scenes_that_cannot_be_trained_on_are_refused_in_one_line(
    small: Path, tmp_path: Path, change: Any, words: str
) -> None:
    vocabulary = class_vocabulary(small)
    root = changed(small, tmp_path / "changed", change)
    with pytest.raises(DatasetError, match=words) as error:
        SceneDataset(root, "train", vocabulary)
    assert "\n" not in str(error.value)
    assert str(root) in str(error.value)


def test_a_split_or_a_number_of_sources_that_is_not_there_is_named(small: Path, tmp_path: Path) -> None:
    vocabulary = class_vocabulary(small)
    with pytest.raises(DatasetError, match="no dev split, only test, train, validation"):
        SceneDataset(small, "dev", vocabulary)
    with pytest.raises(DatasetError, match="no scene of 3 sources"):
        SceneDataset(small, "train", vocabulary, sources=3)
    with pytest.raises(DatasetError, match="no such data set"):
        class_vocabulary(tmp_path / "nothing")


def test_loading_processes_are_kept_between_epochs_and_give_the_same_batches(small: Path) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), (1, 2), seed=3)
    kept = SceneLoader(dataset, 2, workers=2)
    next(kept.epoch(5))  # an epoch that is not finished
    processes = set()
    for epoch, start in ((0, 0), (1, 0), (1, 2)):
        made = [digest(batch) for batch in kept.epoch(epoch, start)]
        assert made == [digest(batch) for batch in loader(dataset, 2, epoch=epoch, start=start)]
        assert len(made) == kept.count(epoch) - start
        processes |= {process.pid for process in multiprocessing.active_children()}
    assert len(processes) == 2


def test_damaged_sound_is_named(small: Path, tmp_path: Path) -> None:
    def damage(table: pa.Table) -> pa.Table:
        sounds = [{**item, "bytes": b"fLaC" + bytes(50)} for item in table["audio"].to_pylist()]
        return with_column(table, "audio", pa.array(sounds, table.schema.field("audio").type))

    root = changed(small, tmp_path / "damaged", damage)
    dataset = SceneDataset(root, "train", class_vocabulary(small), shuffle=False)
    with pytest.raises(
        DatasetError, match=r"train-00000000.*cannot be decoded|: train-\d+: its audio cannot be decoded"
    ):
        list(loader(dataset, 2))


# --- on the fly -----------------------------------------------------------------------------------------------------


def rms_dbfs(a: Any, b: Any, gain_db: float) -> float:
    """Return the RMS of the difference of two waveforms at the level at which they would be stored."""
    difference = (a - b).double() * 10 ** (gain_db / 20)
    return float(10 * torch.log10(difference.square().mean((1, 2)).max()))


def test_the_batched_convolution_is_the_renderers() -> None:
    rng = np.random.default_rng(0)
    dry, rir = rng.standard_normal((3, 4000), np.float32), rng.standard_normal((3, 2, 900), np.float32)
    together = convolve(torch.from_numpy(dry), torch.from_numpy(rir)).numpy()
    for k in range(3):
        np.testing.assert_allclose(together[k], Convolver(rir[k])(dry[k])[:, :4000], atol=2e-4)


@pytest.mark.parametrize("sources", [1, 2])
def test_on_the_fly_is_what_was_stored(small: Path, sources: int) -> None:
    vocabulary = class_vocabulary(small)
    read = SceneDataset(small, "train", vocabulary, sources, seed=1)
    made = OnTheFlyDataset(small, "train", vocabulary, sources, seed=1)
    pairs = list(zip(loader(read, 3), loader(made, 3, workers=2), strict=True))
    assert pairs
    for old, dry in pairs:
        assert isinstance(dry, DryBatch)
        new = dry.to("cpu")
        assert new.scene_id == old.scene_id
        for name in ("scene", "slot", "classes", "azimuth_deg", "elevation_deg", "distance_m"):
            assert torch.equal(getattr(new, name), getattr(old, name))
        assert rms_dbfs(new.waveform, old.waveform, SMALL.gain_db) < -90
        assert rms_dbfs(new.waveform.flip(1), old.waveform, SMALL.gain_db) > -90  # else the test could not fail


@pytest.fixture(scope="module")
def planned(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same recipe over the RIRs of `small` as a bank, once planned only and once rendered."""
    folder = tmp_path_factory.mktemp("planned")
    recipe = replace(
        SMALL,
        rooms=f"bank:{small}",
        home_kinds=[],
        scenes=6,
        splits="1,0,0",
        save_rirs=False,
        mix="mean",
        onset_max_s=0.5,
        room_splits="random",
    )
    render(recipe, folder / "rendered")
    render(replace(recipe, plan_only=True), folder / "plan")
    return folder / "plan", folder / "rendered"


def test_a_plan_over_a_bank_needs_no_stored_sound(planned: tuple[Path, Path]) -> None:
    plan, rendered = planned
    vocabulary = class_vocabulary(plan)
    with pytest.raises(DatasetError, match="planned only"):
        SceneDataset(plan, "train", vocabulary, sources=(1, 2))
    made = next(iter(loader(OnTheFlyDataset(plan, "train", vocabulary, (1, 2), shuffle=False), 99))).to("cpu")
    old = next(iter(loader(SceneDataset(rendered, "train", vocabulary, (1, 2), shuffle=False), 99)))
    same = [k for k, scene_id in enumerate(old.scene_id) if _same_draw(plan, rendered, scene_id)]
    assert len(same) >= 4  # a scene that clipped was drawn again when it was rendered, and a plan cannot know
    assert rms_dbfs(made.waveform[same], old.waveform[same], SMALL.gain_db) < -90


def _same_draw(plan: Path, rendered: Path, scene_id: str) -> bool:
    seeds = [
        scene.seed
        for root in (plan, rendered)
        for path in DatasetFolder(root).tables("scenes")
        for scene in read_scenes(path)
        if scene.scene_id == scene_id
    ]
    return seeds[0] == seeds[1]


def test_fresh_sounds_come_to_the_same_places_in_every_epoch(small: Path) -> None:
    vocabulary = class_vocabulary(small)
    dataset = OnTheFlyDataset(small, "train", vocabulary, (1, 2), shuffle=False, fresh=True)
    epochs = [next(iter(loader(dataset, 99, epoch=epoch))).to("cpu") for epoch in (0, 1, 0)]
    old = next(iter(loader(SceneDataset(small, "train", vocabulary, (1, 2), shuffle=False), 99)))
    for batch in epochs:
        assert torch.equal(batch.azimuth_deg, old.azimuth_deg)
        assert (batch.classes.sum(1) >= 1).all()
        assert batch.waveform.flatten(1).any(1).all()
    assert digest(epochs[0]) == digest(epochs[2])
    assert not torch.equal(epochs[0].classes, epochs[1].classes)
    assert not torch.equal(epochs[0].waveform, old.waveform)


def test_a_fresh_sound_that_is_too_soft_is_drawn_again(small: Path, tmp_path: Path) -> None:
    """In scenes of one source, whose waveform is that source alone."""
    root, gate_dbfs = tmp_path / "data", 0.0
    recorded(shutil.copytree(small, root))
    folder = DatasetFolder(root)
    vocabulary = class_vocabulary(small)

    def softest_dbfs(inaudible: str) -> float:
        run = folder.read_run()
        recipe = {**run.recipe, "inaudible": inaudible, "audible_dbfs": gate_dbfs}
        write_record(folder.meta / "run.json", replace(run, recipe=recipe))
        data = OnTheFlyDataset(root, "train", vocabulary, 1, shuffle=False, fresh=True)
        sounds = torch.cat([batch.to("cpu").waveform for epoch in range(6) for batch in loader(data, 8, epoch=epoch)])
        frames = sounds.reshape(*sounds.shape[:2], -1, round(0.01 * data.sample_rate)).square().mean(3).amax(1)
        tenth = frames.sort(dim=1, descending=True).values[:, 9]  # ten frames above the gate make a sound audible
        return float(10 * torch.log10(tenth.min()))

    assert softest_dbfs("keep") < gate_dbfs - 3
    assert softest_dbfs("redraw") > gate_dbfs - 2.5  # the room colours the sound, which its energy does not tell


def test_without_rirs_nothing_is_made_on_the_fly(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "bare"
    recorded(shutil.copytree(small, root, ignore=shutil.ignore_patterns("rirs")))
    with pytest.raises(DatasetError, match="--save-rirs"):
        OnTheFlyDataset(root, "train", class_vocabulary(small))


def test_a_file_whose_rows_have_all_been_given_is_not_kept_open(small: Path) -> None:
    data = SceneDataset(small, "train", class_vocabulary(small), (1, 2), shuffle=False)
    reader = RowReader(data.index, np.arange(len(data)), ["audio.bytes"])
    for scene in range(len(data)):
        assert reader.get(scene)["audio"][0]["bytes"].as_py()
        behind = data.index.file[scene + 1 :]
        assert set(reader._open) <= set(behind.tolist())
    assert not reader._open
