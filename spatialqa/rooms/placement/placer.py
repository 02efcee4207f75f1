"""Places listeners and sources in a building: indoors, above a floor, clear of surfaces, spread evenly.

A Placer draws a pool of valid points once per room. Each listener then takes its sources from the pool by cells of
side and distance (`cells` says which), so that neither bunches at what is typical. None lies inside the listener's
body. Where the regions of a building are known, nothing is placed in one that is not usable, and sources can be kept
to the listener's region or to those that open into it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from spatialqa.core import seeds
from spatialqa.core.geometry import FloatArray, Pose, Vec3, direction, to_head, yaw_quaternion
from spatialqa.core.scene import Place
from spatialqa.errors import PlacementError
from spatialqa.rooms.mesh.rays import BoolArray, RayCaster
from spatialqa.rooms.placement.body import BODY_RADIUS_M, in_body
from spatialqa.rooms.placement.cells import SEPARATION_M, LevelCells, OctantCells, strata
from spatialqa.rooms.placement.free_space import FreeSpace, survey
from spatialqa.rooms.placement.heights import HEIGHTS_M, heights_of
from spatialqa.rooms.placement.kind_cells import KindCells, chances_above
from spatialqa.rooms.placement.solids import SKY_HEIGHT_M, Solids, under_the_sky
from spatialqa.rooms.placement.surface_distance import IntArray, SurfaceDistance
from spatialqa.rooms.room import Room

EAR_HEIGHT_M = (1.1, 1.8)  # from a seated child to a standing adult
SOURCE_HEIGHT_M = HEIGHTS_M["anywhere"]

_POOL_PER_M3 = 80.0  # at least some tens of points in the smallest cell
_MIN_POOL, _MAX_POOL = 3_000, 20_000
_ROUNDS = 8
_OVER_FLOOR_M = 0.15  # a rug or a step, not a chair
_WALKABLE_M = 0.3  # a navmesh lies up to its voxels' height above the floor, and its points are drawn at random
_ROOFLESS_SHARE = 0.02  # of the air; a smaller one may be a gap of a scan
_DOORWAY_M = 0.3  # half of the thickest wall between two regions


@dataclass(frozen=True, eq=False)
class _Pool:
    """Valid points. points: float64 (n, 3); space: int64 (n,); region: int64 (n,), index into the room's regions or -1;
    height_m: above the storey floor, float64 (n,); over_floor: bool (n,), whether the floor itself, not furniture, lies
    straight below.
    """

    points: FloatArray
    space: IntArray
    region: IntArray
    height_m: FloatArray
    over_floor: BoolArray
    blame: str  # why trial points were dropped, for errors


class Placer:
    """Draws listeners and sources in one room.

    clearance_m: least distance to every surface. min_distance_m, max_distance_m: from listener to source.
    source_height_m, ear_height_m: (lowest, highest) above the floor of the storey. heights: `any`, or `class` for the
    kinds of `heights.HEIGHTS_M` (`sources_of`) in place of source_height_m. source_regions: sources stand in
    the region of the listener (`same`), or also in those that open into it (`connected`), or wherever the air leads
    (`any`). walkable: float64 (n, 3), world points on the floor that listeners keep to, such as those of a navmesh;
    None lets them stand over any open floor. body_radius_m: of the listener's body (see `in_body`), 0 for none.
    directions: `even` draws sources without regard to where the listener faces, so that the azimuths of listeners that
    face anywhere are even; `octants` uses those of the head equally that the room offers. warnings: what a user should
    know about the air of the room.

    Raises PlacementError where the room has no valid place at all, or no known regions though `source_regions` asks.
    """

    def __init__(
        self,
        room: Room,
        clearance_m: float = 0.3,
        min_distance_m: float = 0.5,
        max_distance_m: float = 10.0,
        source_height_m: tuple[float, float] = SOURCE_HEIGHT_M,
        ear_height_m: tuple[float, float] = EAR_HEIGHT_M,
        source_regions: str = "any",
        walkable: FloatArray | None = None,
        body_radius_m: float = BODY_RADIUS_M,
        directions: str = "even",
        heights: str = "any",
    ) -> None:
        if source_regions != "any" and not room.regions:
            raise PlacementError(
                f"room {room.room_id!r} has no known regions to keep sources in: use --source-regions any"
            )
        self.room = room
        self.source_regions = source_regions
        self.clearance_m = clearance_m
        self.min_distance_m, self.max_distance_m = min_distance_m, max_distance_m
        self.kinds = {kind: heights_of(kind, clearance_m) for kind in HEIGHTS_M} if heights == "class" else {}
        if self.kinds:
            lows, highs = zip(*self.kinds.values(), strict=True)
            source_height_m = (min(lows), max(highs))
        self.source_height_m, self.ear_height_m = source_height_m, ear_height_m
        self.body_radius_m, self.directions = body_radius_m, directions
        faces = room.faces[under_the_sky(room)]
        self._caster = RayCaster(room.vertices, faces, room.origin)
        surface = SurfaceDistance(room.vertices, faces, room.origin)
        solids = Solids(room.vertices.astype(np.float64) + room.origin, faces)
        air = survey(self._caster, surface, solids, *_bounds(room, faces), clearance_m)
        self.warnings = _doubts(air, sky=len(faces) < len(room.faces))
        self._pool = self._fill(air, surface)
        self._opens_into = _openings(air, room) if source_regions == "connected" else None
        pool = self._pool
        low_y, high_y = source_height_m
        self._sources = np.flatnonzero((pool.height_m >= low_y) & (pool.height_m <= high_y))
        self._ears = self._listening_points()
        self._chances: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}
        if walkable is not None:
            self._ears = self._near_walkable(walkable)

    def listener(self, rng: np.random.Generator, yaw_deg: float | None = None) -> Pose:
        """Draw a head, uniformly over the floor and the ear heights; any yaw unless one is given."""
        pick = self._ears[rng.integers(len(self._ears))]
        turn = rng.uniform(-180.0, 180.0)
        return Pose(_vec3(self._pool.points[pick]), yaw_quaternion(turn if yaw_deg is None else yaw_deg))

    def listening_points(self) -> FloatArray:
        """Return the points from which `listener` draws heads, float64 (n, 3), world metres."""
        points: FloatArray = self._pool.points[self._ears]
        return points

    def sources(self, listener: Pose, count: int, rng: np.random.Generator) -> tuple[Place, ...]:
        """Draw `count` places for one listener, in random order.

        Half of them lie above the ears and half below (or every octant of the head has the same share, see
        `directions`), where the room offers both. Then distances are as even as the room allows, then elevations. A
        place may be hidden from the listener but shares its air, if only through doors.

        Raises PlacementError when the room does not offer this many places at once.
        """
        cells = self._cells(listener)
        places: list[int] = []
        # Distances are stratified; sides are not, or two sources of a listener would never share one.
        for side_u, distance_u in zip(rng.uniform(size=count), strata(count, rng), strict=True):
            point = cells.draw(side_u, distance_u, rng)
            if point is None:
                raise PlacementError(self._too_few(listener, count, len(places), cells.n_points))
            places.append(point)
        drawn = self._places(listener, places)
        return tuple(drawn[int(k)] for k in rng.permutation(count))

    def offered_kinds(self, listener: Pose) -> tuple[str, ...]:
        """Return the kinds of things for which this listener has places."""
        return self._kind_cells(listener).offered

    def sources_of(
        self, listener: Pose, kinds: Sequence[str], shares: Mapping[str, float], rng: np.random.Generator
    ) -> tuple[Place, ...]:
        """Draw a place for a thing of each kind, in their order.

        Distances are as even as the room allows, as with `sources`. Half of all sources lie above the ears
        (`chances_above`).

        shares: how frequent each kind is among all sources of the data set.

        Raises PlacementError when the room does not offer these places at once.
        """
        cells = self._kind_cells(listener)
        places = cells.draw(kinds, self._chances_above(shares), rng)
        if len(places) < len(kinds):
            raise PlacementError(self._too_few(listener, len(kinds), len(places), cells.n_points))
        return tuple(
            replace(place, kind=kind) for place, kind in zip(self._places(listener, places), kinds, strict=True)
        )

    def _chances_above(self, shares: Mapping[str, float]) -> dict[str, float]:
        key = tuple(sorted(shares.items()))
        if key not in self._chances:
            heights = self._pool.height_m[self._sources]
            of_kinds = {kind: heights[(heights >= low) & (heights <= high)] for kind, (low, high) in self.kinds.items()}
            present = {kind: own for kind, own in of_kinds.items() if len(own)}
            self._chances[key] = chances_above(present, self._pool.height_m[self._ears], shares)
        return self._chances[key]

    def _places(self, listener: Pose, ids: Sequence[int]) -> list[Place]:
        """Return points of the pool as a listener has them."""
        points = self._pool.points[list(ids)]
        seen = self.line_of_sight(listener.position, points)
        return [
            replace(self._place(listener, _vec3(point), bool(sight)), height_m=float(self._pool.height_m[k]))
            for k, point, sight in zip(ids, points, seen, strict=True)
        ]

    def line_of_sight(self, a: npt.ArrayLike, b: npt.ArrayLike) -> BoolArray:
        """Tell for each pair of world points, (n, 3) each and broadcast, whether nothing stands between: bool (n,)."""
        return ~self._caster.blocked(a, b)

    def _place(self, listener: Pose, position: Vec3, seen: bool) -> Place:
        azimuth, elevation, distance = direction(listener, position)
        region = self.room.region_at(position)
        if region is None:
            return Place(position, azimuth, elevation, distance, seen)
        return Place(position, azimuth, elevation, distance, seen, region.region_id, region.label, region.level_index)

    def _fill(self, air: FreeSpace, surface: SurfaceDistance) -> _Pool:
        """Draw points around the nodes of the air inside, and keep those that are valid."""
        rng = seeds.rng(0, "placement-pool", self.room.sha256)
        half = air.spacing_m / 2
        low_y = min(self.source_height_m[0], self.ear_height_m[0]) - half
        high_y = max(self.source_height_m[1], self.ear_height_m[1]) + half
        height = air.points[:, 1] - air.floor_y
        at_height = (height >= low_y) & (height <= high_y)
        nodes = np.flatnonzero(at_height & (air.near_m >= self.clearance_m - half * 3**0.5))
        nodes = nodes[self._allowed(self.room.region_index(air.points[nodes]))]
        kept_points, kept_nodes, tried, clear_count = [np.empty((0, 3))], [np.empty(0, dtype=np.int64)], 0, 0
        wanted = int(np.clip(_POOL_PER_M3 * len(nodes) * air.spacing_m**3, _MIN_POOL, _MAX_POOL))
        for _ in range(_ROUNDS):
            missing = wanted - clear_count
            if missing <= 0 or not len(nodes):
                break
            # Twice the number missing: about half of the trials near surfaces are too close.
            chosen = nodes if len(nodes) <= 2 * missing else np.sort(rng.choice(nodes, 2 * missing, replace=False))
            points = air.points[chosen] + rng.uniform(-half, half, (len(chosen), 3))
            good = surface.at_least(points, self.clearance_m)
            good[good] = ~self._caster.blocked(air.points[chosen[good]], points[good])
            good &= self._allowed(self.room.region_index(points))
            tried += len(chosen)
            clear_count += int(good.sum())
            kept_points.append(points[good])
            kept_nodes.append(chosen[good])
        points, node = np.concatenate(kept_points), np.concatenate(kept_nodes)
        blame = self._blame(air, int(at_height.sum()), tried, clear_count)
        if not len(points):
            raise PlacementError(f"{self._where()} has no place for a sound: {blame}")
        floor = air.floor_y[node]
        over_floor = np.abs(air.below_y[node] - floor) <= _OVER_FLOOR_M
        # The node's column may be clear of a table that the drawn point stands over.
        drop = self._caster.distances(points, [0.0, -1.0, 0.0])
        over_floor &= np.abs(points[:, 1] - drop - floor) <= _OVER_FLOOR_M
        space, region = air.space[node], self.room.region_index(points)
        if self.source_regions == "same":  # the air of each region stands for itself
            space = np.unique(np.stack([space, region], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
        return _Pool(points, space, region, points[:, 1] - floor, over_floor, blame)

    def _allowed(self, region: IntArray) -> BoolArray:
        """Tell which points are usable, from the index of the region: bool (n,)."""
        usable = np.array([*(r.usable for r in self.room.regions), self.source_regions == "any"])
        allowed: BoolArray = usable[region]
        return allowed

    def _listening_points(self) -> IntArray:
        pool = self._pool
        low_y, high_y = self.ear_height_m
        ears = np.flatnonzero(pool.over_floor & (pool.height_m >= low_y) & (pool.height_m <= high_y))
        if not len(ears):
            raise PlacementError(
                f"{self._where()} has no place for a listener: of {len(pool.points):,} points clear of surfaces none "
                f"lies {low_y:g} to {high_y:g} m above an open floor"
            )
        # A space whose valid points all lie together offers nothing far enough from any listener.
        wide = [
            label
            for label in np.unique(pool.space[ears])
            if self._extent(self._sources[pool.space[self._sources] == label]) >= self.min_distance_m
        ]
        ears = ears[np.isin(pool.space[ears], wide)]
        if not len(ears):
            raise PlacementError(
                f"{self._where()} has no two places {self.min_distance_m:g} m apart that are {self.clearance_m:g} m or "
                f"more from every surface"
            )
        return ears

    def _near_walkable(self, walkable: FloatArray) -> IntArray:
        """Keep the listening points whose feet are at a walkable point."""
        feet = self._pool.points[self._ears].copy()
        feet[:, 1] -= self._pool.height_m[self._ears]
        near = cKDTree(walkable).query(feet, distance_upper_bound=_WALKABLE_M)[0] <= _WALKABLE_M
        if not near.any():
            raise PlacementError(
                f"{self._where()} has no place for a listener: none of {len(feet):,} lies within {_WALKABLE_M:g} m of "
                f"{len(walkable):,} walkable points"
            )
        kept: IntArray = self._ears[near]
        return kept

    def _extent(self, ids: IntArray) -> float:
        points = self._pool.points[ids]
        return float(np.linalg.norm(np.ptp(points, axis=0))) if len(points) else 0.0

    def _cells(self, listener: Pose) -> OctantCells | LevelCells:
        ids = self._reachable(listener)
        cells = OctantCells if self.directions == "octants" else LevelCells
        return cells(ids, self._pool.points[ids], to_head(listener, self._pool.points[ids]), self.min_distance_m)

    def _kind_cells(self, listener: Pose) -> KindCells:
        ids, pool = self._reachable(listener), self._pool
        offset = pool.points[ids] - np.asarray(listener.position)
        limits = (self.min_distance_m, self.max_distance_m)
        return KindCells(ids, pool.points[ids], offset, pool.height_m[ids], self.kinds, limits)

    def _reachable(self, listener: Pose) -> IntArray:
        """Return the points of the pool that can be sources of a listener: their indices, int64 (n,)."""
        pool = self._pool
        here = np.asarray(listener.position)
        offset = pool.points - here
        nearest = int(np.argmin((offset * offset).sum(axis=1)))
        ids = self._sources[pool.space[self._sources] == pool.space[nearest]]
        if self._opens_into is not None:
            ids = ids[self._opens_into[pool.region[nearest], pool.region[ids]]]
        far2 = (offset[ids] * offset[ids]).sum(axis=1)
        ids = ids[(far2 >= self.min_distance_m**2) & (far2 <= self.max_distance_m**2)]
        kept: IntArray = ids[~in_body(offset[ids], self.body_radius_m)]
        return kept

    def _where(self) -> str:
        return f"room {self.room.room_id!r}"

    def _blame(self, air: FreeSpace, at_height: int, tried: int, clear: int) -> str:
        size = "the room is {:.3g} x {:.3g} m and {:.3g} m high".format(*(self.room.size[k] for k in (0, 2, 1)))
        if not air.n_enclosed:
            return f"0 of {air.n_trials:,} trial points lie indoors: no surfaces enclose any air; {size}"
        if not len(air.points) and air.n_solid:
            return (
                f"0 of {air.n_trials:,} trial points lie indoors: the air that surfaces enclose is inside of solid "
                f"blocks, which are closed and wound outwards; if these are rooms, turn their faces around; {size}"
            )
        if not len(air.points):
            return f"0 of {air.n_trials:,} trial points lie indoors over a floor where a person could stand; {size}"
        if not self._allowed(self.room.region_index(air.points)).any():
            return f"all of its air is outdoors, in regions that are left out, or in no region at all; {size}"
        if not at_height:
            return f"0 of {len(air.points):,} trial points indoors lie at a usable height over a floor; {size}"
        tried = tried or at_height
        return f"{clear:,} of {tried:,} trial points lie at least {self.clearance_m:g} m from every surface; {size}"

    def _too_few(self, listener: Pose, count: int, found: int, n_points: int) -> str:
        x, y, z = listener.position
        return (
            f"{self._where()} has only {found} of {count} source places for a listener at ({x:.2f}, {y:.2f}, {z:.2f}): "
            f"{n_points:,} trial points in its space lie {self.min_distance_m:g} to {self.max_distance_m:g} m "
            f"away, and sources stand {SEPARATION_M:g} m apart; {self._pool.blame}"
        )


def _bounds(room: Room, faces: npt.NDArray[np.int32]) -> tuple[FloatArray, FloatArray]:
    """Return the bounding box of some of a room's faces, world metres, float64 (3,) each."""
    if len(faces) == len(room.faces):
        return room.bounds
    points = room.vertices[faces].reshape(-1, 3).astype(np.float64) + room.origin
    return points.min(axis=0), points.max(axis=0)


def _doubts(air: FreeSpace, sky: bool) -> tuple[str, ...]:
    """Return what a user should know about the air that was found."""
    doubts = []
    if sky:
        doubts.append(
            f"a surface around everything else, more than {SKY_HEIGHT_M:g} m high, was taken for a sky: it makes no "
            f"place an indoor one, but it reflects sound; leave it out of the file"
        )
    if air.roofless >= _ROOFLESS_SHARE:
        doubts.append(
            f"{air.roofless:.0%} of the usable air is under the open sky: a missing ceiling, or a space between "
            f"buildings"
        )
    return tuple(doubts)


def _openings(air: FreeSpace, room: Room) -> BoolArray:
    """Tell which regions open into which, and each into itself: bool (regions, regions)."""
    region = room.region_index(air.points)
    a, b = air.joined.T
    for _ in range(math.ceil(_DOORWAY_M / air.spacing_m)):  # the air of a doorway can lie between two regions
        known = region.copy()
        for here, there in ((a, b), (b, a)):
            unknown = (known[here] < 0) & (known[there] >= 0)
            region[here[unknown]] = known[there[unknown]]
    opens: BoolArray = np.eye(len(room.regions), dtype=np.bool_)
    both = (region[a] >= 0) & (region[b] >= 0)
    opens[region[a[both]], region[b[both]]] = True
    return opens | opens.T


def _vec3(point: FloatArray) -> Vec3:
    return (float(point[0]), float(point[1]), float(point[2]))
