"""The file that answers are appended to: claimed by one run, and resumed after a kill.

A second file beside it, such as preds.jsonl.run.json, says which weights, options and data the answers are of.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from spatialqa.core.files import commit_json, sha256_of
from spatialqa.core.names import table_name
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.errors import DatasetError
from spatialqa.models.bat.recipe import AnswerRecipe


def append_answers(to: Path, lines: bytes) -> None:
    """Put lines at the end of a file; raises DatasetError where they cannot be."""
    try:
        with to.open("ab") as file:
            file.write(lines)
    except OSError as error:
        raise DatasetError(
            f"{to}: cannot be written ({error.strerror or error}); the answers in it are kept: make room, and the same "
            f"command continues"
        ) from None


def claim_answers(to: Path, root: Path, recipe: AnswerRecipe, weights: Sequence[Path]) -> set[str]:
    """Make this the file of a run of answers, or check that it is this run's; return the qa_ids that it holds.

    weights: the checkpoint, and an encoder beside it.
    """
    record_file = to.with_name(f"{to.name}.run.json")
    folder, table = DatasetFolder(root), table_name(recipe.qa_name)
    record = {
        "recipe": recipe.identity() | {"types": list(recipe.types)},
        "checkpoint": "+".join(sha256_of(file) for file in weights),
        "data": folder.read_run().fingerprint_hash,
        "questions": folder.questions_identity(table),
    }
    if to.exists():
        advice = f"name another file with --to, or remove {to.name} and {record_file.name}"
        before = DatasetFolder.read_json(record_file, advice) if record_file.is_file() else {}
        if changes := changed_keys({k: before.get(k) for k in record}, record):
            raise DatasetError(
                f"{to}: holds other answers ({'; '.join(changes[:4])}); name another file with --to, or remove it"
            )
    try:
        content = to.read_bytes() if to.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        done = {json.loads(line)["qa_id"] for line in whole.splitlines()}
        if len(whole) < len(content):
            os.truncate(to, len(whole))
        commit_json(record_file, {**record, "model": str(weights[0]), "folder": str(root)})
        return done
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{to}: cannot be resumed ({' '.join(str(error).split())[:200]}); remove it") from None
