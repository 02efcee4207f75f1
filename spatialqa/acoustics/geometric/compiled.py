"""Compiles numerical kernels with numba and keeps the result beside the modules, or in the cache folder.

The latter is for packages that are installed for reading only. The folder's name holds a hash of every module with
kernels. numba itself looks only at the file of a function, and would keep what it compiled when a function that is
called from another file changes.
"""

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from spatialqa.core.files import default_cache

F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def _folder() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text = path.read_bytes()
        if b"@compiled" in text or b"@inlined" in text:
            digest.update(path.name.encode() + b"\0" + text)
    name = f"kernels-{digest.hexdigest()[:16]}"
    beside = Path(__file__).parent / "__pycache__"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return str(beside / name)
    return str(default_cache().absolute() / name)


def compiled(function: F) -> F:
    """Return a kernel that is compiled when it is first called, or taken from the cache, and runs without the GIL.

    Where no cache can be written it is compiled in every process.
    """
    return _kernel(function)


def inlined(function: F) -> F:
    """Return a kernel as `compiled` does, for small functions: it becomes part of each kernel that calls it."""
    return _kernel(function, forceinline=True)


def _kernel(function: F, **options: Any) -> F:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _folder()
    try:
        kernel = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    except (RuntimeError, OSError):
        kernel = numba.njit(nogil=True, error_model="numpy", **options)(function)
    finally:
        numba.config.CACHE_DIR = before
    return kernel  # type: ignore[no-any-return]
