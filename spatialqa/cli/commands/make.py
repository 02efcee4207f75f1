"""Commands that make data: render, rirs and make-qa.

One short function per command, without logic. Heavy imports are inside the functions.
"""

import sys
from pathlib import Path
from typing import Any

import click

from spatialqa.cli import supervisor
from spatialqa.cli.help import RecipeCommand
from spatialqa.cli.options import PATH, keys_of, out_argument, recipe_option, resolve
from spatialqa.cli.results import json_option, name_option, print_json, print_next, question_facts, render_facts
from spatialqa.core.recipe_file import read_recipe
from spatialqa.core.recipe_keys import build, execution_keys
from spatialqa.errors import FOUND, RecipeError
from spatialqa.generation.light_imports import without_heavy_libraries
from spatialqa.generation.recipe import MOST_SCENES, RenderRecipe
from spatialqa.qa.recipe import QaRecipe, refuse_stored_modules


@click.command(cls=RecipeCommand)
@out_argument
@recipe_option
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=PATH,
    help="Render the recipe of this data set again, or rebuild an export as recipes scene by scene.",
)
@json_option
@keys_of(RenderRecipe)
def render(out: Path, recipe: str | None, source: Path | None, as_json: bool, **given: Any) -> None:
    """Plan and render scenes into OUT. The same command resumes an interrupted run."""
    supervisor.supervise(out)
    if supervisor.available:  # else this is the process of another program
        without_heavy_libraries()
    from spatialqa.cli.output import note_of_compilation, print_summary
    from spatialqa.core.console import RenderProgress
    from spatialqa.dataset.folder import DatasetFolder
    from spatialqa.generation.early_start import workers_started_early
    from spatialqa.generation.stored_recipe import stored_values

    if source and recipe:
        raise RecipeError("--from and --recipe both name a recipe: use only one")
    if source:
        _rebuild_export(source, out, as_json, given)
    run = DatasetFolder(source).read_run() if source else None
    stored = stored_values(DatasetFolder(source)) if source else {}
    base = {name: value for name, value in stored.items() if name not in execution_keys(RenderRecipe)}
    resolved = resolve(RenderRecipe, "render", recipe, given, base)
    qa = read_recipe(recipe).get("make-qa", {}) if recipe else (run.qa_recipe if run else {})
    build(QaRecipe, qa, f"recipe {recipe}")
    if run and given.get("placements") is None:
        from spatialqa.generation.placements import refuse_changed

        refuse_changed(resolved.placements, run.fingerprint.get("placements"), str(source))
    with workers_started_early(resolved, out):
        from spatialqa.generation.runner import render_dataset

        with RenderProgress(note=note_of_compilation(resolved)) as progress:
            summary = render_dataset(resolved, out, progress, qa)
    if as_json:
        print_json(render_facts(summary))
        return
    print_summary(summary)
    print_next("make-qa", out)


def _rebuild_export(source: Path, out: Path, as_json: bool, given: dict[str, Any]) -> None:
    """Rebuild an export as recipes scene by scene, and exit; return where the source is none."""
    from spatialqa.cli.output import print_lines
    from spatialqa.core.console import RenderProgress
    from spatialqa.generation.rebuild import is_recipes_export, rebuild

    if not is_recipes_export(source):
        return
    with RenderProgress() as progress:
        report = rebuild(source, out, {k: v for k, v in given.items() if v is not None}, progress)
    if as_json:
        print_json({"root": out, "complete": report.complete, "lines": report.lines()})
    else:
        print_lines(report.lines())
    sys.exit(0 if report.complete else FOUND)


@click.command(cls=RecipeCommand)
@out_argument
@recipe_option
@click.option(
    "--groups",
    type=click.IntRange(1, MOST_SCENES),
    help="Number of listener groups in all splits together. [64]",
)
@click.option("--from", "source", metavar="DIR", type=click.Path(path_type=Path), help="Make the bank in DIR again.")
@keys_of(RenderRecipe)
def rirs(out: Path, recipe: str | None, groups: int | None, source: Path | None, **given: Any) -> None:
    """Simulate a bank of RIRs in OUT, without sounds and scenes. `render --rooms bank:OUT` uses it."""
    supervisor.supervise(out)
    if supervisor.available:
        without_heavy_libraries()
    from spatialqa.cli.output import note_of_compilation, print_bank
    from spatialqa.core.console import RenderProgress
    from spatialqa.generation.make_bank import make_bank, stored_bank

    if source and recipe:
        raise RecipeError("--from and --recipe both name a recipe: give one of them")
    base, before = stored_bank(source) if source else ({}, 64)
    resolved = resolve(RenderRecipe, "render", recipe, given, base)
    with RenderProgress("simulating", "groups", note_of_compilation(resolved)) as progress:
        summary = make_bank(resolved, out, before if groups is None else groups, progress)
    print_bank(summary)


@click.command("make-qa")
@out_argument
@recipe_option
@json_option
@keys_of(QaRecipe)
def make_qa_command(out: Path, recipe: str | None, as_json: bool, **given: Any) -> None:
    """Write questions about every scene in OUT."""
    from spatialqa.cli.output import print_questions
    from spatialqa.core.console import CountProgress
    from spatialqa.dataset.folder import DatasetFolder
    from spatialqa.qa.make import make_qa

    base = {} if recipe else DatasetFolder(out).read_run().qa_recipe
    refuse_stored_modules(base, given, out)
    resolved = resolve(QaRecipe, "make-qa", recipe, given, base)
    with CountProgress("asking") as progress:
        summary = make_qa(out, resolved, progress.update)
    if as_json:
        print_json(question_facts(summary))
        return
    print_questions(summary)
    print_next("preview", out, *name_option(summary.folder.name))
