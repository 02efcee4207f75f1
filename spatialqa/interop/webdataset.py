"""Writes a data set as WebDataset shards: tar files in which SCENE.flac and SCENE.json make up one sample."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from spatialqa.core.files import commit_file, file_name
from spatialqa.core.scene import Scene
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import join_questions, read_audio, scene_files
from spatialqa.errors import DatasetError
from spatialqa.interop.destination import Destination

TarSample = tuple[str, bytes, bytes]  # scene_id, FLAC, JSON


@dataclass(frozen=True)
class WebDatasetSummary:
    """What an export holds: tar files by split."""

    dest: Path
    scenes: int
    questions: int
    shards: dict[str, int]

    def lines(self) -> list[str]:
        """Return the summary in words."""
        files = ", ".join(f"{split} {n}" for split, n in self.shards.items())
        return [f"{self.scenes} scenes, {self.questions} questions in {self.dest} (tar files: {files})"]


def export_webdataset(
    root: Path,
    dest: Path,
    table: str = "qa",
    samples_per_shard: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> WebDatasetSummary:
    """Write `{split}-{shard:06d}.tar` files; the same data set gives the same bytes.

    A sample's JSON is the scene's row with its questions under "questions", each as in the table, without nulls.

    Args:
        root: the data set. dest: a new folder, or one in which this export was begun.
        table: its questions, "qa" or "qa-NAME"; a data set that has none is written without.
        samples_per_shard: scenes in one tar file.
        progress: called with (scenes done, scenes in all).

    Raises:
        DatasetError: the data set has no audio or cannot be read, or the destination holds something else.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    if table != "qa" and not folder.tables(table):
        raise DatasetError(f"{root}: holds no questions in {table!r}; it holds {', '.join(folder.question_tables())}")
    files = scene_files(folder)
    identity = {"format": "webdataset", "fingerprint": run.fingerprint_hash, "table": table}
    target = Destination(dest, root, identity | {"samples_per_shard": samples_per_shard})
    counted = _Counter(sum(record.scenes for record in folder.shards()), progress)
    shards = {}
    for split in dict.fromkeys(split_of(path) for path in files):
        samples = counted.samples(folder, [path for path in files if split_of(path) == split], table, split)
        shards[split] = 0
        while batch := list(islice(samples, 1)):  # tells whether there is a next shard before it is begun
            path = dest / f"{split}-{shards[split]:06d}.tar"
            commit_file(path, partial(_write_tar, batch=batch, samples=islice(samples, samples_per_shard - 1)))
            shards[split] += 1
    target.finish({"scenes": counted.scenes, "questions": counted.questions, "shards": shards})
    return WebDatasetSummary(dest, counted.scenes, counted.questions, shards)


class _Counter:
    """Makes samples and counts what goes into them."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._total, self._progress = total, progress
        self.scenes = self.questions = 0

    def samples(self, folder: DatasetFolder, files: list[Path], table: str, split: str) -> Iterator[TarSample]:
        """Yield the samples of one split."""
        flac: dict[str, bytes] = {}

        def scenes() -> Iterator[Scene]:
            for path in files:
                for scene, audio in read_audio(path):
                    if not audio:
                        raise DatasetError(f"{folder.root}: scene {scene.scene_id} has no audio; render it first")
                    flac[scene.scene_id] = audio
                    yield scene

        for scene, rows in join_questions(scenes(), folder, table, split):
            questions = [{name: value for name, value in row.items() if value is not None} for row in rows]
            facts: dict[str, Any] = scene.to_row() | {"questions": questions}
            text = json.dumps(facts, ensure_ascii=False).encode()
            yield file_name(scene.scene_id, folder.root), flac.pop(scene.scene_id), text
            self.scenes += 1
            self.questions += len(rows)
            if self._progress:
                self._progress(self.scenes, self._total)


def _write_tar(aside: Path, batch: list[TarSample], samples: Iterable[TarSample]) -> None:
    with tarfile.open(aside, "w", format=tarfile.USTAR_FORMAT) as tar:
        for some in (batch, samples):
            for name, flac, text in some:
                for ending, data in (("flac", flac), ("json", text)):
                    member = tarfile.TarInfo(f"{name}.{ending}")  # time, owner and group stay 0
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
