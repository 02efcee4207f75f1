"""Memory for batches that is used again once nothing refers to the batch any more.

The first touch of fresh memory costs up to a third of the time that decoding into it takes: the kernel clears every
page. A batch that the caller keeps keeps its memory.
"""

import math
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

KEPT = 2  # free pieces of memory that wait for a batch


class BatchMemory:
    """Makes tensors for batches, in this process or, in a loading process of torch, in shared memory."""

    def __init__(self) -> None:
        self._free: list[npt.NDArray[np.float32]] = []

    def __reduce__(self) -> tuple[type["BatchMemory"], tuple[()]]:
        return BatchMemory, ()  # another process cannot use what is free here

    def tensor(self, *shape: int) -> Tensor:
        """Return a float32 tensor of this shape, of any content.

        In a loading process it is in shared memory, which torch sends without a copy; it is not used again.
        """
        size = math.prod(shape)
        if get_worker_info() is not None:
            storage = torch.UntypedStorage._new_shared(4 * size, device="cpu")
            return torch.empty(0, dtype=torch.float32).set_(storage, 0, shape)
        own = self._free.pop() if self._free else np.empty(0, dtype=np.float32)
        if own.size < size:
            own = np.empty(size, dtype=np.float32)
        view = own[:size].reshape(shape)  # the tensor, and all that shares its memory, refers to this object
        weakref.finalize(view, self._give_back, own).atexit = False
        return torch.from_numpy(view)

    def _give_back(self, own: npt.NDArray[Any]) -> None:
        if len(self._free) < KEPT:
            self._free.append(own)
