"""Infers the material of each part of a mesh: from a map, its material slot, its names, or the default.

In order:
1. the first pattern of the map that matches any of the names;
2. a substance that the material slot names: the file says what the surface is made of ("Carpet" on the object "Floor");
3. a substance in the object's own names ("BrickWall" with the slot "Paint");
4. an object that the slot names ("Curtain" on the object "Wall_E");
5. the first name that names anything: the object's own, then those of its parents, from the nearest;
6. the default.

What a single name speaks of: rooms/materials.py, with the words of data/material_names.yaml.
"Floor" is also the word for a storey. A name with it is not a floor where all that bears the name, together, has walls.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.rooms.materials import Spoken, speaks_of
from spatialqa.rooms.mesh.parts import MeshPart
from spatialqa.rooms.mesh.rays import BoolArray
from spatialqa.rooms.mesh.surface import face_normals, triangle_areas

MAP, SLOT, NAME, DEFAULT = "map", "slot", "name", "default"
_SAID_BY = {MAP: "the map's", SLOT: "the material", NAME: "the name"}

_FLOORS = ("floor", "flooring")
_NAMELESS = (".ply", ".stl")  # trimesh calls the part of an STL file by the file
_LEVEL, _UPRIGHT = 0.7, 0.3  # of a face's normal, the vertical part: above the first it lies, below the other it stands
_WALL_M = 1.5
_WALL_SHARE = 0.02  # of the area, so that the rim of a slab is not a wall
_TWO_WAYS = 0.1  # of the walls that face across the others: a single plane is none


@dataclass(frozen=True)
class PartMaterial:
    """What a part is read as.

    name: its own, its slot's where it has no other, "" where it has none. slot: the name of its material in the file,
    "" where it has none. area_m2: of its faces. material: its acoustic material. why: MAP, SLOT, NAME or DEFAULT; by:
    the pattern or name that decided.
    """

    name: str
    slot: str
    area_m2: float
    material: str
    why: str
    by: str = ""

    @property
    def because(self) -> str:
        """Why it has its material, in words."""
        if self.why == DEFAULT:
            return "nothing: it is the default"
        return f"{_SAID_BY[self.why]} {self.by!r}"


@dataclass(frozen=True)
class PartMaterials:
    """What all parts of a file are read as. idle: patterns of the map that match nothing. upright: names of floors that
    stand upright, as they do where another axis is up.
    """

    parts: tuple[PartMaterial, ...]
    idle: tuple[str, ...]
    upright: tuple[str, ...]


def read_part_materials(
    path: Path, parts: Sequence[MeshPart], patterns: Mapping[str, str], default: str, up: str, unit_scale: float
) -> PartMaterials:
    """Return the material of each part of a file.

    parts: in the file's units and axes. patterns: {pattern: material}, in order. up: the file's vertical axis, "y" or
    "z". unit_scale: metres per unit.
    """
    names = [_own_names(path, part) for part in parts]
    areas = [triangle_areas(part.vertices * unit_scale, part.faces) for part in parts]
    lies = _Floors(parts, names, areas, 2 if up == "z" else 1, unit_scale)
    found = []
    for part, own, area in zip(parts, names, areas, strict=True):
        slot = own.index(part.slot) if part.slot in own else None
        chosen, why, by = _material(own, slot, patterns, lies.storeys) or (default, DEFAULT, "")
        name = next((text for k, text in enumerate(own) if k != slot), own[0] if own else "")
        slot_name = "" if slot is None else own[slot]
        found.append(PartMaterial(name, slot_name, float(area.sum()), chosen, why, by))
    idle = tuple(key for key in patterns if not any(_matches(key, own) for own in names))
    return PartMaterials(tuple(found), idle, lies.upright)


def _material(
    names: Sequence[str], slot: int | None, patterns: Mapping[str, str], storeys: Iterable[str]
) -> tuple[str, str, str] | None:
    """Return a part's material, why it has it, and by which pattern or name; None where nothing says."""
    if (key := next((key for key in patterns if _matches(key, names)), None)) is not None:
        return patterns[key], MAP, key
    spoken = [Spoken() if name in storeys and _is_floor(name) else speaks_of(name) for name in names]
    own = range(1 if slot is None else slot)
    if slot is not None and spoken[slot].substance:
        return str(spoken[slot].substance), SLOT, names[slot]
    for k in own:
        if k < len(names) and (substance := spoken[k].substance):
            return substance, NAME, names[k]
    if slot is not None and (thing := spoken[slot].thing):
        return thing, SLOT, names[slot]
    for name, said in zip(names, spoken, strict=True):
        if material := said.substance or said.thing:
            return material, NAME, name
    return None


def _is_floor(name: str) -> bool:
    said = speaks_of(name)
    return said.substance is None and said.word in _FLOORS


class _Floors:
    """Which names with the word floor are storeys, and which are of floors that stand upright.

    axis: the vertical one in the parts' own frame.
    """

    def __init__(
        self,
        parts: Sequence[MeshPart],
        names: Sequence[Sequence[str]],
        areas: Sequence[FloatArray],
        axis: int,
        unit_scale: float,
    ) -> None:
        bearers: dict[str, list[int]] = {}
        for k, own in enumerate(names):
            for name in own:
                if _is_floor(name):
                    bearers.setdefault(name, []).append(k)
        storeys, upright = [], []
        for name, which in bearers.items():
            corners = np.concatenate([parts[k].vertices[parts[k].faces] for k in which]) * unit_scale
            area = np.concatenate([areas[k] for k in which])
            normal = np.concatenate([face_normals(parts[k].vertices, parts[k].faces) for k in which])
            if _has_walls(corners, area, normal, axis):
                storeys.append(name)
            elif _share(area, np.abs(normal[:, axis]) < _UPRIGHT) > 0.5:
                upright.append(name)
        self.storeys, self.upright = tuple(storeys), tuple(upright)


def _share(area: FloatArray, chosen: BoolArray) -> float:
    return float(area[chosen].sum() / max(float(area.sum()), np.finfo(np.float64).tiny))


def _has_walls(corners: FloatArray, area: FloatArray, normal: FloatArray, axis: int) -> bool:
    """Tell whether faces (n, 3, 3), metres, stand around something, and as high as a wall."""
    stands = (np.abs(normal[:, axis]) < _UPRIGHT) & (area > 0.0)
    if _share(area, stands) < _WALL_SHARE:
        return False
    level = np.delete(normal[stands], axis, axis=1) * np.sqrt(area[stands])[:, None]
    ways = np.linalg.eigvalsh(level.T @ level)
    return bool(ways[0] >= _TWO_WAYS * ways.sum()) and _longest(corners[stands][:, :, axis]) >= _WALL_M


def _longest(heights: FloatArray) -> float:
    """Return the longest stretch that the faces of these heights (n, 3) cover without a gap."""
    low, high = heights.min(axis=1), heights.max(axis=1)
    order = np.argsort(low)
    low, reached = low[order], np.maximum.accumulate(high[order])
    starts = np.flatnonzero(np.r_[True, low[1:] > reached[:-1] + 1e-3])
    return float((reached[np.r_[starts[1:] - 1, len(low) - 1]] - low[starts]).max())


def _own_names(path: Path, part: MeshPart) -> tuple[str, ...]:
    """Return the names of a part without that of its file, which says nothing of a surface."""
    if path.suffix.lower() not in _NAMELESS:
        return part.names
    return tuple(name for name in part.names if name not in (path.name, path.stem))


def _matches(pattern: str, names: Iterable[str]) -> bool:
    wanted = pattern.casefold()
    return any(name.casefold() == wanted or fnmatchcase(name.casefold(), wanted) for name in names)
