"""Training provenance and contamination: the houses and clips that a model was trained on.

Data sets that are trained on together are contaminated where one trains on a house or a clip that another one holds
out. A checkpoint stores its provenance, so that `answer --unseen` leaves out what the model has seen.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_rows, scene_files
from spatialqa.errors import DatasetError
from spatialqa.models.training.checkpoint import ModelError, read_weights

ORIGIN = ("scene_id", "room_set", "house_id", "sources")


@dataclass(frozen=True)
class TrainingProvenance:
    """What a model was trained on.

    houses: as `room_set/house_id`. clips: the clip_number of each; None where the model, or one that it began from,
    does not say.
    """

    houses: frozenset[str] = frozenset()
    clips: frozenset[int] | None = frozenset()

    def __or__(self, other: Self) -> "TrainingProvenance":
        """Return what either was trained on."""
        clips = None if self.clips is None or other.clips is None else self.clips | other.clips
        return TrainingProvenance(self.houses | other.houses, clips)

    def has(self, row: Mapping[str, Any]) -> bool:
        """Return whether a scene has a house or a clip of these."""
        house, *clips = _names(row)
        return house in self.houses or not (self.clips or frozenset()).isdisjoint(map(clip_number, clips))

    def stored(self) -> dict[str, Any]:
        """Return the plain form, for a file of weights: sorted houses and clips, int64 (n,) or None."""
        clips = None if self.clips is None else torch.tensor(sorted(self.clips), dtype=torch.int64)
        return {"houses": sorted(self.houses), "clips": clips}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Read the plain form; raises ValueError, which names the key, for anything else."""
        houses, clips = content.get("houses"), content.get("clips")
        if houses is not None and not (isinstance(houses, list | tuple) and all(isinstance(h, str) for h in houses)):
            raise ValueError("houses")
        if clips is not None and not (isinstance(clips, Tensor) and clips.dtype == torch.int64 and clips.dim() == 1):
            raise ValueError("clips")
        said = None if houses is None or clips is None else frozenset(clips.tolist())
        return cls(frozenset(houses or ()), said)


@dataclass(frozen=True)
class Contamination:
    """What data sets that are trained on together hold out from one another.

    trained_on: the houses and clips of all training scenes but the contaminated ones. shared: the houses and clips that
    one data set trains on and another holds out. scenes: the contaminated training scenes, which have one of these, by
    file and id.
    """

    trained_on: TrainingProvenance
    shared: list[str] = field(default_factory=list)
    scenes: set[tuple[Path, str]] = field(default_factory=set)


def provenance_of(file: Path) -> TrainingProvenance:
    """Return what a file of weights, Spatial-AST's or BAT's, says that it was trained on.

    Raises:
        ModelError: it cannot be read, or says something that cannot be.
    """
    content = read_weights(file)
    known = content.get("known", content)
    try:
        return TrainingProvenance.of(known if isinstance(known, Mapping) else {})
    except ValueError as error:
        raise ModelError(f"{file}: its {error} cannot be what it was trained on; it is damaged") from None


def find_contamination(folders: Sequence[Path]) -> Contamination:
    """Compare what the data sets train on with what they hold out."""
    files = [path for folder in folders for path in scene_files(DatasetFolder(folder))]
    held_out: set[str] = set()
    for path in files:
        if split_of(path) != "train":
            for row in read_rows(path, ORIGIN):
                held_out.update(_origins(row))
    houses: set[str] = set()
    clips: set[str] = set()
    shared: set[str] = set()
    scenes: set[tuple[Path, str]] = set()
    for path in files:
        if split_of(path) == "train":
            for row in read_rows(path, ORIGIN):
                if both := held_out.intersection(_origins(row)):
                    shared |= both
                    scenes.add((path, row["scene_id"]))
                else:
                    house, *own = _names(row)
                    houses.add(house)
                    clips.update(own)
    trained_on = TrainingProvenance(frozenset(houses), frozenset(map(clip_number, clips)))
    return Contamination(trained_on, sorted(shared), scenes)


def scenes_with(folders: Sequence[Path], classes: Collection[str]) -> set[tuple[Path, str]]:
    """Return the training and validation scenes in which a class of these sounds, by file and id.

    Args:
        folders: the data sets.
        classes: labels in lower case.
    """
    files = [path for folder in folders for path in scene_files(DatasetFolder(folder)) if split_of(path) != "test"]
    return {
        (path, row["scene_id"])
        for path in files
        for row in read_rows(path, ("scene_id", "sources"))
        if any(label.lower() in classes for source in row["sources"] for label in source["labels"])
    }


def clip_number(name: str) -> int:
    """Return 64 bits, with a sign, that stand for a clip's hash or id: a file of weights holds them for millions."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _names(row: Mapping[str, Any]) -> list[str]:
    """Return the house of a scene, then the hash of each of its clips, or the id where a clip has none."""
    clips = [source["clip_sha256"] or source["clip_id"] for source in row["sources"]]
    return [f"{row['room_set']}/{row['house_id']}", *clips]


def _origins(row: Mapping[str, Any]) -> list[str]:
    """Return the same for messages, where no house is taken for a clip."""
    house, *clips = _names(row)
    return [f"the house {house}", *(f"the clip {clip}" for clip in clips)]


def contamination_of(folders: Sequence[Path], leaks: str) -> Contamination:
    """Return the contamination of data sets: with `leaks` "refuse" there is none, see refuse_contamination.

    Raises:
        DatasetError: one data set trains on what another one holds out, or one is named twice.
    """
    if again := [folder for k, folder in enumerate(folders) if folder.resolve() in {f.resolve() for f in folders[:k]}]:
        raise DatasetError(f"{again[0]}: is named twice; name each data set once")
    return find_contamination(folders) if leaks == "leave-out" else Contamination(refuse_contamination(folders))


def refuse_contamination(folders: Sequence[Path]) -> TrainingProvenance:
    """Return the houses and clips that are trained on.

    Raises:
        DatasetError: one data set trains on a house or a clip that another one validates or tests with.
    """
    contamination = find_contamination(folders)
    if shared := contamination.shared:
        raise DatasetError(
            f"{', '.join(map(str, folders))}: {shared[-1]} is in the training split of one and held out in another "
            f"({len(shared)} such houses and clips): render them with other seeds, or leave such scenes out of the "
            f"training with --leaks leave-out"
        )
    return contamination.trained_on
