"""Feature cache: the output of a frozen part of a model for every scene (features or encoder tokens), kept in a file.

data = CachedScenes(OUT, "train", vocabulary, make=model.maps, folder=Path("cache"), identity={"n_fft": 1024})
for batch in loader(data, batch_size=32):
    heads = model(batch.waveform)  # the maps, where the waveforms would be
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spatialqa.core.console import stderr
from spatialqa.core.files import commit_file
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import DatasetError
from spatialqa.models.data.loading import loader
from spatialqa.models.data.scene_index import Roots, Rows
from spatialqa.models.data.scenes import Batch, SceneDataset

BATCH = 64


class CachedScenes(SceneDataset):
    """Rendered scenes whose batches have, in the place of the waveforms, what `make` gives for them.

    It is computed where the folder has none for this data and this identity; a computation that is truncated leaves
    nothing behind. It is kept in half precision and read from the disk as it is used.

    Args:
        roots, split, vocabulary, sources, shuffle, seed: see SceneDataset.
        make: from waveforms (B, 2, n) to a tensor (B, ...), for a scene the same whatever else is in its batch.
        folder: of the files; several data sets and models may share it.
        identity: all that decides what `make` gives, as plain values.
        workers: processes that decode scenes.

    Raises:
        DatasetError: the scenes cannot be read, or the disk has no room for the file.
    """

    columns = ()

    def __init__(
        self,
        roots: Roots,
        split: str,
        vocabulary: Sequence[str],
        sources: int | Sequence[int] = 1,
        shuffle: bool = True,
        seed: int = 0,
        *,
        make: Callable[[Tensor], Tensor],
        folder: Path,
        identity: Mapping[str, Any],
        workers: int = 0,
    ) -> None:
        super().__init__(roots, split, vocabulary, sources, shuffle, seed)
        sets = dict.fromkeys(path.parent.parent for path in self.index.files)
        ids = hashlib.sha256("\n".join(self.index.scene_id).encode()).hexdigest()
        known = json.dumps([[_hashes(root) for root in sets], split, ids, dict(identity)], sort_keys=True)
        self.file = folder / f"{split}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.npy"
        if not self.file.is_file():
            self._write(SceneDataset(roots, split, vocabulary, sources, shuffle=False), make, workers)
        try:
            self.rows = np.load(self.file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{self.file}: cannot be read ({error}): remove it, and it is made again") from None

    def read(self, scenes: Rows, reader: object, epoch: int) -> Batch:
        """Return these scenes, float32."""
        return Batch(waveform=torch.from_numpy(self.rows[scenes].astype(np.float32)), **self.truth(scenes))

    def _write(self, in_order: SceneDataset, make: Callable[[Tensor], Tensor], workers: int) -> None:
        began = time.monotonic()

        def write(aside: Path) -> None:
            with aside.open("wb") as file:  # not through a map of it, which a full disk ends without an error
                for batch in loader(in_order, BATCH, workers):
                    with torch.no_grad():
                        made = make(batch.waveform)
                    shape = (len(self), *made.shape[1:])
                    if not file.tell():
                        self._refuse_full_disk(shape)
                        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(file, header)
                    file.write(made.to("cpu", torch.float16).contiguous().numpy().tobytes())

        commit_file(self.file, write)
        minutes = (time.monotonic() - began) / 60
        stderr.print(f"{self.file}: {len(self):,} scenes of {self.split} in {minutes:.1f} min; later runs read it")

    def _refuse_full_disk(self, shape: tuple[int, ...]) -> None:
        """Raise DatasetError where the disk has no room for an array of this shape: now, and not in hours."""
        needed, free = 2 * math.prod(shape), shutil.disk_usage(self.file.parent).free
        if needed > free:
            raise DatasetError(
                f"{self.file.parent}: {needed / 1e9:,.1f} GB are needed for the features of {len(self):,} scenes, and "
                f"{free / 1e9:,.1f} GB are free; free some space, or name a folder on another disk with --cache"
            )


def _hashes(root: Path) -> list[str]:
    """Return the hashes of a data set's files of scenes, as they were committed."""
    files = [item for shard in DatasetFolder(root).shards() for item in shard.files]
    return sorted(item.sha256 for item in files if item.path.startswith("scenes/"))
