"""Banks in our own format: the `rirs` table of a data set, from `spatialqa rirs` or `render --save-rirs`."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatialqa.banks.bank import INDEX, UNKNOWN, BankFacts, Rir, check_rate, check_rir, check_shape, index_table
from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.files import sha256_of
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.schema import RIRS
from spatialqa.errors import DatasetError, RoomError

_GROUP_COLUMNS = ("group_id", "split", "room_set", "engine_config")
_PER_BANK = ("engine", "engine_config_hash", "rir_time_zero", "hrtf", "channels")
_APPENDED = tuple(RIRS.names[RIRS.get_field_index("rt60_s") + 1 :])


class ParquetBank:
    """The RIRs in `DIR/rirs/*.parquet`.

    Columns that older data sets lack are null: there each room is a house. The splits of the data set count as
    official.

    Raises:
        RoomError: the folder holds no RIRs, an unfinished run, tables that are not ours or rows that contradict
            each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recorded = _recorded_hashes(path)
        if not self._recorded:
            raise RoomError(f"{path}: has no rirs/*.parquet: make a bank with `spatialqa rirs {path}`")
        self._files = _tables(path, "rirs")
        tables = [_read_index(file, k) for k, file in enumerate(self._files)]
        rirs = pa.concat_tables(tables)
        if not len(rirs):
            raise RoomError(f"{path}/rirs: holds no RIR")
        groups = _read_groups(path)
        self.facts = self._facts(rirs, groups)
        self._channel_count = len(CHANNEL_NAMES[self.facts.channels])
        self.index = self._index(rirs, groups)

    def _facts(self, rirs: pa.Table, groups: pa.Table) -> BankFacts:
        values: dict[str, str] = {}
        for name in _PER_BANK:
            found = pc.unique(rirs[name]).to_pylist()
            if len(found) > 1:
                raise RoomError(
                    f"{self.path}/rirs: mixes RIRs whose {name} is {found[0]} and {found[1]}: they need two banks"
                )
            values[name] = found[0] or UNKNOWN
        config = self._engine_config(groups["engine_config"][0].as_py()) if len(groups) else {}
        channels = values["channels"] if values["channels"] != UNKNOWN else str(config.get("channels", "binaural"))
        if channels not in CHANNEL_NAMES:
            raise RoomError(f"{self.path}/rirs: has channels {channels!r}; known are {', '.join(CHANNEL_NAMES)}")
        return BankFacts(
            kind="parquet",
            engine=values["engine"],
            hrtf=values["hrtf"] if values["hrtf"] != UNKNOWN else str(config.get("hrtf", UNKNOWN)),
            channels=channels,
            rir_time_zero=values["rir_time_zero"],
            calibrated=bool(config.get("calibrated", False)),
            made_with=config,
            several_heads="subject" in pq.read_schema(self._files[0]).names,
        )

    def _engine_config(self, text: str | None) -> dict[str, Any]:
        try:
            config = json.loads(text or "{}")
        except (ValueError, RecursionError):
            config = None
        if not isinstance(config, dict):
            raise RoomError(f"{self.path}/groups: engine_config is not a JSON object; make the bank again")
        return config

    def _index(self, rirs: pa.Table, groups: pa.Table) -> pa.Table:
        place = pc.index_in(rirs["group_id"], groups["group_id"].combine_chunks())
        if place.null_count:
            lost = rirs["group_id"][pc.index(pc.is_null(place), True).as_py()].as_py()
            raise RoomError(f"{self.path}: group {lost} of rirs/ is not in groups/: the bank is not whole")
        duplicate = pc.value_counts(rirs["rir_id"])
        if len(duplicate) != len(rirs):
            raise RoomError(f"{self.path}/rirs: holds {len(rirs)} RIRs under {len(duplicate)} different rir_id")
        self._n_samples = rirs["n_samples"].to_numpy()
        for rate in pc.unique(rirs["sample_rate"]).to_pylist():
            check_rate(rate or 0, f"{self.path}/rirs")
        shared = [name for name in INDEX.names if name in rirs.column_names]
        columns: dict[str, Any] = {name: rirs[name].combine_chunks() for name in shared}
        for name in ("split", "room_set"):
            columns[name] = groups[name].take(place).combine_chunks()
        columns["house_id"] = pc.coalesce(rirs["house_id"], rirs["room_id"]).combine_chunks()
        return index_table(columns)

    def identity(self) -> str:
        """Return the sha256 of the files' hashes, as the data set records them."""
        return hashlib.sha256(json.dumps(self._recorded, sort_keys=True).encode()).hexdigest()

    def content_hash(self) -> str:
        """Return `identity`, after each file was seen to be what the data set recorded of it."""
        for file in self._files:
            name = f"rirs/{file.name}"
            if sha256_of(file) != self._recorded[name]:
                raise RoomError(f"{file}: has changed since its data set was written; copy it again")
        return self.identity()

    def room_sha256(self, room_id: str) -> str:
        """Return a sha256 of the room's index rows and of the recorded hashes of the files that hold it."""
        rows = self.index.filter(pc.equal(self.index["room_id"], room_id))
        files = sorted({location[0] for location in rows["location"].to_pylist()})
        parts = [self._recorded[f"rirs/{self._files[k].name}"] for k in files]
        text = json.dumps([rows.drop_columns(["location"]).to_pylist(), parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self, rows: Sequence[int]) -> list[Rir]:
        """Return the RIRs of these rows; every row group that is needed is read once."""
        found: dict[int, Rir] = {}
        by_part: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for row in rows:
            file, part, offset = self.index["location"][row].as_py()
            by_part.setdefault((file, part), []).append((row, offset))
        for (file, part), wanted in sorted(by_part.items()):
            path = self._files[file]
            try:
                column = pq.ParquetFile(path).read_row_group(part, columns=["rir"], use_threads=False)["rir"]
                for row, offset in wanted:
                    found[row] = self._decode(row, column[offset].as_py())
            except (OSError, IndexError, ValueError) as error:
                raise RoomError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
        return [found[row] for row in rows]

    def _decode(self, row: int, data: bytes | None) -> Rir:
        where = f"{self.path}/rirs: {self.index['rir_id'][row].as_py()}"
        shape = (self._channel_count, int(self._n_samples[row]))
        needed = 4 * shape[0] * shape[1]
        if data is None or len(data) != needed:
            raise RoomError(
                f"{where}: holds {0 if data is None else len(data):,} bytes, and {shape[0]} channels of {shape[1]:,} "
                f"samples need {needed:,}"
            )
        check_shape(shape, self._channel_count, self.index["sample_rate"][row].as_py(), where)
        return check_rir(np.frombuffer(data, dtype="<f4").reshape(shape), where)


def _read_index(file: Path, number: int) -> pa.Table:
    """Return all columns but the RIRs of one file, with where each row lies (file, row group, row in it)."""
    try:
        parquet = pq.ParquetFile(file)
        schema = parquet.schema_arrow
        for f in RIRS:
            at = schema.get_field_index(f.name)
            if (at < 0 and f.name not in _APPENDED) or (at >= 0 and schema.field(at).type != f.type):
                raise RoomError(
                    f"{file}: column {f.name} is missing or not {f.type}: it is not a table of RIRs of spatialqa"
                )
        names = [name for name in RIRS.names if name != "rir" and name in schema.names]
        table = parquet.read(columns=names, use_threads=False)
        sizes = [parquet.metadata.row_group(k).num_rows for k in range(parquet.metadata.num_row_groups)]
    except (OSError, ValueError) as error:
        raise RoomError(f"{file}: cannot be read as Parquet ({' '.join(str(error).split())})") from None
    for f in RIRS:
        if f.name != "rir" and f.name not in names:
            table = table.append_column(f, pa.nulls(len(table), f.type))
    location = [[number, part, row] for part, size in enumerate(sizes) for row in range(size)]
    return table.select([n for n in RIRS.names if n != "rir"]).append_column(
        "location", pa.array(location, INDEX.field("location").type)
    )


def _tables(path: Path, kind: str) -> list[Path]:
    try:
        return DatasetFolder(path).tables(kind)
    except DatasetError as error:
        raise RoomError(str(error)) from None


def _read_groups(path: Path) -> pa.Table:
    """Return what the groups know of their RIRs."""
    files = _tables(path, "groups")
    if not files:
        raise RoomError(f"{path}: has rirs/ and no groups/: the bank is not whole")
    try:
        return pa.concat_tables(pq.read_table(file, columns=list(_GROUP_COLUMNS)) for file in files)
    except (OSError, ValueError) as error:
        raise RoomError(f"{path}/groups: cannot be read ({' '.join(str(error).split())})") from None


def _recorded_hashes(path: Path) -> dict[str, str]:
    """Return the sha256 of every file of RIRs by its name in the data set.

    Raises:
        RoomError: the run that makes the bank has not ended.
    """
    folder = DatasetFolder(path)
    planned = folder.read_run().plan.shards
    records = {record.shard: record for record in folder.shards()}
    missing = [name for name in planned if name not in records]
    if missing:
        raise RoomError(
            f"{path}: is not finished ({len(missing)} of {len(planned)} shards are missing): repeat the command that "
            f"began it"
        )
    return {
        item.path: item.sha256 for record in records.values() for item in record.files if item.path.startswith("rirs/")
    }
