"""Prints the results of commands."""

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from spatialqa.acoustics.engines import engine_taken, kernels_are_kept
from spatialqa.cli.results import command_line
from spatialqa.core.console import stderr, stdout
from spatialqa.errors import one_line

if TYPE_CHECKING:  # what the commands import when they run, so that `--help` need not
    from spatialqa.clips.clip import ClipSet
    from spatialqa.clips.debian import FetchReport
    from spatialqa.dataset.validation.dataset import ValidationReport
    from spatialqa.generation.make_bank import BankSummary
    from spatialqa.generation.recipe import RenderRecipe
    from spatialqa.generation.runner import RunSummary
    from spatialqa.qa.make import QaSummary
    from spatialqa.qa.templating.template_check import TemplateReport
    from spatialqa.rooms.mesh.mesh_rooms import MeshRooms

_MAX_LISTED = 20
_MAX_SIZES = 3


def print_lines(lines: list[str]) -> None:
    """Print a summary that puts itself into words."""
    for line in lines:
        stdout.print(line, markup=False, highlight=False, soft_wrap=True)


def print_bank(summary: "BankSummary") -> None:
    """Print what a bank holds, and on stderr what a user should know about its rooms."""
    for text in summary.warnings[:_MAX_LISTED]:
        stderr.print(f"warning: {text}")
    stdout.print(f"{summary.rirs} RIRs of {summary.groups} listeners in {summary.root} (shards: {summary.shards})")
    if summary.draws_rejected:
        stdout.print(f"draws rejected and drawn again: {summary.draws_rejected} ({summary.root}/_spatialqa/rejects)")
    if summary.groups < summary.groups_planned:
        missing = summary.groups_planned - summary.groups
        stdout.print(f"{missing} listeners are missing for permanent reasons: {summary.root}/_spatialqa/rejects")
    stdout.print(f"next: {command_line('render', 'OUT', '--rooms', f'bank:{summary.root}')}")


def print_summary(summary: "RunSummary") -> None:
    """Print what a render left behind, and on stderr what a user should know about its rooms."""
    for text in summary.warnings[:_MAX_LISTED]:
        stderr.print(f"warning: {text}")
    if len(summary.warnings) > _MAX_LISTED:
        stderr.print(f"and {len(summary.warnings) - _MAX_LISTED} more warnings: {summary.root}/_spatialqa/shards")
    for room_id, (x, y, z) in list(summary.room_sizes_m.items())[:_MAX_SIZES]:
        stdout.print(f"room {room_id} was read as {x:.1f} x {z:.1f} m, {y:.1f} m high")
    stdout.print(f"{summary.scenes} scenes in {summary.root} (shards: {summary.shards})")
    if summary.clips_left_out:
        stdout.print(f"clip files left out: {summary.clips_left_out} ({summary.root}/_spatialqa/rejects/clips.jsonl)")
    if summary.draws_rejected:
        stdout.print(f"draws rejected and drawn again: {summary.draws_rejected} ({summary.root}/_spatialqa/rejects)")
    if summary.scenes < summary.scenes_planned:
        stdout.print(
            f"{summary.scenes_planned - summary.scenes} scenes are missing for permanent reasons: "
            f"{summary.root}/_spatialqa/rejects"
        )


def print_questions(summary: "QaSummary") -> None:
    """Print how many questions of each subtype there are, and why others were not asked."""
    total = sum(summary.questions.values())
    stdout.print(f"{total} questions about {summary.scenes} scenes in {summary.folder}")
    stdout.print("  " + ", ".join(f"{subtype} {n}" for subtype, n in summary.in_order()))
    if summary.shards_missing:
        stderr.print(
            f"warning: {summary.shards_missing} shards of this data set are not rendered yet; render it to the end, "
            f"then run make-qa again"
        )
    for line in summary.unasked():
        stderr.print(f"warning: {line}")
    reasons: Counter[str] = Counter()
    for (_, reason), n in summary.skipped.items():
        reasons[reason] += n
    if reasons:
        stdout.print("not asked: " + ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common(6)))


def _problems(n: int) -> str:
    return f"{n} problem{'s' * (n != 1)}"


def print_validation(report: "ValidationReport") -> None:
    """Print what was checked and every problem that was found."""
    for line in report.checked:
        stdout.print(f"ok   {line}")
    for line in report.not_checked:
        stdout.print(one_line(f"--   not checked: {line}"))
    for warning in report.warnings:
        stdout.print(f"WARN {warning}")
    for problem in report.problems[:_MAX_LISTED]:
        stdout.print(f"BAD  {problem}")
    if len(report.problems) > _MAX_LISTED:
        stdout.print(f"     and {len(report.problems) - _MAX_LISTED} more")
    stdout.print("valid" if not report.problems else _problems(len(report.problems)), style="bold")


def print_fetch(report: "FetchReport") -> None:
    """Print what `clips debian` brought, and what it could not bring."""
    for skipped in report.skipped[:_MAX_LISTED]:
        stderr.print(one_line(f"left out {skipped.path}: {skipped.reason}"))
    if len(report.skipped) > _MAX_LISTED:
        stderr.print(f"and {len(report.skipped) - _MAX_LISTED} more")
    for package, reason in report.failed_packages:
        stderr.print(f"package {package} could not be fetched: {reason}")
    stdout.print(f"{report.n_clips} clips of {report.n_classes} classes in {report.dest}")
    stdout.print(f"next: {command_line('render', '--clips', f'folder:{report.dest}')}")


def print_clips(clips: "ClipSet") -> None:
    """Print the classes of a clip set and the files that were left out."""
    from spatialqa.clips.clip_table import ClipTable
    from spatialqa.clips.sound_files import misspelt_labels

    records = clips.records()
    by_class = Counter(record.labels[0] for record in records)
    table = Table("class", "clips", box=None)
    for label, n in sorted(by_class.items()):
        table.add_row(label, str(n))
    stdout.print(table)
    stdout.print(f"{len(records)} clips of {len(by_class)} classes")
    if not isinstance(records, ClipTable):
        for line in misspelt_labels(records):
            stderr.print(one_line(f"warning: {line}"))
    for reject in clips.rejected():
        stdout.print(one_line(f"left out {reject.path}: {reject.reason}"))


def print_parts(rooms: "MeshRooms") -> None:
    """Print the parts of every mesh, the largest first, what each is read as and why; then each material's area."""
    for room_id in rooms.room_ids(None, 0):
        parts = rooms.parts(room_id)
        rows = [("part", "material in the file", "area", "read as", "because of")]
        rows += [
            (part.name or "(no name)", part.slot or "-", f"{part.area_m2:.1f} m2", part.material, part.because)
            for part in parts
        ]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        stdout.print(f"{room_id}: {len(parts)} parts", style="bold", markup=False, highlight=False, soft_wrap=True)
        print_lines(["  ".join([*map(str.ljust, row, widths), row[4]]) for row in rows])
        areas = {part.material: 0.0 for part in parts}
        for part in parts:
            areas[part.material] += part.area_m2
        largest = sorted(areas.items(), key=lambda item: -item[1])
        print_lines(["in all: " + ", ".join(f"{name} {area:.1f} m2" for name, area in largest)])


def print_templates(report: "TemplateReport") -> None:
    """Print what was found in a folder of templates, and samples."""
    for subtype, n in report.counts.items():
        stdout.print(f"{subtype}: {n} templates", style="bold")
        for sample in report.samples[subtype]:
            stdout.print(f"  {sample}")
    for doubt in report.doubts:
        stdout.print(f"doubt  {doubt}")
    for problem in report.problems:
        stdout.print(f"BAD    {problem}")
    stdout.print("the templates can be used" if not report.problems else _problems(len(report.problems)))


def note_of_compilation(recipe: "RenderRecipe") -> str | None:
    """Return a line for a render that compiles the kernels of its engine, where none are kept from an earlier one."""
    if recipe.plan_only or recipe.rooms.startswith("bank:") or engine_taken(recipe.engine) != "geometric":
        return None
    if kernels_are_kept():
        return None
    return "the kernels of the engine are compiled once, which takes about half a minute"
