"""The reader of stored scenes: every sample as decoded alone, in memory that is used again."""

import gc
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spatialqa.bench.reading import bench_reading
from spatialqa.core.audio_io import FlacDecoder, decode_flac, encode_flac
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio
from spatialqa.models.data.batch_memory import KEPT, BatchMemory
from spatialqa.models.data.loading import SceneLoader, loader
from spatialqa.models.data.scene_index import class_vocabulary
from spatialqa.models.data.scene_items import SceneItems
from spatialqa.models.data.scenes import SceneDataset


def decoded(root: Path) -> dict[str, bytes]:
    """The samples of every training scene by its id: decoded whole, then multiplied, each into an array of its own."""
    found = {}
    for path in DatasetFolder(root).tables("scenes"):
        for scene, flac in read_audio(path):
            audio, _ = decode_flac(flac)
            found[scene.scene_id] = (audio * np.float32(10.0 ** (-np.float32(scene.gain_db) / 20.0))).tobytes()
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_every_sample_is_as_decoded_alone(small: Path, workers: int) -> None:
    expected, dataset = decoded(small), SceneDataset(small, "train", class_vocabulary(small), (1, 2))
    n = 0
    for epoch in (0, 1):
        for batch in loader(dataset, 3, workers, epoch=epoch):
            for scene_id, waveform in zip(batch.scene_id, batch.waveform, strict=True):
                assert waveform.numpy().tobytes() == expected[scene_id]
                n += 1
    assert n >= 2 * (len(dataset) - 2)


def test_items_too(small: Path) -> None:
    expected = decoded(small)
    for item in SceneItems(small, "train"):
        assert item["waveform"].numpy().tobytes() == expected[item["scene_id"]]


def test_a_batch_that_is_kept_stays_as_it_is(small: Path) -> None:
    expected, dataset = decoded(small), SceneDataset(small, "train", class_vocabulary(small), (1, 2))
    kept = [batch for epoch in range(4) for batch in loader(dataset, 3, epoch=epoch)]
    parts = [batch.waveform[1, 0] for epoch in range(4) for batch in loader(dataset, 3, epoch=epoch)]
    gc.collect()
    ids = [batch.scene_id[1] for batch in kept]
    for batch in kept:
        for scene_id, waveform in zip(batch.scene_id, batch.waveform, strict=True):
            assert waveform.numpy().tobytes() == expected[scene_id]
    for scene_id, part in zip(ids, parts, strict=True):  # what a view refers to is kept as well
        assert part.numpy().tobytes() == expected[scene_id][: 4 * len(part)]


def test_memory_is_used_again_only_when_nothing_refers_to_it() -> None:
    memory = BatchMemory()
    first = memory.tensor(4, 2, 100)
    where = first.data_ptr()
    view = first[2, 1].numpy()
    del first
    second = memory.tensor(4, 2, 100)
    assert second.data_ptr() != where  # the view still needs it
    del view
    third = memory.tensor(3, 2, 100)  # fits into it
    assert third.data_ptr() == where
    assert third.shape == (3, 2, 100)
    del second, third
    many = [memory.tensor(5) for _ in range(KEPT + 3)]
    del many
    assert len(memory._free) == KEPT
    assert pickle.loads(pickle.dumps(memory))._free == []


def test_loading_processes_that_are_spawned_send_the_same_batches(small: Path) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), (1, 2))
    here = [batch.waveform.clone() for batch in loader(dataset, 3)]
    spawned = torch.utils.data.DataLoader(
        loader(dataset, 3).dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn"
    )
    for batch, own in zip(spawned, here, strict=True):
        assert batch.waveform.is_shared()
        assert torch.equal(batch.waveform, own)


def test_a_scene_of_another_shape_is_not_decoded_into_the_place() -> None:
    rng = np.random.default_rng(0)
    audio = (rng.random((2, 1000), dtype=np.float32) - 0.5).astype(np.float32)
    out = np.full((2, 1000), 7.0, dtype=np.float32)
    decoder = FlacDecoder(2, 1000)
    for other in (audio[:, :900], audio[:1]):
        assert decoder.decode(io.BytesIO(encode_flac(other, 16000)), out, 1.0) == (other.shape, 16000)
        assert (out == 7.0).all()
    assert decoder.decode(io.BytesIO(encode_flac(audio, 16000)), out, 3.7) == ((2, 1000), 16000)
    assert np.array_equal(out, decode_flac(encode_flac(audio, 16000))[0] * np.float32(3.7))
    with pytest.raises(soundfile.SoundFileError):
        decoder.decode(io.BytesIO(b"fLaC" + bytes(50)), out, 1.0)


def test_the_benchmark_reads_every_scene_in_all_ways(small: Path) -> None:
    rows = {name: figure for name, figure, _ in bench_reading(small, batch_size=4, repeats=2)}
    assert rows["scenes"] == len(SceneDataset(small, "train", class_vocabulary(small), (1, 2)))
    assert all(figure > 0 for figure in rows.values())
    assert rows["reader / alone"] == pytest.approx(rows["reader"] / rows["Parquet and FLAC alone"])


def test_kept_processes_read_as_here(small: Path) -> None:
    dataset = SceneDataset(small, "train", class_vocabulary(small), (1, 2))
    kept = SceneLoader(dataset, 3, workers=1)
    for epoch in (0, 1):
        for batch, own in zip(kept.epoch(epoch), loader(dataset, 3, epoch=epoch), strict=True):
            assert torch.equal(batch.waveform, own.waveform)
