"""Simplifies meshes of millions of faces for acoustics, with a measured error.

Scanned houses spend most of their faces on noise of a centimetre or two, which neither a ray nor a wavelength notices,
while an engine pays for every face whenever it is given a house. Edges are collapsed by meshoptimizer (quadric error
metrics, Garland and Heckbert 1997; seams are kept between materials). How far the surface moved is then measured here,
since a quadric error is a mean and no bound.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.errors import MissingDependencyError
from spatialqa.rooms.mesh.surface import face_normals, surface_distances, surface_points, triangle_areas

FloatVertices = npt.NDArray[np.float32]
IntFaces = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]

TARGET_FACES = 200_000
MAX_ERROR_M = 0.05
MAX_LOST_SHARE = 0.001
WELD_M = 1e-4

VERSION = "1"  # raised whenever the same mesh would be prepared differently
_ATTEMPTS = 6
_PROBES = 50_000
_ERROR_ABSOLUTE = 4  # meshoptimizer's flag: errors in units of the mesh, here metres


@dataclass(frozen=True, eq=False)
class LabelledMesh:
    """A triangle mesh with a material for every face.

    vertices: float32 (V, 3), metres, world frame. faces: int32 (F, 3), indices into vertices. face_material: int32
    (F,).
    """

    vertices: FloatVertices
    faces: IntFaces
    face_material: IntFaces


@dataclass(frozen=True, eq=False)
class PreparedMesh(LabelledMesh):
    """A mesh ready for simulation, and what was done to it.

    faces_before: how many faces it had. faces_without_area: how many of those were dropped for that. error_m: the
    largest distance found from its surface to the original one, 0 where nothing was simplified. lost_share: the share
    of the original area that lies farther than max_error_m from its surface: slivers that vanished. target_faces,
    max_error_m: what was asked for. labels: the names that face_material numbers; remarks: what else a user should
    know; origin: the world point that vertices count from. The cache fills in these three, if they are to
    be kept with it.
    """

    faces_before: int
    faces_without_area: int = 0
    error_m: float = 0.0
    lost_share: float = 0.0
    target_faces: int | None = None
    max_error_m: float = MAX_ERROR_M
    labels: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    origin: Vec3 = (0.0, 0.0, 0.0)

    @property
    def simplified(self) -> bool:
        """Whether edges were collapsed."""
        return self.target_faces is not None and self.faces_before - self.faces_without_area > self.target_faces

    def notes(self) -> list[str]:
        """Return what a user should know, in whole sentences without a full stop."""
        notes = []
        if self.faces_without_area:
            notes.append(f"{self.faces_without_area:,} of {self.faces_before:,} faces have no area and were left out")
        if self.simplified:
            short = (
                f"; the target of {self.target_faces:,} lies beyond the bound of {1000 * self.max_error_m:g} mm"
                if self.target_faces is not None and len(self.faces) > 1.05 * self.target_faces
                else ""
            )
            notes.append(
                f"simplified from {self.faces_before:,} to {len(self.faces):,} faces; no surface moved by more than "
                f"{1000 * self.error_m:.0f} mm{short}"
            )
        return notes


def preparation(target_faces: int | None = TARGET_FACES, max_error_m: float = MAX_ERROR_M) -> str:
    """Return what `prepare_mesh` does to a mesh, for hashes and cache keys: settings and the library's version."""
    if target_faces is None:
        return f"prepared {VERSION}"
    try:
        library = version("meshoptimizer")
    except PackageNotFoundError:
        library = "none"
    return f"prepared {VERSION}, {target_faces} faces, {max_error_m} m, meshoptimizer {library}"


def prepare_mesh(
    mesh: LabelledMesh, target_faces: int | None = TARGET_FACES, max_error_m: float = MAX_ERROR_M
) -> PreparedMesh:
    """Return a mesh of about target_faces faces whose surface lies within max_error_m of the original's.

    Faces without area and vertices that no face uses are dropped from every mesh, and nothing else is done to one that
    has at most target_faces faces, or when target_faces is None. A larger one is welded on a grid of 0.1 mm, freed of
    duplicate faces, and simplified. Every vertex of the result is a vertex of the original, and every face keeps the
    material of the faces it comes from: edges between materials only collapse along themselves. The error is measured
    at points spread evenly over the areas of both surfaces. Where it exceeds the bound, or more than 0.1 % of the
    original area would be lost, the mesh is simplified less, so the result may have more faces than asked for; `notes`
    says so. The same mesh gives the same bytes.

    Raises MissingDependencyError where the mesh must be simplified and meshoptimizer is not installed.
    """
    whole = triangle_areas(mesh.vertices, mesh.faces) > 0.0
    vertices, faces = _compact(mesh.vertices, mesh.faces[whole])
    material = mesh.face_material[whole]
    facts: dict[str, Any] = {
        "faces_before": len(mesh.faces),
        "faces_without_area": int((~whole).sum()),
        "target_faces": target_faces,
        "max_error_m": max_error_m,
    }
    if target_faces is None or len(faces) <= target_faces:
        return PreparedMesh(vertices, faces, material, **facts)
    welded = _weld(LabelledMesh(vertices, faces, material))
    welded = replace(welded, faces=_oriented(welded.faces))
    return _simplify(LabelledMesh(vertices, faces, material), welded, target_faces, max_error_m, facts)


def _simplify(
    original: LabelledMesh, welded: LabelledMesh, target_faces: int, max_error_m: float, facts: dict[str, Any]
) -> PreparedMesh:
    library = _library()
    materials = int(welded.face_material.max()) + 1
    # A vertex between two materials becomes two at one place, which the library keeps together as a seam.
    corners = welded.faces.ravel().astype(np.int64) * materials + np.repeat(welded.face_material, 3)
    wedges, indices = np.unique(corners, return_inverse=True)
    places = np.ascontiguousarray(welded.vertices[wedges // materials])
    limit_m = max_error_m / 2
    for _ in range(_ATTEMPTS):
        if len(welded.faces) <= target_faces:
            break
        kept = np.zeros(indices.size, dtype=np.uint32)
        count = library.simplify(
            kept,
            indices.astype(np.uint32),
            places,
            target_index_count=3 * target_faces,
            target_error=limit_m,
            options=_ERROR_ABSOLUTE,
        )
        triangles = kept[:count].reshape(-1, 3).astype(np.int64)
        smaller = _without_duplicates(
            welded.vertices, wedges[triangles] // materials, (wedges[triangles[:, 0]] % materials).astype(np.int32)
        )
        error_m, lost_share = _error(original, smaller, max_error_m)
        if error_m <= max_error_m and lost_share <= MAX_LOST_SHARE:
            return PreparedMesh(
                smaller.vertices, smaller.faces, smaller.face_material, error_m=error_m, lost_share=lost_share, **facts
            )
        limit_m /= 2
    error_m, lost_share = _error(original, welded, max_error_m)
    return PreparedMesh(
        welded.vertices, welded.faces, welded.face_material, error_m=error_m, lost_share=lost_share, **facts
    )


def _error(original: LabelledMesh, other: LabelledMesh, bound_m: float) -> tuple[float, float]:
    """Return the largest distance from the other surface to the original, and the share of the original beyond it."""
    moved_m = _distances(other, original)
    left_m = _distances(original, other)
    return float(moved_m.max()), float((left_m > bound_m).mean())


def _distances(of: LabelledMesh, to: LabelledMesh) -> FloatArray:
    points, face = surface_points(of.vertices, of.faces, _PROBES)
    return surface_distances(points, face_normals(of.vertices, of.faces[face]), to.vertices, to.faces)


def _weld(mesh: LabelledMesh) -> LabelledMesh:
    """Join vertices that share a cell of the grid, and drop the faces that this leaves without area or twice."""
    cells = np.round(mesh.vertices.astype(np.float64) / WELD_M).astype(np.int64)
    cells -= cells.min(axis=0)
    columns = np.unique(cells[:, 0] * (cells[:, 2].max() + 1) + cells[:, 2], return_inverse=True)[1]
    _, first, joined = np.unique(
        columns * (cells[:, 1].max() + 1) + cells[:, 1], return_index=True, return_inverse=True
    )
    return _without_duplicates(mesh.vertices[first], joined[mesh.faces], mesh.face_material)


def _without_duplicates(vertices: FloatVertices, faces: IntArray, face_material: IntFaces) -> LabelledMesh:
    """Keep the first of the faces with the same corners, and those with area.

    A sheet modelled twice, once for either side, has no rim to the library, which then eats it from the edges.
    """
    low, middle, high = np.sort(faces, axis=1).T
    edges = np.unique(low * len(vertices) + middle, return_inverse=True)[1]
    first = np.sort(np.unique(edges * len(vertices) + high, return_index=True)[1])
    kept = first[triangle_areas(vertices, faces[first]) > 0.0]
    used, compact = _compact(vertices, faces[kept])
    return LabelledMesh(used, compact, face_material[kept])


def _oriented(faces: IntFaces) -> IntFaces:
    """Turn faces so that neighbours wind the same way, as far as the surface has two sides.

    Nothing else here minds the winding, but to the library an edge between faces that disagree is a rim.
    """
    ends = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    edges = ends.min(axis=1) * (int(faces.max()) + 1) + ends.max(axis=1)
    order = np.argsort(edges, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(edges[order]) != 0])
    shared = starts[np.diff(np.r_[starts, len(order)]) == 2]  # by two faces and no more
    one, other = order[shared], order[shared + 1]
    disagree = (ends[one, 0] == ends[other, 0]).astype(np.int64)
    # Every face stands in the graph as it is and turned; what can be joined without contradiction falls apart in two.
    n = len(faces)
    rows = np.concatenate([one // 3, one // 3 + n])
    columns = np.concatenate([other // 3 + n * disagree, other // 3 + n * (1 - disagree)])
    links = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(2 * n, 2 * n))
    side = connected_components(links, directed=False)[1]
    turned = side[:n] > side[n:]
    return np.where(turned[:, None], faces[:, ::-1], faces)


def _compact(vertices: FloatVertices, faces: npt.NDArray[Any]) -> tuple[FloatVertices, IntFaces]:
    """Drop the vertices that no face uses: they would count for the room's size."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[used], renumbered.reshape(faces.shape).astype(np.int32)


def _library() -> ModuleType:
    try:
        return import_module("meshoptimizer")
    except ImportError as error:
        raise MissingDependencyError(
            "simplifying a mesh needs meshoptimizer: pip install 'spatialqa[meshes]', or keep all faces with "
            "--simplify off"
        ) from error
