"""Commands about inputs: clips, rooms, hrtf and templates.

One short function per command, without logic. Heavy imports are inside the functions.
"""

import sys
from pathlib import Path
from typing import Any

import click

from spatialqa.cli.help import Commands
from spatialqa.cli.options import PATH, SEED, TEXT, URL, keys_of, resolve
from spatialqa.cli.results import print_next
from spatialqa.core.recipe_keys import build
from spatialqa.errors import FOUND
from spatialqa.generation.recipe import RenderRecipe


@click.group(cls=Commands)
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
        sys.exit(FOUND)


@clips.command("fetch")
@click.argument("source", type=click.Choice(["esc50", "fsd50k", "audioset-hub"]))
@click.argument("dest", type=PATH)
@click.option("--classes", type=TEXT, metavar="A,B", help="Only clips of these AudioSet classes.")
@click.option("--max-gb", type=click.FloatRange(0.001, 10_000), metavar="GB", help="Most that is downloaded.")
@click.option("--mirror", type=URL, metavar="URL", help="Address of a mirror that has the layout of the home.")
def clips_fetch(source: str, dest: Path, classes: str | None, max_gb: float | None, mirror: str | None) -> None:
    """Download a public collection of recorded sounds into DEST. The same command continues a download."""
    from spatialqa.cli.output import print_lines
    from spatialqa.clips.fetch.audioset_hub import fetch_audioset
    from spatialqa.clips.fetch.collected import FetchOptions
    from spatialqa.clips.fetch.esc50 import fetch_esc50
    from spatialqa.clips.fetch.fsd50k import fetch_fsd50k
    from spatialqa.core.console import CountProgress

    fetch = {"esc50": fetch_esc50, "fsd50k": fetch_fsd50k, "audioset-hub": fetch_audioset}[source]
    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    limit = None if max_gb is None else int(max_gb * 1e9)
    with CountProgress("downloading", "clips" if source == "esc50" else "steps") as progress:
        options = FetchOptions(
            names,
            limit,
            mirror.rstrip("/") if mirror else None,
            lambda line: click.echo(line, err=True),
            progress.update,
        )
        found = fetch(dest, options)
    print_lines(found.lines())


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
    from spatialqa.core.console import Working
    from spatialqa.generation.inputs import clips_for

    values = {"clips": source, "labels_file": labels_file, "unknown_labels": unknown_labels}
    with Working("reading"):
        found = clips_for(build(RenderRecipe, values, "command line"))
    print_clips(found)
    table = ("--labels-file", labels_file) if labels_file else ()
    custom = ("--unknown-labels", unknown_labels) if unknown_labels == "custom" else ()
    print_next("render", "--clips", source, *table, *custom)


@click.group("rooms", cls=Commands)
def rooms_group() -> None:
    """Inspect rooms."""


@rooms_group.command("show")
@click.argument("room")
@click.option("--to", type=PATH, metavar="FILE", help="File for the page. [ROOM.html, in this folder]")
@keys_of(RenderRecipe, only=(*("rooms", "up", "unit_scale", "materials", "default_material"), "mp3d_root", "geometry"))
def rooms_show(room: str, to: Path | None, **given: Any) -> None:
    """Show ROOM: plan, section, materials, expected RT60, openings, and where listeners may stand.

    ROOM is an id such as home-000042, of the room set that --rooms names, or a mesh file.
    """
    from spatialqa.cli.output import print_lines
    from spatialqa.core.files import file_name
    from spatialqa.views.room_page import show_room, write_room_page

    is_path = given.get("rooms") is None and Path(room).exists()
    base = {"rooms": f"mesh:{room}"} if is_path else {}
    shown = show_room(resolve(RenderRecipe, "render", None, given, base), None if is_path else room)
    page = to or Path(f"{file_name(shown.room.room_id, room)}.html")
    write_room_page(shown, page)
    print_lines([*shown.lines(), f"page: {page}"])
    if is_path:
        print_next("render", "--rooms", f"mesh:{room}")


@rooms_group.command("parts")
@click.argument("path")
@keys_of(RenderRecipe, only=("up", "unit_scale", "materials", "default_material"))
def rooms_parts(path: str, **given: Any) -> None:
    """List the parts of the mesh (or folder of meshes) PATH, with area, material, and the reason for the material."""
    from spatialqa.cli.output import print_parts
    from spatialqa.generation.inputs import mesh_rooms_for

    print_parts(mesh_rooms_for(resolve(RenderRecipe, "render", None, given, {"rooms": f"mesh:{path}"})))
    print_next("rooms", "show", path)


@click.group(cls=Commands)
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
    print_next("render", "--hrtf", dest)


@hrtf.command("debian")
@click.argument("dest", type=PATH)
def hrtf_debian(dest: Path) -> None:
    """Download a measured head (MIT KEMAR) from a Debian package into the folder DEST; needs apt-get and dpkg."""
    from spatialqa.acoustics.head_files import fetch_debian

    click.echo(f"{fetch_debian(dest)}; credit its makers, see CREDITS.txt")
    print_next("render", "--hrtf", dest)


@click.group(cls=Commands)
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
    """Check the template files in FOLDER (default: the bundled ones) and show samples; exit with 1 on a problem.

    `paraphrases` is the bundled set of paraphrases.
    """
    from spatialqa.cli.output import print_templates
    from spatialqa.qa.templating.template_check import check_templates
    from spatialqa.qa.templating.templates import BUNDLED, templates_folder

    report = check_templates(templates_folder(folder) or BUNDLED, samples, seed)
    print_templates(report)
    if report.problems:
        sys.exit(FOUND)
    if folder:
        print_next("make-qa", "--templates", folder)
