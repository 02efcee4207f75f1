"""Fits how often facts of each trait are kept, by iterative proportional fitting over all traits together.

A question shows several of its traits at once, such as the asked word and two labels, and is kept by the product of
their shares. Were each share fitted alone, a bias that a word and a label both show would be removed twice, and the
opposite answer would be the likelier one. So each family of traits is fitted to the counts that the other families
leave, over and over (Deming & Stephan 1940), with upper bounds in place of fixed margins: questions are only left out.

How much of an excess is more than chance follows from all excesses of a family together, as in the estimate of James
and Stein (1961): where they are as large as chance makes them, nothing is left out, so that small or fair data sets
keep their questions; where their squares are ten times as large, nine tenths of each are removed. A group is also
judged by its own excesses alone, so that one biased label does not hide among fair ones.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialqa.qa.balance import EVEN_OUTCOMES, Balance, Cell, Offered, Survey, Trait

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_ROUNDS = 100
_CLOSE = 1e-3  # change of a share below which a round is the last
_LEAST_KEPT = 0.1  # of an outcome that is to be apart from its group
_MANY = 3  # outcomes, from which on rejection stops at half of the mean
_RAREST = 1.5  # standard deviations that the rarest of eight or twelve is below their mean, by chance alone
_STEADY = 2.0  # standard deviations that still count as chance


def balance_from(survey: Survey, preference: Mapping[str, Mapping[int, float]]) -> Balance:
    """Return the balance that evens out a survey of all scenes, which must have been made with this preference."""
    by_trait: dict[Trait, float] = {}
    by_cell: dict[Cell, float] = {}
    for offered in survey.offered.values():
        if offered.traits.index:
            fit = _Fit(offered)
            fit.run()
            by_trait |= fit.by_trait()
            by_cell |= fit.by_cell()
    return Balance(by_trait, by_cell, preference)


@dataclass(frozen=True, eq=False)
class _Family:
    """Keys (traits, or cells) that are fitted together, and which group and outcome each belongs to.

    groups, outcomes: (n,) their codes. even: how many outcomes a group has, or None to set outcome apart from group.
    members: (cells, m) index of the key of each cell, -1 for none; m is how many keys of the family a fact has at most.
    counts, squares: (n,) what was surveyed. kept: (n,) the fitted shares.
    """

    groups: Ints
    outcomes: Ints
    even: int | None
    members: Ints
    counts: Floats
    squares: Floats
    kept: Floats

    def of_cells(self) -> Floats:
        """Return the share (cells,) of each cell that this family keeps."""
        of_keys: Floats = np.append(self.kept, 1.0)[self.members]  # index -1 is the appended 1
        return np.asarray(of_keys.prod(axis=1))

    def sums(self, weights: Floats) -> Floats:
        """Return the sum (n,) over the facts of each key of weights (cells,)."""
        flat, over = self.members.ravel(), np.repeat(weights, self.members.shape[1])
        return _sums(flat[flat >= 0], over[flat >= 0], len(self.kept))


class _Fit:
    """The fit of one subtype: families of traits, coarse before fine, and then pairs of labels."""

    def __init__(self, offered: Offered) -> None:
        self._traits = list(offered.traits.index)
        cells = list(offered.cells.index)
        self._weights = np.frombuffer(offered.cells.weights, np.float64)
        table = np.full((len(cells), max(map(len, cells))), -1)
        for place in range(table.shape[1]):
            table[:, place] = [cell[place] if place < len(cell) else -1 for cell in cells]
        self._table = table
        counts = np.frombuffer(offered.traits.weights, np.float64)
        squares = np.frombuffer(offered.traits.squares, np.float64)
        self._families: list[tuple[Ints, _Family]] = []
        by_family: dict[str, list[int]] = defaultdict(list)
        for index, trait in enumerate(self._traits):
            by_family[trait.group[0]].append(index)
        for name in sorted(by_family, key=lambda name: list(EVEN_OUTCOMES).index(_kind(name))):
            keys = np.asarray(by_family[name])
            self._families.append((keys, self._family(name, keys, counts, squares)))
        self._pairs = self._family_of_cells(np.frombuffer(offered.cells.squares, np.float64))

    def _family(self, name: str, keys: Ints, counts: Floats, squares: Floats) -> _Family:
        place = np.full(len(self._traits) + 1, -1)
        place[keys] = np.arange(len(keys))
        members = place[self._table]  # the table's -1 is the last place, which is -1 too
        members = -np.sort(-members, axis=1)[:, : max(1, int((members >= 0).sum(axis=1).max()))]
        groups = _codes([self._traits[key].group for key in keys])
        outcomes = _codes([self._traits[key].outcome for key in keys])
        even = EVEN_OUTCOMES[_kind(name)]
        if even == 0:
            even = int(outcomes.max()) + 1
        return _Family(groups, outcomes, even, members, counts[keys], squares[keys], np.ones(len(keys)))

    def _family_of_cells(self, squares: Floats) -> _Family | None:
        """Return the family of all cells where facts name two labels, or None: what pairs tell beyond each label."""
        finest = max((family for _, family in self._families), key=lambda family: family.members.shape[1])
        if finest.members.shape[1] < 2:
            return None
        groups = [tuple(self._traits[t].group for t in row if t >= 0) for row in self._table.tolist()]
        outcomes = [self._traits[max(row)].outcome for row in self._last_trait().tolist()]
        n = len(groups)
        return _Family(
            _codes(groups),
            _codes(outcomes),
            finest.even,
            np.arange(n)[:, None],
            self._weights,
            squares,
            np.ones(n),
        )

    def _last_trait(self) -> Ints:
        last = (self._table >= 0).sum(axis=1, keepdims=True) - 1
        return np.take_along_axis(self._table, last, axis=1)

    def _each(self) -> Iterator[_Family]:
        yield from (family for _, family in self._families)
        if self._pairs is not None:
            yield self._pairs

    def run(self) -> None:
        """Fit the families in turn until their shares stand still."""
        for _ in range(_MOST_ROUNDS):
            change = max(self._fitted(family) for family in list(self._each()))
            if change < _CLOSE:
                break

    def _fitted(self, family: _Family) -> float:
        """Fit one family to what the others leave; return the largest change of a share."""
        left = self._weights.copy()
        for other in self._each():
            left *= other.of_cells()
        seen = family.sums(self._weights)  # less than was counted where there were too many cells to remember
        share = np.divide(family.sums(left), seen, out=family.kept.copy(), where=seen > 0)
        others = share / family.kept  # what the other families, and other labels of this one, keep of each key
        counts, squares = family.counts * others, family.squares * others
        aim = _apart(family, counts, squares) if family.even is None else _even(family, family.even, counts, squares)
        aim = family.kept * (aim / family.kept) ** (1 / family.members.shape[1])
        change = float(np.max(np.abs(aim - family.kept)))
        family.kept[:] = aim
        return change

    def by_trait(self) -> dict[Trait, float]:
        """Return the traits of which less than all facts are kept, with their shares."""
        kept: dict[Trait, float] = {}
        for keys, family in self._families:
            kept.update((self._traits[key], float(k)) for key, k in zip(keys, family.kept, strict=True) if k < 1)
        return kept

    def by_cell(self) -> dict[Cell, float]:
        """Return the same by all traits together."""
        if self._pairs is None:
            return {}
        thinned = np.flatnonzero(self._pairs.kept < 1)
        return {
            tuple(self._traits[t] for t in self._table[cell] if t >= 0): float(self._pairs.kept[cell])
            for cell in thinned.tolist()
        }


def _kind(family: str) -> str:
    return family.partition("/")[2]


def _sums(codes: Ints, weights: Floats, number: int = 0) -> Floats:
    return np.bincount(codes, weights=weights, minlength=number).astype(np.float64)


def _codes(values: Sequence[Hashable]) -> Ints:
    known: dict[Hashable, int] = {}
    return np.asarray([known.setdefault(value, len(known)) for value in values])


def _even(family: _Family, expected: int, counts: Floats, squares: Floats) -> Floats:
    """Return shares (n,) that bring every outcome down towards the rarest of its group."""
    groups = family.groups
    number = np.bincount(groups)
    mean = _sums(groups, counts) / expected
    rarest = np.full(len(number), np.inf)
    np.minimum.at(rarest, groups, counts)
    if expected >= _MANY:  # chance alone puts the rarest of many below the others
        rarest = np.minimum(mean, rarest + _RAREST * np.sqrt(rarest * np.sum(squares) / np.sum(counts)))
    rarest[number < expected] = 0.0
    excess = _sums(groups, (counts - mean[groups]) ** 2) + (expected - number) * mean**2
    by_chance = _sums(groups, squares) * (expected - 1) / expected
    tolerated = _tolerated(excess, by_chance, expected - 1)
    allowed = rarest[groups] + tolerated[groups] * np.maximum(counts - rarest[groups], 0.0)
    if expected >= _MANY:
        allowed = np.maximum(allowed, mean[groups] / 2)
    return _shares(allowed, counts)


def _apart(family: _Family, counts: Floats, squares: Floats) -> Floats:
    """Return shares (n,) that bring down what is more frequent in a group than in all; none goes below a tenth."""
    groups, outcomes = family.groups, family.outcomes

    def margins(of: Floats) -> tuple[Floats, Floats]:
        return _sums(groups, of), _sums(outcomes, of) / max(np.sum(of), 1e-300)

    sizes, common = margins(counts)
    usual = sizes[groups] * common[outcomes]
    excess = _sums(groups, (counts - usual) ** 2) + sizes**2 * np.sum(common**2) - _sums(groups, usual**2)
    by_chance = _sums(groups, squares * (1 - common[outcomes]))
    tolerated = _tolerated(excess, by_chance, len(common) - 1)
    sizes, common = margins(counts * family.kept)
    usual_left = sizes[groups] * common[outcomes]
    allowed = usual_left + tolerated[groups] * np.maximum(counts - usual, 0.0)
    shares = _shares(allowed, counts)
    for codes in (outcomes, groups):  # to leave out as much of every group, or outcome, makes none of them more even
        largest = np.zeros(int(codes.max()) + 1)
        np.maximum.at(largest, codes, shares)
        shares = shares / largest[codes]
    return np.clip(shares, _LEAST_KEPT, 1.0)


def _tolerated(excess: Floats, by_chance: Floats, freedom: int) -> Floats:
    """Return which part of the excesses of each group stays: all, where their squares are what chance makes of them.

    excess, by_chance: (groups,) sums of squares, and what is expected of them by chance. freedom: how many excesses of
    a group are free. The fewer they are, the more chance varies the sum; both each group is judged, and all together.
    """

    def part(seen: Floats, expected: Floats, free: int) -> Floats:
        if free < 1:
            return np.ones(np.shape(seen))
        most = (1 + _STEADY * np.sqrt(2 / free)) * expected
        return np.asarray(np.divide(most, seen, out=np.ones(np.shape(seen)), where=seen > most))

    together = part(np.sum(excess, keepdims=True), np.sum(by_chance, keepdims=True), freedom * len(excess))
    return np.minimum(part(excess, by_chance, freedom), together)


def _shares(allowed: Floats, counts: Floats) -> Floats:
    return np.minimum(1.0, np.divide(allowed, counts, out=np.ones(len(counts)), where=counts > 0))
