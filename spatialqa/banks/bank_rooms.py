"""A bank as a room set: its RIRs in listener groups.

A bank room has no mesh. Its groups are fixed by the seed: the sources of every listener, shuffled, in groups of at most
`sources_per_group`, so that no RIR is in two groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.banks.bank import Bank, matrix
from spatialqa.banks.open_bank import open_bank
from spatialqa.core import seeds
from spatialqa.core.geometry import Pose, Quaternion, Vec3, direction, yaw_quaternion
from spatialqa.core.scene import Place
from spatialqa.errors import RoomError
from spatialqa.rooms.room import Room

_SAME_YAW = 1e-6
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BankGroup:
    """One listener and the places of its sources. rows: the index row of every place's RIR."""

    listener: Pose
    places: tuple[Place, ...]
    rows: tuple[int, ...]
    region_id: str | None = None
    region_label: str | None = None
    level_index: int | None = None


@dataclass(frozen=True, eq=False)
class BankRoom(Room):
    """A room of which only RIRs are known. rows: the index row of the RIR from a source to a listener."""

    content_sha256: str = ""
    groups: tuple[BankGroup, ...] = ()
    rows: dict[tuple[Pose, Vec3], int] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """The hash of the bank's positions and RIRs for this room."""
        return self.content_sha256


class BankRooms:
    """The room set of a bank.

    path: see `open_bank`. seed: shuffles sources into groups. sources_per_group: at most this many places in a group.
    min_distance_m, max_distance_m: RIRs from nearer or farther sources are left out.
    mix_listeners: put RIRs of different listeners in one group, as SpatialSoundQA does for its scenes of two sources:
    the first one's listener stands for all, and every source lies from it as it lay from its own listener.
    yaw_deg: what the recipe asks for, None for any; a bank's listeners face as they do.

    Raises:
        RoomError: the bank cannot be used, has no RIR within these distances, or its listeners face another way.
    """

    def __init__(
        self,
        path: Path,
        seed: int,
        sources_per_group: int,
        min_distance_m: float = 0.0,
        max_distance_m: float = math.inf,
        mix_listeners: bool = False,
        yaw_deg: float | None = None,
    ) -> None:
        self.bank: Bank = open_bank(path)
        if self.bank.facts.several_heads:
            raise RoomError(
                f"bank {path}: holds RIRs of several heads, and a bank has one: make one with one SOFA file"
            )
        self.name, self.finite = f"bank:{self.bank.facts.kind}", True
        self._seed, self._size, self.mixes = seed, sources_per_group, mix_listeners
        index = self.bank.index
        self._listener = matrix(index, "listener_position", 3)
        self._orientation = matrix(index, "listener_orientation", 4)
        self._source = matrix(index, "source_position", 3)
        self._poses = np.hstack([self._listener, self._orientation])
        if np.any(np.abs(np.linalg.norm(self._orientation, axis=1) - 1) > _SAME_YAW):
            raise RoomError(f"{path}: has a listener_orientation that is not a unit quaternion")
        if yaw_deg is not None:
            self._check_yaw(yaw_deg)
        distance = np.linalg.norm(self._source - self._listener, axis=1)
        usable = np.flatnonzero((distance >= max(min_distance_m, 1e-6)) & (distance <= max_distance_m))
        if not len(usable):
            raise RoomError(
                f"{path}: none of its {len(index):,} RIRs has a source {min_distance_m:g} to {max_distance_m:g} m away "
                f"(they lie at {distance.min():.3g} to {distance.max():.3g} m)"
            )
        rooms = np.asarray(index["room_id"].to_pylist(), dtype=object)[usable]
        names, which = np.unique(rooms.astype(str), return_inverse=True)
        order = np.argsort(which, kind="stable")
        parts = np.split(usable[order], np.cumsum(np.bincount(which))[:-1])
        self._rows: dict[str, Rows] = {str(name): part for name, part in zip(names, parts, strict=True)}
        self._house = {room: index["house_id"][int(rows[0])].as_py() for room, rows in self._rows.items()}
        self._splits: dict[str, set[str | None]] = {}
        splits = index["split"].to_pylist()
        for room, rows in self._rows.items():
            self._splits.setdefault(self._house[room], set()).update(splits[int(row)] for row in rows)

    def _check_yaw(self, yaw_deg: float) -> None:
        wanted = np.array(yaw_quaternion(yaw_deg))
        if np.any(np.abs(np.abs(self._orientation @ wanted) - 1) > _SAME_YAW):
            raise RoomError(
                f"{self.bank.path}: its listeners do not all face yaw {yaw_deg:g}, and recorded ears cannot be turned: "
                f"leave out --yaw"
            )

    def room_ids(self, count: int | None, seed: int) -> Sequence[str]:
        """Return the ids of all rooms by name, or `count` of them drawn by seed where there are more."""
        ids = list(self._rows)
        if count is None or count >= len(ids):
            return ids
        return [ids[k] for k in seeds.rng(seed, "bank-rooms", "ids").permutation(len(ids))[:count]]

    def house_of(self, room_id: str) -> str:
        """Return the house that the bank names for a room."""
        return str(self._house[room_id])

    def official_split(self, house_id: str) -> str | None:
        """Return the split that the bank gives a house.

        Raises:
            RoomError: it gives it two.
        """
        splits = self._splits[house_id]
        if len(splits) > 1:
            raise RoomError(
                f"{self.bank.path}: has RIRs of house {house_id} in {' and '.join(sorted(map(str, splits)))}: divide "
                f"houses by the seed with --room-splits random"
            )
        return next(iter(splits))

    def content_hash(self) -> str:
        """Return a hash of all positions and RIRs."""
        return self.bank.content_hash()

    def group_sizes(self, room_id: str) -> list[int]:
        """Return how many places every group of a room has; reads no RIR."""
        return [len(rows) for rows in self._groups(room_id)]

    def _groups(self, room_id: str) -> list[Rows]:
        rows = self._rows[room_id]
        rng = seeds.rng(self._seed, "bank-groups", room_id)
        # mixed or not, listeners that are turned differently cannot stand for one another
        pools = _equal(rows, self._orientation if self.mixes else self._poses)
        chunks: list[Rows] = []
        for pool in pools:
            chunks += np.array_split(pool[rng.permutation(len(pool))], -(-len(pool) // self._size))
        seen: set[bytes] = set()
        groups = [self._distinct(chunks[k], seen) for k in rng.permutation(len(chunks))]
        return [rows for rows in groups if len(rows)]

    def _distinct(self, rows: Rows, seen: set[bytes]) -> Rows:
        """Return the rows without those whose listener and source are `seen`: two RIRs for one place are ambiguous."""
        places = np.hstack([np.broadcast_to(self._poses[rows[0]], (len(rows), 7)), self._positions(rows)]) + 0.0
        kept = []
        for row, place in zip(rows, places, strict=True):
            if place.tobytes() not in seen:
                seen.add(place.tobytes())
                kept.append(row)
        return np.asarray(kept, dtype=np.int64)

    def _positions(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return where the sources of a group lie: for the listener of its first row, as for their own."""
        first = self._listener[rows[0]]
        own = np.all(self._listener[rows] == first, axis=1)
        moved = first + (self._source[rows] - self._listener[rows])
        return np.where(own[:, None], self._source[rows], moved)

    def load(self, room_id: str) -> BankRoom:
        """Return a room with its groups; raises RoomError when there is no such room or an RIR cannot be used."""
        if room_id not in self._rows:
            raise RoomError(f"{self.bank.path}: has no room {room_id!r}")
        first = int(self._rows[room_id][0])
        groups = tuple(self._group(rows) for rows in self._groups(room_id))
        left_out = len(self._rows[room_id]) - sum(len(group.rows) for group in groups)
        doubles = f"{left_out:,} RIRs have the listener and the source of another one and were left out"
        return BankRoom(
            room_set=self.bank.index["room_set"][first].as_py() or "bank",
            room_id=room_id,
            house_id=self._house[room_id],
            vertices=np.empty((0, 3), dtype=np.float32),
            faces=np.empty((0, 3), dtype=np.int32),
            face_material=np.empty(0, dtype=np.int32),
            materials=(),
            content_sha256=self.bank.room_sha256(room_id),
            groups=groups,
            rows={
                (group.listener, place.position): row
                for group in groups
                for place, row in zip(group.places, group.rows, strict=True)
            },
            warnings=(doubles,) if left_out else (),
        )

    def _group(self, rows: Rows) -> BankGroup:
        index = self.bank.index.take([int(row) for row in rows]).to_pylist()
        listener = Pose(_vec3(self._listener[rows[0]]), _quaternion(self._orientation[rows[0]]))
        positions = self._positions(rows)
        return BankGroup(
            listener,
            tuple(_place(listener, _vec3(p), entry) for p, entry in zip(positions, index, strict=True)),
            tuple(int(row) for row in rows),
            index[0]["listener_region_id"],
            index[0]["listener_region_label"],
            index[0]["level_index"],
        )


def _place(listener: Pose, position: Vec3, entry: dict[str, Any]) -> Place:
    return Place(
        position,
        *direction(listener, position),
        entry["line_of_sight"],
        entry["region_id"],
        entry["region_label"],
        entry["source_level_index"],
        entry["rir_id"],
    )


def _equal(rows: Rows, keys: npt.NDArray[np.float64]) -> list[Rows]:
    """Return the rows gathered by equal keys, in the order of the keys' first rows."""
    _, first, which = np.unique(keys[rows], axis=0, return_index=True, return_inverse=True)
    which = which.ravel()
    return [rows[which == k] for k in np.argsort(first)]


def _vec3(point: npt.NDArray[np.float64]) -> Vec3:
    return (float(point[0]), float(point[1]), float(point[2]))


def _quaternion(q: npt.NDArray[np.float64]) -> Quaternion:
    return (float(q[0]), float(q[1]), float(q[2]), float(q[3]))
