"""How high above the floor each kind of thing is: the heights at which a source of a class may be placed.

Which kind a class is of is in `spatialqa/data/class_heights.tsv`, and `spatialqa.core.ontology` reads it.
"""

from collections.abc import Mapping

Band = tuple[float, float]  # lowest and highest, metres above the floor of the storey

HEIGHTS_M: Mapping[str, Band] = {
    "floor": (0.0, 0.5),
    "table": (0.5, 1.5),
    "hand": (0.7, 1.8),
    "head": (1.0, 1.9),
    "ceiling": (1.8, 2.5),
    "anywhere": (0.2, 2.2),
}
_OVER_CLEARANCE_M = 0.2  # a floor thing keeps its clearance from the floor, and needs some room above that


def heights_of(kind: str, clearance_m: float) -> Band:
    """Return the heights of a kind, metres, where every source keeps this clearance from the floor."""
    low, high = HEIGHTS_M[kind]
    return (low, max(high, clearance_m + _OVER_CLEARANCE_M)) if kind == "floor" else (low, high)
