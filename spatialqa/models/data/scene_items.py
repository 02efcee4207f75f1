"""The scenes of a split as a torch Dataset for other models: waveforms with their ground truth."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from spatialqa.core import seeds
from spatialqa.core.audio_io import decode_flac
from spatialqa.core.recipe_keys import whole
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import scene_files
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.data.scenes import shuffled_batches

Item = dict[str, Any]

_TRUTH = ("azimuth_deg", "elevation_deg", "distance_m", "onset_s", "drr_db", "rt60_s")
_COLUMNS = ["scene_id", "sample_rate", "gain_db", "sources"]


class SceneItems(Dataset[Item]):
    """A map-style torch Dataset over the rendered scenes of a split.

    An item is a dict: scene_id (str); waveform, float32 (channels, n), at the level at the ears (the gain of the data
    set undone); sample_rate (int, Hz); and of the k sources labels (list of lists of str) and azimuth_deg,
    elevation_deg, distance_m, onset_s, drr_db, rt60_s (float32 (k,), NaN where a value is null), line_of_sight (list of
    bool or None).

    It works with torch's own DataLoader, and files are opened in the worker that reads them. `batches` and `loader`
    give an order that reads each file from front to end and can be resumed.

    Args:
        root: the data set.
        split: "train", "validation" or "test".
        sources: keep scenes with this number of sources, or with one of several; all by default.
        transform: applied to every item, in the worker.

    Raises:
        DatasetError: there are no such scenes, or they have no audio.
    """

    def __init__(
        self,
        root: Path | str,
        split: str,
        sources: int | Sequence[int] | None = None,
        transform: Callable[[Item], Any] | None = None,
    ) -> None:
        self.root, self.split, self.transform = Path(root), split, transform
        self._paths = scene_files(DatasetFolder(self.root), split)
        counts = _counts(sources)
        rows = [_rows(path, counts) for path in self._paths]
        self._file = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
        self._row = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
        if not len(self._row):
            raise DatasetError(f"{self.root}: the {split} split has no scene of {sources} sources")
        self._held: tuple[int, int, int, pa.Table] | None = None  # the row group that was read last

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        row = self._read(int(self._file[index]), int(self._row[index]))
        item = self._item(row)
        return item if self.transform is None else self.transform(item)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None}

    def batches(self, batch_size: int, epoch: int = 0, seed: int = 0, shuffle: bool = True) -> list[list[int]]:
        """Return the indices of each batch of an epoch: a pure function of the arguments.

        Args:
            batch_size: scenes in a batch; the last may have fewer.
            epoch: each has another order.
            seed: of the order.
            shuffle: else the order is that of the files.
        """
        batch_size = whole("batches", "batch_size", batch_size, least=1)
        epoch, seed = whole("batches", "epoch", epoch), whole("batches", "seed", seed)
        if not shuffle:
            order = np.arange(len(self))
            return [order[k : k + batch_size].tolist() for k in range(0, len(self), batch_size)]
        rng = seeds.rng(seed, "epoch", f"{self.split}/{epoch}")
        return [batch.tolist() for batch in shuffled_batches(self._file, batch_size, rng)]

    def loader(
        self,
        batch_size: int,
        *,
        epoch: int = 0,
        seed: int = 0,
        workers: int = 0,
        start: int = 0,
        shuffle: bool = True,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> "DataLoader[Any]":
        """Return the batches of an epoch; the same for any number of workers.

        Args:
            batch_size: scenes in a batch; the last may have fewer.
            epoch: each has another order.
            seed: of the order.
            workers: processes that read and decode; 0 does it in this one.
            start: leave out this many batches, to resume where a run was stopped.
            shuffle: else the order is that of the files.
            collate: makes a batch of a list of items; by default `collate_scenes`.

        Raises:
            RecipeError: batch_size is below 1, or another number below 0.
        """
        start, workers = whole("loader", "start", start), whole("loader", "workers", workers)
        batches = self.batches(batch_size, epoch, seed, shuffle)[start:]
        return DataLoader(
            self, batch_sampler=batches, num_workers=workers, collate_fn=collate_scenes if collate is None else collate
        )

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def _read(self, number: int, row: int) -> Item:
        held = self._held
        if held is None or held[0] != number or not held[1] <= row < held[2]:
            held = self._held = (number, *_row_group(self._paths[number], row))
        found: Item = held[3].slice(row - held[1], 1).to_pylist()[0]
        return found

    def _item(self, row: Item) -> Item:
        flac = row["audio"]["bytes"] if row["audio"] else None
        if not flac:
            raise DatasetError(f"{self.root}: scene {row['scene_id']} was only planned and has no audio")
        try:
            audio, rate = decode_flac(flac)
        except soundfile.SoundFileError as error:
            raise DatasetError(f"{self.root}: the audio of {row['scene_id']} cannot be decoded ({error})") from None
        audio *= np.float32(10.0 ** (-row["gain_db"] / 20.0))
        sources = row["sources"]
        truth = {
            name: torch.tensor([np.nan if s[name] is None else s[name] for s in sources], dtype=torch.float32)
            for name in _TRUTH
        }
        return {
            "scene_id": row["scene_id"],
            "waveform": torch.from_numpy(audio),
            "sample_rate": rate,
            "labels": [source["labels"] for source in sources],
            "line_of_sight": [source["line_of_sight"] for source in sources],
            **truth,
        }


def collate_scenes(items: Sequence[Item]) -> dict[str, Any]:
    """Return a batch: waveform stacked to (batch, channels, n), every other value as a list with one entry a scene."""
    batch: dict[str, Any] = {name: [item[name] for item in items] for name in items[0]}
    batch["waveform"] = torch.stack(batch["waveform"])
    return batch


def _counts(sources: int | Sequence[int] | None) -> Sequence[int] | None:
    """Return the numbers of sources that are kept; raises RecipeError where they are not whole numbers."""
    if sources is None:
        return None
    counts = np.atleast_1d(np.asarray(sources))
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise RecipeError(f"sources {sources!r} must be a whole number, or a list of whole numbers")
    found: list[int] = counts.tolist()
    return found


def _rows(path: Path, sources: Sequence[int] | None) -> npt.NDArray[np.int64]:
    """Return the rows of a file whose scenes have one of these numbers of sources."""
    try:
        counts = pc.list_value_length(pq.read_table(path, columns=["sources"])["sources"]).to_numpy()
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    return np.arange(len(counts)) if sources is None else np.flatnonzero(np.isin(counts, list(sources)))


def _row_group(path: Path, row: int) -> tuple[int, int, pa.Table]:
    """Return the row group that holds a row: its first row, the row after its last, its table."""
    file = pq.ParquetFile(path, memory_map=True)
    start = 0
    for group in range(file.metadata.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        if row < stop:
            return start, stop, file.read_row_group(group, [*_COLUMNS, "audio"], use_threads=False)
        start = stop
    raise DatasetError(f"{path}: has no row {row}; validate the data set")
