"""Builds the tree of boxes on which `bvh` casts rays.

A tree is one record of float32, some of them holding int32: a header, whose first number says where the triangles
begin; nodes; and triangles, leaf by leaf. A node's child is a node, by its number, or a leaf: -1 - (8 first + count).
"""

import numpy as np
import numpy.typing as npt

from spatialqa.core.compiled import compiled, inlined

HEADER = 32  # float32 before the first node
NODE = 32  # float32 of a node: low and high x, y and z of four boxes, at CHILDREN four children, and four to spare
CHILDREN = 24
TRIANGLE = 12  # float32 of a triangle: three corners, at FACE its face, and two to spare
FACE = 9
SPLIT_BY_COST = 40  # levels of the tree of two children; below them faces are halved, so that its depth is bounded

_BINS = 16
_MOST_IN_LEAF = 4
_BOX_COST = 1.0  # of a step down the tree, in tests of a triangle

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@compiled
def tree_of(corners: Float32) -> Float32:
    """Return the tree of triangles: float32 (n,).

    corners: float32 (F, 3, 3), the corners of each face.
    """
    count = len(corners)
    low, high = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    for face in range(count):
        for axis in range(3):
            a, b, c = corners[face, 0, axis], corners[face, 1, axis], corners[face, 2, axis]
            low[face, axis], high[face, axis] = min(a, b, c), max(a, b, c)
    order, bounds, parts = _halved(low, high)
    return _record(corners, order, bounds, parts)


@compiled
def _halved(low: Float32, high: Float32) -> tuple[Int32, Float32, Int32]:
    """Return faces in order of leaves, and a tree of two children: bounds float32 (n, 6), parts int32 (n, 2).

    Parts are the first of two neighbouring children and -1, or a leaf's first face in order and its count.
    """
    count = len(low)
    order = np.arange(count).astype(np.int32)
    centres = (low + high) * np.float32(0.5)
    room = 2 * count + 1
    bounds = np.empty((room, 6), np.float32)
    parts = np.empty((room, 2), np.int32)
    work = np.empty((room, 4), np.int32)  # node, first, end, depth
    work[0, 0], work[0, 1], work[0, 2], work[0, 3] = 0, 0, count, 0
    bin_low, bin_high = np.empty((3, _BINS, 3), np.float32), np.empty((3, _BINS, 3), np.float32)
    bin_count = np.empty((3, _BINS), np.int64)
    spread = np.empty((2, 3), np.float32)
    nodes, waiting = 1, 1
    while waiting:
        waiting -= 1
        node, first, end, depth = work[waiting, 0], work[waiting, 1], work[waiting, 2], work[waiting, 3]
        for axis in range(3):
            bounds[node, axis], bounds[node, 3 + axis] = np.inf, -np.inf
            spread[0, axis], spread[1, axis] = np.inf, -np.inf
        for k in range(first, end):
            face = order[k]
            for axis in range(3):
                bounds[node, axis] = min(bounds[node, axis], low[face, axis])
                bounds[node, 3 + axis] = max(bounds[node, 3 + axis], high[face, axis])
                spread[0, axis] = min(spread[0, axis], centres[face, axis])
                spread[1, axis] = max(spread[1, axis], centres[face, axis])
        number = end - first
        parts[node, 0], parts[node, 1] = first, number
        if number <= 1:
            continue
        middle = first
        if depth < SPLIT_BY_COST:
            axis, at, cost = _best_split(order, first, end, low, high, centres, spread, bin_low, bin_high, bin_count)
            area = _area_of(bounds, node)
            if number <= _MOST_IN_LEAF and _BOX_COST * area + cost >= number * area:
                continue
            if axis >= 0:
                middle = _parted(order, first, end, centres, spread, axis, at)
        elif number <= _MOST_IN_LEAF:
            continue
        if middle in (first, end):  # faces in one place, or a very deep tree
            middle = (first + end) // 2
        parts[node, 0], parts[node, 1] = nodes, -1
        for side in range(2):
            work[waiting, 0], work[waiting, 3] = nodes, depth + 1
            work[waiting, 1], work[waiting, 2] = (first, middle) if side == 0 else (middle, end)
            nodes += 1
            waiting += 1
    return order, bounds[:nodes], parts[:nodes]


@inlined
def _area(a: float, b: float, c: float, d: float, e: float, f: float) -> float:
    """Return half the surface of a box from (a, b, c) to (d, e, f)."""
    x, y, z = d - a, e - b, f - c
    return x * y + y * z + z * x


@inlined
def _area_of(bounds: Float32, node: int) -> float:
    return _area(bounds[node, 0], bounds[node, 1], bounds[node, 2], bounds[node, 3], bounds[node, 4], bounds[node, 5])


@inlined
def _bin(centre: float, low: float, scale: float) -> int:
    return min(int((centre - low) * scale), _BINS - 1)


@compiled
def _best_split(
    order: Int32,
    first: int,
    end: int,
    low: Float32,
    high: Float32,
    centres: Float32,
    spread: Float32,
    bin_low: Float32,
    bin_high: Float32,
    bin_count: npt.NDArray[np.int64],
) -> tuple[int, int, float]:
    """Return the axis and the first bin of the second half of the cheapest split, -1 where there is none, its cost."""
    for axis in range(3):
        for at in range(_BINS):
            bin_count[axis, at] = 0
            for k in range(3):
                bin_low[axis, at, k], bin_high[axis, at, k] = np.inf, -np.inf
    for place in range(first, end):
        face = order[place]
        for axis in range(3):
            extent = spread[1, axis] - spread[0, axis]
            if extent <= 0.0:
                continue
            where = _bin(centres[face, axis], spread[0, axis], _BINS / extent)
            bin_count[axis, where] += 1
            for k in range(3):
                bin_low[axis, where, k] = min(bin_low[axis, where, k], low[face, k])
                bin_high[axis, where, k] = max(bin_high[axis, where, k], high[face, k])
    best_axis, best_at, best = -1, 0, np.inf
    behind = np.empty(_BINS)
    for axis in range(3):
        if spread[1, axis] - spread[0, axis] <= 0.0:
            continue
        number, a, b, c, d, e, f = 0, np.inf, np.inf, np.inf, -np.inf, -np.inf, -np.inf
        for at in range(_BINS - 1, 0, -1):
            number += bin_count[axis, at]
            a, b, c = min(a, bin_low[axis, at, 0]), min(b, bin_low[axis, at, 1]), min(c, bin_low[axis, at, 2])
            d, e, f = max(d, bin_high[axis, at, 0]), max(e, bin_high[axis, at, 1]), max(f, bin_high[axis, at, 2])
            behind[at] = number * _area(a, b, c, d, e, f) if number else np.inf
        number, a, b, c, d, e, f = 0, np.inf, np.inf, np.inf, -np.inf, -np.inf, -np.inf
        for at in range(_BINS - 1):
            number += bin_count[axis, at]
            a, b, c = min(a, bin_low[axis, at, 0]), min(b, bin_low[axis, at, 1]), min(c, bin_low[axis, at, 2])
            d, e, f = max(d, bin_high[axis, at, 0]), max(e, bin_high[axis, at, 1]), max(f, bin_high[axis, at, 2])
            if number:
                cost = number * _area(a, b, c, d, e, f) + behind[at + 1]
                if cost < best:
                    best_axis, best_at, best = axis, at + 1, cost
    return best_axis, best_at, best


@compiled
def _parted(order: Int32, first: int, end: int, centres: Float32, spread: Float32, axis: int, at: int) -> int:
    """Put faces of bins below `at` first, each half in its old order; return where the second half begins."""
    scale = _BINS / (spread[1, axis] - spread[0, axis])
    later = np.empty(end - first, np.int32)
    middle, kept = first, 0
    for k in range(first, end):
        face = order[k]
        if _bin(centres[face, axis], spread[0, axis], scale) < at:
            order[middle] = face
            middle += 1
        else:
            later[kept] = face
            kept += 1
    for k in range(kept):
        order[middle + k] = later[k]
    return middle


@compiled
def _record(corners: Float32, order: Int32, bounds: Float32, parts: Int32) -> Float32:
    """Return the record of a tree: four children a node, taken from the largest boxes of a tree of two."""
    inner = 1
    for node in range(len(parts)):
        inner += parts[node, 1] < 0
    source = np.empty(inner, np.int32)  # of each node, the one in the tree of two
    record = np.zeros(HEADER + inner * NODE + len(order) * TRIANGLE, np.float32)
    codes = record.view(np.int32)
    source[0], made, taken = 0, 1, 0
    chosen = np.empty(4, np.int32)
    while taken < made:
        number = 1
        chosen[0] = source[taken]
        while number < 4:
            widest, most = -1, -1.0
            for k in range(number):
                area = _area_of(bounds, chosen[k])
                if parts[chosen[k], 1] < 0 and area > most:
                    widest, most = k, area
            if widest < 0:
                break
            opened = parts[chosen[widest], 0]
            chosen[widest], chosen[number] = opened, opened + 1
            number += 1
        at = HEADER + taken * NODE
        for k in range(4):
            for axis in range(3):
                record[at + 8 * axis + k] = bounds[chosen[k], axis] if k < number else np.inf
                record[at + 8 * axis + 4 + k] = bounds[chosen[k], 3 + axis] if k < number else -np.inf
            if k < number and parts[chosen[k], 1] < 0:
                source[made] = chosen[k]
                codes[at + CHILDREN + k] = made
                made += 1
            elif k < number:
                codes[at + CHILDREN + k] = -1 - (8 * parts[chosen[k], 0] + parts[chosen[k], 1])
        taken += 1
    start = HEADER + made * NODE
    codes[0] = start
    for k in range(len(order)):
        at = start + k * TRIANGLE
        for corner in range(3):
            for axis in range(3):
                record[at + 3 * corner + axis] = corners[order[k], corner, axis]
        codes[at + FACE] = order[k]
    return record[: start + len(order) * TRIANGLE].copy()
