"""Reads one SOFA file of binaural room responses (AES69): SingleRoomSRIR, or MultiSpeakerBRIR with its emitters.

SOFA's global frame is +x forward, +y left, +z up; here the world is +x right, +y up, -z forward, so (x, y, z) there is
(-y, z, -x) here. Files come from strangers: links out of the file are refused and shapes are checked before data are
read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from spatialqa.acoustics.sofa import delayed
from spatialqa.banks.bank import Rir, check_rate, check_rir, check_shape
from spatialqa.core.geometry import FloatArray
from spatialqa.errors import MissingDependencyError, RoomError

CONVENTIONS = ("SingleRoomSRIR", "MultiSpeakerBRIR")
MAX_RESPONSES = 2_000_000
_MAX_CHUNK_SAMPLES = 2**27
_MAX_DELAY_S = 10.0
_SPHERICAL_UNITS = ("degree", "degree", "metre")


class SofaFile:
    """The positions of one file, and its responses one by one.

    The arrays have one row for every measurement and emitter, emitters fastest: listener, source float64 (rows, 3),
    world, metres; orientation float64 (rows, 4), unit quaternions (w, x, y, z); sample_rates int (rows,), Hz.

    Raises:
        RoomError: the file is not SOFA, of another convention, or has not a left and a right receiver.
        MissingDependencyError: h5py is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.convention = _text(file.attrs.get("SOFAConventions", ""))
            if self.convention not in CONVENTIONS:
                raise RoomError(
                    f"{path}: holds SOFA convention {self.convention or 'none'}, and a bank is read from "
                    f"{' or '.join(CONVENTIONS)}"
                )
            data_type = _text(file.attrs.get("DataType", ""))
            if data_type not in ("FIR", "FIRE"):
                raise RoomError(
                    f"{path}: holds data of type {data_type or 'none'}, and a bank is read from FIR or FIRE"
                )
            self.listener_name = _text(file.attrs.get("ListenerShortName", ""))
            shape = self._dataset(file, "Data.IR").shape
            if len(shape) not in (3, 4) or min(shape) < 1:
                raise RoomError(f"{path}: Data.IR has shape {shape}, not (M, R, N) or (M, R, E, N)")
            self.measurements, receivers, self._n = shape[0], shape[1], shape[-1]
            self.emitters = shape[2] if len(shape) == 4 else 1
            if receivers != 2:
                raise RoomError(f"{path}: has {receivers} receivers, and a binaural bank has two, left and right")
            if self.measurements * self.emitters > MAX_RESPONSES:
                raise RoomError(
                    f"{path}: names {self.measurements * self.emitters:,} responses, more than {MAX_RESPONSES:,}"
                )
            self.sample_rates = np.array([check_rate(float(r), str(path)) for r in self._rates(file)]).repeat(
                self.emitters
            )
            check_shape((2, self._n), 2, int(self.sample_rates.min()), str(path))
            self.swapped = self._left_receiver(file) == 1
            self.listener = _to_world(self._points(file, "ListenerPosition"))[:, 0].repeat(self.emitters, axis=0)
            facing = self._axes(file, "Listener")
            self.orientation = _head_quaternions(facing).repeat(self.emitters, axis=0)
            self.source = _to_world(self._emitters(file)).reshape(-1, 3)

    def responses(self, rows: list[int]) -> list[Rir]:
        """Return the responses of these rows, left then right, delayed as Data.Delay says: float32 (2, n)."""
        with self._open() as file:
            data, delays = self._dataset(file, "Data.IR"), self._dataset(file, "Data.Delay")
            return [self._response(data, delays, row) for row in rows]

    def _response(self, data: Any, delays: Any, row: int) -> Rir:
        m, e = divmod(row, self.emitters)
        where = f"{self.path}: measurement {m}, emitter {e}"
        rir = np.asarray(data[m, :, e, :] if data.ndim == 4 else data[m], dtype=np.float64)
        if delays.ndim not in (2, 3) or delays.shape[0] not in (1, self.measurements):
            raise RoomError(f"{self.path}: Data.Delay has shape {delays.shape} for {self.measurements} measurements")
        own = delays[m % delays.shape[0]]
        delay = np.asarray(own[:, e % own.shape[1]] if own.ndim == 2 else own, dtype=np.float64)
        delay = np.broadcast_to(delay, 2)
        if not np.isfinite(delay).all() or delay.min() < 0 or delay.max() > _MAX_DELAY_S * self.sample_rates[row]:
            raise RoomError(f"{where}: has a delay of {delay.tolist()} samples, not 0 to {_MAX_DELAY_S:g} s")
        if delay.any():
            rir = delayed(rir, delay, rir.shape[1] + int(np.ceil(delay.max())))
        return check_rir(rir[::-1] if self.swapped else rir, where)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            import h5py
        except ImportError:
            raise MissingDependencyError("a SOFA bank needs the package h5py: pip install h5py") from None
        try:
            with h5py.File(self.path, "r") as file:
                yield file
        except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            raise RoomError(f"{self.path}: cannot be read as SOFA ({' '.join(str(error).split())})") from None

    def _dataset(self, file: Any, name: str) -> Any:
        import h5py

        link = file.get(name, getlink=True)
        if link is None:
            raise RoomError(f"{self.path}: has no {name}, which SOFA requires")
        data = file[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual or data.dtype.kind not in "fiu":
            raise RoomError(f"{self.path}: {name} is not an array of numbers within the file")
        if data.chunks and np.prod(data.chunks, dtype=np.float64) > _MAX_CHUNK_SAMPLES:
            raise RoomError(f"{self.path}: {name} is stored in chunks of {data.chunks}, too large to be read")
        return data

    def _rates(self, file: Any) -> FloatArray:
        data = self._dataset(file, "Data.SamplingRate")
        if data.size not in (1, self.measurements):
            raise RoomError(f"{self.path}: has {data.size} sampling rates and {self.measurements} measurements")
        units = _text(data.attrs.get("Units", "hertz")).lower()
        if units not in ("hertz", "hz"):
            raise RoomError(f"{self.path}: Data.SamplingRate is in {units}, not hertz")
        return np.broadcast_to(np.asarray(data[()], dtype=np.float64).ravel(), (self.measurements,))

    def _points(self, file: Any, name: str, kind_of: str = "") -> FloatArray:
        """Return a position or direction as cartesian float64 (M, k, 3), k being 1 or the number of parts (R, E)."""
        data = self._dataset(file, name)
        shape = data.shape
        if data.size > 3 * MAX_RESPONSES or len(shape) not in (2, 3) or shape[1] != 3:
            raise RoomError(f"{self.path}: {name} has shape {shape}, not (.., 3) or (.., 3, ..)")
        values = np.asarray(data[()], dtype=np.float64)
        # (k, 3, I or M) is of parts; (I or M, 3) of listener and source, or of parts that never move
        moves = values.transpose(2, 0, 1) if values.ndim == 3 else None
        if moves is None:
            moves = values[None] if name.startswith(("Receiver", "Emitter")) else values[:, None]
        if moves.shape[0] not in (1, self.measurements):
            raise RoomError(
                f"{self.path}: positions and RIRs disagree: {name} has {moves.shape[0]} rows and there are "
                f"{self.measurements} measurements"
            )
        if not np.isfinite(moves).all():
            raise RoomError(f"{self.path}: {name} holds what is not a finite number")
        attrs = (self._dataset(file, kind_of) if kind_of else data).attrs
        return np.broadcast_to(self._cartesian(moves, attrs, name), (self.measurements, *moves.shape[1:]))

    def _cartesian(self, values: FloatArray, attrs: Any, name: str) -> FloatArray:
        kind = _text(attrs.get("Type", "cartesian")).lower()
        units = [
            part.strip().replace("meter", "metre").rstrip("s")
            for part in _text(attrs.get("Units", "")).lower().split(",")
        ]
        if kind == "cartesian" and set(units) <= {"metre", ""}:
            return values
        if kind == "spherical" and (units == list(_SPHERICAL_UNITS) or units == [""]):
            azimuth, elevation, radius = np.radians(values[..., 0]), np.radians(values[..., 1]), values[..., 2]
            level = radius * np.cos(elevation)
            return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), radius * np.sin(elevation)], axis=-1)
        raise RoomError(
            f"{self.path}: {name} is {kind} in {','.join(units)}; read are cartesian metres and spherical degrees"
        )

    def _left_receiver(self, file: Any) -> int:
        """Return which of the two receivers is the left ear: +y is left in the listener's frame."""
        y = self._points(file, "ReceiverPosition")[..., 1]
        if y.shape[1] != 2 or not (np.all(y[:, 0] * y[:, 1] < 0) and np.all(np.sign(y[:, 0]) == np.sign(y[0, 0]))):
            raise RoomError(
                f"{self.path}: its two receivers do not lie left and right of the listener (ReceiverPosition)"
            )
        return 0 if y[0, 0] > 0 else 1

    def _axes(self, file: Any, who: str) -> FloatArray:
        """Return the axes of listener or source, front, left and up as rows, in SOFA's frame: float64 (M, 3, 3)."""
        if f"{who}View" not in file:
            return np.broadcast_to(np.eye(3), (self.measurements, 3, 3))
        front = self._points(file, f"{who}View")[:, 0]
        up = self._points(file, f"{who}Up", f"{who}View")[:, 0] if f"{who}Up" in file else np.array([[0.0, 0.0, 1.0]])
        left = np.cross(up, front)
        size = np.linalg.norm(left, axis=1, keepdims=True)
        if (size < 1e-6).any():
            raise RoomError(f"{self.path}: {who}View and {who}Up are parallel or zero and give no orientation")
        left /= size
        front = front / np.linalg.norm(front, axis=1, keepdims=True)
        return np.stack([front, left, np.cross(front, left)], axis=1)

    def _emitters(self, file: Any) -> FloatArray:
        """Return where sound comes from in SOFA's frame, float64 (M, E, 3): emitters lie in the source's own frame."""
        source = self._points(file, "SourcePosition")
        emitters = self._points(file, "EmitterPosition")
        if emitters.shape[1] not in (1, self.emitters):
            raise RoomError(
                f"{self.path}: positions and RIRs disagree: EmitterPosition names {emitters.shape[1]} emitters and "
                f"Data.IR has {self.emitters}"
            )
        placed = source + np.einsum("mej,mjk->mek", emitters, self._axes(file, "Source"))
        return np.broadcast_to(placed, (self.measurements, self.emitters, 3))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _to_world(points: FloatArray) -> FloatArray:
    return np.stack([-points[..., 1], points[..., 2], -points[..., 0]], axis=-1) + 0.0


def _head_quaternions(axes: FloatArray) -> FloatArray:
    """Return orientations (M, 4), (w, x, y, z), of listeners whose front, left and up are the rows of (M, 3, 3)."""
    front, left, up = (_to_world(axes[:, k]) for k in range(3))
    turned = Rotation.from_matrix(np.stack([-left, up, -front], axis=-1)).as_quat()
    w_first: FloatArray = np.roll(turned, 1, axis=1)
    # of q and -q, which are the same turn, the one with w above 0, so that equal poses have equal bytes
    return np.asarray(np.where(w_first[:, :1] < 0, -w_first, w_first) + 0.0, dtype=np.float64)
