"""Validates a whole data set: files, schemas, scenes, groups, RIRs and splits."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.core.audio_io import FULL_SCALE, decode_flac
from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.files import digest
from spatialqa.core.geometry import direction
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of, split_order
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.dataset.schema import TABLES
from spatialqa.dataset.validation.files import FileCheck, check_files
from spatialqa.dataset.validation.ground_truth import SplitTruth
from spatialqa.dataset.validation.own_subtypes import Recompute
from spatialqa.dataset.validation.placing import PlacingRules
from spatialqa.dataset.validation.rirs import RirCheck
from spatialqa.dataset.validation.shared_rirs import SharedRirs
from spatialqa.dataset.validation.sound import SoundCheck
from spatialqa.dataset.validation.table import TableCheck
from spatialqa.dataset.validation.times import TimeCheck
from spatialqa.errors import SpatialQAError

_ANGLE_TOLERANCE_DEG = 1e-6
_DISTANCE_TOLERANCE_M = 1e-9
_FIRST_FIELDS = 22  # of a source, in every version


@dataclass(frozen=True)
class ValidationReport:
    """What was checked, in words, and every problem that was found.

    warnings: what a user may have done on purpose. files: what the check of the files found. not_checked: what needs an
    engine, rooms or clips that are not here, and why.
    """

    checked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: FileCheck = field(default_factory=FileCheck)
    not_checked: tuple[str, ...] = ()

    def also(self, checked: Iterable[str], problems: Iterable[str], not_checked: Iterable[str]) -> Self:
        """Add what was checked elsewhere, and what was not."""
        return replace(
            self,
            checked=(*self.checked, *checked),
            problems=(*self.problems, *problems),
            not_checked=(*self.not_checked, *not_checked),
        )

    def with_rerender(self, outcome: tuple[int, list[str]]) -> Self:
        """Add the outcome of rendering scenes again: how many were compared, and which differ."""
        compared, problems = outcome
        checked = (*self.checked, f"{compared} scenes rendered again, {compared - len(problems)} equal bit for bit")
        return replace(self, checked=checked, problems=(*self.problems, *problems))


@dataclass(eq=False)
class _Findings:
    """checked, problems: in words. tables: by name, the files whose rows can be checked."""

    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tables: dict[str, list[Path]] = field(default_factory=dict)


def validate_dataset(
    root: Path,
    recompute: Mapping[str, Recompute] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ValidationReport:
    """Check every file and every row of a data set.

    Rows are checked in files that are what was recorded; of the others only that they are not is reported. Split by
    split: the scenes of one split are held in packed form (see SplitTruth) while its questions pass by.

    Args:
        root: the data set.
        recompute: functions that compute answers to questions again, by subtype, for those that are not built in.
        progress: called with (scenes checked, scenes of the plan).

    Raises:
        DatasetError: the folder is not a data set of ours, holds no scenes, or its run.json is damaged.
    """
    folder = DatasetFolder(root)
    run = folder.read_own_run()
    is_bank = run.makes == "groups"  # RIRs without scenes
    files = check_files(folder, run)
    if not files.problems and not is_bank:
        scene_files(folder)  # raises where there are none
    findings = _Findings(problems=list(files.problems))
    findings.checked.append(f"{files.n_files} files have the size and sha256 that were recorded")
    if digest(run.fingerprint) != run.fingerprint_hash:
        findings.problems.append("run.json: its fingerprint_hash is not the hash of its fingerprint")
    _check_schemas(files, findings)
    groups = _check_groups(findings)
    placing = PlacingRules.of(run.recipe)
    only_planned = bool(run.recipe.get("plan_only")) or run.export is not None
    scenes = _SceneCheck(
        groups,
        findings,
        placing,
        TimeCheck.of(run.recipe),
        SoundCheck.of(run.recipe, sum(run.plan.scenes.values())),
        only_planned,
        bool(run.fingerprint.get("heads")),
    )
    tables = [
        TableCheck(table, record.recipe, record.own_subtypes(), recompute) for table, record in files.records.items()
    ]
    scene_paths = _by_split(findings.tables.get("scenes", []))
    question_paths = {check.table: _by_split(findings.tables.get(check.table, [])) for check in tables}
    damaged = {split_of(Path(name)) for name in files.shards}
    splits = {*scene_paths, *(split for paths in question_paths.values() for split in paths)}
    for split in sorted(splits, key=split_order):
        truth = SplitTruth()
        for path in scene_paths.get(split, []):
            for done in scenes.check_file(path, truth):
                if progress:
                    progress(done, sum(run.plan.scenes.values()))
        for check in tables:
            paths = question_paths[check.table].get(split, [])
            check.check_split(split, paths, truth, whole=split not in damaged)
    if not is_bank:
        scenes.finish()
    _check_rirs(run, findings)
    for check in tables:
        findings.problems += check.problems
        findings.checked.append(check.summary)
    return ValidationReport(tuple(findings.checked), tuple(findings.problems), tuple(files.warnings), files)


def _by_split(paths: Iterable[Path]) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        splits[split_of(path)].append(path)
    return splits


def _check_schemas(files: FileCheck, findings: _Findings) -> None:
    names = sorted(name for name in files.tables if name.split("-")[0] in TABLES)
    for name in names:
        for path in sorted(files.tables[name]):
            problems = [f"{name}/{path.name}: {text}" for text in _schema_problems(path, TABLES[name.split("-")[0]])]
            findings.problems += problems
            if not problems:
                findings.tables.setdefault(name, []).append(path)
    findings.checked.append(f"tables {', '.join(names)} have their columns and types")


def _schema_problems(path: Path, expected: pa.Schema) -> Iterable[str]:
    try:
        schema = pq.read_schema(path)
    except (OSError, ValueError) as error:
        yield f"cannot be read as a Parquet table ({' '.join(str(error).split())})"
        return
    for column in expected:
        index = schema.get_field_index(column.name)
        if index < 0:
            yield f"has no column {column.name}"
        elif not _same_type(schema.field(index).type, column.type):
            yield f"column {column.name} is {schema.field(index).type}, not {column.type}"


def _same_type(found: pa.DataType, ours: pa.DataType) -> bool:
    """Return whether a column has our type; a list of records may lack fields that were appended later."""
    if not (pa.types.is_list(found) and pa.types.is_list(ours) and pa.types.is_struct(ours.value_type)):
        return bool(found == ours)
    items = list(ours.value_type)
    n = found.value_type.num_fields if pa.types.is_struct(found.value_type) else 0
    return n >= _FIRST_FIELDS and bool(found.value_type == pa.struct(items[:n]))


def _check_rirs(run: RunRecord, findings: _Findings) -> None:
    paths = findings.tables.get("rirs", [])
    channels = run.recipe.get("channels", "binaural")
    if not paths or channels not in CHANNEL_NAMES or run.export:  # an export without audio has no samples
        return
    check = RirCheck(CHANNEL_NAMES[channels])
    for path in paths:
        findings.problems += check.file_problems(path)
    findings.checked.append(check.summary)


def _check_groups(findings: _Findings) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for path in findings.tables.get("groups", []):
        for row in read_rows(path):
            if row["group_id"] in groups:
                findings.problems.append(f"groups/{path.name}: {row['group_id']} appears twice")
            groups[row["group_id"]] = row
    return groups


class _SceneCheck:
    """The check of all scenes, file by file; it keeps their houses and clips, which no two splits may share."""

    def __init__(
        self,
        groups: dict[str, dict[str, Any]],
        findings: _Findings,
        placing: PlacingRules,
        times: TimeCheck,
        sound: SoundCheck,
        plan_only: bool,
        heads: bool,
    ) -> None:
        self._groups = groups
        self._placing = placing
        self._findings = findings
        self._plan_only = plan_only
        self._heads = heads  # each group has a head of its own
        self._times = times
        self._sound = sound
        self._houses: dict[str, set[str]] = defaultdict(set)
        self._clips: dict[str, set[str]] = defaultdict(set)
        self._subjects: dict[str, set[str]] = defaultdict(set)
        self._n_scenes = self._n_sources = 0

    def check_file(self, path: Path, truth: SplitTruth) -> Iterator[int]:
        """Check the scenes of one file and add them to what is true of its split; yields how many there were in all."""
        stored = [rirs for rirs in self._findings.tables.get("rirs", []) if rirs.name == path.name]
        rirs = SharedRirs(stored[0] if stored else None)
        for scene, flac in read_audio(path):
            where = f"scenes/{path.name}: {scene.scene_id}"
            if scene.scene_id in truth:
                self._findings.problems.append(f"{where} appears twice")
            if split_of(path) != scene.split:
                self._findings.problems.append(f"{where} says split {scene.split}")
            problems = [
                *_scene_problems(scene, self._groups),
                *_head_problems(scene, self._groups, self._heads),
                *self._placing.problems(scene),
                *self._render_problems(scene, flac),
                *rirs.problems(scene),
            ]
            self._findings.problems += [f"{where}: {text}" for text in problems]
            truth.add(scene)
            self._houses[scene.house_id].add(scene.split)
            if self._heads:
                self._subjects[str(scene.subject)].add(scene.split)
            for source in scene.sources:
                self._clips[source.clip_sha256 or source.clip_id].add(scene.split)
            self._n_scenes += 1
            self._n_sources += len(scene.sources)
            yield self._n_scenes

    def _render_problems(self, scene: Scene, flac: bytes) -> Iterable[str]:
        if not self._plan_only:
            problems = [*_measured_problems(scene), *self._times.row_problems(scene)]
            return [*problems, *_audio_problems(scene, flac, self._times, None if problems else self._sound)]
        return ["has audio in a data set that was only planned"] if flac else []

    def finish(self) -> None:
        """Report what only all splits together show."""
        for kind, places in (("house", self._houses), ("clip", self._clips), ("head", self._subjects)):
            self._findings.problems += [f"{kind} {name} is in {_and(at)}" for name, at in places.items() if len(at) > 1]
        audio = "planned without audio" if self._plan_only else "audio decoded"
        self._findings.checked += [
            f"{self._n_scenes} scenes with {self._n_sources} sources: geometry recomputed, {audio}",
            f"{len(self._houses)} houses and {len(self._clips)} clips, none in two splits",
            *([f"{len(self._subjects)} heads, none in two splits"] if self._heads else []),
            *self._placing.summary,
        ]


def _and(splits: Iterable[str]) -> str:
    return " and ".join(sorted(splits))


def _scene_problems(scene: Scene, groups: dict[str, dict[str, Any]]) -> Iterable[str]:
    group = groups.get(scene.group_id)
    if group is None:
        yield f"its group {scene.group_id} is not in groups/"
        return
    same_pose = group["listener_position"] == list(scene.listener_position) and group["listener_orientation"] == list(
        scene.listener_orientation
    )
    if not same_pose:
        yield f"its listener is not where group {scene.group_id} has it"
    for number, source in enumerate(scene.sources):
        place = source.place
        if not source.rir_id.startswith(f"{scene.group_id}/") or place >= len(group["source_positions"]):
            yield f"source {number}: rir_id {source.rir_id} is not a place of its group"
        elif group["source_positions"][place] != list(source.position):
            yield f"source {number}: is not at the position of {source.rir_id}"
        try:
            truth = direction(scene.listener, source.position)
        except SpatialQAError as error:
            yield f"source {number}: {error}"
            continue
        turn = abs((truth.azimuth_deg - source.azimuth_deg + 180.0) % 360.0 - 180.0)
        if turn > _ANGLE_TOLERANCE_DEG or abs(truth.elevation_deg - source.elevation_deg) > _ANGLE_TOLERANCE_DEG:
            yield (
                f"source {number}: its position is at azimuth {truth.azimuth_deg:.3f}, elevation "
                f"{truth.elevation_deg:.3f}, and the row says {source.azimuth_deg:.3f}, {source.elevation_deg:.3f}"
            )
        if abs(truth.distance_m - source.distance_m) > _DISTANCE_TOLERANCE_M:
            yield f"source {number}: is {truth.distance_m:.3f} m away and the row says {source.distance_m:.3f} m"


def _head_problems(scene: Scene, groups: dict[str, dict[str, Any]], heads: bool) -> Iterable[str]:
    """Say where the head of a scene is not that of its group, or is there or missing against the record of the run."""
    if heads and scene.subject is None:
        yield "has no subject, and the run has a head for each group"
    elif scene.subject is not None and not heads:
        yield f"has the subject {scene.subject}, and the run has one head"
    group = groups.get(scene.group_id)
    if group is not None and group.get("subject") != scene.subject:
        yield f"its subject is {scene.subject}, and group {scene.group_id} has {group.get('subject')}"


def _measured_problems(scene: Scene) -> Iterable[str]:
    """Say what rendering should have measured, and did not."""
    for number, source in enumerate(scene.sources):
        if source.offset_s is None or not source.onset_s < source.offset_s <= scene.duration_s + 1e-9:
            yield f"source {number}: sounds from {source.onset_s} s to {source.offset_s} s in {scene.duration_s} s"
        wet = source.wet_level_dbfs or ()
        if any(level is None or not np.isfinite(level) for level in (source.dry_level_dbfs, *wet)) or not wet:
            yield f"source {number}: has no finite level"
        elif len(wet) != len(CHANNEL_NAMES.get(scene.channels, ())):
            yield f"source {number}: has {len(wet)} levels, and channels is {scene.channels}"


def _audio_problems(scene: Scene, flac: bytes, times: TimeCheck, sound: SoundCheck | None) -> Iterable[str]:
    """Check the audio of a scene; its sound only where the row says enough of it."""
    if not flac:
        yield "has no audio, and its data set was not only planned"
        return
    try:
        audio, sample_rate = decode_flac(flac)
    except Exception as error:  # libsndfile raises its own kinds
        yield f"its audio cannot be decoded ({error})"
        return
    if scene.channels not in CHANNEL_NAMES:
        yield f"its channels are {scene.channels!r}, which is none of {', '.join(CHANNEL_NAMES)}"
        return
    expected = (len(CHANNEL_NAMES[scene.channels]), round(scene.duration_s * scene.sample_rate))
    if sample_rate != scene.sample_rate or audio.shape != expected:
        yield f"its audio is {audio.shape} at {sample_rate} Hz, not {expected} at {scene.sample_rate} Hz"
    elif not np.any(audio):
        yield "its audio is silent"
    elif float(np.max(np.abs(audio))) > FULL_SCALE:
        yield "its audio is clipped"
    else:
        yield from times.audio_problems(scene, audio)
        if sound is not None:
            yield from sound.problems(scene, audio)
