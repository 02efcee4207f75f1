"""The picture of a scene in Python: a notebook shows it, and it can be saved as SVG."""

from dataclasses import dataclass
from pathlib import Path

from spatialqa.core.charts import write_svg
from spatialqa.core.scene import Scene
from spatialqa.rooms.room import Room
from spatialqa.views.scene_plot import scene_svg
from spatialqa.views.sound_curves import Audio


@dataclass(frozen=True)
class PlanView:
    """A picture as SVG text. A notebook shows it as it is."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write it; raises RecipeError unless the name ends in .svg, DatasetError when it cannot be written."""
        write_svg(Path(path), self.svg)


def plan_view(room: Room, scene: Scene, audio: Audio | None = None) -> PlanView:
    """Draw a scene from above and from behind the listener, with waveform and spectrogram of its audio (channels, n).

    Left is the listener's left, and from above the nose points up. A source that the listener cannot see has a dashed
    line.
    """
    return PlanView(scene_svg(scene, room, audio))
