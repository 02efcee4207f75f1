"""The short form of `python -m tests.soak`: one process, killed, stopped, and with a full disk."""

import random
from dataclasses import replace
from pathlib import Path

from tests.fixtures.datasets import SMALL
from tests.soak import Soak, contents, small_disk


def test_a_disturbed_run_ends_in_the_bytes_of_an_undisturbed_one() -> None:
    lines: list[str] = []
    recipe = replace(SMALL, scenes=6, splits="1,0,0", scenes_per_shard=2, scenes_per_group=2)
    with small_disk() as (folder, can_fill):
        work = Soak(folder, random.Random(0), lines.append, recipe, can_fill, asks=False)
        seconds = work.prepare()
        wanted = ["child", *["full disk"] * can_fill]
        for share in (2, 4, 8):  # where other work slowed the first run, a later one may end before its disturbance
            assert work.round("process", seconds / share, wanted) == "", lines
            if set(work.done) == set(wanted):
                break
        assert set(work.done) == set(wanted), lines


def test_a_difference_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes/a.parquet").write_bytes(b"a")
    before = contents(tmp_path)
    assert before.keys() == {"scenes/a.parquet"}
    (tmp_path / "scenes/a.parquet").write_bytes(b"b")
    assert contents(tmp_path) != before
