"""Prepares a run: opens a recipe's rooms, clips and engine, makes the plan, and computes the fingerprint."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

import spatialqa
from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.clips.clip import ClipRecord, ClipSet
from spatialqa.clips.clip_table import ClipTable
from spatialqa.clips.decode import ffmpeg_version
from spatialqa.clips.foley.clips import VERSION as FOLEY_VERSION
from spatialqa.core.files import digest
from spatialqa.core.scene import EngineIdentity
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import Attribution, PlanRecord, RunRecord
from spatialqa.errors import ClipError, RecipeError
from spatialqa.generation.inputs import clips_for, engine_for, heads_for, refuse_idle_keys, rooms_for, with_roots
from spatialqa.generation.placements import read_placements
from spatialqa.generation.plan import RunPlan, plan_bank, plan_run
from spatialqa.generation.plan_placements import check_positions, plan_placements
from spatialqa.generation.recipe import RenderRecipe, absolute_paths
from spatialqa.generation.splits import split_heads
from spatialqa.generation.stored_recipe import with_engine_named
from spatialqa.rooms.mesh.ray_library import embree_version
from spatialqa.rooms.room import RoomSet


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that a worker needs to make any shard of a run; travels to the workers whole.

    makes: "scenes", or "groups" where only a bank of RIRs is made.
    """

    root: Path
    recipe: RenderRecipe
    recipe_hash: str
    fingerprint: Mapping[str, Any]
    rooms: RoomSet
    clips: ClipSet
    clips_by_split: Mapping[str, Sequence[ClipRecord]]
    identity: EngineIdentity
    makes: Literal["scenes", "groups"] = "scenes"
    heads: Mapping[str, Sequence[str]] = field(default_factory=dict)  # subjects by split; empty where there is one head

    @property
    def fingerprint_hash(self) -> str:
        """One hash for the whole fingerprint."""
        return digest(self.fingerprint)


def settled(recipe: RenderRecipe, root: Path) -> RenderRecipe:
    """Return the recipe of a run into a folder with its paths absolute, its roots found, and its engine named.

    Raises:
        RoomError, ClipError: a root is nowhere.
        RecipeError: the cache is a file.
    """
    return with_engine_named(with_roots(absolute_paths(recipe)), DatasetFolder(root))


def prepare_run(recipe: RenderRecipe, root: Path) -> tuple[Run, RunPlan]:
    """Open what a recipe names and lay out the run; renders nothing and writes nothing.

    Raises:
        SpatialQAError: rooms, clips or engine cannot be used, or are too few for the recipe.
    """
    recipe = settled(recipe, root)
    identity = engine_for(recipe).identity
    rooms = rooms_for(recipe)
    if isinstance(rooms, BankRooms):
        refuse_idle_keys(recipe, rooms.bank.facts)
    clips = clips_for(recipe)
    records = clips.records()
    if not records:
        raise ClipError(f"{recipe.clips}: holds no usable clip")
    fingerprint = _fingerprint(recipe, rooms, records, identity)
    heads = heads_for(recipe)
    if heads is not None:
        fingerprint["heads"] = heads.label
    if recipe.placements:
        placements = read_placements(Path(recipe.placements))
        plan = plan_placements(recipe, rooms, records, placements)
        fingerprint["placements"] = placements.sha256
        if recipe.check_placements and not DatasetFolder(root).exists:  # what has begun has been checked
            check_positions(rooms, plan)
    else:
        try:
            plan = plan_run(recipe, rooms, records)
        except ClipError as error:
            raise ClipError(f"{error}{_left_out(clips)}") from None
    run = Run(
        root.absolute(),
        recipe,
        digest(recipe.identity()),
        fingerprint,
        rooms,
        clips,
        plan.clips,
        identity,
        heads=split_heads(list(heads.files), plan.scenes, recipe.seed) if heads else {},
    )
    return run, plan


def _left_out(clips: ClipSet) -> str:
    """Return what a message about too few clips adds: how many files were left out, and the first reason."""
    rejected = clips.rejected()
    if not rejected:
        return ""
    first = rejected[0]
    return f"; {len(rejected)} clip files were left out, the first is {first.path} ({first.reason})"


def prepare_bank(recipe: RenderRecipe, root: Path, n_groups: int) -> tuple[Run, RunPlan]:
    """Open what a recipe names and lay out a bank of `n_groups` listener groups, without scenes.

    Raises:
        SpatialQAError: rooms or engine cannot be used, or there are too few houses.
    """
    recipe = settled(recipe, root)
    if recipe.yaws_per_group > 1:
        raise RecipeError("yaws_per_group has an effect on scenes only, and a bank has none: leave it out")
    if heads := heads_for(recipe):
        raise RecipeError(f"hrtf: a bank has one head, and {heads.folder} is a folder: give a file of it")
    identity = engine_for(recipe).identity
    rooms = rooms_for(recipe)
    plan = plan_bank(recipe, rooms, n_groups)
    fingerprint = {**_fingerprint(recipe, rooms, [], identity), "bank_groups": n_groups}
    run_hash = digest(recipe.identity())
    run = Run(root.absolute(), recipe, run_hash, fingerprint, rooms, clips_for(recipe), {}, identity, makes="groups")
    return run, plan


def _fingerprint(
    recipe: RenderRecipe, rooms: RoomSet, records: Sequence[ClipRecord], identity: EngineIdentity
) -> dict[str, Any]:
    fingerprint: dict[str, Any] = {
        "recipe": recipe.identity(),
        "rooms": rooms.content_hash(),
        "clips": clips_hash(records),
        "engine": {
            "name": identity.name,
            "version": identity.version,
            "sha256": identity.sha256,
            "config_hash": identity.config_hash,
            "hrtf": identity.hrtf,
        },
        "versions": library_versions(recipe),
    }
    if recipe.clips == "foley":
        fingerprint["foley"] = FOLEY_VERSION
    # recipes come back from JSON with text keys; compare and hash what can be stored
    stored: dict[str, Any] = _as_stored(fingerprint)
    return stored


def clips_hash(records: Sequence[ClipRecord]) -> str:
    """Return one hash of everything that the records of clips say but for whom to attribute them to."""
    if isinstance(records, ClipTable):
        return records.content_hash()
    return digest([_clip_identity(record) for record in records])


def _clip_identity(record: ClipRecord) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record) if field.name != "attribution"}


def _as_stored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_stored(item) for key, item in value.items()}
    return [_as_stored(item) for item in value] if isinstance(value, list | tuple) else value


def run_record(run: Run, plan: RunPlan, qa_recipe: Mapping[str, Any] | None = None) -> RunRecord:
    """Return what run.json holds; qa_recipe: the recipe's make-qa section, kept for a later `make-qa`."""
    return RunRecord(
        spatialqa=spatialqa.__version__,
        recipe=asdict(run.recipe),
        recipe_hash=run.recipe_hash,
        fingerprint=dict(run.fingerprint),
        fingerprint_hash=run.fingerprint_hash,
        engine=run.identity,
        makes=run.makes,
        plan=PlanRecord(
            scenes=dict(plan.scenes),
            houses=dict(plan.houses),
            clips={split: len(records) for split, records in plan.clips.items()},
            shards=tuple(plan.shards.names()),
        ),
        attributions=attributions(run),
        machine=machine_facts(),
        qa_recipe=dict(qa_recipe or {}),
    )


def attributions(run: Run, used: Callable[[str], bool] = lambda _: True) -> tuple[Attribution, ...]:
    """Return licence and attribution of the clips of the run, each pair once, with the number of clips.

    used: whether a clip counts, by its id; all do by default.
    """
    counts: dict[tuple[str, str], int] = {}
    for records in run.clips_by_split.values():
        for record in filter(lambda record: used(record.clip_id), records):
            pair = (record.licence or "not stated", record.attribution or "")
            counts[pair] = counts.get(pair, 0) + 1
    return tuple(Attribution(*pair, clips=n) for pair, n in sorted(counts.items()))


def library_versions(recipe: RenderRecipe | None = None) -> dict[str, str]:
    """Return the versions of everything that touches a sample or a byte; of ffmpeg where clips may need it."""
    packages = ("numpy", "scipy", "soxr", "pyarrow", "mapbox-earcut", "trimesh")
    versions = {"spatialqa": spatialqa.__version__, **{name: version(name) for name in packages}}
    versions["embreex"] = embree_version()
    versions["libsndfile"] = soundfile.__libsndfile_version__
    if recipe is not None and recipe.clips.partition(":")[0] == "audioset":
        versions["ffmpeg"] = ffmpeg_version() or "none"
    return versions


def machine_facts() -> dict[str, Any]:
    """Return what else can change a bit: the processor's kind and the instruction sets that numpy uses."""
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "instruction_sets": simd.get("baseline", []) + simd.get("found", []),
        "cores": os.cpu_count(),
    }


def reject_lines(run: Run) -> str:
    """Return the clips that were left out as JSON lines."""
    return "".join(json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in run.clips.rejected())
