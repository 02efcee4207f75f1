"""Commands that look at a data set: preview, report, status, validate, audit and hear-check.

One short function per command, without logic. Heavy imports are inside the functions.
"""

import sys
from pathlib import Path

import click

from spatialqa.cli import supervisor
from spatialqa.cli.options import MANY, PATH, SEED, TABLE, TEXT, out_argument
from spatialqa.cli.results import after_validate, json_option, name_option, print_json, print_next, validation_facts
from spatialqa.core.names import SPLITS, table_name
from spatialqa.errors import FOUND, RecipeError


@click.command()
@out_argument
@click.option("--count", type=click.IntRange(1, MANY), help="Number of scenes. [50; in text 3]")
@click.option("--scene", "scene_id", help="Id of the scene to show.")
@click.option("--split", type=click.Choice(SPLITS), help="Split to show; default: all, in text the first.")
@click.option("--name", type=TABLE, metavar="NAME", help="Show the questions in qa-NAME instead of qa.")
@click.option(
    "--questions",
    type=click.IntRange(0, MANY),
    help="Greatest number of questions per scene. [all; in a quiz 1, in text 12]",
)
@click.option("--to", type=PATH, metavar="DIR", help="Folder for the page. [OUT-preview]")
@click.option("--quiz", is_flag=True, help="Write a listening test: answers are hidden until one has guessed.")
@click.option(
    "--no-simulate",
    is_flag=True,
    help="Do not simulate RIRs again that are not stored; their decay is then not shown.",
)
@click.option("--text", is_flag=True, help="Print the scenes instead of writing a page.")
@click.option("--wav", type=PATH, metavar="DIR", help="As --text, and write the scenes as WAV files into DIR.")
def preview(
    out: Path,
    count: int | None,
    scene_id: str | None,
    split: str | None,
    name: str | None,
    questions: int | None,
    to: Path | None,
    quiz: bool,
    no_simulate: bool,
    text: bool,
    wav: Path | None,
) -> None:
    """Write a page that shows and plays scenes of OUT, with their sources and questions; or print them."""
    if not (text or wav or quiz or no_simulate):
        supervisor.supervise()
    from spatialqa.cli.preview import show, write_page

    if text or wav:
        if to or quiz:
            raise RecipeError(
                f"{'--to' if to else '--quiz'} is of a page, and --text and --wav write none: leave one out"
            )
        show(out, count or 3, scene_id, 12 if questions is None else questions, wav, split, table_name(name))
    else:
        write_page(out, to, count, scene_id, split, table_name(name), questions, quiz, not no_simulate)
    print_next("validate", out)


@click.command()
@out_argument
@click.option("--beside", type=PATH, metavar="OTHER", help="Another data set, to be shown beside OUT.")
@click.option("--name", type=TABLE, metavar="NAME", help="Report on the questions in qa-NAME instead of qa.")
@click.option("--validate", is_flag=True, help="Also validate, as `spatialqa validate --rerender 0` does.")
@click.option("--to", type=PATH, metavar="DIR", help="Folder for the page and figures.json. [OUT-report]")
def report(out: Path, beside: Path | None, name: str | None, validate: bool, to: Path | None) -> None:
    """Write a page about OUT as a whole, and its figures as JSON: counts, positions, acoustics, questions, checks."""
    from spatialqa.cli.output import print_lines
    from spatialqa.core.console import CountProgress
    from spatialqa.views.report_page import write_report

    with CountProgress("reading") as progress:
        table = table_name(name)
        summary = write_report(out, to, beside=beside, table=table, validate=validate, progress=lambda: progress.update)
    print_lines(summary.lines())
    print_next("export", out, "--to", "chat", "--dest", f"{out}-chat", *name_option(table))


@click.command()
@out_argument
@json_option
def status(out: Path, as_json: bool) -> None:
    """Show what OUT contains and what is missing."""
    from spatialqa.cli.status import print_status, status_of

    found = status_of(out)
    if as_json:
        print_json(found.as_json())
    else:
        print_status(found)


@click.command()
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
@json_option
def validate(out: Path, rerender: int | None, fix: bool, question_modules: str | None, as_json: bool) -> None:
    """Check OUT: hashes, schema, geometry, audio, splits and questions; rooms and a sample of audio against inputs."""
    if rerender != 0 or fix:
        supervisor.supervise()
    from spatialqa.cli.output import print_lines, print_validation
    from spatialqa.core.console import CountProgress
    from spatialqa.generation.validate import validate_with_inputs
    from spatialqa.qa.question_modules import recompute_functions

    names = [name.strip() for name in question_modules.split(",")] if question_modules else []
    with CountProgress("validating") as progress:
        report = validate_with_inputs(out, rerender, recompute_functions(names), progress.update)
    fixed: list[str] = []
    if fix and (report.problems or report.warnings):
        from spatialqa.generation.resume import remove_damaged

        fixed = remove_damaged(out, report.files.shards, report.files.questions)
    if as_json:
        print_json({**validation_facts(out, report), "fixed": fixed})
    else:
        print_validation(report)
        print_lines(fixed)
        if not fixed:
            print_next(*after_validate(out, report))
    if report.problems:
        sys.exit(FOUND)


@click.command()
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
@json_option
def audit(
    out: Path,
    name: str | None,
    max_questions: int,
    seed: int,
    answers: Path | None,
    split: str | None,
    as_json: bool,
) -> None:
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
    from spatialqa.core.console import CountProgress

    with CountProgress("auditing", "subtypes") as progress:
        report = audit_dataset(
            out, table_name(name), max_questions, seed, lambda _, done, total: progress.update(done, total)
        )
    save_audit(out, report)
    if as_json:
        print_json(report.as_json())
    else:
        print_audit(report)
        print_next("report", out, *name_option(report.table))
    if report.failed:
        sys.exit(FOUND)


@click.command("hear-check")
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
    from spatialqa.core.console import Working
    from spatialqa.core.files import commit_json
    from spatialqa.generation.hear_check import hear_clips, hear_dataset

    with Working("listening"):
        if tagger and clips:
            report = hear_clips(clips, tagger, classes, first, per_class, seed)
        else:
            report = hear_dataset(out, tagger, classes, first, scenes, ablation)
    print_hearing(report)
    if json_path:
        commit_json(json_path, report.as_json())
    if not clips:
        print_next("report", out)
    if report.failed:
        sys.exit(FOUND)
