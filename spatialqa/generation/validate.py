"""Validates a data set, and compares it with the rooms, clips and engine that it was made from, where they are here."""

from collections.abc import Callable, Mapping
from pathlib import Path

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.validation.dataset import ValidationReport, validate_dataset
from spatialqa.dataset.validation.own_subtypes import Recompute
from spatialqa.errors import SpatialQAError
from spatialqa.generation.rerender import rerender_sample, rerender_scenes
from spatialqa.generation.room_check import check_rooms
from spatialqa.generation.stored_recipe import stored_recipe


def validate_with_inputs(
    root: Path,
    rerender: int | None = None,
    recompute: Mapping[str, Recompute] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ValidationReport:
    """Check a data set alone and against its buildings, and if nothing is wrong with it, render scenes again.

    The report names what cannot be opened here under `not_checked`, not as a problem. Where files are damaged, only the
    data set alone is checked.

    Args:
        root: the data set.
        rerender: how many scenes are rendered again and compared bit for bit; None renders a small sample where that is
            possible, and 0 none.
        recompute, progress: see `validate_dataset`.

    Raises:
        DatasetError: as `validate_dataset` does; with `rerender`, also where scenes cannot be rendered again.
    """
    report = validate_dataset(root, recompute, progress)
    folder = DatasetFolder(root)
    run = folder.read_run()
    if report.files.problems or run.makes == "groups" or run.imported:
        return report
    try:
        recipe = stored_recipe(folder)
    except SpatialQAError as error:
        return report.also((), (), (f"rooms and engine ({error})",))
    rooms = check_rooms(folder, recipe)
    report = report.also(rooms.checked, rooms.problems, rooms.not_checked)
    if report.problems:
        return report
    if rerender:
        return report.with_rerender(rerender_scenes(root, rerender))
    if rerender is None and not recipe.plan_only and run.export is None:
        sample = rerender_sample(folder)
        report = report.also(sample.checked, sample.problems, sample.not_checked)
    return report
