"""Draws the sounds of scenes: which clips, from where in the clip, and when they start."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.clip_table import by_id
from spatialqa.core import seeds
from spatialqa.core.ontology import ontology
from spatialqa.core.scene import Scene
from spatialqa.errors import ClipError
from spatialqa.generation.recipe import RenderRecipe

_CLIP_TRIES = 1000
_KIND_TRIES = 20_000
_LOOKED_AT = 20_000  # clips that tell how frequent each kind is
_MEASURED = (
    *("offset_s", "dry_level_dbfs", "wet_level_dbfs", "drr_db", "rt60_s"),
    *("clip_end_s", "audible_onset_s", "audible_offset_s"),
)


@dataclass(frozen=True)
class DrawnSound:
    """What one source plays: a clip from clip_start_s on, heard from onset_s on, both in seconds.

    start_share: in place of clip_start_s, which is None then: which stretch of the clip to play (`choose_stretch`).
    repeats: whether it plays again until the scene ends.
    """

    clip: ClipRecord
    clip_start_s: float | None
    onset_s: float
    start_share: float | None = None
    repeats: bool = False

    def columns(self) -> dict[str, Any]:
        """Return the fields of a Source that say what it plays."""
        return {
            "clip_id": self.clip.clip_id,
            "clip_sha256": self.clip.sha256,
            "clip_start_s": self.clip_start_s,
            "native_sample_rate": self.clip.native_sample_rate,
            "licence": self.clip.licence,
            "labels": self.clip.labels,
            "mids": self.clip.mids,
            "onset_s": self.onset_s,
            "starts_s": None if self.repeats else (self.onset_s,),
            "start_share": self.start_share,
        }


@dataclass(frozen=True, eq=False)
class SoundSampler:
    """Draws the sounds of scenes from the clips of each split; the same in every process that holds the same clips."""

    recipe: RenderRecipe
    clips: Mapping[str, Sequence[ClipRecord]]  # by split

    @cached_property
    def _rows_by_class(self) -> "dict[str, list[tuple[str, array[int]]]]":
        """By split and class, where its clips stand: a set of millions of clips is not held as records."""
        result = {}
        for split, records in self.clips.items():
            classes: dict[str, array[int]] = defaultdict(lambda: array("l"))
            for row, record in enumerate(records):
                classes[record.labels[0]].append(row)
            result[split] = sorted(classes.items())
        return result

    @cached_property
    def _by_id(self) -> dict[str, Callable[[str], ClipRecord | None]]:
        return {split: by_id(records) for split, records in self.clips.items()}

    def record(self, split: str, clip_id: str) -> ClipRecord:
        """Return the clip of a split that has this id; raises KeyError when there is none."""
        record = self._by_id[split](clip_id)
        if record is None:
            raise KeyError(clip_id)
        return record

    def draw(
        self, scene_id: str, split: str, count: int, attempt: int = 0, kinds: Sequence[str] | None = None
    ) -> list[DrawnSound]:
        """Draw the sounds of a scene's sources, in order; of things of these kinds where they are given.

        Raises:
            ClipError: the split has no such clips with distinct labels.
        """
        recipe, rng = self.recipe, seeds.rng(self.recipe.seed, "scene", scene_id, attempt)
        sounds = []
        for clip in self._draw_clips(rng, split, kinds or [None] * count):
            latest_s = recipe.latest_onset_s()
            onset_s = float(rng.uniform(0.0, latest_s)) if latest_s > 0 else 0.0
            repeats = recipe.fill == "repeat"
            if recipe.clip_start == "active":
                sounds.append(DrawnSound(clip, None, onset_s, float(rng.random()), repeats))
                continue
            spare_s = clip.duration_s - (recipe.duration_s - onset_s)
            start_s = float(rng.uniform(0.0, spare_s)) if recipe.clip_start == "random" and spare_s > 0 else 0.0
            sounds.append(DrawnSound(clip, start_s, onset_s, repeats=repeats))
        return sounds

    def seed(self, scene_id: str, attempt: int = 0) -> int:
        """Return the seed that stands in the row of a scene."""
        return seeds.derived_seed(self.recipe.seed, "scene", scene_id, attempt)

    def redraw(self, scene: Scene, attempt: int) -> Scene:
        """Return a planned scene with other sounds at the same places; nothing of it is measured yet."""
        kinds = [ontology().height_kind(source.mids) for source in scene.sources]
        own = kinds if self.recipe.places_by_class() else None
        return self.replay(scene, self.draw(scene.scene_id, scene.split, len(kinds), attempt, own), attempt)

    def kind_shares(self, split: str) -> dict[str, float]:
        """Return how frequent each kind of things is among the sounds of a split, drawn one by one; the sum is 1.

        Of many clips, evenly spaced ones are looked at.
        """
        clips = self.clips[split]
        natural = self.recipe.class_balance == "natural"
        parts: list[Sequence[int]] = [range(len(clips))] if natural else [own for _, own in self._rows_by_class[split]]
        most = max(1, _LOOKED_AT // len(parts))
        shares: dict[str, float] = defaultdict(float)
        for rows in parts:
            chosen = rows[:: -(-len(rows) // most)]
            for row in chosen:
                shares[clips[row].height_kind] += 1.0 / (len(parts) * len(chosen))
        return dict(sorted(shares.items()))

    def replay(self, scene: Scene, sounds: Sequence[DrawnSound], attempt: int) -> Scene:
        """Return a planned scene with these sounds at the same places; nothing of it is measured yet."""
        unmeasured: dict[str, Any] = dict.fromkeys(_MEASURED)
        sources = tuple(
            replace(source, **sound.columns(), **unmeasured)
            for source, sound in zip(scene.sources, sounds, strict=True)
        )
        return replace(scene, sources=sources, seed=self.seed(scene.scene_id, attempt))

    def _draw_clips(self, rng: np.random.Generator, split: str, kinds: Sequence[str | None]) -> list[ClipRecord]:
        """Draw clips whose labels cannot be mistaken for each other: no label equals or contains another's."""
        count = len(kinds)
        for _ in range(_CLIP_TRIES):
            chosen = [self._draw_of_kind(rng, split, kind) for kind in kinds]
            if not any(_confusable(a, b) for i, a in enumerate(chosen) for b in chosen[:i]):
                return chosen
        raise ClipError(
            f"no {count} clips of the {split} split have distinct labels, in {_CLIP_TRIES} draws: "
            f"add classes that are not part of one another, or ask for fewer sources per scene"
        )

    def _draw_of_kind(self, rng: np.random.Generator, split: str, kind: str | None) -> ClipRecord:
        for _ in range(_KIND_TRIES):
            clip = self._draw_clip(rng, split)
            if kind is None or clip.height_kind == kind:
                return clip
        raise ClipError(f"no clip of the {split} split is of a thing of the kind {kind}, in {_KIND_TRIES:,} draws")

    def _draw_clip(self, rng: np.random.Generator, split: str) -> ClipRecord:
        if self.recipe.class_balance == "natural":
            records = self.clips[split]
            return records[int(rng.integers(len(records)))]
        classes = self._rows_by_class[split]
        _, rows = classes[int(rng.integers(len(classes)))]
        return self.clips[split][rows[int(rng.integers(len(rows)))]]


def _confusable(a: ClipRecord, b: ClipRecord) -> bool:
    for label_a, mid_a in zip(a.labels, a.mids, strict=True):
        for label_b, mid_b in zip(b.labels, b.mids, strict=True):
            if label_a == label_b or (mid_a and mid_b and ontology().related(mid_a, mid_b)):
                return True
    return False
