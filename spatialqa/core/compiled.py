"""Compiles numerical kernels with numba and keeps the result beside their modules, or in the cache folder.

The latter is for packages that are installed for reading only. Each package with kernels has a folder of its own, whose
name holds a hash of every module with kernels in it and below. numba itself looks only at the file of a function, and
would keep what it compiled when a function that is called from another file changes.
"""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba

from spatialqa.core.files import default_cache

F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def _folder(package: Path) -> str:
    """Return where the kernels of a package are kept; kernels call none of another package."""
    digest = hashlib.sha256(numba.__version__.encode() + Path(__file__).read_bytes())
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        if b"@compiled" in text or b"@inlined" in text:
            digest.update(path.name.encode() + b"\0" + text)
    name = f"kernels-{digest.hexdigest()[:16]}"
    beside = package / "__pycache__"
    if os.access(beside if beside.exists() else package, os.W_OK):
        return str(beside / name)
    return str(default_cache().absolute() / name)


def are_kept(module: Path) -> bool:
    """Tell whether kernels of a module have been compiled already: a first use takes seconds more."""
    folder = Path(_folder(module.parent))
    return folder.is_dir() and any(folder.rglob(f"{module.stem}.*.nbi"))


def compiled(function: F) -> F:
    """Return a kernel that is compiled when it is first called, or taken from the cache, and runs without the GIL.

    Where no cache can be written it is compiled in every process.
    """
    return _kernel(function)


def inlined(function: F) -> F:
    """Return a kernel as `compiled` does, for small functions: it becomes part of each kernel that calls it."""
    return _kernel(function, forceinline=True)


def called_from_c(signature: Any, function: Callable[..., Any]) -> Any:
    """Return a function for native code to call, compiled now or taken from the cache; its attribute is `address`."""
    with _cache_of(function):
        try:
            return numba.cfunc(signature, cache=True, error_model="numpy")(function)
        except (RuntimeError, OSError):
            return numba.cfunc(signature, error_model="numpy")(function)


def _kernel(function: F, **options: Any) -> F:
    with _cache_of(function):
        try:
            kernel = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        except (RuntimeError, OSError):
            kernel = numba.njit(nogil=True, error_model="numpy", **options)(function)
    return kernel  # type: ignore[no-any-return]


@contextlib.contextmanager
def _cache_of(function: Callable[..., Any]) -> Iterator[None]:
    """Let numba keep what it compiles in the folder of a function's package."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _folder(Path(function.__code__.co_filename).absolute().parent)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
