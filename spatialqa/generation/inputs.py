"""Opens the rooms, clips and engine that a recipe names; packages below `generation` do not know recipes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from spatialqa.acoustics.engine import Engine, engine_errors
from spatialqa.acoustics.engines import check_engine, engine_taken, open_engine
from spatialqa.acoustics.head_set import HeadSet, head_set
from spatialqa.acoustics.no_engine import NoEngine
from spatialqa.banks.bank import BankFacts
from spatialqa.clips.audioset import clips as audioset
from spatialqa.clips.clip import ClipSet
from spatialqa.clips.esc50 import Esc50Clips
from spatialqa.clips.folder import FolderClips
from spatialqa.clips.foley.clips import FoleyClips
from spatialqa.clips.fsd50k import Fsd50kClips
from spatialqa.clips.label_filter import LabelFilter, LabelMode
from spatialqa.core.ontology import ontology
from spatialqa.errors import EngineError, RecipeError
from spatialqa.generation.placed_sounds import with_placed_files
from spatialqa.generation.placements import read_placements
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.rooms.room import RoomSet
from spatialqa.rooms.scans import matterport_files
from spatialqa.rooms.scans.hm3d_gibson_replica import GibsonRooms, HM3DRooms, ReplicaRooms, TreeOptions
from spatialqa.rooms.scans.matterport import Matterport3DRooms

_TREES: dict[str, Callable[..., RoomSet]] = {"hm3d": HM3DRooms, "gibson": GibsonRooms, "replica": ReplicaRooms}
_SETTLED_BY_A_BANK = (
    *(
        "engine",
        "preset",
        "engine_config",
        "hrtf",
        "hrtf_lag",
        "clearance_m",
        "source_regions",
        "body_radius_m",
        "directions",
    ),
    *("heights", "yaws_per_group"),
)


def with_roots(recipe: RenderRecipe) -> RenderRecipe:
    """Return the recipe with the folders of Matterport3D and AudioSet where they were found, so that workers find them.

    Raises:
        RoomError, ClipError: one that the recipe names is nowhere.
        RecipeError: the cache is a file.
    """
    cache = Path(recipe.cache) if recipe.cache else None
    if cache and not next(path for path in (cache, *cache.absolute().parents) if path.exists()).is_dir():
        raise RecipeError(f"cache {cache} is not a folder and cannot become one: name another place")
    if recipe.rooms == "mp3d" and recipe.mp3d_root is None:
        recipe = replace(recipe, mp3d_root=str(matterport_files.find_root(None).absolute()))
    if recipe.clips == "audioset" and recipe.audioset_root is None:
        recipe = replace(recipe, audioset_root=str(audioset.find_root(None).absolute()))
    return recipe


# --- rooms ----------------------------------------------------------------------------------------------------------


def rooms_for(recipe: RenderRecipe) -> RoomSet:
    """Return the room set that a recipe names.

    Raises:
        RecipeError: no room set has that name.
        RoomError: the rooms cannot be read.
    """
    kind, _, path = recipe.rooms.partition(":")
    if kind == "procedural" and not path:
        return ProceduralRooms(recipe.home_kinds or None)
    if kind == "mp3d":
        if path and recipe.mp3d_root:
            raise RecipeError(f"rooms {recipe.rooms!r} and mp3d_root both name a folder: use only one")
        return _matterport(recipe, path or recipe.mp3d_root)
    if kind == "mesh" and path:
        return mesh_rooms_for(recipe)
    if kind in _TREES and path:
        return _TREES[kind](Path(path), **_mesh_options(recipe))
    if kind == "bank" and path:
        from spatialqa.banks.bank_rooms import BankRooms

        return BankRooms(
            Path(path),
            recipe.seed,
            recipe.sources_per_group,
            recipe.min_distance_m,
            recipe.max_distance_m,
            mix_listeners=recipe.bank_mix_listeners,
            yaw_deg=recipe.yaw_deg(),
        )
    raise RecipeError(
        f"rooms {recipe.rooms!r} is not known: use procedural, mp3d, or mesh:PATH, hm3d:DIR, gibson:DIR, replica:DIR, "
        f"bank:PATH{_did_you_mean('mesh', recipe.rooms)}"
    )


def _did_you_mean(kind: str, path: str) -> str:
    """Return a hint where what should be KIND:PATH is the path alone."""
    try:
        return f"; did you mean {kind}:{path}?" if Path(path).exists() else ""
    except (OSError, ValueError):  # a name that no file can have
        return ""


def mesh_rooms_for(recipe: RenderRecipe) -> MeshRooms:
    """Return the rooms of a recipe whose `rooms` is mesh:PATH; raises RoomError where they cannot be read."""
    path = recipe.rooms.partition(":")[2]
    return MeshRooms(Path(path), up=recipe.up, unit_scale=recipe.unit_scale, **_mesh_options(recipe))


def _matterport(recipe: RenderRecipe, root: str | None) -> Matterport3DRooms:
    return Matterport3DRooms(
        Path(root) if root else None,
        splits=recipe.room_splits,
        scenes_list=Path(recipe.scenes_list) if recipe.scenes_list else None,
        default_material=recipe.default_material,
        exclude_regions=recipe.exclude_regions,
        geometry=recipe.geometry,
        target_faces=recipe.target_faces(),
        max_error_m=recipe.max_error_m,
        cache=recipe.cache_folder(),
    )


def _mesh_options(recipe: RenderRecipe) -> TreeOptions:
    return TreeOptions(
        material_map=Path(recipe.materials) if recipe.materials else None,
        default_material=recipe.default_material,
        simplify_faces=recipe.target_faces(),
        max_error_m=recipe.max_error_m,
        cache=MeshCache(recipe.cache_folder()),
    )


# --- clips ----------------------------------------------------------------------------------------------------------


def clips_for(recipe: RenderRecipe) -> ClipSet:
    """Return the clip set that a recipe names, and the sound files that its placements name.

    Raises:
        RecipeError: no clip set has that name, or a table of placements cannot be used.
        ClipError: the clips cannot be used.
    """
    clips = _clip_set(recipe)
    return with_placed_files(clips, read_placements(Path(recipe.placements))) if recipe.placements else clips


def _clip_set(recipe: RenderRecipe) -> ClipSet:
    kind, _, path = recipe.clips.partition(":")
    labels = cast(LabelMode, recipe.clip_labels)
    if kind == "foley" and not path:
        return FoleyClips(recipe.foley_clips_per_class, _foley_classes(recipe))
    if kind == "audioset":
        if path and recipe.audioset_root:
            raise RecipeError(f"clips {recipe.clips!r} and audioset_root both name a folder: use only one")
        root = audioset.find_root(path or recipe.audioset_root)
        return audioset.open_audioset(
            root, recipe.cache_folder(), labels, _classes(recipe), recipe.min_label_quality, recipe.min_clip_s
        )
    if kind == "fsd50k" and path:
        return Fsd50kClips(path, labels, _classes(recipe), recipe.min_clip_s, recipe.licences or None)
    if kind == "esc50" and path:
        return Esc50Clips(path, _classes(recipe), recipe.min_clip_s, recipe.licences or None)
    if kind == "folder" and path:
        return FolderClips(
            Path(path),
            labels_file=Path(recipe.labels_file) if recipe.labels_file else None,
            unknown_labels="custom" if recipe.unknown_labels == "custom" else "error",
            licence=recipe.licence,
            min_duration_s=recipe.min_clip_s,
            licences=recipe.licences or None,
        )
    raise RecipeError(
        f"clips {recipe.clips!r} is not known: use foley, audioset, or folder:DIR, fsd50k:DIR, esc50:DIR"
        f"{_did_you_mean('folder', recipe.clips)}"
    )


def _foley_classes(recipe: RenderRecipe) -> set[str] | None:
    """Return the mids that `classes` names, or None where it names nothing: foley then has its default classes."""
    if not recipe.classes:
        return None
    allowed = LabelFilter("all", _classes(recipe)).allowed()
    return {node.mid for node, wanted in zip(ontology().nodes, allowed[:-1], strict=True) if wanted}


def _classes(recipe: RenderRecipe) -> str | Sequence[str]:
    """Return `classes` as label filters take them: everything, the name of a list, or names of classes."""
    if not recipe.classes or recipe.classes == ["all"]:
        return "all"
    return "spatialsoundqa" if recipe.classes == ["spatialsoundqa"] else recipe.classes


# --- engine ---------------------------------------------------------------------------------------------------------


def engine_for(recipe: RenderRecipe) -> Engine:
    """Return the engine that a recipe configures, or none, once that is checked, where it only plans.

    Raises as `open_engine` does.
    """
    kind, _, path = recipe.rooms.partition(":")
    if kind == "bank" and path:
        from spatialqa.banks.engine import BankEngine

        return BankEngine(Path(path), recipe.sample_rate, recipe.bank_resample, recipe.channels)
    own_keys = {name: getattr(recipe, name) for name in ("calibrated", "rir_time_zero", "hrtf_lag")}
    for key in own_keys.keys() & recipe.engine_config.keys():
        raise EngineError(f"engine_config holds {key}, which is a recipe key of its own: set it there")
    overrides = {**recipe.engine_config, **own_keys}
    hrtf = Path(recipe.hrtf) if recipe.hrtf else None
    if recipe.plan_only:
        check_engine(recipe.engine, recipe.sample_rate, recipe.preset, overrides, hrtf, recipe.channels)
        return NoEngine(recipe.sample_rate)
    with engine_errors(f"starting ({recipe.engine})"):
        return open_engine(
            recipe.engine,
            recipe.sample_rate,
            recipe.preset,
            overrides,
            hrtf,
            recipe.channels,
            recipe.habitat_python,
            recipe.habitat_materials,
            recipe.cache_folder(),
            recipe.group_timeout_s,
        )


def heads_for(recipe: RenderRecipe) -> HeadSet | None:
    """Return the heads of the folder that a recipe names as its HRTF, all of them checked; None where it names none.

    Raises:
        EngineError: the folder or a file of it cannot be used, or the engine has one head only.
    """
    heads = head_set(Path(recipe.hrtf)) if recipe.hrtf else None
    if heads is not None:
        heads.check(recipe.sample_rate, raises_rate=engine_taken(recipe.engine) == "geometric")
    return heads


def refuse_idle_keys(recipe: RenderRecipe, facts: BankFacts) -> None:
    """Raise RecipeError where a recipe sets what a bank has settled: engine, its settings, and who stands where."""
    defaults = RenderRecipe()
    idle = [name for name in _SETTLED_BY_A_BANK if getattr(recipe, name) != getattr(defaults, name)]
    if not recipe.calibrated and facts.calibrated:
        idle.append("calibrated")
    if recipe.rir_time_zero not in (defaults.rir_time_zero, facts.rir_time_zero):
        idle.append("rir_time_zero")
    if idle:
        raise RecipeError(
            f"{idle[0]} does nothing with rooms {recipe.rooms}: the RIRs of a bank cannot change; leave it out"
        )
