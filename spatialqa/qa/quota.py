"""Draws a fixed number of questions of each type, at most one per scene, as in SpatialSoundQA.

Which scene serves which type is drawn while the scenes stream by: a scene is taken in proportion to what is still
wanted over what is still to come (selection sampling: Knuth, The Art of Computer Programming 2, 3.4.2), so that the
counts come out exact wherever the scenes allow it, and evenly over the data set.
"""

from collections import Counter
from collections.abc import Mapping

from spatialqa.core import seeds
from spatialqa.core.scene import Scene
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.subtype import SubtypeSet


class Quota:
    """What is still to be asked of the scenes to come.

    counts: questions of each type in the training split; the other splits get as many in proportion to their scenes.
    scenes: by split and by whether a scene has several sources, how many there are.
    """

    def __init__(
        self,
        counts: Mapping[str, int],
        scenes: Mapping[tuple[str, bool], int],
        seed: int,
        subtypes: SubtypeSet = BUILT_IN,
    ) -> None:
        self._seed = seed
        self._subtypes = subtypes
        self._kinds = {several: subtypes.types_for(several) for several in (False, True)}
        self._scenes = Counter(scenes)
        self.left: Counter[tuple[str, str]] = Counter()
        for split, several in scenes:
            train = scenes.get(("train", several), 0)
            scale = scenes[split, several] / train if split != "train" and train else 1.0
            for kind in self._kinds[several]:
                self.left[split, kind] = round(counts.get(kind, 0) * scale)

    def subtypes(self, scene: Scene) -> list[str]:
        """Return what to ask of the next scene: the first of these subtypes of one type that it allows, or none."""
        several = len(scene.sources) > 1
        kinds = self._kinds[several]
        rng = seeds.rng(self._seed, "quota", scene.scene_id)
        to_come = self._scenes[scene.split, several]
        self._scenes[scene.split, several] -= 1
        wanted = sum(self.left[scene.split, kind] for kind in kinds)
        u = float(rng.uniform(0.0, max(to_come, wanted)))
        for kind in kinds:
            if u < self.left[scene.split, kind]:
                subtypes = self._subtypes.by_type[kind]
                return [subtypes[int(k)].name for k in rng.permutation(len(subtypes))]
            u -= self.left[scene.split, kind]
        return []

    def asked(self, split: str, kind: str) -> None:
        """Count a question that was asked."""
        self.left[split, kind] -= 1

    def unmet(self) -> dict[str, int]:
        """Return how many questions of each type are wanting, where there are any."""
        wanting: Counter[str] = Counter()
        for (_, kind), n in self.left.items():
            wanting[kind] += n
        return {kind: n for kind, n in sorted(wanting.items()) if n > 0}
