"""What was a model trained on, and does one data set train on a house or a clip that another one holds out?"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
class Heard:
    """What a model was trained on.

    houses: as `room_set/house_id`. clips: the clip_number of each; None where the model, or one that it began from,
    does not say.
    """

    houses: frozenset[str] = frozenset()
    clips: frozenset[int] | None = frozenset()

    def __or__(self, other: Self) -> "Heard":
        """Return what either was trained on."""
        clips = None if self.clips is None or other.clips is None else self.clips | other.clips
        return Heard(self.houses | other.houses, clips)

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
class Leaks:
    """What data sets that are trained on together hold out from one another.

    heard: the houses and clips of all training scenes but the leaking ones. shared: those that one data set trains on
    and another holds out. scenes: the training scenes that have one of them, by file and id.
    """

    heard: Heard
    shared: list[str]
    scenes: set[tuple[Path, str]]


def heard_by(file: Path) -> Heard:
    """Return what a file of weights, Spatial-AST's or BAT's, says that it was trained on.

    Raises:
        ModelError: it cannot be read, or says something that cannot be.
    """
    content = read_weights(file)
    known = content.get("known", content)
    try:
        return Heard.of(known if isinstance(known, Mapping) else {})
    except ValueError as error:
        raise ModelError(f"{file}: its {error} cannot be what it was trained on; it is damaged") from None


def find_leaks(folders: Sequence[Path]) -> Leaks:
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
    return Leaks(Heard(frozenset(houses), frozenset(map(clip_number, clips))), sorted(shared), scenes)


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


def leaks_of(folders: Sequence[Path], leaks: str) -> Leaks:
    """Return the scenes to leave out of training, none where leaks are to be refused; see refuse_leaks.

    Raises:
        DatasetError: one data set trains on what another one holds out, or one is named twice.
    """
    if again := [folder for k, folder in enumerate(folders) if folder.resolve() in {f.resolve() for f in folders[:k]}]:
        raise DatasetError(f"{again[0]}: is named twice; name each data set once")
    return find_leaks(folders) if leaks == "leave-out" else Leaks(refuse_leaks(folders), [], set())


def refuse_leaks(folders: Sequence[Path]) -> Heard:
    """Return the houses and clips that are trained on.

    Raises:
        DatasetError: one data set trains on a house or a clip that another one validates or tests with.
    """
    leaks = find_leaks(folders)
    if leaks.shared:
        raise DatasetError(
            f"{', '.join(map(str, folders))}: {leaks.shared[-1]} is in the training split of one and held out in "
            f"another ({len(leaks.shared)} such houses and clips): render them with other seeds, or leave such scenes "
            f"out of the training with --leaks leave-out"
        )
    return leaks.heard
