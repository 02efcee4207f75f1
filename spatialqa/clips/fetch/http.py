"""Downloads over HTTP: resumed by ranges, retried, and checked against the hash that the home states."""

import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, TypeVar

from spatialqa import __version__
from spatialqa.errors import DownloadError

T = TypeVar("T")

TRIES = 4
PAUSE_S = 1.0  # before the second try; twice as long before each further one
_TIMEOUT_S = 60.0
_BLOCK = 1 << 20
_TEMPORARY_STATUS = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """A file at its home. hash: "md5:HEX", "sha256:HEX" or "blob:HEX" (git's id of the content)."""

    url: str
    size: int
    hash: str


def get_json(url: str) -> tuple[Any, str | None]:
    """Return a JSON value and the address of the next page, where there is one; raises DownloadError."""

    def read(response: HTTPResponse) -> tuple[Any, str | None]:
        link = re.search(r'<([^>]+)>;\s*rel="next"', response.headers.get("Link") or "")
        return json.loads(response.read()), link[1] if link else None

    return _tried(url, lambda: _opened(url, {}, read))


def get_range(url: str, start: int, size: int) -> bytes:
    """Return `size` bytes of a file from `start`; raises DownloadError where the home sends no parts of files."""

    def read(response: HTTPResponse) -> bytes:
        if response.status != 206:
            raise DownloadError(f"{url}: the server sends no parts of files; fetch it without --classes and --max-gb")
        data = response.read(size)
        if len(data) != size:
            raise OSError("it broke off")
        return data

    return _tried(url, lambda: _opened(url, {"Range": f"bytes={start}-{start + size - 1}"}, read))


def download(remote: Remote, path: Path, on_bytes: Callable[[int], None] | None = None) -> bool:
    """Download a file, whole or not at all; return whether anything was fetched.

    What a killed download left beside it (`NAME.part`) is continued where the server sends parts of files.

    Args:
        remote: the file.
        path: where it goes; a file there that has the size and the hash stays as it is.
        on_bytes: called with the number of bytes that have just arrived.

    Raises:
        DownloadError: the network or the server failed, or what arrived is not the file.
    """
    if path.is_file() and path.stat().st_size == remote.size and hash_of(path, remote) == remote.hash:
        return False
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    _tried(remote.url, lambda: _continue(remote, part, on_bytes or (lambda _: None)))
    found = hash_of(part, remote)
    if found != remote.hash:
        part.unlink()
        raise DownloadError(f"{remote.url}: what arrived is another file ({found}, not {remote.hash}); fetch it again")
    os.replace(part, path)
    return True


def hash_of(path: Path, remote: Remote) -> str:
    """Return the hash of a file, of the kind that its home states."""
    kind = remote.hash.partition(":")[0]
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size) if kind == "blob" else hashlib.new(kind)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return f"{kind}:{digest.hexdigest()}"


def _continue(remote: Remote, part: Path, on_bytes: Callable[[int], None]) -> None:
    have = part.stat().st_size if part.is_file() else 0
    if have > remote.size:
        part.unlink()
        have = 0
    if have == remote.size and part.is_file():
        return

    def read(response: HTTPResponse) -> None:
        resumes = response.status == 206
        with part.open("ab" if resumes else "wb") as stream:
            while block := response.read(_BLOCK):
                stream.write(block)
                on_bytes(len(block))

    _opened(remote.url, {"Range": f"bytes={have}-"} if have else {}, read)
    if part.stat().st_size < remote.size:
        raise OSError(f"it broke off after {part.stat().st_size:,} of {remote.size:,} bytes")


def _opened(url: str, headers: dict[str, str], read: Callable[[HTTPResponse], T]) -> T:
    request = urllib.request.Request(url, headers={"User-Agent": f"spatialqa/{__version__}", **headers})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        return read(response)


def _tried(url: str, work: Callable[[], T]) -> T:
    """Do work that uses the network, again where it failed for a reason that may pass."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            return work()
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code not in _TEMPORARY_STATUS:
                break
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
    raise DownloadError(f"{url}: cannot be fetched ({reason}); the same command continues the download")
