"""Checks a data set: is every file what was committed, every row true to its own geometry, every split apart?"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq

from spatialqa.dataset.commit import sha256_of
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.dataset.schema import TABLES
from spatialqa.errors import SpatialQAError
from spatialqa.geometry import direction
from spatialqa.render import FULL_SCALE, decode_flac
from spatialqa.scene import Scene

_ANGLE_TOLERANCE_DEG = 1e-6
_DISTANCE_TOLERANCE_M = 1e-9


@dataclass(frozen=True)
class ValidationReport:
    """What was checked, in words, and every problem that was found."""

    checked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def with_rerender(self, outcome: tuple[int, list[str]]) -> Self:
        """Add the outcome of rendering scenes again: how many were compared, and which differ."""
        compared, problems = outcome
        checked = (*self.checked, f"{compared} scenes rendered again, {compared - len(problems)} equal bit for bit")
        return replace(self, checked=checked, problems=(*self.problems, *problems))


@dataclass(eq=False)
class _Findings:
    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def validate_dataset(root: Path) -> ValidationReport:
    """Check every file and every row of a data set.

    Raises:
        DatasetError: the folder is not a data set of ours or holds no scenes.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    findings = _Findings()
    _check_files(folder, run, findings)
    _check_schemas(folder, findings)
    groups = _check_groups(folder, findings)
    splits = _check_scenes(folder, groups, findings)
    for table in folder.question_tables():
        _check_questions(folder, table, splits, findings)
    return ValidationReport(tuple(findings.checked), tuple(findings.problems))


def _check_files(folder: DatasetFolder, run: dict[str, Any], findings: _Findings) -> None:
    records = [(path, folder.read_json(path)) for path in sorted((folder.meta / "shards").glob("*.json"))]
    present = {path.stem for path, _ in records}
    findings.problems += [
        f"shard {name} is missing: run the render command again"
        for name in run["plan"]["shards"]
        if name not in present
    ]
    tables = [(path, folder.read_json(path)) for path in sorted(folder.meta.glob("qa*.json"))]
    n_files = 0
    for path, record in records + tables:
        for item in record["files"]:
            n_files += 1
            file = folder.root / item["path"]
            if not file.is_file():
                findings.problems.append(f"{item['path']}: is gone ({path.name} lists it)")
            elif file.stat().st_size != item["bytes"] or sha256_of(file) != item["sha256"]:
                findings.problems.append(f"{item['path']}: is not the file that was committed (its sha256 differs)")
    findings.checked.append(f"{n_files} files have the size and sha256 that were recorded")


def _check_schemas(folder: DatasetFolder, findings: _Findings) -> None:
    names = [p.name for p in sorted(folder.root.iterdir()) if p.is_dir() and p.name.split("-")[0] in TABLES]
    for name in names:
        expected = TABLES[name.split("-")[0]]
        for path in folder.tables(name):
            schema = pq.read_schema(path)
            for column in expected:
                index = schema.get_field_index(column.name)
                if index < 0:
                    findings.problems.append(f"{name}/{path.name}: has no column {column.name}")
                elif schema.field(index).type != column.type:
                    findings.problems.append(
                        f"{name}/{path.name}: column {column.name} is {schema.field(index).type}, not {column.type}"
                    )
    findings.checked.append(f"tables {', '.join(names)} have their columns and types")


def _check_groups(folder: DatasetFolder, findings: _Findings) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for path in folder.tables("groups"):
        for row in read_rows(path):
            if row["group_id"] in groups:
                findings.problems.append(f"groups/{path.name}: {row['group_id']} appears twice")
            groups[row["group_id"]] = row
    return groups


def _check_scenes(
    folder: DatasetFolder, groups: dict[str, dict[str, Any]], findings: _Findings
) -> dict[str, tuple[str, int]]:
    """Return (split, number of sources) by scene id."""
    scenes: dict[str, tuple[str, int]] = {}
    houses: dict[str, set[str]] = defaultdict(set)
    clips: dict[str, set[str]] = defaultdict(set)
    n_sources = 0
    for path in scene_files(folder):
        for scene, flac in read_audio(path):
            where = f"scenes/{path.name}: {scene.scene_id}"
            if scene.scene_id in scenes:
                findings.problems.append(f"{where} appears twice")
            scenes[scene.scene_id] = (scene.split, len(scene.sources))
            houses[scene.house_id].add(scene.split)
            for source in scene.sources:
                clips[source.clip_sha256 or source.clip_id].add(scene.split)
            n_sources += len(scene.sources)
            if not path.name.startswith(f"{scene.split}-"):
                findings.problems.append(f"{where} says split {scene.split}")
            findings.problems += [f"{where}: {text}" for text in _scene_problems(scene, groups)]
            findings.problems += [f"{where}: {text}" for text in _audio_problems(scene, flac)]
    findings.problems += [f"house {name} is in {_and(where)}" for name, where in houses.items() if len(where) > 1]
    findings.problems += [f"clip {name} is in {_and(where)}" for name, where in clips.items() if len(where) > 1]
    findings.checked.append(f"{len(scenes)} scenes with {n_sources} sources: geometry recomputed, audio decoded")
    findings.checked.append(f"{len(houses)} houses and {len(clips)} clips, none in two splits")
    return scenes


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
        place = int(source.rir_id.rpartition("/")[2])
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
        if source.offset_s is None or not source.onset_s < source.offset_s <= scene.duration_s + 1e-9:
            yield f"source {number}: sounds from {source.onset_s} s to {source.offset_s} s in {scene.duration_s} s"
        levels = [source.dry_level_dbfs, *(source.wet_level_dbfs or [None])]
        if any(level is None or not np.isfinite(level) for level in levels):
            yield f"source {number}: has no finite level"


def _audio_problems(scene: Scene, flac: bytes) -> Iterable[str]:
    try:
        audio, sample_rate = decode_flac(flac)
    except Exception as error:  # libsndfile raises its own kinds
        yield f"its audio cannot be decoded ({error})"
        return
    expected = (2, round(scene.duration_s * scene.sample_rate))
    if sample_rate != scene.sample_rate or audio.shape != expected:
        yield f"its audio is {audio.shape} at {sample_rate} Hz, not {expected} at {scene.sample_rate} Hz"
    elif not np.any(audio):
        yield "its audio is silent"
    elif float(np.max(np.abs(audio))) > FULL_SCALE:
        yield "its audio is clipped"


def _check_questions(
    folder: DatasetFolder, table: str, scenes: dict[str, tuple[str, int]], findings: _Findings
) -> None:
    seen: set[str] = set()
    counts: Counter[str] = Counter()
    for path in folder.tables(table):
        for row in read_rows(path, batch_rows=4096):
            where = f"{table}/{path.name}: {row['qa_id']}"
            counts[row["type"]] += 1
            if row["qa_id"] in seen:
                findings.problems.append(f"{where} appears twice")
            seen.add(row["qa_id"])
            scene = scenes.get(row["scene_id"])
            if scene is None:
                findings.problems.append(f"{where}: its scene {row['scene_id']} is not in scenes/")
            elif scene[0] != row["split"]:
                findings.problems.append(f"{where}: is in split {row['split']} and its scene in {scene[0]}")
            elif any(not 0 <= i < scene[1] for i in row["source_indices"] or []):
                findings.problems.append(f"{where}: names a source that its scene does not have")
            if not row["question"] or not row["answer"]:
                findings.problems.append(f"{where}: has an empty question or answer")
    findings.checked.append(
        f"{table}: {sum(counts.values())} questions ({', '.join(f'{t} {n}' for t, n in sorted(counts.items()))})"
    )
