"""Split leakage: houses and clips in more than one split, and the house of each scene."""

from collections import defaultdict
from dataclasses import dataclass

import pyarrow.parquet as pq

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import scene_files
from spatialqa.errors import DatasetError

_COLUMNS = ["scene_id", "split", "house_id", "sources.list.element.clip_sha256", "sources.list.element.clip_id"]
_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Splits:
    """Houses and clips of the scenes table.

    scenes, houses, clips: how many there are. shared_houses, shared_clips: those that are in more than one split, by
    name. A clip is known by the sha256 of its content, or by its id where it has not been made yet.
    """

    scenes: int
    houses: int
    clips: int
    shared_houses: tuple[str, ...]
    shared_clips: tuple[str, ...]

    @property
    def leaking(self) -> bool:
        """Whether anything is in two splits."""
        return bool(self.shared_houses or self.shared_clips)


def read_splits(folder: DatasetFolder) -> tuple[Splits, dict[str, int]]:
    """Return what the splits share, and the code of the house of every scene.

    Raises:
        DatasetError: there are no scenes, or a file of them cannot be read.
    """
    houses: dict[str, set[str]] = defaultdict(set)
    clips: dict[str, set[str]] = defaultdict(set)
    codes: dict[str, int] = {}
    of_scene: dict[str, int] = {}
    for path in scene_files(folder):
        try:
            batches = pq.ParquetFile(path).iter_batches(_BATCH_ROWS, columns=_COLUMNS, use_threads=False)
            for row in (row for batch in batches for row in batch.to_pylist()):
                of_scene[row["scene_id"]] = codes.setdefault(row["house_id"], len(codes))
                houses[row["house_id"]].add(row["split"])
                for source in row["sources"]:
                    clips[source["clip_sha256"] or source["clip_id"]].add(row["split"])
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{path}: cannot be read as a Parquet table of spatialqa ({' '.join(str(error).split())})"
            ) from None
    splits = Splits(
        scenes=len(of_scene),
        houses=len(houses),
        clips=len(clips),
        shared_houses=tuple(sorted(name for name, where in houses.items() if len(where) > 1)),
        shared_clips=tuple(sorted(name for name, where in clips.items() if len(where) > 1)),
    )
    return splits, of_scene
