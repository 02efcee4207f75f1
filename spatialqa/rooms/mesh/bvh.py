"""Ray queries on a tree of boxes, for systems on which Embree has no wheel, as Linux on ARM.

The tree has four children a node and is built by the surface area heuristic over 16 bins (Wald 2007), in one thread and
without chance: equal meshes give equal trees. A ray meets a triangle where Embree's robust mode says so: the edge
functions are those of Plücker coordinates, edges count as inside, and neighbours compute a shared edge alike, so no
ray passes between them. They are computed in float64. Of two faces at one distance the lower one counts.

Two functions have the C signature of rtcIntersect1 and rtcOccluded1, and read and write Embree's record of a ray. A
kernel that calls Embree by address calls them in the same way.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from spatialqa.core.compiled import called_from_c, compiled, inlined
from spatialqa.rooms.mesh.bvh_build import CHILDREN, FACE, HEADER, NODE, TRIANGLE, tree_of

_STACK = 256  # of nodes left to visit
_TINY = np.float32(1e-18)  # the least component of a direction that is divided by
_EDGE = 1.1920929e-07  # of the sum of the edge functions: what counts as on the edge
_NEARER, _FARTHER = 1.0 - 4e-7, 1.0 + 4e-7  # three roundings of float32

Float32 = npt.NDArray[np.float32]


class Addresses(NamedTuple):
    """What a kernel needs to cast rays: the address of the tree and of two functions, as Embree's."""

    scene: int
    intersect: int
    occluded: int


class RayTree:
    """A triangle mesh prepared for rays.

    vertices: float32 (V, 3). faces: int (F, 3). Both are copied.
    """

    def __init__(self, vertices: Float32, faces: npt.NDArray[Any]) -> None:
        corners = np.ascontiguousarray(vertices, dtype=np.float32)[np.asarray(faces, dtype=np.int64)]
        self._record: Float32 = tree_of(np.ascontiguousarray(corners))

    @property
    def addresses(self) -> Addresses:
        """Where kernels find the tree and what casts rays into it, as long as this object is kept."""
        return Addresses(int(self._record.ctypes.data), *(int(function.address) for function in _functions()))

    def distances(self, origins: Float32, directions: Float32) -> Float32:
        """Return the distance to the first face in lengths of each direction, inf where there is none: float32 (n,).

        origins, directions: float32 (n, 3).
        """
        return self.first_hits(origins, directions)[1]

    def faces(self, origins: Float32, directions: Float32) -> npt.NDArray[np.int64]:
        """Return the first face that each ray meets, -1 where there is none: int64 (n,); see `distances`."""
        return self.first_hits(origins, directions)[0]

    def first_hits(self, origins: Float32, directions: Float32) -> tuple[npt.NDArray[np.int64], Float32]:
        """Return what `faces` and `distances` do."""
        distances, faces = self._cast(origins, directions, np.inf, False)
        return faces, distances

    def blocked(self, origins: Float32, directions: Float32) -> npt.NDArray[np.bool_]:
        """Tell whether a face lies between each origin and the end of its direction: bool (n,); see `distances`."""
        return self._cast(origins, directions, 1.0, True)[0] < 0.0

    def _cast(
        self, origins: Float32, directions: Float32, reach: float, any_hit: bool
    ) -> tuple[Float32, npt.NDArray[np.int64]]:
        distances = np.empty(len(origins), dtype=np.float32)
        faces = np.empty(len(origins), dtype=np.int64)
        _cast(self._record.ctypes.data, origins, directions, reach, any_hit, distances, faces)
        return distances, faces


@functools.cache
def _functions() -> tuple[Any, Any]:
    """Return what stands for rtcIntersect1 and rtcOccluded1; compiled when they are first needed."""
    signature = types.void(types.intp, types.intp, types.intp)
    return called_from_c(signature, _intersect), called_from_c(signature, _occluded)


def _intersect(scene: int, ray: int, _: int) -> None:
    _visit(scene, ray, False)


def _occluded(scene: int, ray: int, _: int) -> None:
    _visit(scene, ray, True)


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _room_on_stack(typing_context: Any, count: Any) -> Any:
    """Return the address of room for `count`, a literal, of 16 bytes on the stack of the calling function."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    number = count.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        room = cgutils.alloca_once(builder, ir.VectorType(ir.FloatType(), 4), size=number)
        return builder.ptrtoint(room, ir.IntType(64))

    return types.intp(count), generate


@intrinsic  # type: ignore[untyped-decorator]
def _meet_boxes(typing_context: Any, node: Any, ray: Any, near: Any, distances: Any) -> Any:
    """Return which of a node's four boxes a ray meets, as bits, and write where it enters them.

    node: address of six times four float32. ray: address of eight times four: three origins, three inverted directions,
    0 and the reach. near: three bits, set where a direction is negative. distances: address of four float32.
    """
    real, lanes = ir.FloatType(), ir.VectorType(ir.FloatType(), 4)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        node, ray, near, distances = arguments
        word = node.type

        def load(base: Any, offset: Any) -> Any:
            at = builder.add(base, offset)
            return builder.load(builder.inttoptr(at, lanes.as_pointer()), align=4)

        def constant(value: float) -> Any:
            return ir.Constant(lanes, [ir.Constant(real, value)] * 4)

        def larger(a: Any, b: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        def smaller(a: Any, b: Any) -> Any:
            return builder.select(builder.fcmp_ordered("<", a, b), a, b)

        entry, leaving = load(ray, word(6 * 16)), load(ray, word(7 * 16))
        for axis in range(3):
            origin, inverse = load(ray, word(16 * axis)), load(ray, word(16 * (3 + axis)))
            turned = builder.and_(builder.lshr(near, word(axis)), word(1))  # 1: the high side is met first
            low = builder.shl(turned, word(4))
            high = builder.sub(word(16), low)
            at = word(32 * axis)
            first = builder.fmul(builder.fsub(load(node, builder.add(at, low)), origin), inverse)
            last = builder.fmul(builder.fsub(load(node, builder.add(at, high)), origin), inverse)
            entry, leaving = larger(first, entry), smaller(last, leaving)
        met = builder.fcmp_ordered(
            "<=", builder.fmul(entry, constant(_NEARER)), builder.fmul(leaving, constant(_FARTHER))
        )
        builder.store(entry, builder.inttoptr(distances, lanes.as_pointer()), align=4)
        return builder.zext(builder.bitcast(met, ir.IntType(4)), word)

    return types.intp(types.intp, types.intp, types.intp, types.intp), generate


@compiled
def _visit(scene: int, ray_address: int, any_hit: bool) -> None:
    """Cast one ray; `scene` and `ray_address` are addresses of a tree and of Embree's record of a ray."""
    ray = carray(_pointer(ray_address), (32,), np.float32)
    bits = carray(_pointer(ray_address), (32,), np.uint32)
    tree = carray(_pointer(scene), (HEADER,), np.float32)
    codes = carray(_pointer(scene), (HEADER,), np.int32)
    first_triangle = int(codes[0])
    boxes_address = _room_on_stack(9)
    boxes = carray(_pointer(boxes_address), (36,), np.float32)
    entered_address = boxes_address + 128
    entered = carray(_pointer(entered_address), (4,), np.float32)
    stack_address = _room_on_stack(128)
    stack = carray(_pointer(stack_address), (_STACK, 2), np.int32)
    stack_entered = carray(_pointer(stack_address), (_STACK, 2), np.float32)

    near = 0
    for axis in range(3):
        along = ray[4 + axis]
        if abs(along) < _TINY:
            along = _TINY if along >= 0.0 else -_TINY
        if along < 0.0:
            near |= 1 << axis
        inverse = np.float32(1.0) / along
        for lane in range(4):
            boxes[4 * axis + lane] = ray[axis]
            boxes[12 + 4 * axis + lane] = inverse
    reach: float = np.float64(ray[8])
    for lane in range(4):
        boxes[24 + lane] = 0.0
        boxes[28 + lane] = ray[8]
    x, y, z = np.float64(ray[0]), np.float64(ray[1]), np.float64(ray[2])
    u, v, w = np.float64(ray[4]), np.float64(ray[5]), np.float64(ray[6])

    face = np.int32(-1)
    waiting = 1
    stack[0, 0] = 0
    stack_entered[0, 1] = 0.0
    while waiting > 0:
        waiting -= 1
        if stack_entered[waiting, 1] * np.float32(_NEARER) > boxes[28]:
            continue
        code = int(stack[waiting, 0])
        if code >= 0:
            at = HEADER + code * NODE
            met = _meet_boxes(scene + 4 * at, boxes_address, near, entered_address)
            base = waiting
            for child in range(4):
                if (met >> child) & 1:
                    place = waiting  # the nearest child on top
                    while place > base and stack_entered[place - 1, 1] < entered[child]:
                        stack[place, 0] = stack[place - 1, 0]
                        stack_entered[place, 1] = stack_entered[place - 1, 1]
                        place -= 1
                    stack[place, 0] = codes[at + CHILDREN + child]
                    stack_entered[place, 1] = entered[child]
                    waiting += 1
            continue
        code = -code - 1
        for k in range(code >> 3, (code >> 3) + (code & 7)):
            triangle = first_triangle + k * TRIANGLE
            distance = _distance(tree, triangle, x, y, z, u, v, w)
            if distance >= 0.0 and (
                distance < reach or (distance == reach and (face < 0 or codes[triangle + FACE] < face))
            ):
                if any_hit:
                    ray[8] = -np.inf
                    return
                reach = distance
                face = codes[triangle + FACE]
                for lane in range(4):
                    boxes[28 + lane] = np.float32(reach)
    if face >= 0:
        ray[8] = np.float32(reach)
        bits[17], bits[18] = np.uint32(face), np.uint32(0)


@inlined
def _distance(tree: Float32, at: int, x: float, y: float, z: float, u: float, v: float, w: float) -> float:
    """Return how far a ray runs until it meets a triangle, in lengths of its direction, or -1."""
    ax, ay, az = tree[at] - x, tree[at + 1] - y, tree[at + 2] - z
    bx, by, bz = tree[at + 3] - x, tree[at + 4] - y, tree[at + 5] - z
    cx, cy, cz = tree[at + 6] - x, tree[at + 7] - y, tree[at + 8] - z
    first = _edge(cx, cy, cz, ax, ay, az, u, v, w)
    second = _edge(ax, ay, az, bx, by, bz, u, v, w)
    third = _edge(bx, by, bz, cx, cy, cz, u, v, w)
    slack = _EDGE * abs(first + second + third)
    if min(first, second, third) < -slack and max(first, second, third) > slack:
        return -1.0
    ex, ey, ez = bx - ax, by - ay, bz - az
    fx, fy, fz = cx - ax, cy - ay, cz - az
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    facing = nx * u + ny * v + nz * w
    if facing == 0.0:
        return -1.0
    distance: float = (nx * ax + ny * ay + nz * az) / facing
    return distance


@inlined
def _edge(ax: float, ay: float, az: float, bx: float, by: float, bz: float, u: float, v: float, w: float) -> float:
    """Return on which side a ray passes the edge from a to b; exactly the negative of that from b to a."""
    return (by * az - bz * ay) * u + (bz * ax - bx * az) * v + (bx * ay - by * ax) * w


@compiled
def _cast(
    scene: int,
    origins: Float32,
    directions: Float32,
    reach: float,
    any_hit: bool,
    distances: Float32,
    faces: npt.NDArray[np.int64],
) -> None:
    """Cast rays (n, 3); of any hit the distance is minus infinity."""
    ray = np.empty(32, dtype=np.float32)
    bits = ray.view(np.uint32)
    for k in range(len(origins)):
        for axis in range(3):
            ray[axis], ray[4 + axis] = origins[k, axis], directions[k, axis]
        ray[8] = reach
        bits[18] = 0xFFFFFFFF
        _visit(scene, ray.ctypes.data, any_hit)
        distances[k], faces[k] = ray[8], -1 if bits[18] == 0xFFFFFFFF else np.int64(bits[17])
