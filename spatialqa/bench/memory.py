"""The most memory that this process has held."""

import ctypes
import math
import sys
from pathlib import Path


def peak_memory_gib() -> float:
    """Return the most memory that this process has held so far, GiB; NaN where the system does not say."""
    try:  # what getrusage tells of a child includes its parent's at the time it was started
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return _on_windows() / 2**30
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of the Windows API."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        *((f"other_{k}", ctypes.c_size_t) for k in range(7)),
    )


def _on_windows() -> float:
    """Return bytes."""
    system = getattr(ctypes, "WinDLL", None)
    if system is None:
        return math.nan
    kernel = system("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Counters), ctypes.c_uint32)
    counters = _Counters(size=ctypes.sizeof(_Counters))
    read = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size)
    return float(counters.peak_working_set) if read else math.nan
