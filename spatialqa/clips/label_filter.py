"""Selects the labels to keep for each clip: by class, label quality, and number of labels.

Works on label lists as arrays, since AudioSet has two million of them.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spatialqa.core.input_files import open_regular
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError, one_line

Nodes = npt.NDArray[np.int16]  # indices into ontology().nodes; -1 is a class that the ontology lacks
LabelMode = Literal["all", "specific", "single", "strong"]
QUALITY_TABLE = "qa_true_counts.csv"
_CHUNK = 1 << 24  # pairs of labels held in memory at once


@dataclass(frozen=True)
class LabelFilter:
    """What is asked of labels.

    mode: "all" keeps every label of a kept class; "specific" drops those that another label of the clip is a kind of
    (Animal beside Dog); "single" keeps only clips of which, so, one label is left, counting also the labels of classes
    that are not kept: raters heard nothing else in them. "strong" is a matter of `strong_labels`.
    classes: "all", "spatialsoundqa" (the 355 classes of arXiv 2402.01591), or names or mids.
    min_quality: the least share of a class's sampled labels that raters found true; needs `quality` by mid. Classes
    that it does not rate are left out.
    """

    mode: LabelMode = "all"
    classes: str | Sequence[str] = "all"
    min_quality: float = 0.0
    quality: dict[str, float] = field(default_factory=dict)

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Return for every ontology node whether it is kept, then False for the unknown.

        Raises:
            ClipError: a name that is not a class (with the nearest ones), or nothing is left.
        """
        if self.mode not in get_args(LabelMode):
            raise ClipError(f"labels {self.mode!r} is not known: use {', '.join(get_args(LabelMode))}")
        nodes = ontology().nodes
        if self.classes == "all":
            kept = [not node.abstract for node in nodes]
        elif self.classes == "spatialsoundqa":
            kept = [node.in_spatialsoundqa for node in nodes]
        else:
            named = {class_node(name) for name in _names(self.classes)}
            kept = [i in named for i in range(len(nodes))]
        if self.min_quality > 0:
            kept = [k and self.quality.get(n.mid, 0.0) >= self.min_quality for k, n in zip(kept, nodes, strict=True)]
        if not any(kept):
            raise ClipError(f"no class has a label quality of {self.min_quality:g} or more: ask for less")
        return np.array([*kept, False])


def class_node(name: str) -> int:
    """Return the index of the class that is spelt so; raises ClipError with the nearest names."""
    node = ontology().find(name)
    if node is None:
        raise ClipError(ontology().unknown(name))
    return _index_of()[node.mid]


def _names(classes: str | Sequence[str]) -> Sequence[str]:
    if not isinstance(classes, str):
        return classes
    raise ClipError(f"classes {classes!r} is not known: use all, spatialsoundqa, or a list of AudioSet class names")


@cache
def _index_of() -> dict[str, int]:
    return {node.mid: i for i, node in enumerate(ontology().nodes)}


@cache
def ancestry() -> npt.NDArray[np.bool_]:
    """Return (n + 1, n + 1): whether class i is an ancestor of class j; the last of each is the unknown class."""
    index, n = _index_of(), len(ontology().nodes)
    above = np.zeros((n + 1, n + 1), dtype=bool)
    for mid, j in index.items():
        above[[index[a] for a in ontology().ancestors(mid)], j] = True
    return above


@cache
def _rank() -> npt.NDArray[np.int32]:
    """Return the classes' places from the most telling on: the deeper, then those with fewer kinds, come first."""
    above = ancestry()[:-1, :-1]
    order = np.lexsort((np.arange(len(above)), above.sum(axis=1), -above.sum(axis=0)))
    rank = np.empty(len(above) + 1, dtype=np.int32)
    rank[order], rank[-1] = np.arange(len(above)), len(above)
    return rank


@dataclass(frozen=True, eq=False)
class LabelLists:
    """A list of classes per clip: nodes[offsets[i] : offsets[i + 1]]."""

    offsets: npt.NDArray[np.int64]
    nodes: Nodes

    @classmethod
    def of(cls, lists: pa.Array) -> "LabelLists":
        """Read an Arrow list<string> array of mids; display names are taken too, and others become -1."""
        offsets = np.asarray(lists.offsets.to_numpy(), dtype=np.int64)
        values = pc.dictionary_encode(lists.flatten())
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        index = _index_of()
        known = np.array([_node(index, text) for text in values.dictionary.to_pylist()] + [-1], dtype=np.int16)
        codes = values.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        return cls(offsets - offsets[0], known[codes])

    @classmethod
    def joined(cls, texts: pa.Array) -> "LabelLists":
        """Read an Arrow string array of mids joined by commas."""
        lists = pc.split_pattern(texts, ",")
        if isinstance(lists, pa.ChunkedArray):
            lists = lists.combine_chunks()
        return cls.of(lists)


def _node(index: dict[str, int], text: str | None) -> int:
    mid = (text or "").strip()
    if mid in index:
        return index[mid]
    node = ontology().find(mid) if mid and not mid.startswith("/") else None
    return index[node.mid] if node else -1


@dataclass(frozen=True, eq=False)
class ChosenLabels:
    """set_of: int32 (n,), index into `sets`, -1 for clips that are left out; sets: nodes, most telling first."""

    set_of: npt.NDArray[np.int32]
    sets: tuple[tuple[int, ...], ...]


def choose_labels(lists: LabelLists, wanted: LabelFilter) -> ChosenLabels:
    """Return the labels that every clip keeps under a filter.

    Raises:
        ClipError: the filter names a class that does not exist.
    """
    allowed = wanted.allowed()
    lengths = np.diff(lists.offsets)
    set_of = np.full(lengths.size, -1, dtype=np.int32)
    codes: dict[tuple[int, ...], int] = {}
    for k in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == k)
        for part in np.array_split(rows, -(-rows.size * int(k) ** 2 // _CHUNK)):
            nodes = lists.nodes[lists.offsets[part][:, None] + np.arange(k)]
            chosen = _choose(nodes, allowed, wanted.mode)
            unique, inverse = np.unique(chosen, axis=0, return_inverse=True)
            found = [tuple(n for n in row if n >= 0) for row in unique.tolist()]
            own = [codes.setdefault(labels, len(codes)) if labels else -1 for labels in found]
            set_of[part] = np.array(own, dtype=np.int32)[inverse.reshape(-1)]
    return ChosenLabels(set_of, tuple(codes))


def _choose(nodes: Nodes, allowed: npt.NDArray[np.bool_], mode: LabelMode) -> Nodes:
    """Return (m, k) label lists with the kept labels first, the most telling at the front, and -1 after them."""
    above = ancestry()[nodes[:, :, None], nodes[:, None, :]]
    again = np.tril(nodes[:, :, None] == nodes[:, None, :], -1).any(axis=2)  # stands a second time
    leaf = ~above.any(axis=2) & ~again
    kept = allowed[nodes] & ~again
    leaf_kept = kept & ~(above & kept[:, None, :]).any(axis=2)
    if mode == "all":
        chosen = kept
    elif mode == "specific":
        chosen = leaf_kept
    else:
        alone = (leaf.sum(axis=1) == 1) & (leaf_kept.sum(axis=1) == 1)
        chosen = leaf_kept & alone[:, None]
    order = np.argsort(_rank()[nodes] + np.where(leaf_kept, 0, 1000) + np.where(chosen, 0, 10_000), axis=1)
    return np.take_along_axis(np.where(chosen, nodes, np.int16(-1)), order, axis=1)


def read_quality(path: Path) -> dict[str, float]:
    """Read AudioSet's qa_true_counts.csv (label_id, num_rated, num_true): mid -> share of ratings that were true.

    Raises:
        ClipError: it is another table, or a count is not a count; one line.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in stream if not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise ClipError(f"{path} cannot be read: {error}") from error
    rows = csv.DictReader(lines, skipinitialspace=True)
    if not {"label_id", "num_rated", "num_true"} <= set(rows.fieldnames or ()):
        raise ClipError(
            f"{path} has the columns {one_line(', '.join(rows.fieldnames or ()), 80) or 'none'}; AudioSet's "
            f"{QUALITY_TABLE} has label_id, num_rated, num_true"
        )
    quality = {}
    try:
        for row in rows:
            rated, true = int(row["num_rated"]), int(row["num_true"])
            if not 0 <= true <= rated:
                raise ValueError(f"{true} true of {rated} rated")
            if rated and (node := ontology().find(row["label_id"])) is not None:
                quality[node.mid] = true / rated
    except (ValueError, TypeError, csv.Error) as error:
        raise ClipError(f"{path} line {rows.line_num}: {error}; download it again") from error
    if not quality:
        raise ClipError(f"{path} rates no AudioSet class; download it again")
    return quality
