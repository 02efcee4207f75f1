"""Commands that write and read other formats: export and import.

One short function per command, without logic. Heavy imports are inside the functions.
"""

from pathlib import Path

import click

from spatialqa.cli import supervisor
from spatialqa.cli.help import Commands
from spatialqa.cli.options import MANY, PATH, TABLE, TEXT, out_argument
from spatialqa.cli.results import print_next
from spatialqa.core.names import SPLITS, table_name
from spatialqa.interop import FORMATS


@click.command()
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
    if to == "recipes":
        print_next("render", "NEW", "--from", dest)
    elif to in ("chat", "webdataset", "spatialsoundqa"):  # those with questions
        print_next("score", "predictions.jsonl", out)


@click.command()
@click.argument("out", type=PATH)
@click.argument("repo", type=TEXT)
@click.option("--private", is_flag=True, help="Make REPO private if it is new.")
@click.option("--without-audio", is_flag=True, help="Upload labels and questions alone, as `export --to recipes` does.")
@click.option(
    "--licence", type=TEXT, metavar="ID", help="Licence of the whole, such as cc-by-4.0. [those of the parts]"
)
@click.option("--dry-run", is_flag=True, help="Check everything, and upload nothing.")
def push(out: Path, repo: str, private: bool, without_audio: bool, licence: str | None, dry_run: bool) -> None:
    """Upload OUT to REPO (NAMESPACE/NAME) on the Hugging Face hub. The same command resumes an interrupted upload."""
    from spatialqa.cli.output import print_lines
    from spatialqa.core.console import CountProgress
    from spatialqa.interop.hub.push import push as upload

    with CountProgress("uploading", "MB") as progress:
        summary = upload(
            out,
            repo,
            private=private,
            without_audio=without_audio,
            licence=licence,
            dry_run=dry_run,
            progress=progress.update,
        )
    for note in summary.notes:
        click.echo(f"warning: {note}", err=True)
    print_lines(summary.lines())


@click.group("import", cls=Commands)
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
    print_next("score", "predictions.jsonl", out)
