"""What commands leave behind: as JSON for programs, and the command that is likely to come next."""

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatialqa.core.console import stdout

if TYPE_CHECKING:  # what the commands import when they run, so that `--help` need not
    from spatialqa.dataset.validation.dataset import ValidationReport
    from spatialqa.generation.runner import RunSummary
    from spatialqa.qa.make import QaSummary

DEFAULT_OUT = Path("spatialqa-out")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")


def print_json(value: Any) -> None:
    """Print one JSON value: all that a command with --json writes to stdout."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")


def command_line(*words: object) -> str:
    """Return a command of ours as it is typed; the default data set is left out."""
    kept = [str(word) for word in words if word != DEFAULT_OUT]
    return f"spatialqa {shlex.join(kept)}"


def print_next(*words: object) -> None:
    """Print the command that is likely to come next."""
    stdout.print(f"next: {command_line(*words)}")


def render_facts(summary: "RunSummary") -> dict[str, Any]:
    """Return what `render --json` prints."""
    facts = {**asdict(summary), "scenes_missing": summary.scenes_planned - summary.scenes}
    return {**facts, "next": command_line("make-qa", summary.root)}


def question_facts(summary: "QaSummary") -> dict[str, Any]:
    """Return what `make-qa --json` prints."""
    return {
        "folder": summary.folder,
        "scenes": summary.scenes,
        "questions": dict(summary.in_order()),
        "skipped": [{"subtype": name, "reason": reason, "n": n} for (name, reason), n in summary.skipped.items()],
        "warnings": summary.unasked(),
        "shards_missing": summary.shards_missing,
        "next": command_line("preview", summary.folder.parent, *name_option(summary.folder.name)),
    }


def validation_facts(root: Path, report: "ValidationReport") -> dict[str, Any]:
    """Return what `validate --json` prints."""
    facts = {name: getattr(report, name) for name in ("checked", "not_checked", "warnings", "problems")}
    return {"dataset": root, "valid": not report.problems, **facts, "next": command_line(*after_validate(root, report))}


def after_validate(root: Path, report: "ValidationReport") -> tuple[object, ...]:
    """Return the command that is likely to come after `validate`."""
    if report.problems:
        return ("validate", root, "--fix")
    return ("audit", root) if any((root / "_spatialqa").glob("qa*.json")) else ("make-qa", root)


def name_option(table: str) -> tuple[str, ...]:
    """Return the option that names a table of questions, `qa` or `qa-NAME`."""
    return ("--name", table.removeprefix("qa-")) if table != "qa" else ()
