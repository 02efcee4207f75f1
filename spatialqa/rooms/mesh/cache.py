"""Cache of prepared meshes, keyed by a hash of their inputs; a building is parsed and simplified once.

Several processes may use a folder at the same time: a file appears under its name only when it is whole, and a
second process replaces it by the same bytes. A file that cannot be read is made again. Nothing is ever unpickled.
"""

import hashlib
import json
import os
import time
import uuid
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spatialqa.core.input_files import LARGEST, open_regular
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.simplify import PreparedMesh

_ARRAYS = {"vertices": np.dtype("<f4"), "faces": np.dtype("<i4"), "face_material": np.dtype("<i4")}
_RACY_S = 2.0  # a file younger than this may change again without a new modification time


class KnownContents:
    """What the rooms of a set were made of when the set was hashed for a run; travels to the workers with the set."""

    def __init__(self) -> None:
        self._of_room: dict[str, str] = {}

    def note(self, room_id: str, content: str) -> None:
        """Remember what a room is made of."""
        self._of_room[room_id] = content

    def check(self, room_id: str, content: str) -> None:
        """Raise RoomError where a room is made of something else now; one that was never noted may be anything."""
        if self._of_room.get(room_id, content) != content:
            raise RoomError(
                f"room {room_id}: its files have changed since the run began; put them back and run the command again, "
                f"or begin a run of its own"
            )


class MeshCache:
    """A folder of prepared meshes and of file hashes. folder: made when it is first needed; None caches nothing.

    A folder that cannot be written is warned of once, and everything continues without it.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._warned = False

    def get(self, key: str, make: Callable[[], PreparedMesh]) -> PreparedMesh:
        """Return the mesh stored under a key, or make and store it.

        key: any text; it must name everything that the mesh depends on, the content of files by their hashes.
        """
        if self._folder is None:
            return make()
        path = self._folder / "meshes" / f"{_digest(key)}.npz"
        mesh = _read(path)
        if mesh is None:
            mesh = make()
            self._store(path, lambda stream: _write(stream, mesh))
        return mesh

    def file_sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file in hex, from the cache while path, size and modification time are the same.

        Raises OSError when the file cannot be read.
        """
        status = path.stat()
        known = None
        if self._folder is not None and time.time() - status.st_mtime > _RACY_S:
            identity = f"{path.absolute()}\n{status.st_size}\n{status.st_mtime_ns}"
            known = self._folder / "hashes" / _digest(identity)
            if (found := _read_hash(known)) is not None:
                return found
        with open_regular(path, LARGEST) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if known is not None:
            self._store(known, lambda stream: stream.write(sha256.encode()))
        return sha256

    def _store(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as stream:
                    write(stream)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            if not self._warned:
                warnings.warn(
                    f"the cache {self._folder} cannot be written ({error.strerror or error}), so every process reads "
                    f"its meshes again: free space there, or set SPATIALQA_CACHE to another folder",
                    stacklevel=3,
                )
            self._warned = True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_hash(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return text if len(text) == 64 and set(text) <= set("0123456789abcdef") else None


def _write(stream: BinaryIO, mesh: PreparedMesh) -> None:
    facts = {field.name: getattr(mesh, field.name) for field in fields(mesh) if field.name not in _ARRAYS}
    arrays = {name: getattr(mesh, name).astype(kind, copy=False) for name, kind in _ARRAYS.items()}
    np.savez(stream, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), **arrays)


def _read(path: Path) -> PreparedMesh | None:
    """Return a stored mesh, or None where there is none or it is damaged, which the archive's checksums tell."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts: dict[str, Any] = json.loads(stored["facts"].tobytes())
            arrays = {name: stored[name] for name in _ARRAYS}
        mesh = PreparedMesh(**arrays, **{name: _tuples(value) for name, value in facts.items()})
    except Exception:  # numpy and zipfile raise errors of many kinds; whatever is wrong, the mesh is made again
        return None
    shapes = [array.shape[1:] for array in arrays.values()]
    kinds = [array.dtype for array in arrays.values()]
    if shapes != [(3,), (3,), ()] or kinds != list(_ARRAYS.values()) or len(mesh.faces) != len(mesh.face_material):
        return None
    if set(facts) != {field.name for field in fields(PreparedMesh)} - set(_ARRAYS):
        return None
    inside = mesh.faces.size and mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
    return mesh if inside and mesh.face_material.min() >= 0 else None


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
