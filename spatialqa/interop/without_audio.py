"""Exports the metadata of a data set without audio: enough to render it again.

The folder is a data set like any other - scenes, groups, questions, card - whose scenes have no audio and whose RIRs
have no samples. Every file of the original is listed with its sha256; `spatialqa.generation.rebuild` makes them again.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from spatialqa.core.files import FileRecord, commit_text
from spatialqa.dataset.card import write_card
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import RUN_FILE, DatasetFolder
from spatialqa.dataset.json_records import ExportRecord, RunRecord, ShardRecord, write_record
from spatialqa.dataset.manifest import CARD, EXPORT_MARKER, EXPORTED_CLIPS, write_manifest
from spatialqa.dataset.reading import read_rows, scene_files, schema_of
from spatialqa.dataset.schema import AUDIO_COLUMNS, QA
from spatialqa.errors import DamagedError, DatasetError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.interop.destination import Destination
from spatialqa.qa.recipe import QaRecipe

_CARD = """
## Without audio

These are the recipes of the scenes: all positions, labels and measured levels, without audio. With the rooms and clips
named above, this command renders the same files and reports which of them are equal byte for byte:

    spatialqa render OUT --from THIS-FOLDER

`_spatialqa/clips.jsonl` lists the clips with the sha256 of their content, `_spatialqa/shards` the original files.
"""


@dataclass(frozen=True)
class RecipesSummary:
    """What an export of recipes holds."""

    dest: Path
    scenes: int
    clips: int
    questions: int
    paths_removed: dict[str, str]  # recipe keys that must be given again to rebuild, and their form

    def lines(self) -> list[str]:
        """Return the summary in words."""
        keys = "".join(f" --{name.replace('_', '-')} {form}" for name, form in self.paths_removed.items())
        return [
            f"{self.scenes} scenes without sound, of {self.clips} clips, and {self.questions} questions in {self.dest}",
            f"render them again: spatialqa render OUT --from {self.dest}{keys}",
        ]


def export_recipes(root: Path, dest: Path, progress: Callable[[int, int], None] | None = None) -> RecipesSummary:
    """Write the recipes of a data set; a second call resumes it.

    Args:
        root: the data set, rendered whole.
        dest: a new folder, or one in which this export was begun.
        progress: called with (scenes done, scenes in all).

    Raises:
        DatasetError: the data set has no audio to leave out or lacks a shard, or the destination holds something else.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    if run.recipe.get("plan_only"):
        raise DatasetError(f"{root}: was planned without audio and can be published as it is")
    missing = [name for name in run.plan.shards if folder.committed(name, run.fingerprint_hash) is None]
    if missing:
        raise DamagedError(
            f"{root}: shard {missing[0]} is missing or damaged; run the render command again, then export"
        )
    scene_files(folder)
    target = Destination(dest, root, {"format": "recipes", "fingerprint": run.fingerprint_hash})
    out = DatasetFolder(dest)
    with contextlib.suppress(DatasetError):  # there is none yet, or it is damaged: it is written again
        out.mark_stale()
    removed = path_keys(RenderRecipe, run.recipe)
    scenes = 0
    total = sum(record.scenes for record in folder.each_shard(run))
    for name in run.plan.shards:
        record = folder.read_shard(name)
        if out.committed(name, run.fingerprint_hash) is None:
            _export_shard(folder, out, record)
        scenes += record.scenes
        if progress:
            progress(scenes, total)
    n_clips = _write_clips(out, run)
    questions = sum(_export_questions(folder, out, target, table) for table in folder.question_tables())
    published = replace(
        run,
        recipe=without_paths(RenderRecipe, run.recipe),
        qa_recipe=without_paths(QaRecipe, run.qa_recipe),
        export=ExportRecord("recipes", tuple(removed)),
        manifest=None,
    )
    write_record(out.meta / RUN_FILE, published)
    write_card(out)
    card = out.root / "README.md"
    commit_text(out.root, card.name, card.read_text(encoding="utf-8") + _CARD)
    forms = {name: _form(name, run.recipe[name]) for name in removed}
    summary = RecipesSummary(dest, scenes, n_clips, questions, forms)
    target.finish({"scenes": scenes, "clips": n_clips, "questions": questions})
    write_manifest(out, [CARD, EXPORT_MARKER, EXPORTED_CLIPS])
    return summary


def path_keys(cls: type, values: Mapping[str, Any]) -> list[str]:
    """Return the recipe keys that hold a path of this machine."""
    return [
        f.name
        for f in dataclasses.fields(cls)
        if f.metadata["path"]
        and not f.metadata["execution"]
        and values.get(f.name) is not None
        and _bare(f.name, values[f.name]) != values[f.name]
    ]


def _form(key: str, value: str) -> str:
    kind = value.partition(":")[0] if key in ("rooms", "clips") else ""
    return f"{kind}:PATH" if kind else "PATH"


def without_paths(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe whose paths are the bare names of their files or folders: `folder:clips`, `labels.csv`."""
    names = {f.name for f in dataclasses.fields(cls) if f.metadata["path"]}
    return {name: _bare_all(name, value) if name in names else value for name, value in values.items()}


def _bare_all(key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_bare_all(key, item) for item in value]
    return _bare(key, value) if isinstance(value, str) else value


def _bare(key: str, value: str) -> str:
    kind, colon, path = value.partition(":") if key in ("rooms", "clips") else ("", "", value)
    if key in ("rooms", "clips") and not colon:
        return value
    return f"{kind}{colon}{Path(path).name}"


def _export_shard(folder: DatasetFolder, out: DatasetFolder, record: ShardRecord) -> None:
    """Write the tables of one shard without sound, and record them beside those of the original."""
    originals = {item.path.partition("/")[0]: item for item in record.files}
    files = []
    for table, column in AUDIO_COLUMNS.items():
        if table not in originals:
            continue
        path = folder.root / originals[table].path
        schema = schema_of(path, table)
        rows = list(_rows_without(path, schema, column))
        files.append(commit_table(out.root, originals[table].path, pa.Table.from_pylist(rows, schema=schema)))
    tables = tuple(originals[table] for table in AUDIO_COLUMNS if table in originals)
    out.commit_shard(replace(record, files=tuple(files), original=tables))


def _rows_without(path: Path, schema: pa.Schema, column: str | None) -> Iterator[dict[str, Any]]:
    for row in read_rows(path, [name for name in schema.names if name != column]):
        yield row if column is None else {**row, column: None}


def _write_clips(out: DatasetFolder, run: RunRecord) -> int:
    """List the clips that the scenes use, by id."""
    clips: dict[str, dict[str, Any]] = {}
    for name in run.plan.shards:
        for row in read_rows(out.root / "scenes" / f"{name}.parquet", ("sources",)):
            for source in row["sources"]:
                found = clips.get(source["clip_id"])
                if found is None:
                    keys = ("clip_id", "clip_sha256", "native_sample_rate", "licence", "labels", "mids")
                    clips[source["clip_id"]] = {key: source[key] for key in keys} | {"uses": 1}
                else:
                    found["uses"] += 1
    lines = "".join(json.dumps(clips[clip_id], ensure_ascii=False) + "\n" for clip_id in sorted(clips))
    commit_text(out.root, EXPORTED_CLIPS, lines)
    return len(clips)


def _export_questions(folder: DatasetFolder, out: DatasetFolder, target: Destination, table: str) -> int:
    """Copy a table of questions, with its record; returns the number of questions.

    The bytes are the same, except of a table with audio: its audio is left out.
    """
    record = folder.read_questions(table)
    files = []
    for item in record.files:
        path = folder.root / item.path
        if record.recipe.get("with_audio"):
            rows = pa.Table.from_pylist(list(read_rows(path, QA.names)), schema=QA)
            files.append(commit_table(out.root, item.path, rows, 10_000))
            continue
        size, sha256 = target.copy(path, item.path)
        if sha256 != item.sha256:
            raise DatasetError(f"{path}: is not the file that make-qa wrote; run make-qa again")
        files.append(FileRecord(item.path, item.rows, size, sha256))
    recipe = without_paths(QaRecipe, record.recipe)
    if "with_audio" in recipe:
        recipe["with_audio"] = False
    write_record(out.questions_file(table), replace(record, recipe=recipe, files=tuple(files)))
    return sum(file.rows for file in files)
