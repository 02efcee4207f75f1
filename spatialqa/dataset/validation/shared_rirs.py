"""Checks that all rows about one RIR say the same of it: those of `rirs/`, and those of every scene that uses it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spatialqa.core.scene import Scene, Source
from spatialqa.dataset.reading import read_rows

_FACTS = ("position", "line_of_sight", "drr_db", "rt60_s", "region_id", "region_label", "level_index")
_OF_RIRS = ("rir_id", "source_position", "line_of_sight", "drr_db", "rt60_s", "region_id", "region_label")
_LEVEL = "source_level_index"

Facts = tuple[Any, ...]


class SharedRirs:
    """What the rows of one shard say of its RIRs; groups are never in two shards."""

    def __init__(self, rirs: Path | None) -> None:
        """Read `rirs/` of the shard, where it is stored."""
        self._known: dict[str, tuple[str, Facts]] = {}
        if rirs is not None:
            for row in read_rows(rirs, _OF_RIRS, also=(_LEVEL,)):
                values = [row[name] for name in _OF_RIRS[1:]] + [row.get(_LEVEL)]
                self._known[row["rir_id"]] = (f"rirs/{rirs.name}", (tuple(values[0]), *values[1:]))

    def problems(self, scene: Scene) -> Iterator[str]:
        """Say where a scene differs from what was said of its RIRs before; only scenes that were rendered."""
        for number, source in enumerate(scene.sources):
            own = _facts(source)
            where, known = self._known.setdefault(source.rir_id, (scene.scene_id, own))
            for name, value, other in zip(_FACTS, own, known, strict=True):
                if value != other:
                    yield f"source {number}: {name} of RIR {source.rir_id} is {value}, and {where} says {other}"


def _facts(source: Source) -> Facts:
    return tuple(getattr(source, name) for name in _FACTS)
