"""Banks of SOFA files with binaural room responses; each file is a room and a house."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from spatialqa.banks.bank import INDEX, UNKNOWN, BankFacts, Rir, index_table
from spatialqa.banks.sofa_file import MAX_RESPONSES, SofaFile
from spatialqa.core.files import sha256_of
from spatialqa.errors import RoomError


class SofaBank:
    """One SOFA file, or all `*.sofa` of a folder. An RIR is named `file/measurement/emitter`.

    The responses keep their own scale, and where their time begins is not known.

    Raises:
        RoomError: a file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        files = sorted(path.glob("*.sofa")) if path.is_dir() else [path]
        if not files:
            raise RoomError(f"{path}: holds no .sofa file")
        self._files = [SofaFile(file) for file in files]
        names = sorted({file.listener_name for file in self._files} - {""})
        self.facts = BankFacts("sofa", "sofa", ", ".join(names) or UNKNOWN, "binaural", UNKNOWN, calibrated=False)
        if sum(len(file.source) for file in self._files) > MAX_RESPONSES:
            raise RoomError(f"{path}: holds more than {MAX_RESPONSES:,} responses")
        self.index = pa.concat_tables(_index(file, number) for number, file in enumerate(self._files)).combine_chunks()

    def identity(self) -> str:
        """Return a sha256 of names, sizes, positions and rates."""
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(json.dumps([file.path.name, file.path.stat().st_size, file.convention]).encode())
            for array in (file.listener, file.orientation, file.source, file.sample_rates):
                digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def content_hash(self) -> str:
        """Return a sha256 of all files."""
        return hashlib.sha256("".join(self.room_sha256(file.path.stem) for file in self._files).encode()).hexdigest()

    def room_sha256(self, room_id: str) -> str:
        """Return the sha256 of a room's file."""
        return sha256_of(next(file.path for file in self._files if file.path.stem == room_id))

    def read(self, rows: Sequence[int]) -> list[Rir]:
        """Return the RIRs of these rows; every file that is needed is opened once."""
        places = [self.index["location"][row].as_py() for row in rows]
        found: dict[tuple[int, int], Rir] = {}
        for number in sorted({file for file, _ in places}):
            wanted = sorted({row for file, row in places if file == number})
            found |= {
                (number, row): rir for row, rir in zip(wanted, self._files[number].responses(wanted), strict=True)
            }
        return [found[file, row] for file, row in places]


def _index(file: SofaFile, number: int) -> pa.Table:
    n, emitters = len(file.source), file.emitters
    name = file.path.stem
    columns: dict[str, Any] = {
        "rir_id": [f"{name}/{row // emitters}/{row % emitters}" for row in range(n)],
        "room_set": ["sofa"] * n,
        "room_id": [name] * n,
        "house_id": [name] * n,
        "listener_position": list(file.listener),
        "listener_orientation": list(file.orientation),
        "source_position": list(file.source),
        "sample_rate": file.sample_rates,
        "location": pa.array([[number, row] for row in range(n)], INDEX.field("location").type),
    }
    return index_table(columns)
