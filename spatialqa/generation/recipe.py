"""The keys of `render`: every choice of a run. A command line option and a recipe key are the same field."""

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialqa.core.recipe_keys import KIND_AND_PATH, LARGEST_SEED, build, check_bounds, key
from spatialqa.errors import RecipeError, shown

if TYPE_CHECKING:  # the command line reads the keys before it reads any data set
    from spatialqa.dataset.folder import DatasetFolder

MESHES = "mesh,mp3d,hm3d,gibson,replica"
_LEAST_SHARE = 1e-6  # of all in sources_per_scene together
_MOST_FACES = 1_000_000_000
MOST_SCENES = 99_999_999  # their ids have eight digits
_KEYS_OF_DRAWS = (
    *("scenes", "splits", "sources_per_scene", "room_splits", "placement", "source_regions", "yaw"),
    *("groups_per_room", "sources_per_group", "scenes_per_group", "exclude_regions", "clip_start", "class_balance"),
    *("clearance_m", "min_distance_m", "max_distance_m", "onset_max_s", "bank_mix_listeners"),
)


@dataclass(frozen=True)
class RenderRecipe:
    """Everything that decides what `spatialqa render` makes."""

    rooms: str = key(
        "procedural",
        "procedural; mesh:PATH (a GLB, OBJ, PLY or STL file, or a folder of them); mp3d (see --mp3d-root); hm3d:DIR; "
        "gibson:DIR; replica:DIR; bank:PATH (RIRs that exist already)",
        path=True,
    )
    home_kinds: list[str] = key(
        [], "procedural: keep only these kinds (shoebox, l_shape, apartment)", only="procedural"
    )
    up: str = key("y", "mesh: the axis that points up in the file", choices=("y", "z"), only="mesh")
    unit_scale: float = key(1.0, "mesh: metres per unit of the file", minimum=1e-6, maximum=1e6, only="mesh")
    materials: str | None = key(
        None, "mesh: YAML file that maps object names to materials", path=True, only="mesh,hm3d,gibson,replica"
    )
    default_material: str | None = key(None, "meshes: material of the faces that nothing else names", only=MESHES)
    simplify: str = key("200000", "meshes: faces that larger ones are brought down to, or off", only=MESHES)
    max_error_m: float = key(
        0.05, "meshes: how far a surface may move when simplified", minimum=0.0, maximum=100.0, only=MESHES
    )
    mp3d_root: str | None = key(
        None, "mp3d: its folder; else $SPATIALQA_MP3D_ROOT, else data/scene_datasets/mp3d", path=True, only="mp3d"
    )
    scenes_list: str | None = key(None, "mp3d: file of the scenes to use, one a line", path=True, only="mp3d")
    exclude_regions: list[str] = key(
        ["porch", "outdoors", "balcony", "junk", "unlabelled"], "mp3d: regions where nobody is placed", only="mp3d"
    )
    geometry: str = key(
        "semantic", "mp3d: whose surfaces, where both are there", choices=("semantic", "glb"), only="mp3d"
    )
    placement: str = key("air", "listeners wherever air is, or only on habitat's navmesh", choices=("air", "navmesh"))
    bank_resample: bool = key(False, "bank: resample RIRs of another rate instead of refusing them", only="bank")
    bank_mix_listeners: bool = key(
        False, "bank: sources heard from different places in one scene, as SpatialSoundQA has them", only="bank"
    )
    placements: str | None = key(
        None, "scenes by hand: a CSV, JSON lines or Parquet table with one row a source (docs/placements.md)", path=True
    )
    check_placements: bool = key(True, "placements: refuse what lies in a wall or outside of the building")
    groups_per_room: int = key(
        2, "listener groups in one room before the next room is taken", minimum=1, maximum=1_000_000
    )
    sources_per_group: int = key(8, "source places that are simulated for one listener", minimum=1, maximum=1000)
    scenes_per_group: int = key(8, "training scenes drawn from one listener group", minimum=1, maximum=1_000_000)
    yaw: str = key("any", "which way listeners face: any, or degrees to the left of -z")
    clearance_m: float = key(
        0.3, "least distance of listener and sources from every surface", minimum=0.0, maximum=100.0
    )
    min_distance_m: float = key(0.5, "least distance from listener to source", minimum=0.1, maximum=1000.0)
    source_regions: str = key(
        "auto",
        "sources in the listener's region, in those it opens into too, or anywhere; auto is same for mp3d, else any",
        choices=("auto", "same", "connected", "any"),
    )
    max_distance_m: float = key(10.0, "greatest distance from listener to source", minimum=0.1, maximum=1000.0)
    clips: str = key(
        "foley",
        "foley; folder:DIR (WAV, FLAC, OGG, MP3 files with labels); audioset (see --audioset-root); fsd50k:DIR; "
        "esc50:DIR",
        path=True,
    )
    audioset_root: str | None = key(
        None, "audioset: its folder; else $SPATIALQA_AUDIOSET_ROOT, else data/audioset", path=True, only="audioset"
    )
    classes: list[str] = key([], "keep these AudioSet classes; spatialsoundqa is its 355", only="audioset,fsd50k,esc50")
    clip_labels: str = key(
        "all",
        "all labels of a clip, the most specific, only clips with a single one, or strongly labelled stretches",
        choices=("all", "specific", "single", "strong"),
        only="audioset,fsd50k",
    )
    min_label_quality: float = key(
        0.0, "audioset: least share of a class's labels that raters found true", minimum=0, maximum=1, only="audioset"
    )
    foley_clips_per_class: int = key(
        100, "foley: different clips of every class", minimum=1, maximum=10_000, only="foley"
    )
    labels_file: str | None = key(
        None, "folder: CSV or TSV with path and label (or mid) columns", path=True, only="folder"
    )
    unknown_labels: str = key(
        "error", "folder: leave out labels AudioSet lacks, or keep them", choices=("error", "custom"), only="folder"
    )
    licence: str | None = key(None, "folder: licence of the clips whose table names none", only="folder")
    min_clip_s: float = key(
        0.1, "recorded clips: leave out shorter ones", minimum=0.0, maximum=600.0, only="folder,audioset,fsd50k,esc50"
    )
    licences: list[str] = key([], "keep only clips under these licences (globs)", only="folder,fsd50k,esc50")
    clip_rms_dbfs: float = key(-14.0, "level that every whole clip is brought to", minimum=-100.0, maximum=0.0)
    clip_start: str = key("zero", "where a clip longer than the scene starts", choices=("zero", "random"))
    class_balance: str = key(
        "uniform", "draw classes evenly, or as often as clips have them", choices=("uniform", "natural")
    )
    scenes: int = key(64, "how many scenes, over all splits", minimum=1, maximum=MOST_SCENES)
    splits: str = key("auto", "shares of train,validation,test; auto is 0.8,0.1,0.1, or train alone for a single house")
    sources_per_scene: dict[int, float] = key(
        {1: 0.32, 2: 0.68}, "share of scenes by their number of sources", minimum=0.0, maximum=1e6
    )
    room_splits: str = key(
        "official",
        "houses to splits: official, the lists of the room set where it has any (soundspaces: of mp3d), or by the seed",
        choices=("official", "soundspaces", "random"),
    )
    clip_splits: str = key(
        "official",
        "clips to splits: as their makers did where they did, or by the seed",
        choices=("official", "random"),
    )
    onset_max_s: float = key(0.0, "latest start of a sound, drawn evenly from 0", minimum=0.0, maximum=600.0)
    mix: str = key("sum", "add sources, or average them as SpatialSoundQA does", choices=("sum", "mean"))
    seed: int = key(0, "seed of every draw", minimum=0, maximum=LARGEST_SEED)
    engine: str = key("auto", "acoustic engine: auto, soundspaces, habitat")
    habitat_python: str | None = key(None, "habitat: the Python that has habitat-sim built with audio", execution=True)
    habitat_materials: bool = key(True, "habitat: materials by object category, where a scene has them")
    preset: str = key("fast", "engine settings to start from", choices=("fast", "reference"))
    engine_config: dict[str, Any] = key({}, "single engine settings that replace the preset's")
    hrtf: str | None = key(None, "SOFA file that replaces the engine's own HRTF", path=True)
    calibrated: bool = key(True, "scale RIRs so that a source at 1 m in front has direct energy 1 (0 dB)")
    rir_time_zero: str = key(
        "emission", "keep the propagation delay, or start at the direct sound", choices=("emission", "direct")
    )
    sample_rate: int = key(32000, "sample rate of the scenes, Hz", minimum=1000, maximum=384_000, unit="Hz")
    duration_s: float = key(10.0, "length of every scene", minimum=0.1, maximum=600.0)
    channels: str = key(
        "binaural",
        "what the listener records: two ears, or first-order ambisonics (AmbiX, axes of the head)",
        choices=("binaural", "foa"),
    )
    gain_db: float = key(-24.0, "one constant gain for every scene of the data set", minimum=-120.0, maximum=60.0)
    plan_only: bool = key(False, "write scenes without audio: places, sounds and labels, and no engine is needed")
    save_rirs: bool = key(False, "write the RIRs as well (rirs/)")
    scenes_per_shard: int = key(
        16, "scenes in one Parquet file, about; larger for large data sets", minimum=1, maximum=100_000
    )
    workers: int | None = key(
        None, "Ray workers; 0 runs in this process; default one per core", minimum=0, maximum=10_000, execution=True
    )
    group_timeout_s: float = key(
        600.0,
        "simulating one listener group may take so long, in seconds, before the engine is taken to hang; 0 is no limit",
        minimum=0.0,
        maximum=1e6,
        execution=True,
    )
    cache: str | None = key(
        None,
        "where prepared meshes and lists of files are kept; else $SPATIALQA_CACHE, else ~/.cache/spatialqa",
        execution=True,
        path=True,
    )
    ray_address: str | None = key(None, "a running Ray cluster to use, such as auto or HOST:6379", execution=True)

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
        if self.min_distance_m >= self.max_distance_m:
            raise RecipeError(
                f"min_distance_m {self.min_distance_m:g} must be less than max_distance_m {self.max_distance_m:g}"
            )
        if self.onset_max_s >= self.duration_s:
            raise RecipeError(f"onset_max_s {self.onset_max_s:g} must be less than duration_s {self.duration_s:g}")
        if self.placement == "navmesh" and self.engine != "habitat":
            raise RecipeError(f"placement navmesh is habitat's, and the engine is {self.engine}: add --engine habitat")
        if self.placement == "navmesh" and self.plan_only:
            raise RecipeError("placement navmesh needs habitat itself, which --plan-only does without: leave one out")
        if self.room_splits == "soundspaces" and self.rooms.partition(":")[0] != "mp3d":
            raise RecipeError(
                f"room_splits soundspaces is a list of mp3d's houses, and rooms is {self.rooms}: leave it out"
            )
        self._refuse_idle_keys()
        self._refuse_keys_of_draws()
        self.split_shares()
        self.target_faces()
        self.yaw_deg()
        self._check_ray_address()

    def _refuse_idle_keys(self) -> None:
        """Refuse a key that the chosen rooms or clips do not look at: whoever set it believes that it works."""
        kinds = (self.rooms.partition(":")[0], self.clips.partition(":")[0])
        for f in dataclasses.fields(self):
            only = f.metadata["only"]
            default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
            if only and not set(only.split(",")) & set(kinds) and getattr(self, f.name) != default:
                raise RecipeError(
                    f"{f.name} is for {only.replace(',', ', ')} and does nothing with rooms {self.rooms}, "
                    f"clips {self.clips}: leave it out"
                )

    def _check_ray_address(self) -> None:
        address = self.ray_address
        if address is None or address == "auto":
            return
        host, _, port = address.removeprefix("ray://").rpartition(":")
        whole_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
        if not whole_port or not re.fullmatch(r"[\w.:\[\]-]+", host):
            raise RecipeError(f"ray_address {shown(address)} must be auto or HOST:PORT, such as 10.0.0.1:6379")

    def _refuse_keys_of_draws(self) -> None:
        """Refuse what only drawn scenes look at where scenes are placed by hand, and the other way round."""
        if self.placements is None and not self.check_placements:
            raise RecipeError("check_placements is for placements and does nothing without them: leave it out")
        defaults = {f.name: f for f in dataclasses.fields(self)}
        for name in _KEYS_OF_DRAWS if self.placements is not None else ():
            f = defaults[name]
            if getattr(self, name) != (f.default if f.default_factory is dataclasses.MISSING else f.default_factory()):
                raise RecipeError(f"{name} is for drawn scenes and does nothing with placements: leave it out")

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
            if f.metadata["path"] and value is not None:
                value = value.partition(":")[0] if f.name in KIND_AND_PATH else "given"
            identity[f.name] = value
        return identity


def stored_recipe(folder: "DatasetFolder") -> RenderRecipe:
    """Return the recipe that a data set was rendered with; raises RecipeError where a key of it is not known."""
    return build(RenderRecipe, folder.read_run().recipe, str(folder.meta / "run.json"))


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
