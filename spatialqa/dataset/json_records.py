"""Typed records of the JSON files of a data set: run.json, one record per shard, and one per table of questions.

Each record is checked field by field when it is read; a field that is missing or of another type is a DatasetError that
names it. Keys that a record does not know are ignored, so that an older version reads what a newer one wrote.

The first line of a record is the sha256 of all bytes below it, so that a single changed byte is noticed. Records of
older versions have no such line.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from spatialqa.core.files import FileRecord, commit_text
from spatialqa.core.input_files import read_regular
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import DamagedError

SCHEMA_VERSION = "1"
_SEAL = '{\n "sha256_below": "'
_SEALED = re.compile(rb'\{\n "sha256_below": "([0-9a-f]{64})",\n')
# where the first line is damaged, its name or its 64 digits still show that there is one
_SEAL_DAMAGED = re.compile(rb"sha256_below|^.{20}[0-9a-f]{64}", re.DOTALL)

T = TypeVar("T")


@dataclass(frozen=True)
class PlanRecord:
    """The layout of a run: scenes, houses and clips by split, and the names of its shards."""

    scenes: dict[str, int]
    houses: dict[str, int]
    clips: dict[str, int]
    shards: tuple[str, ...]


@dataclass(frozen=True)
class Attribution:
    """A licence and whom to attribute, and how many of the run's clips are under it."""

    licence: str
    attribution: str
    clips: int


@dataclass(frozen=True)
class ImportRecord:
    """Of a data set whose questions were imported: the format, and the sha256 of each file by its name.

    scenes: the files of `scenes/`, once all is imported; None in data sets of older versions.
    """

    format: str
    files: dict[str, str]
    scenes: tuple[FileRecord, ...] | None = None


@dataclass(frozen=True)
class ExportRecord:
    """Of an export without audio: which recipe keys held paths, which are left out."""

    format: str
    paths_removed: tuple[str, ...]


@dataclass(frozen=True)
class RebuildRecord:
    """Of a data set that was rebuilt from an export: in which engine and libraries it differs from the original."""

    differences: tuple[str, ...]


@dataclass(frozen=True)
class ManifestRecord:
    """Which manifest a data set has. stale: a command is changing the data set, or was interrupted while it did."""

    sha256: str
    files: int
    stale: bool = False


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """run.json: which run made a data set. The recipe is stored as plain values, whose keys a recipe class checks."""

    schema_version: str = SCHEMA_VERSION
    spatialqa: str
    recipe: dict[str, Any]
    recipe_hash: str = ""
    fingerprint: dict[str, Any]
    fingerprint_hash: str
    engine: EngineIdentity
    makes: Literal["scenes", "groups"] = "scenes"  # groups: a bank of RIRs, without scenes
    plan: PlanRecord
    attributions: tuple[Attribution, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)
    qa_recipe: dict[str, Any] = field(default_factory=dict)
    imported: ImportRecord | None = None
    export: ExportRecord | None = None
    rebuilt: RebuildRecord | None = None
    manifest: ManifestRecord | None = None  # None until all shards are there, and in data sets of older versions


@dataclass(frozen=True)
class EngineName:
    """Which engine made a shard."""

    name: str
    sha256: str


@dataclass(frozen=True)
class RebuiltShard:
    """How a rebuilt shard compares with the original. held: a hash of the engine, rooms and clips it was made from."""

    held: str
    original_scenes: int
    files_equal: int
    files_different: int
    scenes_different: int


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What was committed of one shard; a shard exists once this record does."""

    shard: str
    split: str
    fingerprint: str
    scenes: int
    scenes_planned: int
    groups: int
    draws_rejected: int
    warnings: tuple[str, ...] = ()
    room_sizes_m: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    engine: EngineName
    files: tuple[FileRecord, ...]
    original: tuple[FileRecord, ...] | None = None  # of an export without audio: the files that it was made from
    rebuilt: RebuiltShard | None = None
    room_origins_m: dict[str, tuple[float, float, float]] | None = None  # of rooms far from their file's origin

    def made(self, what: str) -> int:
        """Return how many scenes or groups it holds."""
        return self.scenes if what == "scenes" else self.groups


@dataclass(frozen=True)
class SkipCount:
    """How often a subtype was not asked for one reason."""

    subtype: str
    reason: str
    count: int


@dataclass(frozen=True)
class OwnSubtype:
    """A subtype that is not built in. answer: the kind of its answers. sources: least and most of a scene."""

    name: str
    type: str
    answer: str
    sources: tuple[int, int]


@dataclass(frozen=True)
class QuestionModule:
    """What declared subtypes that are not built in.

    name: of the Python file, or of the entry point. files: the sha256 of the Python file and of its template files, by
    name. distribution: name and version of the installed package of an entry point.
    """

    name: str
    kind: Literal["file", "entry point"]
    files: dict[str, str]
    distribution: str | None
    subtypes: tuple[OwnSubtype, ...]


@dataclass(frozen=True, kw_only=True)
class QuestionsRecord:
    """The record of a table of questions: how it was asked, of how many scenes, and its files."""

    schema_version: str = SCHEMA_VERSION
    spatialqa: str
    scenes_fingerprint: str | None = None  # None where the questions were imported
    scenes: int
    recipe: dict[str, Any]
    questions: dict[str, int]  # by subtype
    skipped: tuple[SkipCount, ...]
    question_modules: tuple[QuestionModule, ...] = ()
    files: tuple[FileRecord, ...]

    def own_subtypes(self) -> dict[str, OwnSubtype]:
        """Return the subtypes that are not built in, by name."""
        return {subtype.name: subtype for module in self.question_modules for subtype in module.subtypes}


@dataclass(frozen=True)
class Reject:
    """Something that was drawn and could not be used. kind: "group", "draw" (a scene's sounds) or "scene"."""

    kind: str
    id: str
    attempt: int | None
    reason: str

    @classmethod
    def of(cls, kind: str, identifier: str, attempt: int | None, error: Exception) -> "Reject":
        """Return the record of an error."""
        return cls(kind, identifier, attempt, f"{type(error).__name__}: {error}")


# what to do about a record that is damaged
_ADVICE: dict[type, str] = {
    RunRecord: "repeat the command that began the data set: it writes this record again and keeps every whole shard",
    ShardRecord: "repeat the command that began the data set: it makes this shard again",
    QuestionsRecord: "run make-qa again",
    Reject: "repeat the command that began the data set with --check full: it makes this shard again",
}


def write_record(path: Path, record: Any) -> None:
    """Write a record as JSON below the hash of its bytes, whole or not at all; what is None is left out."""
    values = {name: value for name, value in asdict(record).items() if value is not None}
    below = json.dumps(values, indent=1, ensure_ascii=False).removeprefix("{\n") + "\n"
    commit_text(path.parent, path.name, f'{_SEAL}{hashlib.sha256(below.encode()).hexdigest()}",\n{below}')


def read_record(kind: type[T], path: Path) -> T:
    """Read a record.

    Raises:
        DatasetError: the file cannot be read, has changed since it was written, or is no such record; the message names
            the field and says what to do.
    """
    advice = _ADVICE.get(kind, "make it again")
    try:
        data = read_regular(path)
        _check_seal(data)
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise DamagedError(f"{path}: is damaged or of another version ({error}); {advice}") from None
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise DamagedError(f"{path}: cannot be read ({error}); {advice}") from None


def _check_seal(data: bytes) -> None:
    """Raise ValueError where a record is not what was written; one of an older version has no seal and passes."""
    if found := _SEALED.match(data):
        if hashlib.sha256(data[found.end() :]).hexdigest().encode() != found[1]:
            raise ValueError("its bytes are not those of its sha256: it is damaged or was edited")
    elif _SEAL_DAMAGED.search(data[:100]):
        raise ValueError("its first line is damaged or was edited")


def read_json_lines(kind: type[T], path: Path) -> list[T]:
    """Read records from JSON lines; raises DatasetError as `read_record` does."""
    advice = _ADVICE.get(kind, "make it again")
    try:
        return msgspec.json.Decoder(kind).decode_lines(read_regular(path))
    except msgspec.ValidationError as error:
        raise DamagedError(f"{path}: is damaged or of another version ({error}); {advice}") from None
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise DamagedError(f"{path}: cannot be read ({error}); {advice}") from None


def json_lines(records: Iterable[Any]) -> str:
    """Return records as JSON lines."""
    return "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)
