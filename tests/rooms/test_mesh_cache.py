"""The cache of meshes gives back what was put in, survives damage and crowds, and may be missing altogether."""

import io
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.core.files import default_cache
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.simplify import PreparedMesh

VERTICES = np.random.default_rng(0).uniform(-9, 9, (50, 3)).astype(np.float32)
FACES = np.random.default_rng(1).integers(0, 50, (80, 3)).astype(np.int32)
MESH = PreparedMesh(
    VERTICES,
    FACES,
    (np.arange(80) % 3).astype(np.int32),
    faces_before=1_000_000,
    faces_without_area=7,
    error_m=0.0123,
    lost_share=1e-5,
    target_faces=80,
    max_error_m=0.05,
    labels=("brick", "glass", "plaster"),
    remarks=("the mesh is leaky: 71 % µ",),
    origin=(447_123.0, 52.0, -4_480_766.0),
)


class Maker:
    """Makes the mesh and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> PreparedMesh:
        self.calls += 1
        return MESH


def same(a: PreparedMesh, b: PreparedMesh) -> bool:
    facts = [name for name in vars(b) if not isinstance(getattr(b, name), np.ndarray)]
    arrays = ("vertices", "faces", "face_material")
    return all(getattr(a, name) == getattr(b, name) for name in facts) and all(
        getattr(a, name).dtype == getattr(b, name).dtype and np.array_equal(getattr(a, name), getattr(b, name))
        for name in arrays
    )


def stored(folder: Path) -> Path:
    (path,) = (folder / "meshes").iterdir()
    return path


def test_a_mesh_is_made_once_and_comes_back_whole(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert same(MeshCache(tmp_path).get("key", make), MESH)
    assert make.calls == 1
    MeshCache(tmp_path).get("another key", make)
    assert make.calls == 2


def test_without_a_folder_nothing_is_kept() -> None:
    make = Maker()
    cache = MeshCache(None)
    assert same(cache.get("key", make), MESH)
    cache.get("key", make)
    assert make.calls == 2


def test_an_error_while_making_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> PreparedMesh:
        raise ValueError("no mesh")

    with pytest.raises(ValueError, match="no mesh"):
        MeshCache(tmp_path).get("key", fail)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def _bytes_of(**arrays: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut in the middle": lambda whole: whole[: len(whole) // 2],
    "without its last byte": lambda whole: whole[:-1],
    "one bit flipped": lambda whole: whole[:900] + bytes([whole[900] ^ 4]) + whole[901:],
    "not an archive": lambda whole: b"hello",
    "one array": lambda whole: _npy(),
    "other arrays": lambda whole: _bytes_of(faces=FACES),
    "pickled": lambda whole: _bytes_of(facts=np.array([{"a": 1}], dtype=object), vertices=VERTICES),
    "a face that names no vertex": lambda whole: _with(FACES + 40),
    "faces of another type": lambda whole: _with(FACES.astype(np.float64)),
    "fewer faces than materials": lambda whole: _with(FACES[:-1]),
}


def _npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, VERTICES)
    return stream.getvalue()


def _with(faces: npt.NDArray[Any]) -> bytes:
    facts = b'{"faces_before": 80, "faces_without_area": 0, "error_m": 0, "lost_share": 0, "target_faces": null, '
    facts += b'"max_error_m": 0.05, "labels": [], "remarks": [], "origin": [0.0, 0.0, 0.0]}'
    return _bytes_of(
        facts=np.frombuffer(facts, np.uint8), vertices=VERTICES, faces=faces, face_material=MESH.face_material
    )


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_made_again(tmp_path: Path, how: str) -> None:
    make = Maker()
    MeshCache(tmp_path).get("key", make)
    path = stored(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[how](whole))
    assert same(MeshCache(tmp_path).get("key", make), MESH)
    assert make.calls == 2
    assert path.read_bytes() == whole
    assert same(MeshCache(tmp_path).get("key", make), MESH)
    assert make.calls == 2


def test_a_well_made_file_of_other_faces_is_believed(tmp_path: Path) -> None:
    """So that the damaged ones above are refused for their damage."""
    make = Maker()
    MeshCache(tmp_path).get("key", make)
    stored(tmp_path).write_bytes(_with(FACES[::-1].copy()))
    assert np.array_equal(MeshCache(tmp_path).get("key", make).faces, FACES[::-1])
    assert make.calls == 1


def test_a_writer_that_was_killed_leaves_no_half_mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        MeshCache(tmp_path).get("key", Maker())
    monkeypatch.undo()
    (tmp_path / "meshes").joinpath(".x.npz.1.part").write_bytes(b"half")
    make = Maker()
    assert same(MeshCache(tmp_path).get("key", make), MESH)
    assert make.calls == 1


def test_many_at_once_get_the_same_mesh(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    found: list[PreparedMesh] = []

    def work() -> None:
        start.wait()
        found.extend(MeshCache(tmp_path).get(f"key {k}", Maker()) for k in range(4))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 32
    assert all(same(mesh, MESH) for mesh in found)
    assert len(list((tmp_path / "meshes").iterdir())) == 4


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = MeshCache(tmp_path / "file" / "cache")
    make = Maker()
    with pytest.warns(UserWarning, match=r"file/cache cannot be written .*SPATIALQA_CACHE"):
        assert same(cache.get("key", make), MESH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(cache.get("key", make), MESH)
        assert len(cache.file_sha256(_old(tmp_path / "a.glb", b"a"))) == 64
    assert make.calls == 2


# Hashes of files


def _old(path: Path, content: bytes, seconds_ago: float = 100.0) -> Path:
    path.write_bytes(content)
    when = time.time_ns() - int(seconds_ago * 1e9)
    os.utime(path, ns=(when, when))
    return path


def test_a_file_is_hashed_once_while_it_stays_the_same(tmp_path: Path) -> None:
    cache = MeshCache(tmp_path / "cache")
    path = _old(tmp_path / "a.glb", b"first")
    status = path.stat()
    first = cache.file_sha256(path)
    assert first == MeshCache(None).file_sha256(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert MeshCache(tmp_path / "cache").file_sha256(path) == first  # from its name, size and time
    _old(path, b"other", seconds_ago=50.0)
    assert cache.file_sha256(path) == MeshCache(None).file_sha256(path) != first
    for known in (tmp_path / "cache" / "hashes").iterdir():
        known.write_bytes(b"\xff damaged")
    assert cache.file_sha256(path) == MeshCache(None).file_sha256(path)


def test_a_file_just_written_is_hashed_each_time(tmp_path: Path) -> None:
    cache = MeshCache(tmp_path / "cache")
    path = _old(tmp_path / "a.glb", b"first", seconds_ago=0.0)
    status = path.stat()
    first = cache.file_sha256(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cache.file_sha256(path) != first


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        MeshCache(tmp_path).file_sha256(tmp_path / "nothing.glb")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPATIALQA_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_cache() == Path("/home/somebody/.cache/spatialqa")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_cache() == Path("/caches/spatialqa")
    monkeypatch.setenv("SPATIALQA_CACHE", "/here")
    assert default_cache() == Path("/here")


def test_nothing_is_ever_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    original = np.load

    def load(*args: object, **options: object) -> object:
        asked.append(bool(options.get("allow_pickle", False)))
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("numpy.load", load)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            MeshCache(tmp_path).get("key", Maker())
    assert asked
    assert not any(asked)
