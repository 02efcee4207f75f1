"""Which library casts rays: Embree, of the package embreex, or the tree of boxes in `bvh` where that has no wheel."""

import functools
import importlib.metadata
import importlib.util
from pathlib import Path

from spatialqa.rooms import mesh

NO_EMBREE = "none"  # its version, where rays are cast by `bvh`


@functools.cache
def embree_version() -> str:
    """Return the version of embreex, or NO_EMBREE."""
    return NO_EMBREE if importlib.util.find_spec("embreex") is None else importlib.metadata.version("embreex")


def has_embree() -> bool:
    """Tell whether Embree casts rays here."""
    return embree_version() != NO_EMBREE


def identity() -> bytes:
    """Return what decides where rays end, to be hashed: the version of embreex, or the modules that stand for it."""
    if has_embree():
        return f"embreex {embree_version()}\n".encode()
    folder = Path(mesh.__file__).parent
    return b"".join((folder / name).read_bytes() for name in ("bvh.py", "bvh_build.py"))
