"""Reads SOFA files of head-related impulse responses (AES69, convention SimpleFreeFieldHRIR).

SOFA's frame of the head is +x forward, +y left, +z up. A file says in numbers which receiver is which ear, in which
coordinates its directions are, where the listener looks and by how much its responses are to be delayed; no reader that
an engine uses keeps to all of that.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialqa.core.geometry import FloatArray
from spatialqa.core.input_files import open_regular
from spatialqa.errors import EngineError, MissingDependencyError

CONVENTION = "SimpleFreeFieldHRIR"
_MAX_SAMPLES = 2**26  # of all responses together: 512 MiB as float64
_MAX_DIRECTIONS = 2**17
_MAX_DELAY_S = 1.0
_PLANE = 0.02  # directions within 1.1 degrees of one plane or cone are not a sphere
_ANGLES = {"degree": 1.0, "radian": float(np.degrees(1.0))}
_LENGTHS = {"metre": 1.0, "decimetre": 0.1, "centimetre": 0.01, "millimetre": 0.001, "m": 1.0, "cm": 0.01, "mm": 0.001}


@dataclass(frozen=True, eq=False)
class HrtfFile:
    """A SOFA file of HRIRs, without its responses.

    label: the file's name and the first 16 hex digits of its sha256. directions: float64 (M, 3), azimuth (0 to 360,
    counter-clockwise from the front) and elevation in degrees and distance in metres, as the listener's head has them.
    swapped: the right ear is the first receiver. delays: float64 (M, 2), samples, in the file's order of receivers.
    taps: length of the responses. unlike: in which ways the file differs from the plain form, which has the left ear
    first, spherical degrees about a listener at the origin that looks along x, and no delays; empty for a plain file.
    """

    path: Path
    label: str
    sha256: str
    sample_rate_hz: float
    directions: FloatArray
    swapped: bool
    delays: FloatArray
    taps: int
    unlike: tuple[str, ...]

    def responses(self) -> FloatArray:
        """Return the responses float64 (M, 2, n), left then right, with the delays in them; n is `taps` or more."""
        with _h5py().File(self.path, "r") as file:
            responses = np.asarray(file["Data.IR"][()], dtype=np.float64)
        if not np.isfinite(responses).all():
            raise EngineError(f"the HRTF file {self.path} has responses that are not finite: give another file")
        if self.delays.any():
            longest = self.taps + int(np.ceil(self.delays.max()))
            pairs = zip(responses, self.delays, strict=True)
            responses = np.stack([delayed(pair, delay, longest) for pair, delay in pairs])
            heard = np.flatnonzero(responses.any(axis=(0, 1)))
            responses = responses[..., : max(self.taps, int(heard[-1]) + 1 if len(heard) else 0)]
        return responses[:, ::-1] if self.swapped else responses


def read_hrtf(path: Path) -> HrtfFile:
    """Read what a SOFA file says of its responses.

    Raises:
        EngineError: the file cannot be read, or is not a two-ear free-field HRIR set with directions all around.
        MissingDependencyError: h5py is not installed.
    """
    h5py = _h5py()
    try:
        with open_regular(path) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        with h5py.File(path, "r") as file:
            convention = _text(file.attrs.get("SOFAConventions", b""))
            directions, ears, taps = file["Data.IR"].shape
            positions = file["SourcePosition"].shape
            if convention != CONVENTION or ears != 2 or positions != (directions, 3) or min(directions, taps) < 1:
                raise EngineError(
                    f"the HRTF file {path} holds {convention or 'no convention'}, {directions} directions and {ears} "
                    f"ears: give a {CONVENTION} file with two ears"
                )
            if directions > _MAX_DIRECTIONS or directions * ears * taps > _MAX_SAMPLES:
                raise EngineError(f"the HRTF file {path} holds {directions:,} directions of {taps:,} samples: too many")
            return _read(file, path, sha256, int(directions), int(taps))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise EngineError(f"the HRTF file {path} cannot be read as SOFA: {why}; give a {CONVENTION} file") from None


def delayed(rir: FloatArray, delay: FloatArray, length: int) -> FloatArray:
    """Return (2, length), each channel later by its delay in samples; fractions by a phase shift, exact in the band."""
    padded = np.pad(rir, ((0, 0), (0, length - rir.shape[1])))
    result = np.stack([np.roll(channel, int(d)) for channel, d in zip(padded, delay, strict=True)])
    rest = delay % 1.0
    if rest.any():
        cycles = np.fft.rfftfreq(2 * length)[None] * rest[:, None]
        shifted = np.fft.irfft(np.fft.rfft(result, 2 * length) * np.exp(-2j * np.pi * cycles), 2 * length)[:, :length]
        result = np.where(rest[:, None] > 0, shifted, result)
    return np.asarray(result, dtype=np.float64)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError("a SOFA file needs the package h5py: pip install h5py") from None
    return h5py


def _read(file: Any, path: Path, sha256: str, directions: int, taps: int) -> HrtfFile:
    """Read all but the responses; raises ValueError for what cannot be read."""
    rates = _values(file["Data.SamplingRate"]).ravel()
    if _units(file["Data.SamplingRate"]) not in ([], ["hertz"], ["hz"]) or not rates.size or np.ptp(rates) > 0:
        raise ValueError("Data.SamplingRate is not one number of hertz")
    unlike = []
    swapped = _right_ear_first(file)
    if swapped:
        unlike.append("right ear first")
    delays = np.zeros((1, 2)) if "Data.Delay" not in file else _values(file["Data.Delay"])
    if delays.shape not in ((1, 2), (directions, 2)):
        raise ValueError(f"Data.Delay has shape {delays.shape}, not (1, 2) or ({directions}, 2)")
    if not (delays >= 0).all() or delays.max() > _MAX_DELAY_S * rates[0]:
        raise ValueError(f"Data.Delay is not between 0 samples and {_MAX_DELAY_S:g} s")
    if delays.any():
        unlike.append("delays")
    places = _cartesian(file["SourcePosition"])
    if _kind(file["SourcePosition"]) != "spherical" or "radian" in _units(file["SourcePosition"]):
        unlike.append("positions in other coordinates")
    turned = _seen_by_the_listener(file, places)
    if not np.allclose(turned, places, rtol=0, atol=1e-6):
        unlike.append("another listener's place or view")
    label = f"{path.name}:{sha256[:16]}"
    seen = _spherical(turned)
    _check_all_around(path, seen)
    delays = np.broadcast_to(delays, (directions, 2))
    return HrtfFile(path, label, sha256, float(rates[0]), seen, swapped, delays, taps, tuple(unlike))


def _right_ear_first(file: Any) -> bool:
    """Return whether the first of two receivers is the right one; +y is left. Without places their order stands."""
    if "ReceiverPosition" not in file:
        return False
    points = file["ReceiverPosition"]
    values = _values(points)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or values.shape[:2] != (2, 3):
        raise ValueError(f"ReceiverPosition has shape {values.shape}, not (2, 3, ..)")
    left = _cartesian(points, values.transpose(2, 0, 1))[..., 1]
    right_first = left[:, 0] < left[:, 1]
    if right_first.any() != right_first.all():
        raise ValueError("ReceiverPosition has the left ear first in some measurements and second in others")
    return bool(right_first.any())


def _seen_by_the_listener(file: Any, places: FloatArray) -> FloatArray:
    """Return places (M, 3) of SOFA's frame in that of the listener's head."""

    def point(name: str, default: tuple[float, float, float], kind_of: str | None = None) -> FloatArray:
        if name not in file:
            return np.array([default])
        values = _values(file[name])
        if values.shape not in ((1, 3), places.shape):
            raise ValueError(f"{name} has shape {values.shape}, not (1, 3) or {places.shape}")
        return _cartesian(file[kind_of if kind_of and kind_of in file else name], values)

    offset = places - point("ListenerPosition", (0.0, 0.0, 0.0))
    front = point("ListenerView", (1.0, 0.0, 0.0))
    up = point("ListenerUp", (0.0, 0.0, 1.0), "ListenerView")
    left = np.cross(up, front)
    if (np.linalg.norm(left, axis=1) < 1e-6).any():
        raise ValueError("ListenerView and ListenerUp are parallel or zero and give no orientation")
    above = np.cross(front, left)
    axes = [axis / np.linalg.norm(axis, axis=1, keepdims=True) for axis in (front, left, above)]
    return np.stack([np.sum(offset * axis, axis=1) for axis in axes], axis=1)


def _cartesian(data: Any, values: FloatArray | None = None) -> FloatArray:
    """Return positions (.., 3) as cartesian metres, by the coordinates and units that `data` states."""
    values = _values(data) if values is None else values
    if not np.isfinite(values).all():
        raise ValueError(f"{data.name.strip('/')} holds what is not a finite number")
    kind, units = _kind(data), _units(data)
    units = units * 3 if len(units) == 1 else units
    if kind == "cartesian" and all(unit in _LENGTHS for unit in units):
        return values * [_LENGTHS[unit] for unit in units or ["metre"] * 3]
    units = units or ["degree", "degree", "metre"]
    if kind == "spherical" and len(units) == 3 and {*units[:2]} <= _ANGLES.keys() and units[2] in _LENGTHS:
        azimuth, elevation = (np.radians(values[..., k] * _ANGLES[units[k]]) for k in (0, 1))
        distance = values[..., 2] * _LENGTHS[units[2]]
        level = distance * np.cos(elevation)
        return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation)], axis=-1)
    raise ValueError(f"{data.name.strip('/')} is {kind} in {', '.join(units)}; read are cartesian and spherical")


def _values(data: Any) -> FloatArray:
    """Return the numbers of an array; a file of few bytes can claim any number of them, so that is checked first."""
    if data.size > 6 * _MAX_DIRECTIONS:
        raise ValueError(f"{data.name.strip('/')} holds {data.size:,} numbers, more than any direction needs")
    return np.asarray(data[()], dtype=np.float64)


def _spherical(places: FloatArray) -> FloatArray:
    x, y, z = places.T
    level = np.hypot(x, y)
    distance = np.hypot(level, z)
    if not (distance > 0).all():
        raise ValueError("SourcePosition has a source in the middle of the head")
    azimuth = np.where(level > 1e-9 * distance, np.degrees(np.arctan2(y, x)), 0.0)
    # rounded, so that 15 degrees that went through cartesian coordinates are 15 degrees again
    azimuth = np.round(azimuth, 9) % 360.0
    return np.stack([azimuth, np.round(np.degrees(np.arctan2(z, level)), 9), np.round(distance, 9)], axis=1)


def _check_all_around(path: Path, directions: FloatArray) -> None:
    """Raise EngineError for directions of one elevation, or in one plane: an engine needs those of a whole sphere."""
    azimuth, elevation = np.radians(directions[:, 0]), np.radians(directions[:, 1])
    unit = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    why = None
    if np.ptp(elevation) < _PLANE:
        why = f"its {len(elevation)} directions all have an elevation of {directions[0, 1]:g} degrees"
    elif np.linalg.svd(unit, compute_uv=False)[2] < _PLANE * len(elevation) ** 0.5:
        why = f"its {len(elevation)} directions all lie in one plane"
    if why:
        raise EngineError(
            f"the HRTF file {path} cannot be used: {why}, and the engine needs directions above and below too: "
            "give a set measured on a sphere"
        )


def _kind(data: Any) -> str:
    usual = "spherical" if data.name.endswith("SourcePosition") else "cartesian"  # of this convention
    return _text(data.attrs.get("Type", usual)).strip().lower()


def _units(data: Any) -> list[str]:
    """Return the units that an array states, singular and in British spelling; none where it states none."""
    text = data.attrs.get("Units", "")
    words = (_text(text) if isinstance(text, bytes | str) else "").lower().replace("meter", "metre").split(",")
    return [word.strip().rstrip("s") for word in words if word.strip()]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
