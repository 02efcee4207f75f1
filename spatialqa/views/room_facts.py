"""What a building is made of, how long it should reverberate, how open it is, and where listeners may stand."""

from dataclasses import dataclass

import numpy as np

from spatialqa.acoustics.soundspaces.ray_depth import at_frequencies
from spatialqa.core import seeds
from spatialqa.core.geometry import SPEED_OF_SOUND_M_S, FloatArray
from spatialqa.errors import PlacementError
from spatialqa.rooms.mesh.rays import BoolArray, RayCaster
from spatialqa.rooms.mesh.surface import face_normals, triangle_areas
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.room import Room

OCTAVES_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
_WALKS = 2000
_REFLECTIONS = 40
_STEEP = 0.5  # sine of 30 degrees: a ray that leaves more steeply leaves upwards or downwards
_OFF_SURFACE_M = 1e-3
_LOG_60_DB = 6 * float(np.log(10.0))


@dataclass(frozen=True)
class MaterialArea:
    """A material of a building: its area, and the share of the energy that it absorbs in each octave."""

    name: str
    area_m2: float
    absorption: tuple[float, ...]


@dataclass(frozen=True)
class Openings:
    """Of 1 ray that a person in the building sends out, the share that leaves it: in all, upwards, level, downwards."""

    share: float
    up: float
    level: float
    down: float


@dataclass(frozen=True, eq=False)
class RoomFacts:
    """Facts of a building.

    size_m: along x, y and z. materials: the largest first. mean_free_path_m, openings, rt60_s: by rays from where
    listeners may stand; None where they may not, or (rt60_s) no ray comes back. rt60_s: by octave, see `room_facts`.
    standing: float64 (n, 3), world points of ears. why_none_stand: where there are none.
    """

    size_m: tuple[float, float, float]
    materials: tuple[MaterialArea, ...]
    mean_free_path_m: float | None
    openings: Openings | None
    rt60_s: tuple[float, ...] | None
    standing: FloatArray
    why_none_stand: str | None


def room_facts(room: Room) -> RoomFacts:
    """Return the facts of a building.

    The reverberation time is Eyring's (JASA 1, 1930), for the building as a whole: the mean free path and the mean
    absorption are those of 2000 rays, each reflected 40 times by Lambert's law; what leaves the building counts as
    absorbed. Absorption by the air is left out.
    """
    standing, why = _standing(room)
    mean_free_path, openings, rt60 = _walk(room, standing) if len(standing) else (None, None, None)
    return RoomFacts(room.size, _materials(room), mean_free_path, openings, rt60, standing, why)


def _standing(room: Room) -> tuple[FloatArray, str | None]:
    try:
        return Placer(room).listening_points(), None
    except PlacementError as error:
        return np.empty((0, 3)), str(error)


def _materials(room: Room) -> tuple[MaterialArea, ...]:
    areas = np.bincount(
        room.face_material, weights=triangle_areas(room.vertices, room.faces), minlength=len(room.materials)
    )
    found: dict[str, MaterialArea] = {}
    for material, area in zip(room.materials, areas.tolist(), strict=True):
        absorption = tuple(at_frequencies(material.absorption, OCTAVES_HZ).tolist())
        before = found[material.name].area_m2 if material.name in found else 0.0
        found[material.name] = MaterialArea(material.name, before + area, absorption)
    return tuple(sorted((one for one in found.values() if one.area_m2 > 0), key=lambda one: -one.area_m2))


def _walk(room: Room, standing: FloatArray) -> tuple[float | None, Openings, tuple[float, ...] | None]:
    """Follow rays from the points where people stand."""
    caster = RayCaster(room.vertices, room.faces, room.origin)
    normals = face_normals(room.vertices, room.faces)
    absorption = np.array([at_frequencies(material.absorption, OCTAVES_HZ) for material in room.materials])
    rng = seeds.rng(0, "room-facts", room.sha256)
    start = standing[rng.integers(len(standing), size=_WALKS)]
    along = _unit(rng.standard_normal((_WALKS, 3)))
    openings: Openings | None = None
    lengths, flights, absorbed = 0.0, 0, np.zeros(len(OCTAVES_HZ))
    reflected = 0
    for step in range(_REFLECTIONS):
        distance = caster.distances(start, along)
        face = caster.faces(start, along)
        met: BoolArray = np.isfinite(distance) & (face >= 0)
        if step == 0:
            openings = _openings(along[~met])
        else:  # the first flight begins in the air, not at a surface
            flights += len(met)
            absorbed += (~met).sum()
            reflected += int(met.sum())
            lengths += float(distance[met].sum())
            absorbed += absorption[room.face_material[face[met]]].sum(axis=0)
        if not met.any():
            break
        normal = normals[face[met]]
        normal = normal * -np.sign(np.einsum("ij,ij->i", normal, along[met]))[:, None]
        start = start[met] + along[met] * distance[met, None] + normal * _OFF_SURFACE_M
        along = _unit(normal + _unit(rng.standard_normal(normal.shape)))
        short = _WALKS - len(start)
        if short:  # a ray that has left begins anew where another is, so that all places stay as likely
            again = rng.integers(len(start), size=short)
            turned = _unit(normal[again] + _unit(rng.standard_normal((short, 3))))
            start, along = np.concatenate([start, start[again]]), np.concatenate([along, turned])
    assert openings is not None
    if not reflected:
        return None, openings, None
    mean_free_path = lengths / reflected
    share = np.clip(absorbed / flights, 1e-4, 1 - 1e-9)
    times = _LOG_60_DB * mean_free_path / (SPEED_OF_SOUND_M_S * -np.log1p(-share))
    return mean_free_path, openings, tuple(times.tolist())


def _openings(left: FloatArray) -> Openings:
    up, down = (float((sign * left[:, 1] > _STEEP).sum()) / _WALKS for sign in (1.0, -1.0))
    share = len(left) / _WALKS
    return Openings(share, up, share - up - down, down)


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float64)
