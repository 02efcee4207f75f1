"""The protocol of banks of RIRs: an index of positions, and a reader.

A bank stands in for rooms and engine at once: it knows listeners and sources by position and gives the RIRs between
them, and of the room itself it knows a name. What a bank does not know is null in its index.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spatialqa.errors import RoomError

Rir = npt.NDArray[np.float32]

MAX_RIR_S = 60.0
MAX_CHANNELS = 64
SAMPLE_RATES_HZ = (4_000, 768_000)  # what is plausible; outside of it a file is damaged
UNKNOWN = "unknown"

_LIST_F64 = pa.list_(pa.float64())

INDEX = pa.schema(
    [
        ("rir_id", pa.string()),  # the bank's own name for it
        ("split", pa.string()),  # official, or null
        ("room_set", pa.string()),
        ("room_id", pa.string()),
        ("house_id", pa.string()),
        ("listener_position", _LIST_F64),  # world, metres
        ("listener_orientation", _LIST_F64),  # unit quaternion (w, x, y, z), head to world
        ("source_position", _LIST_F64),  # world, metres
        ("listener_region_id", pa.string()),
        ("listener_region_label", pa.string()),
        ("level_index", pa.int32()),
        ("region_id", pa.string()),  # the source's
        ("region_label", pa.string()),
        ("source_level_index", pa.int32()),
        ("line_of_sight", pa.bool_()),
        ("sample_rate", pa.int32()),
        ("location", pa.list_(pa.int32())),  # where the bank's reader finds it
    ]
)


@dataclass(frozen=True)
class BankFacts:
    """What is true of all RIRs of a bank.

    engine, hrtf: what made them, as far as it is known. rir_time_zero: "emission", "direct" or "unknown".
    calibrated: whether a frontal source at 1 m has direct energy 1. made_with: the engine's settings, where known.
    several_heads: whether its listeners have heads of their own, which scenes of other splits would share.
    """

    kind: str
    engine: str
    hrtf: str
    channels: str
    rir_time_zero: str
    calibrated: bool
    made_with: dict[str, Any] = field(default_factory=dict)
    several_heads: bool = False


class Bank(Protocol):
    """An open bank. It travels to workers, which read the same files at the same path."""

    path: Path
    facts: BankFacts
    index: pa.Table  # of schema INDEX

    def identity(self) -> str:
        """Return a sha256 of the index and of what the bank records of its content; reads no RIR."""
        ...

    def content_hash(self) -> str:
        """Return a sha256 of positions and RIRs; may read all of them.

        Raises:
            RoomError: an RIR cannot be used.
        """
        ...

    def room_sha256(self, room_id: str) -> str:
        """Return a sha256 of the positions and RIRs of one room."""
        ...

    def read(self, rows: Sequence[int]) -> list[Rir]:
        """Return the RIRs of these rows of the index: float32 (channels, n), at the rate in the index.

        Raises:
            RoomError: an RIR is gone, damaged, or not of the bank's form.
        """
        ...


def index_table(columns: dict[str, Any]) -> pa.Table:
    """Return an index from columns by name; those that are left out are null."""
    n = len(columns["rir_id"])
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type) for f in INDEX]
    return pa.Table.from_arrays(arrays, schema=INDEX)


def matrix(index: pa.Table, column: str, width: int) -> npt.NDArray[np.float64]:
    """Return a column of lists as float64 (rows, width).

    Raises:
        RoomError: an entry has another length, is null or not finite.
    """
    lists = index[column].combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    if lists.null_count or (lengths != width).any() or lists.flatten().null_count:
        raise RoomError(f"the bank has a {column} that is not {width} numbers")
    values = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if not np.isfinite(values).all():
        raise RoomError(f"the bank has a {column} that is not a finite number")
    return np.asarray(values, dtype=np.float64)


def check_rate(sample_rate: float, where: str) -> int:
    """Return a plausible whole sample rate, Hz; raises RoomError for any other."""
    low, high = SAMPLE_RATES_HZ
    if not low <= sample_rate <= high or sample_rate != int(sample_rate):
        raise RoomError(f"{where}: has a sample rate of {sample_rate:g} Hz, not a whole number of {low:,} to {high:,}")
    return int(sample_rate)


def check_shape(shape: Sequence[int], channels: int, sample_rate: int, where: str) -> None:
    """Raise RoomError unless `shape` is (channels, n), up to MAX_RIR_S; to be asked before data are read."""
    if len(shape) != 2 or shape[0] != channels or not 0 < shape[1] <= MAX_RIR_S * sample_rate:
        raise RoomError(
            f"{where}: holds an array of shape {tuple(shape)}, and an RIR here is ({channels}, n) with n up to "
            f"{MAX_RIR_S:g} s: it is damaged or of another bank"
        )


def check_rir(rir: npt.NDArray[Any], where: str) -> Rir:
    """Return an RIR (channels, n) as float32.

    Raises:
        RoomError: it is silent in every channel or holds what is not a finite number.
    """
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(rir, dtype=np.float32)
    if not np.isfinite(result).all():
        raise RoomError(f"{where}: holds samples that are not finite numbers")
    if not result.any():
        raise RoomError(f"{where}: is silent")
    return result
