"""What of a data set is published: the tables as they are, and records and card without paths of this machine.

It is laid out as a folder that is a data set itself, whose tables are links to those of the original: what is uploaded
is what `validate` accepts after a download.
"""

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from spatialqa.core.files import FileRecord, below, commit_text, sha256_of
from spatialqa.dataset.card import CardFacts, Published, write_card
from spatialqa.dataset.folder import RUN_FILE, DatasetFolder
from spatialqa.dataset.json_records import RunRecord, write_record
from spatialqa.dataset.manifest import CARD, read_manifest, write_manifest
from spatialqa.dataset.record_checks import REJECTS
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.interop.without_audio import without_paths
from spatialqa.qa.recipe import QaRecipe

R = TypeVar("R")

_CARRIED = ("_spatialqa/clips.jsonl", "_spatialqa/rejects/clips.jsonl", "_spatialqa/rejects/import.jsonl")


# an absolute path, which is no part of an address and no id of AudioSet (/m/07jdr)
_ABSOLUTE = re.compile(r"""(?<![\w.:/])/(?!(?:m|g|t)/)(?:[^/\s"':;,()]+/)+(?=[^/\s])""")


class LocalPaths:
    """Shortens the paths of this machine in texts.

    What lies in a folder that the recipe names is called by the last name of that folder (`clips/a.wav`), other files
    by their own names.
    """

    def __init__(self, root: Path, run: RunRecord) -> None:
        values = [text for recipe in (run.recipe, run.qa_recipe) for text in _texts(recipe)]
        paths = {text.partition(":")[2] if ":" in text else text for text in values}
        known = {path.rstrip("/") for path in paths if path.startswith("/")}
        known |= {str(root.absolute()), str(root.resolve()), str(Path.cwd()), str(Path.home())}
        self._known = sorted((path for path in known if len(path) > 1), key=len, reverse=True)

    def without(self, text: str) -> str:
        """Return a text without absolute paths."""
        for path in self._known:
            text = text.replace(path, Path(path).name)
        return _ABSOLUTE.sub("", text)

    def in_record(self, record: R) -> R:
        """Return a record of the same class, all its texts without local paths."""
        changed = {
            field.name: self._in_value(getattr(record, field.name))
            for field in dataclasses.fields(record)  # type: ignore[arg-type]
        }
        return replace(record, **changed)  # type: ignore[type-var]

    def _in_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.without(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.in_record(value)
        if isinstance(value, Mapping):
            return {self._in_value(key): self._in_value(item) for key, item in value.items()}
        return type(value)(self._in_value(item) for item in value) if isinstance(value, list | tuple) else value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for item in items for text in _texts(item)]


def lay_out(root: Path, stage: Path, facts: CardFacts, published: Published) -> list[FileRecord]:
    """Make a folder that holds what is published of a data set; return its files, the tables first, the card last.

    Args:
        root: the data set, whole.
        stage: a new folder, which must live until the upload is over.
        facts: the counts for the card.
        published: how it is published.

    Raises:
        DatasetError: a record is damaged or a file is gone.
    """
    folder, out = DatasetFolder(root), DatasetFolder(stage)
    run = folder.read_run()
    local = LocalPaths(root, run)
    tables = [item for shard in folder.each_shard(run) for item in shard.files if item.path.endswith(".parquet")]
    tables += (run.imported and run.imported.scenes) or ()
    for shard in folder.each_shard(run):
        files = tuple(
            _rejects(folder, out, item, local) if item.path.startswith(REJECTS) else item for item in shard.files
        )
        write_record(out.shard_file(shard.shard), replace(local.in_record(shard), files=files))
    for table in folder.question_tables():
        record = folder.read_questions(table)
        tables += record.files
        public = replace(record, recipe=without_paths(QaRecipe, record.recipe))
        write_record(out.questions_file(table), local.in_record(public))
    for item in tables:
        _link(folder.root / item.path, below(stage, item.path))
    carried = [name for name in _CARRIED if (root / name).is_file()]
    carried += [path.relative_to(root).as_posix() for path in sorted(root.glob("_spatialqa/audit*.json"))]
    for path in carried:
        commit_text(stage, path, local.without((root / path).read_text(encoding="utf-8")))
    public_run = replace(
        run,
        recipe=without_paths(RenderRecipe, run.recipe),
        qa_recipe=without_paths(QaRecipe, run.qa_recipe),
        manifest=None,
    )
    write_record(out.meta / RUN_FILE, local.in_record(public_run))
    write_card(out, facts, published=published)
    if _is_edited(folder, run):
        shutil.copyfile(root / CARD, stage / CARD)
    write_manifest(out)
    return [*tables, *_others(stage, {item.path for item in tables})]


def _rejects(folder: DatasetFolder, out: DatasetFolder, item: FileRecord, local: LocalPaths) -> FileRecord:
    text = below(folder.root, item.path).read_text(encoding="utf-8")
    lines = [json.dumps(_plain(local, json.loads(line)), ensure_ascii=False) + "\n" for line in text.splitlines()]
    return commit_text(out.root, item.path, "".join(lines), item.rows)


def _plain(local: LocalPaths, record: dict[str, Any]) -> dict[str, Any]:
    return {key: local.without(value) if isinstance(value, str) else value for key, value in record.items()}


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.absolute())
    except OSError:  # links need a privilege on Windows
        shutil.copyfile(source, target)


def _is_edited(folder: DatasetFolder, run: RunRecord) -> bool:
    """Return whether the user has changed the card since it was written: then it is published as it is."""
    if run.manifest is None or run.manifest.stale:
        return False
    return dict(read_manifest(folder)).get(CARD) != sha256_of(folder.root / CARD)


def _others(stage: Path, tables: set[str]) -> list[FileRecord]:
    """Return the files beside the tables; run.json and the card come last, so that they tell that all is there."""
    found = [path.relative_to(stage).as_posix() for path in sorted(stage.rglob("*")) if path.is_file()]
    names = [name for name in found if name not in tables]
    names.sort(key=lambda name: (name == CARD, name == f"_spatialqa/{RUN_FILE}", name))
    return [FileRecord(name, 0, (stage / name).stat().st_size, sha256_of(stage / name)) for name in names]
