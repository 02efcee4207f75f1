"""A data set that many tests read, and how tests are ordered, chosen and dealt out to processes."""

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from spatialqa.acoustics.engines import available
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import SMALL, dataset, shared
from tests.slow import SLOW, file_of, group_of, is_slow, seconds_of_file

HERE = Path(__file__).parent
FAST = "not slow"  # what `make test-fast` asks for


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 short scenes in seven shards and three splits, with RIRs and questions. Read it; do not change it."""
    return shared(tmp_path_factory, "small", lambda root: dataset(root, SMALL, QaRecipe()))


def pytest_configure(config: pytest.Config) -> None:
    gone = sorted(name for name in SLOW if not (HERE.parent / file_of(name)).is_file())
    if gone:
        raise pytest.UsageError(f"tests/slow.py names files that are not there: {', '.join(gone)}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a slow file before it is imported, where nothing of it would be run."""
    named = f"{HERE.name}/{collection_path.relative_to(HERE)}" if collection_path.is_relative_to(HERE) else ""
    return True if config.option.markexpr == FAST and named in SLOW else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and put its files first; skip what needs soundspaces where that is not installed."""
    usable = {engine.name for engine in available() if engine.usable}
    for item in items:
        if item.get_closest_marker("soundspaces") and "soundspaces" not in usable:
            item.add_marker(pytest.mark.skip(reason="rlr-audio-propagation is not installed"))
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: -seconds_of_file(file_of(item.nodeid)))


class Grouped(LoadFileScheduling):  # type: ignore[misc]
    """Gives a file to one process, for the sake of its fixtures, and a group of files too.

    The mark `xdist_group` would say the same, but does nothing with pytest 9.2: pytest-xdist issue 1386.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped | None:
    return Grouped(config, log) if config.option.dist == "loadfile" else None
