"""What is placed by hand: a listener and sources."""

from dataclasses import dataclass
from pathlib import Path

from spatialqa.api.values import is_path, number, point, text
from spatialqa.core.geometry import Pose, Vec3, yaw_quaternion
from spatialqa.errors import RecipeError
from spatialqa.generation.placements import FILLS, from_direction


@dataclass(frozen=True)
class Listener:
    """A level head.

    position: its centre in the room's world frame, metres: +x right, +y up, -z forward; any sequence or array of three
    numbers. yaw_deg: 0 looks along -z, positive turns to the left.

    Raises:
        RecipeError: a value is not a finite number.
    """

    position: Vec3
    yaw_deg: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", point("a listener", "position", self.position))
        object.__setattr__(self, "yaw_deg", number("a listener", "yaw_deg", self.yaw_deg))

    @property
    def pose(self) -> Pose:
        """Position and orientation."""
        return Pose(self.position, yaw_quaternion(self.yaw_deg))


@dataclass(frozen=True)
class Source:
    """A sound at a place.

    clip: a class of sounds ("Bark"), of which a clip is drawn; the id of a clip; or a sound file, whose label must be
    given. label: what the sound is called: an AudioSet class, or a name of one's own.

    It is placed either by azimuth_deg (positive to the left of the nose), elevation_deg (positive up) and distance_m
    from the listener's head, or by its position in the room (world, metres; any sequence or array of three numbers).
    onset_s: when it starts, seconds after the start of the scene. fill: "once", or "repeat" to play a clip that ends
    before the scene again after drawn gaps of 0.2 to 1 s.

    Raises:
        RecipeError: a value is not of its type or not finite, or the place is given twice or in part.
    """

    clip: str | Path
    label: str | None = None
    azimuth_deg: float | None = None
    elevation_deg: float = 0.0
    distance_m: float | None = None
    position: Vec3 | None = None
    onset_s: float = 0.0
    fill: str = "once"

    def __post_init__(self) -> None:
        if not is_path(self.clip):
            object.__setattr__(self, "clip", text("a source", "clip", self.clip))
        if self.label is not None:
            object.__setattr__(self, "label", text(self.where, "label", self.label))
        for name in ("azimuth_deg", "elevation_deg", "distance_m", "onset_s"):
            if getattr(self, name) is not None or name in ("elevation_deg", "onset_s"):
                object.__setattr__(self, name, number(self.where, name, getattr(self, name)))
        if self.position is not None:
            object.__setattr__(self, "position", point(self.where, "position", self.position))
        if self.onset_s < 0:
            raise RecipeError(f"{self.where}: onset_s {self.onset_s:g} must be 0 s or more")
        if self.fill not in FILLS:
            raise RecipeError(f"{self.where}: fill {self.fill!r} must be one of {', '.join(FILLS)}")
        self._check_place()

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"source {str(self.clip)!r}"

    def _check_place(self) -> None:
        by_direction = self.azimuth_deg is not None and self.distance_m is not None
        given = (self.azimuth_deg, self.distance_m) != (None, None) or (self.position and self.elevation_deg != 0)
        if by_direction == (self.position is not None) or (given and not by_direction):
            raise RecipeError(f"{self.where}: give azimuth_deg and distance_m, or position; one of the two, and whole")

    def place(self, listener: Listener) -> Vec3:
        """Return its world position in metres for this listener; raises RecipeError out of bounds."""
        if self.position is not None:
            return self.position
        assert self.azimuth_deg is not None
        assert self.distance_m is not None
        return from_direction(self.where, listener.pose, self.azimuth_deg, self.elevation_deg, self.distance_m)
