"""Which slots the templates of each subtype have, and which words stand in them."""

from collections.abc import Mapping

DIRECTIONS = ("left", "right", "front", "behind", "above", "below")

# Phrase tables: the words that a table must say, in every one of its styles.
TABLES: Mapping[str, tuple[str, ...]] = {
    "side": DIRECTIONS,  # of the listener: "on your left"
    "relation": DIRECTIONS,  # to another source, in a statement: "further to the left than"
    "option": DIRECTIONS,  # to another source, one of two choices: "to the left of"
    "nearness": ("closer", "farther"),
    "rooms": ("same", "different"),  # "in the same room as"
}

# Slots that hold a name or a value; all others are filled from a phrase table.
VALUE_SLOTS = ("source", "other", "direction", "distance")
WORD_SLOTS: Mapping[str, str] = {
    "side": "side",
    "side_1": "side",
    "side_2": "side",
    "relation": "relation",
    "option_1": "option",
    "option_2": "option",
    "nearness": "nearness",
    "rooms": "rooms",
}

# Which slots a form fills from Fact.words, in that order; the named sources fill {source} and {other}.
FORMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "classification": {"open": ()},
    "location": {"open": ()},
    "classification_at_location": {"open": ("direction", "distance")},
    "location_of_class": {"open": ("source",)},
    "relative_direction": {"open": ("source", "relation", "other")},
    "both_on_side": {"open": ("source", "other", "side")},
    "relative_distance": {"open": ("source", "nearness", "other")},
    "distance_between": {"open": ("source", "other")},
    "source_at_direction": {"open": ("side",)},
    "direction_word": {
        "listener": ("source", "side_1", "side_2"),
        "source": ("source", "option_1", "option_2", "other"),
    },
    "clock": {"alone": (), "named": ("source",)},
    "count": {"open": ()},
    "closest": {"open": ()},
    "farthest": {"open": ()},
    "region": {"open": ("source", "rooms", "other")},
}

SUBTYPES: Mapping[str, tuple[str, ...]] = {
    "A": ("classification",),
    "B": ("location",),
    "C": ("classification_at_location",),
    "D": ("location_of_class",),
    "E": (
        "relative_direction",
        "both_on_side",
        "relative_distance",
        "distance_between",
        "source_at_direction",
        "direction_word",
    ),
    "X": ("clock", "count", "closest", "farthest", "region"),
}

# What an answer to each subtype is; a template file may repeat it under `answers`, to be checked.
ANSWERS: Mapping[str, str] = {
    "classification": "labels",
    "location": "direction and distance",
    "classification_at_location": "labels",
    "location_of_class": "direction and distance",
    "relative_direction": "yes or no",
    "both_on_side": "yes or no",
    "relative_distance": "yes or no",
    "distance_between": "distance",
    "source_at_direction": "label",
    "direction_word": "one of two words",
    "clock": "hour",
    "count": "number",
    "closest": "label",
    "farthest": "label",
    "region": "yes or no",
}
