"""Measures what memory the driver of a run takes over very many shards, made by an engine that does nothing.

    python -m tests.driver_memory [--shards 100000] [FOLDER]

No part of `make test`. The plan, the schedule, the records, the card and the manifest are real; a shard is made by
writing its record and tables without rows. FOLDER is best in memory (/dev/shm): every record is synced. Exits with 1
where the peak lies more than GROWTH_BYTES a shard above the memory after 1000 shards.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from spatialqa.core.files import FileRecord
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import EngineName, ShardRecord
from spatialqa.dataset.schema import GROUPS, SCENES
from spatialqa.generation import runner
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.run import Run
from spatialqa.generation.schedule import ShardPlan

GROWTH_BYTES = 400  # the name of a shard is kept, and at the end the paths of all records are listed
SCENES_PER_SHARD = 16


def record_alone(run: Run, shard: ShardPlan) -> ShardRecord:
    """Commit the record of a shard whose tables have no rows."""
    files = []
    for name, schema in (("scenes", SCENES), ("groups", GROUPS)):
        empty = run.root.parent / f"{name}.parquet"
        if not empty.exists():
            commit_table(run.root.parent, empty.name, pa.Table.from_pylist([], schema=schema))
        path = run.root / name / f"{shard.name}.parquet"
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(empty)
        files.append(FileRecord(f"{name}/{path.name}", 0, path.stat().st_size, "0" * 64))
    record = ShardRecord(
        shard=shard.name,
        split=shard.split,
        fingerprint=run.fingerprint_hash,
        scenes=shard.n_scenes,
        scenes_planned=shard.n_scenes,
        groups=len(shard.groups),
        draws_rejected=0,
        engine=EngineName("none", "0"),
        files=tuple(files),
    )
    return DatasetFolder(run.root).commit_shard(record)


class NoShards:
    """Stands for ShardMaker."""

    def __init__(self, run: Run, engine: Any) -> None:
        self.run = run

    def make(self, shard: ShardPlan, on_made: Callable[[int], None]) -> ShardRecord:
        """Return a record."""
        record = record_alone(self.run, shard)
        on_made(record.scenes)
        return record

    def close(self) -> None:
        """Do nothing."""


class Watch:
    """An observer that notes the memory of this process."""

    def __init__(self) -> None:
        self.by_shards: dict[int, int] = {}
        self._scenes = 0
        self._start = time.monotonic()

    def started(self, total: int, done: int, workers: int) -> None:
        """Note what the plan takes."""
        self._note(0)

    def advanced(self, scenes: int) -> None:
        """Note it now and then."""
        before, self._scenes = self._scenes // SCENES_PER_SHARD, self._scenes + scenes
        now = self._scenes // SCENES_PER_SHARD
        if now > before and now >= 1000 and str(now).rstrip("0") in ("1", "2", "5"):
            self._note(now)

    def _note(self, shards: int) -> None:
        self.by_shards[shards] = resident_bytes()
        mib, seconds = self.by_shards[shards] / 2**20, time.monotonic() - self._start
        print(f"{shards:7} shards {mib:7.1f} MiB {seconds:6.0f} s", flush=True)


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--shards", type=int, default=100_000)
    given = parser.parse_args()
    runner.ShardMaker = NoShards  # type: ignore[assignment,attr-defined]
    root = Path(tempfile.mkdtemp(prefix="spatialqa-driver-memory-", dir=given.folder))
    watch = Watch()
    recipe = RenderRecipe(
        plan_only=True,
        scenes=given.shards * SCENES_PER_SHARD,
        scenes_per_shard=SCENES_PER_SHARD,
        splits="1,0,0",
        home_kinds=["shoebox"],
        workers=0,
    )
    try:
        summary = runner.render_dataset(recipe, root / "data", watch)
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    finally:
        shutil.rmtree(root)
    growth = (peak - watch.by_shards[1000]) / given.shards
    print(f"{summary.shards} shards, peak {peak / 2**20:.1f} MiB: {growth:.0f} bytes a shard above that after 1000")
    sys.exit(growth > GROWTH_BYTES)


if __name__ == "__main__":
    main()
