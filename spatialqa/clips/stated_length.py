"""Corrects sound files whose header gives no length or a wrong one.

libsndfile reads as many samples as a header states. An MP3 of variable bit rate without a Xing header, a FLAC or WAV
file that was written into a pipe, and MP3 files that were joined state too few or none. Their samples stay as they are.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_LARGEST = 1 << 29  # bytes: longer files are longer than a clip may be by any count
_ID3_HEADER = 10
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # MPEG-1 layer III
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG-2 and 2.5 layer III
_RATES_HZ = (44_100, 48_000, 32_000)
_FRAMES_STATED, _BYTES_STATED = 1, 2  # flags of a Xing header
_FLAC_SIZES = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}, **{n: 256 << (n - 8) for n in range(8, 16)}}


def with_stated_length(stream: BinaryIO) -> BinaryIO:
    """Return a stream of the same sound whose header states its length: `stream` itself, at its start, where it does.

    Raises:
        OSError: the stream cannot be read.
    """
    head = stream.read(12)
    stream.seek(0)
    mended = None
    if head[:4] == b"fLaC":
        mended = _flac(stream)
    elif head[:4] == b"RIFF" and head[8:] == b"WAVE":
        mended = _wav(stream)
    elif head[:3] == b"ID3" or (len(head) >= 4 and _mp3_frame(head, 0) is not None):
        mended = _mp3(stream)
    stream.seek(0)
    return stream if mended is None else io.BytesIO(mended)


class _Frame(NamedTuple):
    """The header of an MP3 frame: its bytes, kind is all that frames of one stream have alike."""

    size: int
    kind: tuple[int, int]
    side_info: int  # bytes between the header and the main data


def _mp3_frame(data: bytes, at: int) -> _Frame | None:
    """Return the layer III frame whose header is at this place, or None."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, kbps, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or kbps in (0, 15) or rate == 3:
        return None
    first = version == 3
    rate_hz = _RATES_HZ[rate] >> (0 if first else 1 if version == 2 else 2)
    padding = data[at + 2] >> 1 & 1
    size = (144 if first else 72) * 1000 * (_KBPS_1 if first else _KBPS_2)[kbps] // rate_hz + padding
    mono = data[at + 3] >> 6 == 3
    side_info = (17 if mono else 32) if first else (9 if mono else 17)
    return _Frame(size, (version, rate), side_info)


def _mp3_frames(data: bytes, at: int) -> Iterator[int]:
    """Yield where the frames of an MP3 file begin; what lies between them, tags of joined files say, is ignored."""
    kind = None
    while at < len(data):
        frame = _mp3_frame(data, at)
        if frame is not None and kind in (None, frame.kind) and at + frame.size <= len(data):
            after = at + frame.size
            sure = kind is not None or _mp3_frame(data, after) is not None
            if sure:
                kind = frame.kind
                yield at
                at = after
                continue
        at = _after_id3(data, at) or data.find(b"\xff", at + 1)
        if at < 0:
            return


def _after_id3(data: bytes, at: int) -> int:
    """Return where an ID3v2 tag ends that begins at this place; 0 where none does."""
    if data[at : at + 3] != b"ID3" or at + _ID3_HEADER > len(data):
        return 0
    size = 0
    for byte in data[at + 6 : at + 10]:
        size = size << 7 | byte & 0x7F
    return at + _ID3_HEADER + size + (_ID3_HEADER if data[at + 5] & 0x10 else 0)


def _mp3(stream: BinaryIO) -> bytes | None:
    data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        return None
    start_of_sound = _after_id3(data, 0)
    if data[start_of_sound : start_of_sound + 4] == b"fLaC":
        return None
    frames = _mp3_frames(data, start_of_sound)
    start = next(frames, None)
    first = None if start is None else _mp3_frame(data, start)
    if start is None or first is None:
        return None
    info = start + 4 + first.side_info
    has_info = data[info : info + 4] in (b"Xing", b"Info")
    if has_info:
        flags, stated, length = struct.unpack(">3I", data[info + 4 : info + 16])
        whole = _FRAMES_STATED | _BYTES_STATED
        if not flags & _FRAMES_STATED or (flags & whole == whole and start + length >= len(data) - first.size):
            return None
        count = sum(1 for _ in frames)  # the frame with the header holds no sound
        if count <= stated:
            return None
        if flags & _BYTES_STATED:
            length = len(data) - start
        return data[: info + 8] + struct.pack(">2I", count, length) + data[info + 16 :]
    places = [start, *frames]
    if len({data[at + 2] >> 4 for at in places}) == 1:
        return None  # of one bit rate, so that libsndfile's estimate is right
    count = len(places)
    header = bytearray(data[start : start + 4])
    header[1] |= 1  # without a checksum
    header[2] = header[2] & 0x0D | 0xE0  # the highest bit rate, so that there is room; no padding
    xing = _mp3_frame(bytes(header), 0)
    if xing is None:
        return None
    told = struct.pack(">4s3I", b"Xing", _FRAMES_STATED | _BYTES_STATED, count, xing.size + len(data) - start)
    frame = (bytes(header) + bytes(xing.side_info) + told).ljust(xing.size, b"\0")
    return data[:start] + frame + data[start:]


def _wav(stream: BinaryIO) -> bytes | None:
    """Give a WAV file whose sizes were never filled in those of what it holds; libsndfile reads too large ones."""
    riff_size = struct.unpack("<I", stream.read(8)[4:])[0]
    stream.seek(12)
    at = 12
    while len(chunk := stream.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        at += 8
        if name == b"data":
            break
        at += size + size % 2
        stream.seek(at)
    else:
        return None
    if size or at < riff_size + 8 < 1 << 32:
        return None
    sound = stream.read(_LARGEST + 1)
    if not sound or len(sound) > _LARGEST:
        return None
    stream.seek(0)
    head = bytearray(stream.read(at))
    head[4:8] = struct.pack("<I", at - 8 + len(sound))
    head[at - 4 :] = struct.pack("<I", len(sound))
    return bytes(head) + sound


def _flac(stream: BinaryIO) -> bytes | None:
    head = stream.read(42)  # the mark, then STREAMINFO, which comes first
    if len(head) < 42 or head[4] & 0x7F or head[21] & 0x0F or any(head[22:26]):
        return None
    stream.seek(0)
    data = stream.read(_LARGEST + 1)
    total = _flac_samples(data) if len(data) <= _LARGEST else None
    if not total or total >> 36:
        return None
    return data[:21] + bytes([data[21] & 0xF0 | total >> 32]) + struct.pack(">I", total & 0xFFFFFFFF) + data[26:]


def _flac_samples(data: bytes) -> int | None:
    """Return how many samples a FLAC stream has, from its last frame; what is cut off does not count."""
    block_size = struct.unpack(">H", data[8:10])[0]  # of a stream of fixed blocks
    checksum = struct.unpack(">H", data[-2:])[0]
    later = None  # the first sample of the frame found before, which lies after this one
    at = len(data)
    while (at := data.rfind(b"\xff", 42, at)) > 0:
        found = _flac_frame(data, at, block_size)
        if found is None:
            continue
        first, size = found
        if later is None and _crc(data[at:-2], 16, 0x8005) == checksum:
            return first + size
        if first + size == later:
            return later
        later = first
    return None


def _flac_frame(data: bytes, at: int, block_size: int) -> tuple[int, int] | None:
    """Return the first sample and the number of samples of the frame whose header is at this place, or None."""
    head = data[at : at + 16].ljust(16, b"\0")
    code = head[2] >> 4
    number, length = _coded(head, 4)
    if head[1] not in (0xF8, 0xF9) or not length or not code or head[3] & 1:
        return None
    here = 4 + length
    if code in (6, 7):
        size = int.from_bytes(head[here : here + code - 5], "big") + 1
        here += code - 5
    else:
        size = _FLAC_SIZES[code]
    here += {12: 1, 13: 2, 14: 2}.get(head[2] & 0x0F, 0)  # a rate of its own
    if _crc(head[:here], 8, 0x07) != head[here]:
        return None
    return (number if head[1] & 1 else number * block_size), size


def _coded(data: bytes, at: int) -> tuple[int, int]:
    """Return a number that is coded as UTF-8 codes characters, up to 36 bits, and its length in bytes; 0, 0: none."""
    first = data[at]
    length = 1 if first < 0x80 else 8 - (first ^ 0xFF).bit_length()
    if not (length == 1 or 2 <= length <= 7) or (length > 1 and first < 0xC0):
        return 0, 0
    number = first if length == 1 else first & (0x7F >> length)
    for byte in data[at + 1 : at + length]:
        if byte & 0xC0 != 0x80:
            return 0, 0
        number = number << 6 | byte & 0x3F
    return number, length


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, top, mask = 0, 1 << (bits - 1), (1 << bits) - 1
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
    return value
