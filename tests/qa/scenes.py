"""Hand-made and random scenes, without audio."""

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from spatialqa.core.geometry import IDENTITY, Quaternion, Vec3
from spatialqa.core.ontology import ontology
from spatialqa.core.scene import Scene, Source

HEAD: Vec3 = (3.0, 1.5, -2.0)


def source(
    position: Vec3, labels: Sequence[str], wet: tuple[float, float] | None = None, region_id: str | None = None
) -> Source:
    """Return a source at a world position; a label that AudioSet lacks becomes a custom one."""
    nodes = [ontology().find(label) for label in labels]
    return Source(
        clip_id="clip",
        clip_sha256=None,
        clip_start_s=0.0,
        native_sample_rate=32000,
        licence=None,
        labels=tuple(labels),
        mids=tuple(None if node is None else node.mid for node in nodes),
        position=position,
        azimuth_deg=math.nan,  # the generator must go by positions
        elevation_deg=math.nan,
        distance_m=math.nan,
        region_id=region_id,
        region_label=None,
        onset_s=0.0,
        line_of_sight=True,
        rir_id="group/0",
        wet_level_dbfs=wet,
    )


def scene(
    *sources: Source, scene_id: str = "train-00000000", head: Vec3 = HEAD, orientation: Quaternion = IDENTITY
) -> Scene:
    """Return a scene with these sources and a listener at `head`."""
    return Scene(
        scene_id=scene_id,
        split="train",
        sample_rate=32000,
        duration_s=10.0,
        channels="binaural",
        room_set="procedural",
        room_id="home-000000",
        house_id="home-000000",
        region_id=None,
        region_label=None,
        level_index=None,
        group_id="group",
        engine="none",
        engine_config_hash="",
        hrtf="",
        rir_time_zero="emission",
        listener_position=head,
        listener_orientation=orientation,
        gain_db=-24.0,
        rir_reuse_count=1,
        sources=tuple(sources),
        seed=0,
        recipe_hash="",
    )


def heard_at(*things: tuple[Vec3, Sequence[str]], **settings: Any) -> Scene:
    """Return a scene of (offset from an unturned head in metres, labels)."""
    x, y, z = HEAD
    return scene(*(source((x + dx, y + dy, z + dz), labels) for (dx, dy, dz), labels in things), **settings)


def random_scenes(count: int, seed: int, source_counts: Sequence[int] = (1, 2, 2)) -> Iterator[Scene]:
    """Yield scenes with random heads (any yaw, a little pitch and roll), places and labels."""
    draw = random.Random(seed)
    classes = [node.name for node in ontology().nodes if node.in_spatialsoundqa]
    for index in range(count):
        yaw = (math.cos(t := draw.uniform(-math.pi, math.pi)), 0.0, math.sin(t), 0.0)
        tilted = [c + draw.gauss(0, 0.03) for c in yaw]
        norm = math.sqrt(sum(c * c for c in tilted))
        w, x, y, z = (c / norm for c in tilted)
        head = (draw.uniform(-5, 5), draw.uniform(1, 2), draw.uniform(-5, 5))
        places = []
        for _ in range(draw.choice(source_counts)):
            azimuth, distance = draw.uniform(-math.pi, math.pi), draw.uniform(0.5, 7)
            height = draw.uniform(-1.3, 1.1)
            offset = (distance * math.cos(azimuth), height, distance * math.sin(azimuth))
            labels = draw.sample(classes, draw.choice((1, 1, 2, 3)))
            here = (head[0] + offset[0], head[1] + offset[1], head[2] + offset[2])
            places.append(source(here, labels, region_id=draw.choice(("hall", "hall", "kitchen", None))))
        yield scene(*places, scene_id=f"train-{seed}-{index:08d}", head=head, orientation=(w, x, y, z))
