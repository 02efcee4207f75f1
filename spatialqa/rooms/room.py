"""The protocol of room sets, and the record of a building: a mesh with a material for every face, and regions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.rooms.materials import Material

NO_SHIFT: Vec3 = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Region:
    """A part of a building that people would call a room: a vertical prism over a floor polygon.

    polygon holds (x, z) corners in metres, world frame, in order around the outline. usable tells whether listeners and
    sources may be placed in it; outdoor and junk regions of scanned houses are not by default.
    """

    region_id: str
    label: str | None
    level_index: int | None
    polygon: tuple[tuple[float, float], ...]
    floor_y: float
    ceiling_y: float
    usable: bool = True

    def contains(self, position: Vec3) -> bool:
        """Tell whether a world point lies in the prism."""
        return bool(self.contains_each(np.asarray([position], dtype=np.float64))[0])

    def contains_each(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """Tell for each of the world points float64 (n, 3) whether it lies in the prism: bool (n,)."""
        x, y, z = points.T
        inside = np.zeros(len(points), dtype=np.bool_)
        previous_x, previous_z = self.polygon[-1]
        for corner_x, corner_z in self.polygon:
            if corner_z != previous_z:
                crossing = corner_x + (z - corner_z) * (previous_x - corner_x) / (previous_z - corner_z)
                inside ^= ((corner_z > z) != (previous_z > z)) & (x < crossing)
            previous_x, previous_z = corner_x, corner_z
        held: npt.NDArray[np.bool_] = inside & (y >= self.floor_y) & (y <= self.ceiling_y)
        return held


@dataclass(frozen=True, eq=False)
class Room:
    """A loaded building in the world frame.

    vertices: float32 (V, 3), metres from `origin`. faces: int32 (F, 3), indices into vertices, winding free.
    face_material: int32 (F,), indices into materials. warnings: what a user should know about this mesh.
    scene_path: the file it was read from, for engines that read scenes themselves; None where there is none.
    origin: the world point that vertices count from, float64; other than (0, 0, 0) only where the building lies so far
    from there that float32 would tear its walls. Positions of listeners, sources and regions are world points, those of
    the file, wherever they are passed or stored.
    """

    room_set: str
    room_id: str
    house_id: str
    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    face_material: npt.NDArray[np.int32]
    materials: tuple[Material, ...]
    regions: tuple[Region, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    scene_path: Path | None = None
    origin: Vec3 = NO_SHIFT

    @cached_property
    def sha256(self) -> str:
        """The hash of everything that shapes the sound: geometry and materials."""
        digest = hashlib.sha256()
        for array, kind in ((self.vertices, "<f4"), (self.faces, "<i4"), (self.face_material, "<i4")):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        digest.update(repr(self.materials).encode())
        if self.is_shifted:  # a moved room has other positions
            digest.update(repr(self.origin).encode())
        return digest.hexdigest()

    @property
    def is_shifted(self) -> bool:
        """Whether vertices count from another point than the world's origin."""
        return self.origin != NO_SHIFT

    def from_origin(self, position: Vec3) -> Vec3:
        """Return a world point as the vertices have it: metres from `origin`."""
        x, y, z = (value - shift for value, shift in zip(position, self.origin, strict=True))
        return (x, y, z)

    @cached_property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """The lowest and the highest corner of its bounding box, world metres, float64 (3,) each."""
        low, high = (np.asarray(edge, dtype=np.float64) for edge in (self.vertices.min(0), self.vertices.max(0)))
        return low + self.origin, high + self.origin

    @cached_property
    def size(self) -> tuple[float, float, float]:
        """Extent along x, y and z, metres."""
        x, y, z = (float(v) for v in np.ptp(self.vertices, axis=0))
        return (x, y, z)

    def region_at(self, position: Vec3) -> Region | None:
        """Return the region that holds a world point, or None where no region is known."""
        return next((region for region in self.regions if region.contains(position)), None)

    def region_index(self, points: FloatArray) -> npt.NDArray[np.int64]:
        """Return for each of the world points float64 (n, 3) the place in `regions` of the one that holds it, or -1."""
        index = np.full(len(points), -1, dtype=np.int64)
        for k in reversed(range(len(self.regions))):
            index[self.regions[k].contains_each(points)] = k
        return index


class RoomSet(Protocol):
    """A named collection of rooms.

    room_ids returns up to `count` different ids for a seed (fewer where the set is finite, all of them when count is
    None and the set is finite); it reads no mesh. house_of names the house of a room: splits keep houses apart.
    """

    name: str
    finite: bool  # whether room_ids can return all

    def room_ids(self, count: int | None, seed: int) -> Sequence[str]:
        """Return different room ids, drawn by seed where the set is larger than count."""
        ...

    def house_of(self, room_id: str) -> str:
        """Return the house that a room belongs to."""
        ...

    def official_split(self, house_id: str) -> str | None:
        """Return the split that the makers of the set gave a house (train, validation, test), or None."""
        ...

    def content_hash(self) -> str:
        """Return a hash that changes when any room of the set would be loaded differently."""
        ...

    def load(self, room_id: str) -> Room:
        """Read or make one room; raises RoomError when it cannot be used."""
        ...
