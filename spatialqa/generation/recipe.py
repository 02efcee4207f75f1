"""The recipe of `render`: each field is a recipe key and a command line option."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.core.recipe_keys import KIND_AND_PATH, LARGEST_SEED, as_before, check_bounds, key
from spatialqa.errors import RecipeError, shown
from spatialqa.generation.recipe_checks import check_ray_address, refuse_idle_keys, refuse_keys_of_draws

MESHES = "mesh,mp3d,hm3d,gibson,replica"
_ONSET_SHARE = 0.2  # of a scene, in which sounds begin unless a recipe says otherwise
_LEAST_SHARE = 1e-6  # of all in sources_per_scene together
_MOST_FACES = 1_000_000_000
MOST_SCENES = 99_999_999  # their ids have eight digits
_KEYS_OF_PLACING = ("directions", "body_radius_m", "heights")  # where the recipe itself places sources
_OF_PLACEMENTS = {"clip_start": "zero", "onset_max_s": 0.0, "fill": "once"}  # tables say the rest


@dataclass(frozen=True)
class RenderRecipe:
    """Everything that decides what `spatialqa render` makes."""

    rooms: str = key(
        "procedural",
        "room set: procedural; mesh:PATH (a GLB, OBJ, PLY or STL file, or a folder of them); mp3d (see --mp3d-root); "
        "hm3d:DIR; gibson:DIR; replica:DIR; bank:PATH (existing RIRs)",
        path=True,
    )
    home_kinds: list[str] = key(
        [], "procedural: use only these kinds of homes: shoebox, l_shape, apartment", only="procedural"
    )
    up: str = key("y", "mesh: vertical axis of the file", choices=("y", "z"), only="mesh")
    unit_scale: float = key(1.0, "mesh: metres per unit of the file", minimum=1e-6, maximum=1e6, only="mesh")
    materials: str | None = key(
        None, "mesh: YAML file that maps names of objects to materials", path=True, only="mesh,hm3d,gibson,replica"
    )
    default_material: str | None = key(None, "meshes: material of faces for which nothing else names one", only=MESHES)
    simplify: str = key("200000", "meshes: number of faces to which larger meshes are simplified, or off", only=MESHES)
    max_error_m: float = key(
        0.05,
        "meshes: greatest distance that simplification may move a surface, metres",
        minimum=0.0,
        maximum=100.0,
        only=MESHES,
    )
    mp3d_root: str | None = key(
        None,
        "mp3d: folder of Matterport3D; default $SPATIALQA_MP3D_ROOT, else data/scene_datasets/mp3d",
        path=True,
        only="mp3d",
    )
    scenes_list: str | None = key(
        None, "mp3d: file with the ids of the scans to use, one per line", path=True, only="mp3d"
    )
    exclude_regions: list[str] = key(
        ["porch", "outdoors", "balcony", "junk", "unlabelled"],
        "mp3d: regions without listeners and sources",
        only="mp3d",
    )
    geometry: str = key(
        "semantic", "mp3d: file that gives the geometry, if both exist", choices=("semantic", "glb"), only="mp3d"
    )
    placement: str = key(
        "air",
        "where listeners are placed: in any enclosed air, or on the navmesh of habitat",
        choices=("air", "navmesh"),
    )
    bank_resample: bool = key(
        False, "bank: resample RIRs of a different sample rate instead of refusing them", only="bank"
    )
    bank_mix_listeners: bool = key(
        False, "bank: combine RIRs of different listeners in one scene, as SpatialSoundQA does", only="bank"
    )
    placements: str | None = key(
        None, "scenes by hand: CSV, JSON lines or Parquet table with one row per source (docs/placements.md)", path=True
    )
    check_placements: bool = key(True, "placements: refuse positions in a wall or outside the building")
    groups_per_room: int = key(2, "listener groups per building", minimum=1, maximum=1_000_000)
    yaws_per_group: int = key(
        1,
        "training: heads at each listener position, evenly around; each is a listener group with scenes of its own",
        minimum=1,
        maximum=36,
        before=1,
    )
    sources_per_group: int = key(8, "source positions per listener group", minimum=1, maximum=1000)
    scenes_per_group: int = key(8, "training scenes per listener group", minimum=1, maximum=1_000_000)
    yaw: str = key("any", "direction in which listeners face: any, or degrees to the left of -z")
    clearance_m: float = key(
        0.3, "least distance of listeners and sources from surfaces, metres", minimum=0.0, maximum=100.0
    )
    min_distance_m: float = key(0.5, "least distance from listener to source, metres", minimum=0.1, maximum=1000.0)
    body_radius_m: float = key(
        0.3,
        "radius of the listener's body, an upright cylinder below the top of the head without sources, metres; 0 for "
        "no body",
        minimum=0.0,
        maximum=2.0,
        before=0.0,
    )
    directions: str = key(
        "even",
        "azimuths of sources: even over all listeners, or with the same share for each octant of the head",
        choices=("even", "octants"),
        before="octants",
    )
    heights: str = key(
        "class",
        "heights of sources: those of things of their class (footsteps on the floor, voices at the height of heads), "
        "or any from 0.2 to 2.2 m",
        choices=("class", "any"),
        before="any",
    )
    source_regions: str = key(
        "auto",
        "where sources are placed: in the listener's region, also in regions that it opens into, or anywhere; "
        "auto is same for mp3d, else any",
        choices=("auto", "same", "connected", "any"),
    )
    max_distance_m: float = key(10.0, "greatest distance from listener to source, metres", minimum=0.1, maximum=1000.0)
    clips: str = key(
        "foley",
        "clip set: foley; folder:DIR (labelled WAV, FLAC, OGG and MP3 files); audioset (see --audioset-root); "
        "fsd50k:DIR; esc50:DIR",
        path=True,
    )
    audioset_root: str | None = key(
        None,
        "audioset: folder of AudioSet; default $SPATIALQA_AUDIOSET_ROOT, else data/audioset",
        path=True,
        only="audioset",
    )
    classes: list[str] = key(
        [],
        "use only these AudioSet classes; spatialsoundqa stands for its 355 classes, all for every class. By default, "
        "foley leaves some out",
        only="audioset,fsd50k,esc50,foley",
    )
    clip_labels: str = key(
        "all",
        "labels of a clip: all, the most specific, only clips with a single one, or stretches with strong labels",
        choices=("all", "specific", "single", "strong"),
        only="audioset,fsd50k",
    )
    min_label_quality: float = key(
        0.0, "audioset: least share of a class's labels that raters confirmed", minimum=0, maximum=1, only="audioset"
    )
    foley_clips_per_class: int = key(100, "foley: number of clips per class", minimum=1, maximum=10_000, only="foley")
    labels_file: str | None = key(
        None, "folder: CSV or TSV file with the columns path and label (or mid)", path=True, only="folder"
    )
    unknown_labels: str = key(
        "error",
        "folder: leave out clips with labels that are not in AudioSet (error), or keep them as custom labels",
        choices=("error", "custom"),
        only="folder",
    )
    licence: str | None = key(None, "folder: licence of clips without a licence of their own", only="folder")
    min_clip_s: float = key(
        0.1,
        "recorded clips: leave out clips shorter than this, seconds",
        minimum=0.0,
        maximum=600.0,
        only="folder,audioset,fsd50k,esc50",
    )
    licences: list[str] = key(
        [], "use only clips with these licences (patterns such as CC-BY*)", only="folder,fsd50k,esc50"
    )
    clip_rms_dbfs: float = key(-14.0, "level to which every whole clip is normalised", minimum=-100.0, maximum=0.0)
    clip_start: str = key(
        "active",
        "part of a clip that is played: a stretch that sounds; from its start; or, of one longer than the scene, from "
        "anywhere",
        choices=("active", "zero", "random"),
    )
    fill: str = key(
        "repeat",
        "play a clip that ends before the scene again, after gaps of 0.2 to 1 s, or once",
        choices=("repeat", "once"),
        before="once",
    )
    class_balance: str = key(
        "uniform", "draw classes evenly, or as often as they occur in the clips", choices=("uniform", "natural")
    )
    scenes: int = key(64, "number of scenes in all splits together", minimum=1, maximum=MOST_SCENES)
    splits: str = key("auto", "shares of train,validation,test; auto is 0.8,0.1,0.1, or 1,0,0 for a single house")
    sources_per_scene: dict[int, float] = key(
        {1: 0.32, 2: 0.68}, "share of scenes with each number of sources", minimum=0.0, maximum=1e6
    )
    room_splits: str = key(
        "official",
        "how houses are split: by official lists if there are any, by those of soundspaces (mp3d), or at random",
        choices=("official", "soundspaces", "random"),
    )
    clip_splits: str = key(
        "official",
        "how clips are split: by the official splits if there are any, or at random",
        choices=("official", "random"),
    )
    onset_max_s: float | None = key(
        None,
        "latest onset of a source, seconds; onsets are drawn evenly from 0; default a fifth of duration_s",
        minimum=0.0,
        maximum=600.0,
    )
    inaudible: str = key(
        "redraw",
        "a source that cannot be heard: draw the sounds of its scene again, or keep it without questions",
        choices=("redraw", "keep"),
        before="keep",
    )
    audible_dbfs: float = key(
        -46.0,
        "level, in the loudest channel and before the gain, from which on a source can be heard",
        minimum=-200.0,
        maximum=0.0,
        before=-46.0,
    )
    mix: str = key("sum", "add the sources, or average them as SpatialSoundQA does", choices=("sum", "mean"))
    seed: int = key(0, "seed of all random draws", minimum=0, maximum=LARGEST_SEED)
    engine: str = key("auto", "acoustic engine: geometric, soundspaces, habitat; auto is geometric")
    habitat_python: str | None = key(
        None, "habitat: Python executable with a habitat-sim that was built with audio", execution=True
    )
    habitat_materials: bool = key(True, "habitat: use materials by object category, if the scene has categories")
    preset: str = key("fast", "engine: settings to start from", choices=("fast", "reference"))
    engine_config: dict[str, Any] = key({}, "engine: single settings that override the preset")
    hrtf: str | None = key(
        None,
        "SOFA file that replaces the HRTF of the engine; of a folder of them, every listener group gets one",
        path=True,
    )
    calibrated: bool = key(True, "scale RIRs so that a source 1 m ahead has direct energy 1 (0 dB)")
    rir_time_zero: str = key(
        "emission",
        "start of an RIR: at the emission (with the propagation delay), or at the direct sound",
        choices=("emission", "direct"),
    )
    hrtf_lag: str = key(
        "keep",
        "delay that the HRTF adds to the direct sound: keep it, or remove it from all RIRs (shown by the card)",
        choices=("keep", "remove"),
        before="keep",
    )
    sample_rate: int = key(32000, "sample rate of the scenes, Hz", minimum=1000, maximum=384_000, unit="Hz")
    duration_s: float = key(10.0, "length of every scene, seconds", minimum=0.1, maximum=600.0)
    channels: str = key(
        "binaural",
        "what is recorded: two ears, or first-order ambisonics (AmbiX, in the axes of the head); of geometric also one "
        "microphone (mono), or a mid-side pair (stereo)",
        choices=("binaural", "foa", "mono", "stereo"),
    )
    gain_db: float = key(-24.0, "constant gain of all scenes of the data set", minimum=-120.0, maximum=60.0)
    plan_only: bool = key(False, "write scenes without audio (positions, sounds and labels); needs no engine")
    save_rirs: bool = key(False, "also write the RIRs (rirs/)")
    scenes_per_shard: int = key(
        16, "approximate number of scenes per Parquet file; use more for large data sets", minimum=1, maximum=100_000
    )
    workers: int | None = key(
        None,
        "number of worker processes; 0 runs in this process; default one per core",
        minimum=0,
        maximum=10_000,
        execution=True,
    )
    group_timeout_s: float = key(
        600.0,
        "time limit for the simulation of one listener group, seconds; 0 disables it",
        minimum=0.0,
        maximum=1e6,
        execution=True,
    )
    cache: str | None = key(
        None,
        "folder for prepared meshes and file lists; default $SPATIALQA_CACHE, else ~/.cache/spatialqa",
        execution=True,
        path=True,
    )
    check: str = key(
        "size",
        "how a resume tells that a shard is done: by the sizes of its files (size), or also by their sha256 (full)",
        choices=("size", "full"),
        execution=True,
    )
    ray_address: str | None = key(None, "address of a running Ray cluster, such as auto or HOST:6379", execution=True)

    def __post_init__(self) -> None:
        check_bounds(self)
        shares = self.sources_per_scene
        if not shares or any(n < 1 for n in shares) or not sum(shares.values()) >= _LEAST_SHARE:
            raise RecipeError(
                f"sources_per_scene {shares} needs counts of 1 or more and shares above 0, such as 1=0.32,2=0.68"
            )
        if max(n for n, share in shares.items() if share > 0) > self.sources_per_group:
            raise RecipeError(
                f"sources_per_scene asks for {max(shares)} sources, but a group has only sources_per_group = "
                f"{self.sources_per_group}: raise sources_per_group"
            )
        if self.heights == "class" and self.directions == "octants":
            raise RecipeError("directions octants draws heights by octant and needs heights any: add --heights any")
        if self.yaws_per_group > 1 and self.yaw != "any":
            raise RecipeError(f"yaws_per_group turns the head, and yaw is {self.yaw}: leave one of them out")
        if self.min_distance_m >= self.max_distance_m:
            raise RecipeError(
                f"min_distance_m {self.min_distance_m:g} must be less than max_distance_m {self.max_distance_m:g}"
            )
        if self.latest_onset_s() >= self.duration_s:
            raise RecipeError(f"onset_max_s {self.onset_max_s:g} must be less than duration_s {self.duration_s:g}")
        if self.placement == "navmesh" and self.engine != "habitat":
            raise RecipeError(
                f"placement navmesh needs the engine habitat, and the engine is {self.engine}: add --engine habitat"
            )
        if self.placement == "navmesh" and self.plan_only:
            raise RecipeError(
                "placement navmesh needs habitat, and --plan-only renders without an engine: leave one out"
            )
        if self.room_splits == "soundspaces" and self.rooms.partition(":")[0] != "mp3d":
            raise RecipeError(f"room_splits soundspaces needs rooms mp3d, and rooms is {self.rooms}: leave it out")
        refuse_idle_keys(self)
        refuse_keys_of_draws(self)
        self.split_shares()
        self.target_faces()
        self.yaw_deg()
        check_ray_address(self.ray_address)

    def latest_onset_s(self) -> float:
        """Return the latest onset of a drawn source, seconds after the start of its scene."""
        return self.duration_s * _ONSET_SHARE if self.onset_max_s is None else self.onset_max_s

    def places_by_class(self) -> bool:
        """Return whether sources are placed at heights of their classes: not where a table or a bank places them."""
        return self.heights == "class" and not self._places_given()

    def _places_given(self) -> bool:
        return self.placements is not None or self.rooms.startswith("bank:")

    def split_shares(self) -> tuple[float, float, float] | None:
        """Return the shares of train, validation and test, or None for `auto`."""
        if self.splits == "auto":
            return None
        try:
            shares = [float(part) for part in self.splits.split(",")]
        except ValueError:
            shares = []
        if len(shares) != 3 or any(not 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
            raise RecipeError(
                f"splits {self.splits!r} must be three shares that add to 1, such as 0.8,0.1,0.1 (or auto)"
            )
        return (shares[0], shares[1], shares[2])

    def target_faces(self) -> int | None:
        """Return the number of faces that larger meshes are brought down to, or None for off."""
        if self.simplify == "off":
            return None
        faces = int(self.simplify) if self.simplify.isdecimal() and len(self.simplify) < 12 else 0
        if not 1000 <= faces <= _MOST_FACES:
            raise RecipeError(f"simplify {shown(self.simplify)} must be off, or from 1,000 to {_MOST_FACES:,} faces")
        return faces

    def cache_folder(self) -> Path:
        """Return where prepared meshes and lists of files are kept."""
        from spatialqa.core.files import default_cache

        return Path(self.cache) if self.cache else default_cache()

    def yaw_deg(self) -> float | None:
        """Return the fixed yaw of every listener, or None for any."""
        if self.yaw == "any":
            return None
        try:
            yaw = float(self.yaw)
        except ValueError:
            yaw = math.nan
        if not abs(yaw) <= 360.0:
            raise RecipeError(f"yaw {shown(self.yaw)} must be `any`, or a number of degrees from -360 to 360")
        return yaw

    def identity(self) -> dict[str, Any]:
        """Return the keys that shape the data: no execution keys, and of paths only their kind."""
        identity = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            # which engine `auto` took is part of the fingerprint, and so is what was found below a root
            if f.metadata["execution"] or f.name == "engine" or f.name.endswith("_root"):
                continue
            # drawn scenes keep the identity, and so the bytes, that they had before there were placements
            if self.placements is None and f.name in ("placements", "check_placements"):
                continue
            if self.placements is not None and f.name in _OF_PLACEMENTS:
                value = _OF_PLACEMENTS[f.name]
            if as_before(f, value) or (self._places_given() and f.name in _KEYS_OF_PLACING):
                continue
            if f.metadata["path"] and value is not None:
                value = value.partition(":")[0] if f.name in KIND_AND_PATH else "given"
            identity[f.name] = value
        return identity


def absolute_paths(recipe: RenderRecipe) -> RenderRecipe:
    """Return the recipe with every path made absolute, so that workers and later commands find the same inputs."""
    changes: dict[str, Any] = {}
    for f in dataclasses.fields(recipe):
        value = getattr(recipe, f.name)
        if f.metadata["path"] and value is not None:
            kind, colon, path = value.partition(":") if f.name in KIND_AND_PATH else ("", "", value)
            if path:
                changes[f.name] = f"{kind}{colon}{Path(path).absolute()}"
    return dataclasses.replace(recipe, **changes)
