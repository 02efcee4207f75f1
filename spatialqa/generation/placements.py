"""Reads a table of placements: scenes by hand, one row per source, as CSV, JSON lines or Parquet."""

import csv
import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.core.files import digest
from spatialqa.core.geometry import Pose, Vec3, cartesian, to_world, yaw_quaternion
from spatialqa.core.names import SPLITS
from spatialqa.errors import RecipeError

TEXTS = ("scene", "room", "split", "clip", "label", "fill")
FILLS = ("once", "repeat")
NUMBERS = (
    *("listener_x", "listener_y", "listener_z", "listener_yaw_deg", "onset_s"),
    *("source_x", "source_y", "source_z", "azimuth_deg", "elevation_deg", "distance_m"),
)
COLUMNS = (*TEXTS, *NUMBERS)
_POSITION = ("source_x", "source_y", "source_z")
_LISTENER = ("listener_x", "listener_y", "listener_z")
MAX_NUMBER = 1e9
_MAX_BYTES = 2**30

_Row = tuple[str, Mapping[str, Any]]  # where it stands, such as "places.csv, line 2", and its values by column


@dataclass(frozen=True)
class PlacedSource:
    """One source of a scene by hand.

    position: world, metres. clip: the id of a clip, or a sound file. label: an AudioSet class or a name of one's own;
    without a clip, a clip of this class is drawn. where: the row, for messages. fill: "once", or "repeat" for a clip
    that plays again, after drawn gaps, until the scene ends.
    """

    position: Vec3
    clip: str | None
    label: str | None
    onset_s: float
    where: str
    fill: str = "once"


@dataclass(frozen=True)
class PlacedScene:
    """One scene by hand: its name in the table, room (None where the table names none), listener and sources."""

    name: str
    room_id: str | None
    split: str
    listener_position: Vec3
    listener_yaw_deg: float
    sources: tuple[PlacedSource, ...]

    @property
    def listener(self) -> Pose:
        """The listener's head."""
        return Pose(self.listener_position, yaw_quaternion(self.listener_yaw_deg))

    def positions(self) -> list[float | Vec3]:
        """Return where everybody is, as plain values: the listener's position and yaw, then the sources."""
        return [self.listener_position, self.listener_yaw_deg, *(source.position for source in self.sources)]

    @property
    def where(self) -> str:
        """The first row of the scene, for messages."""
        return self.sources[0].where


@dataclass(frozen=True)
class Placements:
    """The scenes of a table in the order of their first rows. path: of the table; sound files are relative to it."""

    path: Path
    scenes: tuple[PlacedScene, ...]

    @property
    def sha256(self) -> str:
        """A hash of what the table says; the order of scenes counts, the form of the file does not."""
        scenes = [asdict(scene) for scene in self.scenes]
        for scene in scenes:
            for source in scene["sources"]:
                del source["where"]
                if source["fill"] == "once":  # a table without repeats keeps the hash that it had
                    del source["fill"]
        return digest(scenes)


def read_placements(path: Path) -> Placements:
    """Read a table of placements.

    Columns: scene, room, split (train unless given), listener_x, listener_y, listener_z (world, metres),
    listener_yaw_deg (0 unless given), clip or label or both, onset_s (0 unless given), fill (once
    unless given, or repeat), and for the source either
    source_x, source_y, source_z (world, metres) or azimuth_deg, elevation_deg (0 unless given) and distance_m.

    Args:
        path: .csv, .jsonl or .parquet.

    Raises:
        RecipeError: the file cannot be read, has an unknown column, or a row does not say what a scene needs.
    """
    by_scene: dict[str, list[_Row]] = {}
    for where, values in _rows(path):
        name = _text(where, values, "scene")
        if name is None:
            raise RecipeError(f"{where}: has no scene; every row names the scene that its source belongs to")
        by_scene.setdefault(name, []).append((where, values))
    if not by_scene:
        raise RecipeError(f"{path}: holds no placements; write one row for every source")
    return Placements(path, tuple(_scene(name, rows) for name, rows in by_scene.items()))


def refuse_changed(table: str | None, sha256: str | None, source: str) -> None:
    """Raise RecipeError where a table, if there is one, is not the one with this hash that `source` was made from."""
    if table is not None and sha256 is not None and read_placements(Path(table)).sha256 != sha256:
        raise RecipeError(
            f"{table}: has changed since {source} was rendered from it; restore it, or render it anew with "
            f"--placements {table}"
        )


def _scene(name: str, rows: Sequence[_Row]) -> PlacedScene:
    first, values = rows[0]
    room_id, split = _text(first, values, "room"), _text(first, values, "split") or "train"
    if split not in SPLITS:
        raise RecipeError(f"{first}: split {split!r} must be one of {', '.join(SPLITS)}")
    position = _point(first, values, _LISTENER)
    if position is None:
        raise RecipeError(f"{first}: has no listener; give {', '.join(_LISTENER)} in metres")
    yaw_deg = _number(first, values, "listener_yaw_deg") or 0.0
    listener = Pose(position, yaw_quaternion(yaw_deg))
    for where, later in rows[1:]:
        same = (
            _text(where, later, "room") in (None, room_id)
            and (_text(where, later, "split") or split) == split
            and _point(where, later, _LISTENER) in (None, position)
            and _number(where, later, "listener_yaw_deg") in (None, yaw_deg)
        )
        if not same:
            raise RecipeError(f"{where}: scene {name!r} has another room, split or listener than in {first}")
    sources = tuple(_source(where, own, listener) for where, own in rows)
    return PlacedScene(name, room_id, split, position, yaw_deg, sources)


def _source(where: str, values: Mapping[str, Any], listener: Pose) -> PlacedSource:
    clip, label = _text(where, values, "clip"), _text(where, values, "label")
    if clip is None and label is None:
        raise RecipeError(f"{where}: names no sound; give a clip, a label, or both")
    onset_s = _number(where, values, "onset_s") or 0.0
    if onset_s < 0:
        raise RecipeError(f"{where}: onset_s {onset_s:g} must be 0 s or more")
    fill = _text(where, values, "fill") or "once"
    if fill not in FILLS:
        raise RecipeError(f"{where}: fill {fill!r} must be one of {', '.join(FILLS)}")
    return PlacedSource(_source_position(where, values, listener), clip, label, onset_s, where, fill)


def _source_position(where: str, values: Mapping[str, Any], listener: Pose) -> Vec3:
    position = _point(where, values, _POSITION)
    azimuth, elevation, distance = (_number(where, values, f) for f in ("azimuth_deg", "elevation_deg", "distance_m"))
    if position is not None:
        if (azimuth, elevation, distance) != (None, None, None):
            raise RecipeError(f"{where}: places its source twice; give source_x, source_y, source_z or a direction")
        return position
    if azimuth is None or distance is None:
        raise RecipeError(
            f"{where}: does not place its source; give azimuth_deg and distance_m, or source_x, source_y, source_z"
        )
    return from_direction(where, listener, azimuth, elevation or 0.0, distance)


def from_direction(where: str, listener: Pose, azimuth_deg: float, elevation_deg: float, distance_m: float) -> Vec3:
    """Return the world position of a source in a direction; raises RecipeError, with `where`, out of bounds."""
    bounds = (("azimuth_deg", azimuth_deg, -360, 360), ("elevation_deg", elevation_deg, -90, 90))
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise RecipeError(f"{where}: {name} {value:g} must be from {low} to {high} degrees")
    if not 0 < distance_m <= 1000:
        raise RecipeError(f"{where}: distance_m {distance_m:g} must be above 0 and at most 1000 m")
    x, y, z = to_world(listener, cartesian(azimuth_deg, elevation_deg, distance_m)).tolist()
    return (x, y, z)


# --- values ---------------------------------------------------------------------------------------------------------


def _text(where: str, values: Mapping[str, Any], column: str) -> str | None:
    value = values.get(column)
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise RecipeError(f"{where}: {column} {_shown(value)} must be a text")
    return one_line(where, column, str(value))


def one_line(where: str, name: str, value: str) -> str | None:
    """Return a text without blanks around it, None where it is blank; raises RecipeError unless it is one line."""
    text = value.strip()
    if len(text) > 1000 or not text.isprintable():
        raise RecipeError(f"{where}: {name} {_shown(text)} must be one line of at most 1000 characters")
    return text or None


def _number(where: str, values: Mapping[str, Any], column: str) -> float | None:
    value = values.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or abs(number) > MAX_NUMBER:
        comma = "; write 0.5, not 0,5" if isinstance(value, str) and "," in value else ""
        raise RecipeError(f"{where}: {column} {_shown(value)} must be a finite number, at most {MAX_NUMBER:g}{comma}")
    return number


def _point(where: str, values: Mapping[str, Any], columns: Sequence[str]) -> Vec3 | None:
    found = [_number(where, values, column) for column in columns]
    if all(value is None for value in found):
        return None
    x, y, z = found
    if x is None or y is None or z is None:
        raise RecipeError(f"{where}: needs all three of {', '.join(columns)}, in metres")
    return (x, y, z)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# --- files ----------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[_Row]:
    kinds = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in kinds:
        raise RecipeError(f"{path}: placements are a .csv, .jsonl or .parquet file")
    if not path.is_file():
        raise RecipeError(f"{path}: there is no such file; --placements names a table with one row per source")
    if path.stat().st_size > _MAX_BYTES:
        raise RecipeError(f"{path}: is larger than {_MAX_BYTES // 2**20} MB; render it in parts")
    try:
        yield from kinds[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: cannot be read as UTF-8 ({error.reason}); save it as UTF-8") from None
    except (OSError, pa.ArrowException, csv.Error) as error:
        raise RecipeError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None


def _csv_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="", strict=True)
        names = reader.fieldnames or []
        for mark, called in ((";", "semicolons"), ("\t", "tabs")):
            if len(names) == 1 and mark in names[0]:
                raise RecipeError(f"{path}: its columns are separated by {called}; save it with commas")
        _check_columns(path, names)
        for values in reader:
            where = f"{path}, line {reader.line_num}"
            if not any(values.values()):  # a spreadsheet writes rows of nothing below the table
                continue
            if "" in values:
                raise RecipeError(f"{where}: has more values than there are columns; quote a value that holds a comma")
            yield where, values


def _json_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RecipeError(f"{where}: is not JSON ({error}); write one object per line") from None
            if not isinstance(values, dict):
                raise RecipeError(f'{where}: must be an object, such as {{"scene": "a", ...}}')
            _check_columns(where, values)
            yield where, values


def _parquet_rows(path: Path) -> Iterator[_Row]:
    table = pq.ParquetFile(path)
    _check_columns(path, table.schema_arrow.names)
    number = 0
    for batch in table.iter_batches(use_threads=False):
        for values in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", values


def _check_columns(where: object, names: Sequence[Any] | Mapping[str, Any]) -> None:
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(str(name), COLUMNS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known columns: {', '.join(COLUMNS)}"
            raise RecipeError(f"{where}: unknown column {_shown(name)}; {hint}")
    if len(set(names)) < len(names):
        raise RecipeError(f"{where}: names a column twice")


def write_placements(path: Path, scenes: Sequence[PlacedScene]) -> None:
    """Write scenes as a table that `read_placements` reads back: Parquet, positions in the world frame."""
    rows = [
        {
            "scene": scene.name,
            "room": scene.room_id,
            "split": scene.split,
            **dict(zip(_LISTENER, scene.listener_position, strict=True)),
            "listener_yaw_deg": scene.listener_yaw_deg,
            "clip": source.clip,
            "label": source.label,
            "onset_s": source.onset_s,
            **dict(zip(_POSITION, source.position, strict=True)),
            "fill": source.fill,
        }
        for scene in scenes
        for source in scene.sources
    ]
    schema = pa.schema(
        [(name, pa.string() if name in TEXTS else pa.float64()) for name in COLUMNS if not rows or name in rows[0]]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
