"""Finds air that is not usable: inside solid blocks, and under a sky.

A mesh of thin surfaces does not say on which side of them the air is. Winding does, but many rooms are wound the wrong
way or any way, so it is believed only of closed shells that all wind one way, and read together:

- What lies directly inside a shell wound outwards is matter. It is a room after all where it holds other things, such
  as furniture, or where it stands side by side with such a room.
- Where nothing else in a file encloses air, shells wound outwards that take up a good part of its ground are its rooms,
  turned inside out; smaller ones are blocks in the open.

A shell wound inwards has air inside, and so has whatever is not closed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spatialqa.core.geometry import FloatArray
from spatialqa.rooms.mesh.rays import BoolArray, RayCaster
from spatialqa.rooms.mesh.surface import face_normals
from spatialqa.rooms.room import Room

SKY_HEIGHT_M = 60.0  # no building is so high

_WELD_M = 1e-4
_WIDTH_M, _HEIGHT_M = 0.8, 2.0  # of what could be stood in
_TOUCHING_M = 1e-3
_ROOMS_SHARE = 0.25  # of the ground
_DIRECTIONS = np.array([[0.36, 0.48, 0.8], [-0.8, 0.36, -0.48], [0.48, -0.8, -0.36]])  # along no building's axis

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Shell:
    """A closed surface that winds one way, large enough to stand in. number: its surface's; volume_m3: negative where
    it is wound inwards.
    """

    number: int
    volume_m3: float
    low: FloatArray
    high: FloatArray
    caster: RayCaster
    normals: FloatArray

    def holds(self, points: FloatArray) -> BoolArray:
        """Tell which points (n, 3) lie inside: from there a ray meets the inner sides of its faces first."""
        held = np.zeros(len(points), dtype=np.bool_)
        ids = np.flatnonzero(((points > self.low) & (points < self.high)).all(axis=1))
        votes = np.zeros(len(ids))
        for direction in _DIRECTIONS:
            face = self.caster.faces(points[ids], direction)
            outwards = self.normals[face] @ direction * np.sign(self.volume_m3)
            votes += (face >= 0) & (outwards > 0.0)
        held[ids] = votes >= 2
        return held


class Solids:
    """The solid blocks of a mesh. vertices: float (V, 3), metres, in the frame of the questions; faces: int (F, 3)."""

    def __init__(self, vertices: FloatArray, faces: npt.NDArray[np.integer]) -> None:
        self._vertices, self._faces = vertices, faces

    def matter(self, points: FloatArray) -> BoolArray:
        """Tell which points (n, 3) lie in matter: bool (n,)."""
        found: BoolArray = np.append(self._solid, False)[_innermost(self._shells, points)]
        return found

    def matter_if_inside_out(self, points: FloatArray) -> BoolArray:
        """Tell the same for a file in which nothing but the inside of blocks is enclosed."""
        solid = self._solid.copy()
        solid[self._rooms] = False
        found: BoolArray = np.append(solid, False)[_innermost(self._shells, points)]
        return found

    def normals(self, face: IntArray) -> FloatArray:
        """Return unit normals of faces, float64 (n, 3)."""
        return face_normals(self._vertices, self._faces[face])

    @cached_property
    def _surfaces(self) -> "_Surfaces":
        return _Surfaces(self._vertices, self._faces)

    @cached_property
    def _shells(self) -> list[_Shell]:
        """The shells, the smallest first."""
        surfaces = self._surfaces
        extent = surfaces.high - surfaces.low
        wide = (extent[:, [0, 2]] >= _WIDTH_M).all(axis=1) & (extent[:, 1] >= _HEIGHT_M)
        found = []
        for number in np.flatnonzero(wide & surfaces.closed & (surfaces.volume_m3 != 0.0)):
            faces = self._faces[surfaces.of_face == number]
            found.append(
                _Shell(
                    int(number),
                    float(surfaces.volume_m3[number]),
                    surfaces.low[number],
                    surfaces.high[number],
                    RayCaster(self._vertices, faces),
                    face_normals(self._vertices, faces),
                )
            )
        return sorted(found, key=lambda shell: abs(shell.volume_m3))

    @cached_property
    def _holder(self) -> IntArray:
        """The place in `_shells` of the smallest shell around each surface, or -1."""
        surfaces = self._surfaces
        holder = np.full(len(surfaces.low), -1)
        for k in reversed(range(len(self._shells))):
            shell = self._shells[k]
            low, high = shell.low - _TOUCHING_M, shell.high + _TOUCHING_M
            within = (surfaces.low >= low).all(axis=1) & (surfaces.high <= high).all(axis=1)
            ids = np.setdiff1d(np.flatnonzero(within), [shell.number])
            holder[ids[shell.holds(surfaces.middle[ids])]] = k
        return holder

    @cached_property
    def _solid(self) -> BoolArray:
        """Whether each of `_shells` is of matter."""
        shells, holder = self._shells, self._holder
        outwards = np.array([shell.volume_m3 > 0.0 for shell in shells], dtype=np.bool_)
        inner = [shell.number for shell in shells if shell.volume_m3 < 0.0]
        things = np.setdiff1d(np.arange(len(holder)), inner)
        furnished = np.isin(np.arange(len(shells)), holder[things]) & outwards
        solid: BoolArray = outwards & ~furnished
        if furnished.any():  # in this file rooms are wound outwards
            solid &= np.array([holder[shell.number] >= 0 for shell in shells], dtype=np.bool_)
        return solid

    @cached_property
    def _rooms(self) -> IntArray:
        """Those of `_shells` that are rooms where nothing else encloses air."""
        low, high = self._surfaces.low.min(axis=0), self._surfaces.high.max(axis=0)
        ground = float(np.prod((high - low)[[0, 2]]))
        outermost = [k for k, shell in enumerate(self._shells) if self._holder[shell.number] < 0 and self._solid[k]]
        covered = sum(float(np.prod((self._shells[k].high - self._shells[k].low)[[0, 2]])) for k in outermost)
        return np.array(outermost if covered >= _ROOMS_SHARE * ground else [], dtype=np.int64)


class _Surfaces:
    """The surfaces that a mesh consists of: faces joined over edges that no third face shares.

    of_face: int64 (F,). Of each surface: low, high, middle, float64 (n, 3); closed, bool (n,): no edge has another
    number of faces going one way than the other; volume_m3, float64 (n,), where it is closed, positive if wound
    outwards.
    """

    def __init__(self, vertices: FloatArray, faces: npt.NDArray[np.integer]) -> None:
        corners = _welded(vertices)[faces].astype(np.int64)
        start, end = corners[:, [0, 1, 2]].ravel(), corners[:, [1, 2, 0]].ravel()
        edge = np.minimum(start, end) * (int(corners.max()) + 1) + np.maximum(start, end)
        face = np.repeat(np.arange(len(faces)), 3)
        order = np.argsort(edge, kind="stable")
        first = np.flatnonzero(np.r_[True, np.diff(edge[order]) != 0])
        pair = first[np.diff(np.r_[first, len(order)]) == 2]
        a, b = face[order[pair]], face[order[pair + 1]]
        links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(faces), len(faces)))
        count, label = connected_components(links, directed=False)
        self.of_face: IntArray = label.astype(np.int64)
        sense = np.where(start < end, 1, -1) * (start != end)
        number = np.cumsum(np.r_[False, np.diff(edge[order]) != 0])  # of the edge, so that a key fits into 64 bits
        keys, which = np.unique(number * count + self.of_face[face[order]], return_inverse=True)
        open_edge = np.bincount(which, weights=sense[order]) != 0.0
        self.closed = np.ones(count, dtype=np.bool_)
        self.closed[keys[open_edge] % count] = False
        points = vertices[faces] - vertices.mean(axis=0)
        six = np.einsum("ij,ij->i", points[:, 0], np.cross(points[:, 1], points[:, 2]))
        self.volume_m3: FloatArray = np.bincount(self.of_face, weights=six, minlength=count) / 6.0
        self.low, self.high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
        np.minimum.at(self.low, self.of_face, vertices[faces].min(axis=1))
        np.maximum.at(self.high, self.of_face, vertices[faces].max(axis=1))
        n = np.bincount(self.of_face, minlength=count)
        middles = vertices[faces].mean(axis=1)
        self.middle: FloatArray = np.stack(
            [np.bincount(self.of_face, weights=m, minlength=count) / n for m in middles.T], 1
        )


def _welded(vertices: FloatArray) -> IntArray:
    """Return a number for each vertex, equal where they share a cell of 0.1 mm."""
    cells = np.round((vertices - vertices.min(axis=0)) / _WELD_M).astype(np.int64)
    order = np.lexsort(cells.T)
    number = np.empty(len(cells), dtype=np.int64)
    number[order] = np.cumsum(np.r_[False, (np.diff(cells[order], axis=0) != 0).any(axis=1)])
    return number


def _innermost(shells: list[_Shell], points: FloatArray) -> IntArray:
    """Return the place of the smallest shell around each point, or -1."""
    found = np.full(len(points), -1, dtype=np.int64)
    for k, shell in enumerate(shells):
        left = np.flatnonzero(found < 0)
        found[left[shell.holds(points[left])]] = k
    return found


def under_the_sky(room: Room) -> BoolArray:
    """Tell which faces of a room are not part of a sky: bool (F,).

    A sky is a surface higher than any building with everything else within its bounds.
    """
    kept = np.ones(len(room.faces), dtype=np.bool_)
    if room.size[1] <= SKY_HEIGHT_M:
        return kept
    surfaces = _Surfaces(room.vertices.astype(np.float64), room.faces)
    low, high = surfaces.low.min(axis=0) + _TOUCHING_M, surfaces.high.max(axis=0) - _TOUCHING_M
    around = (surfaces.low <= low).all(axis=1) & (surfaces.high >= high).all(axis=1)
    if around.all():
        return kept
    kept[around[surfaces.of_face]] = False
    return kept
