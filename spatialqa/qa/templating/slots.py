"""The slots of templates, and the words that fill them."""

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

NAME_SLOTS = ("source", "other")  # filled with the sources asked about: "the sound of a dog barking"

# Slots that a template may have in their place: the same without "the sound of".
BARE_SLOTS: Mapping[str, str] = {"source_name": "source", "other_name": "other"}

# Slots that are filled from a phrase table; every other slot holds a value as it is.
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
