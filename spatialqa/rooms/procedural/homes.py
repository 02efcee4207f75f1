"""Procedural homes by number: `home-000042` is always the same home, whatever the seed of the run."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spatialqa.core import seeds
from spatialqa.errors import RoomError
from spatialqa.rooms.materials import load_materials
from spatialqa.rooms.procedural.finishes import choose_finishes, expected_rt60, exposed_areas
from spatialqa.rooms.procedural.floor_plan import FloorPlan
from spatialqa.rooms.procedural.floor_plan_sampler import draw_floor_plan
from spatialqa.rooms.procedural.furniture_layout import Item, furnish
from spatialqa.rooms.procedural.home_mesh import HomeMesh, Surface, build_mesh
from spatialqa.rooms.room import Region, Room

NAME = "procedural"
KINDS = ("shoebox", "l_shape", "apartment")
RT60_RANGE_S = (0.2, 1.2)

_PROBES = 6  # homes that stand for all in the content hash
_HOMES = 1_000_000
_KIND_BOUNDS = (0.35, 0.55)  # below the first: shoebox; below the second: l_shape; else apartment
_ID = re.compile(r"home-(\d{6})")


@dataclass(frozen=True, eq=False)
class Home:
    """Everything that was drawn for one home.

    Its materials were chosen for wanted_rt60_s; expected_rt60_s is what they should give (mid-band).
    """

    room_id: str
    wanted_rt60_s: float
    plan: FloorPlan
    items: tuple[Item, ...]
    mesh: HomeMesh
    finishes: dict[Surface, str]
    expected_rt60_s: float


class ProceduralRooms:
    """An endless set of furnished homes: shoebox rooms, L-shaped rooms, and apartments of two to six rooms.

    Homes stand on y = 0. Each room is a Region, with id `home-000042/0` and so on; the passage in a doorway, as deep
    as the wall is thick, belongs to no region. `kinds` keeps to homes of these kinds.
    """

    name = NAME
    finite = False

    def __init__(self, kinds: Sequence[str] | None = None) -> None:
        self._kinds = frozenset(KINDS if kinds is None else kinds)
        if unknown := sorted(self._kinds.difference(KINDS)):
            raise RoomError(f"there is no kind of home {unknown[0]!r}: the kinds are {', '.join(KINDS)}")
        if not self._kinds:
            raise RoomError(f"no kind of home is allowed: name at least one of {', '.join(KINDS)}")

    def room_ids(self, count: int | None, seed: int) -> Sequence[str]:
        """Return `count` different homes, drawn by seed; a larger count begins with the homes of a smaller one.

        Raises RoomError when count is None, for the set has no end, or more than there are ids for.
        """
        if count is None:
            raise RoomError("procedural homes are unlimited: give a count")
        if count > _HOMES:
            raise RoomError(f"there are {_HOMES} procedural homes: {count} were asked for")
        rng = seeds.rng(seed, "procedural homes", NAME)
        chosen: dict[str, None] = {}
        seen: set[int] = set()
        while len(chosen) < count:
            if len(seen) == _HOMES:
                raise RoomError(f"only {len(chosen)} procedural homes are {' or '.join(sorted(self._kinds))}")
            number = int(rng.random() * _HOMES)
            while number in seen:
                number = (number + 1) % _HOMES
            seen.add(number)
            room_id = f"home-{number:06d}"
            if len(self._kinds) == len(KINDS) or kind_of(room_id) in self._kinds:
                chosen[room_id] = None
        return tuple(chosen)

    def house_of(self, room_id: str) -> str:
        """Return the id itself: a home is a house of its own."""
        return room_id

    def official_split(self, house_id: str) -> str | None:
        """Return None: the houses have no official splits."""
        return None

    def content_hash(self) -> str:
        """Return a hash of the kinds and of a few homes: it changes when the generator does."""
        digest = hashlib.sha256(",".join(sorted(self._kinds)).encode())
        for number in range(_PROBES):
            digest.update(self.load(f"home-{number:06d}").sha256.encode())
        return digest.hexdigest()

    def load(self, room_id: str) -> Room:
        """Make a home; raises RoomError when the id is none of ours."""
        return _room(draw_home(room_id))


def kind_of(room_id: str) -> str:
    """Return the kind of a home ("shoebox", "l_shape" or "apartment") without making it."""
    return _kind(_draws(room_id))


def draw_home(room_id: str) -> Home:
    """Draw a home: its plan, furniture and materials, all from its id; raises RoomError when the id is none of ours."""
    rng = _draws(room_id)
    kind = _kind(rng)
    low, high = RT60_RANGE_S
    liveness = rng.random()
    rt60_s = low + (high - low) * liveness
    plan = draw_floor_plan(kind, liveness, rng)
    # Long reverberation is at home where there is little furniture.
    fullness = min(1.0, max(0.0, 1.1 - 1.1 * liveness + 0.3 * (rng.random() - 0.5)))
    items = furnish(plan, fullness, rng)
    mesh = build_mesh(plan, items)
    exposed = exposed_areas(plan, items, mesh)
    materials = load_materials()
    finishes = choose_finishes(plan, items, mesh, exposed, rt60_s, materials, rng)
    return Home(room_id, rt60_s, plan, items, mesh, finishes, expected_rt60(mesh, exposed, finishes, materials))


def _draws(room_id: str) -> np.random.Generator:
    if not _ID.fullmatch(room_id):
        raise RoomError(f"there is no procedural home {room_id!r}: ids run from home-000000 to home-{_HOMES - 1:06d}")
    return seeds.rng(0, "home", room_id)


def _kind(rng: np.random.Generator) -> str:
    first = rng.random()
    return next((kind for kind, bound in zip(KINDS, _KIND_BOUNDS, strict=False) if first < bound), KINDS[-1])


def _room(home: Home) -> Room:
    names = [home.finishes[surface] for surface in home.mesh.surfaces]
    used = tuple(sorted(set(names)))
    number = np.array([used.index(name) for name in names], dtype=np.int32)
    corners = home.mesh.triangles.reshape(-1, 3)
    return Room(
        room_set=NAME,
        room_id=home.room_id,
        house_id=home.room_id,
        vertices=corners.astype(np.float32),
        faces=np.arange(len(corners), dtype=np.int32).reshape(-1, 3),
        face_material=number[home.mesh.surface_of],
        materials=tuple(load_materials()[name] for name in used),
        regions=tuple(
            Region(f"{home.room_id}/{k}", room.label, 0, room.outline, 0.0, room.ceiling_y)
            for k, room in enumerate(home.plan.rooms)
        ),
    )
