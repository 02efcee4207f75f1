"""Reads SpatialSoundQA's released RIRs (arXiv 2402.01591) from a `mp3d_reverb` folder.

    mp3d_reverb/binaural/<scene>/<n>.npy                  float (2, n), 32 kHz
    mp3d_reverb/{train,eval}_reverberation.json           {"data": [{fname: "<scene>/<n>.npy",
                                                           sensor_position: "x,y,z", source_position: "x,y,z"}]}

Positions are in Habitat's frame, which is the world frame here; no listener is turned. The RIRs were made by
SoundSpaces 2.0 in Matterport3D houses, keep its scale, and begin just before the direct sound.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spatialqa.banks.bank import UNKNOWN, BankFacts, Rir, check_rir, index_table
from spatialqa.banks.npy import read_npy_rir
from spatialqa.core.geometry import IDENTITY
from spatialqa.core.input_files import read_text
from spatialqa.errors import RoomError

SAMPLE_RATE_HZ = 32_000
LISTS = {"train": "train_reverberation.json", "test": "eval_reverberation.json"}  # by our name of the split
_FNAME = re.compile(r"([A-Za-z0-9_-]+)/([A-Za-z0-9_-]+)\.npy")
_MAX_LIST_BYTES = 2**30


def is_mp3d_reverb(path: Path) -> bool:
    """Tell whether a folder has the layout."""
    return (path / "binaural").is_dir() and any((path / name).is_file() for name in LISTS.values())


class Mp3dReverbBank:
    """The RIRs of both lists, or of the one that is there; a scene is a room and a house.

    Raises:
        RoomError: a list is not of this form, or lists and files disagree.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts = BankFacts("mp3d_reverb", "soundspaces", UNKNOWN, "binaural", "direct", calibrated=False)
        columns: dict[str, list[Any]] = {
            name: [] for name in ("rir_id", "split", "room_id", "listener_position", "source_position")
        }
        for split, name in LISTS.items():
            if (path / name).is_file():
                _read_list(path / name, split, columns)
        n = len(columns["rir_id"])
        if not n:
            raise RoomError(f"{path}: its lists name no RIR")
        _check_listed_once(path, columns)
        _check_files(path, columns["rir_id"])
        order = sorted(range(n), key=lambda k: _natural(columns["rir_id"][k]))
        sorted_columns = {name: [values[k] for k in order] for name, values in columns.items()}
        self.index = index_table(
            {
                **sorted_columns,
                "house_id": sorted_columns["room_id"],
                "room_set": ["mp3d"] * n,
                "listener_orientation": [list(IDENTITY)] * n,
                "sample_rate": [SAMPLE_RATE_HZ] * n,
            }
        )

    def identity(self) -> str:
        """Return a sha256 of all names and positions."""
        return self._digest(range(len(self.index)), with_content=False)

    def content_hash(self) -> str:
        """Return a sha256 of all names, positions and RIRs; reads and checks every file."""
        return self._digest(range(len(self.index)), with_content=True)

    def room_sha256(self, room_id: str) -> str:
        """Return a sha256 of the names, positions and RIRs of one scene."""
        rows = [k for k, room in enumerate(self.index["room_id"].to_pylist()) if room == room_id]
        return self._digest(rows, with_content=True)

    def _digest(self, rows: Sequence[int], with_content: bool) -> str:
        digest = hashlib.sha256()
        columns = ("rir_id", "split", "listener_position", "source_position")
        for row, values in zip(rows, self.index.select(columns).take(list(rows)).to_pylist(), strict=True):
            digest.update(json.dumps(list(values.values())).encode())
            if with_content:
                digest.update(hashlib.sha256(self._rir(row).tobytes()).digest())
        return digest.hexdigest()

    def read(self, rows: Sequence[int]) -> list[Rir]:
        """Return the RIRs of these rows."""
        return [self._rir(row) for row in rows]

    def _rir(self, row: int) -> Rir:
        path = self.path / "binaural" / self.index["rir_id"][row].as_py()
        return check_rir(read_npy_rir(path, 2, SAMPLE_RATE_HZ), str(path))


def _read_list(path: Path, split: str, columns: dict[str, list[Any]]) -> None:
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            raise RoomError(f"{path}: is larger than any list of positions")
        entries = json.loads(read_text(path))["data"]
        if not isinstance(entries, list):
            raise TypeError("data is not a list")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RoomError(
            f"{path}: is not a list of positions ({' '.join(str(error).split())}); "
            'it should hold {"data": [{fname, sensor_position, source_position}, ...]}'
        ) from None
    for number, entry in enumerate(entries):
        where = f"{path}: entry {number}"
        if not isinstance(entry, dict) or not {"fname", "sensor_position", "source_position"} <= entry.keys():
            raise RoomError(f"{where} lacks fname, sensor_position or source_position")
        found = _FNAME.fullmatch(str(entry["fname"]))
        if not found:
            raise RoomError(f"{where} has fname {str(entry['fname'])[:80]!r}, not <scene>/<n>.npy")
        columns["rir_id"].append(found.group())
        columns["split"].append(split)
        columns["room_id"].append(found[1])
        columns["listener_position"].append(_position(entry["sensor_position"], where))
        columns["source_position"].append(_position(entry["source_position"], where))


def _position(text: Any, where: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except (AttributeError, ValueError):
        numbers = []
    if len(numbers) != 3 or not np.isfinite(numbers).all():
        raise RoomError(f"{where} has a position {str(text)[:80]!r}, not x,y,z in metres")
    return numbers


def _check_listed_once(path: Path, columns: dict[str, list[Any]]) -> None:
    twice = [name for name, n in Counter(columns["rir_id"]).items() if n > 1]
    if twice:
        raise RoomError(f"{path}: {twice[0]} is listed more than once")


def _check_files(path: Path, listed: Sequence[str]) -> None:
    """Compare what is listed with the files of the scenes that are named; scenes that no list names do not count."""
    root = path / "binaural"
    names = set(listed)
    scenes = sorted({name.partition("/")[0] for name in names})
    there = {f"{scene}/{file.name}" for scene in scenes for file in (root / scene).glob("*.npy")}
    for odd, what in ((names - there, "has a position and no file"), (there - names, "has a file and no position")):
        if odd:
            raise RoomError(
                f"{path}: positions and RIRs disagree: {len(names)} are listed and {len(there)} files lie in the same "
                f"scenes; {min(odd, key=_natural)} {what}: copy the tree whole"
            )


def _natural(name: str) -> tuple[str, int, str]:
    """Return a sort key that puts 10.npy after 9.npy."""
    scene, _, stem = name.removesuffix(".npy").partition("/")
    return scene, int(stem) if stem.isdecimal() else -1, stem
