"""The C interface of RLRAudioPropagation, the engine inside SoundSpaces 2.0, through ctypes.

The package's own binding holds the interpreter lock while it simulates; ctypes lets it go. The library reports part of
its failures (an HRTF that cannot be read, a material that matches nothing) only as text on stderr, and chats on
stdout, so every call that can do so runs inside `_captured`, which turns such text into an EngineError.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Quaternion, Vec3
from spatialqa.errors import EngineError, MissingDependencyError

DISTRIBUTION = "rlr-audio-propagation"
LIBRARY = "libRLRAudioPropagation.so"
PIP_COMMAND = "pip install 'spatialqa[soundspaces]'"
_WITHOUT_COMPILER = "python -m spatialqa.acoustics.soundspaces.install"
_CONFIGURATION_BYTES = 146  # what the published header's packed struct measures
_SIZE, _FLOAT, _BOOL, _POINTER = ctypes.c_size_t, ctypes.c_float, ctypes.c_uint8, ctypes.c_void_p
_GREETING = b"CreateContext: Context created\n"
_COMPLAINTS = (b"arvr/libraries", b"Using default material")  # how the library's own lines on stderr are known


class ContextConfiguration(ctypes.Structure):
    """The library's configuration struct, packed; `this_size` guards its layout."""

    _pack_ = 1
    _fields_ = (
        ("this_size", _SIZE),
        ("frequency_bands", _SIZE),
        ("direct_sh_order", _SIZE),
        ("indirect_sh_order", _SIZE),
        ("direct_ray_count", _SIZE),
        ("indirect_ray_count", _SIZE),
        ("indirect_ray_depth", _SIZE),
        ("source_ray_count", _SIZE),
        ("source_ray_depth", _SIZE),
        ("max_diffraction_order", _SIZE),
        ("thread_count", _SIZE),
        ("sample_rate", _FLOAT),
        ("max_ir_length", _FLOAT),
        ("unit_scale", _FLOAT),
        ("global_volume", _FLOAT),
        ("hrtf_right", _FLOAT * 3),
        ("hrtf_up", _FLOAT * 3),
        ("hrtf_back", _FLOAT * 3),
        ("direct", _BOOL),
        ("indirect", _BOOL),
        ("diffraction", _BOOL),
        ("transmission", _BOOL),
        ("mesh_simplification", _BOOL),
        ("temporal_coherence", _BOOL),
    )


class Layout(NamedTuple):
    """What the listener records: the library's number for the layout, and how many channels."""

    kind: int
    channel_count: int


BINAURAL = Layout(3, 2)
FIRST_ORDER_AMBISONICS = Layout(7, 4)


class _ChannelLayout(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("channel_count", _SIZE), ("kind", ctypes.c_int))


_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "RLRA_ContextConfigurationDefault": (ctypes.POINTER(ContextConfiguration),),
    "RLRA_CreateContext": (ctypes.POINTER(_POINTER), ctypes.POINTER(ContextConfiguration)),
    "RLRA_DestroyContext": (_POINTER,),
    "RLRA_AddSource": (_POINTER,),
    "RLRA_SetSourcePosition": (_POINTER, _SIZE, _POINTER),
    "RLRA_AddListener": (_POINTER, ctypes.POINTER(_ChannelLayout)),
    "RLRA_SetListenerPosition": (_POINTER, _SIZE, _POINTER),
    "RLRA_SetListenerOrientationQuaternion": (_POINTER, _SIZE, _POINTER),
    "RLRA_SetListenerHRTF": (_POINTER, _SIZE, ctypes.c_char_p),
    "RLRA_AddObject": (_POINTER,),
    "RLRA_AddMeshVertices": (_POINTER, _POINTER, _SIZE),
    "RLRA_AddMeshIndices": (_POINTER, _POINTER, _SIZE, _SIZE, ctypes.c_char_p),
    "RLRA_FinalizeObjectMesh": (_POINTER, _SIZE),
    "RLRA_SetMaterialDatabaseJSON": (_POINTER, ctypes.c_char_p),
    "RLRA_Simulate": (_POINTER,),
}


@dataclass
class _Captured:
    complaint: str = ""  # the library's own words, on one line; empty when it had none


_descriptor_lock = threading.RLock()


@contextlib.contextmanager
def _captured() -> Iterator[_Captured]:
    """Catch what the library writes on descriptors 1 and 2 while the block runs, one thread at a time.

    Its greeting is dropped and its complaints are kept; what other threads wrote meanwhile is handed on afterwards (but
    for a write under way at the very moment when the descriptors change hands).
    """
    result = _Captured()
    with _descriptor_lock, contextlib.ExitStack() as files, contextlib.ExitStack() as diversions:
        sinks: dict[int, int] = {}
        for descriptor in (1, 2):
            try:
                saved = os.dup(descriptor)
            except OSError:  # the process runs without this stream
                continue
            sinks[descriptor] = os.memfd_create(f"spatialqa-rlr-{descriptor}")
            files.callback(os.close, sinks[descriptor])
            files.callback(os.close, saved)
            diversions.callback(os.dup2, saved, descriptor)
            os.dup2(sinks[descriptor], descriptor)
        try:
            yield result
        finally:
            ctypes.CDLL(None).fflush(None)
            diversions.close()
            written = {descriptor: _contents(sink) for descriptor, sink in sinks.items()}
            stderr = written.get(2, b"")
            if any(sign in stderr for sign in _COMPLAINTS):
                result.complaint = _one_line(stderr.decode(errors="replace"))
            else:
                _hand_on(2, stderr)
            _hand_on(1, written.get(1, b"").replace(_GREETING, b""))


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith(("File:", "Function:")))[-300:]


def _hand_on(descriptor: int, text: bytes) -> None:
    if text:
        os.write(descriptor, text)


def _contents(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def install_command() -> str:
    """Return what to run to install the library, for a machine with a C++ compiler or without one."""
    return PIP_COMMAND if any(map(shutil.which, ("c++", "g++", "clang++"))) else _WITHOUT_COMPILER


def check_platform() -> None:
    """Raise EngineError where the library cannot be used: it exists for Linux on x86-64 alone."""
    on_linux = sys.platform == "linux" and hasattr(os, "memfd_create")
    if not on_linux or platform.machine() not in ("x86_64", "AMD64"):
        raise EngineError(
            f"the engine soundspaces exists for Linux on x86-64 only, not for {sys.platform} on {platform.machine()}; "
            "use the engine geometric, or render on a Linux x86-64 machine"
        )


def library_path() -> Path:
    """Return where the engine's shared library is installed; nothing is loaded.

    Raises:
        EngineError: see `check_platform`.
        MissingDependencyError: the package is not installed.
    """
    check_platform()
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise MissingDependencyError(
            f"the engine soundspaces needs the package {DISTRIBUTION}: {install_command()}"
        ) from None
    for file in distribution.files or ():
        if file.name == LIBRARY:
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                return path
    raise MissingDependencyError(
        f"the package {DISTRIBUTION} is installed without its library {LIBRARY}: install it again with "
        f"{PIP_COMMAND} --force-reinstall"
    )


class Library:
    """The loaded library: its path, the sha256 of its bytes, the version of its package, and its calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.version = importlib.metadata.version(DISTRIBUTION)
        try:
            self.c = ctypes.CDLL(str(path))
            for name, arguments in _SIGNATURES.items():
                getattr(self.c, name).argtypes = arguments
                getattr(self.c, name).restype = ctypes.c_int
            for name in ("RLRA_GetIRChannelCount", "RLRA_GetIRSampleCount"):
                getattr(self.c, name).argtypes = (_POINTER, _SIZE, _SIZE)
                getattr(self.c, name).restype = _SIZE
            self.c.RLRA_GetIRChannel.argtypes = (_POINTER, _SIZE, _SIZE, _SIZE)
            self.c.RLRA_GetIRChannel.restype = ctypes.POINTER(_FLOAT)
            self.c.RLRA_GetIndirectRayEfficiency.argtypes = (_POINTER,)
            self.c.RLRA_GetIndirectRayEfficiency.restype = _FLOAT
        except (OSError, AttributeError) as error:
            raise EngineError(f"cannot load the engine's library {path}: {error} (it needs glibc 2.29)") from None

    def default_configuration(self) -> ContextConfiguration:
        """Return the library's defaults; EngineError when its struct is not the one declared here."""
        configuration = ContextConfiguration()
        configuration.this_size = ctypes.sizeof(configuration)
        with _captured() as captured:
            code = self.c.RLRA_ContextConfigurationDefault(ctypes.byref(configuration))
        if code != 0 or configuration.this_size != _CONFIGURATION_BYTES or configuration.indirect_ray_depth == 0:
            raise EngineError(
                f"the library {self.path} does not take a configuration of {_CONFIGURATION_BYTES} bytes "
                f"(code {code}; {captured.complaint}): install the pinned version with {PIP_COMMAND}"
            )
        return configuration


@functools.cache
def library() -> Library:
    """Return the installed library, loaded once per process; raises as `library_path` and `Library` do."""
    return Library(library_path())


class Context:
    """One simulation: a mesh, one listener and its sources. Used once: a second run would differ."""

    def __init__(self, configuration: ContextConfiguration) -> None:
        self._library = library()
        self._c = self._library.c
        self._sources = 0
        self._handle = _POINTER()
        self._call("RLRA_CreateContext", "its configuration", ctypes.byref(self._handle), ctypes.byref(configuration))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._c.RLRA_DestroyContext(self._handle)

    def _call(self, name: str, what: str, *arguments: Any) -> None:
        with _captured() as captured:
            code = getattr(self._c, name)(*arguments)
        if code != 0 or captured.complaint:
            why = captured.complaint or f"error code {code}"
            raise EngineError(f"the engine soundspaces does not take {what}: {why}")

    def add_mesh(
        self, vertices: npt.NDArray[np.float32], groups: Sequence[tuple[str, npt.NDArray[np.uint32]]], database: str
    ) -> None:
        """Upload a mesh.

        Args:
            vertices: float32 (V, 3), metres, C order.
            groups: for each material its category and its faces, uint32 (F, 3), C order.
            database: path of the material database, JSON.

        Raises:
            EngineError: the database cannot be read, or a category matches no material in it.
        """
        self._call("RLRA_SetMaterialDatabaseJSON", "the room's materials", self._handle, os.fsencode(database))
        self._call("RLRA_AddObject", "a mesh", self._handle)
        self._call("RLRA_AddMeshVertices", "the room's vertices", self._handle, vertices.ctypes.data, len(vertices))
        for category, faces in groups:
            what = f"the faces of material {category}"
            data = faces.ctypes.data
            self._call("RLRA_AddMeshIndices", what, self._handle, data, faces.size, 3, category.encode())
        self._call("RLRA_FinalizeObjectMesh", "the room's mesh", self._handle, 0)

    def add_listener(
        self, position: Vec3, orientation: Quaternion, layout: Layout = BINAURAL, hrtf: Path | None = None
    ) -> None:
        """Add the listener: position in metres, orientation (w, x, y, z) head to world, layout, optional SOFA file.

        The orientation turns the ears only: an ambisonic layout stays with the axes of the world.
        """
        channels = _ChannelLayout(layout.channel_count, layout.kind)
        self._call("RLRA_AddListener", f"a listener of layout {layout}", self._handle, ctypes.byref(channels))
        place, turn = (_FLOAT * 3)(*position), (_FLOAT * 4)(*orientation)
        self._call("RLRA_SetListenerPosition", f"the listener position {position}", self._handle, 0, place)
        self._call("RLRA_SetListenerOrientationQuaternion", f"the orientation {orientation}", self._handle, 0, turn)
        if hrtf is not None:
            self._call("RLRA_SetListenerHRTF", f"the HRTF file {hrtf}", self._handle, 0, os.fsencode(hrtf))

    def add_source(self, position: Vec3) -> None:
        """Add a point source at a position in metres."""
        self._call("RLRA_AddSource", "a source", self._handle)
        place = (_FLOAT * 3)(*position)
        self._call("RLRA_SetSourcePosition", f"the source position {position}", self._handle, self._sources, place)
        self._sources += 1

    def simulate(self) -> None:
        """Run the simulation; other Python threads run meanwhile."""
        code = self._c.RLRA_Simulate(self._handle)
        if code != 0:
            raise EngineError(f"the engine soundspaces failed while it simulated: error code {code}")

    def impulse_response(self, source: int) -> npt.NDArray[np.float32]:
        """Return a copy of one source's impulse response, float32 (channels, n), at the engine's own scale."""
        samples = self._c.RLRA_GetIRSampleCount(self._handle, 0, source)
        channels = range(self._c.RLRA_GetIRChannelCount(self._handle, 0, source))
        pointers = [self._c.RLRA_GetIRChannel(self._handle, 0, source, channel) for channel in channels]
        if not samples or not all(pointers):
            return np.zeros((len(pointers), 0), dtype=np.float32)
        return np.stack([np.ctypeslib.as_array(pointer, shape=(samples,)) for pointer in pointers]).copy()

    @property
    def ray_efficiency(self) -> float:
        """The share of indirect rays of the simulation that met a surface."""
        return float(self._c.RLRA_GetIndirectRayEfficiency(self._handle))
