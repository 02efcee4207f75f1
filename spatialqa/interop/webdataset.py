"""Writes a data set as WebDataset shards: tar files in which SCENE.flac and SCENE.json make up one sample."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from spatialqa.core.files import commit_file, file_name
from spatialqa.interop.destination import Destination
from spatialqa.interop.samples import Sample, Samples

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
    samples = Samples(root, table, progress)
    identity = {"format": "webdataset", "fingerprint": samples.run.fingerprint_hash, "table": table}
    target = Destination(dest, root, identity | {"samples_per_shard": samples_per_shard})
    shards = {}
    for split in samples.splits:
        members = (_tar_sample(sample, root) for sample in samples.of(split))
        shards[split] = 0
        while batch := list(islice(members, 1)):  # tells whether there is a next shard before it is begun
            path = dest / f"{split}-{shards[split]:06d}.tar"
            commit_file(path, partial(_write_tar, batch=batch, samples=islice(members, samples_per_shard - 1)))
            shards[split] += 1
    target.finish({"scenes": samples.scenes, "questions": samples.questions, "shards": shards})
    return WebDatasetSummary(dest, samples.scenes, samples.questions, shards)


def _tar_sample(sample: Sample, root: Path) -> TarSample:
    scene, flac, rows = sample
    questions = [{name: value for name, value in row.items() if value is not None} for row in rows]
    facts: dict[str, Any] = scene.to_row() | {"questions": questions}
    return file_name(scene.scene_id, root), flac, json.dumps(facts, ensure_ascii=False).encode()


def _write_tar(aside: Path, batch: list[TarSample], samples: Iterable[TarSample]) -> None:
    with tarfile.open(aside, "w", format=tarfile.USTAR_FORMAT) as tar:
        for some in (batch, samples):
            for name, flac, text in some:
                for ending, data in (("flac", flac), ("json", text)):
                    member = tarfile.TarInfo(f"{name}.{ending}")  # time, owner and group stay 0
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
