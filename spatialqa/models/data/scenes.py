"""Scenes as batches of tensors, read from the `scenes` table (on_the_fly.py makes them from clips and RIRs instead).

    vocabulary = class_vocabulary(OUT)
    dataset = SceneDataset(OUT, "train", vocabulary, seed=0)
    for batch in loader(dataset, batch_size=32, workers=4, epoch=0):    # loading.py
        heads = model(batch.to("cuda").waveform)

The order of scenes is a pure function of seed, epoch and batch size: it does not depend on how many workers there are
or which process of several asks, and a run resumes in the middle of an epoch with `loader(..., start=batches done)`.
"""

import dataclasses
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import torch
from torch import Tensor

from spatialqa.core import seeds
from spatialqa.core.audio_io import Audio, FlacDecoder
from spatialqa.core.interrupts import interrupts_wait
from spatialqa.errors import DatasetError
from spatialqa.models.data.batch_memory import BatchMemory
from spatialqa.models.data.scene_index import Roots, Rows, SceneIndex, index_scenes

SLICE = 16  # scenes of a file that are read together
SLICES_MIXED = 8  # slices, each of another file, whose scenes are shuffled among themselves
LANES = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Targets:
    """What is true of the sources of some scenes. Of one-source scenes there are as many sources as scenes: N = B.

    scene_id: of every scene. scene: int64 (N,), which scene a source is in. slot: int64 (N,), which of its sources it
    is. classes: float32 (N, classes), 1 for every label that the vocabulary has. azimuth_deg, elevation_deg,
    distance_m: float32 (N,), as the tables have them.
    """

    scene_id: list[str]
    scene: Tensor
    slot: Tensor
    classes: Tensor
    azimuth_deg: Tensor
    elevation_deg: Tensor
    distance_m: Tensor

    def moved(self, move: Callable[[Tensor], Tensor]) -> Self:
        """Return the same with every tensor moved."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values |= {name: move(value) for name, value in values.items() if isinstance(value, Tensor)}
        return type(self)(**values)

    def pin_memory(self) -> Self:
        """Return it in memory that a GPU copies from directly; torch's DataLoader calls this."""
        return self.moved(Tensor.pin_memory)


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch(Targets):
    """Some scenes.

    waveform: float32 (B, 2, n), left and right, at signal level (the gain of the data set undone); or what a cache
    keeps of it (see feature_cache.py).
    """

    waveform: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device."""
        return self.moved(lambda tensor: tensor.to(device, non_blocking=True))


# --- in which order -------------------------------------------------------------------------------------------------


def shuffled_batches(file: Rows, batch_size: int, rng: np.random.Generator, lanes: int = LANES) -> list[Rows]:
    """Return every scene once, in whole batches but the last, so mixed that files can be read from front to end.

    Files are allocated to lanes. In a lane, slices of SLICE scenes of SLICES_MIXED files at a time are shuffled
    together.
    Batch i is of lane i mod lanes, so that workers whose number divides `lanes` share no file; what is left of the
    lanes makes the last batches.

    Args:
        file: int64 (scenes,), ascending: which file each lies in.
        batch_size: scenes in a batch.
        rng: the source of randomness.
        lanes: how many.
    """
    of_file = np.split(np.arange(len(file)), np.flatnonzero(np.diff(file)) + 1)
    order = rng.permutation(len(of_file))
    whole: list[list[Rows]] = []
    left: list[Rows] = []
    for lane in range(lanes):
        own = [of_file[k] for k in order[lane::lanes]]
        mixed: list[Rows] = [np.empty(0, dtype=np.int64)]
        for k in range(0, len(own), SLICES_MIXED):
            together = own[k : k + SLICES_MIXED]
            for start in range(0, max(map(len, together)), SLICE):
                mixed.append(rng.permutation(np.concatenate([rows[start : start + SLICE] for rows in together])))
        rows = np.concatenate(mixed)
        cut = len(rows) // batch_size * batch_size
        whole.append(list(rows[:cut].reshape(-1, batch_size)))
        left.append(rows[cut:])
    batches = [lane[k] for k in range(max(map(len, whole))) for lane in whole if k < len(lane)]
    rest = rng.permutation(np.concatenate(left))
    return batches + [rest[k : k + batch_size] for k in range(0, len(rest), batch_size)]


# --- reading --------------------------------------------------------------------------------------------------------


class RowReader:
    """Reads rows of many files in an order that goes through each file roughly from front to end.

    Args:
        index: of all scenes.
        wanted: the scenes that will be asked for, each once; others are read over and not kept.
        columns: which columns.
    """

    def __init__(self, index: SceneIndex, wanted: Rows, columns: Sequence[str]) -> None:
        self.index, self.columns = index, list(columns)
        self._wanted: dict[int, dict[int, int]] = {}
        for scene in wanted:
            self._wanted.setdefault(int(index.file[scene]), {})[int(index.row[scene])] = int(scene)
        self._open: dict[int, Generator[None, None, None]] = {}
        self._held: dict[int, pa.RecordBatch] = {}

    def get(self, scene: int) -> pa.RecordBatch:
        """Return the row of a scene, as a batch of one row in memory of its own."""
        number = int(self.index.file[scene])
        while scene not in self._held:
            if number not in self._open:
                self._open[number] = self._read(number)
            next(self._open[number])
        wanted = self._wanted[number]
        del wanted[int(self.index.row[scene])]
        if not wanted:
            self._open.pop(number).close()  # else what it read last stays in memory
        return self._held.pop(scene)

    def _read(self, number: int) -> Generator[None, None, None]:
        """Read one file slice by slice, keeping the wanted rows."""
        path, wanted = self.index.files[number], self._wanted[number]
        try:
            file = pq.ParquetFile(path, memory_map=True)
            row = 0
            for group in range(file.metadata.num_row_groups):
                rows = range(row, row + file.metadata.row_group(group).num_rows)
                row = rows.stop
                if not any(k in wanted for k in rows):
                    continue
                parts = file.iter_batches(1, [group], self.columns, use_threads=False)
                for at, part in zip(rows, parts, strict=True):
                    if at in wanted:
                        self._held[wanted[at]] = part
                    if (at - rows.start) % SLICE == SLICE - 1:
                        del part  # as large as a scene, and this file may stay open for long
                        yield
                yield
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None


class SceneDataset:
    """The rendered scenes of a split, of one data set or of several of the same rate and length.

    Args:
        roots: folder or folders.
        split: which split.
        vocabulary: the classes, see class_vocabulary.
        sources: keep the scenes with this many sources; a number or several.
        shuffle: shuffle the order in every epoch; else it is that of the files.
        seed: of the order.
        lanes: see shuffled_batches; a multiple of the number of workers, over all processes, reads least.

    Raises:
        DatasetError: see index_scenes.
    """

    columns: Sequence[str] = ("audio.bytes",)
    needs_audio = True

    def __init__(
        self,
        roots: Roots,
        split: str,
        vocabulary: Sequence[str],
        sources: int | Sequence[int] = 1,
        shuffle: bool = True,
        seed: int = 0,
        lanes: int = LANES,
    ) -> None:
        counts = (sources,) if isinstance(sources, int) else tuple(sources)
        self.split, self.vocabulary, self.shuffle, self.seed, self.lanes = split, list(vocabulary), shuffle, seed, lanes
        self.index = index_scenes(roots, split, vocabulary, counts, self.needs_audio)
        self.used = np.arange(len(self.index))
        self._memory = BatchMemory()

    def leave_out(self, scenes: Collection[tuple[Path, str]]) -> int:
        """Let no batch have these scenes, named by file and id, and return how many of them there are."""
        index = self.index
        names = ((index.files[file], scene) for file, scene in zip(index.file, index.scene_id.tolist(), strict=True))
        kept = np.array([name not in scenes for name in names])
        self.used = np.flatnonzero(kept)
        if not len(self.used):
            raise DatasetError(f"nothing is left of the {self.split} split; render the data sets with other seeds")
        return int((~kept).sum())

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sample_rate(self) -> int:
        """The rate of every scene, Hz."""
        return self.index.sample_rate

    def batches(self, batch_size: int, epoch: int = 0) -> list[Rows]:
        """Return which scenes make each batch of an epoch, as rows of the index.

        A shuffled epoch leaves out a last batch that is not whole, unless it is the only one.
        """
        if not self.shuffle:
            return [self.used[k : k + batch_size] for k in range(0, len(self.used), batch_size)]
        rng = seeds.rng(self.seed, "epoch", f"{self.split}/{epoch}")
        batches = [self.used[b] for b in shuffled_batches(self.index.file[self.used], batch_size, rng, self.lanes)]
        return batches[:-1] if len(batches) > 1 and len(batches[-1]) < batch_size else batches

    def read(self, scenes: Rows, reader: RowReader, epoch: int) -> Batch:
        """Return these scenes; `reader` must know them."""
        index = self.index
        waveform = self._memory.tensor(len(scenes), 2, index.n_samples)
        decoder = FlacDecoder(2, index.n_samples)
        with interrupts_wait():
            for out, scene in zip(waveform.numpy(), scenes.tolist(), strict=True):
                self._decode(decoder, scene, reader.get(scene)["audio"].field("bytes")[0].as_buffer(), out)
        return Batch(waveform=waveform, **self.truth(scenes))

    def _decode(self, decoder: FlacDecoder, scene: int, flac: pa.Buffer | None, out: Audio) -> None:
        """Fill float32 (2, n) with the sound of a scene, the gain undone."""
        index = self.index
        where = f"{index.files[index.file[scene]]}: {index.scene_id[scene]}"
        try:
            shape, rate = decoder.decode(pa.BufferReader(flac), out, 10.0 ** (-index.gain_db[scene] / 20.0))
        except (soundfile.SoundFileError, TypeError) as error:
            raise DatasetError(f"{where}: its audio cannot be decoded ({error}): validate the data set") from None
        if shape != out.shape or rate != index.sample_rate:
            raise DatasetError(f"{where}: its audio is {shape} at {rate} Hz, not what its row says: validate")

    def truth(self, scenes: Rows) -> dict[str, Any]:
        """Return the fields of a Batch that are not sound."""
        index = self.index
        counts = index.first[scenes + 1] - index.first[scenes]
        slot = np.concatenate([np.arange(n) for n in counts])
        source = np.repeat(index.first[scenes], counts) + slot
        classes = torch.zeros(len(source), len(self.vocabulary))
        for k, row in enumerate(source):
            classes[k, torch.from_numpy(index.class_index[index.first_class[row] : index.first_class[row + 1]])] = 1.0
        azimuth, elevation, distance = torch.from_numpy(index.position[source]).unbind(1)
        return {
            "scene_id": index.scene_id[scenes].tolist(),
            "scene": torch.from_numpy(np.repeat(np.arange(len(scenes)), counts)),
            "slot": torch.from_numpy(slot),
            "classes": classes,
            "azimuth_deg": azimuth,
            "elevation_deg": elevation,
            "distance_m": distance,
        }
