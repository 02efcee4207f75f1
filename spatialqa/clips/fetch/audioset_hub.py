"""Fetches AudioSet from its copy on the Hugging Face hub: Parquet files, out of which sounds are written as files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.clips.clip_table import ATTRIBUTION, LICENCE
from spatialqa.clips.fetch.collected import Clip, Fetched, FetchOptions, record, refuse_foreign
from spatialqa.clips.fetch.http import Remote, download, get_json
from spatialqa.core.files import below, commit_file, commit_json, file_name
from spatialqa.core.ontology import ontology
from spatialqa.errors import DownloadError

HOME = "huggingface.co/datasets/agkphysics/AudioSet"
_HOST, _REPOSITORY = "https://huggingface.co", "agkphysics/AudioSet"
_PARTS = ("bal_train", "eval")  # about 50 GB; unbal_train, over 2 TB, only within a limit
_DONE = ".done.json"
_SUFFIXES = {b"fLaC": "flac", b"RIFF": "wav", b"OggS": "ogg"}


def fetch_audioset(dest: Path, options: FetchOptions) -> Fetched:
    """Fetch AudioSet, or some of it: audio/PART/ID.flac and clips.tsv.

    Each Parquet file is downloaded, checked against its SHA-256, and removed once the clips of the wanted classes are
    written as files. Without a limit, the balanced training set and the evaluation set are fetched; with one, also of
    the unbalanced training set what lies within it.

    Raises:
        ClipError: the folder holds other things, a class is none, or no clip is left.
        DownloadError: the network or the hub failed, or a file is not what the hub says.
    """
    wanted = options.wanted_mids()
    refuse_foreign(dest, "audioset-hub")
    known = sorted(options.classes)
    done: dict[str, Any] = _done(dest, known)
    already = sum(len(clips) for clips in done.values())
    fetched = spent = 0
    parts = (*_PARTS, "unbal_train") if options.max_bytes is not None else _PARTS
    for part, path, remote in _files(parts, options.mirror):
        spent += remote.size
        if options.max_bytes is not None and spent > options.max_bytes:
            break
        if path in done:
            continue
        options.say(f"{path}: {remote.size / 1e6:,.0f} MB")
        parquet = below(dest, path)
        if download(remote, parquet):
            fetched += remote.size
        done[path] = [list(clip) for clip in _extract(parquet, dest, part, wanted)]
        commit_json(dest / _DONE, {"classes": known, "files": done})
        parquet.unlink()
        options.progress(fetched // 1_000_000, (options.max_bytes or 0) // 1_000_000)
    clips = {path: Clip(path, tuple(mids), LICENCE, ATTRIBUTION) for own in done.values() for path, mids in own}
    return record(dest, "audioset-hub", HOME, options, clips.values(), fetched, already)


def _done(dest: Path, classes: list[str]) -> dict[str, Any]:
    """Return what an earlier fetch of the same classes has finished: by Parquet file, (path, mids) of its clips."""
    try:
        stored = json.loads((dest / _DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    files: dict[str, Any] = stored["files"]
    if stored["classes"] == classes:
        return {name: clips for name, clips in files.items() if all((dest / path).is_file() for path, _ in clips)}
    return {}


def _files(parts: tuple[str, ...], mirror: str | None) -> Iterator[tuple[str, str, Remote]]:
    """Yield (part, path, file) of the Parquet files in their order."""
    host = mirror or _HOST
    for part in parts:
        url: str | None = f"{host}/api/datasets/{_REPOSITORY}/tree/main/data/{part}"
        found = []
        while url:
            listing, url = get_json(url)
            found += [item for item in listing if item["path"].endswith(".parquet")]
        if not found:
            raise DownloadError(f"{HOME}: has no Parquet files in data/{part}; the repository has changed")
        for item in sorted(found, key=lambda item: item["path"]):
            address = f"{host}/datasets/{_REPOSITORY}/resolve/main/{item['path']}"
            try:
                yield part, item["path"], Remote(address, int(item["size"]), f"sha256:{item['lfs']['oid']}")
            except (KeyError, TypeError):
                raise DownloadError(f"{HOME}: states no hash of {item['path']}; the repository has changed") from None


def _extract(parquet: Path, dest: Path, part: str, wanted: set[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Write the sounds of the wanted classes; yield their paths and mids."""
    known = {node.mid for node in ontology().nodes}
    try:
        with pq.ParquetFile(parquet) as file:
            for batch in file.iter_batches(16, columns=["video_id", "audio", "labels"]):
                for row in batch.to_pylist():
                    mids = tuple(mid for mid in row["labels"] if mid in known)
                    data = (row["audio"] or {}).get("bytes") or b""
                    suffix = _SUFFIXES.get(data[:4])
                    if suffix and wanted.intersection(mids):
                        path = f"audio/{part}/{file_name(row['video_id'], parquet)}.{suffix}"
                        _write(dest / path, data)
                        yield path, mids
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise DownloadError(f"{parquet}: is not a table of AudioSet ({error}); the repository has changed") from None


def _write(path: Path, content: bytes) -> None:
    def write(aside: Path) -> None:
        aside.write_bytes(content)

    commit_file(path, write)
