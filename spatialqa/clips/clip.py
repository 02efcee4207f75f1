"""The protocol of clip sets: records of labelled dry clips, and how one is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spatialqa.core.ontology import ontology


@dataclass(frozen=True)
class ClipRecord:
    """One labelled clip. labels are AudioSet display names, most telling first; a custom label has the mid None.

    sha256 and native_sample_rate are None where only opening the file tells them: a set of millions of files is listed
    without opening any. official_split is the split that the makers of the set gave it (train, validation, test).
    origin names the recording that it was cut from, where several may be: clips of one origin are never in two splits.
    """

    clip_id: str
    sha256: str | None  # of the file's bytes; None for a clip that is synthesised or not opened yet
    native_sample_rate: int | None
    duration_s: float
    licence: str | None
    labels: tuple[str, ...]
    mids: tuple[str | None, ...]
    attribution: str | None = None  # what the data set card must say of it
    official_split: str | None = None
    origin: str | None = None

    @property
    def height_kind(self) -> str:
        """Where a thing that sounds like this is: floor, table, hand, head, ceiling or anywhere."""
        return ontology().height_kind(self.mids)


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
