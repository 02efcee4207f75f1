"""The built-in subtypes; their templates are in templates/, one file per type."""

from spatialqa.qa import extended, perception, reasoning
from spatialqa.qa.subtype import MOST_SOURCES, Subtype, SubtypeSet

_ONE, _SEVERAL = (1, 1), (2, MOST_SOURCES)

BUILT_IN = SubtypeSet(
    (
        Subtype("classification", "A", "labels", perception.classification, sources=_ONE),
        Subtype("location", "B", "location", perception.location, sources=_ONE),
        Subtype(
            "classification_at_location",
            "C",
            "labels",
            perception.classification_at_location,
            {"open": ("direction", "distance")},
            _SEVERAL,
            hears="direction",
        ),
        Subtype("location_of_class", "D", "location", perception.location_of_class, {"open": ("source",)}, _SEVERAL),
        Subtype(
            "relative_direction",
            "E",
            "yes_no",
            reasoning.relative_direction,
            {"open": ("source", "relation", "other")},
            _SEVERAL,
            hears="axis",
        ),
        Subtype(
            "both_on_side",
            "E",
            "yes_no",
            reasoning.both_on_side,
            {"open": ("source", "other", "side")},
            _SEVERAL,
            hears="axis",
        ),
        Subtype(
            "relative_distance",
            "E",
            "yes_no",
            reasoning.relative_distance,
            {"open": ("source", "nearness", "other")},
            _SEVERAL,
        ),
        Subtype(
            "distance_between",
            "E",
            "distance",
            reasoning.distance_between,
            {"open": ("source", "other")},
            _SEVERAL,
            hears="direction",
        ),
        Subtype(
            "source_at_direction",
            "E",
            "label",
            reasoning.source_at_direction,
            {"open": ("side",)},
            _SEVERAL,
            hears="axis",
        ),
        Subtype(
            "direction_word",
            "E",
            "direction_word",
            reasoning.direction_word,
            {"listener": ("source", "side_1", "side_2"), "source": ("source", "option_1", "option_2", "other")},
            _SEVERAL,
        ),
        Subtype("clock", "X", "hour", extended.clock, {"alone": (), "named": ("source",)}),
        Subtype("count", "X", "count", extended.count, sources=(1, extended.MOST_COUNTED)),
        Subtype("closest", "X", "label", extended.closest, sources=(3, MOST_SOURCES)),
        Subtype("farthest", "X", "label", extended.farthest, sources=(3, MOST_SOURCES)),
        Subtype("region", "X", "yes_no", extended.region, {"open": ("source", "rooms", "other")}, _SEVERAL),
    )
)
