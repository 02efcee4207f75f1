"""Commands of models and of answers: score, train-baseline, answer and listen.

One short function per command, without logic. Heavy imports are inside the functions.
"""

from pathlib import Path
from typing import Any

import click

from spatialqa.cli.help import ModelsCommand
from spatialqa.cli.options import (
    PATH,
    PATHS,
    SEED,
    TABLE,
    TEXT,
    keys_of,
    out_argument,
    recipe_option,
    resolve,
    resolve_model,
)
from spatialqa.cli.results import name_option, print_json, print_next
from spatialqa.core.names import SPLITS, table_name
from spatialqa.errors import MissingDependencyError, RecipeError
from spatialqa.models.bat.recipe import AnswerRecipe, BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe

model_option = click.option(
    "--model",
    required=True,
    type=PATH,
    metavar="RUN",
    help="Folder of a trained bat, or its best.pt.",
)


@click.command("score")
@click.argument("predictions", type=PATH)
@out_argument
@click.option("--name", type=TABLE, metavar="NAME", help="Use the questions in qa-NAME instead of qa.")
@click.option("--split", type=click.Choice(SPLITS), help="Split to score; default: every split with a prediction.")
@click.option("--text-model", type=TEXT, metavar="DIR", help="Sentence model for mAP, or none. [an installed one]")
@click.option(
    "--answered-only", is_flag=True, help="Leave out questions without a prediction; otherwise they count as wrong."
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of the confidence intervals.")
@click.option(
    "--json",
    "json_path",
    type=PATH,
    metavar="[FILE]",
    is_flag=False,
    flag_value="-",
    help="Also write the figures to FILE; without FILE, as the last option, print them instead of the tables.",
)
@click.option("--plot", type=PATH, metavar="FILE", help="Also write a plot to FILE (.svg).")
@click.option("--analyse", is_flag=True, help="Also analyse errors by angle, distance and masking.")
@click.option(
    "--control",
    type=PATH,
    metavar="FILE",
    help="With --analyse: answers of another model to compare with, such as one that heard silence.",
)
@click.option(
    "--classes",
    type=TEXT,
    metavar="A,B,...",
    help="With --analyse: also measure the questions that name one of these classes apart from the others; a file with "
    "one a line.",
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
    classes: str | None,
) -> None:
    """Score PREDICTIONS (JSON lines or Parquet: qa_id, prediction; - is stdin) against the questions of OUT."""
    if control and not analyse:
        raise RecipeError("--control needs --analyse")
    if classes and not analyse:
        raise RecipeError("--classes needs --analyse")
    from spatialqa.core.console import Working
    from spatialqa.core.files import commit_json
    from spatialqa.scoring.plot import write_plot
    from spatialqa.scoring.predictions import read_predictions
    from spatialqa.scoring.score import score
    from spatialqa.scoring.tables import print_score

    given = read_predictions(predictions)  # standard input and a pipe can be read only once
    with Working("scoring"):
        report = score(given, out, table_name(name), split, text_model, seed, answered_only)
    figures = report.as_json()
    alone = str(json_path) == "-"
    if not alone:
        print_score(report)
    if analyse:
        from spatialqa.qa.named_classes import read_classes
        from spatialqa.scoring.analysis_tables import print_analysis
        from spatialqa.scoring.error_analysis import analyse as analyse_answers

        apart = read_classes([text.strip() for text in classes.split(",")]) if classes else ()
        analysis = analyse_answers(given, out, table_name(name), split, control, seed, answered_only, apart)
        if not alone:
            print_analysis(analysis)
        figures["analysis"] = analysis.as_json()
    if plot:
        write_plot(report, plot)
    if alone:
        print_json(figures)
        return
    if json_path:
        commit_json(json_path, figures)
    if not analyse:
        print_next("score", predictions, out, *name_option(table_name(name)), "--analyse")


@click.command("train-baseline", cls=ModelsCommand)
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
        print_next("answer", folders[0], "--model", resolved.run, "--to", "answers.jsonl")
        return
    if evaluate:
        from spatialqa.models.spatial_ast.evaluate import evaluate_all

        evaluate_all(folders, evaluate, resolved)
        return
    from spatialqa.models.spatial_ast.train import train

    click.echo(train(folders, resolved))
    print_next("train-baseline", *folders, "--evaluate", resolved.run)


@click.command("answer")
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


@click.command("listen")
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
    from spatialqa.models.bat.recording import listen

    click.echo(listen(recording, question, model, resolved, gain_db))


def _need_models(command: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError(f"{command} needs torch: pip install 'spatialqa[models]'") from None
