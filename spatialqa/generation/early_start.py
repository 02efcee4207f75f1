"""Starts the process that workers are forked from before a run is planned, so that both get ready side by side.

This module imports little: a program is to reach `workers_started_early` before its own imports for planning.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from spatialqa.acoustics.engines import engine_taken
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.generation.fork_server import Early
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.worker_processes import server_started_early

IN_PROCESS_SCENES = 32  # up to this, starting workers costs more than it saves


def workers_started_early(recipe: RenderRecipe, root: Path) -> AbstractContextManager[None]:
    """Start workers while the block imports and plans a new run, where that will have some on this machine.

    Args:
        recipe: of the run.
        root: its data set; nothing is done for one that exists, of which all may be there already.
    """
    if DatasetFolder(root).exists or recipe.ray_address or not worker_count(recipe, recipe.scenes, recipe.scenes):
        return nullcontext()
    modules = ["spatialqa.generation.runner"]
    banked = recipe.rooms.startswith("bank:")
    simulates = engine_taken(recipe.engine) == "geometric" and not recipe.plan_only and not banked
    if simulates:
        modules.append("spatialqa.acoustics.geometric.engine")
    early = Early((*modules, "scipy.signal"), "open_engine_early" if simulates else None, (recipe, root))
    return server_started_early(early)


def worker_count(recipe: RenderRecipe, scenes: int, shards: int) -> int:
    """Return how many workers to use; 0 is this process."""
    if recipe.workers is not None:
        return min(recipe.workers, shards)
    if recipe.ray_address:
        return shards  # as many as the cluster has cores, which is known once it has been reached
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, shards)
    return 0 if workers <= 1 or scenes <= IN_PROCESS_SCENES else workers
