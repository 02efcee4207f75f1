"""Embree ray queries from compiled kernels.

embreex brings the library libembree4. Its Python interface takes rays in arrays; kernels that follow one ray at a time
call the library itself, through the addresses of its functions, and need no arrays between two bounces. Where embreex
has no wheel, the functions of spatialqa/rooms/mesh/bvh.py stand at these addresses.
"""

import ctypes
import functools
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from spatialqa.core.compiled import inlined
from spatialqa.errors import EngineError
from spatialqa.rooms.mesh.bvh import RayTree
from spatialqa.rooms.mesh.ray_library import has_embree

_VERTEX_BUFFER, _INDEX_BUFFER = 1, 0
_FLOAT3, _UINT3 = 0x9003, 0x5003
_TRIANGLES = 0
_ROBUST = 4
_PADDING = 16  # bytes after the last vertex that Embree may read

_CLOSED = "the mesh was closed: open the room again"

MISS = -1

_RAY_FLOATS = 32  # of Embree's record of one ray and its hit, and to spare

Float32 = npt.NDArray[np.float32]


class Rays(NamedTuple):
    """What a kernel needs to cast rays into a mesh: the address of the scene and of two functions like Embree's."""

    scene: int
    intersect: int
    occluded: int


class RayBuffer(NamedTuple):
    """Embree's record of one ray and its hit: as float32 (32,), as uint32 (32,), and its address.

    numba aligns arrays to 32 bytes, and Embree needs 16.
    """

    values: Float32
    bits: npt.NDArray[np.uint32]
    address: int


@functools.cache
def _library() -> Any:
    found = importlib.util.find_spec("embreex")
    if found is None or found.origin is None:
        raise EngineError("the package embreex cannot be found: pip install 'embreex>=4.4.0'")
    package = Path(found.origin).parent
    places = (package.parent / "embreex.libs", package / ".dylibs", package)
    for path in (path for folder in places for path in sorted(folder.glob("*embree4*"))):
        try:
            library = ctypes.CDLL(str(path))
            if library.rtcNewDevice and library.rtcIntersect1 and library.rtcOccluded1:
                return _declared(library)
        except (OSError, AttributeError):
            continue
    raise EngineError(f"the package embreex in {package} holds no library of Embree 4: pip install 'embreex>=4.4.0'")


def _declared(library: Any) -> Any:
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for name, result, arguments in (
        ("rtcNewDevice", pointer, [ctypes.c_char_p]),
        ("rtcNewScene", pointer, [pointer]),
        ("rtcSetSceneFlags", None, [pointer, number]),
        ("rtcNewGeometry", pointer, [pointer, number]),
        ("rtcSetSharedGeometryBuffer", None, [pointer, number, number, number, pointer, size, size, size]),
        ("rtcCommitGeometry", None, [pointer]),
        ("rtcAttachGeometry", number, [pointer, pointer]),
        ("rtcReleaseGeometry", None, [pointer]),
        ("rtcCommitScene", None, [pointer]),
        ("rtcReleaseScene", None, [pointer]),
        ("rtcReleaseDevice", None, [pointer]),
        ("rtcGetDeviceError", number, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@functools.cache
def _device() -> int:
    return int(_library().rtcNewDevice(b"threads=1,set_affinity=0"))


def check_library() -> None:
    """Raise EngineError where embreex is installed and its Embree cannot be used."""
    if has_embree():
        _library()


class EmbreeMesh:
    """A triangle mesh prepared for rays.

    vertices: float32 (V, 3), metres. faces: int32 (F, 3). Both are read while rays are cast, and are kept alive here.
    """

    def __init__(self, vertices: Float32, faces: npt.NDArray[np.int32]) -> None:
        library = _library()
        self._vertices = np.zeros(vertices.size + _PADDING // 4, dtype=np.float32)
        self._vertices[: vertices.size] = vertices.ravel()
        self._faces = np.ascontiguousarray(faces, dtype=np.uint32)
        self._scene: int | None = library.rtcNewScene(_device())
        library.rtcSetSceneFlags(self._scene, _ROBUST)
        geometry = library.rtcNewGeometry(_device(), _TRIANGLES)
        library.rtcSetSharedGeometryBuffer(
            geometry, _VERTEX_BUFFER, 0, _FLOAT3, self._vertices.ctypes.data, 0, 12, len(vertices)
        )
        library.rtcSetSharedGeometryBuffer(
            geometry, _INDEX_BUFFER, 0, _UINT3, self._faces.ctypes.data, 0, 12, len(self._faces)
        )
        library.rtcCommitGeometry(geometry)
        library.rtcAttachGeometry(self._scene, geometry)
        library.rtcReleaseGeometry(geometry)
        library.rtcCommitScene(self._scene)
        if fault := library.rtcGetDeviceError(_device()):
            self.close()
            raise EngineError(f"Embree cannot take a mesh of {len(faces):,} faces (its error {fault}): simplify it")

    @property
    def rays(self) -> Rays:
        """What kernels cast rays with, until the mesh is closed."""
        if self._scene is None:
            raise EngineError(_CLOSED)
        library = _library()
        addresses = (ctypes.cast(f, ctypes.c_void_p).value for f in (library.rtcIntersect1, library.rtcOccluded1))
        return Rays(int(self._scene), *(int(address or 0) for address in addresses))

    def close(self) -> None:
        """Release the mesh; closing twice is fine."""
        if self._scene is not None:
            _library().rtcReleaseScene(self._scene)
            self._scene = None


class TreeMesh:
    """A triangle mesh prepared for rays without Embree; see EmbreeMesh."""

    def __init__(self, vertices: Float32, faces: npt.NDArray[np.int32]) -> None:
        self._tree: RayTree | None = RayTree(vertices, faces)

    @property
    def rays(self) -> Rays:
        """What kernels cast rays with, until the mesh is closed."""
        if self._tree is None:
            raise EngineError(_CLOSED)
        return Rays(*self._tree.addresses)

    def close(self) -> None:
        """Release the mesh; closing twice is fine."""
        self._tree = None


def mesh_of_rays(vertices: Float32, faces: npt.NDArray[np.int32]) -> EmbreeMesh | TreeMesh:
    """Return a mesh prepared for rays, by Embree where it is installed; see EmbreeMesh."""
    return EmbreeMesh(vertices, faces) if has_embree() else TreeMesh(vertices, faces)


@intrinsic  # type: ignore[untyped-decorator]
def _call(typing_context: Any, address: Any, scene: Any, ray: Any) -> Any:
    """Call the function at `address` as f(scene, ray, NULL)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, byte, byte])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        values = [builder.inttoptr(value, byte) for value in arguments[1:]]
        builder.call(function, [*values, ir.Constant(byte, None)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@inlined
def ray_buffer() -> RayBuffer:
    """Return room for one ray of a kernel."""
    values = np.empty(_RAY_FLOATS, dtype=np.float32)
    return RayBuffer(values, values.view(np.uint32), values.ctypes.data)


@inlined
def first_hit(
    rays: Rays, ray: RayBuffer, x: float, y: float, z: float, u: float, v: float, w: float, reach: float
) -> int:
    """Cast a ray from (x, y, z) along the unit vector (u, v, w) and return the first face within `reach`, or MISS.

    The distance to it is then ray.values[8].
    """
    values, bits = ray.values, ray.bits
    values[0], values[1], values[2], values[3] = x, y, z, 0.0
    values[4], values[5], values[6], values[7], values[8] = u, v, w, 0.0, reach
    bits[9], bits[10], bits[11] = 0xFFFFFFFF, 0, 0
    bits[17], bits[18], bits[19] = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    _call(rays.intersect, rays.scene, ray.address)
    return MISS if bits[18] == 0xFFFFFFFF else int(bits[17])


@inlined
def is_blocked(
    rays: Rays, ray: RayBuffer, x: float, y: float, z: float, u: float, v: float, w: float, reach: float
) -> bool:
    """Tell whether any face lies within `reach` of (x, y, z) along the unit vector (u, v, w); see `first_hit`."""
    values, bits = ray.values, ray.bits
    values[0], values[1], values[2], values[3] = x, y, z, 0.0
    values[4], values[5], values[6], values[7], values[8] = u, v, w, 0.0, reach
    bits[9], bits[10], bits[11] = 0xFFFFFFFF, 0, 0
    _call(rays.occluded, rays.scene, ray.address)
    return bool(values[8] < 0.0)
