"""Given positions in a building: checks whether they can be used, and computes line of sight and region."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from spatialqa.core.geometry import FloatArray, Pose, Vec3, direction
from spatialqa.core.scene import Place
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.placement.free_space import FreeSpace, survey
from spatialqa.rooms.placement.solids import Solids, under_the_sky
from spatialqa.rooms.placement.surface_distance import SurfaceDistance
from spatialqa.rooms.room import Room

TOUCHING_M = 0.01  # nearer to a surface, an engine may put a source behind it

_NEAR_NODES = 64
_REACH_STEPS = 2.0  # grid steps from a point in the air to the node that sees it
_REACH_M = 0.3
_OPEN_RAYS = 2  # of six along the axes: a point in a wall meets surfaces all around


class Positions:
    """Checks world positions in one room, and measures what a listener has of them.

    room: world frame, metres. The air inside the building is surveyed once, when the first position is checked.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self._faces = room.faces[under_the_sky(room)]
        self._caster = RayCaster(room.vertices, self._faces, room.origin)

    def problems(self, points: Sequence[Vec3]) -> list[str | None]:
        """Return for each position why it cannot be used (in a wall, or outside), or None where it is in the air."""
        positions = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        seen = self._in_air(positions)
        clear = self._surface.at_least(positions, TOUCHING_M)
        axes = np.vstack([np.eye(3), -np.eye(3)]).tolist()
        open_rays = np.sum([np.isinf(self._caster.distances(positions, axis)) for axis in axes], axis=0)
        found: list[str | None] = []
        for k, position in enumerate(positions):
            inside = bool(((position >= self._low) & (position <= self._high)).all())
            if not clear[k] and inside:
                found.append(f"touches a surface (less than {TOUCHING_M * 100:g} cm away)")
            elif seen[k]:
                found.append(None)
            elif not self._air.n_enclosed:
                found.append("is not in a closed space: no surfaces of the building enclose air")
            elif inside and open_rays[k] < _OPEN_RAYS:
                found.append("is in a wall, or inside a solid or closed object")
            else:
                found.append("is outside the building")
        return found

    def place(self, listener: Pose, position: Vec3) -> Place:
        """Return a source position as a listener has it; raises SpatialQAError at the centre of the head."""
        azimuth, elevation, distance = direction(listener, position)
        blocked = self._caster.blocked(np.asarray([listener.position]), np.asarray([position]))
        region = self.room.region_at(position)
        named = (region.region_id, region.label, region.level_index) if region else (None, None, None)
        return Place(position, azimuth, elevation, distance, not bool(blocked[0]), *named)

    def _in_air(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """Tell for each point (n, 3) whether a node of the air close by sees it: bool (n,)."""
        nodes = self._air.points
        seen = np.zeros(len(points), dtype=np.bool_)
        if not len(nodes):
            return seen
        count = min(_NEAR_NODES, len(nodes))
        reach = _REACH_STEPS * self._air.spacing_m + _REACH_M
        distance, nearest = cKDTree(nodes).query(points, count, distance_upper_bound=reach)
        for k in range(len(points)):
            near = np.reshape(nearest[k], -1)[np.isfinite(np.reshape(distance[k], -1))]
            if len(near):
                start = np.broadcast_to(points[k], (len(near), 3))
                seen[k] = not self._caster.blocked(start, nodes[near]).all()
        return seen

    @cached_property
    def _surface(self) -> SurfaceDistance:
        return SurfaceDistance(self.room.vertices, self._faces, self.room.origin)

    @cached_property
    def _corners(self) -> FloatArray:
        return self.room.vertices[self._faces].reshape(-1, 3).astype(np.float64) + self.room.origin

    @property
    def _low(self) -> FloatArray:
        low: FloatArray = self._corners.min(axis=0)
        return low

    @property
    def _high(self) -> FloatArray:
        high: FloatArray = self._corners.max(axis=0)
        return high

    @cached_property
    def _air(self) -> FreeSpace:
        solids = Solids(self.room.vertices.astype(np.float64) + self.room.origin, self._faces)
        return survey(self._caster, self._surface, solids, self._low, self._high, TOUCHING_M)
