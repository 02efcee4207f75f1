"""Commands about this machine and its engines: bench, compare-engines and doctor.

One short function per command, without logic. Heavy imports are inside the functions.
"""

import dataclasses
from pathlib import Path
from typing import Any

import click

from spatialqa.cli import supervisor
from spatialqa.cli.help import RecipeCommand
from spatialqa.cli.options import MANY, PATH, TEXT, keys_of, recipe_option, resolve
from spatialqa.cli.results import json_option, print_json, print_next
from spatialqa.errors import RecipeError
from spatialqa.generation.recipe import RenderRecipe

_COMPARED = (
    *("rooms", "home_kinds", "up", "unit_scale", "materials", "default_material", "simplify", "max_error_m"),
    *("mp3d_root", "preset", "hrtf", "sample_rate", "sources_per_group", "seed", "cache"),
)


@click.command(cls=RecipeCommand)
@recipe_option
@click.option("--qa", is_flag=True, help="Measure make-qa instead of rendering.")
@click.option(
    "--parts", is_flag=True, help="Measure homes, foley clips, planning, questions and the start of a command."
)
@click.option("--scan", is_flag=True, help="Measure the index of clip files: 200,000 names, compared with a bare walk.")
@click.option(
    "--against",
    type=click.Choice(["audiblelight"]),
    help="Compare with another generator; needs --rooms mesh:FILE and --clips folder:DIR.",
)
@click.option(
    "--audiblelight-python",
    type=TEXT,
    metavar="PYTHON",
    default="python3",
    show_default=True,
    help="A Python that has AudibleLight, for --against.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@keys_of(RenderRecipe)
def bench(
    recipe: str | None,
    qa: bool,
    parts: bool,
    scan: bool,
    against: str | None,
    audiblelight_python: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure CPU time by stage, and the overhead over bare calls that do the same work."""
    supervisor.supervise()
    from spatialqa.bench.clip_scan import bench_scan
    from spatialqa.bench.rendering import Figures, bench_questions, bench_render, print_figures

    if scan:
        print_figures(Figures("finding clip files", bench_scan()), as_json)
        return
    resolved = resolve(RenderRecipe, "render", recipe, given, {"splits": "1,0,0"})
    if parts:
        from spatialqa.bench.parts import bench_parts

        print_figures(bench_parts(resolved), as_json)
        return
    if against:
        from spatialqa.bench.against_audiblelight import bench_against_audiblelight

        print_figures(bench_against_audiblelight(resolved, audiblelight_python), as_json)
        return
    print_figures(bench_questions(resolved) if qa else bench_render(resolved), as_json)


@click.command("compare-engines")
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


@click.command()
@click.option("--habitat-python", type=TEXT, metavar="PYTHON", help="Python in which to look for habitat-sim.")
@json_option
def doctor(habitat_python: str | None, as_json: bool) -> None:
    """Show which engines, rooms, clips and optional packages are available, and how to get the others."""
    from spatialqa.cli.doctor import as_plain_data, print_report

    if as_json:
        print_json(as_plain_data(habitat_python))
        return
    print_report(habitat_python)
    print_next("render")
