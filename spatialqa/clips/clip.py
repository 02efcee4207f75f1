"""What every kind of clip looks like to the rest, and how it becomes the dry signal of a scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ClipRecord:
    """One labelled clip. labels are AudioSet display names, most telling first; a custom label has the mid None."""

    clip_id: str
    sha256: str | None  # of the file's bytes; None for a synthesised clip until it is made
    native_sample_rate: int
    duration_s: float
    licence: str | None
    labels: tuple[str, ...]
    mids: tuple[str | None, ...]
    attribution: str | None = None  # what the data set card must say of it


@dataclass(frozen=True)
class RejectedClip:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class RawClip:
    """A clip as it is stored: audio float32 (n,), one channel, at its own rate; sha256 of its content."""

    audio: npt.NDArray[np.float32]
    sample_rate: int
    sha256: str


class ClipSet(Protocol):
    """A named collection of clips in a stable order."""

    name: str

    def records(self) -> Sequence[ClipRecord]:
        """Return every usable clip, in an order that does not depend on the file system."""
        ...

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that were left out, with the reason."""
        ...

    def load(self, record: ClipRecord) -> RawClip:
        """Read or make one clip; raises ClipError when it cannot be read or has changed since it was listed."""
        ...
