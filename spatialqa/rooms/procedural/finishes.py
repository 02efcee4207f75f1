"""Chooses the surface materials of a procedural home for a target reverberation time."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from spatialqa.rooms.materials import Material
from spatialqa.rooms.procedural.floor_plan import FloorPlan, RoomPlan
from spatialqa.rooms.procedural.furniture import Solid
from spatialqa.rooms.procedural.furniture_layout import Item
from spatialqa.rooms.procedural.home_mesh import HomeMesh, Surface, air_volume, triangle_areas

SABINE_S_PER_M = 0.161
_MID_BAND_HZ = (500.0, 1000.0)
_AS_WALL = "as wall"
_COMBINATIONS = 128
_NEAR_ENOUGH = 0.06  # of the wanted RT60
# Half a wavelength at 500 Hz, kept off the 1 cm grid: what lies nearer in front of a face keeps the sound from it.
_COVER_M = 0.3001

_DRY = {
    "wall": (
        "gypsum_board", "gypsum_board", "plaster_on_brick", "plaster_on_concrete_block", "painted_brick", "brick",
        "concrete", "painted_concrete_block", "thick_wood", "thin_wood",
    ),
    "floor": (
        "wood_floor", "wood_on_concrete", "ceramic_tile", "carpet", "heavy_carpet", "heavy_padded_carpet", "concrete",
    ),
    "ceiling": (
        "gypsum_board", "gypsum_board", "plaster_on_concrete_block", "concrete", "thin_wood", "acoustic_tile",
        "acoustic_tile",
    ),
    "panel": (_AS_WALL, _AS_WALL, "acoustic_tile", "heavy_padded_carpet", "curtain", "thick_wood", "brick"),
}  # fmt: skip
_WET = {
    "wall": ("ceramic_tile", "ceramic_tile", "painted_brick", "plaster_on_brick", "gypsum_board", "thin_wood"),
    "floor": ("ceramic_tile", "ceramic_tile", "wood_floor", "concrete", "carpet"),
    "ceiling": ("gypsum_board", "plaster_on_concrete_block", "concrete", "thin_wood", "acoustic_tile"),
    "panel": (_AS_WALL, _AS_WALL, _AS_WALL, "acoustic_tile", "thin_wood"),
}
_UTILITY = {
    "wall": ("concrete", "rough_concrete", "brick", "painted_brick", "concrete_block", "painted_concrete_block"),
    "floor": ("concrete", "concrete", "rough_concrete", "ceramic_tile"),
    "ceiling": ("concrete", "gypsum_board", "thin_wood", "acoustic_tile"),
    "panel": (_AS_WALL, _AS_WALL, "acoustic_tile", "thin_wood", "steel"),
}
_BY_LABEL = {"bathroom": _WET, "kitchen": _WET, "laundry room": _WET, "garage": _UTILITY}
_FURNITURE: dict[str, tuple[str, ...]] = {
    "bath": ("ceramic_tile", "steel"),
    "bedding": ("curtain", "heavy_padded_carpet", "heavy_carpet"),
    "books": ("heavy_carpet",),
    "carton": ("thin_wood",),
    "ceramic": ("ceramic_tile",),
    "counter": ("thick_wood", "wood_floor", "steel", "ceramic_tile"),
    "curtain": ("curtain",),
    "door": ("thick_wood", "thin_wood"),
    "fabric": ("curtain",),
    "leaves": ("foliage",),
    "metal": ("steel",),
    "picture": ("heavy_glass", "thin_wood", "acoustic_tile", "curtain"),
    "rug": ("carpet", "heavy_carpet", "heavy_padded_carpet"),
    "screen": ("heavy_glass",),
    "seat": ("thick_wood", "carpet", "curtain"),
    "upholstery": ("curtain", "heavy_padded_carpet", "heavy_carpet", "carpet"),
    "window": ("glass", "heavy_glass"),
    "wood": ("thick_wood", "thin_wood", "wood_floor"),
}


@cache
def mid_band_absorption(material: Material) -> float:
    """Return the absorption coefficient, mean of the octave bands at 500 and 1000 Hz."""
    frequencies, values = np.array(material.absorption).T
    return float(np.mean(np.interp(_MID_BAND_HZ, frequencies, values)))


def eyring_rt60(volume_m3: float, area_m2: float, absorption_area_m2: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return Eyring's reverberation time in seconds; absorption_area_m2 is the sum of area times coefficient.

    Eyring, "Reverberation time in dead rooms", JASA 1 (1930). Absorption by the air is left out.
    """
    mean = np.asarray(absorption_area_m2, dtype=np.float64) / area_m2
    rt60: npt.NDArray[np.float64] = SABINE_S_PER_M * volume_m3 / (-area_m2 * np.log1p(-mean))
    return rt60


def expected_rt60(
    mesh: HomeMesh,
    exposed_m2: npt.NDArray[np.float64],
    finishes: Mapping[Surface, str],
    materials: Mapping[str, Material],
) -> float:
    """Return about how long a whole home reverberates, mid-band (500 and 1000 Hz), in seconds.

    Over 60 homes T20 in the SoundSpaces engine was 1.02 times this in the median, with a standard deviation of 13 %.
    """
    coefficients = np.array([mid_band_absorption(materials[finishes[surface]]) for surface in mesh.surfaces])
    return float(eyring_rt60(air_volume(mesh.triangles), float(exposed_m2.sum()), np.sum(exposed_m2 * coefficients)))


def exposed_areas(plan: FloorPlan, items: Sequence[Item], mesh: HomeMesh) -> npt.NDArray[np.float64]:
    """Return the area of each of the mesh's surfaces that sound can reach, float64, square metres.

    The sides of furniture that stand close before a wall, the floor or another solid are left out.
    """
    areas = np.bincount(mesh.surface_of, weights=triangle_areas(mesh.triangles), minlength=len(mesh.surfaces))
    number = {surface: k for k, surface in enumerate(mesh.surfaces)}
    for index, room in enumerate(plan.rooms):
        solids = [solid for item in items if item.room == index for solid in item.solids]
        if solids:
            owners = [number[(index, solid.role)] for solid in solids]
            np.subtract.at(areas, owners, _covered(solids, room))
    return np.maximum(areas, 0.0)


def _covered(solids: Sequence[Solid], room: RoomPlan) -> npt.NDArray[np.float64]:
    """Return for each solid how much of its area is covered, square metres; a cylinder counts as a box here."""
    low, high = np.array([s.low for s in solids]), np.array([s.high for s in solids])
    size, centre = high - low, (low + high) / 2
    # sees[i, j, axis]: the middle of solid i lies over solid j as seen along that axis.
    over = (low[None] <= centre[:, None]) & (centre[:, None] <= high[None])
    sees = np.stack([over[..., (a + 1) % 3] & over[..., (a + 2) % 3] for a in range(3)], axis=-1)
    sees[np.arange(len(solids)), np.arange(len(solids))] = False
    covered = np.zeros(len(solids))
    for gaps, walls in (
        (low[None] - high[:, None], _wall_gaps(high, centre, room, upward=True)),
        (low[:, None] - high[None], _wall_gaps(low, centre, room, upward=False)),
    ):
        near = (sees & (gaps > -0.001) & (gaps < _COVER_M)).any(axis=1) | (walls < _COVER_M)
        for a in range(3):
            covered += near[:, a] * size[:, (a + 1) % 3] * size[:, (a + 2) % 3]
    return covered


def _wall_gaps(
    faces: npt.NDArray[np.float64], centre: npt.NDArray[np.float64], room: RoomPlan, upward: bool
) -> npt.NDArray[np.float64]:
    """Return the distance from each solid's face to the shell of the room along x, y and z, (n, 3), metres."""
    gaps = np.zeros_like(faces)
    gaps[:, 1] = room.ceiling_y - faces[:, 1] if upward else faces[:, 1]
    for part in room.parts:
        x, z = centre[:, 0], centre[:, 2]
        inside = (part.x0 <= x) & (x <= part.x1) & (part.z0 <= z) & (z <= part.z1)
        bounds = ((0, part.x1 if upward else part.x0), (2, part.z1 if upward else part.z0))
        for axis, bound in bounds:
            # Parts overlap, so the farther bound is the wall.
            gaps[:, axis] = np.maximum(gaps[:, axis], np.where(inside, np.abs(bound - faces[:, axis]), 0.0))
    return gaps


def choose_finishes(
    plan: FloorPlan,
    items: Sequence[Item],
    mesh: HomeMesh,
    exposed_m2: npt.NDArray[np.float64],
    rt60_s: float,
    materials: Mapping[str, Material],
    rng: np.random.Generator,
) -> dict[Surface, str]:
    """Return a material name for every surface.

    For each room, combinations of what is usual there are drawn until one brings the room near rt60_s; where none
    does, the nearest is taken.
    """
    chosen: dict[Surface, str] = {}
    for index, room in enumerate(plan.rooms):
        usual = {**_FURNITURE, **_BY_LABEL.get(room.label, _DRY)}
        numbers = [k for k, surface in enumerate(mesh.surfaces) if surface[0] == index]
        # The wall comes first, since a panel may be as the wall is.
        numbers.sort(key=lambda k: (mesh.surfaces[k][1] != "wall", k))
        draw = rng.random((_COMBINATIONS, len(numbers)))
        options = [usual[mesh.surfaces[k][1]] for k in numbers]
        absorption = np.empty_like(draw)
        picks = np.empty(draw.shape, dtype=np.int64)
        for column, names in enumerate(options):
            picks[:, column] = draw[:, column] * len(names)
            coefficients = np.array([np.nan if n == _AS_WALL else mid_band_absorption(materials[n]) for n in names])
            values = coefficients[picks[:, column]]
            absorption[:, column] = np.where(np.isnan(values), absorption[:, 0], values)
        volume = room.area * room.ceiling_y - sum(_volume(item) for item in items if item.room == index)
        areas = exposed_m2[numbers]
        rt60 = eyring_rt60(volume, float(areas.sum()), np.sum(absorption * areas, axis=1))
        error = np.abs(np.log(rt60 / rt60_s))
        row = int(np.argmax(error < _NEAR_ENOUGH)) if error.min() < _NEAR_ENOUGH else int(np.argmin(error))
        for column, names in enumerate(options):
            name = names[picks[row, column]]
            chosen[mesh.surfaces[numbers[column]]] = chosen[(index, "wall")] if name == _AS_WALL else name
    return chosen


def _volume(item: Item) -> float:
    sizes = [np.subtract(solid.high, solid.low) for solid in item.solids]
    fill = [2 * 2**0.5 / 4 if solid.is_round else 1.0 for solid in item.solids]  # an octagon in its circle's square
    return float(sum(np.prod(size) * part for size, part in zip(sizes, fill, strict=True)))
