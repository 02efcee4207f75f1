"""The processes of a training run, single or started by torchrun, with the device and precision of each."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from spatialqa.errors import RecipeError

_LINKED_WITHIN_S = 60.0  # an empty library that is older is no longer being written


@dataclass(frozen=True)
class Process:
    """This process among those that torchrun started; alone, it is the first of one."""

    rank: int
    world: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Let the first process go through this before the others, which then find what it has written."""
        if self.world > 1 and not self.main:
            dist.barrier()
        yield
        if self.world > 1 and self.main:
            dist.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values / self.world

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors in every process with the values of the first process."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), 0)

    def wait_for_first(self) -> None:
        """Wait until the first process has done all that needs the others: gloo takes who leaves early for lost."""
        self.share([torch.zeros(1, device=self.device)])

    def leave(self) -> None:
        """Leave the process group, if there is one."""
        if self.world > 1:
            dist.destroy_process_group()


def join(device: str, threads: int | None, batch_size: int) -> Process:
    """Return this process with its device; under torchrun, meet the other processes first.

    Args:
        device: "auto", "cpu" or "cuda", see choose_device.
        threads: CPU threads of torch; None is 1. More are slower where other programs use the cores.
        batch_size: examples in one step, over all processes.

    Raises:
        RecipeError: there is no GPU where one is asked for, or the processes cannot share the batch evenly.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(threads or 1)
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(chosen)
        torch.backends.cuda.matmul.allow_tf32 = True
    if world > 1 and not dist.is_initialized():
        # one process may make a cache for hours while the others wait; torchrun ends them all where one dies
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(days=2))
    if batch_size % world:
        raise RecipeError(f"batch_size {batch_size} cannot be divided evenly among {world} processes")
    return Process(rank, world, chosen)


def choose_device(device: str) -> torch.device:
    """Return the device of a recipe's `device`: "auto" takes a GPU where there is one.

    Raises:
        RecipeError: it asks for a GPU and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("device cuda: torch finds no GPU here; use --device auto")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def compiled(what: Any, device: torch.device, dynamic: bool | None = None) -> Any:
    """Return a module or a function as torch.compile has it; it is compiled when it is called first.

    Args:
        what: to compile.
        device: that it computes on.
        dynamic: whether the shapes of its inputs change from call to call; see torch.compile.

    Raises:
        RecipeError: it computes on a CPU, and there is no C++ compiler.
    """
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise RecipeError(f"compile: needs a C++ compiler, and {compiler} is not found: install one, or leave it out")
    from torch._inductor.codecache import cache_dir

    for library in Path(cache_dir()).rglob("*.so"):
        # a compiler that was killed leaves an empty file, which torch would take for the library in every later run
        with contextlib.suppress(FileNotFoundError):  # removed by another process
            if library.stat().st_size == 0 and time.time() - library.stat().st_mtime > _LINKED_WITHIN_S:
                library.unlink()
    return torch.compile(what, dynamic=dynamic)


def autocast(device: torch.device, amp: str) -> torch.autocast:
    """Return the context of mixed precision of a recipe's `amp`: "auto" computes in bf16 on a GPU."""
    half = amp == "bf16" or (amp == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=half)
