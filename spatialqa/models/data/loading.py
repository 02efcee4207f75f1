"""Loading processes: the batches of an epoch, or of epoch after epoch, from a dataset of scenes.

for batch in loader(dataset, batch_size=32, workers=4, epoch=0):
    ...
batches = SceneLoader(dataset, batch_size=32, workers=4)    # processes that are kept between epochs
for epoch in range(10):
    for batch in batches.epoch(epoch):
        ...
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from spatialqa.models.data.scene_index import Rows
from spatialqa.models.data.scenes import Batch, RowReader, SceneDataset


class _Epoch(IterableDataset[Batch]):
    """The batches of one process in one epoch; worker k of n makes every n-th, from the k-th on."""

    def __init__(self, dataset: SceneDataset, batches: Sequence[Rows], epoch: int) -> None:
        super().__init__()
        self.dataset, self.batches, self.epoch = dataset, batches, epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        own = self.batches if worker is None else self.batches[worker.id :: worker.num_workers]
        if not len(own):
            return
        reader = RowReader(self.dataset.index, np.concatenate(own), self.dataset.columns)
        for scenes in own:
            yield self.dataset.read(scenes, reader, self.epoch)


class _Epochs(IterableDataset[Batch]):
    """The batches of one process, of the epoch that `at` names when the iteration begins: epoch, first batch."""

    def __init__(self, dataset: SceneDataset, batch_size: int, rank: int, world: int) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.rank, self.world = dataset, batch_size, rank, world
        self.at = torch.zeros(2, dtype=torch.int64).share_memory_()  # loading processes see what is written here

    def __iter__(self) -> Iterator[Batch]:
        epoch, start = self.at.tolist()
        own = _own_batches(self.dataset, self.batch_size, epoch, self.rank, self.world)
        return iter(_Epoch(self.dataset, own[start:], epoch))


class SceneLoader:
    """The batches of epoch after epoch, made by loading processes that are kept between epochs.

    Batches and their order are those of `loader`. Args: see there.
    """

    def __init__(self, dataset: SceneDataset, batch_size: int, workers: int = 0, rank: int = 0, world: int = 1) -> None:
        self._epochs = _Epochs(dataset, batch_size, rank, world)
        self._loader = DataLoader(
            self._epochs,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def count(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""
        e = self._epochs
        return len(_own_batches(e.dataset, e.batch_size, epoch, e.rank, e.world))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch from `start` on; an iteration that is not over ends."""
        self._epochs.at[:] = torch.tensor([epoch, start])
        return iter(self._loader)


def _own_batches(dataset: SceneDataset, batch_size: int, epoch: int, rank: int, world: int) -> list[Rows]:
    batches = dataset.batches(batch_size, epoch)
    return batches[rank::world][: len(batches) // world] if world > 1 else batches


def loader(
    dataset: SceneDataset,
    batch_size: int,
    workers: int = 0,
    epoch: int = 0,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
) -> "DataLoader[Batch]":
    """Return the batches of an epoch; iterate over it once.

    Args:
        dataset: of scenes.
        batch_size: scenes in a batch of one process.
        workers: processes that read and decode; 0 does it here. Batches and their order are the same for any number.
        epoch: which one.
        start: leave out this many batches, to resume where a run was stopped.
        rank: of `world` training processes, which one this is; each has another part, all the same number of batches.
        world: how many training processes there are.
    """
    own = _own_batches(dataset, batch_size, epoch, rank, world)
    stream = _Epoch(dataset, own[start:], epoch)
    return DataLoader(stream, batch_size=None, num_workers=workers, pin_memory=torch.cuda.is_available())
