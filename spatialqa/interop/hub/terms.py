"""What the licences of the parts of a data set forbid to publish."""

from collections.abc import Sequence
from pathlib import Path

from spatialqa.dataset.hub_terms import LICENCES
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.licences import guarded_clips, guarded_rooms
from spatialqa.dataset.provenance import NOT_STATED, Part
from spatialqa.errors import DatasetError, RecipeError

_ADVICE = "--without-audio publishes the labels and questions alone"


def refuse_forbidden(
    root: Path, run: RunRecord, parts: Sequence[Part], room_sets: set[str], licence: str | None, with_audio: bool
) -> list[str]:
    """Return what a user should know before a data set is published.

    Args:
        root: the data set, for messages.
        run: its run record.
        parts: its origins.
        room_sets: those of its groups.
        licence: the hub's id of the licence that the user gives the whole; None for that of each part.
        with_audio: whether the audio is published too.

    Raises:
        RecipeError: the hub knows no such licence.
        DatasetError: a part may not be published, or not under that licence.
    """
    if licence is not None and licence not in LICENCES:
        raise RecipeError(f"--licence {licence}: is not an id of the hub, such as cc-by-4.0, cc-by-nc-4.0 or other")
    if not with_audio:
        return []
    licences = [part.licence for part in parts if part.what == "clips"]
    reasons = [*guarded_clips(run.recipe, licences), *guarded_rooms(run.recipe, room_sets)]
    reasons += [f"the clips under {part.licence} may not be changed, and a mix changes them" for part in _no_mix(parts)]
    if reasons:
        raise DatasetError(f"{root}: its audio may not be published: {'; '.join(reasons)}; {_ADVICE}")
    if licence is not None:
        _refuse_wider(root, parts, licence)
    notes = [f"no licence is stated for the {part.what} ({part.origin})" for part in parts if _unknown(part)]
    bound = sorted({f"{part.what} {part.licence}" for part in parts if part.non_commercial})
    return notes + ([f"not for commercial use: {', '.join(bound)}; the card says so"] if bound else [])


def _refuse_wider(root: Path, parts: Sequence[Part], licence: str) -> None:
    """Raise DatasetError where a part does not allow what a licence would."""
    for part in parts:
        if part.non_commercial and "-nc" not in licence and licence != "other":
            raise DatasetError(
                f"{root}: the {part.what} ({part.origin}) are under {part.licence}, which --licence {licence} would "
                f"open to commercial use: choose cc-by-nc-4.0, or leave --licence out; {_ADVICE}"
            )
        if part.share_alike and part.what == "clips" and licence not in (part.hub_licence, "other"):
            raise DatasetError(
                f"{root}: clips are under {part.licence}, which asks for the same licence, not {licence}: leave "
                f"--licence out; {_ADVICE}"
            )


def _no_mix(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.what == "clips" and "ND" in part.licence.replace("-", " ").split()]


def _unknown(part: Part) -> bool:
    return part.licence == NOT_STATED and part.what in ("clips", "engine", "HRTF")
