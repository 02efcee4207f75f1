"""The command line: one short function per command, without logic. Heavy imports are inside the functions."""

import dataclasses
import signal
import sys
from pathlib import Path
from typing import Any

import click

from spatialqa import __version__
from spatialqa.cli import supervisor
from spatialqa.cli.options import MANY, PATH, PATHS, SEED, TABLE, TEXT, ModelsCommand, keys_of, resolve, resolve_model
from spatialqa.core.interrupts import stop_on_signals, stopped_by
from spatialqa.core.names import SPLITS, table_name
from spatialqa.core.recipe_file import read_recipe
from spatialqa.core.recipe_keys import build, execution_keys
from spatialqa.errors import MissingDependencyError, RecipeError, SpatialQAError, one_line
from spatialqa.generation.recipe import MOST_SCENES, RenderRecipe
from spatialqa.interop import FORMATS
from spatialqa.models.bat.recipe import AnswerRecipe, BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.qa.recipe import QaRecipe, refuse_stored_modules

_COMPARED = (
    *("rooms", "home_kinds", "up", "unit_scale", "materials", "default_material", "simplify", "max_error_m"),
    *("mp3d_root", "preset", "hrtf", "sample_rate", "sources_per_group", "seed", "cache"),
)

out_argument = click.argument("out", type=PATH, default=Path("spatialqa-out"))
recipe_option = click.option("--recipe", metavar="FILE", help="Recipe file, or name of a bundled recipe.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="spatialqa")
def cli() -> None:
    """Generate data sets for spatial-audio question answering: scenes in simulated rooms, exact labels, questions."""


@cli.command()
@out_argument
@recipe_option
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=PATH,
    help="Render the recipe of this data set again, or rebuild an export as recipes scene by scene.",
)
@keys_of(RenderRecipe)
def render(out: Path, recipe: str | None, source: Path | None, **given: Any) -> None:
    """Plan and render scenes into OUT. The same command resumes an interrupted run."""
    supervisor.supervise(out)
    from spatialqa.cli.output import print_lines, print_summary
    from spatialqa.core.console import RenderProgress
    from spatialqa.dataset.folder import DatasetFolder
    from spatialqa.generation.placements import refuse_changed
    from spatialqa.generation.rebuild import is_recipes_export, rebuild
    from spatialqa.generation.runner import render_dataset
    from spatialqa.generation.stored_recipe import stored_values

    if source and recipe:
        raise RecipeError("--from and --recipe both name a recipe: use only one")
    if source and is_recipes_export(source):
        with RenderProgress() as progress:
            report = rebuild(source, out, {k: v for k, v in given.items() if v is not None}, progress)
        print_lines(report.lines())
        sys.exit(0 if report.complete else 1)
    run = DatasetFolder(source).read_run() if source else None
    stored = stored_values(DatasetFolder(source)) if source else {}
    base = {name: value for name, value in stored.items() if name not in execution_keys(RenderRecipe)}
    resolved = resolve(RenderRecipe, "render", recipe, given, base)
    qa = read_recipe(recipe).get("make-qa", {}) if recipe else (run.qa_recipe if run else {})
    build(QaRecipe, qa, f"recipe {recipe}")
    if run and given.get("placements") is None:
        refuse_changed(resolved.placements, run.fingerprint.get("placements"), str(source))
    with RenderProgress() as progress:
        summary = render_dataset(resolved, out, progress, qa)
    print_summary(summary)


@cli.command()
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
    from spatialqa.cli.output import print_bank
    from spatialqa.core.console import RenderProgress
    from spatialqa.generation.make_bank import make_bank, stored_bank

    if source and recipe:
        raise RecipeError("--from and --recipe both name a recipe: give one of them")
    base, before = stored_bank(source) if source else ({}, 64)
    resolved = resolve(RenderRecipe, "render", recipe, given, base)
    with RenderProgress("simulating", "groups") as progress:
        summary = make_bank(resolved, out, before if groups is None else groups, progress)
    print_bank(summary)


@cli.command("make-qa")
@out_argument
@recipe_option
@keys_of(QaRecipe)
def make_qa_command(out: Path, recipe: str | None, **given: Any) -> None:
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
    print_questions(summary)


@cli.command()
@out_argument
@click.option("--count", default=3, show_default=True, type=click.IntRange(1, MANY), help="Number of scenes to show.")
@click.option("--scene", "scene_id", help="Id of the scene to show.")
@click.option(
    "--questions", default=12, show_default=True, type=click.IntRange(0, MANY), help="Number of questions per scene."
)
@click.option("--wav", type=PATH, metavar="DIR", help="Folder for WAV files of the scenes.")
def preview(out: Path, count: int, scene_id: str | None, questions: int, wav: Path | None) -> None:
    """Show scenes of OUT with their sources and questions, and write them as WAV files."""
    from spatialqa.cli.preview import show

    show(out, count, scene_id, questions, wav)


@cli.command()
@out_argument
def status(out: Path) -> None:
    """Show what OUT contains and what is missing."""
    from spatialqa.cli.output import print_status

    print_status(out)


@cli.command()
@out_argument
@click.option(
    "--rerender",
    metavar="N",
    type=click.IntRange(0, MANY),
    help="Render N scenes again and compare them bit for bit. Default: a sample of 8, if engine, rooms and clips "
    "are here.",
)
@click.option("--fix", is_flag=True, help="Remove damaged shards that a resume makes again, and name the command.")
@click.option(
    "--question-modules",
    type=TEXT,
    metavar="FILE",
    help="Python files or packages that declared subtypes of OUT's questions, to compute their answers again.",
)
def validate(out: Path, rerender: int | None, fix: bool, question_modules: str | None) -> None:
    """Check OUT: hashes, schema, geometry, audio, splits and questions; rooms and a sample of audio against inputs."""
    if rerender != 0 or fix:
        supervisor.supervise()
    from spatialqa.cli.output import print_lines, print_validation
    from spatialqa.generation.validate import validate_with_inputs
    from spatialqa.qa.question_modules import recompute_functions

    names = [name.strip() for name in question_modules.split(",")] if question_modules else []
    report = validate_with_inputs(out, rerender, recompute_functions(names))
    print_validation(report)
    if fix and (report.problems or report.warnings):
        from spatialqa.generation.resume import remove_damaged

        print_lines(remove_damaged(out, report.files.shards, report.files.questions))
    if report.problems:
        sys.exit(1)


@cli.command()
@out_argument
@click.option("--name", type=TABLE, metavar="NAME", help="Audit qa-NAME instead of qa.")
@click.option(
    "--max-questions",
    default=100_000,
    show_default=True,
    type=click.IntRange(1, MANY),
    help="Greatest number of questions per subtype.",
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed that selects these questions.")
@click.option(
    "--answers",
    type=PATH,
    metavar="FILE",
    help="Write the answers of the best baselines to FILE instead, for score.",
)
@click.option("--split", type=click.Choice(SPLITS), help="With --answers: split that is answered. [test]")
def audit(out: Path, name: str | None, max_questions: int, seed: int, answers: Path | None, split: str | None) -> None:
    """Check whether text-only baselines can predict the answers in OUT; exit with 1 if one beats chance."""
    if answers:
        from spatialqa.audit.predict import TEST, answer_from_text
        from spatialqa.cli.output import print_lines
        from spatialqa.core.console import CountProgress

        with CountProgress("predicting") as progress:
            said = answer_from_text(out, answers, table_name(name), split or TEST, max_questions, seed, progress.update)
        print_lines(said.lines())
        return
    if split:
        raise RecipeError("--split needs --answers")
    from spatialqa.audit.audit import audit_dataset
    from spatialqa.audit.report import print_audit, save_audit

    report = audit_dataset(out, table_name(name), max_questions, seed)
    save_audit(out, report)
    print_audit(report)
    if report.failed:
        sys.exit(1)


@cli.command("hear-check")
@out_argument
@click.option("--tagger", type=PATH, metavar="FILE", help="Sound tagger: an ONNX model with the layout of YAMNet.")
@click.option("--classes", type=PATH, metavar="FILE", help="Class list of the tagger. [yamnet_class_map.csv beside it]")
@click.option(
    "--first", default=5, show_default=True, type=click.IntRange(1, 500), help="How many of the tagger's classes count."
)
@click.option(
    "--scenes", default=1000, show_default=True, type=click.IntRange(1, MANY), help="Greatest number of scenes."
)
@click.option("--ablation", is_flag=True, help="With --tagger: also what lies between clip and scene: cut, room, mix.")
@click.option("--clips", type=TEXT, metavar="SOURCE", help="Check the clips of SOURCE (such as foley) instead of OUT.")
@click.option(
    "--per-class", default=50, show_default=True, type=click.IntRange(1, 10_000), help="With --clips: clips per class."
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="With --clips: seed that selects the clips.")
@click.option("--json", "json_path", type=PATH, metavar="FILE", help="Also write the figures to FILE.")
def hear_check(
    out: Path,
    tagger: Path | None,
    classes: Path | None,
    first: int,
    scenes: int,
    ablation: bool,
    clips: str | None,
    per_class: int,
    seed: int,
    json_path: Path | None,
) -> None:
    """Check whether the ears in OUT point to where the labels say, and whether a tagger hears the labels.

    Exits with 1 if the sign of an interaural difference contradicts the azimuth more often than reflections explain.
    """
    if not tagger and (
        given := [o for o, v in (("--classes", classes), ("--ablation", ablation), ("--clips", clips)) if v]
    ):
        raise RecipeError(f"{given[0]} needs --tagger")
    from spatialqa.audit.hearing.report import print_hearing
    from spatialqa.core.files import commit_json
    from spatialqa.generation.hear_check import hear_clips, hear_dataset

    if tagger and clips:
        report = hear_clips(clips, tagger, classes, first, per_class, seed)
    else:
        report = hear_dataset(out, tagger, classes, first, scenes, ablation)
    print_hearing(report)
    if json_path:
        commit_json(json_path, report.as_json())
    if report.failed:
        sys.exit(1)


@cli.command("score")
@click.argument("predictions", type=PATH)
@out_argument
@click.option("--name", type=TABLE, metavar="NAME", help="Use the questions in qa-NAME instead of qa.")
@click.option("--split", type=click.Choice(SPLITS), help="Split to score; default: every split with a prediction.")
@click.option("--text-model", type=TEXT, metavar="DIR", help="Sentence model for mAP, or none. [an installed one]")
@click.option(
    "--answered-only", is_flag=True, help="Leave out questions without a prediction; otherwise they count as wrong."
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of the confidence intervals.")
@click.option("--json", "json_path", type=PATH, metavar="FILE", help="Also write the figures to FILE.")
@click.option("--plot", type=PATH, metavar="FILE", help="Also write a plot to FILE (.svg).")
@click.option("--analyse", is_flag=True, help="Also analyse errors by angle, distance and masking.")
@click.option(
    "--control",
    type=PATH,
    metavar="FILE",
    help="With --analyse: answers of another model to compare with, such as one that heard silence.",
)
def score_command(
    predictions: Path,
    out: Path,
    name: str | None,
    split: str | None,
    text_model: str | None,
    answered_only: bool,
    seed: int,
    json_path: Path | None,
    plot: Path | None,
    analyse: bool,
    control: Path | None,
) -> None:
    """Score PREDICTIONS (JSON lines or Parquet: qa_id, prediction; - is stdin) against the questions of OUT."""
    if control and not analyse:
        raise RecipeError("--control needs --analyse")
    from spatialqa.core.files import commit_json
    from spatialqa.scoring.plot import write_plot
    from spatialqa.scoring.predictions import read_predictions
    from spatialqa.scoring.score import score
    from spatialqa.scoring.tables import print_score

    given = read_predictions(predictions)  # standard input and a pipe can be read only once
    report = score(given, out, table_name(name), split, text_model, seed, answered_only)
    figures = report.as_json()
    print_score(report)
    if analyse:
        from spatialqa.scoring.error_analysis import analyse as analyse_answers
        from spatialqa.scoring.error_analysis import print_analysis

        analysis = analyse_answers(given, out, table_name(name), split, control, seed, answered_only)
        print_analysis(analysis)
        figures["analysis"] = analysis.as_json()
    if json_path:
        commit_json(json_path, figures)
    if plot:
        write_plot(report, plot)


@cli.command()
@out_argument
@click.option("--to", required=True, type=click.Choice(FORMATS), help="Format.")
@click.option("--dest", required=True, type=PATH, metavar="DIR", help="New or empty folder for the export.")
@click.option("--name", type=TABLE, metavar="NAME", help="Use the questions in qa-NAME instead of qa.")
@click.option(
    "--shard-size",
    default=1000,
    show_default=True,
    type=click.IntRange(1, MANY),
    help="webdataset: scenes per tar file.",
)
def export(out: Path, to: str, dest: Path, name: str | None, shard_size: int) -> None:
    """Export OUT for trainers (chat, audio, lhotse, dcase, webdataset, spatialsoundqa), or without audio (recipes)."""
    supervisor.supervise()
    from spatialqa.cli.output import print_lines
    from spatialqa.core.console import CountProgress
    from spatialqa.interop.export import export_dataset, warnings_before

    for warning in warnings_before(out, to):
        click.echo(f"warning: {warning}", err=True)
    with CountProgress("exporting") as progress:
        summary = export_dataset(out, dest, to, table_name(name), shard_size, progress.update)
    print_lines(summary.lines())


@cli.command("train-baseline", cls=ModelsCommand)
@click.argument("outs", nargs=-1, type=PATH, metavar="[OUT]...")
@recipe_option
@click.option(
    "--evaluate",
    type=PATHS,
    metavar="RUN[,RUN]",
    help="(spatial-ast) Evaluate these runs or checkpoints on OUT instead of training.",
)
@keys_of(TrainRecipe, BATRecipe)
def train_baseline(outs: tuple[Path, ...], recipe: str | None, evaluate: list[Path] | None, **given: Any) -> None:
    """Train a reference model on one or several data sets OUT, or evaluate it."""
    resolved = resolve_model((TrainRecipe, BATRecipe), "train", recipe, given)
    folders = outs or (Path("spatialqa-out"),)
    _need_models("train-baseline")
    if isinstance(resolved, BATRecipe):
        if evaluate:
            raise RecipeError("bat is evaluated by its answers: spatialqa answer OUT --model RUN, then spatialqa score")
        from spatialqa.models.bat.train import train as train_bat

        click.echo(train_bat(folders, resolved))
        return
    if evaluate:
        from spatialqa.models.spatial_ast.evaluate import evaluate_all

        evaluate_all(folders, evaluate, resolved)
        return
    from spatialqa.models.spatial_ast.train import train

    click.echo(train(folders, resolved))


model_option = click.option(
    "--model",
    required=True,
    type=PATH,
    metavar="RUN",
    help="Folder of a trained bat, or its best.pt.",
)


@cli.command("answer")
@out_argument
@model_option
@click.option("--to", required=True, type=PATH, metavar="FILE", help="File for the answers, as JSON lines.")
@recipe_option
@keys_of(AnswerRecipe)
def answer_command(out: Path, model: Path, to: Path, recipe: str | None, **given: Any) -> None:
    """Answer the questions of OUT with a trained bat. The same command resumes an interrupted run."""
    resolved = resolve(AnswerRecipe, "answer", recipe, given, {})
    _need_models("answer")
    from spatialqa.models.bat.answer import answer

    summary = answer(out, model, to, resolved)
    before = f", {summary.before} of them from before" if summary.before else ""
    click.echo(f"{summary.answers} answers in {to}{before}; next: spatialqa score {to} {out}")


@cli.command("listen")
@click.argument("recording", type=PATH)
@click.argument("question")
@model_option
@click.option(
    "--gain-db",
    type=click.FloatRange(-120.0, 120.0),
    metavar="DB",
    help="Level of the recording relative to the sound at the ears; default: as stated in a WAV file of preview, or 0.",
)
@keys_of(AnswerRecipe, without=("split", "qa_name", "types", "unseen", "limit", "batch_size", "workers"))
def listen_command(recording: Path, question: str, model: Path, gain_db: float | None, **given: Any) -> None:
    """Ask a trained bat a QUESTION about a binaural RECORDING with two channels, left and right."""
    resolved = resolve(AnswerRecipe, "answer", None, given, {})
    _need_models("listen")
    from spatialqa.models.bat.answer import listen

    click.echo(listen(recording, question, model, resolved, gain_db))


def _need_models(command: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError(f"{command} needs torch: pip install 'spatialqa[models]'") from None


@cli.group("import")
def import_group() -> None:
    """Import questions of other data sets."""


@import_group.command("spatialsoundqa")
@click.argument("source", type=PATH)
@out_argument
@click.option("--split", type=click.Choice(SPLITS), help="Split to read; default: all.")
@click.option(
    "--places",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Reverberation file with positions, if it is in another folder; may be repeated.",
)
def import_spatialsoundqa(source: Path, out: Path, split: str | None, places: tuple[Path, ...]) -> None:
    """Import SpatialSoundQA's released questions from SOURCE (a file or folder) into OUT, for scoring."""
    from spatialqa.cli.output import print_lines
    from spatialqa.interop.spatialsoundqa.importer import import_spatialsoundqa as read

    print_lines(read(source, out, split, places).lines())


@cli.group()
def hrtf() -> None:
    """Make or fetch HRTF files for --hrtf."""


@hrtf.command("synth")
@click.argument("dest", type=PATH)
@click.option("--subjects", default=16, show_default=True, type=click.IntRange(1, 10_000), help="Number of heads.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of the family.")
def hrtf_synth(dest: Path, subjects: int, seed: int) -> None:
    """Write SOFA files of synthetic heads of different sizes into the folder DEST."""
    from spatialqa.acoustics.head_files import synthesise

    click.echo(f"heads in {dest}: {len(synthesise(dest, subjects, seed))}")


@hrtf.command("debian")
@click.argument("dest", type=PATH)
def hrtf_debian(dest: Path) -> None:
    """Download a measured head (MIT KEMAR) from a Debian package into the folder DEST; needs apt-get and dpkg."""
    from spatialqa.acoustics.head_files import fetch_debian

    click.echo(f"{fetch_debian(dest)}; credit its makers, see CREDITS.txt")


@cli.group()
def templates() -> None:
    """Check question templates."""


@templates.command("check")
@click.argument("folder", type=PATH, required=False)
@click.option(
    "--samples",
    default=3,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="Number of sample questions per subtype.",
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed that selects these samples.")
def templates_check(folder: Path | None, samples: int, seed: int) -> None:
    """Check the template files in FOLDER (default: the bundled ones) and show samples; exit with 1 on a problem."""
    from spatialqa.cli.output import print_templates
    from spatialqa.qa.templating.template_check import check_templates
    from spatialqa.qa.templating.templates import BUNDLED

    report = check_templates(folder or BUNDLED, samples, seed)
    print_templates(report)
    if report.problems:
        sys.exit(1)


@cli.group()
def clips() -> None:
    """Download and list clips."""


@clips.command("debian")
@click.argument("dest", type=PATH)
@click.option("--all", "everything", is_flag=True, help="Also files whose label no audio tagger confirmed.")
def clips_debian(dest: Path, everything: bool) -> None:
    """Download recorded sounds from Debian packages into DEST; needs apt-get and dpkg, but not root."""
    from spatialqa.cli.output import print_fetch
    from spatialqa.clips.debian import fetch

    report = fetch(dest, everything=everything, progress=lambda line: click.echo(line, err=True))
    print_fetch(report)
    if report.failed_packages:
        sys.exit(1)


@clips.command("list")
@click.argument("source", default="foley")
@click.option("--labels-file", help="CSV or TSV file with the columns path and label (or mid).")
@click.option(
    "--unknown-labels",
    type=click.Choice(["error", "custom"]),
    default="error",
    show_default=True,
    help="Leave out clips with labels that are not in AudioSet (error), or keep them as custom labels.",
)
def clips_list(source: str, labels_file: str | None, unknown_labels: str) -> None:
    """List the classes of the clip set SOURCE (such as foley or folder:DIR), and the files that cannot be used."""
    from spatialqa.cli.output import print_clips
    from spatialqa.generation.inputs import clips_for

    values = {"clips": source, "labels_file": labels_file, "unknown_labels": unknown_labels}
    print_clips(clips_for(build(RenderRecipe, values, "command line")))


@cli.group("rooms")
def rooms_group() -> None:
    """Inspect rooms from meshes."""


@rooms_group.command("parts")
@click.argument("path")
@keys_of(RenderRecipe, only=("up", "unit_scale", "materials", "default_material"))
def rooms_parts(path: str, **given: Any) -> None:
    """List the parts of the mesh (or folder of meshes) PATH, with area, material, and the reason for the material."""
    from spatialqa.cli.output import print_parts
    from spatialqa.generation.inputs import mesh_rooms_for

    print_parts(mesh_rooms_for(resolve(RenderRecipe, "render", None, given, {"rooms": f"mesh:{path}"})))


@cli.command()
@recipe_option
@click.option("--qa", is_flag=True, help="Measure make-qa instead of rendering.")
@click.option("--scan", is_flag=True, help="Measure the index of clip files: 200,000 names, compared with a bare walk.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@keys_of(RenderRecipe)
def bench(recipe: str | None, qa: bool, scan: bool, as_json: bool, **given: Any) -> None:
    """Measure CPU time by stage, and the overhead over bare calls that do the same work."""
    supervisor.supervise()
    from spatialqa.bench.clip_scan import bench_scan
    from spatialqa.bench.rendering import Figures, bench_questions, bench_render, print_figures

    if scan:
        print_figures(Figures("finding clip files", bench_scan()), as_json)
        return
    resolved = resolve(RenderRecipe, "render", recipe, given, {"splits": "1,0,0"})
    print_figures(bench_questions(resolved) if qa else bench_render(resolved), as_json)


@cli.command("compare-engines")
@click.option(
    "--engines",
    type=TEXT,
    default="geometric,soundspaces",
    show_default=True,
    metavar="A,B",
    help="The two engines; NAME:PRESET chooses another preset than --preset.",
)
@click.option("--homes", default=5, show_default=True, type=click.IntRange(1, MANY), help="Number of buildings.")
@click.option("--listeners", default=2, show_default=True, type=click.IntRange(1, MANY), help="Listeners per building.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--plot", type=PATH, metavar="FILE.svg", help="Also draw one engine's values over the other's.")
@keys_of(RenderRecipe, only=_COMPARED)
def compare_engines(engines: str, homes: int, listeners: int, as_json: bool, plot: Path | None, **given: Any) -> None:
    """Simulate the same places with two engines, and print how their decay, levels and cues differ."""
    supervisor.supervise()
    from spatialqa.bench.engine_comparison import Compared, compare_engines, plot_comparison, print_comparison
    from spatialqa.generation.inputs import engine_for, rooms_for

    recipe = resolve(RenderRecipe, "render", None, given, {})
    names = [name.strip() for name in engines.split(",")]
    if len(names) != 2:
        raise RecipeError(f"--engines {engines}: give two engines, such as geometric,soundspaces")
    chosen = []
    for name in names:
        engine, _, preset = name.partition(":")
        asked = dataclasses.replace(recipe, engine=engine, preset=preset or recipe.preset)
        alone = dataclasses.replace(asked, engine_config={**asked.engine_config, "indirect": False})
        chosen.append(Compared(f"{engine} {asked.preset}", engine_for(asked), engine_for(alone)))
    first, second = chosen
    places = (homes, listeners, recipe.sources_per_group)
    found = compare_engines(rooms_for(recipe), (first, second), *places, recipe.seed)
    print_comparison(found, as_json)
    if plot:
        plot_comparison(plot, found)


@cli.command()
@click.option("--habitat-python", type=TEXT, metavar="PYTHON", help="Python in which to look for habitat-sim.")
def doctor(habitat_python: str | None) -> None:
    """Show which engines, rooms, clips and optional packages are available, and how to get the others."""
    from spatialqa.cli.doctor import print_report

    print_report(habitat_python)


def main() -> None:
    """Be the program `spatialqa`: `run_here`, with its own handlers of signals and a parent process; see supervisor."""
    stop_on_signals()
    supervisor.available = True
    code = 1
    try:
        code = _run()
    finally:
        supervisor.finished(code)
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        supervisor.leave(code)
    sys.exit(code)


def run_here() -> None:
    """Run the command line in this process: errors that a user can fix are one line and exit code 2."""
    sys.exit(_run())


def _run() -> int:
    """Run a command and return its exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.ClickException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", "spatialqa")
        click.echo(f"{where}: {one_line(error.format_message())} (see {where} --help)", err=True)
        return 2
    except SpatialQAError as error:
        click.echo(f"spatialqa: {one_line(error)}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo(supervisor.stopped(stopped_by()), err=True)
        return 128 + stopped_by()
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:  # a full disk, a folder without permission, a name that became too long
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"spatialqa: {one_line(f'{where}{error.strerror or error}')}", err=True)
        return 2
    except MemoryError:
        click.echo("spatialqa: out of memory; give it more, or ask for less at a time", err=True)
        return 2
    return 0


if __name__ == "__main__":
    main()
