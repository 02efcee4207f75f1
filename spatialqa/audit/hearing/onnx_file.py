"""Reads scalar constants from an ONNX file: the scale and zero point of quantised inputs and outputs.

onnxruntime does not report them. An ONNX file is a Protocol Buffers message; only the fields that are needed are read.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_GRAPH, _INITIALIZER = 7, 5  # fields of ModelProto and GraphProto
_DIMS, _TYPE, _FLOATS, _INTS, _NAME, _RAW = 1, 2, 4, 5, 8, 9  # fields of TensorProto
_FORMATS = {1: "<f", 2: "<B", 3: "<b", 4: "<H", 5: "<h", 6: "<i"}  # data types of TensorProto, as struct has them


def scalars(path: Path) -> dict[str, float]:
    """Return the scalar initialisers of a model by name.

    Raises:
        ValueError: the file is not a Protocol Buffers message.
        OSError: it cannot be read.
    """
    found: dict[str, float] = {}
    try:
        for graph in _messages(memoryview(path.read_bytes()), _GRAPH):
            for tensor in _messages(graph, _INITIALIZER):
                name, value = _scalar(tensor)
                if value is not None:
                    found[name] = value
    except (IndexError, struct.error, UnicodeDecodeError):
        raise ValueError("not an ONNX model") from None
    return found


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    for field, value in _fields(data):
        if field == number and isinstance(value, memoryview):
            yield value


def _scalar(tensor: memoryview) -> tuple[str, float | None]:
    """Return the name of a tensor, and its value where it has one element."""
    name, kind, value, elements = "", 0, None, 1
    for field, content in _fields(tensor):
        if field == _DIMS and isinstance(content, int):
            elements *= content
        elif field == _TYPE and isinstance(content, int):
            kind = content
        elif field == _NAME and isinstance(content, memoryview):
            name = bytes(content).decode()
        elif field in (_FLOATS, _INTS, _RAW):
            value = content
    if elements != 1 or value is None or kind not in _FORMATS:
        return name, None
    if isinstance(value, int):
        return name, float(value)
    form = _FORMATS[kind]
    return name, float(struct.unpack(form, value)[0]) if len(value) == struct.calcsize(form) else None


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a message: whole numbers, or the bytes of all other kinds of values."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), at)
        if size < 0 or at + size > len(data):
            raise IndexError("a field ends after its message")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number of base 128 at a position, and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise IndexError("a number of more than 64 bits")
