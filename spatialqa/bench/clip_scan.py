"""Benchmarks the index of clip files against a bare walk of the same folder.

    python -m spatialqa.bench.clip_scan [FOLDER]

Without a folder it makes a tree of 200,000 empty files, named as AudioSet's are, in 40 folders, and removes it again.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from spatialqa.clips.audioset.file_index import index_files
from spatialqa.clips.audioset.youtube_names import ID_LENGTH, parse_names
from spatialqa.core import seeds

_ID_CHARACTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8)


def bench_scan(root: Path | None = None, files: int = 200_000, repeats: int = 5) -> tuple[tuple[str, float, str], ...]:
    """Return (name, figure, unit) of finding, parsing and indexing all names below a folder.

    Every repeat walks the tree bare and then makes the index anew, so that both find the same caches; the medians are
    compared.
    """
    with tempfile.TemporaryDirectory(prefix="spatialqa-scan-") as folder:
        if root is None:
            root = Path(folder) / "tree"
            make_tree(root, files)
        rows = []
        for repeat in range(repeats + 1):
            cache = Path(folder) / f"cache-{repeat}"
            start = time.perf_counter()
            found = bare_walk(root)
            walked = time.perf_counter()
            index = index_files(root, cache)
            parse_names(index.names)
            indexed = time.perf_counter()
            parse_names(index_files(root, cache).names)
            rows.append((walked - start, indexed - walked, time.perf_counter() - indexed))
        bare_s, ours_s, again_s = np.median(np.array(rows[1:]), axis=0)  # the first repeat warms caches and imports
    return (
        ("files", float(found), ""),
        ("bare os.scandir walk", float(bare_s), "s"),
        ("walk, parse and index", float(ours_s), "s"),
        ("the same / bare walk", float(ours_s / bare_s), "x"),
        ("from the index", float(again_s), "s"),
    )


def make_tree(root: Path, files: int, folders: int = 40) -> None:
    """Write empty files named after made-up YouTube ids."""
    ids = _ID_CHARACTERS[seeds.rng(0, "bench", "scan").integers(len(_ID_CHARACTERS), size=(files, ID_LENGTH))]
    for number, video_id in enumerate(ids):
        folder = root / "train" / f"part{number % folders:02d}"
        if number < folders:
            folder.mkdir(parents=True)
        os.close(os.open(folder / f"Y{video_id.tobytes().decode()}.wav", os.O_CREAT | os.O_WRONLY))


def bare_walk(root: Path) -> int:
    """Count files by os.scandir and nothing else."""
    found, pending = 0, [os.fspath(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                else:
                    found += 1
    return found


if __name__ == "__main__":
    for name, figure, unit in bench_scan(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        sys.stdout.write(f"{name:24} {figure:10.3f} {unit}\n")
