"""The protocol between the renderer and an acoustic engine."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Pose, Vec3
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import EngineError, SpatialQAError
from spatialqa.rooms.room import Room

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ESTALE}


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn what an engine raises by mistake (MemoryError, ValueError, SystemExit, ...) into an error of ours.

    Args:
        doing: what the engine does, for the message ("simulating ...").

    Raises:
        EngineError: the engine raised something else than an error of ours.
        SpatialQAError: a disk is full, or too many files are open, which may not happen again.
    """
    try:
        yield
    except SpatialQAError:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise SpatialQAError(f"{doing}: {text}; nothing was lost, run again after fixing that") from error
        raise EngineError(f"the engine failed {doing}: {text}") from error


class Closing(ABC):
    """Something that is released at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Release it; closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OpenRoom(Protocol):
    """A room held by an engine, ready to simulate."""

    def rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int) -> list[npt.NDArray[np.float32]]:
        """Return one calibrated RIR per source, in order: float32 (channels, n), linear; left, right or W, Y, Z, X.

        The same arguments give the same bytes in any process. `sources` are world positions in metres.
        """
        ...

    @property
    def ray_efficiency(self) -> float | None:
        """The share of indirect rays that met a surface in the last simulation, about 1 in a closed room."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of how this room sounds."""
        ...

    def close(self) -> None:
        """Release the room."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class RoomWithHeads(Protocol):
    """A room whose engine can be given a head with every call, one of its folder of HRTF files."""

    def rirs_of_subject(
        self, listener: Pose, sources: Sequence[Vec3], seed: int, subject: str
    ) -> list[npt.NDArray[np.float32]]:
        """Return what `OpenRoom.rirs` does, heard by this subject; raises EngineError for one that is not there."""
        ...


@runtime_checkable
class WalkableRoom(Protocol):
    """A room whose engine knows where one can walk."""

    def navigable_points(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return places on the floor: float64 (count, 3), metres, world frame."""
        ...


@runtime_checkable
class TimedEngine(Protocol):
    """An engine that ends its own calls when they take too long, with EngineError."""

    @property
    def timeout_s(self) -> float:
        """For the simulation of one group."""
        ...


class Engine(Protocol):
    """A configured acoustic engine."""

    @property
    def identity(self) -> EngineIdentity:
        """What this engine is, to the byte."""
        ...

    def open(self, room: Room) -> OpenRoom:
        """Prepare a room for simulation; raises EngineError or RoomError when it cannot be used."""
        ...
