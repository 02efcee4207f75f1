"""Memory of label pairs: what was right whenever two sounds were named together, backing off to each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spatialqa.audit.baselines import Fold
from spatialqa.audit.sample import Sample
from spatialqa.audit.statistics import Ints
from spatialqa.audit.tasks import Task, codes_of
from spatialqa.qa.listener_view import AXES

_BACK_OFF = 6.0  # questions; a context with fewer is trusted less than the coarser ones before it
_CHUNK_ROWS = 4096
_OPPOSITES = (*AXES, ("closer", "farther"), ("same", "different"))
_END_OF = {word: (axis, end) for axis, ends in enumerate(_OPPOSITES) for end, word in enumerate(ends)}


@dataclass(frozen=True, eq=False)
class PairMemory:
    """Says what was commonest for a pair of labels, as far as it has been seen.

    levels: contexts, coarse before fine, each (n,) codes; those of a level are averaged. reversed_: (n,) questions that
    ask the opposite of what their context is remembered by, so that the two answers change places; None for none.
    """

    name: str
    levels: Sequence[Sequence[Ints]] = field(repr=False)
    reversed_: npt.NDArray[np.bool_] | None = field(default=None, repr=False)

    def scores(self, task: Task, fold: Fold) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.float32]]]:
        """Yield the shares of all guesses, smoothed towards those of coarser contexts."""
        train, test = fold
        learned = task.learned if self.reversed_ is None else _reversed(task.learned, self.reversed_)
        shown = learned[train].tocsr()
        overall = np.asarray(shown.mean(axis=0), np.float64).ravel()
        tables = [[_table(context, train, shown) for context in level] for level in self.levels]
        for start in range(0, len(test), _CHUNK_ROWS):
            rows = test[start : start + _CHUNK_ROWS]
            shares = np.tile(overall, (len(rows), 1))
            for level, counted in zip(self.levels, tables, strict=True):
                parts = [
                    (counts[context[rows]].toarray() + _BACK_OFF * shares) / (sizes[context[rows], None] + _BACK_OFF)
                    for context, (counts, sizes) in zip(level, counted, strict=True)
                ]
                shares = np.mean(parts, axis=0)
            if self.reversed_ is not None:
                shares = np.where(self.reversed_[rows, None], shares[:, ::-1], shares)
            yield rows, np.arange(len(overall)), shares.astype(np.float32)


def _table(context: Ints, train: Ints, shown: sparse.csr_matrix) -> tuple[sparse.csr_matrix, npt.NDArray[np.float64]]:
    number = int(context.max()) + 1
    ones = np.ones(len(train), np.float32)
    member = sparse.csr_matrix((ones, (context[train], np.arange(len(train)))), shape=(number, len(train)))
    return (member @ shown).tocsr(), np.bincount(context[train], minlength=number).astype(np.float64)


def _reversed(learned: sparse.csr_matrix, rows: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
    dense = learned.toarray()
    return sparse.csr_matrix(np.where(rows[:, None], dense[:, ::-1], dense))


def memories(sample: Sample, task: Task) -> list[PairMemory]:
    """Return the memories for a sample: none where no question names two labels.

    One remembers answers as they are. Where there are two answers and each question holds one of two opposite words,
    two more remember them by what is asked about: with "left" and "right" taken together, and the names in either
    order. For some relations the order turns the answer round, for others it does not, so both are tried.
    """
    if not sample.has("asked_labels") or not any(len(named) > 1 for named in sample["asked_labels"]):
        return []
    labels = sample["asked_labels"]
    clues = sample["choices"] if task.offered else sample["asked_direction"]
    pairs = [tuple(sorted(named)) for named in labels]
    made = [
        PairMemory(
            "label pairs",
            (
                (_coded([(named[0], clue) for named, clue in zip(labels, clues, strict=True)]),
                 _coded([(named[-1], clue) for named, clue in zip(labels, clues, strict=True)])),
                (_coded(list(zip(pairs, clues, strict=True))),),
                (_coded(list(zip(labels, clues, strict=True))),),
            ),
        )
    ]  # fmt: skip
    ends = [_END_OF.get(clue[0]) if clue else None for clue in clues]
    if len(task.guesses) != 2 or any(end is None for end in ends):
        return made
    known = [end for end in ends if end is not None]
    axes = [axis for axis, _ in known]
    second = np.asarray([end == 1 for _, end in known])
    turned = np.asarray([pair != tuple(named) for pair, named in zip(pairs, labels, strict=True)])
    shape = [(len(named), axis) for named, axis in zip(labels, axes, strict=True)]
    for name, reversed_ in (("label pairs, any order", second), ("label pairs, ordered", second ^ turned)):
        single = [_coded([(pair[k], k, of) for pair, of in zip(pairs, shape, strict=True)]) for k in (0, -1)]
        made.append(PairMemory(name, (single, (_coded(list(zip(pairs, shape, strict=True))),)), reversed_))
    return made


def _coded(values: Sequence[object]) -> Ints:
    return codes_of(values)[0]
