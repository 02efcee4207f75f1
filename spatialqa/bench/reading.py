"""Benchmarks the reader of stored scenes against decoding their Parquet and FLAC alone.

    python -m spatialqa.bench.reading OUT [BATCH_SIZE]

Both read every scene of a rendered data set's training split, in turn; the medians of CPU times are compared. The bare
loop reads the column `audio.bytes` from front to end and decodes it to float32 with soundfile. The reader does the same
in shuffled order, undoes the gain, and makes batches with their ground truth: in this process, and in a loading process
that sends them to this one.
"""

import gc
import io
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import soundfile

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import scene_files
from spatialqa.models.data.loading import SceneLoader, loader
from spatialqa.models.data.scene_index import class_vocabulary
from spatialqa.models.data.scenes import SceneDataset

ANY_NUMBER = range(1, 100)  # of sources


def bench_reading(root: Path, batch_size: int = 32, repeats: int = 11) -> tuple[tuple[str, float, str], ...]:
    """Return (name, figure, unit) of reading the training scenes of a data set.

    Raises:
        DatasetError: there are none, or they have no audio.
    """
    files = scene_files(DatasetFolder(root), "train")
    dataset = SceneDataset(root, "train", class_vocabulary(root), ANY_NUMBER)
    times = []
    for epoch in range(repeats + 1):
        marks = [_cpu_s()]
        n_scenes = bare_read(files)
        marks.append(_cpu_s())
        n_read = sum(len(batch.scene_id) for batch in loader(dataset, batch_size, epoch=epoch))
        marks.append(_cpu_s())
        times.append(np.diff(marks) / (n_scenes, n_read))
    bare_s, here_s = np.median(np.array(times[1:]), axis=0)  # the first repeat warms caches and imports
    there_s = _in_a_process(dataset, batch_size, repeats)
    return (
        ("scenes", float(n_scenes), ""),
        ("length of a scene", dataset.index.n_samples / dataset.sample_rate, "s"),
        ("Parquet and FLAC alone", 1.0 / float(bare_s), "scenes/s of CPU time"),
        ("reader", 1.0 / float(here_s), "scenes/s of CPU time"),
        ("reader, a loading process", 1.0 / float(there_s), "scenes/s of CPU time of both processes"),
        ("reader / alone", float(bare_s / here_s), ""),
        ("a loading process / alone", float(bare_s / there_s), ""),
    )


def _in_a_process(dataset: SceneDataset, batch_size: int, epochs: int) -> float:
    """Return the CPU time of a scene in s, of this process and of one that loads and is kept between epochs."""
    start = _cpu_s()
    kept = SceneLoader(dataset, batch_size, workers=1)
    n_read = sum(len(batch.scene_id) for epoch in range(epochs) for batch in kept.epoch(epoch))
    del kept
    gc.collect()  # ends the process, whose time counts from then on
    return (_cpu_s() - start) / n_read


def _cpu_s() -> float:
    """Return the CPU time of this process and of its processes that have ended, s."""
    spent = os.times()  # of no process but this one on Windows
    return spent.user + spent.system + spent.children_user + spent.children_system


def bare_read(files: list[Path]) -> int:
    """Decode the sound of every scene of some files and keep none; return how many there were."""
    n = 0
    for path in files:
        for batch in pq.ParquetFile(path, memory_map=True).iter_batches(16, columns=["audio.bytes"], use_threads=False):
            for flac in batch["audio"].field("bytes"):
                soundfile.read(io.BytesIO(flac.as_py()), dtype="float32", always_2d=True)
                n += 1
    return n


if __name__ == "__main__":
    for name, figure, unit in bench_reading(Path(sys.argv[1]), *(int(size) for size in sys.argv[2:3])):
        sys.stdout.write(f"{name:28} {figure:9.3f} {unit}\n")
