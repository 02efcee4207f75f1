"""Matches the places of a group with what sounds there, where places are for kinds of things (`heights: class`).

The sounds of scenes decide: what they would be without regard to places is drawn first, and a group gets places of the
kinds that its scenes need. So classes are as frequent as elsewhere. A scene whose sounds find no place, because its
listener has none of that kind or the group has too few places, takes places as they are and gets sounds for them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spatialqa.core import seeds
from spatialqa.core.ontology import ANYWHERE
from spatialqa.core.scene import ListenerGroup
from spatialqa.errors import ClipError, PlacementError
from spatialqa.generation.schedule import GroupSlot, n_sources
from spatialqa.generation.sound_sampling import DrawnSound, SoundSampler

_TRIES = 50

Cast = tuple[tuple[int, ...], list[DrawnSound]]  # the places of a scene, and what sounds at each


@dataclass(frozen=True, eq=False)
class Matching:
    """Chooses the kinds of places for groups, and the places and sounds of their scenes."""

    sounds: SoundSampler

    @cached_property
    def _seed(self) -> int:
        return self.sounds.recipe.seed

    @cached_property
    def _shares(self) -> dict[str, dict[str, float]]:
        return {}

    def shares(self, split: str) -> Mapping[str, float]:
        """Return how frequent each kind is among the sounds of a split."""
        if split not in self._shares:
            self._shares[split] = self.sounds.kind_shares(split)
        return self._shares[split]

    def kinds(self, slot: GroupSlot, offered: Sequence[str]) -> list[str]:
        """Return the kinds of the places that a group needs, in the order of its places.

        offered: the kinds that its listener has places for.

        Raises:
            PlacementError: no sound of the split is of an offered kind.
        """
        if not slot.scene_ids:  # a bank's, whose sounds are not known
            return [ANYWHERE] * self.sounds.recipe.sources_per_group
        wanted = {scene_id: self._wanted(scene_id, slot.split) for scene_id in slot.scene_ids}
        fitting = {scene_id: kinds for scene_id, kinds in wanted.items() if set(kinds) <= set(offered)}
        if slot.split == "train":
            return self._shared(slot, offered, list(fitting.values()))
        chosen: list[str] = []
        for scene_id, kinds in wanted.items():
            chosen += fitting.get(scene_id) or self._audible(scene_id, slot.split, offered, len(kinds))
        return chosen

    def _shared(self, slot: GroupSlot, offered: Sequence[str], wanted: Sequence[Sequence[str]]) -> list[str]:
        """Return the kinds of places that the scenes of a group share."""
        size = self.sounds.recipe.sources_per_group
        least: Counter[str] = Counter()
        uses: Counter[str] = Counter()
        for kinds in wanted:
            with_these = least | Counter(kinds)
            if with_these.total() <= size:
                least = with_these
                uses.update(kinds)
        while least.total() < size and uses:  # the most used place is shared next (the method of D'Hondt)
            least[max(sorted(uses), key=lambda kind: uses[kind] / (least[kind] + 1))] += 1
        places = sorted(least.elements()) or self._others(slot.group_id, slot.split, offered, size)
        order = seeds.rng(self._seed, "kinds", slot.group_id).permutation(size)
        return [places[int(k)] for k in order]

    def _others(self, name: str, split: str, offered: Iterable[str], count: int) -> list[str]:
        """Draw kinds among those that are offered, each as often as it is frequent."""
        shares = self.shares(split)
        kinds = [kind for kind in offered if shares.get(kind, 0.0) > 0]
        if not kinds:
            raise PlacementError(
                f"no place for any sound of the {split} split: its classes are things of the kinds {', '.join(shares)}"
            )
        weights = np.array([shares[kind] for kind in kinds])
        rng = seeds.rng(self._seed, "other kinds", name)
        return [kinds[int(k)] for k in rng.choice(len(kinds), size=count, p=weights / weights.sum())]

    def _audible(self, scene_id: str, split: str, offered: Sequence[str], count: int) -> list[str]:
        """Draw kinds for a scene for which there are sounds with distinct labels."""
        for attempt in range(_TRIES):
            kinds = self._others(f"{scene_id}/{attempt}", split, offered, count)
            try:
                self._sounds_for(scene_id, split, kinds)
            except ClipError:
                continue
            return kinds
        raise PlacementError(
            f"no {count} sounds of the {split} split with distinct labels are things of the kinds {', '.join(offered)}"
        )

    def _wanted(self, scene_id: str, split: str) -> list[str]:
        sounds = self.sounds.draw(scene_id, split, n_sources(self.sounds.recipe, scene_id))
        return [sound.clip.height_kind for sound in sounds]

    def cast(self, slot: GroupSlot, group: ListenerGroup) -> dict[str, Cast]:
        """Return the places and the sounds of each scene of a group whose places have the kinds of `kinds`.

        Raises:
            ClipError: there are no sounds with distinct labels for the places of a scene.
        """
        kinds = [str(place.kind) for place in group.places]
        found: dict[str, Cast] = {}
        first = 0
        for scene_id in slot.scene_ids:
            count = n_sources(self.sounds.recipe, scene_id)
            sounds = self.sounds.draw(scene_id, slot.split, count)
            wanted = [sound.clip.height_kind for sound in sounds]
            if slot.split == "train":
                found[scene_id] = self._among(scene_id, slot.split, kinds, wanted, sounds)
                continue
            places = tuple(range(first, first + count))
            own = kinds[first : first + count]
            first += count
            found[scene_id] = places, sounds if wanted == own else self._sounds_for(scene_id, slot.split, own)
        return found

    def _among(
        self, scene_id: str, split: str, kinds: Sequence[str], wanted: Sequence[str], sounds: list[DrawnSound]
    ) -> Cast:
        """Choose places of a group for a training scene: for its own sounds, or else any, and sounds for these."""
        rng = seeds.rng(self._seed, "places", scene_id)
        if not Counter(wanted) - Counter(kinds):
            places: list[int] = []
            for kind in wanted:
                free = [k for k, own in enumerate(kinds) if own == kind and k not in places]
                places.append(free[int(rng.integers(len(free)))])
            return tuple(places), sounds
        for attempt in range(_TRIES):
            chosen = tuple(int(k) for k in rng.choice(len(kinds), size=len(wanted), replace=False))
            try:
                return chosen, self._sounds_for(scene_id, split, [kinds[k] for k in chosen])
            except ClipError:
                if attempt + 1 == _TRIES:
                    raise
        raise AssertionError("unreachable")

    def _sounds_for(self, scene_id: str, split: str, kinds: Sequence[str]) -> list[DrawnSound]:
        return self.sounds.draw(scene_id, split, len(kinds), kinds=kinds)
