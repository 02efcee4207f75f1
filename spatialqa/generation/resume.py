"""Clears the way for a resume: removes the damaged shards of a data set, where a resume makes them again."""

from collections.abc import Iterable
from pathlib import Path

from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.manifest import resume_command
from spatialqa.dataset.record_checks import REJECTS
from spatialqa.dataset.schema import AUDIO_COLUMNS
from spatialqa.errors import SpatialQAError
from spatialqa.generation.run import prepare_bank, prepare_run
from spatialqa.generation.stored_recipe import stored_recipe


def remove_damaged(root: Path, shards: Iterable[str], questions: Iterable[str]) -> list[str]:
    """Remove shards that are damaged, if a resume would make them again here, and say what to run.

    Nothing else is removed: questions, the card and the manifest are written anew in their place by the commands that
    are named.

    Args:
        root: the data set.
        shards: the names of its damaged shards.
        questions: its damaged tables of questions.

    Returns:
        What was done and what to run, a line each.

    Raises:
        DatasetError: another command is writing there, or a file cannot be removed.
    """
    folder = DatasetFolder(root)
    run, shards, questions = folder.read_own_run(), list(shards), list(questions)
    lines = []
    if refusal := _refusal(folder, run) if shards else None:
        lines.append(f"nothing was removed: {refusal}")
    elif shards:
        with folder.lock():
            folder.mark_stale()
            removed = sum(_remove(folder, name) for name in shards)
        lines.append(f"removed {removed} files of {len(shards)} damaged or missing shards")
    commands = [resume_command(folder)] + [
        f"spatialqa make-qa {root}" + (f" --name {table.removeprefix('qa-')}" if table != "qa" else "")
        for table in (folder.question_tables() if shards else questions)
    ]
    return [*lines, f"run: {' && '.join(commands)}"]


def _refusal(folder: DatasetFolder, run: RunRecord) -> str | None:
    """Return why a resume would not make the shards again, or None."""
    if run.export:
        return "an export of recipes is written again from its data set, into a new folder"
    if run.rebuilt:
        return f"repeat the command that rebuilt it, with --check full: {resume_command(folder, by_hash=True)}"
    try:
        recipe = stored_recipe(folder)
        if run.makes == "groups":
            now, _ = prepare_bank(recipe, folder.root, int(run.fingerprint["bank_groups"]))
        else:
            now, _ = prepare_run(recipe, folder.root)
    except (SpatialQAError, KeyError, TypeError, ValueError) as error:
        return f"a resume would fail here ({error})"
    differences = changed_keys(run.fingerprint, dict(now.fingerprint))
    return f"a resume would be refused here ({'; '.join(differences[:4])})" if differences else None


def _remove(folder: DatasetFolder, name: str) -> int:
    """Remove the record of a shard first, without which it is none, then its files; return how many there were."""
    paths = [folder.shard_file(name)]
    paths += [folder.root / table / f"{name}.parquet" for table in AUDIO_COLUMNS]
    paths.append(folder.root / REJECTS / f"{name}.jsonl")
    there = [path for path in paths if path.is_file()]
    for path in there:
        path.unlink()
    return len(there)
