"""A sound tagger in an ONNX file that the user names, run by onnxruntime. spatialqa ships none.

Two layouts of input are known, both of YAMNet: the waveform, float32 (n,) at 16 kHz, and log-mel patches, (1, 1, 96,
64), (1, 96, 64) or (1, 96, 64, 1), as float32 or quantised. The output is one score per class for every frame.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from spatialqa.audit.hearing import log_mel, onnx_file
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError, MissingDependencyError, one_line

Floats = npt.NDArray[np.float32]

CLASSES_FILE = "yamnet_class_map.csv"
_PEAK = 0.9  # of what the tagger hears
_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(int8)": np.int8,
}
_PATCH = [log_mel.PATCH_FRAMES, log_mel.BANDS]


@dataclass(frozen=True)
class _Quantised:
    """How whole numbers stand for real ones: value = scale (number - zero)."""

    scale: float
    zero: float


class Tagger:
    """An opened tagger. mids: the class of every score.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        ClipError: a file cannot be read, or has another layout than those above; one line.
    """

    def __init__(self, model: Path, classes: Path | None = None) -> None:
        self.path = model
        self._session = _open(model)
        self._input, self._patch_shape = self._layout()
        self._in = self._quantised(self._input, "input")
        outputs = self._session.get_outputs()
        self._output = outputs[0]
        self._out = self._quantised(self._output, "output")
        self.mids = read_classes(classes or model.with_name(CLASSES_FILE), given=classes is not None)
        width = self._output.shape[-1] if self._output.shape else None
        if isinstance(width, int) and width != len(self.mids):
            raise ClipError(
                f"{model}: scores {width} classes, but the class list has {len(self.mids)}: use its own list"
            )

    def _layout(self) -> tuple[Any, tuple[int, ...] | None]:
        inputs = self._session.get_inputs()
        if len(inputs) == 1 and inputs[0].type in _TYPES:
            sizes = list(inputs[0].shape)
            if len(sizes) == 1 and inputs[0].type == "tensor(float)":
                return inputs[0], None
            if len(sizes) in (3, 4) and [size for size in sizes[1:] if size != 1] == _PATCH:
                return inputs[0], tuple(sizes[1:])
        given = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        raise ClipError(
            one_line(
                f"{self.path}: takes {given}; a tagger takes a waveform, float (n,) at 16 kHz, or log-mel patches of "
                f"{_PATCH[0]} frames and {_PATCH[1]} bands"
            )
        )

    def _quantised(self, port: Any, which: str) -> _Quantised | None:
        if port.type == "tensor(float)":
            return None
        constants = onnx_file.scalars(self.path) if port.type in _TYPES else {}
        scale, zero = constants.get(f"{port.name}_scale"), constants.get(f"{port.name}_zero_point")
        if scale is None or zero is None:
            raise ClipError(
                f"{self.path}: its {which} {port.name} is {port.type} without constants {port.name}_scale and "
                f"{port.name}_zero_point; use a model with float32"
            )
        return _Quantised(scale, zero)

    def scores(self, audio: Floats, sample_rate: int, normalise: bool = True) -> Floats:
        """Return the scores of every frame of a sound, float32 (frames, classes), higher where a class is likelier.

        Args:
            audio: float32 (n,) or (channels, n); the frames of all channels are returned.
            sample_rate: Hz.
            normalise: whether to scale it to a peak of 0.9 first.

        Raises:
            ClipError: the tagger failed, or its scores have another shape than its classes.
        """
        channels = np.atleast_2d(np.asarray(audio, np.float32))
        peak = float(np.max(np.abs(channels), initial=0.0))
        gain = np.float32(_PEAK / peak) if normalise and peak > 0.0 else np.float32(1.0)
        return np.concatenate([self._channel_scores(channel * gain, sample_rate) for channel in channels])

    def _channel_scores(self, audio: Floats, sample_rate: int) -> Floats:
        mono = np.asarray(soxr.resample(audio, sample_rate, log_mel.RATE), np.float32)
        if self._patch_shape is None:
            return self._run(mono)
        return np.concatenate([self._run(patch.reshape(1, *self._patch_shape)) for patch in log_mel.patches(mono)])

    def _run(self, values: Floats) -> Floats:
        kind = _TYPES[self._input.type]
        if self._in:
            limits = np.iinfo(kind)
            values = np.clip(np.round(values / self._in.scale + self._in.zero), limits.min, limits.max).astype(kind)
        try:
            out = np.asarray(self._session.run([self._output.name], {self._input.name: values})[0])
        except Exception as error:  # onnxruntime raises classes of its own, without a common one
            raise ClipError(f"{self.path}: the tagger failed ({one_line(error, 200)})") from None
        if out.ndim != 2 or out.shape[1] != len(self.mids):
            raise ClipError(f"{self.path}: scores have the shape {out.shape}; expected (frames, {len(self.mids)})")
        scores = out.astype(np.float32)
        return (scores - np.float32(self._out.zero)) * np.float32(self._out.scale) if self._out else scores


def _open(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("--tagger needs onnxruntime: pip install 'spatialqa[hear]'") from None
    if not model.is_file():
        raise ClipError(f"{model}: there is no such file; --tagger names an ONNX model of a sound tagger")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # 8-bit kernels of processors without VNNI saturate, and then the tagger hears other classes
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, without a common one
        raise ClipError(f"{model}: cannot be opened as an ONNX model ({one_line(error, 200)})") from None


def read_classes(path: Path, given: bool = True) -> tuple[str, ...]:
    """Read a class list: CSV with the columns index, mid and display_name, as YAMNet's.

    Args:
        path: of the file.
        given: whether the user named it, or it is looked for beside the model.

    Raises:
        ClipError: it cannot be read, is another table, or names a class that AudioSet does not have; one line.
    """
    if not path.is_file() and not given:
        raise ClipError(f"{path}: the class list of the tagger is not there; name it by --classes FILE")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipError(f"{path}: cannot be read as a class list ({one_line(error, 200)})") from None
    if not rows or not {"index", "mid"} <= rows[0].keys():
        raise ClipError(f"{path}: is not a class list; expected CSV with the columns index, mid, display_name")
    if [row["index"] for row in rows] != [str(i) for i in range(len(rows))]:
        raise ClipError(f"{path}: its column index must count 0, 1, 2, ... in the order of the tagger's scores")
    known = {node.mid for node in ontology().nodes}
    if unknown := next((row["mid"] for row in rows if row["mid"] not in known), None):
        raise ClipError(f"{path}: {one_line(unknown, 60)!r} is not the mid of an AudioSet class")
    return tuple(row["mid"] for row in rows)
