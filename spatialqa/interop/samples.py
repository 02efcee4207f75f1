"""The samples of an export: every scene once, with its FLAC bytes and its questions, split by split."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import join_questions, read_audio, read_scenes, require_questions, scene_files
from spatialqa.errors import DatasetError

Sample = tuple[Scene, bytes, list[dict[str, Any]]]  # the scene, its FLAC file, its rows of the table of questions


class Samples:
    """The samples of a data set, and how many have been read.

    Args:
        root: the data set.
        table: its questions, "qa" or "qa-NAME"; a data set without "qa" has samples without questions.
        progress: called with (scenes read, scenes in all).

    Raises:
        DatasetError: the data set cannot be read, or has no such questions.
    """

    def __init__(self, root: Path, table: str, progress: Callable[[int, int], None] | None = None) -> None:
        self.folder = DatasetFolder(root)
        self.run = self.folder.read_run()
        require_questions(self.folder, table)
        self.scenes = self.questions = 0
        self._table, self._progress = table, progress
        self._files = scene_files(self.folder)
        self._total = sum(record.scenes for record in self.folder.shards())

    @property
    def splits(self) -> list[str]:
        """Those that have scenes, train first."""
        return list(dict.fromkeys(split_of(path) for path in self._files))

    def scenes_of(self, path: Path) -> Iterator[Scene]:
        """Yield the scenes of one file without their audio."""
        return read_scenes(path)

    def of(self, split: str) -> Iterator[Sample]:
        """Yield the samples of one split.

        Raises:
            DatasetError: a scene has no audio, or the tables do not fit each other.
        """
        flac: dict[str, bytes] = {}

        def scenes() -> Iterator[Scene]:
            for path in self._files:
                if split_of(path) != split:
                    continue
                for scene, audio in read_audio(path):
                    if not audio:
                        raise DatasetError(f"{self.folder.root}: scene {scene.scene_id} has no audio; render it first")
                    flac[scene.scene_id] = audio
                    yield scene

        for scene, rows in join_questions(scenes(), self.folder, self._table, split):
            yield scene, flac.pop(scene.scene_id), rows
            self.scenes += 1
            self.questions += len(rows)
            if self._progress:
                self._progress(self.scenes, self._total)
