"""Checks the questions of a split, row by row, against the ground truth of its scenes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spatialqa.dataset.folder import split_of
from spatialqa.dataset.json_records import OwnSubtype
from spatialqa.dataset.reading import read_rows
from spatialqa.dataset.schema import QA
from spatialqa.dataset.validation.answers import RULES, Margins
from spatialqa.dataset.validation.ground_truth import SplitTruth
from spatialqa.dataset.validation.own_subtypes import Recompute, own_rules
from spatialqa.dataset.validation.question import question_problems

_MOST_LISTED = 1000  # problems of one table that are kept; the rest are counted


def margins_of(recipe: Mapping[str, Any]) -> Margins:
    """Return the margins that a recorded make-qa recipe asks for; a missing key counts as no margin."""
    known = {name: recipe[name] for name in Margins.__dataclass_fields__ if recipe.get(name) is not None}
    return Margins(**known)


class TableCheck:
    """The check of one table of questions, split after split.

    Memory is that of the scenes, and of at most 1000 problems: 8 bytes a scene and subtype tell which qa_ids were seen.
    """

    def __init__(
        self,
        table: str,
        recipe: Mapping[str, Any],
        own: Mapping[str, OwnSubtype] | None = None,
        recompute: Mapping[str, Recompute] | None = None,
    ) -> None:
        """Check a table that was made with this recipe.

        Args:
            table: its name. recipe: that of make-qa, as it was recorded.
            own: the subtypes that are not built in, by name.
            recompute: functions that compute answers to them again.
        """
        self.table = table
        self.counts: Counter[str] = Counter()
        self._recompute = recompute or {}
        self._own_rules = own_rules(own or {}, self._recompute)
        self._not_computed: Counter[str] = Counter()
        self._margins = margins_of(recipe)
        self._own_templates = recipe.get("templates") is not None
        self._problems: list[str] = []
        self._unlisted = 0

    def check_split(self, split: str, paths: Iterable[Path], truth: SplitTruth, whole: bool = True) -> None:
        """Check the files of one split against its scenes.

        whole: whether all of its scenes are known; else questions about those that are not are ignored.
        """
        seen = _Seen(len(truth), (*RULES, *self._own_rules))
        for path in paths:
            assert split_of(path) == split
            for row in read_rows(path, QA.names, batch_rows=2048):
                if not whole and row["scene_id"] and truth.row(row["scene_id"]) is None:
                    continue
                self.counts[row["type"]] += 1
                if row["subtype"] in self._own_rules and row["subtype"] not in self._recompute:
                    self._not_computed[row["subtype"]] += 1
                for problem in self._row_problems(row, split, truth, seen):
                    self._add(f"{self.table}/{path.name}: {row['qa_id']}: {problem}")

    def _row_problems(self, row: dict[str, Any], split: str, truth: SplitTruth, seen: "_Seen") -> Iterator[str]:
        for name in ("qa_id", "scene_id", "question", "answer"):
            if not row[name]:
                yield f"its {name} is empty"
                return
        if row["split"] != split:
            yield f"says split {row['split']} in a file of {split}"
        number, scene = truth.row(row["scene_id"]), truth.scene(row["scene_id"])
        if number is None or scene is None:
            yield f"its scene {row['scene_id']} is not in scenes/ of the split {split}"
            return
        if seen.before(number, row["subtype"], row["qa_id"]):
            yield "appears twice"
        yield from question_problems(row, scene, self._margins, self._own_templates, self._own_rules)

    def _add(self, problem: str) -> None:
        if len(self._problems) < _MOST_LISTED:
            self._problems.append(problem)
        else:
            self._unlisted += 1

    @property
    def problems(self) -> list[str]:
        """What was found; beyond 1000 only how many more."""
        more = [f"{self.table}: {self._unlisted} more problems of questions"] if self._unlisted else []
        return self._problems + more

    @property
    def summary(self) -> str:
        """How many questions of each type were answered again."""
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(self.counts.items()))
        text = f"{self.table}: {sum(self.counts.values())} questions ({kinds}): answers worked out again"
        if self._not_computed:
            rest = ", ".join(f"{subtype} {n}" for subtype, n in self._not_computed.items())
            text += f", except those of own subtypes ({rest}): only their form is checked"
        return text


class _Seen:
    """Which qa_ids ({scene_id}-{subtype}-{k}) have been seen: a bit each, for k below 64; the rest in a set."""

    def __init__(self, n_scenes: int, subtypes: tuple[str, ...]) -> None:
        self._columns = {subtype: column for column, subtype in enumerate(subtypes)}
        self._bits = np.zeros((n_scenes, len(subtypes)), dtype=np.uint64)
        self._odd: set[str] = set()

    def before(self, scene: int, subtype: str, qa_id: str) -> bool:
        """Return whether this question was seen, and remember it."""
        number = qa_id.rpartition("-")[2]
        if subtype not in self._columns or not number.isdecimal() or not int(number) < 64:
            known = qa_id in self._odd
            self._odd.add(qa_id)
            return known
        bit, column = 1 << int(number), self._columns[subtype]
        bits = int(self._bits[scene, column])
        self._bits[scene, column] = bits | bit
        return bool(bits & bit)
