"""Tables for Matterport3D: materials of categories, names of regions, and splits of houses."""

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from spatialqa.errors import RoomError

SPLIT_LISTS = ("official", "soundspaces", "random")
UNLABELLED = "unlabelled"
OUTDOORS_AND_JUNK = ("porch", "outdoors", "balcony", "junk", UNLABELLED)

REGION_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "a": "bathroom", "b": "bedroom", "c": "closet", "d": "dining room", "e": "entryway", "f": "family room",
        "g": "garage", "h": "hallway", "i": "library", "j": "laundry room", "k": "kitchen", "l": "living room",
        "m": "meeting room", "n": "lounge", "o": "office", "p": "porch", "r": "recreation room", "s": "stairs",
        "t": "toilet", "u": "utility room", "v": "television room", "w": "gym", "x": "outdoors", "y": "balcony",
        "z": "other room", "B": "bar", "C": "classroom", "D": "dining booth", "S": "spa", "Z": "junk",
    }
)  # fmt: skip


@cache
def mpcat40_materials() -> Mapping[str, str | None]:
    """Return the name of the material of every mpcat40 class; None is the default material."""
    return MappingProxyType({row[1]: row[2] or None for row in _rows("mpcat40_materials.tsv")})


@cache
def split_of(lists: str) -> Mapping[str, str]:
    """Return the split (train, validation, test) of every scene on the `official` or `soundspaces` lists.

    With `random` no scene is on a list, and the run draws its splits itself.
    """
    if lists not in SPLIT_LISTS:
        raise RoomError(f"there are no split lists {lists!r}: choose {', '.join(SPLIT_LISTS)}")
    column = SPLIT_LISTS.index(lists) + 1
    return MappingProxyType(
        {} if lists == "random" else {row[0]: row[column] for row in _rows("mp3d_splits.tsv") if row[column]}
    )


def check_labels(labels: Iterable[str]) -> frozenset[str]:
    """Return the labels as a set; raises RoomError, with the nearest one, for a label that no region can have."""
    known = [*REGION_LABELS.values(), UNLABELLED]
    for label in labels:
        if label not in known:
            nearest = difflib.get_close_matches(label.lower(), known, n=1, cutoff=0.0)[0]
            raise RoomError(f"there is no region label {label!r}: did you mean {nearest!r}?")
    return frozenset(labels)


def _rows(table: str) -> list[list[str]]:
    text = resources.files("spatialqa.data").joinpath(table).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")][1:]
