"""Does one data set train on a house or a clip that another one, trained on with it, holds out?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_rows, scene_files
from spatialqa.errors import DatasetError

_ORIGIN = ("scene_id", "room_set", "house_id", "sources")


@dataclass(frozen=True)
class Leaks:
    """What data sets that are trained on together hold out from one another.

    houses: of all training scenes but the leaking ones. shared: the houses and clips that one data set trains on and
    another holds out. scenes: the training scenes that have one of them, by file and id.
    """

    houses: list[str]
    shared: list[str]
    scenes: set[tuple[Path, str]]


def find_leaks(folders: Sequence[Path]) -> Leaks:
    """Compare what the data sets train on with what they hold out."""
    files = [path for folder in folders for path in scene_files(DatasetFolder(folder))]
    held_out: set[str] = set()
    for path in files:
        if split_of(path) != "train":
            for row in read_rows(path, _ORIGIN):
                held_out.update(_origins(row))
    houses: set[str] = set()
    shared: set[str] = set()
    scenes: set[tuple[Path, str]] = set()
    for path in files:
        if split_of(path) == "train":
            for row in read_rows(path, _ORIGIN):
                house, *clips = _origins(row)
                if both := held_out.intersection((house, *clips)):
                    shared |= both
                    scenes.add((path, row["scene_id"]))
                else:
                    houses.add(house.removeprefix("the house "))
    return Leaks(sorted(houses), sorted(shared), scenes)


def _origins(row: Mapping[str, Any]) -> list[str]:
    """Return the house of a scene, then its clips."""
    clips = [f"the clip {source['clip_sha256'] or source['clip_id']}" for source in row["sources"]]
    return [f"the house {row['room_set']}/{row['house_id']}", *clips]


def leaks_of(folders: Sequence[Path], leaks: str) -> Leaks:
    """Return the scenes to leave out of training, none where leaks are to be refused; see refuse_leaks.

    Raises:
        DatasetError: one data set trains on what another one holds out, or one is named twice.
    """
    if again := [folder for k, folder in enumerate(folders) if folder.resolve() in {f.resolve() for f in folders[:k]}]:
        raise DatasetError(f"{again[0]}: is named twice; name each data set once")
    return find_leaks(folders) if leaks == "leave-out" else Leaks(refuse_leaks(folders), [], set())


def refuse_leaks(folders: Sequence[Path]) -> list[str]:
    """Return the houses that are trained on.

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
    return leaks.houses
