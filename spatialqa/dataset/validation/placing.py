"""Checks positions against what the recipe of the run says of drawn sources. Shares no code with placement."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Self

from spatialqa.core.geometry import Vec3
from spatialqa.core.scene import Scene, Source

_TOP_OF_HEAD_M = 0.1  # above the centre of the head
_TOLERANCE_M = 1e-9
_HEIGHT_TOLERANCE_M = 1e-5  # of a floor that is found in a mesh of float32
# Lowest and highest place of things, metres above the floor.
_BANDS_M: Mapping[str, tuple[float, float]] = {
    "floor": (0.0, 0.5),
    "table": (0.5, 1.5),
    "hand": (0.7, 1.8),
    "head": (1.0, 1.9),
    "ceiling": (1.8, 2.5),
    "anywhere": (0.2, 2.2),
}
_ON_THE_FLOOR_M = 0.2  # between the clearance and the highest place of things on the floor, at least


@dataclass(frozen=True)
class PlacingRules:
    """What a recipe says of sources.

    body_radius_m: of the listener, 0 where it claims nothing. by_class: whether heights are those of things of a
    source's class. clearance_m: least distance from the floor.
    """

    body_radius_m: float = 0.0
    by_class: bool = False
    clearance_m: float = 0.3
    _seen: dict[tuple[str | None, ...], str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> Self:
        """Read the values of a stored recipe; none hold for positions that a table or a bank gives."""
        if recipe.get("placements") is not None or str(recipe.get("rooms")).startswith("bank:"):
            return cls()
        # older data sets have none of these keys
        return cls(
            _number(recipe.get("body_radius_m"), 0.0),
            recipe.get("heights") == "class",
            _number(recipe.get("clearance_m"), 0.3),
        )

    @property
    def summary(self) -> list[str]:
        """What is checked, in words."""
        body = [f"no source inside the listener's body ({self.body_radius_m:g} m)"] if self.body_radius_m > 0 else []
        return [*body, *(["every source at a height of its class"] if self.by_class else [])]

    def problems(self, scene: Scene) -> Iterable[str]:
        """Yield what contradicts the rules in one scene."""
        for number, source in enumerate(scene.sources):
            if self._in_body(scene.listener_position, source.position):
                yield f"source {number}: lies inside the listener's body (radius {self.body_radius_m:g} m)"
            fault = self._height_fault(scene, source) if self.by_class else None
            if fault:
                yield f"source {number}: {fault}"

    def _in_body(self, head: Vec3, source: Vec3) -> bool:
        x, y, z = (b - a for a, b in zip(head, source, strict=True))
        return y <= _TOP_OF_HEAD_M and math.hypot(x, z) < self.body_radius_m - _TOLERANCE_M

    def _height_fault(self, scene: Scene, source: Source) -> str | None:
        if source.height_m is None:
            return "has no height_m, and heights are by class"
        kind = self._kind(source.mids)
        low, high = _BANDS_M[kind]
        if scene.room_set == "procedural" and source.height_m > source.position[1] + _HEIGHT_TOLERANCE_M:
            return f"is {source.position[1]:.2f} m above the ground, and height_m says {source.height_m:.2f} m"
        if kind == "floor":
            high = max(high, self.clearance_m + _ON_THE_FLOOR_M)
        if not low - _HEIGHT_TOLERANCE_M <= source.height_m <= high + _HEIGHT_TOLERANCE_M:
            where = f"{low:g} to {high:g} m above the floor ({kind})"
            return f"is at a height of {source.height_m:.2f} m, and {source.labels[0]} is {where}"
        return None

    def _kind(self, mids: tuple[str | None, ...]) -> str:
        """Return the kind of thing: that of the first label that says one."""
        if mids not in self._seen:
            kinds = [_kinds().get(mid, "anywhere") for mid in mids if mid is not None]
            self._seen[mids] = next((kind for kind in kinds if kind != "anywhere"), "anywhere")
        return self._seen[mids]


def _number(value: Any, missing: float) -> float:
    return float(value) if isinstance(value, int | float) else missing


@cache
def _kinds() -> dict[str, str]:
    """Read the kind of thing of every class of AudioSet, by mid."""
    text = resources.files("spatialqa.data").joinpath("class_heights.tsv").read_text(encoding="utf-8")
    rows = csv.reader((line for line in text.splitlines() if not line.startswith("#")), delimiter="\t")
    return {row[0]: row[2] for row in rows}
