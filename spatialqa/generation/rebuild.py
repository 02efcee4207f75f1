"""Renders the audio of an export without audio from its stored rows; a missing clip costs only its scenes.

Every file is compared with the sha256 that the export records. What cannot be made - a clip that is not there or has
other content, a room that differs - goes to the rejects with the reason.
"""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from spatialqa.core.files import FileRecord, commit_file, digest, temporary_name
from spatialqa.core.recipe_keys import build, with_keys_since
from spatialqa.dataset.card import write_card
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.dataset.json_records import ExportRecord, RebuildRecord, RunRecord, ShardRecord
from spatialqa.dataset.manifest import CARD, write_manifest
from spatialqa.dataset.reading import read_rows, schema_of
from spatialqa.dataset.record_checks import check_shard_name
from spatialqa.errors import DamagedError, DatasetError, RecipeError
from spatialqa.generation.early_start import worker_count
from spatialqa.generation.rebuild_shard import RebuildJob, StoredShard, rebuild_on_worker, rebuild_shard
from spatialqa.generation.recipe import RenderRecipe, absolute_paths
from spatialqa.generation.replay import StoredRun
from spatialqa.generation.run import clips_hash, library_versions, machine_facts
from spatialqa.generation.runner import Observer
from spatialqa.generation.workers import on_workers

Row = dict[str, Any]


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild made of an export of recipes."""

    root: Path
    scenes: int
    scenes_planned: int  # as many as the original holds
    files_equal: int  # Parquet files of scenes, groups and RIRs with the bytes of the original
    files_different: int
    scenes_different: int  # of which something measured is not the original's
    shards: int
    shards_resumed: int
    questions_left_out: int  # those of scenes that could not be rebuilt
    differences: tuple[str, ...]  # engine and libraries that are not those of the original

    @property
    def complete(self) -> bool:
        """Whether this is the original to the byte."""
        return self.scenes == self.scenes_planned and not self.files_different

    def lines(self) -> list[str]:
        """Return the report in words."""
        lines = [f"not as in the original, so bits may differ: {text}" for text in self.differences]
        if self.complete:
            return [*lines, f"{self.scenes} scenes in {self.root}: all {self.files_equal} files are the original's"]
        missing = self.scenes_planned - self.scenes
        if missing:
            lines.append(
                f"{missing} scenes and {self.questions_left_out} questions are missing: {self.root}/_spatialqa/rejects"
            )
        if self.scenes_different:
            lines.append(f"{self.scenes_different} scenes measure other than the original's")
        files = f"{self.files_equal} files are the original's, {self.files_different} differ"
        return [*lines, f"{self.scenes} of {self.scenes_planned} scenes in {self.root}: {files}"]


def is_recipes_export(root: Path) -> bool:
    """Tell whether a folder is a data set without sounds, as `export --to recipes` writes it."""
    folder = DatasetFolder(root)
    return folder.exists and folder.read_run().export is not None


def rebuild(source: Path, root: Path, overrides: Mapping[str, Any], observer: Observer) -> RebuildReport:
    """Render the scenes of an export again into `root`; a second call resumes it.

    Args:
        source: a folder that `export --to recipes` wrote.
        root: a new or empty folder, or one in which this was begun.
        overrides: recipe keys that say where rooms and clips lie here, such as {"clips": "folder:DIR"}.
        observer: receives progress.

    Raises:
        RecipeError: a path that the export leaves out is not given, or a key would change what the data set is.
        DatasetError: the export cannot be read, `root` holds something else, or not one scene could be made.
        SpatialQAError: something failed that may not fail again; what was made stays and counts.
    """
    export = DatasetFolder(source)
    run = export.read_run()
    if run.export is None:
        raise DatasetError(f"{source}: is not an export as recipes; make one with `spatialqa export OUT --to recipes`")
    _check_record(export, run)
    recipe = _recipe(source, run, run.export, overrides)
    folder = DatasetFolder(root)
    folder.refuse_foreign()
    with StoredRun(recipe) as inputs:
        identity = inputs.engine.identity
        here = {"engine": {name: getattr(identity, name) for name in run.fingerprint["engine"]}}
        here["versions"] = library_versions(recipe)
        differences = changed_keys({name: run.fingerprint[name] for name in here}, here)
        with folder.lock():
            record = replace(run, recipe=asdict(recipe), engine=identity, machine=machine_facts())
            record = replace(record, export=None, manifest=None, rebuilt=RebuildRecord(tuple(differences)))
            with folder.claimed(record):
                held = digest([here, inputs.rooms.content_hash(), clips_hash(inputs.clips.records())])
                same_engine = run.fingerprint["engine"]["sha256"] == identity.sha256
                job = RebuildJob(source, root, recipe, held, same_engine)
                return _Rebuild(job, run, inputs, differences, observer).run_all()


def _recipe(source: Path, run: RunRecord, export: ExportRecord, overrides: Mapping[str, Any]) -> RenderRecipe:
    fields = {f.name: f.metadata for f in dataclasses.fields(RenderRecipe)}
    recipe = with_keys_since(RenderRecipe, run.recipe)
    stored = {name: value for name, value in recipe.items() if name not in fields or not fields[name]["execution"]}
    for name, value in overrides.items():
        kind = str(stored.get(name)).partition(":")[0]
        if name in ("rooms", "clips") and str(value).partition(":")[0] != kind:
            raise RecipeError(f"{name} {value!r}: {source} was made from {kind}, and only its path may change")
        if name in fields and not (fields[name]["path"] or fields[name]["execution"]) and value != stored.get(name):
            raise RecipeError(f"{name} is fixed by {source} and cannot change: leave it out, or render again")
    for name in export.paths_removed:
        if name in overrides or name not in stored:
            continue
        if not name.endswith("_root"):  # roots are looked for where they usually are
            kind = f"{stored[name].partition(':')[0]}:" if ":" in stored[name] else ""
            raise RecipeError(
                f"{source}: was made with {name} {stored[name]}; give its path here: "
                f"--{name.replace('_', '-')} {kind}PATH"
            )
        stored[name] = None
    return absolute_paths(build(RenderRecipe, {**stored, **overrides}, f"{source}/_spatialqa/run.json"))


def _check_record(export: DatasetFolder, run: RunRecord) -> None:
    """Raise DatasetError where the run record lacks what a rebuild takes from it."""
    where = export.meta / "run.json"
    engine = run.fingerprint.get("engine")
    if not isinstance(engine, dict) or "sha256" not in engine or not isinstance(run.fingerprint.get("versions"), dict):
        raise DamagedError(f"{where}: is damaged or of another version; export the recipes again")
    for name in run.plan.shards:
        check_shard_name(where, name)
    for table in export.question_tables():
        export.tables(table)  # raises where a file is gone
        if not export.read_questions(table).files:
            raise DamagedError(f"{export.questions_file(table)}: names no file of questions; export the recipes again")


class _Rebuild:
    """One run of `rebuild`, whose folder is claimed."""

    def __init__(
        self,
        job: RebuildJob,
        run: RunRecord,
        inputs: StoredRun,
        differences: Sequence[str],
        observer: Observer,
    ) -> None:
        self._job, self._run, self._inputs, self._observer = job, run, inputs, observer
        self._export, self._folder = DatasetFolder(job.export), DatasetFolder(job.root)
        self._differences = tuple(differences)

    def run_all(self) -> RebuildReport:
        """Make every shard that is missing, then the questions and the card."""
        self._folder.sweep()
        names = self._run.plan.shards
        done = {name: self._done(name) for name in names}
        resumed = sum(record is not None for record in done.values())
        here = sum(record.scenes for record in done.values() if record)
        planned = sum(self._run.plan.scenes.values())
        missing = [StoredShard(name) for name in names if done[name] is None]
        recipe = self._job.recipe
        workers = worker_count(recipe, planned - here, len(missing))
        self._observer.started(planned, here, workers)
        if workers:
            on_scenes = self._observer.advanced
            tasks = on_workers(rebuild_on_worker, self._job, recipe, missing, workers, lambda r: on_scenes(r.scenes))
            with closing(tasks) as made:
                done |= {shard.name: record for shard, record in made}
        else:
            for shard in missing:
                done[shard.name] = rebuild_shard(self._job, self._inputs, shard.name, self._observer.advanced)
        records = [record for record in done.values() if record]
        if not any(record.scenes for record in records):
            raise DatasetError(f"{self._folder.root}: no scene could be rebuilt; {self._first_reason()}")
        left_out = sum(self._questions(table) for table in self._export.question_tables())
        write_card(self._folder)
        write_manifest(self._folder, [CARD])
        rebuilt = [record.rebuilt for record in records if record.rebuilt]
        return RebuildReport(
            self._folder.root,
            sum(record.scenes for record in records),
            sum(item.original_scenes for item in rebuilt),
            sum(item.files_equal for item in rebuilt),
            sum(item.files_different for item in rebuilt),
            sum(item.scenes_different for item in rebuilt),
            len(records),
            resumed,
            left_out,
            self._differences,
        )

    def _done(self, name: str) -> ShardRecord | None:
        """Return the record of a shard that need not be made again, else None."""
        by_hash = self._job.recipe.check == "full"
        record = self._folder.committed(name, self._run.fingerprint_hash, by_hash)
        if record is None or record.rebuilt is None:
            return None
        whole = record.scenes == record.rebuilt.original_scenes and not record.rebuilt.files_different
        return record if whole or record.rebuilt.held == self._job.held else None

    def _first_reason(self) -> str:
        first = next(iter(self._folder.rejects()), None)
        return f"the first: {first.id}: {first.reason}" if first else "the export holds none"

    def _questions(self, table: str) -> int:
        """Publish a table of questions: the bytes of the export, or without those of scenes that are missing.

        Returns how many questions were left out.
        """
        record = self._export.read_questions(table)
        gone = {reject.id for reject in self._folder.rejects() if reject.kind == "scene"}
        aside = temporary_name()
        files, counts = [], Counter[str]()
        try:
            for item in record.files:
                source, name = self._export.root / item.path, f"{aside}/{Path(item.path).name}"
                rows = list(read_rows(source)) if gone else []
                kept = [row for row in rows if row["scene_id"] not in gone]
                counts.update(row["subtype"] for row in kept)
                if len(kept) < len(rows):
                    schema = schema_of(source, table)
                    files.append(
                        commit_table(self._folder.root, name, pa.Table.from_pylist(kept, schema=schema), 10_000)
                    )
                else:
                    size, sha256 = commit_file(self._folder.root / name, partial(_copy, source))
                    if sha256 != item.sha256:
                        raise DamagedError(f"{source}: differs from what the export recorded; copy the export again")
                    files.append(FileRecord(name, item.rows, size, sha256))
            published = replace(record, files=tuple(replace(f, path=f.path.replace(aside, table, 1)) for f in files))
            if gone:
                published = replace(published, questions=dict(counts), scenes=record.scenes - len(gone))
            self._folder.publish_questions(aside, published, table)
        finally:
            shutil.rmtree(self._folder.root / aside, ignore_errors=True)
        return sum(item.rows for item in record.files) - sum(file.rows for file in files)


def _copy(source: Path, to: Path) -> None:
    shutil.copyfile(source, to)
