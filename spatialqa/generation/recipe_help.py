"""The keys of `render` in groups, with an example of each: for `--help-all` and for the reference of recipe keys."""

COMMON = (  # what most people set; `render --help` shows these
    *("rooms", "materials", "clips", "classes", "scenes", "sources_per_scene", "splits", "duration_s", "channels"),
    *("engine", "hrtf", "seed", "workers", "plan_only"),
)

GROUPS: dict[str, dict[str, str]] = {  # title: key: an example of its value, as it is typed
    "Rooms": {
        "rooms": "mesh:house.glb",
        "home_kinds": "shoebox,apartment",
        "up": "z",
        "unit_scale": "0.01",
        "materials": "materials.yaml",
        "default_material": "brick",
        "simplify": "off",
        "max_error_m": "0.02",
        "mp3d_root": "/data/mp3d",
        "scenes_list": "scans.txt",
        "exclude_regions": "porch,outdoors",
        "geometry": "glb",
        "bank_resample": "",
        "bank_mix_listeners": "",
    },
    "Listeners and sources": {
        "groups_per_room": "4",
        "yaws_per_group": "4",
        "sources_per_group": "12",
        "scenes_per_group": "16",
        "yaw": "90",
        "placement": "navmesh",
        "clearance_m": "0.5",
        "min_distance_m": "1",
        "max_distance_m": "6",
        "body_radius_m": "0",
        "directions": "octants",
        "heights": "any",
        "source_regions": "same",
        "placements": "scenes.csv",
        "check_placements": "",
    },
    "Clips": {
        "clips": "folder:my-clips",
        "classes": "Bark,Meow",
        "audioset_root": "/data/audioset",
        "clip_labels": "single",
        "min_label_quality": "0.8",
        "foley_clips_per_class": "20",
        "labels_file": "labels.csv",
        "unknown_labels": "custom",
        "licence": "CC-BY-4.0",
        "licences": "'CC0*,CC-BY*'",
        "min_clip_s": "0.5",
        "clip_rms_dbfs": "-20",
        "clip_start": "zero",
        "fill": "once",
        "class_balance": "natural",
    },
    "Scenes": {
        "scenes": "2000",
        "sources_per_scene": "1=0.3,2=0.5,3=0.2",
        "duration_s": "4",
        "onset_max_s": "1",
        "inaudible": "keep",
        "audible_dbfs": "-50",
        "mix": "mean",
        "gain_db": "-18",
        "seed": "7",
    },
    "Splits": {
        "splits": "0.9,0.05,0.05",
        "room_splits": "random",
        "clip_splits": "random",
    },
    "Acoustics": {
        "engine": "geometric",
        "preset": "reference",
        "engine_config": "indirect_ray_count=5000",
        "hrtf": "heads",
        "channels": "foa",
        "sample_rate": "16000",
        "calibrated": "",
        "rir_time_zero": "direct",
        "hrtf_lag": "remove",
        "habitat_python": "/opt/habitat/bin/python",
        "habitat_materials": "",
    },
    "Running and files": {
        "plan_only": "",
        "save_rirs": "",
        "scenes_per_shard": "512",
        "workers": "8",
        "ray_address": "HOST:6379",
        "group_timeout_s": "120",
        "cache": "/scratch/spatialqa",
        "check": "full",
    },
}


def example(name: str, default: object) -> str:
    """Return how an option is typed, such as `--scenes 2000`; of a switch, the way that is not its default."""
    flag = name.replace("_", "-")
    if isinstance(default, bool):
        return f"--{'no-' if default else ''}{flag}"
    value = next((keys[name] for keys in GROUPS.values() if name in keys), "")
    return f"--{flag} {value}".rstrip()
