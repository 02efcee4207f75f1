"""Checks positions against what the recipe of the run says of drawn sources. Shares no code with placement."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from spatialqa.core.geometry import Vec3
from spatialqa.core.scene import Scene

_TOP_OF_HEAD_M = 0.1  # above the centre of the head
_TOLERANCE_M = 1e-9


@dataclass(frozen=True)
class PlacingRules:
    """What a recipe says of sources. body_radius_m: of the listener, 0 where it claims nothing."""

    body_radius_m: float = 0.0

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> Self:
        """Read the values of a stored recipe; none hold for positions that a table or a bank gives."""
        if recipe.get("placements") is not None or str(recipe.get("rooms")).startswith("bank:"):
            return cls()
        radius_m = recipe.get("body_radius_m", 0.0)  # older data sets have no such key
        return cls(float(radius_m) if isinstance(radius_m, int | float) else 0.0)

    @property
    def summary(self) -> str | None:
        """What is checked, in words."""
        return f"no source inside the listener's body ({self.body_radius_m:g} m)" if self.body_radius_m > 0 else None

    def problems(self, scene: Scene) -> Iterable[str]:
        """Yield what contradicts the rules in one scene."""
        for number, source in enumerate(scene.sources):
            if self._in_body(scene.listener_position, source.position):
                yield f"source {number}: lies inside the listener's body (radius {self.body_radius_m:g} m)"

    def _in_body(self, head: Vec3, source: Vec3) -> bool:
        x, y, z = (b - a for a, b in zip(head, source, strict=True))
        return y <= _TOP_OF_HEAD_M and math.hypot(x, z) < self.body_radius_m - _TOLERANCE_M
