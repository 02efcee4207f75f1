"""Reads members of ZIP archives that are split into parts (NAME.z01, ..., NAME.zip), here or at their home."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from spatialqa.clips.fetch.http import Remote, get_range
from spatialqa.errors import DownloadError

_AHEAD = 1 << 20  # bytes that are fetched at a time
_LOCAL = struct.Struct("<4s5H3L2H")


class Part(Protocol):
    """One part of an archive."""

    name: str
    size: int

    def read(self, start: int, size: int) -> bytes:
        """Return bytes of it."""
        ...


class LocalPart:
    """A part that has been downloaded."""

    def __init__(self, path: Path) -> None:
        self.name, self.size, self._path = path.name, path.stat().st_size, path

    def read(self, start: int, size: int) -> bytes:
        """Return bytes of it."""
        with self._path.open("rb") as stream:
            stream.seek(start)
            return stream.read(size)


class RemotePart:
    """A part at its home, of which only what is read is fetched."""

    def __init__(self, name: str, remote: Remote) -> None:
        self.name, self.size, self._url = name, remote.size, remote.url
        self.fetched = 0
        self._start, self._window = 0, b""

    def read(self, start: int, size: int) -> bytes:
        """Return bytes of it."""
        if not self._start <= start <= start + size <= self._start + len(self._window):
            length = min(max(size, _AHEAD), self.size - start)
            self._start, self._window = start, get_range(self._url, start, length)
            self.fetched += length
        offset = start - self._start
        return self._window[offset : offset + size]


class SplitZip:
    """A ZIP archive in one or several parts, in their order; the last one is NAME.zip.

    Raises:
        DownloadError: it is no such archive.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._starts = [sum(part.size for part in parts[:k]) for k in range(len(parts))]
        try:
            with zipfile.ZipFile(io.BufferedReader(_Joined(self), 1 << 16)) as archive:
                self._members = archive.infolist()
        except zipfile.BadZipFile as error:
            raise DownloadError(f"{parts[-1].name}: cannot be read as a ZIP archive ({error})") from None
        # offsets of a split archive are relative to the part; zipfile has moved all by the start of the last one
        self._shift = self._starts[-1] if len(parts) > 1 else 0

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        return (info for info in self._members if not info.is_dir())

    def read(self, info: zipfile.ZipInfo) -> bytes:
        """Return the content of a member; raises DownloadError where it is not what its checksum says."""
        at = info.header_offset - self._shift + self._starts[min(info.volume, len(self._starts) - 1)]
        header = _LOCAL.unpack(self.bytes_at(at, _LOCAL.size))
        data = self.bytes_at(at + _LOCAL.size + header[-2] + header[-1], info.compress_size)
        try:
            content = data if info.compress_type == zipfile.ZIP_STORED else zlib.decompress(data, -zlib.MAX_WBITS)
        except zlib.error:
            content = b""
        if header[0] != b"PK\3\4" or len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise DownloadError(f"{self._parts[-1].name}: {info.filename} is damaged; fetch it again")
        return content

    @property
    def size(self) -> int:
        """The size of all parts, bytes."""
        return self._starts[-1] + self._parts[-1].size

    def bytes_at(self, start: int, size: int) -> bytes:
        """Return bytes of the archive, as if its parts were one file."""
        pieces = []
        for begin, part in zip(self._starts, self._parts, strict=True):
            first, last = max(start, begin), min(start + size, begin + part.size)
            if first < last:
                pieces.append(part.read(first - begin, last - first))
        return b"".join(pieces)


class _Joined(io.RawIOBase):
    """The parts as one file to read from."""

    def __init__(self, archive: SplitZip) -> None:
        self._archive, self._at = archive, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._archive.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._archive.bytes_at(self._at, min(len(buffer), self._archive.size - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
