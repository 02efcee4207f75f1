"""The RIRs of scenes: as they are stored, or simulated again where they are not."""

from collections import Counter
from collections.abc import Sequence

from spatialqa.core.audio_io import decode_rir
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import SpatialQAError
from spatialqa.generation.replay import StoredGroups
from spatialqa.generation.stored_recipe import stored_recipe
from spatialqa.views.chosen_scenes import rows_about
from spatialqa.views.sound_curves import Audio

NOT_STORED = "the data set does not hold the RIRs (render --save-rirs), and --no-simulate was given"


class RirsOfScenes:
    """Finds the RIRs of scenes. To be closed: the room that was simulated last is held open.

    A group is simulated as it was for the data set, with the same engine in the same room. Its RIRs are those that the
    scene was made with, unless `other_version`. Ask for scenes of a group one after another, so that it is simulated
    once.

    Args:
        folder: the data set.
        scenes: about which it will be asked.
        simulate: whether to simulate what is not stored.
    """

    def __init__(self, folder: DatasetFolder, scenes: Sequence[Scene], simulate: bool) -> None:
        self.simulated = 0
        """How many scenes have RIRs that were simulated again."""
        self.other_version = False
        """Whether the engine here has the name of the one of the data set, and another hash."""
        self.missing: Counter[str] = Counter()
        """How many scenes have no RIRs, by why."""
        rows = rows_about(folder, "rirs", "rir_id", scenes, lambda scene: [source.rir_id for source in scene.sources])
        self._stored = {row["rir_id"]: decode_rir(row["rir"], row["n_samples"]) for row in rows if row["rir"]}
        self._last: tuple[str, dict[str, Audio] | str] = ("", {})
        self._groups: StoredGroups | None = None
        self._why = NOT_STORED
        lacking = [scene for scene in scenes if not self._is_stored(scene)]
        if simulate and lacking:
            self._rows = {
                row["group_id"]: row
                for row in rows_about(folder, "groups", "group_id", lacking, lambda scene: [scene.group_id])
            }
            self._open(folder)

    def _open(self, folder: DatasetFolder) -> None:
        try:
            run, recipe = folder.read_run(), stored_recipe(folder)
            if recipe.plan_only:
                self._why = "the scenes were only planned"
                return
            groups = StoredGroups(recipe)
            here, then = groups.engine.identity, run.engine
            if here.name != then.name:
                self._why = (
                    f"the RIRs are not stored, and the engine here is {here.name}, where {then.name} rendered them"
                )
                return
            self.other_version = here.sha256 != then.sha256
            _ = groups.rooms  # opened once, so that one message tells what all scenes lack
            self._groups = groups
        except (SpatialQAError, OSError) as error:
            self._why = f"the RIRs are not stored, and cannot be simulated again: {error}"

    def of(self, scene: Scene) -> dict[str, Audio]:
        """Return the RIRs of a scene's sources by rir_id, float32 (channels, n); none where they are not to be had."""
        if self._is_stored(scene):
            return {source.rir_id: self._stored[source.rir_id] for source in scene.sources}
        if self._last[0] != scene.group_id:
            self._last = scene.group_id, self._simulate(scene)
        found = self._last[1]
        if isinstance(found, str):
            self.missing[found] += 1
            return {}
        self.simulated += 1
        return found

    def _simulate(self, scene: Scene) -> dict[str, Audio] | str:
        """Return the RIRs of the group of a scene by rir_id, or why there are none."""
        if self._groups is None:
            return self._why
        if scene.group_id not in self._rows:
            return "the RIRs are not stored, and the tables do not hold the groups to simulate"
        try:
            simulated = self._groups.simulate(self._rows[scene.group_id], [scene])
        except (SpatialQAError, OSError) as error:
            return f"the RIRs are not stored, and cannot be simulated again: {error}"
        return {simulated.group.rir_id(place): rir for place, rir in enumerate(simulated.rirs)}

    def _is_stored(self, scene: Scene) -> bool:
        return all(source.rir_id in self._stored for source in scene.sources)

    def close(self) -> None:
        """Release the room that was simulated last."""
        if self._groups is not None:
            self._groups.close()
