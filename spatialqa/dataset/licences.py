"""Licence notices for data sets whose inputs may not be published freely."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Kinds of `clips` and `rooms` (the part before the colon) whose makers do not let others pass them on.
_CLIPS = {
    "audioset": "the sounds of AudioSet are cut from YouTube videos, whose rights stay with their uploaders",
}
_ROOMS = {
    "mp3d": "the Matterport3D terms of use are for non-commercial academic use by those who signed them",
    "hm3d": "the HM3D terms of use are for non-commercial academic use by those who accepted them",
    "gibson": "the Gibson licence is for non-commercial use by those who accepted it",
}


def licence_warnings(
    recipe: Mapping[str, Any], room_sets: Collection[str] = (), licences: Iterable[str] = ()
) -> list[str]:
    """Return one line for each input of a recipe that may not simply be published; none for free inputs.

    Args:
        recipe: the values of the render recipe, as run.json holds them.
        room_sets: those of its groups: RIRs of a bank were made in rooms too.
        licences: those of the clips.
    """
    reasons = guarded_clips(recipe, licences) + guarded_rooms(recipe, room_sets)
    return [f"{reason}; keep this export to yourself, or publish the one made with --to recipes" for reason in reasons]


def guarded_clips(recipe: Mapping[str, Any], licences: Iterable[str] = ()) -> list[str]:
    """Return why the sounds of the clips may not be passed on; none for others. licences: those of the clips."""
    clips = str(recipe["clips"]).partition(":")[0]
    youtube = any(licence.startswith("YouTube") for licence in licences)  # of a folder that `clips fetch` filled
    return [reason for name, reason in _CLIPS.items() if clips.startswith(name) or youtube]


def guarded_rooms(recipe: Mapping[str, Any], room_sets: Collection[str] = ()) -> list[str]:
    """Return the terms of the rooms, one line for each set of them that is not free."""
    rooms = str(recipe["rooms"]).partition(":")[0]
    return [reason for name, reason in _ROOMS.items() if name in {rooms, *room_sets}]
