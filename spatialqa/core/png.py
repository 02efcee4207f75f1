"""Writes small PNG images of up to 256 colours (ISO/IEC 15948), which SVG and HTML embed."""

import struct
import zlib

import numpy as np
import numpy.typing as npt


def encode_png(indices: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8]) -> bytes:
    """Return an image as a PNG file.

    Args:
        indices: uint8 (height, width), rows from the top, each a colour of the palette.
        palette: uint8 (n, 3), red, green, blue; n is at most 256.
    """
    height, width = indices.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
