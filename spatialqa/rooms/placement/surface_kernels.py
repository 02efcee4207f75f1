"""Loops of `surface_distance`: cutting triangles into pieces, and pieces against points that are sorted into cells.

Points are sorted by the cell of a grid that they are in, x slowest and z fastest, so that the points of a row of cells
lie together. `starts` holds where each cell begins.
"""

import math

import numpy as np
import numpy.typing as npt

from spatialqa.core.compiled import compiled, inlined

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_DEEPEST = 256  # triangles that wait to be cut: one for every halving


@compiled
def cut(vertices: Float32, faces: Int32, longest2: np.float32) -> tuple[Float64, Float64, Int64]:
    """Return centroids (n, 3), radii (n,) and owning faces (n,) of triangles that are halved until they are short.

    longest2: the square of the longest edge of a piece, in square metres.
    """
    half = np.float32(0.5)
    size = 2 * len(faces) + 16
    centres, radii, owner = np.empty((size, 3)), np.empty(size), np.empty(size, dtype=np.int64)
    waiting = np.empty((_DEEPEST, 3, 3), dtype=np.float32)
    edges = np.empty(3, dtype=np.float32)
    n = 0
    for face in range(len(faces)):
        for corner in range(3):
            for axis in range(3):
                waiting[0, corner, axis] = vertices[faces[face, corner], axis]
        depth = 1
        while depth:
            triangle = waiting[depth - 1]
            for k in range(3):
                x = triangle[k, 0] - triangle[(k + 1) % 3, 0]
                y = triangle[k, 1] - triangle[(k + 1) % 3, 1]
                z = triangle[k, 2] - triangle[(k + 1) % 3, 2]
                edges[k] = x * x + y * y + z * z
            k = 0 if edges[0] >= edges[1] and edges[0] >= edges[2] else (1 if edges[1] >= edges[2] else 2)
            if edges[k] > longest2 and depth < _DEEPEST:
                # start, end and apex of the longest edge: one half replaces the triangle, the other is put on top
                for axis in range(3):
                    end, start = triangle[k, axis], triangle[(k + 1) % 3, axis]
                    apex = triangle[(k + 2) % 3, axis]
                    middle = (start + end) * half
                    waiting[depth - 1, 0, axis], waiting[depth, 0, axis] = start, middle
                    waiting[depth - 1, 1, axis], waiting[depth, 1, axis] = middle, end
                    waiting[depth - 1, 2, axis], waiting[depth, 2, axis] = apex, apex
                depth += 1
                continue
            depth -= 1
            if n == size:
                size *= 2
                more_centres, more_radii = np.empty((size, 3)), np.empty(size)
                more_owner = np.empty(size, dtype=np.int64)
                more_centres[:n], more_radii[:n], more_owner[:n] = centres, radii, owner
                centres, radii, owner = more_centres, more_radii, more_owner
            for axis in range(3):
                total = np.float64(triangle[0, axis]) + np.float64(triangle[1, axis]) + np.float64(triangle[2, axis])
                centres[n, axis] = total / 3.0
            widest2 = 0.0
            for corner in range(3):
                x, y, z = (
                    np.float64(triangle[corner, 0]) - centres[n, 0],
                    np.float64(triangle[corner, 1]) - centres[n, 1],
                    np.float64(triangle[corner, 2]) - centres[n, 2],
                )
                widest2 = max(widest2, x * x + y * y + z * z)
            radii[n], owner[n] = math.sqrt(widest2), face
            n += 1
    return centres[:n], radii[:n], owner[:n]


@inlined
def _first_cell(low: float, cell: float, at: float) -> int:
    return max(0, math.floor((at - low) / cell))


@inlined
def _last_cell(low: float, cell: float, count: int, at: float) -> int:
    return min(count - 1, math.floor((at - low) / cell))


@compiled
def nearest2(
    points: Float64, starts: Int64, low: Float64, cell: float, shape: Int64, centres: Float64, limit: float
) -> Float64:
    """Return the squared distance from every sorted point (n, 3) to the nearest centre; inf from `limit` on."""
    found = np.full(len(points), np.inf)
    limit2 = limit * limit
    for c in range(len(centres)):
        x, y, z = centres[c, 0], centres[c, 1], centres[c, 2]
        first, last = _first_cell(low[2], cell, z - limit), _last_cell(low[2], cell, shape[2], z + limit)
        if last < first:
            continue
        for i in range(_first_cell(low[0], cell, x - limit), _last_cell(low[0], cell, shape[0], x + limit) + 1):
            for j in range(_first_cell(low[1], cell, y - limit), _last_cell(low[1], cell, shape[1], y + limit) + 1):
                row = (i * shape[1] + j) * shape[2]
                for p in range(starts[row + first], starts[row + last + 1]):
                    dx, dy, dz = points[p, 0] - x, points[p, 1] - y, points[p, 2] - z
                    d2 = dx * dx + dy * dy + dz * dz
                    if d2 < found[p]:
                        found[p] = d2
    for p in range(len(points)):
        if found[p] >= limit2:
            found[p] = np.inf
    return found


@compiled
def clear_of(
    points: Float64,
    starts: Int64,
    low: Float64,
    cell: float,
    shape: Int64,
    centres: Float64,
    radii: Float64,
    owner: Int64,
    vertices: Float32,
    faces: Int32,
    origin: Float64,
    clearance: float,
) -> npt.NDArray[np.bool_]:
    """Tell for every sorted point (n, 3) whether every surface is at least `clearance` away."""
    clear = np.ones(len(points), dtype=np.bool_)
    corners = np.empty((3, 3))
    clearance2 = clearance * clearance
    for c in range(len(centres)):
        x, y, z = centres[c, 0], centres[c, 1], centres[c, 2]
        reach = clearance + radii[c] + 1e-6
        reach2 = reach * reach
        first, last = _first_cell(low[2], cell, z - reach), _last_cell(low[2], cell, shape[2], z + reach)
        if last < first:
            continue
        known = False
        for i in range(_first_cell(low[0], cell, x - reach), _last_cell(low[0], cell, shape[0], x + reach) + 1):
            for j in range(_first_cell(low[1], cell, y - reach), _last_cell(low[1], cell, shape[1], y + reach) + 1):
                row = (i * shape[1] + j) * shape[2]
                for p in range(starts[row + first], starts[row + last + 1]):
                    if not clear[p]:
                        continue
                    dx, dy, dz = points[p, 0] - x, points[p, 1] - y, points[p, 2] - z
                    d2 = dx * dx + dy * dy + dz * dz
                    if d2 >= reach2:
                        continue
                    if d2 < clearance2:  # a centroid is itself a point of the surface
                        clear[p] = False
                        continue
                    if not known:
                        for corner in range(3):
                            for axis in range(3):
                                vertex = np.float64(vertices[faces[owner[c], corner], axis])
                                corners[corner, axis] = vertex + origin[axis]
                        known = True
                    if _to_triangle(points[p], corners) < clearance:
                        clear[p] = False
    return clear


@compiled
def to_triangles(points: Float64, triangles: Float64) -> Float64:
    """Return the distance from each point (n, 3) to its triangle (n, 3, 3), float64 (n,), in the units given."""
    found = np.empty(len(points))
    for p in range(len(points)):
        found[p] = _to_triangle(points[p], triangles[p])
    return found


@inlined
def _to_triangle(p: Float64, corners: Float64) -> float:
    ax, ay, az = corners[0, 0], corners[0, 1], corners[0, 2]
    abx, aby, abz = corners[1, 0] - ax, corners[1, 1] - ay, corners[1, 2] - az
    bcx, bcy, bcz = corners[2, 0] - corners[1, 0], corners[2, 1] - corners[1, 1], corners[2, 2] - corners[1, 2]
    cax, cay, caz = ax - corners[2, 0], ay - corners[2, 1], az - corners[2, 2]
    apx, apy, apz = p[0] - ax, p[1] - ay, p[2] - az
    nx, ny, nz = cay * abz - caz * aby, caz * abx - cax * abz, cax * aby - cay * abx
    area2 = nx * nx + ny * ny + nz * nz
    if area2 > 0.0:
        vx, vy, vz = cay * apz - caz * apy, caz * apx - cax * apz, cax * apy - cay * apx
        v = (vx * nx + vy * ny + vz * nz) / area2
        wx, wy, wz = aby * apz - abz * apy, abz * apx - abx * apz, abx * apy - aby * apx
        w = (wx * nx + wy * ny + wz * nz) / area2
        if v > 0.0 and w > 0.0 and v + w < 1.0:
            return math.fabs(apx * nx + apy * ny + apz * nz) / math.sqrt(area2)
    bpx, bpy, bpz = p[0] - corners[1, 0], p[1] - corners[1, 1], p[2] - corners[1, 2]
    cpx, cpy, cpz = p[0] - corners[2, 0], p[1] - corners[2, 1], p[2] - corners[2, 2]
    one = _to_segment2(apx, apy, apz, abx, aby, abz)
    two = _to_segment2(bpx, bpy, bpz, bcx, bcy, bcz)
    three = _to_segment2(cpx, cpy, cpz, cax, cay, caz)
    return math.sqrt(min(one, min(two, three)))


@inlined
def _to_segment2(px: float, py: float, pz: float, x: float, y: float, z: float) -> float:
    """Return the squared distance from a point to a segment; p: from the start of the segment, (x, y, z): along it."""
    length2 = x * x + y * y + z * z
    t = 0.0
    if length2 > 0.0:
        t = min(1.0, max(0.0, (px * x + py * y + pz * z) / length2))
    gx, gy, gz = px - t * x, py - t * y, pz - t * z
    return gx * gx + gy * gy + gz * gz
